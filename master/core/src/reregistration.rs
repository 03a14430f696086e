//! Agents that come back: after a restart, a broken link, a failover of the master, or from being unreachable.
//!
//! Source: shared facts, `messages_flow.tsv` (ReregisterSlaveMessage), `pitfalls.md` D6, D12, D30, `task_reasons.tsv`
//! (REASON_SLAVE_REREGISTERED).

use std::collections::{BTreeMap, BTreeSet};

use libprocess_types::Upid;
use mesos::ids::{AgentId, FrameworkId};
use mesos::resources::format::HasResources;
use mesos::validation::agent::{AgentError, validate_report};
use mesos::validation::framework::roles_of;
use mesos_proto::internal::wire::messages::{ShutdownFrameworkMessage, ShutdownMessage, SlaveReregisteredMessage};
use mesos_proto::v0::mesos as proto;
use mesos_proto::v0::mesos::task_status::Reason;
use mesos_registrar::{Operation, OperationError, Outcome};

use crate::error_text::with_causes;
use crate::master::{Master, Pending};
use crate::model::Task;
use crate::registration::{AgentDescription, RegistrationError, describe, stored_form};
use crate::reported::{Known, ReportedTask, Reregistration};
use crate::status::{self, Subject, Verdict};

impl Master {
    /// An agent with an id asks to be registered again.
    pub(crate) fn reregister_agent(&mut self, from: &Upid, mut report: Reregistration) {
        self.count("master/messages_reregister_slave");
        let agent_id = AgentId::from(&*report.message.slave.id);
        if self.is_leaving(&agent_id) {
            tracing::info!(%agent_id, upid = %from, "agent is being marked or removed, registration ignored");
            return;
        }
        if self.gone_agents.contains(&agent_id) {
            return self.shut_agent_down(from, "the agent was marked gone");
        }
        if self.refuse_down_machine(from, report.message.slave.hostname()) {
            return;
        }
        if let Err(error) = self.check_reregistration(&agent_id, &report) {
            let error = with_causes(&error);
            tracing::warn!(%agent_id, upid = %from, %error, "registration refused");
            return;
        }
        report.message.upgrade_resources();
        let message = &report.message;
        if let Some(agent) = self.agents.get(&agent_id) {
            let moved =
                agent.upid.address().ip() != from.address().ip() || agent.info.hostname() != message.slave.hostname();
            if moved {
                tracing::warn!(%agent_id, upid = %from, "agent came back with another address or host name");
                return self.shut_agent_down(from, "agent attempted to register again with another IP or hostname");
            }
        }
        match self.reregistering.get(&agent_id).copied() {
            Some(write) => self.refresh_reregistration(write, from, report),
            None => self.store_reregistration(agent_id, from, report),
        }
    }

    /// The registry is told when it does not say already what the agent says.
    fn store_reregistration(&mut self, agent_id: AgentId, from: &Upid, report: Reregistration) {
        let stored = stored_form(&report.message.slave);
        let recovered = self.recovered_agents.get(&agent_id).map(|info| **info == stored);
        let registered = self
            .agents
            .get(&agent_id)
            .map(|agent| stored_form(&agent.info) == stored);
        let operation = match (registered, recovered) {
            (Some(true), _) | (None, Some(true)) => None,
            (Some(false), _) | (None, Some(false)) => Some(Operation::UpdateAgent(Box::new(stored))),
            (None, None) => Some(Operation::MarkAgentReachable(Box::new(stored))),
        };
        let Some(operation) = operation else {
            return self.agent_readmitted(from, report, &Ok(Outcome::Unchanged));
        };
        let pending = Pending::Readmit {
            upid: from.clone(),
            report: Box::new(report),
        };
        let write = self.store(vec![operation], pending);
        self.reregistering.insert(agent_id, write);
    }

    /// The agent asks again while the registry is being told. The latest message that passed the rules counts, or its
    /// resource version and tasks would be stale; one with another description waits for the agent's next try.
    fn refresh_reregistration(&mut self, write: mesos_registrar::WriteId, from: &Upid, latest: Reregistration) {
        if let Some(Pending::Readmit { upid, report }) = self.pending.get_mut(&write)
            && report.message.slave == latest.message.slave
        {
            *upid = from.clone();
            **report = latest;
        }
    }

    pub(crate) fn shut_agent_down(&mut self, upid: &Upid, reason: &str) {
        let mut message = ShutdownMessage::new();
        message.set_message(reason.to_owned());
        self.send(upid, message);
    }

    fn check_reregistration(&mut self, agent_id: &AgentId, report: &Reregistration) -> Result<(), RegistrationError> {
        if agent_id.as_str().is_empty() {
            return Err(RegistrationError::NoId);
        }
        let message = &report.message;
        validate_report(message, report.tasks().map(|task| task.report))?;
        for task in report.tasks() {
            let read = self.known_resources.read(&task);
            read.map_err(|source| AgentError::Resources { field: "tasks", source })?;
        }
        self.check_description(&message.slave, message.version())
    }

