//! Which rule a libprocess message goes to.
//!
//! Source: shared facts, `messages_flow.tsv`, rows with the agent as receiver.

use libprocess_types::Upid;
use mesos::Message;
use mesos::ids::FrameworkId;
use tracing::warn;

use crate::agent::Agent;

impl Agent {
    pub(crate) fn handle_message(&mut self, from: &Upid, message: Message) {
        match message {
            Message::SlaveRegistered(message) => self.registered(from, &message),
            Message::SlaveReregistered(message) => self.reregistered(from, &message),
            Message::PingSlave(message) => self.ping(from, message.connected()),
            Message::RunTask(message) => self.run_task_message(from, *message),
            Message::RunTaskGroup(message) => self.run_task_group_message(from, *message),
            Message::KillTask(message) => self.kill_task_message(from, &message),
            Message::ShutdownFramework(message) => {
                self.shutdown_framework_message(from, &FrameworkId::from(&*message.framework_id));
            }
            Message::ShutdownExecutor(message) => self.shutdown_executor_message(from, &message),
            Message::FrameworkToExecutor(message) => self.framework_message(*message),
            Message::UpdateFramework(message) => self.update_framework(from, *message),
            Message::StatusUpdateAcknowledgement(message) => self.status_update_acknowledged(from, &message),
            Message::Shutdown(message) => self.shutdown_message(from, message.message()),
            Message::DrainSlave(message) => self.drain(from, message.config.unwrap_or_default()),
            Message::CheckpointResources(message) => self.checkpoint_resources(from, *message),
            Message::ApplyOperation(message) => self.apply_operation(from, *message),
            Message::AcknowledgeOperationStatus(message) => self.operation_status_acknowledged(from, &message),
            Message::ReconcileOperations(message) => self.reconcile_operations(from, &message),
            Message::RegisterExecutor(message) => self.register_executor(from, &message),
            Message::ReregisterExecutor(message) => self.reregister_executor(from, &message),
            Message::StatusUpdate(message) => self.status_update_message(from, *message),
            Message::ExecutorToFramework(message) => self.executor_message_message(&message),
            other => warn!(upid = %from, name = other.name(), "ignoring a message that agents do not take"),
        }
    }
}
