//! One framework: its description and its clients, one per role.

use std::collections::{BTreeMap, BTreeSet};

use mesos::ids::FrameworkId;
use mesos::resources::{Resource, Resources};

use crate::api::FrameworkInfo;
use crate::quantities::Vector;
use crate::tree::ClientIndex;

/// A framework.
#[derive(Clone, Debug)]
pub struct Framework {
    /// Its id.
    pub id: FrameworkId,
    /// Its description; empty while it is known only from agents' accounts.
    pub info: FrameworkInfo,
    /// Whether it is connected.
    pub active: bool,
    /// Roles that get no offers for now.
    pub suppressed: BTreeSet<String>,
    /// Its clients by role: the roles it is subscribed to and those in which it still holds something.
    pub clients: BTreeMap<String, ClientIndex>,
    /// Smallest offers by client, where they differ from the allocator's own.
    pub minimums: BTreeMap<ClientIndex, Vec<Vector>>,
    /// Which kinds of resources it understands.
    pub tastes: Tastes,
}

impl Framework {
    /// A framework of which nothing but the id is known.
    pub fn unknown(id: FrameworkId) -> Self {
        Self {
            id,
            info: FrameworkInfo::default(),
            active: false,
            suppressed: BTreeSet::new(),
            clients: BTreeMap::new(),
            minimums: BTreeMap::new(),
            tastes: Tastes::default(),
        }
    }

    /// Whether the framework should get offers in a role.
    pub fn wants(&self, role: &str) -> bool {
        self.active && self.info.roles.contains(role) && !self.suppressed.contains(role)
    }

    /// The framework's only role, if it has one only.
    pub fn only_role(&self) -> Option<&String> {
        let mut roles = self.info.roles.iter();
        roles.next().filter(|_| roles.next().is_none())
    }
}

/// Which kinds of resources a framework understands; frameworks of the same tastes see the same of an agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tastes {
    revocable: bool,
    shared: bool,
    refined: bool,
}

impl Tastes {
    /// The tastes that come with a framework's capabilities.
    pub const fn of(info: &FrameworkInfo) -> Self {
        Self {
            revocable: info.capabilities.revocable_resources,
            shared: info.capabilities.shared_resources,
            refined: info.capabilities.reservation_refinement,
        }
    }

    /// Whether a framework of these tastes may see a resource.
    pub fn accept(self, resource: &Resource) -> bool {
        (self.revocable || !resource.is_revocable())
            && (self.shared || !resource.is_shared())
            && (self.refined || !resource.has_refined_reservations())
    }

    /// The part of an agent's free resources that a role and these tastes leave.
    pub fn view(self, free: &Resources, role: &str) -> Resources {
        free.filter(|resource| self.accept(resource) && resource.is_allocatable_to(role))
    }
}
