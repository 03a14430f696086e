//! Operations on the agent's own resources: what the master asks for, how it gets onto the disk, and how the master
//! hears of it until it is acknowledged.
//!
//! One operation walks through these files: `apply.rs` (message, checks, the new total), `commit.rs` (the order on the
//! disk), `status.rs` (its stream of statuses), and after a crash `recovery.rs`.
//!
//! Source: shared facts, `messages_flow.tsv` (CheckpointResources, ApplyOperation, UpdateOperationStatus,
//! ReconcileOperations), `disk_layout.md` section 2 and `pitfalls.md` D21.

mod apply;
mod commit;
mod reconcile;
mod recovery;
mod status;

use indexmap::IndexMap;
use mesos::resources::{Resource, Resources};
use mesos_proto::v0::mesos as pb;
use tracing::error;
use uuid::Uuid;

use crate::agent::Agent;
use crate::executor::ExecutorState;
use crate::framework::Framework;
use crate::update_streams::Memory;

pub(crate) use recovery::RecoveredResources;
use status::OperationStreams;

/// The operations that an agent knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Operations {
    /// Those that are not done, or whose end is not acknowledged, in the order of their arrival.
    known: IndexMap<Uuid, pb::Operation>,
    /// Their statuses on the way to the master.
    streams: OperationStreams,
    /// Operations that were told to be dropped: should they come late after all, they stay dropped.
    dropped: Memory<Uuid>,
    /// Those that stand in the committed checkpoint.
    committed: Vec<pb::Operation>,
}

impl Operations {
    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

/// Whether an operation can change no more.
fn is_terminal(state: pb::OperationState) -> bool {
    use pb::OperationState as S;
    match state {
        S::OPERATION_FINISHED
        | S::OPERATION_FAILED
        | S::OPERATION_ERROR
        | S::OPERATION_DROPPED
        | S::OPERATION_GONE_BY_OPERATOR => true,
        S::OPERATION_UNSUPPORTED
        | S::OPERATION_PENDING
        | S::OPERATION_UNREACHABLE
        | S::OPERATION_RECOVERING
        | S::OPERATION_UNKNOWN => false,
    }
}

/// Reads resources that were checked when they came in.
pub(crate) fn checked_resources<'a>(messages: impl IntoIterator<Item = &'a pb::Resource>) -> Resources {
    Resources::from_protobuf(messages).unwrap_or_else(|error| {
        error!(%error, "resources that were checked cannot be read");
        Resources::new()
    })
}

impl Agent {
    /// Operations that are not done, or whose end is not acknowledged yet, in the order of their arrival.
    pub fn operations(&self) -> impl DoubleEndedIterator<Item = &pb::Operation> {
        self.operations.known.values()
    }

    /// What the agent has, with its dynamic reservations and persistent volumes in the place of what they were made
    /// of. Nothing in it is allocated or oversubscribed.
    #[must_use]
    pub fn total_resources(&self) -> &Resources {
        &self.total
    }

    /// What tasks and executors hold of the total: without allocation, shared volumes once. The executors that the
    /// agent makes for command tasks come on top of the total, by design, and are left out.
    pub(crate) fn held_resources(&self) -> Resources {
        let executors = self.frameworks.values().flat_map(Framework::executors);
        let running = executors.filter(|executor| executor.state != ExecutorState::Terminated);
        let mut held = Resources::new();
        for executor in running {
            let own = executor.info.resources.iter();
            let own = own.filter(|_| !executor.generated_for_command_task);
            let queued = executor.queued.values().flat_map(|task| &task.resources);
            let launched = executor.launched.values().flat_map(|task| &task.resources);
            for message in own.chain(queued).chain(launched) {
                let Ok(resource) = Resource::from_protobuf(message) else {
                    continue;
                };
                let resource = resource.with_allocation(None);
                let counted = resource.is_shared() && held.contains_resource(&resource);
                if !resource.is_revocable() && !counted {
                    held.add_resource(resource);
                }
            }
        }
        held
    }
}
