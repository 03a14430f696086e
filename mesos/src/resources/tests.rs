//! Behaviour of resources as a whole.

use mesos_proto::v0::mesos;
use mesos_proto::v0::mesos::offer::Operation;
use mesos_proto::v0::mesos::offer::operation::Type as OperationType;
use protobuf::MessageField;

use super::format::{self, HasResources};
use super::*;
use crate::values::Scalar;

fn bag(text: &str) -> Resources {
    Resources::parse(text, "*").expect("good text")
}

fn dynamic(text: &str, role: &str) -> Resources {
    bag(text)
        .push_reservation(&Reservation::dynamic(role, Some("ops")))
        .expect("a fresh reservation")
}

fn volume(mb: f64, id: &str) -> Resource {
    let mut disk = mesos::resource::DiskInfo::new();
    disk.persistence.mut_or_insert_default().set_id(id.to_owned());
    disk.volume
        .mut_or_insert_default()
        .set_container_path("data".to_owned());
    Resource::scalar("disk", mb)
        .with_reservations(vec![Reservation::dynamic("role", Some("ops"))])
        .with_disk(Some(disk))
}

fn operation(kind: OperationType, fill: impl FnOnce(&mut Operation)) -> Operation {
    let mut operation = Operation::new();
    operation.set_type(kind);
    fill(&mut operation);
    operation
}

#[test]
fn text_is_read_merged_and_printed() {
    let resources = bag("cpus:4; mem(role):512;ports:[31000-32000]; cpus:0.5;zones:{a,b};gpus:0");
    assert_eq!(
        resources.to_string(),
        "cpus:4.5; mem(reservations: [(STATIC,role)]):512; ports:[31000-32000]; zones:{a, b}"
    );
    assert_eq!(resources.cpus(), Scalar::from_f64(4.5));
    assert_eq!(resources.ports().count(), 1001);
    assert_eq!(resources.get_scalar("mem"), Scalar::from_whole(512));
    assert_eq!(Resources::new().to_string(), "{}");
    assert_eq!(
        Resources::parse("cpus:1", "ops").expect("good").reserved("ops").len(),
        1
    );
}

#[test]
fn broken_text_names_the_entry() {
    use ResourceError as E;
    assert!(matches!(Resources::parse("cpus", "*"), Err(E::MalformedEntry { .. })));
    assert!(matches!(
        Resources::parse("cpus(a:1", "*"),
        Err(E::MalformedEntry { .. })
    ));
    assert!(matches!(Resources::parse(":1", "*"), Err(E::MalformedEntry { .. })));
    assert!(matches!(Resources::parse("cpus(a//b):1", "*"), Err(E::Role { .. })));
    assert!(matches!(Resources::parse("cpus:many", "*"), Err(E::TextValue { .. })));
    assert!(matches!(Resources::parse("ports:[1-", "*"), Err(E::Value { .. })));
    assert!(matches!(Resources::parse("cpus:-1", "*"), Err(E::Value { .. })));
    assert!(matches!(
        Resources::parse("cpus:1;cpus:[1-2]", "*"),
        Err(E::MixedTypes { .. })
    ));
}

