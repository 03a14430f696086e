//! What offer operations do to a bag of resources.
//!
//! Every operation is a list of conversions: some resources vanish and others, of the same quantity, take their place.
//! Launches convert nothing.

use mesos_proto::v0::mesos;
use mesos_proto::v0::mesos::offer::Operation;
use mesos_proto::v0::mesos::offer::operation::Type as OperationType;
use mesos_proto::v0::mesos::resource::disk_info::source::Type as SourceType;

use super::format::HasResources;
use super::{NotContained, ReservationError, Resource, ResourceError, ResourceValue, Resources};
use crate::values::Scalar;

/// Resources that vanish, and those that take their place.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversion {
    /// What is taken.
    pub consumed: Resources,
    /// What comes instead.
    pub converted: Resources,
}

/// Why an operation cannot be applied.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ApplyError {
    /// The type is missing or unknown.
    #[error("the operation has no type that is known here")]
    UnknownType,
    /// The field that belongs to the type is not there.
    #[error("the {operation} operation lacks its field `{field}`")]
    MissingField {
        /// The type.
        operation: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A resource of the operation breaks a rule.
    #[error("a resource of the {operation} operation is invalid")]
    Resource {
        /// The type.
        operation: &'static str,
        /// The rule.
        source: ResourceError,
    },
    /// A resource is not of the kind that the operation works on.
    #[error("{operation} cannot work on {resource}: it must be {wanted}")]
    WrongResource {
        /// The type.
        operation: &'static str,
        /// The resource.
        resource: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// A reservation cannot be taken away.
    #[error("{operation} cannot change a reservation")]
    Reservation {
        /// The type.
        operation: &'static str,
        /// Why.
        source: ReservationError,
    },
    /// A target type that disks cannot be created with.
    #[error("CREATE_DISK cannot make a disk of the type {found}; MOUNT and BLOCK are possible")]
    UnknownTarget {
        /// The type as given.
        found: i32,
    },
    /// Old and new resources have different quantities.
    #[error("{operation} would turn {consumed} into {converted}, which is not the same quantity")]
    QuantityChanged {
        /// The type.
        operation: &'static str,
        /// What would be taken.
        consumed: Resources,
        /// What would come.
        converted: Resources,
    },
    /// The bag does not have what the operation consumes.
    #[error("{operation} wants resources that are not there")]
    NotContained {
        /// The type.
        operation: &'static str,
        /// What is missing from what.
        source: NotContained,
    },
}

impl Resources {
    /// Applies an operation and gives the resulting bag. Launches change nothing.
    ///
    /// # Errors
    ///
    /// The operation must be well formed and what it consumes must be here.
    pub fn apply(&self, operation: &Operation) -> Result<Self, ApplyError> {
        let mut result = self.clone();
        for conversion in conversions(operation)? {
            result.convert(&conversion).map_err(|source| ApplyError::NotContained {
                operation: type_name(operation.type_()),
                source,
            })?;
        }
        Ok(result)
    }

    /// Replaces what `conversion` consumes.
    ///
    /// # Errors
    ///
    /// When that is not here, nothing changes.
    pub fn convert(&mut self, conversion: &Conversion) -> Result<(), NotContained> {
        self.try_subtract(&conversion.consumed)?;
        *self += &conversion.converted;
        Ok(())
    }
}

/// The conversions that an operation stands for; none for launches.
///
/// `CREATE_DISK` and `DESTROY_DISK` give the outcome as far as the operation tells it. The resource provider may add
/// an id or metadata; its answer then replaces this one.
///
/// # Errors
///
/// Names what is missing or unfit in the operation.
pub fn conversions(operation: &Operation) -> Result<Vec<Conversion>, ApplyError> {
    let Some(kind) = operation.type_.and_then(|kind| kind.enum_value().ok()) else {
        return Err(ApplyError::UnknownType);
    };
    let name = type_name(kind);
    let missing = |field| ApplyError::MissingField { operation: name, field };
    let list = match kind {
        OperationType::UNKNOWN => return Err(ApplyError::UnknownType),
        OperationType::LAUNCH | OperationType::LAUNCH_GROUP => Vec::new(),
        OperationType::RESERVE => reserve(operation.reserve.as_ref().ok_or_else(|| missing("reserve"))?)?,
        OperationType::UNRESERVE => {
            let unreserve = operation.unreserve.as_ref().ok_or_else(|| missing("unreserve"))?;
            each(name, &unreserve.resources, |resource| {
                require(
                    name,
                    resource,
                    resource.is_dynamically_reserved(),
                    "dynamically reserved",
                )?;
                let popped = resource.pop_reservation();
                Ok((
                    resource.clone(),
                    popped.map_err(|source| ApplyError::Reservation {
                        operation: name,
                        source,
                    })?,
                ))
            })?
        }
        OperationType::CREATE => {
            let create = operation.create.as_ref().ok_or_else(|| missing("create"))?;
            each(name, &create.volumes, |volume| {
                require(name, volume, volume.is_persistent_volume(), "a persistent volume")?;
                Ok((without_persistence(volume), volume.clone()))
            })?
        }
        OperationType::DESTROY => {
            let destroy = operation.destroy.as_ref().ok_or_else(|| missing("destroy"))?;
            each(name, &destroy.volumes, |volume| {
                require(name, volume, volume.is_persistent_volume(), "a persistent volume")?;
                Ok((volume.clone(), without_persistence(volume)))
            })?
        }
        OperationType::GROW_VOLUME => grow(operation.grow_volume.as_ref().ok_or_else(|| missing("grow_volume"))?)?,
        OperationType::SHRINK_VOLUME => shrink(
            operation
                .shrink_volume
                .as_ref()
                .ok_or_else(|| missing("shrink_volume"))?,
        )?,
        OperationType::CREATE_DISK => {
            create_disk(operation.create_disk.as_ref().ok_or_else(|| missing("create_disk"))?)?
        }
        OperationType::DESTROY_DISK => {
            destroy_disk(operation.destroy_disk.as_ref().ok_or_else(|| missing("destroy_disk"))?)?
        }
    };
    for conversion in &list {
        check_quantity(name, conversion)?;
    }
    Ok(list)
}

/// Marks the resources of an operation as allocated to `role`, for frameworks that cannot do so themselves. Launched
/// executors and tasks are included.
pub fn inject_allocation_into_operation(operation: &mut Operation, role: &str) {
    operation.inject_allocation(role);
}

/// Removes the allocation from the resources of an operation, as what an agent has is allocated to nobody.
pub fn strip_allocation_from_operation(operation: &mut Operation) {
    operation.strip_allocation();
}

const fn type_name(kind: OperationType) -> &'static str {
    match kind {
        OperationType::UNKNOWN => "UNKNOWN",
        OperationType::LAUNCH => "LAUNCH",
        OperationType::LAUNCH_GROUP => "LAUNCH_GROUP",
        OperationType::RESERVE => "RESERVE",
        OperationType::UNRESERVE => "UNRESERVE",
        OperationType::CREATE => "CREATE",
        OperationType::DESTROY => "DESTROY",
        OperationType::GROW_VOLUME => "GROW_VOLUME",
        OperationType::SHRINK_VOLUME => "SHRINK_VOLUME",
        OperationType::CREATE_DISK => "CREATE_DISK",
        OperationType::DESTROY_DISK => "DESTROY_DISK",
    }
}

