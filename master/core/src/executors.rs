//! Custom executors on agents, and messages to and from them.

use std::collections::BTreeSet;
use std::sync::Arc;

use libprocess_types::Upid;
use mesos::ids::{AgentId, ExecutorId, FrameworkId, TaskId};
use mesos_proto::internal::wire::messages::{
    ExecutorToFrameworkMessage, ExitedExecutorMessage, FrameworkToExecutorMessage, ShutdownExecutorMessage,
};
use mesos_proto::v0::mesos::task_status::Source;
use mesos_proto::v0::mesos::{ExecutorInfo, TaskStatus};
use mesos_proto::v0::scheduler::call;

use crate::Resources;
use crate::effect::Change;
use crate::master::Master;
use crate::model::is_terminal;
use crate::notify::Notice;

/// What an executor holds. Its resources were checked when it was accepted.
pub(crate) fn executor_resources(info: &ExecutorInfo) -> Resources {
    Resources::from_protobuf(&info.resources).unwrap_or_default()
}

impl Master {
    /// Adds an executor to its agent. The allocator already counts its resources.
    pub(crate) fn add_executor(&mut self, agent_id: &AgentId, info: &ExecutorInfo) {
        let framework_id = FrameworkId::from(&*info.framework_id);
        let executor_id = ExecutorId::from(&*info.executor_id);
        let Some(agent) = self.agents.get_mut(agent_id) else {
            return;
        };
        if agent.has_executor(&framework_id, &executor_id) {
            return;
        }
        agent.hold(&framework_id, &executor_resources(info));
        let executors = agent.executors.entry(framework_id.clone()).or_default();
        executors.insert(executor_id.clone(), Arc::new(info.clone()));
        self.publish(Change::ExecutorAdded(agent_id.clone(), framework_id, executor_id));
    }

    /// Forgets an executor; what it held comes back.
    pub(crate) fn remove_executor(&mut self, agent_id: &AgentId, framework_id: &FrameworkId, executor_id: &ExecutorId) {
        let Some(agent) = self.agents.get_mut(agent_id) else {
            return;
        };
        let Some(executors) = agent.executors.get_mut(framework_id) else {
            return;
        };
        let Some(info) = executors.remove(executor_id) else {
            return;
        };
        if executors.is_empty() {
            agent.executors.remove(framework_id);
        }
        agent
            .doubtful_executors
            .remove(&(framework_id.clone(), executor_id.clone()));
        self.release_allocated(agent_id, framework_id, &executor_resources(&info));
        self.publish(Change::ExecutorRemoved(
            agent_id.clone(),
            framework_id.clone(),
            executor_id.clone(),
        ));
    }

    pub(crate) fn has_live_task(
        &self,
        agent_id: &AgentId,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
    ) -> bool {
        !self.live_tasks(agent_id, framework_id, executor_id).is_empty()
    }

    /// Tasks of an executor that have not ended, as far as is known here.
    pub(crate) fn live_tasks(
        &self,
        agent_id: &AgentId,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
    ) -> BTreeSet<TaskId> {
        let tasks = self
            .agents
            .get(agent_id)
            .and_then(|agent| agent.tasks.get(framework_id));
        tasks
            .into_iter()
            .flatten()
            .filter_map(|task_id| self.task(framework_id, task_id))
            .filter(|task| task.executor_id.as_ref() == Some(executor_id) && !is_terminal(task.state()))
            .map(|task| task.id.clone())
            .collect()
    }

