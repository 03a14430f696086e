//! Undoing what was counted on and did not happen.

use mesos::ids::AgentId;
use mesos::resources::{Conversion, Resources};

use super::kind::reversed;
use crate::master::Master;
use crate::model::Agent;

impl Master {
    /// The agent did not do what was counted on: its resources are again what they were. Offers that were made of the
    /// outcome are withdrawn. What tasks use already stays until the agent reports.
    pub(super) fn undo_speculation(&mut self, agent_id: &AgentId, conversions: &[Conversion]) {
        let Some(agent) = self.agents.get_mut(agent_id) else {
            return;
        };
        agent.undone.extend(reversed(conversions));
        self.undo_what_became_free(agent_id);
    }

    /// Undoes what had to wait because its outcome was in use.
    pub(crate) fn undo_what_became_free(&mut self, agent_id: &AgentId) {
        let Some(agent) = self.agents.get_mut(agent_id).filter(|agent| !agent.undone.is_empty()) else {
            return;
        };
        let undoable = agent.take_undoable();
        let left = agent.undone.len();
        if left > 0 {
            tracing::warn!(%agent_id, left, "operations that failed cannot be undone yet: their outcome is in use");
        }
        let outcome: Resources = undoable.iter().map(|undo| &undo.consumed).sum();
        for offer in self.offers_with(agent_id, &outcome) {
            self.rescind_offer(&offer);
        }
        self.convert_agent(agent_id, &undoable);
        self.tell_allocator_total(agent_id);
    }
}

impl Agent {
    /// What no task, executor or operation uses; offers count as free.
    pub(super) fn unused(&self) -> Resources {
        let mut free = self.total.clone();
        for used in self.used.values() {
            free -= &used.unallocate().nonshared();
        }
        free
    }

    /// The speculations to undo that are possible now, each after the ones before it.
    pub(super) fn take_undoable(&mut self) -> Vec<Conversion> {
        let mut free = self.unused();
        for used in self.used.values() {
            free -= &used.unallocate().shared();
        }
        let mut undoable = Vec::new();
        while let Some(at) = self.undone.iter().position(|undo| free.contains(&undo.consumed)) {
            let undo = self.undone.remove(at);
            if free.convert(&undo).is_ok() {
                undoable.push(undo);
            }
        }
        undoable
    }
}