fn require(operation: &'static str, resource: &Resource, holds: bool, wanted: &'static str) -> Result<(), ApplyError> {
    if holds {
        return Ok(());
    }
    Err(ApplyError::WrongResource {
        operation,
        resource: resource.to_string(),
        wanted,
    })
}

fn read(operation: &'static str, message: Option<&mesos::Resource>) -> Result<Resource, ApplyError> {
    let message = message.ok_or(ApplyError::MissingField {
        operation,
        field: "resource",
    })?;
    Resource::from_protobuf(message).map_err(|source| ApplyError::Resource { operation, source })
}

/// One conversion a resource; `convert` gives what is consumed and what comes instead.
fn each(
    operation: &'static str,
    messages: &[mesos::Resource],
    convert: impl Fn(&Resource) -> Result<(Resource, Resource), ApplyError>,
) -> Result<Vec<Conversion>, ApplyError> {
    let resources = Resources::from_protobuf(messages);
    let resources = resources.map_err(|source| ApplyError::Resource { operation, source })?;
    resources
        .iter()
        .map(|resource| {
            let (consumed, converted) = convert(resource)?;
            Ok(Conversion {
                consumed: consumed.into(),
                converted: converted.into(),
            })
        })
        .collect()
}

/// Reservations come from the resources one level below, or from `source` when a reservation is being replaced.
fn reserve(reserve: &mesos::offer::operation::Reserve) -> Result<Vec<Conversion>, ApplyError> {
    let name = "RESERVE";
    let plain = each(name, &reserve.resources, |resource| {
        require(
            name,
            resource,
            resource.is_dynamically_reserved(),
            "dynamically reserved",
        )?;
        let popped = resource.pop_reservation();
        Ok((
            popped.map_err(|source| ApplyError::Reservation {
                operation: name,
                source,
            })?,
            resource.clone(),
        ))
    })?;
    if reserve.source.is_empty() {
        return Ok(plain);
    }
    let consumed = Resources::from_protobuf(&reserve.source);
    let consumed = consumed.map_err(|source| ApplyError::Resource {
        operation: name,
        source,
    })?;
    let converted = plain.into_iter().map(|conversion| conversion.converted).sum();
    Ok(vec![Conversion { consumed, converted }])
}

