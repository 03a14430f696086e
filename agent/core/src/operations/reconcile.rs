//! Operations that the master asks after, and those that the agent knows nothing of.

use libprocess_types::Upid;
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::mesos as pb;
use pb::OperationState;
use protobuf::MessageField;
use tracing::warn;
use uuid::Uuid;

use crate::agent::{Agent, AgentState};
use crate::outbox::When;

impl Agent {
    /// The master names operations: its own doubts when no framework is named, else the framework's.
    pub(crate) fn reconcile_operations(&mut self, from: &Upid, message: &internal::ReconcileOperationsMessage) {
        if !self.is_master(from, "reconcile operations") || self.state != AgentState::Running {
            return;
        }
        let framework = message.framework_id.as_ref();
        for asked in &message.operations {
            let known = self.asked_operation(asked, framework).cloned();
            let mut status = pb::OperationStatus::new();
            status.operation_id.clone_from(&asked.operation_id);
            status.resource_provider_id.clone_from(&asked.resource_provider_id);
            let mut uuid = asked.operation_uuid.clone();
            match (known, framework) {
                // The master and the agent agree; the status comes through its stream.
                (Some(_), None) => continue,
                (Some(operation), Some(_)) => {
                    status = operation.latest_status.unwrap_or_default();
                    uuid = operation.uuid;
                }
                (None, None) => {
                    warn!(
                        operation_uuid = ?asked.operation_uuid.value(),
                        "the master knows an operation that is not here"
                    );
                    if let Ok(uuid) = Uuid::from_slice(asked.operation_uuid.value()) {
                        self.operations.dropped.insert(uuid);
                    }
                    status.set_state(OperationState::OPERATION_DROPPED);
                    status.set_message("the agent does not know the operation".to_owned());
                }
                (None, Some(_)) => {
                    status.set_state(OperationState::OPERATION_UNKNOWN);
                    status.set_message("the agent does not know the operation".to_owned());
                }
            }
            self.send_unrecorded_status(from, message.framework_id.clone(), uuid, status);
        }
    }

    fn asked_operation(
        &self,
        asked: &internal::reconcile_operations_message::Operation,
        framework: Option<&pb::FrameworkID>,
    ) -> Option<&pb::Operation> {
        if let Ok(uuid) = Uuid::from_slice(asked.operation_uuid.value()) {
            return self.operations.known.get(&uuid);
        }
        let id = asked.operation_id.as_ref()?;
        self.operations
            .known
            .values()
            .find(|operation| operation.info.id.as_ref() == Some(id) && operation.framework_id.as_ref() == framework)
    }

    /// Answers an operation that is not carried out and not recorded.
    pub(super) fn drop_operation(&mut self, to: &Upid, message: &internal::ApplyOperationMessage, reason: &str) {
        if let Ok(uuid) = Uuid::from_slice(message.operation_uuid.value()) {
            self.operations.dropped.insert(uuid);
        }
        let mut status = pb::OperationStatus::new();
        status.operation_id.clone_from(&message.operation_info.id);
        status.set_state(OperationState::OPERATION_DROPPED);
        status.set_message(format!("the operation is dropped: {reason}"));
        let (framework, uuid) = (message.framework_id.clone(), message.operation_uuid.clone());
        self.send_unrecorded_status(to, framework, uuid, status);
    }

    /// Without a UUID of its own nobody has to acknowledge the status. Should it get lost, the master asks again when
    /// the agent registers.
    fn send_unrecorded_status(
        &mut self,
        to: &Upid,
        framework: MessageField<pb::FrameworkID>,
        operation: MessageField<pb::UUID>,
        mut status: pb::OperationStatus,
    ) {
        status.uuid.take();
        status.slave_id.clone_from(&self.info.id);
        let mut update = internal::UpdateOperationStatusMessage::new();
        update.framework_id = framework;
        update.slave_id.clone_from(&self.info.id);
        update.operation_uuid = operation;
        update.latest_status = MessageField::some(status.clone());
        update.status = MessageField::some(status);
        self.send(When::Held, to, update);
    }
}