    /// A task's executor is in doubt since the agent came back without it. A sign of life ends the doubt; the agent
    /// disowning the last task ends the executor.
    pub(crate) fn settle_doubt(&mut self, framework_id: &FrameworkId, task_id: &TaskId, status: &TaskStatus) {
        let Some(task) = self.task(framework_id, task_id) else {
            return;
        };
        let Some(executor_id) = task.executor_id.clone() else {
            return;
        };
        let agent_id = task.agent_id.clone();
        let Some(agent) = self.agents.get_mut(&agent_id) else {
            return;
        };
        let executor = (framework_id.clone(), executor_id.clone());
        let Some(open) = agent.doubtful_executors.get(&executor) else {
            return;
        };
        // Updates of other tasks may be what an earlier run of the executor left behind.
        if status.source() == Source::SOURCE_EXECUTOR && open.contains(task_id) {
            agent.doubtful_executors.remove(&executor);
        } else if is_terminal(status.state()) && !self.has_live_task(&agent_id, framework_id, &executor_id) {
            self.remove_executor(&agent_id, framework_id, &executor_id);
        }
    }

    /// An agent tells that an executor ended. Executors that the agent made itself are unknown here.
    pub(crate) fn executor_exited(&mut self, message: ExitedExecutorMessage) {
        self.count("master/messages_exited_executor");
        let agent_id = AgentId::from(&*message.slave_id);
        let framework_id = FrameworkId::from(&*message.framework_id);
        let executor_id = ExecutorId::from(&*message.executor_id);
        let known = self
            .agents
            .get(&agent_id)
            .is_some_and(|agent| agent.has_executor(&framework_id, &executor_id));
        if !known {
            tracing::debug!(%agent_id, %framework_id, %executor_id, "unknown executor exited, ignored");
            return;
        }
        tracing::info!(%agent_id, %framework_id, %executor_id, status = message.status(), "executor exited");
        self.remove_executor(&agent_id, &framework_id, &executor_id);
        self.notify(&framework_id, Notice::ExecutorExited(Box::new(message)));
    }

    /// A scheduler asks to shut an executor down.
    pub(crate) fn shut_executor_down(&mut self, framework_id: &FrameworkId, shutdown: &call::Shutdown) {
        let agent_id = AgentId::from(&*shutdown.slave_id);
        let Some(upid) = self.agents.get(&agent_id).map(|agent| agent.upid.clone()) else {
            tracing::warn!(%framework_id, %agent_id, "executor of an unknown agent cannot be shut down");
            return;
        };
        let mut message = ShutdownExecutorMessage::new();
        message.executor_id = shutdown.executor_id.clone();
        message.framework_id = Some(framework_id.to_proto()).into();
        self.send(&upid, message);
    }

    /// A scheduler sends data to an executor: handed on when the agent is there, else lost.
    pub(crate) fn message_to_executor(&mut self, framework_id: &FrameworkId, message: call::Message) {
        self.count("master/messages_framework_to_executor");
        let agent_id = AgentId::from(&*message.slave_id);
        let agent = self.agents.get(&agent_id).filter(|agent| agent.is_connected());
        let Some(upid) = agent.map(|agent| agent.upid.clone()) else {
            tracing::warn!(%framework_id, %agent_id, "message to an executor dropped: agent unknown or disconnected");
            self.count("master/invalid_framework_to_executor_messages");
            return;
        };
        let mut forwarded = FrameworkToExecutorMessage::new();
        forwarded.slave_id = message.slave_id;
        forwarded.framework_id = Some(framework_id.to_proto()).into();
        forwarded.executor_id = message.executor_id;
        forwarded.data = message.data;
        self.count("master/valid_framework_to_executor_messages");
        self.send(&upid, forwarded);
    }

    /// An executor sends data to its scheduler through the agent.
    pub(crate) fn message_to_framework(&mut self, from: &Upid, message: ExecutorToFrameworkMessage) {
        self.count("master/messages_executor_to_framework");
        let agent_id = AgentId::from(&*message.slave_id);
        let framework_id = FrameworkId::from(&*message.framework_id);
        let known = self.agents.contains_key(&agent_id);
        if known && self.notify(&framework_id, Notice::Message(Box::new(message))) {
            self.count("master/valid_executor_to_framework_messages");
        } else {
            tracing::warn!(%agent_id, %framework_id, upid = %from, "message of an executor dropped");
            self.count("master/invalid_executor_to_framework_messages");
        }
    }
}
