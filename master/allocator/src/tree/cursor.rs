//! Walking ranked roles and clients without copying what is not reached.

use super::{ClientIndex, ROOT, RoleIndex, RoleTree};
use crate::api::SorterKind;
use crate::random::Random;

/// Walks the roles that have active clients, best ranked first, each level nested in the one above it.
///
/// The tree must not change during a walk, so that all frameworks see the ranking that held when the agent's turn
/// began. A cursor is reused to spare allocations.
#[derive(Clone, Debug, Default)]
pub struct RoleCursor {
    /// Levels entered, with the position of the next entry in each.
    levels: Vec<(RoleIndex, usize)>,
    /// The whole walk drawn ahead, for the random sorter; last one first.
    drawn: Vec<RoleIndex>,
    random: bool,
}

impl RoleCursor {
    pub(super) fn start(&mut self, tree: &RoleTree, kind: SorterKind, random: &mut Random) {
        self.levels.clear();
        self.drawn.clear();
        self.random = kind == SorterKind::Random;
        if self.random {
            self.draw(tree, ROOT, random);
            self.drawn.reverse();
        } else {
            self.levels.push((ROOT, 0));
        }
    }

    /// The next role, if there is one.
    pub fn next(&mut self, tree: &RoleTree) -> Option<RoleIndex> {
        if self.random {
            return self.drawn.pop();
        }
        loop {
            let (level, position) = self.levels.last_mut()?;
            let level = *level;
            let Some(entry) = tree.role(level).order.get(*position).copied() else {
                self.levels.pop();
                continue;
            };
            *position += 1;
            if entry == level || tree.role(entry).order.is_empty() {
                return Some(entry);
            }
            self.levels.push((entry, 0));
        }
    }

    /// A weighted lottery without replacement on each level: every entry draws a number whose power by its weight
    /// decides, which gives each the odds of its weight among those not drawn yet.
    fn draw(&mut self, tree: &RoleTree, level: RoleIndex, random: &mut Random) {
        let weight = |entry: RoleIndex| if entry == level { 1.0 } else { tree.role(entry).weight };
        let order = &tree.role(level).order;
        let mut tickets: Vec<(f64, RoleIndex)> = order
            .iter()
            .map(|entry| (-random.unit().ln() / weight(*entry), *entry))
            .collect();
        tickets.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
        for (_, entry) in tickets {
            if entry == level || tree.role(entry).order.is_empty() {
                self.drawn.push(entry);
            } else {
                self.draw(tree, entry, random);
            }
        }
    }
}

/// Walks the active clients of one role, best ranked first. The role must not change during a walk.
#[derive(Clone, Debug, Default)]
pub struct ClientCursor {
    position: usize,
    /// Clients not drawn yet, for the random sorter.
    lots: Vec<ClientIndex>,
    random: bool,
}

impl ClientCursor {
    pub(super) fn start(&mut self, active: &[ClientIndex], kind: SorterKind) {
        self.position = 0;
        self.lots.clear();
        self.random = kind == SorterKind::Random;
        if self.random {
            self.lots.extend_from_slice(active);
        }
    }

    /// The next of `active`, the same slice that the walk began with.
    pub fn next(&mut self, active: &[ClientIndex], random: &mut Random) -> Option<ClientIndex> {
        if self.random {
            let lot = random.below(self.lots.len());
            return (!self.lots.is_empty()).then(|| self.lots.swap_remove(lot));
        }
        let client = active.get(self.position).copied();
        self.position += 1;
        client
    }
}
