//! What an agent keeps over restarts: dynamic reservations and persistent volumes, and the folders of the latter.
//!
//! Source: shared facts, `disk_layout.md` section 2.

use std::path::{Path, PathBuf};

use mesos_proto::v0::mesos::resource::DiskInfo;
use mesos_proto::v0::mesos::resource::disk_info::source::Type as SourceType;

use super::{ReservationKind, Resource, Resources};
use crate::ids::{IdError, validate_id};
use crate::roles::{self, RoleError};

/// Where the data of a persistent volume stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeFolder {
    /// The folder; absolute when the work directory is.
    pub path: PathBuf,
    /// The folder is a disk of its own, mounted by the operator: it is emptied, never removed.
    pub is_mount: bool,
}

/// Why a resource has no folder for its data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VolumeFolderError {
    /// It is no persistent volume.
    #[error("{resource} is no persistent volume")]
    NotAVolume {
        /// The resource.
        resource: String,
    },
    /// Volumes belong to roles.
    #[error("the persistent volume {resource} is reserved for no role")]
    Unreserved {
        /// The resource.
        resource: String,
    },
    /// The role would make a bad path.
    #[error("the persistent volume {resource} is reserved for a bad role")]
    Role {
        /// The resource.
        resource: String,
        /// What is wrong.
        source: RoleError,
    },
    /// The persistence id would make a bad path.
    #[error("the persistence id of {resource} cannot name a folder")]
    Id {
        /// The resource.
        resource: String,
        /// What is wrong.
        source: IdError,
    },
    /// Disks of this kind have no folder.
    #[error("{resource} is on a disk of type {found:?}; persistent volumes can be on the root disk, PATH and MOUNT")]
    Source {
        /// The resource.
        resource: String,
        /// The type.
        found: SourceType,
    },
}

impl Resource {
    /// Whether the resource exists only because an operation made it: dynamically reserved, or a persistent volume.
    #[must_use]
    pub fn needs_checkpointing(&self) -> bool {
        self.is_dynamically_reserved() || self.is_persistent_volume()
    }

    /// The resource as the agent's command line has it, before any operation: static reservations and the disk's
    /// source stay, everything else goes.
    #[must_use]
    pub fn before_operations(&self) -> Self {
        let fixed = self.reservations().iter();
        let fixed = fixed.take_while(|reservation| reservation.kind == ReservationKind::Static);
        let fixed = fixed.cloned().collect();
        let source = self.disk().and_then(|disk| disk.source.as_ref()).map(|source| {
            let mut disk = DiskInfo::new();
            disk.source = Some(source.clone()).into();
            disk
        });
        self.with_reservations(fixed).with_disk(source).with_shared(false)
    }

    /// The folder that holds the data of a persistent volume; relative roots of disks are below `work_dir`.
    ///
    /// # Errors
    ///
    /// Says why there is none.
    pub fn volume_folder(&self, work_dir: &Path) -> Result<VolumeFolder, VolumeFolderError> {
        let resource = || self.to_string();
        let id = self
            .persistence_id()
            .ok_or_else(|| VolumeFolderError::NotAVolume { resource: resource() })?;
        let role = self
            .reservation_role()
            .ok_or_else(|| VolumeFolderError::Unreserved { resource: resource() })?;
        roles::validate(role).map_err(|source| VolumeFolderError::Role {
            resource: resource(),
            source,
        })?;
        validate_id(id).map_err(|source| VolumeFolderError::Id {
            resource: resource(),
            source,
        })?;
        // A '/' in a role would read as folders; a space cannot stand in one.
        let below = |root: &Path| root.join("volumes/roles").join(role.replace('/', " ")).join(id);
        let source = self.disk().and_then(|disk| disk.source.as_ref());
        let plain = |path: PathBuf| Ok(VolumeFolder { path, is_mount: false });
        match source.map(|source| (source.type_(), source)) {
            None => plain(below(work_dir)),
            Some((SourceType::PATH, source)) => plain(below(&work_dir.join(source.path.root()))),
            Some((SourceType::MOUNT, source)) => Ok(VolumeFolder {
                path: work_dir.join(source.mount.root()),
                is_mount: true,
            }),
            Some((found, _)) => Err(VolumeFolderError::Source {
                resource: resource(),
                found,
            }),
        }
    }
}

