//! Kills: a task that was not delivered ends here and never reaches its executor; others are the executor's affair.
//!
//! Source: shared facts, `pitfalls.md` D19 and `task_reasons.tsv`; the recorded exchange `w11`.

use libprocess_types::Upid;
use mesos::ids::{FrameworkId, TaskId};
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::executor;
use mesos_proto::v0::mesos as pb;
use pb::task_status::Reason;
use protobuf::MessageField;
use tracing::{debug, info, warn};

use crate::agent::{Agent, AgentState};
use crate::executor::{Executor, ExecutorConnection, ExecutorKey, ExecutorState};
use crate::executor_lifecycle::report;
use crate::framework::FrameworkState;
use crate::outbox::When;

impl Agent {
    /// The master asks to kill a task.
    pub(crate) fn kill_task_message(&mut self, from: &Upid, message: &internal::KillTaskMessage) {
        if !self.is_master(from, "kill task") {
            return;
        }
        if matches!(self.state, AgentState::Recovering | AgentState::Terminating) {
            warn!(
                task_id = message.task_id.value(),
                "not killing a task: the agent is not ready for it"
            );
            return;
        }
        let framework_id = FrameworkId::from(&*message.framework_id);
        let task_id = TaskId::from(&*message.task_id);
        let Some(framework) = self.frameworks.get(&framework_id) else {
            warn!(%task_id, %framework_id, "not killing a task of a framework without work here");
            return;
        };
        if framework.state == FrameworkState::Terminating {
            return;
        }
        if let Some(executor) = framework.executor_of(&task_id) {
            let key = executor.key();
            self.kill_task(&key, &task_id, message.kill_policy.as_ref());
        } else if self.has_ended(&framework_id, &task_id) {
            debug!(%task_id, %framework_id, "not killing a task that has ended");
        } else if self.state == AgentState::Disconnected {
            // Registration settles which tasks are here. Its launch may have been ignored for the same reason.
            debug!(%task_id, %framework_id, "not killing an unknown task while not registered");
        } else {
            let state = framework.dropped_state();
            let told = report(
                state,
                Reason::REASON_EXECUTOR_TERMINATED,
                "the agent has no executor with that task",
            );
            self.report_task(&framework_id, &task_id, None, &told);
        }
    }

    /// Kills a task that an executor has.
    pub(crate) fn kill_task(&mut self, key: &ExecutorKey, task_id: &TaskId, policy: Option<&pb::KillPolicy>) {
        let Some(executor) = self.executor_by(key) else { return };
        let queued = executor.queued.contains_key(task_id);
        match executor.state {
            ExecutorState::Terminating | ExecutorState::Terminated => {
                debug!(%task_id, executor_id = %key.executor_id, "not killing a task: its executor is ending");
            }
            ExecutorState::Registering | ExecutorState::Running if queued => self.kill_queued_task(key, task_id),
            ExecutorState::Registering => {
                // Recovered and not back yet: the master asks again once the agent has registered.
                debug!(%task_id, executor_id = %key.executor_id, "not killing a task: its executor is not back yet");
            }
            ExecutorState::Running => self.forward_kill(key, task_id, policy),
        }
    }

    fn kill_queued_task(&mut self, key: &ExecutorKey, task_id: &TaskId) {
        let Some(executor) = self.executor_by(key) else { return };
        let group = executor.queued_group(task_id);
        let members = group.map(|group| group.tasks.iter().map(|task| TaskId::from(&*task.task_id)).collect());
        let (members, message): (Vec<_>, _) = match members {
            Some(members) => (members, "a task of the group was killed before the group was delivered"),
            None => (vec![task_id.clone()], "killed before it was delivered to the executor"),
        };
        info!(%task_id, executor_id = %key.executor_id, "killing a task before its delivery");
        let told = report(
            pb::TaskState::TASK_KILLED,
            Reason::REASON_TASK_KILLED_DURING_LAUNCH,
            message,
        );
        for member in &members {
            self.report_task(&key.framework_id, member, Some(&key.executor_id), &told);
        }
        self.shut_down_if_idle(key);
    }

    /// Ends a registered executor that never had a task and has none left to get.
    pub(crate) fn shut_down_if_idle(&mut self, key: &ExecutorKey) -> bool {
        let idle = |executor: &&Executor| {
            executor.state == ExecutorState::Running && !executor.ever_sent_task && executor.queued.is_empty()
        };
        if self.executor_by(key).filter(idle).is_none() {
            return false;
        }
        info!(executor_id = %key.executor_id, "the executor has nothing to run: all its tasks were killed");
        self.shut_down_executor(key);
        true
    }

    fn forward_kill(&mut self, key: &ExecutorKey, task_id: &TaskId, policy: Option<&pb::KillPolicy>) {
        let Some(executor) = self.executor_by(key) else { return };
        if let ExecutorConnection::Libprocess(upid) = executor.connection.clone() {
            let when = When::held_if(executor.checkpoint);
            let mut message = internal::KillTaskMessage::new();
            message.framework_id = MessageField::some(key.framework_id.to_proto());
            message.task_id = MessageField::some(task_id.to_proto());
            message.kill_policy = policy.cloned().into();
            self.send(when, &upid, message);
        } else if executor.is_connected() {
            self.send_kill_event(key, task_id, policy);
        } else if let Some(executor) = self.executor_mut(key) {
            executor.waiting_kills.insert(task_id.clone(), policy.cloned());
        }
    }

    fn send_kill_event(&mut self, key: &ExecutorKey, task_id: &TaskId, policy: Option<&pb::KillPolicy>) {
        let mut event = executor::Event::new();
        event.set_type(executor::event::Type::KILL);
        let kill = event.kill.mut_or_insert_default();
        kill.task_id = MessageField::some(task_id.to_proto());
        kill.kill_policy = policy.cloned().into();
        self.send_event(key, event);
    }

    /// A v1 executor is back: it hears of the kills that it missed.
    pub(crate) fn deliver_waiting_kills(&mut self, key: &ExecutorKey) {
        let Some(executor) = self.executor_mut(key) else { return };
        for (task_id, policy) in std::mem::take(&mut executor.waiting_kills) {
            let launched = self
                .executor_by(key)
                .is_some_and(|executor| executor.launched.contains_key(&task_id));
            if launched {
                self.send_kill_event(key, &task_id, policy.as_ref());
            }
        }
    }
}