#[test]
fn each_rule_about_one_resource_has_its_own_error() {
    use ResourceError as E;
    let base = || Resource::scalar("cpus", 1.0).to_protobuf();
    let error = |change: &dyn Fn(&mut mesos::Resource)| {
        let mut message = base();
        change(&mut message);
        Resource::from_protobuf(&message).expect_err("a broken resource")
    };
    assert!(matches!(error(&|r| r.set_name(String::new())), E::EmptyName));
    assert!(matches!(error(&|r| r.type_ = None), E::UnsupportedType { .. }));
    assert!(matches!(
        error(&|r| r.set_type(mesos::value::Type::TEXT)),
        E::UnsupportedType { .. }
    ));
    assert!(matches!(
        error(&|r| r.scalar = MessageField::none()),
        E::WrongValue { expected: "scalar", .. }
    ));
    assert!(matches!(
        error(&|r| r.set_type(mesos::value::Type::SET)),
        E::WrongValue { expected: "set", .. }
    ));
    for value in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            error(&|r| r.scalar.mut_or_insert_default().set_value(value)),
            E::UnusableScalar { .. }
        ));
    }
    assert!(matches!(
        error(&|r| r.disk = Some(mesos::resource::DiskInfo::new()).into()),
        E::DiskInfoOnOther { .. }
    ));
    assert!(matches!(error(&|r| r.set_role("a b".to_owned())), E::Role { .. }));
    let reservation = |kind: Option<mesos::resource::reservation_info::Type>, role: Option<&str>| {
        let mut info = mesos::resource::ReservationInfo::new();
        info.type_ = kind.map(Into::into);
        info.role = role.map(str::to_owned);
        info
    };
    let (fixed, dynamic) = (
        Some(mesos::resource::reservation_info::Type::STATIC),
        Some(mesos::resource::reservation_info::Type::DYNAMIC),
    );
    assert!(matches!(
        error(&|r| r.reservation = Some(reservation(None, None)).into()),
        E::ReservedForDefaultRole { .. }
    ));
    assert!(matches!(
        error(&|r| r.reservation = Some(reservation(dynamic, None)).into()),
        E::RefinedFieldInOldReservation { field: "type", .. }
    ));
    assert!(matches!(
        error(&|r| r.reservations = vec![reservation(None, Some("a"))]),
        E::ReservationWithoutType { .. }
    ));
    assert!(matches!(
        error(&|r| r.reservations = vec![reservation(fixed, None)]),
        E::ReservationWithoutRole { .. }
    ));
    assert!(matches!(
        error(&|r| r.reservations = vec![reservation(dynamic, Some("a")), reservation(fixed, Some("a/b"))]),
        E::StaticRefinement { .. }
    ));
    assert!(matches!(
        error(&|r| r.reservations = vec![reservation(dynamic, Some("a")), reservation(dynamic, Some("b"))]),
        E::NotASubrole { .. }
    ));
    assert!(matches!(
        error(&|r| {
            r.set_role("b".to_owned());
            r.reservations = vec![reservation(dynamic, Some("a"))];
        }),
        E::ConflictingFormats { field: "role", .. }
    ));
    assert!(matches!(
        error(&|r| r.shared = Some(mesos::resource::SharedInfo::new()).into()),
        E::SharedNotPersistent { .. }
    ));
}

#[test]
fn tiny_quantities_vanish() {
    let mut message = Resource::scalar("cpus", 1.0).to_protobuf();
    message.scalar.mut_or_insert_default().set_value(0.0004);
    assert!(Resources::from_protobuf([&message]).expect("valid").is_empty());
}

#[test]
fn subtraction_never_takes_more_than_there_is() {
    let mut all = bag("cpus:4;mem:512;ports:[1-10]");
    let too_much = bag("cpus:1;mem:513");
    assert!(!all.contains(&too_much));
    assert!(all.try_subtract(&too_much).is_err());
    assert_eq!(all, bag("cpus:4;mem:512;ports:[1-10]"));
    all.try_subtract(&bag("cpus:4;ports:[3-4]")).expect("contained");
    assert_eq!(all.to_string(), "mem:512; ports:[1-2, 5-10]");
    assert_eq!(&all - &too_much, bag("ports:[1-2,5-10]"));
}

#[test]
fn different_reservations_do_not_merge() {
    let all = &(&bag("cpus:1;cpus(a):2") + &dynamic("cpus:4", "a")) + &dynamic("cpus:8", "a/b");
    assert_eq!(all.len(), 4);
    assert_eq!(all.reserved("a").cpus(), Scalar::from_whole(6));
    assert_eq!(all.unreserved().cpus(), Scalar::from_whole(1));
    assert_eq!(
        all.reservations().keys().map(|role| &**role).collect::<Vec<_>>(),
        ["a", "a/b"]
    );
    assert_eq!(all.allocatable_to("a/b").cpus(), Scalar::from_whole(15));
    assert_eq!(all.allocatable_to("c").cpus(), Scalar::from_whole(1));
    assert_eq!(all.to_unreserved(), bag("cpus:15"));
}

