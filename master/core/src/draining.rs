//! Agents that are drained, deactivated and reactivated by operators.
//!
//! The registry hears of each change first; then the agent's offers are withdrawn, the allocator leaves it out, and a
//! draining agent is told to kill what runs on it. It is drained when nothing runs there any more; one that shall be
//! gone afterwards is marked gone at once.
//!
//! Source: shared facts, `operator_calls.tsv` (DRAIN_AGENT, DEACTIVATE_AGENT, REACTIVATE_AGENT), `messages_flow.tsv`
//! (DrainSlaveMessage), golden `mutations/`.

use mesos::ids::AgentId;
use mesos_proto::internal::wire::messages::DrainSlaveMessage;
use mesos_proto::v0::mesos::DrainConfig;
use mesos_registrar::{Operation, OperationError, Outcome};

use crate::effect::{Change, Effect, Reply};
use crate::input::RequestId;
use crate::master::{Master, Pending};
use crate::model::Agent;
use crate::status;

/// Whether nothing keeps an agent from being drained.
fn has_nothing_left(agent: &Agent) -> bool {
    agent.tasks.is_empty() && agent.operations.is_empty()
}

type Stored = Result<Outcome, OperationError>;

impl Master {
    /// An operator drains an agent; answered when the registry has it.
    pub(crate) fn ask_drain(&mut self, request: RequestId, id: &AgentId, config: DrainConfig) {
        if let Err(reply) = self.check_drain(id, &config) {
            return self.effects.push(Effect::Reply { request, reply });
        }
        let operation = Operation::DrainAgent {
            agent_id: id.clone(),
            config: Box::new(config.clone()),
        };
        let pending = Pending::Drain {
            agent_id: id.clone(),
            config: Box::new(config),
            request,
        };
        self.store(vec![operation], pending);
    }

    fn check_drain(&self, id: &AgentId, config: &DrainConfig) -> Result<(), Reply> {
        let refused = |status, reason: String| Err(Reply::text(status, reason));
        if config.max_grace_period.nanoseconds() < 0 {
            return refused(400, "'max_grace_period' must not be negative".to_owned());
        }
        if let Some(agent) = self.agents.get(id) {
            if let Some(machine) = self.machines.of(agent) {
                let (hostname, ip) = (machine.id.hostname(), machine.id.ip());
                let reason = format!(
                    "agent {id} is on machine {hostname}/{ip}, which stands in the maintenance schedule; take it out \
                     of the schedule to drain the agent"
                );
                return refused(400, reason);
            }
            if !agent.capabilities.agent_draining {
                return refused(400, format!("agent {id} lacks the capability AGENT_DRAINING"));
            }
        }
        self.check_plannable(id)?;
        if self.is_being_marked_gone(id) {
            return refused(409, format!("agent {id} is being marked gone"));
        }
        Ok(())
    }

    /// Plans are made for agents that are registered, awaited after failover, or unreachable.
    fn check_plannable(&self, id: &AgentId) -> Result<(), Reply> {
        let known = self.agents.contains_key(id)
            || self.recovered_agents.contains_key(id)
            || self.unreachable_agents.contains(id);
        if known {
            return Ok(());
        }
        Err(Reply::text(400, format!("no agent {id} is known")))
    }

    fn is_being_marked_gone(&self, id: &AgentId) -> bool {
        self.is_leaving(id)
            && self
                .pending
                .values()
                .any(|pending| matches!(pending, Pending::Gone { agent_id, .. } if agent_id == id))
    }

    /// The registry has the drain, or refused it because the agent left it meanwhile.
    pub(crate) fn drain_stored(&mut self, id: &AgentId, config: DrainConfig, request: RequestId, outcome: &Stored) {
        if let Err(error) = outcome {
            return self.plan_refused(request, error);
        }
        self.plans.begin_drain(id, config, self.now);
        if self.agents.contains_key(id) {
            tracing::info!(agent_id = %id, "agent is draining");
            self.deactivate_agent(id);
            self.tell_drain(id);
            self.plans.touch(id);
        }
        let reply = Reply::empty(200);
        self.effects.push(Effect::Reply { request, reply });
    }

    /// An operator takes an agent out of offers.
    pub(crate) fn ask_deactivation(&mut self, request: RequestId, id: &AgentId) {
        if let Err(reply) = self.check_plannable(id) {
            return self.effects.push(Effect::Reply { request, reply });
        }
        let pending = Pending::Deactivate {
            agent_id: id.clone(),
            request,
        };
        self.store(vec![Operation::DeactivateAgent(id.clone())], pending);
    }

    /// The registry has the deactivation.
    pub(crate) fn deactivation_stored(&mut self, id: &AgentId, request: RequestId, outcome: &Stored) {
        if let Err(error) = outcome {
            return self.plan_refused(request, error);
        }
        self.plans.deactivate(id);
        self.deactivate_agent(id);
        let reply = Reply::empty(200);
        self.effects.push(Effect::Reply { request, reply });
    }

