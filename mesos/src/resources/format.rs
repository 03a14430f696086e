//! Conversion between the three protobuf forms of reservations, and allocation marks, on protobuf messages.
//!
//! | form | `role`, `reservation` | `reservations` |
//! |---|---|---|
//! | pre-refinement | always `role`; `reservation` when dynamic | empty |
//! | post-refinement | unset | the stack |
//! | endpoint | as pre-refinement when the stack has at most one element | the stack |
//!
//! The functions work on messages in place, so that fields unknown here survive. They expect valid resources;
//! [`Resources::from_protobuf`](super::Resources::from_protobuf) checks.
//!
//! Source: shared facts, `libprocess_wire.md` section 8.

use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::mesos;
use mesos_proto::v0::mesos::resource::reservation_info::Type as ReservationType;
use protobuf::MessageField;

use crate::roles::DEFAULT_ROLE;

/// A resource with more than one reservation, which the older form cannot express.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("resource `{name}` has {depth} reservations; the form of older peers can express one")]
pub struct NotExpressible {
    /// Name of the resource.
    pub name: String,
    /// How many reservations it has.
    pub depth: usize,
}

/// Turns a resource into post-refinement form. One that has it stays as it is.
pub fn upgrade(resource: &mut mesos::Resource) {
    if resource.reservations.is_empty() {
        let role = resource.role().to_owned();
        if let Some(mut reservation) = resource.reservation.take() {
            reservation.set_type(ReservationType::DYNAMIC);
            reservation.set_role(role);
            resource.reservations.push(reservation);
        } else if role != DEFAULT_ROLE {
            let mut reservation = mesos::resource::ReservationInfo::new();
            reservation.set_type(ReservationType::STATIC);
            reservation.set_role(role);
            resource.reservations.push(reservation);
        }
    }
    resource.clear_role();
    resource.reservation = MessageField::none();
}

/// Whether the older form can express the resource.
///
/// # Errors
///
/// Names a resource with refined reservations.
pub fn check_downgrade(resource: &mesos::Resource) -> Result<(), NotExpressible> {
    match resource.reservations.len() {
        0 | 1 => Ok(()),
        depth => Err(NotExpressible {
            name: resource.name().to_owned(),
            depth,
        }),
    }
}

/// Turns a resource from post- into pre-refinement form. One that has it stays as it is.
///
/// # Errors
///
/// Refined reservations cannot be expressed; the resource then stays as it is.
pub fn downgrade(resource: &mut mesos::Resource) -> Result<(), NotExpressible> {
    check_downgrade(resource)?;
    fill_old_fields(resource);
    resource.reservations.clear();
    Ok(())
}

/// Turns a resource from post-refinement into endpoint form.
pub fn to_endpoint(resource: &mut mesos::Resource) {
    if resource.reservations.len() <= 1 {
        fill_old_fields(resource);
    }
}

/// Fills `role` and `reservation` from a stack of at most one element.
fn fill_old_fields(resource: &mut mesos::Resource) {
    let Some(reservation) = resource.reservations.first() else {
        if !resource.has_role() {
            resource.set_role(DEFAULT_ROLE.to_owned());
        }
        return;
    };
    let role = reservation.role().to_owned();
    let dynamic = (reservation.type_() == ReservationType::DYNAMIC).then(|| {
        let mut old = reservation.clone();
        old.clear_type_();
        old.clear_role();
        old
    });
    resource.set_role(role);
    resource.reservation = dynamic.into();
}

/// A message that holds resources, possibly deep inside.
pub trait HasResources {
    /// Calls `visit` for every resource in the message.
    fn visit_resources(&mut self, visit: &mut dyn FnMut(&mut mesos::Resource));

    /// Turns all resources of the message into post-refinement form.
    fn upgrade_resources(&mut self) {
        self.visit_resources(&mut upgrade);
    }

    /// Turns all resources of the message into pre-refinement form.
    ///
    /// # Errors
    ///
    /// When one of them cannot be expressed, the message stays as it is.
    fn downgrade_resources(&mut self) -> Result<(), NotExpressible> {
        let mut result = Ok(());
        self.visit_resources(&mut |resource| {
            if result.is_ok() {
                result = check_downgrade(resource);
            }
        });
        result?;
        self.visit_resources(&mut |resource| {
            if resource.reservations.len() <= 1 {
                fill_old_fields(resource);
                resource.reservations.clear();
            }
        });
        Ok(())
    }

