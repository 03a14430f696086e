//! Killing tasks.

use mesos::ids::{AgentId, FrameworkId, TaskId};
use mesos_proto::internal::wire::messages::KillTaskMessage;
use mesos_proto::v0::mesos::KillPolicy;
use mesos_proto::v0::scheduler::call;
use mesos_proto::v0::scheduler::call::reconcile::Task as ReconcileTask;
use protobuf::MessageField;

use crate::master::Master;

impl Master {
    /// A scheduler asks to kill a task. An unknown one is answered as reconciliation answers; one on a disconnected
    /// agent is killed when the agent is back.
    pub(crate) fn kill(&mut self, framework_id: &FrameworkId, kill: call::Kill) {
        self.count("master/messages_kill_task");
        let task_id = TaskId::from(&*kill.task_id);
        let Some(task) = self.task(framework_id, &task_id) else {
            tracing::info!(%framework_id, %task_id, "kill of an unknown task, reconciling it");
            let mut subject = ReconcileTask::new();
            subject.task_id = kill.task_id;
            subject.slave_id = kill.slave_id;
            self.reconcile_explicitly(framework_id, &subject);
            return;
        };
        if let Some(agent_id) = kill.slave_id.as_ref()
            && *agent_id.value() != *task.agent_id.as_str()
        {
            tracing::warn!(%framework_id, %task_id, agent_id = agent_id.value(), "kill names another agent, dropped");
            return;
        }
        let agent_id = task.agent_id.clone();
        let Some(agent) = self.agents.get_mut(&agent_id) else {
            return;
        };
        agent
            .killed_tasks
            .entry(framework_id.clone())
            .or_default()
            .insert(task_id.clone());
        if agent.is_connected() {
            self.send_kill(&agent_id, framework_id, &task_id, kill.kill_policy);
        } else {
            tracing::info!(%framework_id, %task_id, %agent_id, "kill waits for the disconnected agent");
        }
    }

    pub(crate) fn send_kill(
        &mut self,
        agent_id: &AgentId,
        framework_id: &FrameworkId,
        task_id: &TaskId,
        policy: MessageField<KillPolicy>,
    ) {
        let Some(upid) = self.agents.get(agent_id).map(|agent| agent.upid.clone()) else {
            return;
        };
        let mut message = KillTaskMessage::new();
        message.framework_id = Some(framework_id.to_proto()).into();
        message.task_id = Some(task_id.to_proto()).into();
        message.kill_policy = policy;
        self.send(&upid, message);
    }
}
