//! Weights and quota in the registry.

use mesos_proto::internal::master::stored_registry::registry::{MinimumCapability, Quota};
use mesos_proto::v0::mesos::WeightInfo;
use mesos_proto::v0::mesos::value::Scalar;
use mesos_proto::v0::quota::QuotaConfig;
use mesos_registrar::{Contents, Operation, Outcome, Registry};

/// An operation, its outcome, and the weights after it.
type Weighed = (Operation, Outcome, &'static [(&'static str, f64)]);
/// What is asked, the outcome, roles with quota and needed capabilities after it.
type Limited = (
    Vec<QuotaConfig>,
    Outcome,
    &'static [&'static str],
    &'static [&'static str],
);

fn weights(pairs: &[(&str, f64)]) -> Operation {
    let info = |(role, weight): &(&str, f64)| {
        let mut info = WeightInfo::new();
        info.set_role((*role).to_owned());
        info.set_weight(*weight);
        info
    };
    Operation::UpdateWeights(pairs.iter().map(info).collect())
}

fn scalar(value: f64) -> Scalar {
    let mut scalar = Scalar::new();
    scalar.set_value(value);
    scalar
}

fn quota(role: &str, guarantee: Option<f64>, limit: Option<f64>) -> QuotaConfig {
    let mut config = QuotaConfig::new();
    config.set_role(role.to_owned());
    config
        .guarantees
        .extend(guarantee.map(|value| ("cpus".to_owned(), scalar(value))));
    config
        .limits
        .extend(limit.map(|value| ("cpus".to_owned(), scalar(value))));
    config
}

fn capabilities(registry: &Registry) -> Vec<&str> {
    let entries = registry.minimum_capabilities.iter();
    entries.map(MinimumCapability::capability).collect()
}

#[test]
fn weights_are_added_and_replaced() {
    let mut contents = Contents::default();
    let steps: [Weighed; 4] = [
        (weights(&[("a", 2.0)]), Outcome::Changed, &[("a", 2.0)]),
        (weights(&[("a", 2.0)]), Outcome::Unchanged, &[("a", 2.0)]),
        (
            weights(&[("b/c", 0.5), ("a", 3.0)]),
            Outcome::Changed,
            &[("a", 3.0), ("b/c", 0.5)],
        ),
        (weights(&[]), Outcome::Unchanged, &[("a", 3.0), ("b/c", 0.5)]),
    ];
    for (operation, outcome, expected) in steps {
        assert_eq!(operation.apply(&mut contents), Ok(outcome), "{operation:?}");
        let registry = contents.to_message();
        let stored: Vec<(&str, f64)> = registry
            .weights
            .iter()
            .map(|entry| (entry.info.role(), entry.info.weight()))
            .collect();
        assert_eq!(stored, expected, "{operation:?}");
    }
}

#[test]
fn quota_is_added_replaced_and_taken_out() {
    let mut contents = Contents::default();
    let needed: &'static [&'static str] = &["QUOTA_V2"];
    let steps: [Limited; 6] = [
        (vec![quota("a", None, None)], Outcome::Unchanged, &[], &[]),
        (
            vec![quota("a", Some(1.0), None), quota("b", None, Some(0.0))],
            Outcome::Changed,
            &["a", "b"],
            needed,
        ),
        (
            vec![quota("a", Some(1.0), None)],
            Outcome::Unchanged,
            &["a", "b"],
            needed,
        ),
        (
            vec![quota("a", Some(1.0), Some(2.0))],
            Outcome::Changed,
            &["a", "b"],
            needed,
        ),
        (vec![quota("a", Some(0.0), None)], Outcome::Changed, &["b"], needed),
        (vec![quota("b", None, None)], Outcome::Changed, &[], &[]),
    ];
    for (configs, outcome, roles, wanted) in steps {
        let operation = Operation::UpdateQuota(configs);
        assert_eq!(operation.apply(&mut contents), Ok(outcome), "{operation:?}");
        let registry = contents.to_message();
        let stored: Vec<&str> = registry.quota_configs.iter().map(QuotaConfig::role).collect();
        assert_eq!(stored, roles, "{operation:?}");
        assert_eq!(capabilities(&registry), wanted, "{operation:?}");
    }
}

#[test]
fn quota_of_the_older_form_gives_way() {
    let mut registry = Registry::new();
    for role in ["a", "b"] {
        let mut entry = Quota::new();
        entry.info.mut_or_insert_default().set_role(role.to_owned());
        registry.quotas.push(entry);
    }
    let operation = Operation::UpdateQuota(vec![quota("a", None, None)]);
    let mut contents = Contents::from_message(registry);
    assert_eq!(operation.apply(&mut contents), Ok(Outcome::Changed));
    let registry = contents.to_message();
    let left: Vec<&str> = registry.quotas.iter().map(|entry| entry.info.role()).collect();
    assert_eq!(left, ["b"]);
    assert!(capabilities(&registry).is_empty());
}