    /// The registry agrees: the agent is registered.
    pub(crate) fn agent_readmitted(
        &mut self,
        upid: &Upid,
        mut report: Reregistration,
        outcome: &Result<Outcome, OperationError>,
    ) {
        let message = &mut report.message;
        let agent_id = AgentId::from(&*message.slave.id);
        self.reregistering.remove(&agent_id);
        if self.gone_agents.contains(&agent_id) || matches!(outcome, Err(OperationError::Gone(_))) {
            return self.shut_agent_down(upid, "the agent was marked gone");
        }
        if self.is_leaving(&agent_id) {
            return;
        }
        if let Err(error) = outcome {
            tracing::warn!(%agent_id, %error, "agent not registered again");
            return;
        }
        let description = describe(
            message.slave.take().unwrap_or_default(),
            message.version.take().unwrap_or_default(),
            &message.agent_capabilities,
            &message.checkpointed_resources,
            message.resource_version_uuid.take(),
        );
        match description {
            Err(error) => tracing::warn!(%agent_id, %error, "agent not registered again"),
            Ok(description) if self.agents.contains_key(&agent_id) => {
                self.return_known_agent(upid, &agent_id, description, &report.into_message());
            }
            Ok(description) => self.return_unknown_agent(upid, &agent_id, description, report),
        }
    }

    /// An agent that this master does not have: after failover, or from being unreachable or forgotten.
    fn return_unknown_agent(
        &mut self,
        upid: &Upid,
        agent_id: &AgentId,
        description: AgentDescription,
        mut report: Reregistration,
    ) {
        let message = std::mem::take(&mut report.message);
        let after_failover = self.recovered_agents.remove(agent_id).is_some();
        let was_unreachable = self.unreachable_agents.remove(agent_id).is_some();
        self.displace_other_agent(upid, agent_id);
        self.cancel_removals(agent_id);
        self.count("master/slave_reregistrations");
        let known = self.known_frameworks(&message.frameworks);
        self.add_agent(upid, description, Some(()));
        self.recover_frameworks(&message.frameworks);
        let infos: BTreeMap<FrameworkId, &proto::FrameworkInfo> = message
            .frameworks
            .iter()
            .map(|info| (FrameworkId::from(&*info.id), info))
            .collect();
        for mut executor in message.executor_infos {
            self.inject_allocation(&mut executor, &infos);
            if self
                .frameworks
                .contains_key(&FrameworkId::from(&*executor.framework_id))
            {
                self.add_executor(agent_id, &executor);
            }
        }
        for reported in report.tasks() {
            let Some(task) = self.reported_task(agent_id, &reported, &infos) else {
                continue;
            };
            if !after_failover {
                self.announce_return(&task, was_unreachable);
            }
            self.recover_task(task);
        }
        self.forget_unreachable_tasks(agent_id);
        self.recover_completed_tasks(message.completed_frameworks);
        let used = self
            .agents
            .get(agent_id)
            .map(|agent| agent.used.clone())
            .unwrap_or_default();
        self.offer_agent(agent_id, &used);
        let mut answer = SlaveReregisteredMessage::new();
        answer.slave_id = Some(agent_id.to_proto()).into();
        answer.connection = Some(self.connection_info()).into();
        self.send(upid, answer);
        self.resume_plans(agent_id);
        self.leave_down_machine(agent_id);
        self.settle_frameworks(upid, &message.frameworks, &known);
    }

    /// Another agent that was at this address is no longer there.
    pub(crate) fn displace_other_agent(&mut self, upid: &Upid, agent_id: &AgentId) {
        let other = self.agent_upids.get(upid).filter(|other| *other != agent_id).cloned();
        if let Some(other) = other {
            tracing::warn!(agent_id = %other, %upid, "another agent took the address");
            self.disconnect_agent(&other);
            self.agent_upids.remove(upid);
        }
    }

    /// Frameworks that only the agent knows, after failover of the master.
    fn recover_frameworks(&mut self, frameworks: &[proto::FrameworkInfo]) {
        for info in frameworks {
            let id = FrameworkId::from(&*info.id);
            if !self.frameworks.contains_key(&id) && !self.is_completed(&id) {
                self.recover_framework(info);
            }
        }
    }

    /// Agents without the capability do not say which role holds resources; then the framework has one role only.
    pub(crate) fn inject_allocation(
        &self,
        user: &mut (impl HasResources + HasFramework),
        infos: &BTreeMap<FrameworkId, &proto::FrameworkInfo>,
    ) {
        let id = user.framework_id();
        let roles = match (self.frameworks.get(&id), infos.get(&id)) {
            (Some(framework), _) => framework.roles.clone(),
            (None, Some(info)) => roles_of(info),
            (None, None) => return,
        };
        if let Some(role) = roles.first().filter(|_| roles.len() == 1) {
            HasResources::inject_allocation(user, role);
        }
    }

