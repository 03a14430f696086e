//! Resources in the form in which they travel: reservations before and after refinement, and the allocation role.
//!
//! Inside the agent every resource stands in the post-refinement form. Messages to the master and most checkpoints
//! carry the pre-refinement form wherever it can say the same; a stack of two or more reservations cannot be said that
//! way and stays.
//!
//! Source: shared facts, `libprocess_wire.md` section 8, "Reservation formats".

use mesos_proto::v0::mesos as pb;
use pb::resource::reservation_info::Type as ReservationType;
use protobuf::MessageField;

/// Brings resources into the post-refinement form.
pub(crate) fn upgrade(resources: &mut [pb::Resource]) {
    for resource in resources {
        upgrade_one(resource);
    }
}

fn upgrade_one(resource: &mut pb::Resource) {
    let role = resource.role.take().filter(|role| role != "*");
    let reservation = resource.reservation.take();
    let Some(role) = role else { return };
    if !resource.reservations.is_empty() {
        return;
    }
    let mut upgraded = pb::resource::ReservationInfo::new();
    upgraded.set_type(if reservation.is_some() {
        ReservationType::DYNAMIC
    } else {
        ReservationType::STATIC
    });
    upgraded.set_role(role);
    if let Some(reservation) = reservation {
        upgraded.principal = reservation.principal;
        upgraded.labels = reservation.labels;
    }
    resource.reservations.push(upgraded);
}

/// Brings resources into the pre-refinement form as far as it can say the same.
pub(crate) fn downgrade(resources: &mut [pb::Resource]) {
    for resource in resources {
        downgrade_one(resource);
    }
}

fn downgrade_one(resource: &mut pb::Resource) {
    if resource.role.is_some() || resource.reservations.len() > 1 {
        return;
    }
    let Some(reservation) = resource.reservations.pop() else {
        resource.set_role("*".to_owned());
        return;
    };
    resource.set_role(reservation.role().to_owned());
    if reservation.type_() == ReservationType::DYNAMIC {
        let mut downgraded = pb::resource::ReservationInfo::new();
        downgraded.principal = reservation.principal;
        downgraded.labels = reservation.labels;
        resource.reservation = MessageField::some(downgraded);
    }
}

/// The description of an agent in the pre-refinement form.
pub(crate) fn downgraded_agent(info: &pb::SlaveInfo) -> pb::SlaveInfo {
    let mut info = info.clone();
    downgrade(&mut info.resources);
    info
}

/// The description of an executor in the pre-refinement form.
pub(crate) fn downgraded_executor(info: &pb::ExecutorInfo) -> pb::ExecutorInfo {
    let mut info = info.clone();
    downgrade(&mut info.resources);
    info
}

/// A task in the pre-refinement form.
pub(crate) fn downgraded_task(task: &pb::Task) -> pb::Task {
    let mut task = task.clone();
    downgrade(&mut task.resources);
    task
}

/// The only role of a framework; none when it has several or takes part in none.
pub(crate) fn only_role(framework: &pb::FrameworkInfo) -> Option<&str> {
    use pb::framework_info::capability::Type;
    let multi_role = framework
        .capabilities
        .iter()
        .any(|capability| capability.type_() == Type::MULTI_ROLE);
    if !multi_role {
        return Some(framework.role());
    }
    match framework.roles.as_slice() {
        [role] => Some(role),
        _ => None,
    }
}

/// Gives resources without an allocation the framework's only role; masters before multi-role frameworks sent none.
pub(crate) fn inject_allocation(resources: &mut [pb::Resource], role: Option<&str>) {
    let Some(role) = role else { return };
    for resource in resources {
        if resource.allocation_info.is_none() {
            resource
                .allocation_info
                .mut_or_insert_default()
                .set_role(role.to_owned());
        }
    }
}

/// The role that resources are allocated to.
pub(crate) fn allocation_role(resources: &[pb::Resource]) -> Option<&str> {
    resources
        .iter()
        .find_map(|resource| resource.allocation_info.as_ref()?.role.as_deref())
}

/// A scalar resource allocated to `role`.
pub(crate) fn scalar(name: &str, value: f64, role: Option<&str>) -> pb::Resource {
    let mut resource = pb::Resource::new();
    resource.set_name(name.to_owned());
    resource.set_type(pb::value::Type::SCALAR);
    resource.scalar.mut_or_insert_default().set_value(value);
    if let Some(role) = role {
        resource
            .allocation_info
            .mut_or_insert_default()
            .set_role(role.to_owned());
    }
    resource
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reserved(kind: ReservationType, role: &str) -> pb::Resource {
        let mut resource = scalar("cpus", 1.0, None);
        let mut reservation = pb::resource::ReservationInfo::new();
        reservation.set_type(kind);
        reservation.set_role(role.to_owned());
        if kind == ReservationType::DYNAMIC {
            reservation.set_principal("p".to_owned());
        }
        resource.reservations.push(reservation);
        resource
    }

    #[test]
    fn each_expressible_form_survives_both_ways() {
        let forms = [
            scalar("cpus", 1.0, Some("r")),
            reserved(ReservationType::STATIC, "r"),
            reserved(ReservationType::DYNAMIC, "r"),
        ];
        for form in forms {
            let mut list = vec![form.clone()];
            downgrade(&mut list);
            assert!(list[0].role.is_some() && list[0].reservations.is_empty());
            upgrade(&mut list);
            assert_eq!(list[0], form);
        }
    }

    #[test]
    fn refined_reservations_stay_as_they_are() {
        let mut refined = reserved(ReservationType::STATIC, "a");
        refined
            .reservations
            .extend(reserved(ReservationType::DYNAMIC, "a/b").reservations);
        let mut list = vec![refined.clone()];
        downgrade(&mut list);
        assert_eq!(list[0], refined);
    }

    #[test]
    fn allocation_comes_from_the_only_role() {
        let mut framework = pb::FrameworkInfo::new();
        assert_eq!(only_role(&framework), Some("*"));
        let mut capability = pb::framework_info::Capability::new();
        capability.set_type(pb::framework_info::capability::Type::MULTI_ROLE);
        framework.capabilities.push(capability);
        framework.roles = vec!["a".to_owned()];
        assert_eq!(only_role(&framework), Some("a"));
        framework.roles.push("b".to_owned());
        assert_eq!(only_role(&framework), None);

        let mut list = vec![scalar("cpus", 1.0, None), scalar("mem", 1.0, Some("x"))];
        inject_allocation(&mut list, Some("a"));
        assert_eq!(allocation_role(&list), Some("a"));
        assert_eq!(allocation_role(&list[1..]), Some("x"));
    }
}
