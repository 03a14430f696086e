//! What quota may be asked for: the forms in which it comes, and how the quota of a role and of those below it agree.
//!
//! Source: shared facts, `operator_calls.tsv`, `pitfalls.md` D27.

use std::collections::{BTreeMap, BTreeSet};

use mesos::resources::{Resource, ResourceName, ResourceQuantities};
use mesos::roles::{self, parent};
use mesos::values::Scalar;
use mesos_allocator::api::{Quantities, Quota};
use mesos_proto::v0::mesos::value;
use mesos_proto::v0::quota::{QuotaConfig, QuotaRequest};
use mesos_registrar::Registry;

/// The most of memory and disk, in megabytes, that can be guaranteed or allowed: an exabyte.
const MOST_MEGABYTES: f64 = 1_099_511_627_776.0;
/// The most of anything else.
const MOST_OTHERS: f64 = 1e12;

/// Quota of roles, by role.
pub type Quotas = BTreeMap<String, Quota>;

/// The quota that a configuration sets.
///
/// # Errors
///
/// Tells what is wrong with the role or with a quantity.
pub fn from_config(config: &QuotaConfig) -> Result<Quota, String> {
    let role = config.role();
    roles::validate(role).map_err(|error| error.to_string())?;
    for (what, quantities) in [("guarantee", &config.guarantees), ("limit", &config.limits)] {
        for (name, quantity) in quantities {
            check_quantity(name, quantity.value()).map_err(|reason| format!("role '{role}': {what} of {reason}"))?;
        }
    }
    let quota = stored(config);
    for (name, guarantee) in &quota.guarantees {
        if let Some(limit) = quota.limits.get(name).filter(|limit| guarantee > *limit) {
            return Err(format!(
                "role '{role}': the guarantee of {name}, {guarantee}, is above its limit, {limit}"
            ));
        }
    }
    Ok(quota)
}

/// The quota that an older request sets: its guarantees are limits too.
///
/// # Errors
///
/// Tells what is wrong with the role or with a resource.
pub fn from_request(request: &QuotaRequest) -> Result<Quota, String> {
    let role = request.role();
    roles::validate(role).map_err(|error| error.to_string())?;
    if request.guarantee.is_empty() {
        return Err(format!("no guarantee for role '{role}' is given"));
    }
    let mut request = request.clone();
    request.guarantee.iter_mut().for_each(mesos::resources::format::upgrade);
    let mut limits = Quantities::new();
    for message in &request.guarantee {
        let resource = Resource::from_protobuf(message).map_err(|error| error.to_string())?;
        let name = resource.name().to_string();
        let plain = resource.is_unreserved() && !resource.is_revocable() && resource.disk().is_none();
        let (Some(amount), true) = (resource.scalar_value(), plain) else {
            return Err(format!(
                "{name}: only plain scalars can be guaranteed, nothing reserved, revocable or on a certain disk"
            ));
        };
        check_quantity(&name, amount.to_f64())?;
        if limits.insert(name.clone(), amount).is_some() {
            return Err(format!("{name} is guaranteed twice"));
        }
    }
    let guarantees = positive(limits.iter().map(|(name, amount)| (name, *amount)));
    Ok(Quota { guarantees, limits })
}

fn check_quantity(name: &str, amount: f64) -> Result<(), String> {
    let most = match name {
        "" => return Err("a resource without a name".to_owned()),
        "mem" | "disk" => MOST_MEGABYTES,
        _ => MOST_OTHERS,
    };
    if (0.0..=most).contains(&amount) {
        Ok(())
    } else {
        Err(format!("{name}, {amount}, is not between 0 and {most}"))
    }
}

/// The quota of a configuration as it stands in the registry.
fn stored(config: &QuotaConfig) -> Quota {
    let scalar = |(name, scalar): (&String, &value::Scalar)| (name.clone(), Scalar::from_f64(scalar.value()));
    let guarantees: Quantities = config.guarantees.iter().map(scalar).collect();
    Quota {
        guarantees: positive(guarantees.iter().map(|(name, amount)| (name, *amount))),
        limits: config.limits.iter().map(scalar).collect(),
    }
}

fn positive<'a>(quantities: impl Iterator<Item = (&'a String, Scalar)>) -> Quantities {
    quantities
        .filter(|(_, amount)| amount.is_positive())
        .map(|(name, amount)| (name.clone(), amount))
        .collect()
}

/// A quota as the registry keeps it and operators read it.
#[must_use]
pub fn to_config(role: &str, quota: &Quota) -> QuotaConfig {
    let proto = |(name, amount): (&String, &Scalar)| (name.clone(), amount.to_proto());
    let mut config = QuotaConfig::new();
    config.set_role(role.to_owned());
    config.guarantees = quota.guarantees.iter().map(proto).collect();
    config.limits = quota.limits.iter().map(proto).collect();
    config
}

/// All quota of a registry, of both forms.
pub fn from_registry(registry: &Registry) -> Quotas {
    let mut quotas = Quotas::new();
    for entry in &registry.quotas {
        let mut request = QuotaRequest::new();
        request.set_role(entry.info.role().to_owned());
        request.guarantee.clone_from(&entry.info.guarantee);
        match from_request(&request) {
            Ok(quota) => drop(quotas.insert(entry.info.role().to_owned(), quota)),
            Err(reason) => tracing::error!(role = entry.info.role(), reason, "stored quota makes no sense, ignored"),
        }
    }
    for config in &registry.quota_configs {
        quotas.insert(config.role().to_owned(), stored(config));
    }
    quotas.retain(|_, quota| !quota.is_default());
    quotas
}

/// Replaces quota of roles; nothing guaranteed and nothing limited takes a role out.
pub fn replace(quotas: &mut Quotas, changes: &Quotas) {
    for (role, quota) in changes {
        if quota.is_default() {
            quotas.remove(role);
        } else {
            quotas.insert(role.clone(), quota.clone());
        }
    }
}

/// Checks that each role is guaranteed at least what the roles right below it are guaranteed together.
///
/// # Errors
///
/// Names a role whose guarantees do not suffice.
pub fn check_hierarchy(quotas: &Quotas) -> Result<(), String> {
    let above: BTreeSet<&str> = quotas.keys().filter_map(|role| parent(role)).collect();
    for role in above {
        let own = quotas.get(role).map(guarantees_of).unwrap_or_default();
        let below = sum(quotas, |other| parent(other) == Some(role));
        if !own.contains(&below) {
            return Err(format!(
                "role '{role}' is guaranteed '{own}', less than the roles right below it together: '{below}'"
            ));
        }
    }
    Ok(())
}

/// What is guaranteed to all roles together. Guarantees of a role below another one are part of those of the latter.
pub fn total_guarantees(quotas: &Quotas) -> ResourceQuantities {
    sum(quotas, |role| parent(role).is_none())
}

fn sum(quotas: &Quotas, selected: impl Fn(&str) -> bool) -> ResourceQuantities {
    let mut sum = ResourceQuantities::new();
    for (_, quota) in quotas.iter().filter(|(role, _)| selected(role)) {
        sum += &guarantees_of(quota);
    }
    sum
}

/// Guarantees as quantities that can be compared.
pub fn guarantees_of(quota: &Quota) -> ResourceQuantities {
    let named = |(name, amount): (&String, &Scalar)| (ResourceName::new(name), *amount);
    quota.guarantees.iter().map(named).collect()
}
