//! Frameworks on the agent: changes, messages to and from their executors, shutdown, and the agent's own end.
//!
//! Source: shared facts, `messages_flow.tsv` (ShutdownFramework, UpdateFramework, FrameworkToExecutor,
//! ExecutorToFramework, Shutdown, DrainSlave).

use libprocess_types::Upid;
use mesos::ids::FrameworkId;
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::executor;
use mesos_proto::v0::mesos as pb;
use protobuf::MessageField;
use tracing::{debug, info, warn};

use crate::agent::{Agent, AgentState};
use crate::checkpoint::message_file;
use crate::effect::{CheckpointWrite, Effect, ShutdownReason};
use crate::executor::{Executor, ExecutorConnection, ExecutorKey, ExecutorState};
use crate::executor_registration::key_of;
use crate::framework::{Framework, FrameworkState};
use crate::input::AgentTimer;
use crate::outbox::When;
use crate::run_task::scheduler_pid;
use crate::status_updates::retry_timer;

impl Agent {
    /// The master asks to end a framework's work here.
    pub(crate) fn shutdown_framework_message(&mut self, from: &Upid, id: &FrameworkId) {
        if !self.is_master(from, "shutdown framework") {
            return;
        }
        if matches!(self.state, AgentState::Running | AgentState::Terminating) {
            self.shut_down_framework(id);
        }
    }

    /// Shuts the executors of a framework down; their tasks are told nothing any more.
    pub(crate) fn shut_down_framework(&mut self, id: &FrameworkId) {
        let Some(framework) = self.frameworks.get_mut(id) else {
            return;
        };
        if framework.state == FrameworkState::Terminating {
            return;
        }
        info!(framework_id = %id, "shutting down a framework");
        framework.state = FrameworkState::Terminating;
        let executors: Vec<_> = framework
            .executors
            .values()
            .map(|known| (known.key(), known.state))
            .collect();
        for (key, state) in executors {
            match state {
                ExecutorState::Registering | ExecutorState::Running => self.shut_down_executor(&key),
                ExecutorState::Terminated => self.remove_executor(&key),
                ExecutorState::Terminating => {}
            }
        }
        self.remove_framework_if_idle(id);
    }

    /// Moves a framework without executors to the history.
    pub(crate) fn remove_framework_if_idle(&mut self, id: &FrameworkId) {
        if !self.frameworks.get(id).is_some_and(Framework::is_idle) {
            return;
        }
        let Some(framework) = self.frameworks.shift_remove(id) else {
            return;
        };
        info!(framework_id = %id, "a framework has no work here any more");
        if framework.state == FrameworkState::Terminating {
            for key in self.streams.drop_where(|key| key.framework_id == *id) {
                self.cancel_timer(retry_timer(&key));
            }
        }
        if let Some(agent) = self.id.clone() {
            self.schedule_gc(self.paths.framework_sandboxes(&agent, id));
            if framework.checkpoints() {
                self.schedule_gc(self.paths.framework_meta(&agent, id));
            }
        }
        self.completed_frameworks.push_back(framework);
        while self.completed_frameworks.len() > self.config.max_completed_frameworks {
            self.completed_frameworks.pop_front();
        }
        self.end_drain_if_done();
        self.stop_if_done();
    }

    /// The master tells that a framework's description or address changed.
    pub(crate) fn update_framework(&mut self, from: &Upid, message: internal::UpdateFrameworkMessage) {
        if !self.is_master(from, "update framework") || self.state != AgentState::Running {
            return;
        }
        let id = FrameworkId::from(&*message.framework_id);
        let Some(framework) = self.frameworks.get_mut(&id) else {
            return;
        };
        if framework.state == FrameworkState::Terminating {
            return;
        }
        let checkpoints = framework.checkpoints();
        if let Some(mut info) = message.framework_info.into_option() {
            // Whether it checkpoints is settled with its first task: files are there, or are not.
            info.set_checkpoint(checkpoints);
            framework.info = info;
        }
        framework.pid = scheduler_pid(message.pid.as_deref());
        self.checkpoint_framework(&id);
        self.resend_status_updates(&id);
    }

    /// A scheduler, itself or through the master, has a message for an executor.
    pub(crate) fn framework_message(&mut self, message: internal::FrameworkToExecutorMessage) {
        let key = key_of(&message.framework_id, &message.executor_id);
        let framework = self.frameworks.get(&key.framework_id);
        let running = framework.filter(|framework| framework.state == FrameworkState::Running);
        let executor = running.and_then(|framework| framework.executors.get(&key.executor_id));
        let executor = executor.filter(|executor| executor.state == ExecutorState::Running);
        let Some(executor) = executor.filter(|_| self.state == AgentState::Running) else {
            warn!(executor_id = %key.executor_id, framework_id = %key.framework_id, "dropping a framework's message");
            self.counters.invalid_framework_messages += 1;
            return;
        };
        self.counters.valid_framework_messages += 1;
        if let ExecutorConnection::Libprocess(upid) = executor.connection.clone() {
            let when = When::held_if(executor.checkpoint);
            self.send(when, &upid, message);
        } else {
            let mut event = executor::Event::new();
            event.set_type(executor::event::Type::MESSAGE);
            event.message.mut_or_insert_default().set_data(message.data().to_vec());
            self.send_event(&key, event);
        }
    }

    /// A libprocess executor has a message for its scheduler.
    pub(crate) fn executor_message_message(&mut self, message: &internal::ExecutorToFrameworkMessage) {
        let key = key_of(&message.framework_id, &message.executor_id);
        self.executor_message(&key, message.data().to_vec());
    }

