//! Quota: what a role may still get under its limits, and what has to stay free for the guarantees of others.
//!
//! A role has consumed its reservations, held or not, and the unreserved, not revocable resources that it is offered
//! or uses, with all roles below it. *Headroom* is what is unreserved, not revocable and free in the cluster. Enough
//! of it is kept for all guarantees that are not consumed yet.

use mesos::resources::{ResourceValue, Resources};
use mesos::values::Scalar;

use crate::ledger::{Ledger, is_charged};
use crate::quantities::{Place, Places, Vector};
use crate::tree::{RoleIndex, RoleTree};

/// Bounds for the unreserved, not revocable quantities of one offer; places without an entry are not bounded. Bounds
/// that the resources in question do not exceed are left out: most agents are small beside what a role may still
/// get, and their resources need not be cut, copied or counted again.
#[derive(Clone, Debug, Default)]
pub struct Caps {
    bounds: Vec<(Place, i64)>,
    /// Places of which an offer must bring at least one.
    needed: Vec<Place>,
}

impl Caps {
    /// Lowers the bound of a place, of which the resources in question have no more than `within`.
    fn lower(&mut self, place: Place, bound: i64, within: &Vector) {
        if bound >= within.get(place) {
            return;
        }
        let bound = bound.max(0);
        match self.bounds.iter_mut().find(|(other, _)| *other == place) {
            Some((_, present)) => *present = bound.min(*present),
            None => self.bounds.push((place, bound)),
        }
    }

    /// Whether nothing is bounded.
    pub fn is_empty(&self) -> bool {
        self.bounds.is_empty()
    }

    /// Whether an offer brings something of what is needed, or nothing is.
    pub fn is_served_by(&self, offer: &Resources, places: &Places) -> bool {
        let serves = |place: Option<Place>| place.is_some_and(|place| self.needed.contains(&place));
        self.needed.is_empty()
            || offer
                .iter()
                .any(|resource| is_charged(resource) && serves(places.find(resource.name())))
    }

    /// Cuts resources down to the bounds. Reserved and revocable resources pass, ranges and sets too; what cannot be
    /// cut and exceeds its bound is left out.
    pub fn chop(&self, resources: &Resources, places: &Places) -> Resources {
        let mut left = self.bounds.clone();
        let mut chopped = Resources::new();
        for resource in resources.iter() {
            let (Some(scalar), true) = (resource.scalar_value(), is_charged(resource)) else {
                chopped.add_resource(resource.clone());
                continue;
            };
            let Some(place) = places.find(resource.name()) else {
                continue;
            };
            let Some((_, bound)) = left.iter_mut().find(|(other, _)| *other == place) else {
                chopped.add_resource(resource.clone());
                continue;
            };
            let amount = scalar.thousandths().min(*bound);
            if amount <= 0 || (amount < scalar.thousandths() && resource.is_indivisible()) {
                continue;
            }
            *bound -= amount;
            let value = ResourceValue::Scalar(Scalar::from_thousandths(amount));
            chopped.add_resource(resource.with_value(value));
        }
        chopped
    }
}

/// Bounds what a role may get of resources with the quantities `within`: limits of the role and of those above it, and
/// headroom kept for guarantees.
pub fn fair_caps(tree: &RoleTree, ledger: &Ledger, role: RoleIndex, within: &Vector) -> Caps {
    let mut caps = limit_caps(tree, role, within);
    for (place, required) in tree.required().iter().filter(|(_, required)| *required > 0) {
        caps.lower(place, ledger.headroom(place) - required, within);
    }
    caps
}

/// Bounds what a role may get towards its guarantees: of what is guaranteed to it or above it, what is still
/// outstanding; of everything else, what [`fair_caps`] leaves. `None` when nothing is outstanding.
pub fn guarantee_caps(tree: &RoleTree, ledger: &Ledger, role: RoleIndex, within: &Vector) -> Option<Caps> {
    let mut needed = Vector::default();
    let mut guaranteed = Vector::default();
    for node in tree.path_up(role).map(|index| tree.role(index)) {
        for (place, quantity) in node.guarantees.iter().filter(|(_, quantity)| *quantity > 0) {
            let open = quantity - node.reserved.get(place) - node.charged.get(place);
            needed.set(place, needed.get(place).max(open));
            guaranteed.set(place, 1);
        }
    }
    if !needed.has_positive() {
        return None;
    }
    let mut caps = limit_caps(tree, role, within);
    for (place, required) in tree.required().iter().filter(|(_, required)| *required > 0) {
        if guaranteed.get(place) == 0 {
            caps.lower(place, ledger.headroom(place) - required, within);
        }
    }
    for (place, _) in guaranteed.iter().filter(|(_, mark)| *mark > 0) {
        caps.lower(place, needed.get(place), within);
    }
    caps.needed = needed
        .iter()
        .filter(|(_, quantity)| *quantity > 0)
        .map(|(place, _)| place)
        .collect();
    Some(caps)
}

/// What is left under the limits of a role and of those above it, where that is less than `within`.
pub fn limit_caps(tree: &RoleTree, role: RoleIndex, within: &Vector) -> Caps {
    let mut caps = Caps::default();
    for node in tree.path_up(role).map(|index| tree.role(index)) {
        for (place, limit) in &node.limits {
            let left = limit - node.reserved.get(*place) - node.charged.get(*place);
            caps.lower(*place, left, within);
        }
    }
    caps
}
