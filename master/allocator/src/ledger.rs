//! Sums over the whole cluster and the bookkeeping that keeps agents, clients and sums in step.
//!
//! Every change of what somebody holds goes through [`Ledger::change_holding`], every change of what an agent has
//! through [`Ledger::change_total`]. Both compare quantities before and after, so that no path can count twice.

use mesos::resources::{Resource, Resources};

use crate::agent::{Agent, Holding};
use crate::quantities::{Place, Places, Vector};
use crate::tree::{ClientIndex, RoleTree};

/// Sums over the whole cluster.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// Places of scalar names.
    pub places: Places,
    /// Unreserved, not revocable quantities of all agents.
    pub pool: Vector,
    /// The part of `pool` in offers or in use.
    pub pool_held: Vector,
    /// Everything in offers or in use.
    pub held: Vector,
}

/// Quantities of resources: all of them, and those that count against quota besides reservations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measure {
    /// All scalars; a shared resource counts once.
    pub all: Vector,
    /// Unreserved, not revocable scalars.
    pub charged: Vector,
}

impl Measure {
    /// What this measure has more than another; may be negative.
    pub fn minus(mut self, other: &Self) -> Self {
        self.all.subtract(&other.all);
        self.charged.subtract(&other.charged);
        self
    }
}

/// Whether a resource counts against the quota of who holds it (reservations count whether held or not).
pub fn is_charged(resource: &Resource) -> bool {
    resource.is_unreserved() && !resource.is_revocable()
}

impl Ledger {
    /// An empty cluster's sums.
    pub fn new() -> Self {
        Self {
            places: Places::new(),
            pool: Vector::default(),
            pool_held: Vector::default(),
            held: Vector::default(),
        }
    }

    /// What is unreserved, not revocable and free in the cluster.
    pub fn headroom(&self, place: Place) -> i64 {
        self.pool.get(place) - self.pool_held.get(place)
    }

    /// Measures resources.
    pub fn measure(&mut self, resources: &Resources) -> Measure {
        let mut measure = Measure::default();
        for resource in resources.iter() {
            let Some(scalar) = resource.scalar_value() else {
                continue;
            };
            let place = self.places.place(resource.name());
            measure.all.add_at(place, scalar.thousandths());
            if is_charged(resource) {
                measure.charged.add_at(place, scalar.thousandths());
            }
        }
        measure
    }

    /// Changes what a client holds of an agent, with all sums except the client's standing in the ranking: the
    /// difference for [`RoleTree::allocate`] or [`RoleTree::unallocate`] is the answer, which a cycle applies only
    /// after it is done with the agent. What is free on the agent is for the caller to adjust.
    pub fn change_holding(
        &mut self,
        tree: &mut RoleTree,
        agent: &mut Agent,
        client: ClientIndex,
        change: impl FnOnce(&mut Resources),
    ) -> Measure {
        let position = agent.holdings.iter().position(|holding| holding.client == client);
        let (before, mut resources) = match position {
            Some(position) => {
                let resources = std::mem::take(&mut agent.holdings[position].resources);
                (self.measure(&resources), resources)
            }
            None => (Measure::default(), Resources::new()),
        };
        change(&mut resources);
        let difference = self.measure(&resources).minus(&before);
        match (position, resources.is_empty()) {
            (Some(position), true) => {
                agent.holdings.swap_remove(position);
                tree.client_mut(client).holdings -= 1;
            }
            (Some(position), false) => agent.holdings[position].resources = resources,
            (None, true) => {}
            (None, false) => {
                agent.holdings.push(Holding { client, resources });
                tree.client_mut(client).holdings += 1;
            }
        }
        self.held.add(&difference.all);
        self.pool_held.add(&difference.charged);
        let role = tree.client(client).role;
        tree.charge(role, |node| node.charged.add(&difference.charged));
        difference
    }

    /// Sets what an agent has.
    pub fn change_total(&mut self, tree: &mut RoleTree, agent: &mut Agent, total: Resources) {
        let before = std::mem::replace(&mut agent.total, total);
        self.count_total(tree, &agent.total, &before);
        agent.recount();
    }

    /// Replaces one agent's total by another in all sums.
    pub fn count_total(&mut self, tree: &mut RoleTree, after: &Resources, before: &Resources) {
        let difference = self.measure(after).minus(&self.measure(before));
        if !difference.all.is_zero() {
            tree.change_total(|total| total.add(&difference.all));
        }
        self.pool.add(&difference.charged);
        // Added before the old ones go, so that roles that keep reservations keep their node.
        for (role, resources) in after.reservations() {
            let quantities = self.places.vector(&resources);
            tree.add_reserved(&role, &quantities);
        }
        for (role, resources) in before.reservations() {
            let quantities = self.places.vector(&resources);
            tree.subtract_reserved(&role, &quantities);
        }
    }
}
