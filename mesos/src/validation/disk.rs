//! Rules for disk information and reservations of a single resource, whoever uses it.

use mesos_proto::v0::mesos;

use crate::ids::{IdError, validate_id};
use crate::resources::Resource;

/// Why a resource with disk information or a reservation is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DiskError {
    /// A persistent volume stands on revocable disk.
    #[error("the persistent volume {0} cannot be revocable")]
    RevocableVolume(String),
    /// A persistent volume stands on disk that anybody may be offered.
    #[error("the persistent volume {0} must be reserved")]
    UnreservedVolume(String),
    /// A persistent volume does not say where a container finds it.
    #[error("the persistent volume {0} must have `disk.volume`")]
    NoVolume(String),
    /// A persistent volume names a place on the host; the agent chooses it.
    #[error("the persistent volume {0} must not have `disk.volume.host_path`")]
    HostPath(String),
    /// A persistence id is malformed.
    #[error("the persistence id `{id}` is invalid")]
    Id {
        /// The id.
        id: String,
        /// What is wrong.
        source: IdError,
    },
    /// A volume is not persistent.
    #[error("{0} has `disk.volume` without `disk.persistence`; only persistent volumes are possible")]
    NotPersistent(String),
    /// Disk information says nothing.
    #[error("{0} has `disk` without anything in it")]
    Empty(String),
    /// Something that may be taken back at any time is dynamically reserved.
    #[error("{0} is dynamically reserved and cannot be revocable")]
    RevocableReservation(String),
}

/// Checks disk information and reservations of one resource, in post-refinement form.
///
/// # Errors
///
/// Names the resource and the rule.
pub fn validate_disk(resource: &Resource) -> Result<(), DiskError> {
    let text = || resource.to_string();
    if resource.is_dynamically_reserved() && resource.is_revocable() {
        return Err(DiskError::RevocableReservation(text()));
    }
    let Some(disk) = resource.disk() else {
        return Ok(());
    };
    if let Some(persistence) = disk.persistence.as_ref() {
        return validate_volume(resource, disk, persistence);
    }
    if disk.volume.is_some() {
        return Err(DiskError::NotPersistent(text()));
    }
    if disk.source.is_none() {
        return Err(DiskError::Empty(text()));
    }
    Ok(())
}

fn validate_volume(
    resource: &Resource,
    disk: &mesos::resource::DiskInfo,
    persistence: &mesos::resource::disk_info::Persistence,
) -> Result<(), DiskError> {
    let text = || resource.to_string();
    if resource.is_revocable() {
        return Err(DiskError::RevocableVolume(text()));
    }
    if resource.is_unreserved() {
        return Err(DiskError::UnreservedVolume(text()));
    }
    let Some(volume) = disk.volume.as_ref() else {
        return Err(DiskError::NoVolume(text()));
    };
    if volume.has_host_path() {
        return Err(DiskError::HostPath(text()));
    }
    validate_id(persistence.id()).map_err(|source| DiskError::Id {
        id: persistence.id().to_owned(),
        source,
    })
}
