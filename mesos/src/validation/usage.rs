//! Rules for resources that belong to one user: a task, an executor, a task with its executor.

use std::collections::{BTreeMap, BTreeSet};

use mesos_proto::v0::mesos;
use mesos_proto::v0::mesos::resource::DiskInfo;

use super::disk::{DiskError, validate_disk};
use crate::resources::{Resource, ResourceError, ResourceValue, Resources};
use crate::values::{Ranges, Scalar, Set};

/// Why resources cannot be used together.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum UsageError {
    /// A resource is invalid by itself.
    #[error("a resource is invalid")]
    Invalid(#[from] ResourceError),
    /// Disk information or a reservation breaks a rule.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Resources are allocated to different roles.
    #[error("the resources are allocated to both `{first}` and `{second}`; one role is possible")]
    MixedRoles {
        /// One role.
        first: String,
        /// Another.
        second: String,
    },
    /// Revocable and other resources of one name are mixed.
    #[error("`{name}` is used both as revocable and as not revocable")]
    MixedRevocable {
        /// Name of the resource.
        name: String,
    },
    /// A persistent volume stands there twice.
    #[error("the persistent volume `{id}` is used twice")]
    DuplicateVolume {
        /// Id of the volume.
        id: String,
    },
    /// Ranges or sets of one name stand in the resources of two users.
    #[error("`{name}` is used by more than one: {shared} stands there twice")]
    Overlap {
        /// Name of the resource.
        name: String,
        /// What both use.
        shared: String,
    },
    /// A part of a GPU is asked for.
    #[error("{amount} gpus are asked for; only whole ones can be used")]
    FractionalGpus {
        /// The quantity.
        amount: Scalar,
    },
}

/// Reads resources of one user and checks each and all of them. Quantities below a thousandth count as nothing and are
/// fine.
///
/// # Errors
///
/// Names the resource and the rule.
pub fn read_usage(messages: &[mesos::Resource]) -> Result<Resources, UsageError> {
    let resources = Resources::from_protobuf(messages)?;
    resources.iter().try_for_each(validate_disk)?;
    validate_volumes(messages)?;
    validate_together(&resources)?;
    Ok(resources)
}

/// What a bag of resources does not show: a shared volume that is named twice, and empty disk information.
fn validate_volumes(messages: &[mesos::Resource]) -> Result<(), UsageError> {
    let mut seen = BTreeSet::new();
    for message in messages {
        // Reading drops disk information that says nothing.
        let says_nothing =
            |disk: &DiskInfo| disk.persistence.is_none() && disk.volume.is_none() && disk.source.is_none();
        if message.disk.as_ref().is_some_and(says_nothing) {
            return Err(DiskError::Empty(message.name().to_owned()).into());
        }
        let Some(persistence) = message.disk.persistence.as_ref() else {
            continue;
        };
        let role = message
            .reservations
            .last()
            .map_or(message.role(), |reservation| reservation.role());
        if !seen.insert((role, persistence.id())) {
            return Err(UsageError::DuplicateVolume {
                id: persistence.id().to_owned(),
            });
        }
    }
    Ok(())
}

/// Checks that the ranges and sets of several users have nothing in common: no port is two tasks' port.
///
/// # Errors
///
/// Names the resource and what two users have.
pub fn validate_disjoint<'a>(users: impl IntoIterator<Item = &'a Resources>) -> Result<(), UsageError> {
    let mut ranges: BTreeMap<String, Ranges> = BTreeMap::new();
    let mut sets: BTreeMap<String, Set> = BTreeMap::new();
    for resource in users.into_iter().flat_map(Resources::iter) {
        let name = resource.name().to_string();
        let shared = match resource.value() {
            ResourceValue::Scalar(_) => continue,
            ResourceValue::Ranges(own) => {
                let known = ranges.entry(name.clone()).or_default();
                let shared = known.intersection(own);
                *known = known.union(own);
                (!shared.is_empty()).then(|| shared.to_string())
            }
            ResourceValue::Set(own) => {
                let known = sets.entry(name.clone()).or_default();
                let shared = known.intersection(own);
                *known = known.union(own);
                (!shared.is_empty()).then(|| shared.to_string())
            }
        };
        if let Some(shared) = shared {
            return Err(UsageError::Overlap { name, shared });
        }
    }
    Ok(())
}

/// Checks resources that are used together: one role, no mix of revocable and other ones of a name, whole GPUs.
///
/// # Errors
///
/// Names the rule with what breaks it.
pub fn validate_together(resources: &Resources) -> Result<(), UsageError> {
    let mut roles = resources.iter().filter_map(Resource::allocation_role);
    if let Some(first) = roles.next()
        && let Some(second) = roles.find(|role| *role != first)
    {
        return Err(UsageError::MixedRoles {
            first: first.to_owned(),
            second: second.to_owned(),
        });
    }
    for resource in resources.iter().filter(|resource| resource.is_revocable()) {
        if resources
            .iter()
            .any(|other| other.name() == resource.name() && !other.is_revocable())
        {
            return Err(UsageError::MixedRevocable {
                name: resource.name().to_string(),
            });
        }
    }
    let amount = resources.gpus();
    if amount.thousandths() % 1000 != 0 {
        return Err(UsageError::FractionalGpus { amount });
    }
    Ok(())
}
