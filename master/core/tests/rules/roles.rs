//! Weights and quota of roles.

use std::collections::BTreeMap;
use std::time::Duration;

use mesos_master_core::{OperatorCall, Reply};
use mesos_proto::internal::master::stored_registry::registry::{MinimumCapability, Quota as OlderQuota, Weight};
use mesos_proto::v0::mesos::WeightInfo;
use mesos_proto::v0::mesos::value::Scalar;
use mesos_proto::v0::quota::{QuotaConfig, QuotaRequest};
use mesos_proto::v0::scheduler::event;
use mesos_registrar::Registry;

use crate::actors::{MODERN, Scheduler, framework_info, register_agent, resources};
use crate::harness::{Harness, Out, config};

type Amounts<'a> = &'a [(&'a str, f64)];

fn quota(role: &str, guarantees: Amounts<'_>, limits: Amounts<'_>) -> QuotaConfig {
    let scalar = |(name, value): &(&str, f64)| {
        let mut scalar = Scalar::new();
        scalar.set_value(*value);
        ((*name).to_owned(), scalar)
    };
    let mut config = QuotaConfig::new();
    config.set_role(role.to_owned());
    config.guarantees = guarantees.iter().map(scalar).collect();
    config.limits = limits.iter().map(scalar).collect();
    config
}

fn request(role: &str, guarantee: &str, force: bool) -> OperatorCall {
    let mut request = QuotaRequest::new();
    request.set_role(role.to_owned());
    request.set_force(force);
    if !guarantee.is_empty() {
        request.guarantee = resources(guarantee);
    }
    OperatorCall::SetQuota(Box::new(request))
}

fn weight(role: &str, weight: f64) -> WeightInfo {
    let mut info = WeightInfo::new();
    info.set_role(role.to_owned());
    info.set_weight(weight);
    info
}

fn update(harness: &mut Harness, configs: Vec<QuotaConfig>) -> u16 {
    let call = OperatorCall::UpdateQuota { configs, force: false };
    ask(harness, call)
}

fn ask(harness: &mut Harness, call: OperatorCall) -> u16 {
    harness.operator(call).expect("an answer").status
}

fn roles_with_quota(harness: &Harness) -> Vec<&str> {
    harness.master.quotas().keys().map(String::as_str).collect()
}

fn subscribe(harness: &mut Harness, role: &str) -> Scheduler {
    let mut info = framework_info(MODERN);
    info.roles = vec![role.to_owned()];
    Scheduler::subscribe(harness, info)
}

fn offered_cpus(harness: &Harness, scheduler: &Scheduler) -> f64 {
    let offers = harness.offers(&scheduler.id);
    let cpus = offers
        .iter()
        .map(|id| harness.master.offers()[id].resources().get_scalar("cpus").to_f64());
    cpus.sum()
}

#[test]
fn weights_are_checked_stored_and_told_after_the_store() {
    let mut harness = Harness::new();
    let refused = [
        weight("r", 0.0),
        weight("r", -1.0),
        weight("r", f64::NAN),
        weight("r", f64::INFINITY),
        weight("/bad", 1.0),
        weight("", 1.0),
    ];
    for info in refused {
        let call = OperatorCall::UpdateWeights(vec![weight("good", 2.0), info.clone()]);
        assert_eq!(ask(&mut harness, call), 400, "{info}");
    }
    assert!(harness.master.weights().is_empty());
    harness.hold_registry = true;
    let asked = OperatorCall::UpdateWeights(vec![weight("a", 2.0), weight(" b/c ", 0.5)]);
    assert_eq!(harness.operator(asked), None);
    assert!(harness.master.weights().is_empty(), "not before the registry says so");
    harness.store();
    assert!(matches!(
        harness.out.last(),
        Some(Out::Reply(_, Reply { status: 200, .. }))
    ));
    let expected = BTreeMap::from([("a".to_owned(), 2.0), ("b/c".to_owned(), 0.5)]);
    assert_eq!(*harness.master.weights(), expected);
    assert_eq!(harness.registrar.registry().weights.len(), 2);
}

#[test]
fn offers_come_back_when_the_weight_of_a_role_in_use_changes() {
    let mut harness = Harness::new();
    register_agent(&mut harness, 0);
    let scheduler = subscribe(&mut harness, "a/b");
    assert_eq!(harness.offers(&scheduler.id).len(), 1);
    assert_eq!(
        ask(&mut harness, OperatorCall::UpdateWeights(vec![weight("x", 2.0)])),
        200
    );
    assert_eq!(harness.offers(&scheduler.id).len(), 1);
    assert_eq!(
        ask(&mut harness, OperatorCall::UpdateWeights(vec![weight("a", 2.0)])),
        200
    );
    assert!(harness.types_on(&scheduler.stream).contains(&event::Type::RESCIND));
}

#[test]
fn quota_that_makes_no_sense_is_refused() {
    let mut settings = config();
    settings.role_whitelist = Some(["a", "a/b", "p", "p/q"].into_iter().map(str::to_owned).collect());
    let mut harness = Harness::with(settings, Registry::new());
    register_agent(&mut harness, 0);
    let rows = [
        vec![quota("/a", &[], &[])],
        vec![quota("elsewhere", &[("cpus", 1.0)], &[])],
        vec![quota("a", &[("cpus", 2.0)], &[("cpus", 1.0)])],
        vec![quota("a", &[("cpus", -1.0)], &[])],
        vec![quota("a", &[], &[("cpus", f64::NAN)])],
        vec![quota("a", &[], &[("mem", 1e13)])],
        vec![quota("a", &[], &[("", 1.0)])],
        vec![quota("a", &[("cpus", 1.0)], &[]), quota("a", &[], &[])],
        vec![quota("a", &[("cpus", 4.5)], &[])],
        vec![quota("a/b", &[("cpus", 1.0)], &[])],
        vec![quota("a", &[("cpus", 1.0)], &[]), quota("a/b", &[("cpus", 2.0)], &[])],
    ];
    for configs in rows {
        assert_eq!(update(&mut harness, configs.clone()), 400, "{configs:?}");
    }
    for call in [
        request("a", "", false),
        request("a", "cpus:1;cpus:1", false),
        request("elsewhere", "cpus:1", false),
        request("a/b", "cpus:1", false),
        OperatorCall::RemoveQuota("a".to_owned()),
    ] {
        assert_eq!(ask(&mut harness, call.clone()), 400, "{call:?}");
    }
    assert!(harness.master.quotas().is_empty());
    assert!(harness.registrar.registry().quota_configs.is_empty());
    assert!(harness.registrar.registry().minimum_capabilities.is_empty());
}

#[test]
fn quota_of_roles_below_each_other_agrees() {
    let mut harness = Harness::new();
    register_agent(&mut harness, 0);
    let tree = vec![
        quota("a", &[("cpus", 3.0)], &[]),
        quota("a/b", &[("cpus", 1.0)], &[]),
        quota("a/c", &[("cpus", 2.0)], &[("cpus", 2.0)]),
    ];
    assert_eq!(update(&mut harness, tree), 200);
    assert_eq!(roles_with_quota(&harness), ["a", "a/b", "a/c"]);
    // Guarantees below others are not counted twice: one of four processors is left.
    assert_eq!(update(&mut harness, vec![quota("z", &[("cpus", 1.5)], &[])]), 400);
    assert_eq!(update(&mut harness, vec![quota("z", &[("cpus", 1.0)], &[])]), 200);
    assert_eq!(ask(&mut harness, OperatorCall::RemoveQuota("a".to_owned())), 400);
    assert_eq!(update(&mut harness, vec![quota("a", &[("cpus", 2.0)], &[])]), 400);
    let emptied = ["a", "a/b", "a/c"].map(|role| quota(role, &[], &[])).to_vec();
    assert_eq!(update(&mut harness, emptied), 200);
    assert_eq!(roles_with_quota(&harness), ["z"]);
    assert_eq!(harness.registrar.registry().quota_configs.len(), 1);
}

#[test]
fn more_than_the_agents_have_is_guaranteed_only_by_force() {
    let mut harness = Harness::new();
    register_agent(&mut harness, 0);
    assert_eq!(ask(&mut harness, request("a", "cpus:5", false)), 409);
    assert_eq!(update(&mut harness, vec![quota("a", &[("cpus", 5.0)], &[])]), 400);
    assert_eq!(ask(&mut harness, request("a", "cpus:5", true)), 200);
    let limits = &harness.master.quotas()["a"].limits;
    assert_eq!(limits["cpus"].to_f64(), 5.0, "older quota limits too");
    assert_eq!(ask(&mut harness, request("a", "cpus:1", true)), 400, "it has some");
    assert_eq!(ask(&mut harness, OperatorCall::RemoveQuota("a".to_owned())), 200);
    let configs = vec![quota("a", &[("cpus", 5.0)], &[])];
    assert_eq!(
        ask(&mut harness, OperatorCall::UpdateQuota { configs, force: true }),
        200
    );
}

#[test]
fn requests_are_checked_against_what_is_being_stored() {
    let mut harness = Harness::new();
    register_agent(&mut harness, 0);
    harness.hold_registry = true;
    assert_eq!(harness.operator(request("a", "cpus:3", false)), None);
    assert!(harness.master.quotas().is_empty());
    assert_eq!(ask(&mut harness, request("a", "cpus:1", false)), 400);
    assert_eq!(ask(&mut harness, request("b", "cpus:2", false)), 409);
    assert_eq!(harness.operator(OperatorCall::RemoveQuota("a".to_owned())), None);
    assert_eq!(harness.operator(request("b", "cpus:2", false)), None);
    harness.store();
    assert_eq!(roles_with_quota(&harness), ["b"]);
}

#[test]
fn offers_above_a_limit_come_back() {
    let mut harness = Harness::new();
    register_agent(&mut harness, 0);
    let scheduler = subscribe(&mut harness, "a/b");
    assert_eq!(offered_cpus(&harness, &scheduler), 4.0);
    assert_eq!(update(&mut harness, vec![quota("a", &[], &[("cpus", 4.0)])]), 200);
    assert_eq!(offered_cpus(&harness, &scheduler), 4.0, "within the limit");
    assert_eq!(update(&mut harness, vec![quota("a", &[], &[("cpus", 1.0)])]), 200);
    assert!(harness.types_on(&scheduler.stream).contains(&event::Type::RESCIND));
    harness.advance(Duration::from_secs(2));
    assert_eq!(offered_cpus(&harness, &scheduler), 1.0);
}

#[test]
fn offers_come_back_for_new_guarantees() {
    let mut harness = Harness::new();
    register_agent(&mut harness, 0);
    let greedy = subscribe(&mut harness, "greedy");
    let modest = subscribe(&mut harness, "modest");
    assert_eq!(offered_cpus(&harness, &greedy), 4.0);
    assert_eq!(update(&mut harness, vec![quota("modest", &[("cpus", 2.0)], &[])]), 200);
    harness.advance(Duration::from_secs(2));
    assert!(harness.types_on(&greedy.stream).contains(&event::Type::RESCIND));
    assert!(offered_cpus(&harness, &modest) >= 2.0);
}

#[test]
fn a_new_leader_takes_weights_and_quota_over() {
    let mut harness = Harness::new();
    register_agent(&mut harness, 0);
    assert_eq!(
        ask(&mut harness, OperatorCall::UpdateWeights(vec![weight("a", 2.0)])),
        200
    );
    assert_eq!(
        update(&mut harness, vec![quota("a", &[("cpus", 1.0)], &[("mem", 64.0)])]),
        200
    );
    let mut registry = harness.registrar.registry().clone();
    let mut older = OlderQuota::new();
    let info = older.info.mut_or_insert_default();
    info.set_role("b".to_owned());
    info.guarantee = resources("cpus:2");
    registry.quotas.push(older);
    let mut settings = config();
    settings.weights.insert("flag".to_owned(), 3.0);
    let next = Harness::with(settings, registry);
    assert_eq!(next.master.weights(), harness.master.weights());
    assert_eq!(next.master.quotas()["a"], harness.master.quotas()["a"]);
    assert_eq!(next.master.quotas()["b"].limits["cpus"].to_f64(), 2.0);
}

#[test]
fn weights_of_the_flag_are_stored_while_there_are_no_others() {
    let mut settings = config();
    settings.weights.insert("flag".to_owned(), 3.0);
    let harness = Harness::with(settings, Registry::new());
    assert_eq!(harness.master.weights()["flag"], 3.0);
    let registry = harness.registrar.registry();
    let stored: Vec<&Weight> = registry.weights.iter().collect();
    assert_eq!((stored.len(), stored[0].info.role()), (1, "flag"));
}

#[test]
fn a_registry_that_asks_for_more_than_this_master_can_is_left_alone() {
    let mut registry = Registry::new();
    let mut capability = MinimumCapability::new();
    capability.set_capability("FROM_THE_FUTURE".to_owned());
    registry.minimum_capabilities.push(capability);
    let harness = Harness::with(config(), registry);
    assert!(matches!(&harness.out[..], [Out::Abort(reason)] if reason.contains("FROM_THE_FUTURE")));
    assert!(harness.registrar.registry().master.is_none());
}
