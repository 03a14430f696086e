//! Recovery: an agent that was restarted takes up what it checkpointed, and the executors that still run.
//!
//! Source: shared facts, `disk_layout.md` section 2 ("Recovery order"), `messages_flow.tsv` (ReconnectExecutor),
//! `executor_calls.tsv` (registration), and the recorded exchange `w8`.

use mesos::ids::{AgentId, ContainerId, FrameworkId};
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::mesos as pb;
use pb::task_status::Reason;
use protobuf::MessageField;
use tracing::{info, warn};

use crate::agent::{Agent, AgentState};
use crate::config::RecoverMode;
use crate::effect::{CheckpointWrite, Effect, ShutdownReason};
use crate::executor::{Executor, ExecutorConnection, ExecutorKey, ExecutorState, PendingTermination};
use crate::framework::Framework;
use crate::input::{AgentTimer, ContainerTermination};
use crate::operations::RecoveredResources;
use crate::outbox::When;
use crate::reconfiguration::{self, Difference};
use crate::recovery::{
    RecoveredAgent, RecoveredExecutor, RecoveredFramework, RecoveredRun, RecoveredState, RecoveredTask,
};
use crate::resource_format::{downgraded_agent, upgrade};
use crate::status_update_stream::{StreamKey, is_terminal, log_records};

/// Whether the agent may go on with what it checkpointed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Adoption {
    Done,
    Refused,
}

impl Agent {
    /// The checkpoints were read.
    pub(crate) fn recover(&mut self, state: RecoveredState) {
        if self.state != AgentState::Recovering || self.reconnecting {
            warn!("ignoring a second recovery");
            return;
        }
        self.counters.recovery_errors += u64::try_from(state.errors).unwrap_or(u64::MAX);
        self.folder_times = state.folder_times;
        let mut agent = state.agent;
        let operation_logs = agent.as_mut().map(|agent| std::mem::take(&mut agent.operation_logs));
        if let Some(agent) = agent
            && self.adopt_agent(agent, state.rebooted) == Adoption::Refused
        {
            return;
        }
        self.collect_earlier_agents(state.earlier_agents);
        let resources = RecoveredResources {
            committed: state.resources,
            target: state.target,
            operations: state.operations,
        };
        if let Err(misfits) = self.recover_resources(resources) {
            self.refuse_to_start(format!(
                "the agent has the reservations and volumes {misfits}, which its resources {} have no room for; give \
                 it larger resources",
                self.base_resources()
            ));
            return;
        }
        self.recover_operations(operation_logs.unwrap_or_default());
        if state.rebooted {
            self.end_executors_of_earlier_boot();
        }
        match self.config.recover {
            RecoverMode::Reconnect => self.reconnect_executors(),
            RecoverMode::Cleanup => self.clean_up_executors(),
        }
    }

    fn adopt_agent(&mut self, agent: RecoveredAgent, rebooted: bool) -> Adoption {
        let id = AgentId::from(&*agent.info.id);
        if id.validate().is_err() {
            warn!(agent_id = %id, "the recovered agent id cannot be used; starting as a new agent");
            return Adoption::Done;
        }
        info!(agent_id = %id, frameworks = agent.frameworks.len(), "recovering");
        let policy = self.config.reconfiguration_policy;
        if let Err(difference) = reconfiguration::check(policy, &agent.info, &self.info) {
            return self.refuse_adoption(&id, &difference, rebooted);
        }
        self.info_changed = downgraded_agent(&self.info).resources != agent.info.resources
            || self.info.attributes != agent.info.attributes
            || self.info.domain != agent.info.domain
            || self.info.port != agent.info.port;
        self.info.id = agent.info.id;
        self.id = Some(id);
        self.drain_config = agent.drain_config;
        for framework in agent.frameworks {
            self.adopt_framework(framework);
        }
        Adoption::Done
    }

    /// Ends the agent before it has begun.
    fn refuse_to_start(&mut self, message: String) {
        self.emit(Effect::Shutdown {
            reason: ShutdownReason::Failed { message },
        });
        self.state = AgentState::Terminating;
    }

    /// The agent is not what it was. No task outlives a reboot of the host: then it is a new agent from here on.
    fn refuse_adoption(&mut self, id: &AgentId, difference: &Difference, rebooted: bool) -> Adoption {
        let link = self.paths.latest_agent();
        if rebooted {
            warn!(
                agent_id = %id, %difference,
                "the agent had other settings before the reboot; starting as a new agent"
            );
            self.write(CheckpointWrite::Remove { path: link });
            let folders = vec![self.paths.agent_sandboxes(id), self.paths.agent_meta(id)];
            self.collect_earlier_agents(folders);
            return Adoption::Done;
        }
        self.refuse_to_start(format!(
            "the agent ran before with {difference}; give it back what it had, allow more with \
             --reconfiguration_policy=additive, or remove {} to start as a new agent",
            link.display()
        ));
        Adoption::Refused
    }

