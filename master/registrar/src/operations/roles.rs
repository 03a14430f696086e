//! The rules of the registry's operations on weights and quota of roles.
//!
//! Source: shared facts, `pitfalls.md` D27.

use mesos_proto::internal::master::stored_registry::registry::Weight;
use mesos_proto::v0::mesos::WeightInfo;
use mesos_proto::v0::quota::QuotaConfig;

use crate::contents::require_capability;
use crate::{Outcome, Registry};

/// What a master must be able to do to lead with stored quota configurations.
const QUOTA_CAPABILITY: &str = "QUOTA_V2";

pub(crate) fn update_weights(registry: &mut Registry, weights: &[WeightInfo]) -> Outcome {
    let mut outcome = Outcome::Unchanged;
    for info in weights {
        let mut stored = registry.weights.iter_mut();
        match stored.find(|entry| entry.info.role() == info.role()) {
            Some(entry) if *entry.info == *info => continue,
            Some(entry) => entry.info = Some(info.clone()).into(),
            None => {
                let mut entry = Weight::new();
                entry.info = Some(info.clone()).into();
                registry.weights.push(entry);
            }
        }
        outcome = Outcome::Changed;
    }
    outcome
}

pub(crate) fn update_quota(registry: &mut Registry, configs: &[QuotaConfig]) -> Outcome {
    let mut outcome = Outcome::Unchanged;
    for config in configs {
        if update_one_quota(registry, config) {
            outcome = Outcome::Changed;
        }
    }
    let needed = !registry.quota_configs.is_empty();
    if require_capability(registry, QUOTA_CAPABILITY, needed) {
        outcome = Outcome::Changed;
    }
    outcome
}

/// Replaces a role's entry, or takes it out; says whether that changes anything. An entry of the older form goes too.
fn update_one_quota(registry: &mut Registry, config: &QuotaConfig) -> bool {
    let older = registry.quotas.len();
    registry.quotas.retain(|entry| entry.info.role() != config.role());
    let had_older = older != registry.quotas.len();
    let stored = registry
        .quota_configs
        .iter()
        .position(|entry| entry.role() == config.role());
    match stored {
        Some(index) if is_empty(config) => drop(registry.quota_configs.remove(index)),
        Some(index) if registry.quota_configs[index] == *config => return had_older,
        Some(index) => registry.quota_configs[index] = config.clone(),
        None if is_empty(config) => return had_older,
        None => registry.quota_configs.push(config.clone()),
    }
    true
}

/// Whether a configuration says what is true without it: nothing guaranteed, nothing limited.
fn is_empty(config: &QuotaConfig) -> bool {
    config.limits.is_empty() && config.guarantees.values().all(|quantity| quantity.value() == 0.0)
}
