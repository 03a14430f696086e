//! Keeping the levels of the tree ranked.

use std::cmp::Ordering;

use super::{ClientIndex, ROOT, RoleIndex, RoleTree, Standing};
use crate::api::SorterKind;
use crate::quantities::Vector;

/// Name under which a role's own clients stand among the roles below it: sorts before all letters and digits.
const OWN_CLIENTS: &str = ".";

impl RoleTree {
    /// Lets a client take part in ranking.
    pub fn activate(&mut self, index: ClientIndex) {
        if self.client(index).active {
            return;
        }
        self.client_mut(index).active = true;
        let role = self.client(index).role;
        let position = self.client_position(role, index);
        self.role_mut(role).active.insert(position, index);
        self.change_active(role, 1);
    }

    /// Takes a client out of ranking; its account stays.
    pub fn deactivate(&mut self, index: ClientIndex) {
        if !self.client(index).active {
            return;
        }
        let role = self.client(index).role;
        if let Some(position) = self.find_client(role, index) {
            self.role_mut(role).active.remove(position);
        }
        self.client_mut(index).active = false;
        self.change_active(role, -1);
    }

    /// Adds to a client's account and to those above it; counts as one allocation each.
    pub fn allocate(&mut self, index: ClientIndex, quantities: &Vector) {
        self.change_account(index, |standing| {
            standing.allocated.add(quantities);
            standing.count += 1;
        });
    }

    /// Adds to a client's account without counting an allocation: what it holds was converted.
    pub fn adjust(&mut self, index: ClientIndex, difference: &Vector) {
        self.change_account(index, |standing| standing.allocated.add(difference));
    }

    /// Brings shares and rankings up to date after the total changed.
    pub fn refresh(&mut self) {
        if !self.stale {
            return;
        }
        self.stale = false;
        let (total, excluded) = (&self.total, &self.excluded);
        let share = |standing: &mut Standing| standing.share = dominant_share(&standing.allocated, total, excluded);
        for client in self.clients.iter_mut().flatten() {
            share(&mut client.standing);
        }
        for node in self.nodes.iter_mut().flatten() {
            share(&mut node.standing);
            share(&mut node.own);
        }
        for index in 0..self.nodes.len() {
            if self.nodes[index].is_some() {
                self.rank_level(u32::try_from(index).unwrap_or(ROOT));
            }
        }
    }

    fn rank_level(&mut self, role: RoleIndex) {
        let node = self.role_mut(role);
        let mut active = std::mem::take(&mut node.active);
        let mut order = std::mem::take(&mut node.order);
        active.sort_by(|left, right| self.compare_clients(*left, *right));
        order.sort_by(|left, right| self.compare_roles(role, *left, *right));
        let node = self.role_mut(role);
        node.active = active;
        node.order = order;
    }

    fn change_account(&mut self, index: ClientIndex, change: impl Fn(&mut Standing)) {
        let role = self.client(index).role;
        let client_at = self.find_client(role, index);
        let mut client = std::mem::take(&mut self.client_mut(index).standing);
        self.change_standing(&mut client, &change);
        self.client_mut(index).standing = client;
        if let Some(position) = client_at {
            self.move_client(role, position);
        }
        let own_at = self.find_entry(role, role);
        let mut own = std::mem::take(&mut self.role_mut(role).own);
        self.change_standing(&mut own, &change);
        self.role_mut(role).own = own;
        if let Some(position) = own_at {
            self.move_entry(role, position);
        }
        let mut below = role;
        while below != ROOT {
            let parent = self.role(below).parent;
            let entry_at = self.find_entry(parent, below);
            let mut standing = std::mem::take(&mut self.role_mut(below).standing);
            self.change_standing(&mut standing, &change);
            self.role_mut(below).standing = standing;
            if let Some(position) = entry_at {
                self.move_entry(parent, position);
            }
            below = parent;
        }
    }

    fn change_standing(&self, standing: &mut Standing, change: impl Fn(&mut Standing)) {
        change(standing);
        if !self.stale {
            standing.share = dominant_share(&standing.allocated, &self.total, &self.excluded);
        }
    }

    /// Adds to the number of active clients of a node and of those above it, and lets nodes enter or leave levels.
    fn change_active(&mut self, role: RoleIndex, change: isize) {
        self.sync_own_entry(role);
        let mut index = role;
        loop {
            let node = self.role_mut(index);
            let before = node.active_below;
            node.active_below = before.saturating_add_signed(change);
            let (after, parent) = (node.active_below, node.parent);
            if index == ROOT {
                return;
            }
            if before == 0 && after > 0 {
                self.insert_entry(parent, index);
            } else if before > 0 && after == 0 {
                self.remove_entry(parent, index);
            }
            index = parent;
        }
    }

