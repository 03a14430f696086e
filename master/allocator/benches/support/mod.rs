//! Clusters of any size, for benches and for the test of memory.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use libprocess_types::Time;
use mesos::capabilities::{AgentCapabilities, FrameworkCapabilities};
use mesos::ids::{AgentId, FrameworkId};
use mesos::resources::{Reservation, Resources};
use mesos::values::Scalar;
use mesos_allocator::api::{
    Activation, AgentInfo, Allocations, AllocatorOptions, FrameworkInfo, Hold, OfferFilters, Quota,
};
use mesos_allocator::{Allocator, HierarchicalAllocator};

/// When everything happens.
pub const START: Time = Time::from_nanos(1_000_000_000_000_000);

/// What differs between clusters.
#[derive(Clone, Copy)]
pub struct Kind {
    /// How many roles the frameworks are spread over.
    pub roles: usize,
    /// Every second role has a limit and a guarantee.
    pub quota: bool,
    /// Labels of a reservation on every agent.
    pub labels: usize,
}

impl Kind {
    /// All frameworks in one role, nothing special.
    pub const PLAIN: Self = Self::of_roles(1);

    /// Frameworks spread over some roles.
    pub const fn of_roles(roles: usize) -> Self {
        Self {
            roles,
            quota: false,
            labels: 0,
        }
    }
}

/// What every agent has.
pub fn agent_total(labels: usize) -> Resources {
    let mut total = Resources::parse("cpus:24;mem:32768;disk:1048576;ports:[31000-32000]", "*").expect("valid");
    if labels > 0 {
        let mut reservation = Reservation::dynamic("role-0", Some("principal"));
        let mut list = mesos_proto::v0::mesos::Labels::new();
        for number in 0..labels {
            let mut label = mesos_proto::v0::mesos::Label::new();
            label.set_key(format!("key-{number}"));
            label.set_value("value".to_owned());
            list.labels.push(label);
        }
        reservation.labels = Some(list);
        let reserved = Resources::parse("cpus:4;mem:4096", "*").expect("valid");
        for resource in reserved.iter() {
            total.add_resource(resource.with_reservations(vec![reservation.clone()]));
        }
    }
    total
}

/// The id of a framework.
pub fn framework_id(number: usize) -> FrameworkId {
    FrameworkId::new(format!("8b6a9c2e-0f5d-4a53-9a40-2f9d3d1c5e11-{number:04}"))
}

/// The id of an agent.
pub fn agent_id(number: usize) -> AgentId {
    AgentId::new(format!("8b6a9c2e-0f5d-4a53-9a40-2f9d3d1c5e11-S{number}"))
}

/// An allocator with frameworks and agents, before its first cycle.
pub fn cluster(agents: usize, frameworks: usize, kind: Kind) -> HierarchicalAllocator {
    let mut allocator = HierarchicalAllocator::new(AllocatorOptions::default());
    for number in 0..frameworks {
        let capabilities = FrameworkCapabilities {
            multi_role: true,
            ..FrameworkCapabilities::none()
        };
        let roles = BTreeSet::from([format!("role-{}", number % kind.roles)]);
        let info = FrameworkInfo {
            roles,
            capabilities,
            ..FrameworkInfo::default()
        };
        allocator.add_framework(START, &framework_id(number), info, &BTreeMap::new(), Activation::Active);
    }
    let total = agent_total(kind.labels);
    for number in 0..agents {
        let info = AgentInfo {
            hostname: format!("host-{number}"),
            capabilities: AgentCapabilities::all(),
            ..AgentInfo::default()
        };
        allocator.add_agent(START, &agent_id(number), info, &total, &BTreeMap::new());
    }
    if kind.quota {
        for role in (0..kind.roles).step_by(2) {
            let quota = Quota {
                guarantees: BTreeMap::from([("cpus".to_owned(), Scalar::from_whole(24))]),
                limits: BTreeMap::from([("cpus".to_owned(), Scalar::from_whole(1_000_000))]),
            };
            allocator
                .update_quota(START, &format!("role-{role}"), quota)
                .expect("supported");
        }
    }
    allocator
}

/// Gives all offers back, with a filter or without.
pub fn decline(allocator: &mut HierarchicalAllocator, now: Time, found: &Allocations, refuse: Option<Duration>) {
    for offer in &found.offers {
        let filters = refuse.map(|refuse| OfferFilters { refuse });
        allocator.recover_resources(
            now,
            &offer.framework,
            &offer.agent,
            &offer.resources,
            filters,
            Hold::Offered,
        );
    }
}
