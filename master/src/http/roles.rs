//! `/roles`: roles with their weight, quota and resources.

use std::collections::{BTreeMap, BTreeSet};

use mesos::json::write_object;
use mesos::values::Scalar;
use mesos_master_core::{Master, Resources};

use super::render::agent;
use super::render::resources::{Amounts, amounts, write_amounts};

/// What is known of one role. Resources of roles below it are included.
#[derive(Clone, Debug, Default)]
pub struct Role {
    /// Its weight.
    pub weight: f64,
    /// Ids of the frameworks that are subscribed to it.
    pub frameworks: Vec<String>,
    /// What its tasks and executors hold.
    pub allocated: Amounts,
    /// What its frameworks are offered.
    pub offered: Amounts,
    /// What is reserved for it.
    pub reserved: Amounts,
    /// What counts against its quota: reservations, and unreserved resources in use.
    pub consumed: Amounts,
    /// Guarantees of its quota.
    pub guarantees: Amounts,
    /// Limits of its quota.
    pub limits: Amounts,
}

impl Role {
    /// Offered and allocated resources together.
    #[must_use]
    pub fn resources(&self) -> Amounts {
        let mut sum = self.allocated.clone();
        add(&mut sum, &self.offered);
        sum
    }
}

/// All roles that matter: those with frameworks, resources, reservations, weights or quota, and those above them.
#[must_use]
pub fn roles(core: &Master) -> BTreeMap<String, Role> {
    let mut roles: BTreeMap<String, Role> = BTreeMap::new();
    for framework in core.frameworks().values() {
        for role in framework.roles() {
            let id = framework.id().to_string();
            roles.entry(role.clone()).or_default().frameworks.push(id);
        }
    }
    for own in core.agents().values() {
        for (role, resources) in agent::used(own).allocations() {
            let unreserved = amounts(&resources.unreserved());
            above(&mut roles, &role, |entry| {
                add(&mut entry.allocated, &amounts(&resources));
                add(&mut entry.consumed, &unreserved);
            });
        }
        for (role, resources) in own.total().reservations() {
            let reserved = amounts(&resources);
            above(&mut roles, &role, |entry| {
                add(&mut entry.reserved, &reserved);
                add(&mut entry.consumed, &reserved);
            });
        }
    }
    for offer in core.offers().values() {
        let offered: &Resources = offer.resources();
        above(&mut roles, offer.role(), |entry| {
            add(&mut entry.offered, &amounts(offered));
        });
    }
    for (name, quota) in core.quotas() {
        let entry = roles.entry(name.clone()).or_default();
        entry.guarantees.clone_from(&quota.guarantees);
        entry.limits.clone_from(&quota.limits);
    }
    for name in core.weights().keys() {
        roles.entry(name.clone()).or_default();
    }
    let parents: BTreeSet<String> = roles
        .keys()
        .flat_map(|name| mesos::roles::ancestors(name).map(str::to_owned))
        .collect();
    for name in parents {
        roles.entry(name).or_default();
    }
    for (name, role) in &mut roles {
        role.weight = core.weights().get(name).copied().unwrap_or(1.0);
    }
    roles
}

/// The JSON document.
#[must_use]
pub fn render(core: &Master) -> String {
    let mut json = String::with_capacity(1024);
    write_object(&mut json, |object| {
        object.array("roles", roles(core), |json, (name, role)| {
            write_role(json, &name, &role);
        });
    });
    json
}

fn write_role(json: &mut String, name: &str, role: &Role) {
    write_object(json, |object| {
        object.string("name", name);
        object.number("weight", role.weight);
        object.object("quota", |object| {
            object.string("role", name);
            for (key, amounts) in [
                ("guarantee", &role.guarantees),
                ("limit", &role.limits),
                ("consumed", &role.consumed),
            ] {
                object.field(key, |json| write_amounts(json, amounts));
            }
        });
        for (key, amounts) in [
            ("resources", &role.resources()),
            ("allocated", &role.allocated),
            ("offered", &role.offered),
            ("reserved", &role.reserved),
        ] {
            object.field(key, |json| write_amounts(json, amounts));
        }
        object.strings("frameworks", &role.frameworks);
    });
}

/// Changes a role and all roles above it.
fn above(roles: &mut BTreeMap<String, Role>, name: &str, change: impl Fn(&mut Role)) {
    change(roles.entry(name.to_owned()).or_default());
    for parent in mesos::roles::ancestors(name) {
        change(roles.entry(parent.to_owned()).or_default());
    }
}

fn add(sum: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        *sum.entry(name.clone()).or_insert(Scalar::ZERO) += *amount;
    }
}