    /// Makes a node's own clients stand among its children exactly while there are both.
    pub(super) fn sync_own_entry(&mut self, role: RoleIndex) {
        if role == ROOT {
            return;
        }
        let node = self.role(role);
        let wanted = !node.children.is_empty() && !node.active.is_empty();
        let present = node.order.contains(&role);
        if wanted && !present {
            self.insert_entry(role, role);
        } else if !wanted && present {
            self.remove_entry(role, role);
        }
    }

    fn insert_entry(&mut self, level: RoleIndex, entry: RoleIndex) {
        let order = &self.role(level).order;
        let position = order.partition_point(|other| self.compare_roles(level, *other, entry) == Ordering::Less);
        self.role_mut(level).order.insert(position, entry);
    }

    fn remove_entry(&mut self, level: RoleIndex, entry: RoleIndex) {
        self.role_mut(level).order.retain(|other| *other != entry);
    }

    /// Where an entry stands in its level, if it does.
    fn find_entry(&self, level: RoleIndex, entry: RoleIndex) -> Option<usize> {
        let order = &self.role(level).order;
        if order.len() > 8 && !self.stale {
            let guess = order.partition_point(|other| self.compare_roles(level, *other, entry) == Ordering::Less);
            if order.get(guess) == Some(&entry) {
                return Some(guess);
            }
        }
        order.iter().position(|other| *other == entry)
    }

    fn find_client(&self, role: RoleIndex, client: ClientIndex) -> Option<usize> {
        if !self.client(client).active {
            return None;
        }
        let active = &self.role(role).active;
        if !self.stale {
            let guess = self.client_position(role, client);
            if active.get(guess) == Some(&client) {
                return Some(guess);
            }
        }
        active.iter().position(|other| *other == client)
    }

    fn client_position(&self, role: RoleIndex, client: ClientIndex) -> usize {
        let active = &self.role(role).active;
        active.partition_point(|other| self.compare_clients(*other, client) == Ordering::Less)
    }

    /// Moves the client at `position`, whose account changed, to where it now belongs.
    fn move_client(&mut self, role: RoleIndex, position: usize) {
        if self.stale {
            return;
        }
        let mut active = std::mem::take(&mut self.role_mut(role).active);
        reposition(&mut active, position, |left, right| self.compare_clients(left, right));
        self.role_mut(role).active = active;
    }

    fn move_entry(&mut self, level: RoleIndex, position: usize) {
        if self.stale {
            return;
        }
        let mut order = std::mem::take(&mut self.role_mut(level).order);
        reposition(&mut order, position, |left, right| {
            self.compare_roles(level, left, right)
        });
        self.role_mut(level).order = order;
    }

    fn compare_clients(&self, left: ClientIndex, right: ClientIndex) -> Ordering {
        let (left, right) = (self.client(left), self.client(right));
        if self.framework_sorter == SorterKind::Random {
            return left.name.cmp(&right.name);
        }
        let shares = left.standing.share.total_cmp(&right.standing.share);
        shares
            .then_with(|| left.standing.count.cmp(&right.standing.count))
            .then_with(|| left.name.cmp(&right.name))
    }

    fn compare_roles(&self, level: RoleIndex, left: RoleIndex, right: RoleIndex) -> Ordering {
        let (left, right) = (self.entry(level, left), self.entry(level, right));
        if self.role_sorter == SorterKind::Random {
            return left.2.cmp(right.2);
        }
        left.0
            .total_cmp(&right.0)
            .then_with(|| left.1.cmp(&right.1))
            .then_with(|| left.2.cmp(right.2))
    }

    /// Weighted share, allocations and name of an entry in a level.
    fn entry(&self, level: RoleIndex, entry: RoleIndex) -> (f64, u64, &str) {
        let node = self.role(entry);
        if entry == level {
            return (node.own.share, node.own.count, OWN_CLIENTS);
        }
        let name = node.path.rsplit_once('/').map_or(&*node.path, |(_, name)| name);
        (node.standing.share / node.weight, node.standing.count, name)
    }
}

/// Brings the one element at `position` that may be out of order to its place.
fn reposition(order: &mut [u32], position: usize, compare: impl Fn(u32, u32) -> Ordering) {
    let moved = order[position];
    let (before, after) = (&order[..position], &order[position + 1..]);
    let skipped = after.partition_point(|other| compare(*other, moved) == Ordering::Less);
    if skipped > 0 {
        order[position..=position + skipped].rotate_left(1);
        return;
    }
    let target = before.partition_point(|other| compare(*other, moved) == Ordering::Less);
    order[target..=position].rotate_right(1);
}

/// The largest share that an account has of any quantity of the total.
#[expect(
    clippy::cast_precision_loss,
    reason = "shares are ratios; quantities this large do not occur"
)]
pub(super) fn dominant_share(allocated: &Vector, total: &Vector, excluded: &[usize]) -> f64 {
    let mut share = 0.0_f64;
    for (place, quantity) in allocated.iter() {
        if quantity <= 0 || excluded.contains(&place) {
            continue;
        }
        let available = total.get(place);
        if available > 0 {
            share = share.max(quantity as f64 / available as f64);
        }
    }
    share
}
