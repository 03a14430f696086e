//! What operators were told about agents, and whether the masters keep to it.

use std::collections::BTreeMap;

use mesos::ids::AgentId;
use mesos_master_core::{Master, OperatorCall, Phase, RequestId};

use crate::failure::Failure;

/// What operators were told about agents. A confirmed plan holds until another one is asked for, whatever dies.
#[derive(Debug, Default)]
pub struct Promises {
    /// Requests without an answer: the agent, and whether it is deactivated afterwards.
    asked: BTreeMap<RequestId, (AgentId, bool)>,
    /// Agents of which it is known whether they are deactivated.
    confirmed: BTreeMap<AgentId, bool>,
}

impl Promises {
    /// Something is asked for.
    pub fn ask(&mut self, request: RequestId, call: &OperatorCall) {
        let (agent, deactivated) = match call {
            OperatorCall::DrainAgent { agent_id, .. } | OperatorCall::DeactivateAgent(agent_id) => (agent_id, true),
            OperatorCall::ReactivateAgent(agent_id) => (agent_id, false),
            _ => return,
        };
        self.confirmed.remove(agent);
        self.asked.insert(request, (agent.clone(), deactivated));
    }

    /// An answer came.
    pub fn answer(&mut self, request: RequestId, status: u16) {
        let Some((agent, deactivated)) = self.asked.remove(&request) else {
            return;
        };
        if status == 200 && !self.asked.values().any(|(other, _)| *other == agent) {
            self.confirmed.insert(agent, deactivated);
        }
    }

    /// The master died: what was not answered may have happened or not.
    pub fn forget_questions(&mut self) {
        self.asked.clear();
    }

    /// Whether the master does what it confirmed, and what its predecessors did.
    ///
    /// # Errors
    ///
    /// Names the agent of which it does not.
    pub fn check(&self, core: &Master) -> Result<(), Failure> {
        if core.phase() != Phase::Leading {
            return Ok(());
        }
        for (id, deactivated) in &self.confirmed {
            let known = core.agents().contains_key(id)
                || core.recovered_agents().contains_key(id)
                || core.unreachable_agents().contains(id);
            if known && core.plans().is_deactivated(id) != *deactivated {
                let what = format!("agent {id} was confirmed to be deactivated ({deactivated}), and is not so");
                return Err(Failure::new(what));
            }
        }
        Ok(())
    }
}
