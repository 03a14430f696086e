//! What has to stay free for guarantees, kept up to date with every change of what roles consume.

use super::{ROOT, RoleIndex, RoleNode, RoleTree};
use crate::quantities::{Place, Vector};

impl RoleTree {
    /// Quantities guaranteed and not consumed yet, over all roles.
    pub const fn required(&self) -> &Vector {
        &self.required
    }

    /// Sets a role's guarantees and limits.
    pub fn set_quota(&mut self, path: &str, guarantees: Vector, limits: Vec<(Place, i64)>) {
        let index = self.ensure_role(path);
        let top = self.top_of(index);
        let before = self.outstanding(top);
        let had = self.role(index).guarantees.has_positive();
        let change = isize::from(guarantees.has_positive()) - isize::from(had);
        let node = self.role_mut(index);
        node.guarantees = guarantees;
        node.limits = limits;
        self.change_path(index, |node| {
            node.guarantees_below = node.guarantees_below.saturating_add_signed(change);
        });
        self.required.add(&self.outstanding(top));
        self.required.subtract(&before);
        self.release_role(index);
    }

    /// Changes what a role and those above it are charged for: offered or used, unreserved, not revocable.
    pub fn charge(&mut self, role: RoleIndex, change: impl Fn(&mut RoleNode)) {
        let top = self.top_of(role);
        if self.role(top).guarantees_below == 0 {
            self.change_path(role, change);
            return;
        }
        let before = self.outstanding(top);
        self.change_path(role, change);
        self.required.add(&self.outstanding(top));
        self.required.subtract(&before);
    }

    /// Counts reservations for a role.
    pub fn add_reserved(&mut self, path: &str, quantities: &Vector) {
        let role = self.ensure_role(path);
        self.charge(role, |node| node.reserved.add(quantities));
    }

    /// Uncounts reservations for a role.
    pub fn subtract_reserved(&mut self, path: &str, quantities: &Vector) {
        let Some(role) = self.find(path) else { return };
        self.charge(role, |node| node.reserved.subtract(quantities));
        self.release_role(role);
    }

    /// Sums up anew what is required; for the check of accounts.
    pub fn count_required(&self) -> Vector {
        let mut required = Vector::default();
        for top in self.children(ROOT) {
            required.add(&self.outstanding(*top));
        }
        required
    }

    fn top_of(&self, role: RoleIndex) -> RoleIndex {
        self.path_up(role).last().unwrap_or(role)
    }

    fn change_path(&mut self, role: RoleIndex, change: impl Fn(&mut RoleNode)) {
        let mut index = role;
        while index != ROOT {
            let node = self.role_mut(index);
            change(node);
            index = node.parent;
        }
    }

    /// Guarantees of a subtree that are not consumed yet: for each role the larger of its own and of those below it.
    fn outstanding(&self, role: RoleIndex) -> Vector {
        let node = self.role(role);
        let mut below = Vector::default();
        if node.guarantees_below == 0 {
            return below;
        }
        for child in &node.children {
            below.add(&self.outstanding(*child));
        }
        if !node.guarantees.has_positive() {
            return below;
        }
        let mut own = node.guarantees.clone();
        own.subtract(&node.reserved);
        own.subtract(&node.charged);
        own.clamped().max(&below)
    }
}