    fn adopt_framework(&mut self, recovered: RecoveredFramework) {
        let Some(agent) = self.id.clone() else { return };
        let id = FrameworkId::from(&*recovered.info.id);
        if recovered.executors.is_empty() || id.validate().is_err() {
            self.schedule_gc(self.paths.framework_sandboxes(&agent, &id));
            self.schedule_gc(self.paths.framework_meta(&agent, &id));
            return;
        }
        let pid = recovered.pid.filter(|pid| !pid.is_anonymous());
        self.frameworks
            .insert(id.clone(), Framework::new(id.clone(), recovered.info, pid));
        for executor in recovered.executors {
            self.adopt_executor(&id, executor);
        }
        self.remove_framework_if_idle(&id);
    }

    fn adopt_executor(&mut self, framework_id: &FrameworkId, recovered: RecoveredExecutor) {
        let Some(agent) = self.id.clone() else { return };
        let latest = recovered
            .runs
            .iter()
            .position(|run| Some(&run.container_id) == recovered.latest.as_ref());
        let (Some(latest), Some(mut info)) = (latest, recovered.info) else {
            warn!(
                executor_id = %recovered.id, %framework_id,
                "an executor cannot be recovered: checkpoints are missing"
            );
            self.schedule_gc(self.paths.executor_sandboxes(&agent, framework_id, &recovered.id));
            self.schedule_gc(self.paths.executor_meta(&agent, framework_id, &recovered.id));
            return;
        };
        let mut runs = recovered.runs;
        let run = runs.swap_remove(latest);
        for older in runs {
            let paths = self.paths.run(&agent, framework_id, &recovered.id, &older.container_id);
            self.schedule_gc(paths.sandbox().to_owned());
            self.schedule_gc(paths.meta().to_owned());
            for task in older.tasks {
                let key = StreamKey {
                    framework_id: framework_id.clone(),
                    task_id: task.id,
                };
                self.streams.remember(&key, &log_records(&task.records));
            }
        }
        upgrade(&mut info.resources);
        let paths = self.paths.run(&agent, framework_id, &recovered.id, &run.container_id);
        let mut executor = Executor::new(framework_id.clone(), info, run.container_id.clone(), paths);
        executor.id = recovered.id;
        executor.checkpoint = true;
        executor.generated_for_command_task = recovered.generated_for_command_task;
        executor.connection = connection_of(&run);
        executor.container_status = Some(container_status_of(&run));
        if self.config.switch_user {
            let own = executor.info.command.as_ref().and_then(|command| command.user.clone());
            let framework = self.frameworks.get(framework_id);
            executor.user = own.or_else(|| framework.and_then(|framework| framework.info.user.clone()));
        }
        let key = executor.key();
        for task in run.tasks {
            self.adopt_task(&mut executor, task, run.completed);
        }
        if let Some(framework) = self.frameworks.get_mut(framework_id) {
            framework.executors.insert(key.executor_id.clone(), executor);
        }
        if run.completed {
            self.adopt_ended_executor(&key);
        }
    }

    fn adopt_ended_executor(&mut self, key: &ExecutorKey) {
        self.counters.executors_terminated += 1;
        if let Some(executor) = self.executor_mut(key) {
            executor.state = ExecutorState::Terminated;
            executor.abandon_launched_tasks();
        }
        self.remove_executor(key);
    }

    fn adopt_task(&mut self, executor: &mut Executor, recovered: RecoveredTask, run_completed: bool) {
        let Some(mut task) = recovered.info else {
            warn!(task_id = %recovered.id, "a task cannot be recovered: its description is missing");
            return;
        };
        let task_id = recovered.id;
        upgrade(&mut task.resources);
        executor.launched.insert(task_id.clone(), task);
        executor.ever_sent_task = true;
        let acknowledged = |uuid: &[u8]| {
            let is_ack = |kind| kind == internal::status_update_record::Type::ACK;
            recovered
                .records
                .iter()
                .any(|record| is_ack(record.type_()) && record.uuid() == uuid)
        };
        for update in recovered.records.iter().filter_map(|record| record.update.as_ref()) {
            if let Err(error) = executor.update_task(&task_id, &update.status) {
                warn!(%task_id, %error, "passing over a recovered update");
                continue;
            }
            if is_terminal(update.status.state()) {
                if acknowledged(update.uuid()) {
                    executor.complete_task(&task_id, self.config.max_completed_tasks_per_executor);
                }
                break;
            }
        }
        let key = StreamKey {
            framework_id: executor.framework_id.clone(),
            task_id: task_id.clone(),
        };
        if run_completed {
            self.streams.remember(&key, &log_records(&recovered.records));
        } else {
            let log = executor.paths.task_updates(&task_id);
            self.streams.replay(&key, &log_records(&recovered.records), log);
        }
    }

