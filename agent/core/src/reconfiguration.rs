//! What may differ between an agent and its earlier life for it to keep its id and its tasks.
//!
//! The port may: a master takes an agent back at another address. Everything else that masters and frameworks saw must
//! be equal, or with the additive policy at least all there.
//!
//! Source: shared facts, `flags_agent.tsv` (`reconfiguration_policy`) and `pitfalls.md` D12.

use mesos::resources::Resources;
use mesos::values::Ranges;
use mesos_proto::v0::mesos as pb;
use pb::value::Type;

use crate::operations::checked_resources;

/// How far an agent may differ from its earlier life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReconfigurationPolicy {
    /// Not at all.
    #[default]
    Equal,
    /// It may have more resources and attributes, and get a domain.
    Additive,
}

/// A difference that the policy does not allow.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Difference {
    #[error("hostname '{earlier}', now '{now}'")]
    Hostname { earlier: String, now: String },
    #[error("a domain that is another now")]
    Domain,
    #[error("resources {earlier}, now {now}")]
    Resources { earlier: Resources, now: Resources },
    #[error("the resource {earlier}, of which less or nothing is left now")]
    LessOf { earlier: String },
    #[error("attributes that are others now")]
    Attributes,
    #[error("the attribute '{name}', which is missing now or has another value")]
    Attribute { name: String },
}

/// Whether an agent described by `now` may go on as the one described by `earlier`.
pub(crate) fn check(
    policy: ReconfigurationPolicy,
    earlier: &pb::SlaveInfo,
    now: &pb::SlaveInfo,
) -> Result<(), Difference> {
    if earlier.hostname() != now.hostname() {
        return Err(Difference::Hostname {
            earlier: earlier.hostname().to_owned(),
            now: now.hostname().to_owned(),
        });
    }
    let resources = (checked_resources(&earlier.resources), checked_resources(&now.resources));
    match policy {
        ReconfigurationPolicy::Equal => check_equal(earlier, now, resources),
        ReconfigurationPolicy::Additive => check_additive(earlier, now, &resources.0, &resources.1),
    }
}

fn check_equal(
    earlier: &pb::SlaveInfo,
    now: &pb::SlaveInfo,
    resources: (Resources, Resources),
) -> Result<(), Difference> {
    if resources.0 != resources.1 {
        let (earlier, now) = resources;
        return Err(Difference::Resources { earlier, now });
    }
    if earlier.attributes != now.attributes {
        return Err(Difference::Attributes);
    }
    if earlier.domain != now.domain {
        return Err(Difference::Domain);
    }
    Ok(())
}

fn check_additive(
    earlier: &pb::SlaveInfo,
    now: &pb::SlaveInfo,
    earlier_resources: &Resources,
    resources: &Resources,
) -> Result<(), Difference> {
    for resource in earlier_resources.iter() {
        if !resources.iter().any(|other| other.extends(resource)) {
            return Err(Difference::LessOf {
                earlier: resource.to_string(),
            });
        }
    }
    for attribute in &earlier.attributes {
        if !now.attributes.iter().any(|other| extends(other, attribute)) {
            return Err(Difference::Attribute {
                name: attribute.name().to_owned(),
            });
        }
    }
    if earlier.domain.is_some() && earlier.domain != now.domain {
        return Err(Difference::Domain);
    }
    Ok(())
}

/// Whether an attribute says at least what the earlier one said.
fn extends(attribute: &pb::Attribute, earlier: &pb::Attribute) -> bool {
    if attribute.name() != earlier.name() || attribute.type_() != earlier.type_() {
        return false;
    }
    match attribute.type_() {
        Type::RANGES => {
            let ranges = |attribute: &pb::Attribute| Ranges::from_proto(attribute.ranges.get_or_default());
            match (ranges(attribute), ranges(earlier)) {
                (Ok(now), Ok(earlier)) => now.contains(&earlier),
                _ => attribute == earlier,
            }
        }
        Type::SCALAR | Type::SET | Type::TEXT => attribute == earlier,
    }
}

#[cfg(test)]
mod tests {
    use mesos::attributes::Attributes;

    use super::*;

    fn info(resources: &str, attributes: &str) -> pb::SlaveInfo {
        let mut info = pb::SlaveInfo::new();
        info.set_hostname("host".to_owned());
        info.resources = Resources::parse(resources, "*").expect("resources").to_protobuf();
        info.attributes = Attributes::parse(attributes).expect("attributes").to_protobuf();
        info
    }

    #[test]
    fn each_policy_allows_what_it_says() {
        let earlier = ("cpus:4;ports:[1-9];cpus(ops):1", "rack:r1;zones:[1-3]");
        // Resources now, attributes now, whether equal and additive allow it.
        let rows = [
            ("cpus(ops):1;cpus:4;ports:[1-9]", "rack:r1;zones:[1-3]", true, true),
            ("cpus:5;ports:[1-9];cpus(ops):1", "rack:r1;zones:[1-3]", false, true),
            ("cpus:4;ports:[1-20];cpus(ops):1", "rack:r1;zones:[1-3]", false, true),
            (
                "cpus:4;ports:[1-9];cpus(ops):1;gpus:1",
                "rack:r1;zones:[1-3]",
                false,
                true,
            ),
            (
                "cpus:4;ports:[1-9];cpus(ops):1",
                "rack:r1;zones:[1-5];more:2",
                false,
                true,
            ),
            ("cpus:3;ports:[1-9];cpus(ops):1", "rack:r1;zones:[1-3]", false, false),
            ("cpus:4;ports:[2-9];cpus(ops):1", "rack:r1;zones:[1-3]", false, false),
            ("cpus:5;ports:[1-9]", "rack:r1;zones:[1-3]", false, false),
            ("cpus:4;ports:[1-9];cpus(ops):1", "rack:r2;zones:[1-3]", false, false),
            ("cpus:4;ports:[1-9];cpus(ops):1", "rack:r1;zones:[1-2]", false, false),
            ("cpus:4;ports:[1-9];cpus(ops):1", "rack:r1;zones:3", false, false),
            ("cpus:4;ports:[1-9];cpus(ops):1", "zones:[1-3]", false, false),
        ];
        let earlier = info(earlier.0, earlier.1);
        for (resources, attributes, equal, additive) in rows {
            let now = info(resources, attributes);
            for (policy, allowed) in [
                (ReconfigurationPolicy::Equal, equal),
                (ReconfigurationPolicy::Additive, additive),
            ] {
                let result = check(policy, &earlier, &now);
                assert_eq!(
                    result.is_ok(),
                    allowed,
                    "{policy:?} {resources} {attributes}: {result:?}"
                );
            }
        }
    }

    #[test]
    fn names_stay_and_domains_may_only_be_added() {
        let earlier = info("cpus:4", "");
        let mut renamed = earlier.clone();
        renamed.set_hostname("other".to_owned());
        let mut with_domain = earlier.clone();
        let region = with_domain
            .domain
            .mut_or_insert_default()
            .fault_domain
            .mut_or_insert_default();
        region.region.mut_or_insert_default().set_name("eu".to_owned());
        for policy in [ReconfigurationPolicy::Equal, ReconfigurationPolicy::Additive] {
            assert!(matches!(
                check(policy, &earlier, &renamed),
                Err(Difference::Hostname { .. })
            ));
            assert_eq!(check(policy, &with_domain, &earlier), Err(Difference::Domain));
        }
        assert_eq!(check(ReconfigurationPolicy::Additive, &earlier, &with_domain), Ok(()));
        assert_eq!(
            check(ReconfigurationPolicy::Equal, &earlier, &with_domain),
            Err(Difference::Domain)
        );
    }
}