impl Resources {
    /// What has to be kept over a restart of the agent.
    #[must_use]
    pub fn checkpointed(&self) -> Self {
        self.iter()
            .filter(|resource| resource.needs_checkpointing())
            .cloned()
            .collect()
    }

    /// Puts checkpointed reservations and volumes in the place of the resources that they were made of. Gives the
    /// result, and those that do not fit (the agent shrank since).
    #[must_use]
    pub fn with_checkpointed(&self, checkpointed: &Self) -> (Self, Self) {
        let (mut total, mut misfits) = (self.clone(), Self::new());
        for resource in checkpointed.iter() {
            if total.try_subtract(&resource.before_operations().into()).is_ok() {
                total.add_resource(resource.clone());
            } else {
                misfits.add_resource(resource.clone());
            }
        }
        (total, misfits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn volume(role: &str, id: &str, source: &str) -> Resource {
        let text = format!(
            r#"{{"name":"disk","type":"SCALAR","scalar":{{"value":64}},
            "reservations":[{{"type":"DYNAMIC","role":"{role}"}}],
            "disk":{{{source}"persistence":{{"id":"{id}"}},"volume":{{"container_path":"data","mode":"RW"}}}}}}"#
        );
        Resource::from_protobuf(&json::from_str(&text).expect("a message")).expect("a resource")
    }

    #[test]
    fn folders_stand_where_the_layout_says() {
        let path = r#""source":{"type":"PATH","path":{"root":"ROOT"}},"#;
        let mount = r#""source":{"type":"MOUNT","mount":{"root":"/mnt/d1"}},"#;
        let rows = [
            (volume("ops", "v", ""), "/w/volumes/roles/ops/v", false),
            (volume("eng/dev", "v", ""), "/w/volumes/roles/eng dev/v", false),
            (
                volume("ops", "v", &path.replace("ROOT", "/d")),
                "/d/volumes/roles/ops/v",
                false,
            ),
            (
                volume("ops", "v", &path.replace("ROOT", "d")),
                "/w/d/volumes/roles/ops/v",
                false,
            ),
            (volume("ops", "v", mount), "/mnt/d1", true),
        ];
        for (volume, path, is_mount) in rows {
            let path = PathBuf::from(path);
            assert_eq!(
                volume.volume_folder(Path::new("/w")),
                Ok(VolumeFolder { path, is_mount })
            );
        }
    }

    #[test]
    fn what_cannot_be_a_folder_is_refused() {
        let refused = |resource: &Resource| resource.volume_folder(Path::new("/w")).expect_err("refused");
        let raw = r#""source":{"type":"RAW"},"#;
        assert!(matches!(
            refused(&volume("ops", "../../etc", "")),
            VolumeFolderError::Id { .. }
        ));
        assert!(matches!(
            refused(&volume("ops", "v", raw)),
            VolumeFolderError::Source { .. }
        ));
        assert!(matches!(
            refused(&Resource::scalar("disk", 1.0)),
            VolumeFolderError::NotAVolume { .. }
        ));
        let bare = volume("ops", "v", "").with_reservations(Vec::new());
        assert!(matches!(refused(&bare), VolumeFolderError::Unreserved { .. }));
    }

    #[test]
    fn checkpointed_resources_take_the_place_of_what_they_were_made_of() {
        let plain = Resources::parse("cpus:4;disk:100", "*").expect("resources");
        let kept: Resources = volume("ops", "v", "").into();
        let (total, misfits) = plain.with_checkpointed(&kept);
        assert!(misfits.is_empty());
        assert_eq!(total.checkpointed(), kept);
        assert_eq!(total.unreserved().get_scalar("disk").to_f64(), 36.0);
        let small = Resources::parse("cpus:4;disk:10", "*").expect("resources");
        let (total, misfits) = small.with_checkpointed(&kept);
        assert_eq!((total, misfits), (small, kept));
    }
}