#[test]
fn refinement_pushes_and_pops() {
    let refined = dynamic("cpus:1", "a")
        .push_reservation(&Reservation::dynamic("a/b", None))
        .expect("a sub-role");
    assert_eq!(
        refined.to_string(),
        "cpus(reservations: [(DYNAMIC,a,ops),(DYNAMIC,a/b)]):1"
    );
    assert_eq!(refined.pop_reservation().expect("reserved"), dynamic("cpus:1", "a"));
    let beside = dynamic("cpus:1", "a").push_reservation(&Reservation::dynamic("b", None));
    assert!(matches!(beside, Err(ReservationError::NotASubrole { .. })));
    assert!(matches!(
        bag("cpus:1").pop_reservation(),
        Err(ReservationError::NotReserved { .. })
    ));
}

#[test]
fn allocation_is_part_of_a_resource() {
    let all = &bag("cpus:1").allocate("a") + &bag("cpus:2").allocate("b");
    assert_eq!(all.len(), 2);
    assert_eq!(all.allocated_to("b").cpus(), Scalar::from_whole(2));
    assert_eq!(all.allocations().len(), 2);
    assert!(!all.contains(&bag("cpus:1")));
    assert_eq!(all.unallocate(), bag("cpus:3"));
    assert_eq!(bag("cpus:1").allocate("a").to_string(), "cpus(allocated: a):1");
}

#[test]
fn labels_are_compared_without_order() {
    let labelled = |keys: [&str; 2]| {
        let mut reservation = Reservation::dynamic("a", None);
        let labels = reservation.labels.get_or_insert_default();
        for key in keys {
            let mut label = mesos::Label::new();
            label.set_key(key.to_owned());
            labels.labels.push(label);
        }
        bag("cpus:1").push_reservation(&reservation).expect("fresh")
    };
    assert_eq!(labelled(["x", "y"]), labelled(["y", "x"]));
    assert_ne!(labelled(["x", "x"]), labelled(["y", "x"]));
}

#[test]
fn shared_volumes_are_counted() {
    let shared: Resources = volume(64.0, "v").with_shared(true).into();
    let twice = &shared + &shared;
    assert_eq!(twice.len(), 1);
    assert_eq!(twice.disk(), Scalar::from_whole(64));
    assert!(twice.contains(&twice) && !shared.contains(&twice));
    let once = &twice - &shared;
    assert_eq!(once, shared);
    assert!((&once - &shared).is_empty());
}

#[test]
fn volumes_are_indivisible_and_use_does_not_identify_them() {
    let all: Resources = [volume(64.0, "a"), volume(64.0, "b")].into_iter().collect();
    assert_eq!(all.len(), 2);
    assert!(!all.contains(&volume(32.0, "a").into()));
    let mut disk = volume(64.0, "a").disk().cloned().unwrap_or_default();
    disk.volume
        .mut_or_insert_default()
        .set_container_path("elsewhere".to_owned());
    assert!(all.contains(&volume(64.0, "a").with_disk(Some(disk)).into()));
    assert_eq!(
        volume(64.0, "a").to_string(),
        "disk(reservations: [(DYNAMIC,role,ops)])[a:data]:64"
    );
}

#[test]
fn find_prefers_the_same_role_then_unreserved() {
    let all = bag("cpus:2;cpus(a):1;cpus(b):4");
    let found = all.find(&bag("cpus(a):2")).expect("enough");
    assert_eq!(found, bag("cpus(a):1;cpus:1"));
    assert_eq!(all.find(&bag("cpus:5")).expect("enough").unreserved(), bag("cpus:2"));
    assert_eq!(all.find(&bag("cpus:8")), None);
}

#[test]
fn forms_convert_both_ways() {
    let mut resources = (&bag("cpus:1;mem(a):2") + &dynamic("disk:3", "b")).to_protobuf();
    let post = resources.clone();
    resources.downgrade_resources().expect("no refinement");
    assert_eq!(resources[0].role.as_deref(), Some("*"));
    assert_eq!(resources[1].role.as_deref(), Some("a"));
    assert!(resources[1].reservation.is_none() && resources[1].reservations.is_empty());
    assert_eq!(resources[2].reservation.principal(), "ops");
    assert!(!resources[2].reservation.has_role() && !resources[2].reservation.has_type());
    assert_eq!(Resources::from_protobuf(&resources), Resources::from_protobuf(&post));
    resources.upgrade_resources();
    assert_eq!(resources, post);
    resources.endpoint_resources();
    assert_eq!(resources[2].role(), "b");
    assert_eq!(resources[2].reservations.len(), 1);
    assert_eq!(Resources::from_protobuf(&resources), Resources::from_protobuf(&post));
}