    /// Tells a framework that a task is back with its agent. What was said of it before, lost or unreachable, is over.
    fn announce_return(&mut self, task: &Task, was_unreachable: bool) {
        let Some(framework) = self.frameworks.get_mut(&task.framework_id) else {
            return;
        };
        framework.unreachable_tasks.remove(&task.id);
        framework.completed_tasks.take(|completed| completed.id == task.id);
        if !framework.is_connected() {
            return;
        }
        let message = if was_unreachable {
            "the unreachable agent is back"
        } else {
            "an unknown agent came back"
        };
        let verdict = Verdict::new(task.state(), Reason::REASON_SLAVE_REREGISTERED, message);
        let update = status::update(self.now, &Subject::known(task), &verdict);
        self.forward_own(&task.framework_id, status::with_latest_details(update, task));
    }

    /// The task that a report stands for; none for frameworks that are not known, such as ended ones.
    fn reported_task(
        &mut self,
        agent_id: &AgentId,
        reported: &ReportedTask<'_>,
        infos: &BTreeMap<FrameworkId, &proto::FrameworkInfo>,
    ) -> Option<Task> {
        let Some((framework_id, _)) = self.frameworks.get_key_value(reported.report.framework) else {
            let (framework_id, task_id) = (reported.report.framework, reported.report.id);
            tracing::info!(framework_id, task_id, "task of an unknown framework not taken");
            return None;
        };
        let framework_id = framework_id.clone();
        let built = self.known_resources.read(reported).and_then(|known| match known {
            Known::Complete(resources) => Ok(Some(Task::from_report(
                reported,
                framework_id.clone(),
                agent_id.clone(),
                resources,
            ))),
            Known::Old => {
                let Some(mut message) = reported.parse() else {
                    return Ok(None);
                };
                message.upgrade_resources();
                self.inject_allocation(&mut message, infos);
                Task::from_message(message).map(Some)
            }
        });
        built.unwrap_or_else(|error| {
            tracing::warn!(%framework_id, %error, "task with invalid resources not taken");
            None
        })
    }

    /// Adds a task that an agent reports to what is known.
    pub(crate) fn recover_task(&mut self, task: Task) {
        let known = self.task(&task.framework_id, &task.id);
        if known.is_some_and(|known| known.agent_id != task.agent_id) {
            tracing::error!(framework_id = %task.framework_id, task_id = %task.id, "two agents report the same task");
        } else {
            self.add_task(task);
        }
    }

    /// Those of the frameworks that this master has.
    pub(crate) fn known_frameworks(&self, frameworks: &[proto::FrameworkInfo]) -> BTreeSet<FrameworkId> {
        let ids = frameworks.iter().map(|info| FrameworkId::from(&*info.id));
        ids.filter(|id| self.frameworks.contains_key(id)).collect()
    }

    /// Tasks that were unreachable with the agent and that it no longer has are not unreachable any more.
    fn forget_unreachable_tasks(&mut self, agent_id: &AgentId) {
        for (framework_id, task_ids) in self.unreachable_tasks.remove(agent_id).unwrap_or_default() {
            if let Some(framework) = self.frameworks.get_mut(&framework_id) {
                for task_id in task_ids {
                    framework.unreachable_tasks.remove(&task_id);
                }
            }
        }
    }

    fn recover_completed_tasks(&mut self, archives: Vec<mesos_proto::internal::wire::messages::archive::Framework>) {
        for mut archive in archives {
            archive.tasks.upgrade_resources();
            for message in archive.tasks {
                let framework = self.frameworks.get_mut(&FrameworkId::from(&*message.framework_id));
                if let (Some(framework), Ok(task)) = (framework, Task::from_message(message))
                    && !framework.tasks.contains_key(&task.id)
                    && !framework
                        .completed_tasks
                        .iter()
                        .any(|completed| completed.id == task.id)
                {
                    framework.completed_tasks.push(std::sync::Arc::new(task));
                }
            }
        }
    }

    /// Frameworks that ended are shut down on the agent; the agent is told of the others what changed meanwhile.
    pub(crate) fn settle_frameworks(
        &mut self,
        upid: &Upid,
        frameworks: &[proto::FrameworkInfo],
        known: &BTreeSet<FrameworkId>,
    ) {
        for info in frameworks {
            let id = FrameworkId::from(&*info.id);
            if self.is_completed(&id) {
                tracing::info!(framework_id = %id, %upid, "shutting down an ended framework on the agent");
                let mut message = ShutdownFrameworkMessage::new();
                message.framework_id = Some(id.to_proto()).into();
                self.send(upid, message);
            } else if known.contains(&id)
                && let Some(message) = self.framework_update(&id)
            {
                self.send(upid, message);
            }
        }
    }
}

/// A message that belongs to a framework.
pub(crate) trait HasFramework {
    fn framework_id(&self) -> FrameworkId;
}

impl HasFramework for proto::Task {
    fn framework_id(&self) -> FrameworkId {
        FrameworkId::from(&*self.framework_id)
    }
}

impl HasFramework for proto::ExecutorInfo {
    fn framework_id(&self) -> FrameworkId {
        FrameworkId::from(&*self.framework_id)
    }
}
