//! What kinds of operations there are, and what they work on.

use mesos::ids::ResourceProviderId;
use mesos::resources::Conversion;
use mesos_proto::v0::mesos as proto;
use mesos_proto::v0::mesos::offer::Operation;
use mesos_proto::v0::mesos::offer::operation::Type;

use crate::Resources;

/// Whether the outcome is known before the agent answers, so that it is counted on at once.
pub(super) const fn is_speculative(kind: Type) -> bool {
    match kind {
        Type::RESERVE | Type::UNRESERVE | Type::CREATE | Type::DESTROY | Type::GROW_VOLUME | Type::SHRINK_VOLUME => {
            true
        }
        Type::CREATE_DISK | Type::DESTROY_DISK | Type::LAUNCH | Type::LAUNCH_GROUP | Type::UNKNOWN => false,
    }
}

/// The kind as it stands in the names of metrics; nothing for launches, which have figures of their own.
pub(super) const fn metric_name(kind: Type) -> Option<&'static str> {
    Some(match kind {
        Type::RESERVE => "reserve",
        Type::UNRESERVE => "unreserve",
        Type::CREATE => "create",
        Type::DESTROY => "destroy",
        Type::GROW_VOLUME => "grow_volume",
        Type::SHRINK_VOLUME => "shrink_volume",
        Type::CREATE_DISK => "create_disk",
        Type::DESTROY_DISK => "destroy_disk",
        Type::LAUNCH | Type::LAUNCH_GROUP | Type::UNKNOWN => return None,
    })
}

/// The resources that an operation names, as they stand in it; none for launches.
pub(super) fn named_resources(operation: &Operation) -> Vec<&proto::Resource> {
    match operation.type_() {
        Type::RESERVE => operation
            .reserve
            .resources
            .iter()
            .chain(&operation.reserve.source)
            .collect(),
        Type::UNRESERVE => operation.unreserve.resources.iter().collect(),
        Type::CREATE => operation.create.volumes.iter().collect(),
        Type::DESTROY => operation.destroy.volumes.iter().collect(),
        Type::GROW_VOLUME => vec![&*operation.grow_volume.volume, &*operation.grow_volume.addition],
        Type::SHRINK_VOLUME => vec![&*operation.shrink_volume.volume],
        Type::CREATE_DISK => vec![&*operation.create_disk.source],
        Type::DESTROY_DISK => vec![&*operation.destroy_disk.source],
        Type::LAUNCH | Type::LAUNCH_GROUP | Type::UNKNOWN => Vec::new(),
    }
}

/// The resources of launched tasks and executors that are told in both forms, older and newer, which may contradict
/// each other.
pub(super) fn twofold_resources(operation: &Operation) -> impl Iterator<Item = &proto::Resource> {
    let group = &operation.launch_group;
    let tasks = operation.launch.task_infos.iter().chain(&group.task_group.tasks);
    let own = tasks.flat_map(|task| task.resources.iter().chain(&task.executor.resources));
    let all = own.chain(&group.executor.resources);
    all.filter(|resource| !resource.reservations.is_empty() && (resource.has_role() || resource.reservation.is_some()))
}

/// The resource provider whose resources an operation works on.
pub(super) fn provider_of(operation: &Operation) -> Option<ResourceProviderId> {
    let first = named_resources(operation).into_iter().next()?;
    first.provider_id.as_ref().map(ResourceProviderId::from)
}

/// Everything that conversions take.
pub(super) fn consumed(conversions: &[Conversion]) -> Resources {
    conversions.iter().map(|conversion| &conversion.consumed).sum()
}

/// Conversions as they apply to an agent's own resources, which are allocated to nobody.
pub(super) fn unallocated(conversions: &[Conversion]) -> Vec<Conversion> {
    let each = conversions.iter().map(|conversion| Conversion {
        consumed: conversion.consumed.unallocate(),
        converted: conversion.converted.unallocate(),
    });
    each.collect()
}

/// Conversions that undo others, in the order in which they do.
pub(super) fn reversed(conversions: &[Conversion]) -> Vec<Conversion> {
    let each = conversions.iter().rev().map(|conversion| Conversion {
        consumed: conversion.converted.clone(),
        converted: conversion.consumed.clone(),
    });
    each.collect()
}

/// Applies conversions one after the other; gives nothing when one does not fit.
pub(super) fn converted(resources: &Resources, conversions: &[Conversion]) -> Option<Resources> {
    let mut result = resources.clone();
    for conversion in conversions {
        result.convert(conversion).ok()?;
    }
    Some(result)
}

/// Each shared resource once, however many copies of it there are: that many an agent's total has.
pub(crate) fn once(resources: &Resources) -> Resources {
    resources.iter().cloned().collect()
}