    /// An operator lets an agent be offered again, and ends its drain.
    pub(crate) fn ask_reactivation(&mut self, request: RequestId, id: &AgentId) {
        let refused = if !self.plans.is_deactivated(id) {
            Some(format!("agent {id} is not deactivated"))
        } else if self.plans.is_draining(id) {
            Some(format!(
                "agent {id} is still draining; it can be reactivated once it is drained"
            ))
        } else {
            None
        };
        if let Some(reason) = refused {
            let reply = Reply::text(400, reason);
            return self.effects.push(Effect::Reply { request, reply });
        }
        let pending = Pending::Reactivate {
            agent_id: id.clone(),
            request,
        };
        self.store(vec![Operation::ReactivateAgent(id.clone())], pending);
    }

    /// The registry has the agent active.
    pub(crate) fn reactivation_stored(&mut self, id: &AgentId, request: RequestId, outcome: &Stored) {
        if let Err(error) = outcome {
            return self.plan_refused(request, error);
        }
        self.plans.forget(id);
        let reply = match self.agents.get_mut(id) {
            Some(agent) => {
                // A disconnected agent is activated when it is back.
                if agent.is_connected() {
                    agent.active = true;
                    self.allocator.activate_agent(self.now, id);
                }
                self.publish(Change::AgentUpdated(id.clone()));
                Reply::empty(200)
            }
            None => Reply::text(
                409,
                format!("agent {id} is not registered; it returns as an active one"),
            ),
        };
        tracing::info!(agent_id = %id, "agent reactivated");
        self.effects.push(Effect::Reply { request, reply });
    }

    /// The agent left the registry before the change came to it.
    fn plan_refused(&mut self, request: RequestId, error: &OperationError) {
        let reply = Reply::text(409, format!("the agent was removed meanwhile: {error}"));
        self.effects.push(Effect::Reply { request, reply });
    }

    /// Takes a registered agent out of offers.
    pub(crate) fn deactivate_agent(&mut self, id: &AgentId) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        agent.active = false;
        let offers: Vec<_> = agent.offers.iter().cloned().collect();
        self.allocator.deactivate_agent(self.now, id);
        for offer in offers {
            self.rescind_offer(&offer);
        }
        self.rescind_inverse_offers_of_agent(id);
        self.publish(Change::AgentUpdated(id.clone()));
    }

    /// An agent is registered that was not, or is connected again: what is planned for it holds still.
    pub(crate) fn resume_plans(&mut self, id: &AgentId) {
        if self.plans.is_deactivated(id) {
            self.deactivate_agent(id);
        }
        if self.plans.drain(id).is_none() {
            return;
        }
        self.tell_drain(id);
        // Agents with resource providers tell their operations only with their first update.
        let told_all = self
            .agents
            .get(id)
            .is_some_and(|agent| !agent.capabilities.resource_provider);
        if told_all {
            self.plans.touch(id);
        }
    }

    /// Agents take this also when they are draining or drained already.
    fn tell_drain(&mut self, id: &AgentId) {
        let (Some(agent), Some(drain)) = (self.agents.get(id), self.plans.drain(id)) else {
            return;
        };
        let mut message = DrainSlaveMessage::new();
        message.config = drain.config.clone();
        let upid = agent.upid.clone();
        self.send(&upid, message);
    }

    /// Ends the drain of agents on which nothing is left. A task is left until its end is acknowledged.
    pub(crate) fn settle_drains(&mut self) {
        for id in self.plans.take_touched() {
            let empty = self.agents.get(&id).is_some_and(has_nothing_left);
            if empty && self.plans.is_draining(&id) && !self.is_leaving(&id) {
                self.end_drain(&id);
            }
        }
    }

    fn end_drain(&mut self, id: &AgentId) {
        self.plans.set_ending(id, true);
        if self.plans.drain(id).is_some_and(|drain| drain.config.mark_gone()) {
            tracing::info!(agent_id = %id, "agent is drained and will be marked gone");
            return self.store_gone(id, None);
        }
        let pending = Pending::Drained { agent_id: id.clone() };
        self.store(vec![Operation::MarkAgentDrained(id.clone())], pending);
    }

    /// The registry has the agent drained, or another answer was faster: it is gone, or reactivated and drained anew.
    pub(crate) fn drained_stored(&mut self, id: &AgentId, outcome: &Stored) {
        match outcome {
            Ok(_) if self.plans.set_drained(id) => {
                tracing::info!(agent_id = %id, "agent is drained");
                self.publish(Change::AgentUpdated(id.clone()));
            }
            Ok(_) => tracing::info!(agent_id = %id, "agent left while it was marked drained"),
            Err(error) => {
                tracing::warn!(agent_id = %id, %error, "agent was not marked drained");
                self.plans.set_ending(id, false);
            }
        }
    }

    /// Hands the mark to the registry; an operator who asked for it is answered afterwards.
    pub(crate) fn store_gone(&mut self, id: &AgentId, request: Option<RequestId>) {
        let since = status::time_info(self.now);
        let operation = Operation::MarkAgentGone {
            agent_id: id.clone(),
            since: Box::new(since.clone()),
        };
        self.leaving.insert(id.clone());
        let pending = Pending::Gone {
            agent_id: id.clone(),
            since: Box::new(since),
            request,
        };
        self.store(vec![operation], pending);
    }
}
