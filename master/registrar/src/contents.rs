//! The registry in memory: agents by their ids, everything else as it is stored.
//!
//! A cluster of fifty thousand agents is admitted and pruned one agent at a time; walking a list of messages for each
//! of them would make a storm of registrations quadratic, and decoded descriptions would cost kilobytes an agent. So
//! agents are found by id and their descriptions stay encoded. [`Contents::to_message`] gives the message in the order
//! in which agents came to their lists.

use std::collections::BTreeMap;

use mesos::ids::AgentId;
use mesos_proto::internal::master::stored_registry::registry::{GoneSlave, MinimumCapability, Slave, UnreachableSlave};
use mesos_proto::v0::mesos::{DrainInfo, SlaveInfo, TimeInfo};
use protobuf::{Message as _, MessageField};

use crate::Registry;

/// What every master that leads with drained or deactivated agents must know.
pub(crate) const DRAINING_CAPABILITY: &str = "AGENT_DRAINING";

/// Values by agent, with the order in which they were added.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Listed<T> {
    entries: BTreeMap<AgentId, (u64, T)>,
    next: u64,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            next: 0,
        }
    }
}

impl<T> Listed<T> {
    pub(crate) fn contains(&self, id: &AgentId) -> bool {
        self.entries.contains_key(id)
    }

    pub(crate) fn get_mut(&mut self, id: &AgentId) -> Option<&mut T> {
        self.entries.get_mut(id).map(|(_, value)| value)
    }

    pub(crate) fn push(&mut self, id: AgentId, value: T) {
        self.entries.insert(id, (self.next, value));
        self.next += 1;
    }

    pub(crate) fn remove(&mut self, id: &AgentId) -> Option<T> {
        self.entries.remove(id).map(|(_, value)| value)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.entries.values().map(|(_, value)| value)
    }

    fn in_order(&self) -> Vec<(&AgentId, &T)> {
        let mut listed: Vec<_> = self.entries.iter().collect();
        listed.sort_unstable_by_key(|(_, (position, _))| *position);
        listed.into_iter().map(|(id, (_, value))| (id, value)).collect()
    }
}

/// What an operator planned for an agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Plan {
    pub(crate) drain: Option<Box<DrainInfo>>,
    /// Absent when nothing was ever said of it.
    pub(crate) deactivated: Option<bool>,
}

impl Plan {
    pub(crate) fn is_deactivated(&self) -> bool {
        self.deactivated == Some(true)
    }
}

/// An admitted agent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Admitted {
    /// The description, encoded.
    pub(crate) info: Box<[u8]>,
    pub(crate) plan: Plan,
}

/// An unreachable agent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unreachable {
    pub(crate) since: TimeInfo,
    pub(crate) plan: Plan,
}

/// The registry in memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contents {
    pub(crate) admitted: Listed<Admitted>,
    pub(crate) unreachable: Listed<Unreachable>,
    pub(crate) gone: Listed<TimeInfo>,
    /// Everything but agents.
    pub(crate) rest: Registry,
}

/// The bytes of a message that cannot lack a required field: it was parsed or built whole.
pub(crate) fn encoded(message: &impl protobuf::Message) -> Vec<u8> {
    message.write_to_bytes().unwrap_or_else(|error| {
        tracing::error!(%error, "a message of the registry cannot be encoded");
        Vec::new()
    })
}

impl Contents {
    /// Takes a registry over.
    #[must_use]
    pub fn from_message(mut registry: Registry) -> Self {
        let mut contents = Self::default();
        for mut slave in registry.slaves.take().unwrap_or_default().slaves {
            let plan = Plan {
                drain: slave.drain_info.take().map(Box::new),
                deactivated: slave.deactivated,
            };
            let info = encoded(&*slave.info).into_boxed_slice();
            contents
                .admitted
                .push(AgentId::from(&*slave.info.id), Admitted { info, plan });
        }
        for mut slave in registry.unreachable.take().unwrap_or_default().slaves {
            let plan = Plan {
                drain: slave.drain_info.take().map(Box::new),
                deactivated: slave.deactivated,
            };
            let since = slave.timestamp.take().unwrap_or_default();
            contents
                .unreachable
                .push(AgentId::from(&*slave.id), Unreachable { since, plan });
        }
        for mut slave in registry.gone.take().unwrap_or_default().slaves {
            let since = slave.timestamp.take().unwrap_or_default();
            contents.gone.push(AgentId::from(&*slave.id), since);
        }
        contents.rest = registry;
        contents
    }

    /// The registry as a message.
    #[must_use]
    pub fn to_message(&self) -> Registry {
        let mut registry = self.rest.clone();
        for (_, agent) in self.admitted.in_order() {
            let mut slave = Slave::new();
            // The bytes are those of a description that this program encoded.
            slave.info = MessageField::some(SlaveInfo::parse_from_bytes(&agent.info).unwrap_or_default());
            slave.drain_info = agent.plan.drain.as_deref().cloned().into();
            slave.deactivated = agent.plan.deactivated;
            registry.slaves.mut_or_insert_default().slaves.push(slave);
        }
        for (id, agent) in self.unreachable.in_order() {
            let mut slave = UnreachableSlave::new();
            slave.id = Some(id.to_proto()).into();
            slave.timestamp = Some(agent.since.clone()).into();
            slave.drain_info = agent.plan.drain.as_deref().cloned().into();
            slave.deactivated = agent.plan.deactivated;
            registry.unreachable.mut_or_insert_default().slaves.push(slave);
        }
        for (id, since) in self.gone.in_order() {
            let mut slave = GoneSlave::new();
            slave.id = Some(id.to_proto()).into();
            slave.timestamp = Some(since.clone()).into();
            registry.gone.mut_or_insert_default().slaves.push(slave);
        }
        registry
    }

    /// About how many bytes the registry has when it is encoded: exact but for a few bytes an agent.
    #[must_use]
    pub fn size(&self) -> u64 {
        const ENTRY: u64 = 16;
        let admitted: u64 = self.admitted.values().map(|agent| agent.info.len() as u64 + 4).sum();
        let ids = self.unreachable.entries.keys().chain(self.gone.entries.keys());
        let others: u64 = ids.map(|id| id.as_str().len() as u64 + ENTRY).sum();
        self.rest.compute_size() + admitted + others
    }

    /// What was planned for an agent, admitted or unreachable.
    pub(crate) fn plan_mut(&mut self, id: &AgentId) -> Option<&mut Plan> {
        match self.admitted.get_mut(id) {
            Some(agent) => Some(&mut agent.plan),
            None => self.unreachable.get_mut(id).map(|agent| &mut agent.plan),
        }
    }

    /// Only masters that know deactivated agents may lead while there are some.
    pub(crate) fn settle_draining_capability(&mut self) {
        let plans = self.admitted.values().map(|agent| &agent.plan);
        let plans = plans.chain(self.unreachable.values().map(|agent| &agent.plan));
        let needed = plans.into_iter().any(Plan::is_deactivated);
        require_capability(&mut self.rest, DRAINING_CAPABILITY, needed);
    }
}

/// Makes masters without a capability refuse this registry while it is needed; whether that changed anything.
pub(crate) fn require_capability(registry: &mut Registry, name: &str, needed: bool) -> bool {
    let entries = &mut registry.minimum_capabilities;
    let present = entries.iter().any(|entry| entry.capability() == name);
    if needed && !present {
        let mut entry = MinimumCapability::new();
        entry.set_capability(name.to_owned());
        entries.push(entry);
    } else if present && !needed {
        entries.retain(|entry| entry.capability() != name);
    }
    needed != present
}
