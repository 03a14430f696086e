//! Registered agents: they lose their link, come back, change their resources, leave.
//!
//! Source: shared facts, `messages_flow.tsv`, `pitfalls.md` D6, D12.

use std::collections::BTreeSet;

use libprocess_types::Upid;
use mesos::ids::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
use mesos::resources::format::HasResources;
use mesos_proto::internal::wire::messages::{
    CheckpointResourcesMessage, ReconcileTasksMessage, ReregisterSlaveMessage, SlaveReregisteredMessage,
    UnregisterSlaveMessage,
};
use mesos_proto::v0::mesos::task_status::{Reason, Source};
use mesos_proto::v0::mesos::{self as proto, TaskStatus};
use protobuf::MessageField;

use crate::effect::{Change, Effect};
use crate::input::MasterTimer;
use crate::master::Master;
use crate::model::{AgentConnection, Task, is_terminal};
use crate::registration::AgentDescription;
use crate::removal::Silence;
use crate::status;

impl Master {
    /// The link to an agent broke. Its offers are withdrawn; its tasks stay as they are: whether they still run is
    /// known when the agent is back, or when it is given up. (Calling tasks of frameworks that do not checkpoint lost
    /// at once, while the agent may only have lost a connection, leaves them running without a master's knowledge.)
    pub(crate) fn agent_exited(&mut self, id: &AgentId) {
        let Some(agent) = self.agents.get(id) else { return };
        if !agent.is_connected() {
            tracing::debug!(agent_id = %id, "agent is already disconnected");
            return;
        }
        let checkpoints = agent.info.checkpoint();
        tracing::info!(agent_id = %id, checkpoints, "agent disconnected");
        self.disconnect_agent(id);
        if checkpoints {
            self.set_timer(
                MasterTimer::AgentReturn(id.clone()),
                self.config.agent_reregister_timeout,
            );
        } else {
            self.remove_agent(
                id,
                "the agent disconnected and does not checkpoint",
                Some("master/slave_removals/reason_unhealthy"),
            );
        }
    }