/// The disk that a volume was made of: without persistence, volume and sharing.
fn without_persistence(volume: &Resource) -> Resource {
    let disk = volume.disk().and_then(|disk| {
        let mut disk = disk.clone();
        disk.persistence = protobuf::MessageField::none();
        disk.volume = protobuf::MessageField::none();
        (disk != mesos::resource::DiskInfo::new()).then_some(disk)
    });
    volume.with_disk(disk).with_shared(false)
}

fn size_of(operation: &'static str, resource: &Resource) -> Result<Scalar, ApplyError> {
    resource.scalar_value().ok_or_else(|| ApplyError::WrongResource {
        operation,
        resource: resource.to_string(),
        wanted: "a quantity",
    })
}

fn grow(grow: &mesos::offer::operation::GrowVolume) -> Result<Vec<Conversion>, ApplyError> {
    let name = "GROW_VOLUME";
    let volume = read(name, grow.volume.as_ref())?;
    let addition = read(name, grow.addition.as_ref())?;
    require(
        name,
        &volume,
        volume.is_persistent_volume() && !volume.is_shared(),
        "an unshared persistent volume",
    )?;
    require(name, &addition, !addition.is_persistent_volume(), "free disk")?;
    let size = size_of(name, &volume)? + size_of(name, &addition)?;
    let plain = without_persistence(&volume);
    require(
        name,
        &addition,
        plain.merges_with(&addition),
        "of the same disk and reservation as the volume",
    )?;
    let converted = volume.with_value(ResourceValue::Scalar(size));
    let consumed = [volume, addition].into_iter().collect();
    Ok(vec![Conversion {
        consumed,
        converted: converted.into(),
    }])
}

