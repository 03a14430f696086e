//! What operators planned for agents: drains and deactivations.
//!
//! Plans outlive the agent's connection, its being unreachable and the master, which reads them from the registry. They
//! end when the agent is reactivated, gone, removed or forgotten.

use std::collections::{BTreeMap, BTreeSet};

use libprocess_types::Time;
use mesos::ids::AgentId;
use mesos_proto::v0::mesos::{DrainConfig, DrainInfo, DrainState};

/// An agent's drain.
#[derive(Clone, Debug)]
struct Drain {
    info: DrainInfo,
    /// When this master began it; not known of drains that were read from the registry.
    started: Option<Time>,
    /// Its end is being stored.
    ending: bool,
}

/// Plans for agents, registered or not.
#[derive(Clone, Debug, Default)]
pub struct Plans {
    drains: BTreeMap<AgentId, Drain>,
    deactivated: BTreeSet<AgentId>,
    /// Draining agents of which something went away: have they anything left?
    touched: BTreeSet<AgentId>,
}

impl Plans {
    /// Whether an agent's resources are kept out of offers.
    #[must_use]
    pub fn is_deactivated(&self, id: &AgentId) -> bool {
        self.deactivated.contains(id)
    }

    /// An agent's drain, when it has one.
    #[must_use]
    pub fn drain(&self, id: &AgentId) -> Option<&DrainInfo> {
        self.drains.get(id).map(|drain| &drain.info)
    }

    /// When this master began an agent's drain.
    #[must_use]
    pub fn drain_started(&self, id: &AgentId) -> Option<Time> {
        self.drains.get(id).and_then(|drain| drain.started)
    }

    /// Whether an agent is draining and not drained yet.
    #[must_use]
    pub fn is_draining(&self, id: &AgentId) -> bool {
        self.drain(id).is_some_and(|info| info.state() == DrainState::DRAINING)
    }

    /// Takes over what the registry says of an agent.
    pub(crate) fn recover(&mut self, id: &AgentId, drain: Option<&DrainInfo>, deactivated: bool) {
        if let Some(info) = drain {
            let info = info.clone();
            let drain = Drain {
                info,
                started: None,
                ending: false,
            };
            self.drains.insert(id.clone(), drain);
        }
        if deactivated {
            self.deactivated.insert(id.clone());
        }
    }

    pub(crate) fn begin_drain(&mut self, id: &AgentId, config: DrainConfig, now: Time) {
        let mut info = DrainInfo::new();
        info.set_state(DrainState::DRAINING);
        info.config = Some(config).into();
        let drain = Drain {
            info,
            started: Some(now),
            ending: false,
        };
        self.drains.insert(id.clone(), drain);
        self.deactivated.insert(id.clone());
    }

    pub(crate) fn deactivate(&mut self, id: &AgentId) {
        self.deactivated.insert(id.clone());
    }

    /// Something of an agent went away, or it came back.
    pub(crate) fn touch(&mut self, id: &AgentId) {
        if self.drains.get(id).is_some_and(|drain| !drain.ending) && self.is_draining(id) {
            self.touched.insert(id.clone());
        }
    }

    pub(crate) fn take_touched(&mut self) -> BTreeSet<AgentId> {
        std::mem::take(&mut self.touched)
    }

    /// The end of a drain is being stored, or was not stored after all.
    pub(crate) fn set_ending(&mut self, id: &AgentId, ending: bool) {
        if let Some(drain) = self.drains.get_mut(id) {
            drain.ending = ending;
        }
    }

    /// A drain has ended; whether there was one.
    pub(crate) fn set_drained(&mut self, id: &AgentId) -> bool {
        let Some(drain) = self.drains.get_mut(id) else {
            return false;
        };
        drain.ending = false;
        drain.info.set_state(DrainState::DRAINED);
        true
    }

    pub(crate) fn forget(&mut self, id: &AgentId) {
        self.drains.remove(id);
        self.deactivated.remove(id);
        self.touched.remove(id);
    }

    /// Agents with plans.
    pub(crate) fn agents(&self) -> impl Iterator<Item = &AgentId> {
        self.drains.keys().chain(&self.deactivated)
    }
}
