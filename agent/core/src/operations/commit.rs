//! The order in which resources and operations get onto the disk.
//!
//! What is wanted is written beside what is committed; volumes are made and removed; then the new files take the place
//! of the old ones. Whoever dies in between leaves the wanted files behind, and the next life carries them out again
//! from the start. The list without operations is for agents older than operation feedback.
//!
//! Source: shared facts, `pitfalls.md` D21 and `disk_layout.md` sections 1 and 2.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mesos::resources::{Resources, VolumeFolder};
use mesos_proto::internal::slave::state::ResourceState;
use mesos_proto::v0::mesos as pb;
use pb::OperationState;
use pb::offer::operation::Type;
use tracing::{error, info};

use crate::agent::Agent;
use crate::checkpoint::{message_list_file, synced_message_file};
use crate::effect::CheckpointWrite;
use crate::resource_format::downgrade;

impl Agent {
    /// Commits the present total and operations, if they are not committed already.
    pub(super) fn commit_resources(&mut self) {
        let resources = self.total.checkpointed();
        let known = self.operations.known.values();
        let operations: Vec<_> = known.filter(|known| outlives_agent(known)).cloned().collect();
        let same_resources = resources == self.checkpointed_resources;
        if !same_resources || operations != self.operations.committed {
            self.commit(resources, operations);
        }
    }

    /// Commits the present total and operations, whatever stands on the disk.
    pub(super) fn commit_resources_again(&mut self) {
        let known = self.operations.known.values();
        let operations = known.filter(|known| outlives_agent(known)).cloned().collect();
        self.commit(self.total.checkpointed(), operations);
    }

    fn commit(&mut self, resources: Resources, operations: Vec<pb::Operation>) {
        let same_resources = resources == self.checkpointed_resources;
        let mut state = ResourceState::new();
        state.resources = resources.to_protobuf();
        state.operations.clone_from(&operations);
        self.write(synced_message_file(self.paths.resource_state_target(), &state));
        if !same_resources {
            info!(%resources, "reservations and volumes changed");
            let mut older = state.resources;
            downgrade(&mut older);
            self.write(message_list_file(self.paths.resources_target(), &older));
            for write in volume_writes(&self.checkpointed_resources, &resources, self.paths.work_dir()) {
                self.write(write);
            }
            let (from, to) = (self.paths.resources_target(), self.paths.resources_info());
            self.write(CheckpointWrite::Rename { from, to });
        }
        let (from, to) = (self.paths.resource_state_target(), self.paths.resource_state());
        self.write(CheckpointWrite::Rename { from, to });
        self.checkpointed_resources = resources;
        self.operations.committed = operations;
    }
}

/// Whether an operation must be known after a restart: it works on the disk in several steps, or its end is to be
/// acknowledged.
fn outlives_agent(operation: &pb::Operation) -> bool {
    let status = operation.latest_status.get_or_default();
    if super::is_terminal(status.state()) {
        return status.uuid.is_some();
    }
    let pending = status.state() == OperationState::OPERATION_PENDING;
    pending && matches!(operation.info.type_(), Type::CREATE | Type::DESTROY)
}

/// The folders to make and to remove. A folder that stays keeps its data, whatever else of its volume changes.
fn volume_writes(old: &Resources, new: &Resources, work_dir: &Path) -> Vec<CheckpointWrite> {
    let (old, new) = (folders(old, work_dir), folders(new, work_dir));
    let made = new.values().filter(|folder| !old.contains_key(&folder.path));
    let made = made.map(|folder| CheckpointWrite::MakeVolume {
        path: folder.path.clone(),
    });
    let removed = old.values().filter(|folder| !new.contains_key(&folder.path));
    let removed = removed.map(|folder| CheckpointWrite::RemoveVolume {
        path: folder.path.clone(),
        is_mount: folder.is_mount,
    });
    made.chain(removed).collect()
}

fn folders(resources: &Resources, work_dir: &Path) -> BTreeMap<PathBuf, VolumeFolder> {
    let volumes = resources.iter().filter(|resource| resource.is_persistent_volume());
    let folders = volumes.filter_map(|volume| {
        volume
            .volume_folder(work_dir)
            .inspect_err(|error| error!(%error, "a committed volume has no folder"))
            .ok()
    });
    folders.map(|folder| (folder.path.clone(), folder)).collect()
}
