//! Resources and operations after a restart: what was begun is carried out to its end.
//!
//! Source: shared facts, `disk_layout.md` section 2 (`resources_and_operations.*`, `operation.updates`).

use mesos::resources::Resources;
use mesos_proto::v0::mesos as pb;
use pb::OperationState;
use tracing::{info, warn};
use uuid::Uuid;

use super::{checked_resources, is_terminal};
use crate::agent::Agent;
use crate::effect::CheckpointWrite;
use crate::recovery::RecoveredOperation;
use crate::resource_format::upgrade;

/// Committed resources, and the operations on them, as read back.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecoveredResources {
    pub(crate) committed: Vec<pb::Resource>,
    pub(crate) target: Option<Vec<pb::Resource>>,
    pub(crate) operations: Vec<pb::Operation>,
}

fn read(mut resources: Vec<pb::Resource>) -> Resources {
    upgrade(&mut resources);
    checked_resources(&resources)
}

impl Agent {
    /// What the agent was started with, before any operation.
    pub(crate) fn base_resources(&self) -> Resources {
        checked_resources(&self.info.resources)
    }

    /// Takes up resources and operations. The agent's id, if it has one, and its description are known by now.
    ///
    /// # Errors
    ///
    /// Names the reservations and volumes that the agent is too small for by now.
    pub(crate) fn recover_resources(&mut self, recovered: RecoveredResources) -> Result<(), Resources> {
        self.checkpointed_resources = read(recovered.committed);
        let unfinished = recovered.target.is_some();
        let wanted = recovered
            .target
            .map_or_else(|| self.checkpointed_resources.clone(), read);
        let (total, misfits) = self.base_resources().with_checkpointed(&wanted);
        if !misfits.is_empty() {
            return Err(misfits);
        }
        self.total = total;
        // An agent with a new id has no operations: nobody waits for them.
        if self.id.is_some() {
            for operation in &recovered.operations {
                if let Ok(uuid) = Uuid::from_slice(operation.uuid.value()) {
                    self.operations.known.insert(uuid, operation.clone());
                }
            }
        }
        if unfinished {
            info!("carrying out a change of resources that an earlier life began");
            self.commit_resources_again();
        } else {
            self.operations.committed = recovered.operations;
            self.commit_resources();
        }
        Ok(())
    }

    /// Takes up the statuses of operations, and brings operations to their end.
    pub(crate) fn recover_operations(&mut self, logs: Vec<RecoveredOperation>) {
        let Some(agent) = self.id.clone() else { return };
        for log in logs {
            let uuid = log.operation_uuid;
            let path = self.paths.operation_updates(&agent, &uuid);
            let records = super::status::log_records(&log.records);
            if self.operations.known.contains_key(&uuid) {
                self.operations.streams.replay(&uuid, &records, path);
            } else {
                warn!(operation_uuid = %uuid, "removing the statuses of an operation that is done");
                self.operations.streams.remember(&uuid, &records);
                let path = self.paths.operation(&agent, &uuid);
                self.write(CheckpointWrite::Remove { path });
            }
        }
        let known: Vec<_> = self.operations.known.keys().copied().collect();
        for uuid in known {
            let state = self.operations.known[&uuid].latest_status.state();
            if self.operations.streams.has_ended(&uuid) {
                // Acknowledged just before the agent died.
                self.forget_operation(&uuid);
            } else if state == OperationState::OPERATION_PENDING {
                self.settle_pending(&uuid);
            } else if is_terminal(state) && self.operations.streams.pending(&uuid).next().is_none() {
                self.stream_latest_status(&uuid);
            }
        }
    }
}
