//! How fast agents are given up (`--agent_removal_rate_limit`).
//!
//! Many agents that stop answering at once are more likely a fault of the network, or of this master, than of all of
//! them. One limiter stands before every way in which silence makes an agent unreachable: missed pings, no return after
//! a broken link, no return after failover. Who shows up again while it waits is not given up. Agents that say farewell
//! or are replaced at their address leave at once.
//!
//! Source: shared facts, `flags_master.tsv`, `metrics.tsv`, `pitfalls.md` D28.

use std::collections::BTreeMap;
use std::time::Duration;

use libprocess_types::Time;
use mesos::ids::AgentId;
use mesos_registrar::Operation;

use crate::input::MasterTimer;
use crate::limiter::Limiter;
use crate::master::{Master, Pending};
use crate::status;

/// Why an agent is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Silence {
    /// It does not answer pings.
    Pings,
    /// Its link broke and it did not come back.
    Link,
    /// It did not come back after failover of the master.
    Failover,
}

/// An agent that is to be given up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Removal {
    agent_id: AgentId,
    silence: Silence,
}

/// Agents that wait to be given up.
///
/// Of thousands that wait any one may show up again: then only its ticket becomes void, and its place in the line is
/// skipped when it is due.
#[derive(Clone, Debug)]
pub(crate) struct Removals {
    limiter: Limiter<(Removal, u64)>,
    /// The valid tickets.
    tickets: BTreeMap<Removal, u64>,
    next: u64,
}

impl Removals {
    pub(crate) const fn new(interval: Duration) -> Self {
        Self {
            limiter: Limiter::new(interval),
            tickets: BTreeMap::new(),
            next: 0,
        }
    }

    fn waits(&self, removal: &Removal) -> bool {
        self.tickets.contains_key(removal)
    }

    fn cancel(&mut self, removal: &Removal) -> bool {
        self.tickets.remove(removal).is_some()
    }

    fn skip_void(&mut self) {
        let tickets = &self.tickets;
        self.limiter
            .skip(|(removal, ticket)| tickets.get(removal) != Some(ticket));
    }

    /// Takes a removal and gives it back when it may happen now.
    fn admit(&mut self, now: Time, removal: Removal) -> Option<Removal> {
        self.skip_void();
        self.next += 1;
        self.tickets.insert(removal.clone(), self.next);
        let (removal, _) = self.limiter.admit(now, (removal, self.next))?;
        self.tickets.remove(&removal);
        Some(removal)
    }

    /// The next one, once its time has come.
    fn release(&mut self, now: Time) -> Option<Removal> {
        self.skip_void();
        let (removal, _) = self.limiter.release(now)?;
        self.tickets.remove(&removal);
        Some(removal)
    }
}

impl Master {
    /// Gives an agent up as soon as the limit allows it.
    pub(crate) fn schedule_removal(&mut self, id: &AgentId, silence: Silence) {
        let removal = Removal {
            agent_id: id.clone(),
            silence,
        };
        let waits = |removals: &Removals| removals.waits(&removal);
        if self.removals.as_ref().is_some_and(waits) || !self.can_be_given_up(&removal) {
            tracing::debug!(agent_id = %id, ?silence, "agent is not given up: it waits for that, leaves or comes back");
            return;
        }
        self.count("master/slave_unreachable_scheduled");
        let Some(removals) = &mut self.removals else {
            return self.give_up(&removal);
        };
        if let Some(removal) = removals.admit(self.now, removal) {
            return self.give_up(&removal);
        }
        tracing::info!(agent_id = %id, ?silence, "agent waits to be given up: removals are limited");
        self.set_removal_timer();
    }

    /// The limit allows further removals.
    pub(crate) fn release_removals(&mut self) {
        while let Some(removal) = self.removals.as_mut().and_then(|removals| removals.release(self.now)) {
            if self.can_be_given_up(&removal) {
                self.give_up(&removal);
            } else {
                tracing::info!(agent_id = %removal.agent_id, "agent is not given up after all");
                self.count("master/slave_unreachable_canceled");
            }
        }
        self.set_removal_timer();
    }

    /// An agent gave a sign of life that ends one kind of silence.
    pub(crate) fn cancel_removal(&mut self, id: &AgentId, silence: Silence) {
        let Some(removals) = &mut self.removals else { return };
        let agent_id = id.clone();
        if removals.cancel(&Removal { agent_id, silence }) {
            tracing::info!(agent_id = %id, ?silence, "agent is back, not given up");
            self.count("master/slave_unreachable_canceled");
        }
    }

    /// An agent is back: no silence of it counts any more.
    pub(crate) fn cancel_removals(&mut self, id: &AgentId) {
        for silence in [Silence::Pings, Silence::Link, Silence::Failover] {
            self.cancel_removal(id, silence);
        }
    }

    fn set_removal_timer(&mut self) {
        let due = self
            .removals
            .as_ref()
            .and_then(|removals| removals.limiter.due(self.now));
        if let Some(after) = due {
            self.set_timer(MasterTimer::AgentRemoval, after);
        }
    }

    fn can_be_given_up(&self, removal: &Removal) -> bool {
        let id = &removal.agent_id;
        if self.reregistering.contains_key(id) || self.is_leaving(id) {
            return false;
        }
        match removal.silence {
            Silence::Pings => self.agents.contains_key(id),
            Silence::Link => self.agents.get(id).is_some_and(|agent| !agent.is_connected()),
            Silence::Failover => self.recovered_agents.contains_key(id),
        }
    }

    /// Marks an agent unreachable: the registry first.
    fn give_up(&mut self, removal: &Removal) {
        let cause = match removal.silence {
            Silence::Pings => "health check timed out",
            Silence::Link => "the agent did not come back in time after its connection broke",
            Silence::Failover => "the agent did not come back after failover of the master",
        };
        let id = &removal.agent_id;
        tracing::info!(agent_id = %id, cause, "marking agent unreachable");
        let since = status::time_info(self.now);
        let operation = Operation::MarkAgentUnreachable {
            agent_id: id.clone(),
            since: Box::new(since.clone()),
        };
        self.leaving.insert(id.clone());
        self.store(
            vec![operation],
            Pending::Unreachable {
                agent_id: id.clone(),
                since: Box::new(since),
                cause: cause.to_owned(),
            },
        );
    }
}