    /// No process outlives its host.
    fn end_executors_of_earlier_boot(&mut self) {
        let termination = ContainerTermination {
            message: Some("the host was started anew".to_owned()),
            ..ContainerTermination::default()
        };
        for key in self.awaited_executors() {
            self.executor_terminated(&key, &termination);
        }
    }

    fn awaited_executors(&self) -> Vec<ExecutorKey> {
        let executors = self
            .frameworks
            .values()
            .flat_map(|framework| framework.executors.values());
        executors
            .filter(|executor| executor.state == ExecutorState::Registering)
            .map(Executor::key)
            .collect()
    }

    fn reconnect_executors(&mut self) {
        if self.awaited_executors().is_empty() {
            self.finish_recovery();
            return;
        }
        self.reconnecting = true;
        self.ask_executors_to_reconnect();
        self.set_timer(
            AgentTimer::ExecutorReregistration,
            self.config.executor_reregistration_timeout,
        );
    }

    fn ask_executors_to_reconnect(&mut self) {
        for key in self.awaited_executors() {
            let connection = self.executor_by(&key).map(|executor| executor.connection.clone());
            if let Some(ExecutorConnection::Libprocess(upid)) = connection {
                info!(executor_id = %key.executor_id, %upid, "asking an executor to come back");
                let mut message = internal::ReconnectExecutorMessage::new();
                message.slave_id.clone_from(&self.info.id);
                self.send(When::Now, &upid, message);
            }
        }
        if let Some(interval) = self.config.executor_reregistration_retry_interval {
            self.set_timer(AgentTimer::ExecutorReconnectRetry, interval);
        }
    }

    /// Some executors may have missed the first call.
    pub(crate) fn reconnect_again(&mut self) {
        if self.reconnecting {
            self.ask_executors_to_reconnect();
        }
    }

    /// Executors that are not back by now are lost.
    pub(crate) fn executor_reregistration_timed_out(&mut self) {
        if !self.reconnecting {
            return;
        }
        let timeout = mesos::duration::to_text(self.config.executor_reregistration_timeout);
        for key in self.awaited_executors() {
            let state = self.frameworks.get(&key.framework_id).map(Framework::gone_state);
            warn!(
                executor_id = %key.executor_id, framework_id = %key.framework_id, timeout,
                "executor did not come back"
            );
            let pending = PendingTermination {
                state,
                reason: Some(Reason::REASON_EXECUTOR_REREGISTRATION_TIMEOUT),
                message: Some(format!(
                    "the executor did not come back within {timeout} of the agent's restart"
                )),
            };
            self.destroy_executor(&key, pending);
        }
        self.finish_recovery();
    }

    /// Ends recovery early when nobody is awaited any more.
    pub(crate) fn finish_recovery_if_all_are_back(&mut self) {
        if self.reconnecting && self.awaited_executors().is_empty() {
            self.finish_recovery();
        }
    }

    fn finish_recovery(&mut self) {
        info!("recovery finished");
        if self.reconnecting {
            self.reconnecting = false;
            self.cancel_timer(AgentTimer::ExecutorReregistration);
            self.cancel_timer(AgentTimer::ExecutorReconnectRetry);
        }
        self.folder_times.clear();
        self.state = AgentState::Disconnected;
        self.watch_disk();
        self.start_oversubscription();
        self.kill_for_drain();
        self.end_drain_if_done();
        self.start_registration();
    }

    fn clean_up_executors(&mut self) {
        self.state = AgentState::Terminating;
        self.shutdown_message = Some("every executor of the earlier agent was ended".to_owned());
        for key in self.awaited_executors() {
            let executor = self.executor_by(&key);
            let reachable = executor.is_some_and(|executor| executor.connection != ExecutorConnection::Unknown);
            if reachable {
                self.shut_down_executor(&key);
            } else {
                self.destroy_executor(&key, PendingTermination::default());
            }
        }
        self.stop_if_done();
    }
}

fn connection_of(run: &RecoveredRun) -> ExecutorConnection {
    match &run.libprocess_pid {
        Some(pid) => ExecutorConnection::Libprocess(pid.clone()),
        None if run.http => ExecutorConnection::Http(None),
        None => ExecutorConnection::Unknown,
    }
}

fn container_status_of(run: &RecoveredRun) -> pb::ContainerStatus {
    let mut status = pb::ContainerStatus::new();
    status.container_id = MessageField::some(ContainerId::to_proto(&run.container_id));
    status.executor_pid = run.forked_pid;
    status
}