fn shrink(shrink: &mesos::offer::operation::ShrinkVolume) -> Result<Vec<Conversion>, ApplyError> {
    let name = "SHRINK_VOLUME";
    let volume = read(name, shrink.volume.as_ref())?;
    require(
        name,
        &volume,
        volume.is_persistent_volume() && !volume.is_shared(),
        "an unshared persistent volume",
    )?;
    let missing = ApplyError::MissingField {
        operation: name,
        field: "subtract",
    };
    let freed = shrink.subtract.as_ref().map(Scalar::from).ok_or(missing)?;
    let left = size_of(name, &volume)?
        .checked_sub(freed)
        .filter(|left| left.is_positive() && freed.is_positive());
    let Some(left) = left else {
        return Err(ApplyError::WrongResource {
            operation: name,
            resource: volume.to_string(),
            wanted: "larger than what is subtracted, which must be above zero",
        });
    };
    let divisible = !without_persistence(&volume).is_indivisible();
    require(name, &volume, divisible, "on a disk that can be divided")?;
    let rest = without_persistence(&volume).with_value(ResourceValue::Scalar(freed));
    let smaller = volume.with_value(ResourceValue::Scalar(left));
    Ok(vec![Conversion {
        consumed: volume.into(),
        converted: [smaller, rest].into_iter().collect(),
    }])
}

fn create_disk(create: &mesos::offer::operation::CreateDisk) -> Result<Vec<Conversion>, ApplyError> {
    let name = "CREATE_DISK";
    let source = read(name, create.source.as_ref())?;
    require(
        name,
        &source,
        source.disk_source() == Some(SourceType::RAW),
        "a RAW disk",
    )?;
    let target = create.target_type.and_then(|kind| kind.enum_value().ok());
    let target = target
        .filter(|kind| matches!(kind, SourceType::MOUNT | SourceType::BLOCK))
        .ok_or_else(|| ApplyError::UnknownTarget {
            found: create.target_type.map_or(0, |kind| kind.value()),
        })?;
    let converted = with_source(&source, |disk_source| {
        disk_source.set_type(target);
        if create.has_target_profile() {
            disk_source.set_profile(create.target_profile().to_owned());
        }
    });
    Ok(vec![Conversion {
        consumed: source.into(),
        converted: converted.into(),
    }])
}

fn destroy_disk(destroy: &mesos::offer::operation::DestroyDisk) -> Result<Vec<Conversion>, ApplyError> {
    let name = "DESTROY_DISK";
    let source = read(name, destroy.source.as_ref())?;
    let fits = matches!(
        source.disk_source(),
        Some(SourceType::MOUNT | SourceType::BLOCK | SourceType::RAW)
    );
    require(
        name,
        &source,
        fits && !source.is_persistent_volume(),
        "a MOUNT, BLOCK or RAW disk without a volume",
    )?;
    let converted = with_source(&source, |disk_source| {
        disk_source.set_type(SourceType::RAW);
        disk_source.mount = protobuf::MessageField::none();
    });
    Ok(vec![Conversion {
        consumed: source.into(),
        converted: converted.into(),
    }])
}

fn with_source(resource: &Resource, change: impl FnOnce(&mut mesos::resource::disk_info::Source)) -> Resource {
    let mut disk = resource.disk().cloned().unwrap_or_default();
    change(disk.source.mut_or_insert_default());
    resource.with_disk(Some(disk))
}

/// The rule above all others: a conversion neither makes nor loses anything.
fn check_quantity(operation: &'static str, conversion: &Conversion) -> Result<(), ApplyError> {
    let plain = |resources: &Resources| {
        let mut values: Vec<(String, ResourceValue)> = Vec::new();
        for resource in resources.iter() {
            match values.iter_mut().find(|(name, _)| name == resource.name().as_str()) {
                Some((_, value)) => value.add(resource.value()),
                None => values.push((resource.name().to_string(), resource.value().clone())),
            }
        }
        values.sort_by(|left, right| left.0.cmp(&right.0));
        values
    };
    if plain(&conversion.consumed) == plain(&conversion.converted) {
        return Ok(());
    }
    Err(ApplyError::QuantityChanged {
        operation,
        consumed: conversion.consumed.clone(),
        converted: conversion.converted.clone(),
    })
}
