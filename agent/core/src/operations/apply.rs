//! Carrying out an operation, or refusing it.

use std::path::Path;

use libprocess_types::Upid;
use mesos::resources::format::HasResources;
use mesos::resources::{ApplyError, Resource, Resources, VolumeFolderError, strip_allocation_from_operation};
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::mesos as pb;
use pb::OperationState;
use pb::offer::Operation as Info;
use pb::offer::operation::Type;
use protobuf::MessageField;
use tracing::{info, warn};
use uuid::Uuid;

use crate::agent::{Agent, AgentState};

/// Why an operation is not carried out.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    /// The kind needs a resource provider.
    #[error("{0:?} works on disks of resource providers, and this agent has none")]
    NeedsProvider(Type),
    /// No operation at all.
    #[error("{0:?} is no operation that changes resources")]
    NoChange(Type),
    /// It does not fit what the agent has.
    #[error("the operation cannot be applied to what the agent has: {0}")]
    Apply(#[source] ApplyError),
    /// Its volume has no folder.
    #[error("the volume cannot be made: {0}")]
    Folder(#[source] VolumeFolderError),
    /// What it takes away is in use.
    #[error("tasks or executors use what the operation takes away")]
    InUse,
}

impl Refusal {
    /// The master has applied the operation in its books already: what it believes of the agent is wrong now.
    const fn contradicts_master(&self) -> bool {
        match self {
            Self::NeedsProvider(_) | Self::NoChange(_) => false,
            Self::Apply(_) | Self::Folder(_) | Self::InUse => true,
        }
    }
}

impl Agent {
    /// The master tells all reservations and volumes, because it takes the agent for one that knows no operations.
    pub(crate) fn checkpoint_resources(&mut self, from: &Upid, mut message: internal::CheckpointResourcesMessage) {
        if !self.is_master(from, "checkpoint resources") {
            return;
        }
        message.resources.iter_mut().for_each(HasResources::upgrade_resources);
        let wanted = match Resources::from_protobuf(&message.resources) {
            Ok(wanted) => wanted.unallocate(),
            Err(error) => {
                warn!(%error, "ignoring checkpointed resources that cannot be read");
                return;
            }
        };
        let (total, misfits) = self.base_resources().with_checkpointed(&wanted);
        if !misfits.is_empty() {
            warn!(resources = %misfits, "ignoring checkpointed resources that do not fit; registering again");
            self.register_again();
            return;
        }
        if let Err(error) = check_folders(&total, self.paths.work_dir()) {
            warn!(%error, "ignoring checkpointed resources with a volume that cannot be made; registering again");
            self.register_again();
            return;
        }
        self.total = total;
        self.commit_resources();
    }

    /// The master asks for an operation.
    pub(crate) fn apply_operation(&mut self, from: &Upid, mut message: internal::ApplyOperationMessage) {
        if !self.is_master(from, "apply operation") || self.state != AgentState::Running {
            return;
        }
        let Ok(uuid) = Uuid::from_slice(message.operation_uuid.value()) else {
            warn!("ignoring an operation whose UUID has not 16 bytes");
            return;
        };
        if self.operations.known.contains_key(&uuid) || self.operations.streams.has_ended(&uuid) {
            info!(operation_uuid = %uuid, "ignoring an operation that came again");
            return;
        }
        if let Some(reason) = self.reason_to_drop(&uuid, &message) {
            warn!(operation_uuid = %uuid, reason, "dropping an operation");
            self.drop_operation(from, &message, reason);
            return;
        }
        message.operation_info.mut_or_insert_default().upgrade_resources();
        info!(operation_uuid = %uuid, kind = ?message.operation_info.type_(), "applying an operation");
        self.operations
            .known
            .insert(uuid, pending_operation(&message, self.info.id.clone()));
        // Making and removing volumes takes more than one step on the disk: a restarted agent must know of it.
        self.commit_resources();
        self.settle_pending(&uuid);
    }

    /// Why an operation is for another state of this agent than the present one.
    fn reason_to_drop(&self, uuid: &Uuid, message: &internal::ApplyOperationMessage) -> Option<&'static str> {
        let version = message.resource_version_uuid.get_or_default();
        let mut operation = message.operation_info.clone().unwrap_or_default();
        let mut provided = version.resource_provider_id.is_some();
        operation.visit_resources(&mut |resource| provided |= resource.provider_id.is_some());
        if self.operations.dropped.contains(uuid) {
            Some("it was reported as dropped before")
        } else if provided {
            Some("the agent has no resource providers")
        } else if version.uuid.value() != self.resource_version.as_slice() {
            Some("it was meant for an older state of the agent's resources")
        } else {
            None
        }
    }

    /// Brings a pending operation to its end: applied, or refused with the reason.
    pub(super) fn settle_pending(&mut self, uuid: &Uuid) {
        let Some(operation) = self.operations.known.get(uuid) else {
            return;
        };
        let mut status = pb::OperationStatus::new();
        status.operation_id.clone_from(&operation.info.id);
        status.slave_id.clone_from(&self.info.id);
        let mut contradicts_master = false;
        match self.total_after(operation.info.get_or_default()) {
            Ok(total) => {
                self.total = total;
                status.set_state(OperationState::OPERATION_FINISHED);
            }
            Err(refusal) => {
                warn!(operation_uuid = %uuid, error = %refusal, "refusing an operation");
                contradicts_master = refusal.contradicts_master();
                status.set_state(OperationState::OPERATION_ERROR);
                status.set_message(refusal.to_string());
            }
        }
        self.conclude_operation(uuid, status);
        if contradicts_master {
            self.register_again();
        }
    }

    /// What the agent would have after an operation.
    fn total_after(&self, operation: &Info) -> Result<Resources, Refusal> {
        let kind = operation.type_();
        match kind {
            Type::RESERVE
            | Type::UNRESERVE
            | Type::CREATE
            | Type::DESTROY
            | Type::GROW_VOLUME
            | Type::SHRINK_VOLUME => {}
            Type::CREATE_DISK | Type::DESTROY_DISK => return Err(Refusal::NeedsProvider(kind)),
            Type::UNKNOWN | Type::LAUNCH | Type::LAUNCH_GROUP => return Err(Refusal::NoChange(kind)),
        }
        let mut stripped = operation.clone();
        strip_allocation_from_operation(&mut stripped);
        let total = self.total.apply(&stripped).map_err(Refusal::Apply)?;
        check_folders(&total, self.paths.work_dir()).map_err(Refusal::Folder)?;
        let held = self.held_resources();
        // Only what the operation changes counts: the rest was so before.
        if self.total.contains(&held) && !total.contains(&held) {
            return Err(Refusal::InUse);
        }
        Ok(total)
    }

    /// What the master believes of the agent is wrong: a registration tells it all anew.
    fn register_again(&mut self) {
        if self.state == AgentState::Running {
            self.start_registration();
        }
    }
}

fn check_folders(total: &Resources, work_dir: &Path) -> Result<(), VolumeFolderError> {
    let mut volumes = total.iter().filter(|resource| resource.is_persistent_volume());
    volumes.try_for_each(|volume: &Resource| volume.volume_folder(work_dir).map(drop))
}

fn pending_operation(message: &internal::ApplyOperationMessage, agent_id: MessageField<pb::SlaveID>) -> pb::Operation {
    let mut status = pb::OperationStatus::new();
    status.set_state(OperationState::OPERATION_PENDING);
    status.operation_id.clone_from(&message.operation_info.id);
    status.slave_id.clone_from(&agent_id);
    let mut operation = pb::Operation::new();
    operation.framework_id.clone_from(&message.framework_id);
    operation.slave_id = agent_id;
    operation.info.clone_from(&message.operation_info);
    operation.latest_status = MessageField::some(status);
    operation.uuid.clone_from(&message.operation_uuid);
    operation
}
