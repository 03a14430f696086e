//! Operations on the agent's own resources.
//!
//! Checkpointed resources are taken as the master gives them and written before they count. Operations with feedback
//! are answered with OPERATION_DROPPED: reservations and volumes through them are not carried out by this agent yet.
//!
//! Source: shared facts, `messages_flow.tsv` (CheckpointResources, ApplyOperation, ReconcileOperations) and
//! `disk_layout.md` section 2 (`resources.target` before `resources.info`).

use libprocess_types::Upid;
use mesos_proto::internal::slave::state::ResourceState;
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::mesos as pb;
use protobuf::MessageField;
use tracing::{info, warn};

use crate::agent::{Agent, AgentState};
use crate::checkpoint::{message_file, message_list_file};
use crate::effect::CheckpointWrite;
use crate::outbox::When;
use crate::resource_format::{downgrade, upgrade};

impl Agent {
    /// The master tells which resources are reserved or persistent.
    pub(crate) fn checkpoint_resources(&mut self, from: &Upid, message: internal::CheckpointResourcesMessage) {
        if !self.is_master(from, "checkpoint resources") {
            return;
        }
        let mut resources = message.resources;
        upgrade(&mut resources);
        if resources == self.checkpointed_resources {
            return;
        }
        info!(count = resources.len(), "checkpointed resources changed");
        let mut older = resources.clone();
        downgrade(&mut older);
        let mut state = ResourceState::new();
        state.resources.clone_from(&resources);
        self.write(message_list_file(self.paths.resources_target(), &older));
        self.write(message_file(self.paths.resource_state_target(), &state));
        self.write(CheckpointWrite::Rename {
            from: self.paths.resources_target(),
            to: self.paths.resources_info(),
        });
        let (from, to) = (self.paths.resource_state_target(), self.paths.resource_state());
        self.write(CheckpointWrite::Rename { from, to });
        self.checkpointed_resources = resources;
    }

    /// The master asks for an operation.
    pub(crate) fn apply_operation(&mut self, from: &Upid, message: &internal::ApplyOperationMessage) {
        if !self.is_master(from, "apply operation") || self.state != AgentState::Running {
            return;
        }
        warn!(kind = ?message.operation_info.type_(), "refusing an operation");
        let mut status = pb::OperationStatus::new();
        status.operation_id.clone_from(&message.operation_info.id);
        status.set_message("this agent does not carry out operations on its resources yet".to_owned());
        let mut update = internal::UpdateOperationStatusMessage::new();
        update.framework_id.clone_from(&message.framework_id);
        update.operation_uuid.clone_from(&message.operation_uuid);
        self.send_operation_dropped(from, update, status);
    }

    /// The master names operations that it believes here.
    pub(crate) fn reconcile_operations(&mut self, from: &Upid, message: &internal::ReconcileOperationsMessage) {
        if !self.is_master(from, "reconcile operations") || self.state != AgentState::Running {
            return;
        }
        for operation in &message.operations {
            let mut update = internal::UpdateOperationStatusMessage::new();
            update.operation_uuid.clone_from(&operation.operation_uuid);
            update.framework_id.clone_from(&message.framework_id);
            let mut status = pb::OperationStatus::new();
            status.operation_id.clone_from(&operation.operation_id);
            status.resource_provider_id.clone_from(&operation.resource_provider_id);
            status.set_message("the agent does not know the operation".to_owned());
            self.send_operation_dropped(from, update, status);
        }
    }

    /// Answers an operation. Without a status UUID nobody has to acknowledge.
    fn send_operation_dropped(
        &mut self,
        to: &Upid,
        mut update: internal::UpdateOperationStatusMessage,
        mut status: pb::OperationStatus,
    ) {
        status.set_state(pb::OperationState::OPERATION_DROPPED);
        status.slave_id.clone_from(&self.info.id);
        update.slave_id.clone_from(&self.info.id);
        update.latest_status = MessageField::some(status.clone());
        update.status = MessageField::some(status);
        self.send(When::Held, to, update);
    }
}