    pub(crate) fn disconnect_agent(&mut self, id: &AgentId) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        agent.connection = AgentConnection::Disconnected;
        agent.active = false;
        let offers: Vec<OfferId> = agent.offers.iter().cloned().collect();
        self.allocator.deactivate_agent(self.now, id);
        for offer_id in offers {
            self.rescind_offer(&offer_id);
        }
        self.rescind_inverse_offers_of_agent(id);
        self.publish(Change::AgentUpdated(id.clone()));
    }

    /// A disconnected agent has had its time to come back.
    pub(crate) fn agent_return_timed_out(&mut self, id: &AgentId) {
        if self.agents.get(id).is_some_and(|agent| !agent.is_connected()) {
            self.schedule_removal(id, Silence::Link);
        }
    }

    /// An agent says farewell.
    pub(crate) fn unregister_agent(&mut self, from: &Upid, message: &UnregisterSlaveMessage) {
        self.count("master/messages_unregister_slave");
        let id = AgentId::from(&*message.slave_id);
        if self.agents.get(&id).is_some_and(|agent| agent.upid == *from) {
            self.remove_agent(
                &id,
                "the agent unregistered",
                Some("master/slave_removals/reason_unregistered"),
            );
        } else {
            tracing::warn!(agent_id = %id, upid = %from, "unregistration of an unknown agent ignored");
        }
    }

    /// An agent that is registered here registers again: what it has is compared with what is known.
    pub(crate) fn return_known_agent(
        &mut self,
        upid: &Upid,
        id: &AgentId,
        description: AgentDescription,
        message: &ReregisterSlaveMessage,
    ) {
        self.displace_other_agent(upid, id);
        self.cancel_removals(id);
        let now = self.now;
        let Some(agent) = self.agents.get_mut(id) else { return };
        if agent.upid != *upid {
            if self.agent_upids.get(&agent.upid) == Some(id) {
                self.agent_upids.remove(&agent.upid);
            }
            agent.upid = upid.clone();
        }
        self.agent_upids.insert(upid.clone(), id.clone());
        let total = agent.total.clone();
        if let Err(error) = agent.take_resources(&description) {
            tracing::error!(agent_id = %id, %error, "resources that were checked cannot be read");
        }
        let changed = agent.total != total;
        agent.info = description.info;
        agent.version = description.version;
        agent.capabilities = description.capabilities;
        agent.reregistered_time = Some(now);
        agent.awaits_pong = false;
        agent.missed_pings = 0;
        let info = self.machines.allocator_info(agent);
        self.allocator.update_agent(now, id, info, Some(&agent.total));
        if changed {
            self.rescind_offers_of_agent(id);
        }
        self.effects.push(Effect::Link(upid.clone()));
        self.reconcile_known_agent(id, message);
        self.reconnect_agent(id);
        self.resume_plans(id);
        let known = self.known_frameworks(&message.frameworks);
        self.settle_frameworks(upid, &message.frameworks, &known);
        self.restore_checkpoint(id);
        self.publish(Change::AgentUpdated(id.clone()));
    }

    fn rescind_offers_of_agent(&mut self, id: &AgentId) {
        let offers = self.agents.get(id).map(|agent| agent.offers.clone());
        for offer_id in offers.unwrap_or_default() {
            self.rescind_offer(&offer_id);
        }
    }

    fn reconnect_agent(&mut self, id: &AgentId) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        if agent.connection == AgentConnection::Connected {
            return;
        }
        agent.connection = AgentConnection::Connected;
        agent.active = !self.plans.is_deactivated(id);
        if agent.active {
            self.allocator.activate_agent(self.now, id);
        }
        self.cancel_timer(MasterTimer::AgentReturn(id.clone()));
    }

    /// Tells the agent which tasks it should have, forgets executors that it does not have, repeats lost kills.
    fn reconcile_known_agent(&mut self, id: &AgentId, message: &ReregisterSlaveMessage) {
        let Some(agent) = self.agents.get(id) else { return };
        let upid = agent.upid.clone();
        let reported: BTreeSet<(FrameworkId, TaskId)> = message
            .tasks
            .iter()
            .map(|task| (FrameworkId::from(&*task.framework_id), TaskId::from(&*task.task_id)))
            .collect();
        let mut answer = SlaveReregisteredMessage::new();
        answer.slave_id = Some(id.to_proto()).into();
        answer.connection = Some(self.connection_info()).into();
        answer.reconciliations = self.missing_tasks(id, &reported);
        self.send(&upid, answer);
        self.adopt_strange_tasks(id, message);
        self.forget_missing_executors(id, message);
        self.repeat_kills(id, message);
    }

    /// Takes over running tasks that this master never launched: a master at the same address did, whose launch a
    /// partition held back until it was dead. What they use is theirs, so nothing of the agent stays offered.
    fn adopt_strange_tasks(&mut self, id: &AgentId, message: &ReregisterSlaveMessage) {
        let strange: Vec<_> = message
            .tasks
            .iter()
            .filter(|task| self.is_strange(task))
            .cloned()
            .collect();
        if strange.is_empty() {
            return;
        }
        self.rescind_offers_of_agent(id);
        self.allocator.remove_agent(self.now, id);
        let owners: BTreeSet<FrameworkId> = strange
            .iter()
            .map(|task| FrameworkId::from(&*task.framework_id))
            .collect();
        let infos = message
            .frameworks
            .iter()
            .map(|info| (FrameworkId::from(&*info.id), info))
            .collect();
        for mut executor in message.executor_infos.iter().cloned() {
            if owners.contains(&FrameworkId::from(&*executor.framework_id)) {
                self.inject_allocation(&mut executor, &infos);
                self.add_executor(id, &executor);
            }
        }
        for mut task in strange {
            self.inject_allocation(&mut task, &infos);
            tracing::warn!(agent_id = %id, task_id = task.task_id.value(), "task of an earlier master taken over");
            match Task::from_message(task) {
                Ok(task) => self.recover_task(task),
                Err(error) => tracing::warn!(agent_id = %id, %error, "task with invalid resources not taken"),
            }
        }
        let used = self.agents.get(id).map(|agent| agent.used.clone()).unwrap_or_default();
        self.offer_agent(id, &used);
    }

    /// Whether a live task is unknown here although its framework is not.
    fn is_strange(&self, task: &proto::Task) -> bool {
        let framework_id = FrameworkId::from(&*task.framework_id);
        let task_id = TaskId::from(&*task.task_id);
        let Some(framework) = self.frameworks.get(&framework_id) else {
            return false;
        };
        let ended = || {
            framework
                .completed_tasks
                .iter()
                .any(|completed| completed.id == task_id)
        };
        !is_terminal(task.state())
            && !framework.tasks.contains_key(&task_id)
            && !framework.unreachable_tasks.contains(&task_id)
            && !ended()
    }

    fn missing_tasks(&self, id: &AgentId, reported: &BTreeSet<(FrameworkId, TaskId)>) -> Vec<ReconcileTasksMessage> {
        let Some(agent) = self.agents.get(id) else {
            return Vec::new();
        };
        let mut reconciliations = Vec::new();
        for (framework_id, task_ids) in &agent.tasks {
            let Some(framework) = self.frameworks.get(framework_id) else {
                continue;
            };
            let missing = task_ids
                .iter()
                .filter(|task_id| !reported.contains(&(framework_id.clone(), (*task_id).clone())));
            let statuses: Vec<TaskStatus> = missing
                .filter_map(|task_id| framework.tasks.get(task_id))
                .map(|task| {
                    let mut status = TaskStatus::new();
                    status.task_id = Some(task.id.to_proto()).into();
                    status.slave_id = Some(id.to_proto()).into();
                    status.set_state(status::told_state(task));
                    status.set_source(Source::SOURCE_MASTER);
                    status.set_reason(Reason::REASON_RECONCILIATION);
                    status.set_message("the master expects this task on the agent".to_owned());
                    status.set_timestamp(self.now.as_secs_f64());
                    status
                })
                .collect();
            if !statuses.is_empty() {
                tracing::warn!(agent_id = %id, %framework_id, count = statuses.len(), "agent lacks tasks, reconciling");
                let mut reconciliation = ReconcileTasksMessage::new();
                reconciliation.framework_id = Some(framework_id.to_proto()).into();
                reconciliation.framework = Some((*framework.info).clone()).into();
                reconciliation.statuses = statuses;
                reconciliations.push(reconciliation);
            }
        }
        reconciliations
    }

    /// Forgets executors that the agent does not have. One with open tasks that the agent does not name may have been
    /// launched after the agent wrote its message: it is doubted until one of these tasks shows life, and forgotten
    /// when the agent disowns the last of them.
    fn forget_missing_executors(&mut self, id: &AgentId, message: &ReregisterSlaveMessage) {
        let reported: BTreeSet<(FrameworkId, ExecutorId)> = message
            .executor_infos
            .iter()
            .map(|info| {
                (
                    FrameworkId::from(&*info.framework_id),
                    ExecutorId::from(&*info.executor_id),
                )
            })
            .collect();
        let named: BTreeSet<(FrameworkId, TaskId)> = message
            .tasks
            .iter()
            .map(|task| (FrameworkId::from(&*task.framework_id), TaskId::from(&*task.task_id)))
            .collect();
        let Some(agent) = self.agents.get_mut(id) else { return };
        let missing: Vec<(FrameworkId, ExecutorId)> = agent
            .executors
            .iter()
            .flat_map(|(framework_id, executors)| {
                executors
                    .keys()
                    .map(|executor| (framework_id.clone(), executor.clone()))
            })
            .filter(|executor| !reported.contains(executor))
            .collect();
        agent.doubtful_executors.clear();
        for (framework_id, executor_id) in missing {
            let mut open = self.live_tasks(id, &framework_id, &executor_id);
            open.retain(|task_id| !named.contains(&(framework_id.clone(), task_id.clone())));
            if open.is_empty() {
                self.remove_executor(id, &framework_id, &executor_id);
            } else if let Some(agent) = self.agents.get_mut(id) {
                agent.doubtful_executors.insert((framework_id, executor_id), open);
            }
        }
    }

    fn repeat_kills(&mut self, id: &AgentId, message: &ReregisterSlaveMessage) {
        for task in message.tasks.iter().filter(|task| !is_terminal(task.state())) {
            let framework_id = FrameworkId::from(&*task.framework_id);
            let task_id = TaskId::from(&*task.task_id);
            let killed = self
                .agents
                .get(id)
                .and_then(|agent| agent.killed_tasks.get(&framework_id));
            if killed.is_some_and(|tasks| tasks.contains(&task_id)) {
                self.send_kill(id, &framework_id, &task_id, MessageField::none());
            }
        }
    }

    /// Agents that do not keep their reservations themselves are told them again.
    pub(crate) fn restore_checkpoint(&mut self, id: &AgentId) {
        let Some(agent) = self.agents.get(id) else { return };
        if agent.capabilities.resource_provider {
            return;
        }
        let (upid, refinement) = (agent.upid.clone(), agent.capabilities.reservation_refinement);
        let mut message = CheckpointResourcesMessage::new();
        message.resources = agent.checkpointed.to_protobuf();
        if !refinement && message.downgrade_resources().is_err() {
            tracing::warn!(agent_id = %id, "checkpointed resources are not expressible for the agent, not sent");
            return;
        }
        self.send(&upid, message);
    }
}