#[test]
fn refined_resources_cannot_be_downgraded() {
    let refined = dynamic("cpus:1", "a")
        .push_reservation(&Reservation::dynamic("a/b", None))
        .expect("a sub-role");
    let mut task = mesos::TaskInfo::new();
    task.resources = (&bag("mem:1") + &refined).to_protobuf();
    let before = task.clone();
    assert_eq!(task.downgrade_resources().expect_err("refined").depth, 2);
    assert_eq!(task, before);
    let mut endpoint = refined.to_protobuf();
    endpoint.endpoint_resources();
    assert!(!endpoint[0].has_role());
    assert!(format::check_downgrade(&endpoint[0]).is_err());
}

#[test]
fn summaries_look_like_the_recorded_ones() {
    let resources = bag("cpus:0.25;mem:64;disk:32;ports:[31005-31006];seats:2;zones:{a,\"b}");
    assert_eq!(
        resources.to_summary_json(),
        r#"{"disk":32.0,"mem":64.0,"gpus":0.0,"cpus":0.25,"seats":2.0,"ports":"[31005-31006]","zones":"{\"b, a}"}"#
    );
    assert_eq!(
        Resources::new().to_summary_json(),
        r#"{"disk":0.0,"mem":0.0,"gpus":0.0,"cpus":0.0}"#
    );
    let revocable: Resources = Resource::scalar("cpus", 2.0).with_revocable().into();
    assert!(
        revocable
            .to_summary_json()
            .ends_with(r#""cpus":0.0,"cpus_revocable":2.0}"#)
    );
}

#[test]
fn quantities_add_and_compare() {
    let mut quantities = bag("cpus:1;mem(a):2;cpus(a):0.5;ports:[1-2]").scalar_quantities();
    assert_eq!(quantities.to_string(), "cpus:1.5; mem:2");
    assert!(quantities.contains(&ResourceQuantities::parse("cpus:1.5").expect("good")));
    assert!(!quantities.contains(&ResourceQuantities::parse("disk:1").expect("good")));
    quantities -= &ResourceQuantities::parse("cpus:9;mem:1").expect("good");
    assert_eq!(quantities.to_string(), "mem:1");
    assert!(matches!(
        ResourceQuantities::parse("cpus:1;cpus:2"),
        Err(QuantitiesError::Duplicate { .. })
    ));
    assert!(matches!(
        ResourceQuantities::parse("cpus"),
        Err(QuantitiesError::MalformedEntry { .. })
    ));
}

#[test]
fn reserve_and_unreserve_are_inverse() {
    let all = bag("cpus:4;mem:512");
    let reserved = dynamic("cpus:1;mem:12", "a");
    let reserve = operation(OperationType::RESERVE, |operation| {
        operation.reserve.mut_or_insert_default().resources = reserved.to_protobuf();
    });
    let after = all.apply(&reserve).expect("enough");
    assert_eq!(after, &bag("cpus:3;mem:500") + &reserved);
    let unreserve = operation(OperationType::UNRESERVE, |operation| {
        operation.unreserve.mut_or_insert_default().resources = reserved.to_protobuf();
    });
    assert_eq!(after.apply(&unreserve).expect("reserved"), all);
    assert!(matches!(
        all.apply(&unreserve),
        Err(ApplyError::NotContained {
            operation: "UNRESERVE",
            ..
        })
    ));
    let plain = operation(OperationType::RESERVE, |operation| {
        operation.reserve.mut_or_insert_default().resources = bag("cpus:1").to_protobuf();
    });
    assert!(matches!(all.apply(&plain), Err(ApplyError::WrongResource { .. })));
}

#[test]
fn a_reservation_can_replace_another() {
    let reserve = operation(OperationType::RESERVE, |operation| {
        let reserve = operation.reserve.mut_or_insert_default();
        reserve.source = dynamic("cpus:1", "a").to_protobuf();
        reserve.resources = dynamic("cpus:1", "b").to_protobuf();
    });
    assert_eq!(
        dynamic("cpus:2", "a").apply(&reserve).expect("there"),
        &dynamic("cpus:1", "a") + &dynamic("cpus:1", "b")
    );
    let mut larger = reserve;
    larger.reserve.mut_or_insert_default().resources = dynamic("cpus:2", "b").to_protobuf();
    assert!(matches!(
        dynamic("cpus:2", "a").apply(&larger),
        Err(ApplyError::QuantityChanged { .. })
    ));
}

#[test]
fn volumes_are_created_grown_shrunk_and_destroyed() {
    let all = dynamic("disk:100", "role");
    let create = operation(OperationType::CREATE, |operation| {
        operation.create.mut_or_insert_default().volumes = vec![volume(40.0, "v").to_protobuf()];
    });
    let created = all.apply(&create).expect("enough disk");
    assert_eq!(created, &dynamic("disk:60", "role") + &volume(40.0, "v").into());
    let grow = operation(OperationType::GROW_VOLUME, |operation| {
        let grow = operation.grow_volume.mut_or_insert_default();
        grow.volume = Some(volume(40.0, "v").to_protobuf()).into();
        grow.addition = dynamic("disk:10", "role").to_protobuf().pop().into();
    });
    let grown = created.apply(&grow).expect("free disk");
    assert_eq!(grown, &dynamic("disk:50", "role") + &volume(50.0, "v").into());
    let shrink = operation(OperationType::SHRINK_VOLUME, |operation| {
        let shrink = operation.shrink_volume.mut_or_insert_default();
        shrink.volume = Some(volume(50.0, "v").to_protobuf()).into();
        shrink.subtract = Some(Scalar::from_whole(10).to_proto()).into();
    });
    assert_eq!(grown.apply(&shrink).expect("large enough"), created);
    let destroy = operation(OperationType::DESTROY, |operation| {
        operation.destroy.mut_or_insert_default().volumes = vec![volume(40.0, "v").to_protobuf()];
    });
    assert_eq!(created.apply(&destroy).expect("there"), all);
    assert!(created.apply(&shrink).is_err());
}

#[test]
fn raw_disks_become_mount_disks_and_back() {
    let raw = {
        let mut disk = mesos::resource::DiskInfo::new();
        let source = disk.source.mut_or_insert_default();
        source.set_type(mesos::resource::disk_info::source::Type::RAW);
        source.set_profile("fast".to_owned());
        Resource::scalar("disk", 100.0).with_disk(Some(disk))
    };
    let all: Resources = raw.clone().into();
    assert_eq!(all.to_string(), "disk[RAW(,,fast)]:100");
    let part = raw.with_value(ResourceValue::Scalar(Scalar::from_whole(30)));
    let create = operation(OperationType::CREATE_DISK, |operation| {
        let create = operation.create_disk.mut_or_insert_default();
        create.source = Some(part.to_protobuf()).into();
        create.set_target_type(mesos::resource::disk_info::source::Type::MOUNT);
    });
    let created = all.apply(&create).expect("there");
    assert_eq!(created.to_string(), "disk[RAW(,,fast)]:70; disk[MOUNT(,,fast)]:30");
    let mount = created.filter(Resource::is_indivisible);
    let destroy = operation(OperationType::DESTROY_DISK, |operation| {
        operation.destroy_disk.mut_or_insert_default().source = mount.to_protobuf().pop().into();
    });
    assert_eq!(created.apply(&destroy).expect("there"), all);
}

#[test]
fn launches_leave_the_total() {
    let all = bag("cpus:1");
    assert_eq!(
        all.apply(&operation(OperationType::LAUNCH, |_| {}))
            .expect("nothing to do"),
        all
    );
    assert!(matches!(
        all.apply(&operation(OperationType::CREATE, |_| {})),
        Err(ApplyError::MissingField { .. })
    ));
    assert!(matches!(all.apply(&Operation::new()), Err(ApplyError::UnknownType)));
}
