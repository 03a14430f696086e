//! Status updates on their way from agents to schedulers, and acknowledgements on their way back.
//!
//! An update is forwarded before the model looks at it: also tasks that the master forgot reach their scheduler, whose
//! acknowledgement ends the agent's retries. Source: shared facts, `pitfalls.md` D4, `messages_flow.tsv`.

use libprocess_types::Upid;
use mesos::ids::{AgentId, FrameworkId, TaskId};
use mesos_proto::internal::wire::messages::{StatusUpdate, StatusUpdateAcknowledgementMessage, StatusUpdateMessage};
use mesos_proto::v0::scheduler::call;

use crate::master::Master;
use crate::model::is_terminal;
use crate::notify::{Acknowledgee, Notice};

/// Length of a status uuid in bytes.
pub(crate) const UUID_LENGTH: usize = 16;

impl Master {
    /// An agent sends the head of a task's update stream.
    pub(crate) fn status_update(&mut self, from: &Upid, message: StatusUpdateMessage) {
        self.count("master/messages_status_update");
        let pid = message.pid().parse::<Upid>().unwrap_or_else(|_| from.clone());
        let update = message.update.unwrap_or_default();
        let agent_id = AgentId::from(&*update.slave_id);
        let framework_id = FrameworkId::from(&*update.framework_id);
        let task_id = TaskId::from(&*update.status.task_id);
        if !self.agents.contains_key(&agent_id) || update.uuid().len() != UUID_LENGTH {
            tracing::warn!(
                %agent_id, %framework_id, %task_id, upid = %from,
                "status update of an unknown agent or without uuid dropped"
            );
            self.count("master/invalid_status_updates");
            return;
        }
        let forwarded = self.forward_from_agent(&framework_id, &task_id, &update, pid);
        let known = self
            .task(&framework_id, &task_id)
            .is_some_and(|task| task.agent_id == agent_id);
        if known {
            self.update_task(&framework_id, &task_id, &update);
            self.settle_doubt(&framework_id, &task_id, &update.status);
        } else {
            tracing::info!(%framework_id, %task_id, "status update of an unknown task");
        }
        let valid = known && forwarded;
        self.count(if valid {
            "master/valid_status_updates"
        } else {
            "master/invalid_status_updates"
        });
    }

    /// Hands an update on and remembers which one its framework was told last.
    fn forward_from_agent(
        &mut self,
        framework_id: &FrameworkId,
        task_id: &TaskId,
        update: &StatusUpdate,
        pid: Upid,
    ) -> bool {
        let notice = Notice::Update(Box::new(update.clone()), Acknowledgee::Agent(pid));
        if !self.notify(framework_id, notice) {
            tracing::info!(%framework_id, %task_id, "status update not forwarded: framework unknown or disconnected");
            return false;
        }
        let framework = self.frameworks.get_mut(framework_id);
        if let Some(task) = framework.and_then(|framework| framework.tasks.get_mut(task_id)) {
            task.set_told(update.status.state(), update.uuid());
        }
        true
    }

    /// Tells a framework an update that the master made itself.
    pub(crate) fn forward_own(&mut self, framework_id: &FrameworkId, update: StatusUpdate) {
        self.notify(framework_id, Notice::Update(Box::new(update), Acknowledgee::Nobody));
    }

    /// A scheduler has handled an update. The acknowledgement of the last update of an ended task ends the task.
    pub(crate) fn acknowledge(&mut self, framework_id: &FrameworkId, acknowledge: call::Acknowledge) {
        self.count("master/messages_status_update_acknowledgement");
        let agent_id = AgentId::from(&*acknowledge.slave_id);
        let task_id = TaskId::from(&*acknowledge.task_id);
        let agent = self.agents.get(&agent_id).filter(|agent| agent.is_connected());
        let Some(upid) = agent.map(|agent| agent.upid.clone()) else {
            tracing::warn!(
                %framework_id, %task_id, %agent_id,
                "acknowledgement dropped: agent unknown or disconnected"
            );
            self.count("master/invalid_status_update_acknowledgements");
            return;
        };
        let task = self
            .task(framework_id, &task_id)
            .filter(|task| task.agent_id == agent_id);
        if let Some(task) = task {
            let Some(told_uuid) = task.told_uuid() else {
                tracing::warn!(%framework_id, %task_id, "acknowledgement dropped: no update was forwarded");
                self.count("master/invalid_status_update_acknowledgements");
                return;
            };
            let last = told_uuid == acknowledge.uuid();
            if last && task.told_state().is_some_and(is_terminal) {
                self.remove_task(framework_id, &task_id);
            }
        }
        let mut message = StatusUpdateAcknowledgementMessage::new();
        message.slave_id = acknowledge.slave_id;
        message.framework_id = Some(framework_id.to_proto()).into();
        message.task_id = acknowledge.task_id;
        message.uuid = acknowledge.uuid;
        self.send(&upid, message);
        self.count("master/valid_status_update_acknowledgements");
    }
}
