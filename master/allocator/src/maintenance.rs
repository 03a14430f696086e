//! Inverse offers: asking frameworks to leave agents that will become unavailable.

use std::collections::{BTreeMap, BTreeSet};

use libprocess_types::Time;

use crate::api::{InverseOfferStatus, Unavailability};

/// The planned unavailability of an agent and how its frameworks were asked. Frameworks stand for their slots.
#[derive(Clone, Debug)]
pub struct Maintenance {
    /// When the agent goes away.
    pub unavailability: Unavailability,
    /// Frameworks with an unanswered inverse offer.
    pub asked: BTreeSet<u32>,
    /// Latest answers.
    pub statuses: BTreeMap<u32, InverseOfferStatus>,
    /// Until when frameworks do not want to be asked again.
    pub filters: BTreeMap<u32, Time>,
}

impl Maintenance {
    /// A plan that nobody was asked about yet.
    pub const fn new(unavailability: Unavailability) -> Self {
        Self {
            unavailability,
            asked: BTreeSet::new(),
            statuses: BTreeMap::new(),
            filters: BTreeMap::new(),
        }
    }

    /// Whether a framework that holds something of the agent should be asked now; it counts as asked then.
    pub fn ask(&mut self, framework: u32, now: Time) -> bool {
        if self.filters.get(&framework).is_some_and(|until| *until > now) {
            return false;
        }
        self.filters.remove(&framework);
        self.asked.insert(framework)
    }

    /// Forgets a framework.
    pub fn forget(&mut self, framework: u32) {
        self.asked.remove(&framework);
        self.statuses.remove(&framework);
        self.filters.remove(&framework);
    }
}