    /// Turns all resources of the message into endpoint form.
    fn endpoint_resources(&mut self) {
        self.visit_resources(&mut to_endpoint);
    }

    /// Marks all resources without an allocation as allocated to `role`.
    fn inject_allocation(&mut self, role: &str) {
        self.visit_resources(&mut |resource| {
            if resource.allocation_info.as_ref().is_none_or(|info| !info.has_role()) {
                resource
                    .allocation_info
                    .mut_or_insert_default()
                    .set_role(role.to_owned());
            }
        });
    }

    /// Removes the allocation from all resources.
    fn strip_allocation(&mut self) {
        self.visit_resources(&mut |resource| resource.allocation_info = MessageField::none());
    }
}

impl HasResources for mesos::Resource {
    fn visit_resources(&mut self, visit: &mut dyn FnMut(&mut mesos::Resource)) {
        visit(self);
    }
}

impl<T: HasResources> HasResources for [T] {
    fn visit_resources(&mut self, visit: &mut dyn FnMut(&mut mesos::Resource)) {
        for message in self {
            message.visit_resources(visit);
        }
    }
}

impl<T: HasResources> HasResources for Vec<T> {
    fn visit_resources(&mut self, visit: &mut dyn FnMut(&mut mesos::Resource)) {
        self.as_mut_slice().visit_resources(visit);
    }
}

impl<T: HasResources> HasResources for MessageField<T> {
    fn visit_resources(&mut self, visit: &mut dyn FnMut(&mut mesos::Resource)) {
        if let Some(message) = self.as_mut() {
            message.visit_resources(visit);
        }
    }
}

/// Declares which fields of a message lead to resources.
macro_rules! has_resources {
    ($($type:ty { $($field:ident),* $(,)? })*) => {
        $(impl HasResources for $type {
            fn visit_resources(&mut self, visit: &mut dyn FnMut(&mut mesos::Resource)) {
                $(self.$field.visit_resources(visit);)*
            }
        })*
    };
}

has_resources! {
    mesos::ExecutorInfo { resources }
    mesos::TaskInfo { resources, executor }
    mesos::TaskGroupInfo { tasks }
    mesos::Task { resources }
    mesos::SlaveInfo { resources }
    mesos::Offer { resources }
    mesos::offer::Operation {
        launch, launch_group, reserve, unreserve, create, destroy,
        grow_volume, shrink_volume, create_disk, destroy_disk,
    }
    mesos::offer::operation::Launch { task_infos }
    mesos::offer::operation::LaunchGroup { executor, task_group }
    mesos::offer::operation::Reserve { source, resources }
    mesos::offer::operation::Unreserve { resources }
    mesos::offer::operation::Create { volumes }
    mesos::offer::operation::Destroy { volumes }
    mesos::offer::operation::GrowVolume { volume, addition }
    mesos::offer::operation::ShrinkVolume { volume }
    mesos::offer::operation::CreateDisk { source }
    mesos::offer::operation::DestroyDisk { source }
    mesos::OperationStatus { converted_resources }
    mesos::Operation { info, latest_status, statuses }
    internal::ResourceOffersMessage { offers }
    internal::LaunchTasksMessage { tasks }
    internal::RunTaskMessage { task }
    internal::RunTaskGroupMessage { executor, task_group }
    internal::RegisterSlaveMessage { slave, checkpointed_resources }
    internal::ReregisterSlaveMessage { slave, checkpointed_resources, tasks, executor_infos }
    internal::UpdateSlaveMessage { oversubscribed_resources, operations, resource_providers }
    internal::update_slave_message::Operations { operations }
    internal::update_slave_message::ResourceProvider { total_resources, operations }
    internal::update_slave_message::ResourceProviders { providers }
    internal::CheckpointResourcesMessage { resources }
    internal::ApplyOperationMessage { operation_info }
    internal::UpdateOperationStatusMessage { status, latest_status }
}