    /// Passes a message on to the scheduler: directly when it has an address, through the master otherwise.
    pub(crate) fn executor_message(&mut self, key: &ExecutorKey, data: Vec<u8>) {
        let framework = self.frameworks.get(&key.framework_id);
        let running = framework.filter(|framework| framework.state == FrameworkState::Running);
        let receiver = running.map(|framework| framework.pid.clone().or_else(|| self.master.clone()));
        let Some(Some(receiver)) = receiver.filter(|_| self.state == AgentState::Running) else {
            warn!(executor_id = %key.executor_id, framework_id = %key.framework_id, "dropping an executor's message");
            self.counters.invalid_framework_messages += 1;
            return;
        };
        self.counters.valid_framework_messages += 1;
        let mut message = internal::ExecutorToFrameworkMessage::new();
        message.slave_id.clone_from(&self.info.id);
        message.framework_id = MessageField::some(key.framework_id.to_proto());
        message.executor_id = MessageField::some(key.executor_id.to_proto());
        message.set_data(data);
        self.send(When::Now, &receiver, message);
    }

    /// The master tells the agent to end.
    pub(crate) fn shutdown_message(&mut self, from: &Upid, message: &str) {
        if self.is_master(from, "shutdown") {
            info!(message, "the master asks the agent to shut down");
            self.terminate(format!("asked by the master: {message}"));
        }
    }

    /// The operator asks the agent to unregister and end.
    pub(crate) fn unregister(&mut self, by: &str) {
        if let (Some(master), Some(id)) = (self.master.clone(), self.id.as_ref()) {
            let mut message = internal::UnregisterSlaveMessage::new();
            message.slave_id = MessageField::some(id.to_proto());
            self.send(When::Now, &master, message);
        }
        self.terminate(format!("asked by {by}"));
    }

    fn terminate(&mut self, message: String) {
        if self.state == AgentState::Terminating {
            return;
        }
        self.state = AgentState::Terminating;
        self.shutdown_message = Some(message);
        self.cancel_timer(AgentTimer::Registration);
        self.cancel_timer(AgentTimer::PingTimeout);
        self.pause_status_updates();
        self.pause_operation_statuses();
        let ids: Vec<_> = self.frameworks.keys().cloned().collect();
        if ids.is_empty() {
            self.stop_if_done();
        }
        for id in ids {
            self.shut_down_framework(&id);
        }
    }

    pub(crate) fn stop_if_done(&mut self) {
        if self.state == AgentState::Terminating && self.frameworks.is_empty() {
            let message = self.shutdown_message.clone().unwrap_or_default();
            self.out.push(
                When::Held,
                Effect::Shutdown {
                    reason: ShutdownReason::Asked { message },
                },
            );
        }
    }

    /// The master asks to empty the agent: tasks are killed and no new ones are taken.
    pub(crate) fn drain(&mut self, from: &Upid, config: pb::DrainConfig) {
        if !self.is_master(from, "drain") {
            return;
        }
        let Some(agent) = self.id.clone() else { return };
        if self.frameworks.is_empty() && self.operations.is_empty() {
            info!("nothing to drain");
            return;
        }
        self.write(message_file(self.paths.drain_config(&agent), &config));
        self.drain_config = Some(config);
        self.kill_for_drain();
    }

    /// Kills every task, with grace periods cut to what the drain allows.
    pub(crate) fn kill_for_drain(&mut self) {
        let Some(config) = self.drain_config.clone() else {
            return;
        };
        let executors = self
            .frameworks
            .values()
            .flat_map(|framework| framework.executors.values());
        let tasks: Vec<_> = executors
            .flat_map(|executor| drained_tasks(executor, &config))
            .collect();
        for (key, task_id, policy) in tasks {
            self.kill_task(&key, &task_id, policy.as_ref());
        }
    }

    pub(crate) fn end_drain_if_done(&mut self) {
        if self.drain_config.is_none() || !self.frameworks.is_empty() || !self.operations.is_empty() {
            return;
        }
        debug!("the agent is drained");
        self.drain_config = None;
        if let Some(agent) = self.id.clone() {
            self.write(CheckpointWrite::Remove {
                path: self.paths.drain_config(&agent),
            });
        }
    }
}

type DrainedTask = (ExecutorKey, mesos::ids::TaskId, Option<pb::KillPolicy>);

fn drained_tasks(executor: &Executor, config: &pb::DrainConfig) -> Vec<DrainedTask> {
    let launched = executor
        .launched
        .iter()
        .map(|(id, task)| (id, task.kill_policy.as_ref()));
    let queued = executor.queued.iter().map(|(id, task)| (id, task.kill_policy.as_ref()));
    let key = executor.key();
    launched
        .chain(queued)
        .map(|(id, policy)| (key.clone(), id.clone(), shortened(policy, config)))
        .collect()
}

/// The kill policy to use instead of a task's own, when its grace period is longer than the drain allows.
fn shortened(policy: Option<&pb::KillPolicy>, config: &pb::DrainConfig) -> Option<pb::KillPolicy> {
    let limit = config.max_grace_period.as_ref()?;
    let own = policy.and_then(|policy| policy.grace_period.as_ref());
    if own.is_some_and(|own| own.nanoseconds() <= limit.nanoseconds()) {
        return None;
    }
    let mut shortened = pb::KillPolicy::new();
    shortened.grace_period = MessageField::some(limit.clone());
    Some(shortened)
}
