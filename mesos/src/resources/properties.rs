//! Laws that hold for any resources.

use mesos_proto::v0::mesos;
use mesos_proto::v0::mesos::offer::Operation;
use mesos_proto::v0::mesos::offer::operation::Type as OperationType;
use proptest::prelude::*;

use super::format::HasResources;
use super::*;
use crate::values::{Range, Ranges, Scalar, Set};

/// Ports of one bag come from one block of numbers, so that two bags with different blocks share none.
fn value(block: u64) -> impl Strategy<Value = ResourceValue> {
    let first = block * 1000;
    prop_oneof![
        (0..50_000_i64).prop_map(|amount| ResourceValue::Scalar(Scalar::from_thousandths(amount))),
        proptest::collection::vec((0..90_u64, 0..9_u64), 0..4).prop_map(move |pairs| {
            let ranges = pairs.into_iter().map(move |(begin, length)| {
                let begin = first + begin * 10;
                Range {
                    begin,
                    end: begin + length,
                }
            });
            ResourceValue::Ranges(Ranges::new(ranges))
        }),
        proptest::collection::btree_set("[a-c]", 0..3).prop_map(move |items| {
            ResourceValue::Set(Set::new(items.into_iter().map(|item| format!("{item}{first}"))))
        }),
    ]
}

fn stack() -> impl Strategy<Value = Vec<Reservation>> {
    prop_oneof![
        3 => Just(Vec::new()),
        1 => Just(vec![Reservation::fixed("a")]),
        1 => Just(vec![Reservation::dynamic("a", Some("ops"))]),
        1 => Just(vec![Reservation::fixed("a"), Reservation::dynamic("a/b", None)]),
    ]
}

fn resource(block: u64) -> impl Strategy<Value = Resource> {
    let marks = (any::<bool>(), 0..3_u8, 0..4_u8);
    (value(block), stack(), marks).prop_map(|(value, stack, (revocable, allocation, volume))| {
        let resource = match &value {
            ResourceValue::Ranges(_) => Resource::new("ports", value),
            ResourceValue::Set(_) => Resource::new("zones", value),
            ResourceValue::Scalar(_) => match volume {
                0 => disk(value),
                1 => Resource::new("mem", value),
                _ => Resource::new("cpus", value),
            },
        };
        let resource = resource.with_reservations(stack);
        let resource = if revocable { resource.with_revocable() } else { resource };
        match allocation {
            0 => resource,
            1 => resource.with_allocation(Some(&"a".into())),
            _ => resource.with_allocation(Some(&"b".into())),
        }
    })
}

fn disk(value: ResourceValue) -> Resource {
    let mut info = mesos::resource::DiskInfo::new();
    info.source
        .mut_or_insert_default()
        .set_type(mesos::resource::disk_info::source::Type::MOUNT);
    Resource::new("disk", value).with_disk(Some(info))
}

fn bag(block: u64) -> impl Strategy<Value = Resources> {
    proptest::collection::vec(resource(block), 0..6).prop_map(|resources| resources.into_iter().collect())
}

fn plain_text_bag() -> impl Strategy<Value = Resources> {
    let entry = (value(1), any::<bool>(), any::<bool>()).prop_map(|(value, reserved, memory)| {
        let name = match &value {
            ResourceValue::Scalar(_) if memory => "mem",
            ResourceValue::Scalar(_) => "cpus",
            ResourceValue::Ranges(_) => "ports",
            ResourceValue::Set(_) => "zones",
        };
        let resource = Resource::new(name, value);
        if reserved {
            resource.with_reservations(vec![Reservation::fixed("a/b")])
        } else {
            resource
        }
    });
    proptest::collection::vec(entry, 0..6).prop_map(|resources| resources.into_iter().collect())
}

/// The input form of a bag, which is simpler than the printed one.
fn to_text(resources: &Resources) -> String {
    let entries = resources.iter().map(|resource| match resource.reservation_role() {
        Some(role) => format!("{}({role}):{}", resource.name(), resource.value()),
        None => format!("{}:{}", resource.name(), resource.value()),
    });
    entries.collect::<Vec<_>>().join(";")
}

proptest! {
    #[test]
    fn adding_and_subtracting_is_neutral(left in bag(1), right in bag(2)) {
        let sum = &left + &right;
        let mut rest = sum.clone();
        prop_assert!(rest.try_subtract(&right).is_ok());
        prop_assert_eq!(&rest, &left);
        prop_assert_eq!(&(&sum - &left), &right);
        prop_assert!((&sum - &sum).is_empty());
    }

    #[test]
    fn addition_knows_no_order(left in bag(1), right in bag(2)) {
        prop_assert_eq!(&left + &right, &right + &left);
    }

    #[test]
    fn containment_is_a_partial_order(a in bag(1), b in bag(2), c in bag(3)) {
        prop_assert!(a.contains(&a));
        prop_assert!(a.contains(&Resources::new()));
        let ab = &a + &b;
        let abc = &ab + &c;
        prop_assert!(abc.contains(&ab) && ab.contains(&a) && abc.contains(&a));
        prop_assert_eq!(ab.contains(&a) && a.contains(&ab), ab == a);
        prop_assert_eq!(a.contains(&b) && b.contains(&a), a == b);
    }

    #[test]
    fn quantities_follow_the_arithmetic(left in bag(1), right in bag(2)) {
        let mut sum = left.scalar_quantities();
        sum += &right.scalar_quantities();
        prop_assert_eq!((&left + &right).scalar_quantities(), sum);
    }

    #[test]
    fn what_cannot_be_taken_changes_nothing(left in bag(1), right in bag(1)) {
        let mut rest = left.clone();
        match rest.try_subtract(&right) {
            Ok(()) => prop_assert_eq!(&rest + &right, left),
            Err(_) => prop_assert_eq!(rest, left),
        }
    }

    #[test]
    fn text_is_read_back(resources in plain_text_bag()) {
        prop_assert_eq!(Resources::parse(&to_text(&resources), "*").expect("our own text"), resources);
    }

    #[test]
    fn protobuf_and_json_are_read_back(resources in bag(1)) {
        let mut messages = resources.to_protobuf();
        prop_assert_eq!(&Resources::from_protobuf(&messages).expect("our own"), &resources);
        let json: Vec<String> = messages.iter().map(crate::json::to_string).collect();
        let json = format!("[{}]", json.join(","));
        prop_assert_eq!(&Resources::parse_json(&json, "*").expect("our own"), &resources);
        messages.endpoint_resources();
        prop_assert_eq!(&Resources::from_protobuf(&messages).expect("our own"), &resources);
        if messages.downgrade_resources().is_ok() {
            prop_assert_eq!(&Resources::from_protobuf(&messages).expect("our own"), &resources);
        }
    }

    #[test]
    fn found_resources_are_there_and_as_many(all in bag(1), wanted in bag(1)) {
        if let Some(found) = all.find(&wanted) {
            prop_assert!(all.contains(&found));
            prop_assert_eq!(found.scalar_quantities(), wanted.scalar_quantities());
        }
        prop_assert!(all.find(&all).is_some());
    }

    #[test]
    fn no_operation_makes_or_loses_quantity(
        all in bag(1),
        kind in 0..6_u8,
        amount in 1..60_000_i64,
        other in 1..60_000_i64,
    ) {
        let all = &all.unallocate() + &pool();
        let before = all.scalar_quantities();
        if let Ok(after) = all.apply(&operation(kind, amount, other)) {
            prop_assert_eq!(after.scalar_quantities(), before);
            prop_assert_eq!(after.get_ranges("ports"), all.get_ranges("ports"));
        }
    }
}

/// Something that each kind of operation can work on.
fn pool() -> Resources {
    let reservation = Reservation::dynamic("a", Some("ops"));
    let reserved = Resource::scalar("disk", 30.0).with_reservations(vec![reservation]);
    [Resource::scalar("disk", 50.0), reserved, volume(20_000)]
        .into_iter()
        .collect()
}

fn volume(thousandths: i64) -> Resource {
    let mut info = mesos::resource::DiskInfo::new();
    info.persistence.mut_or_insert_default().set_id("v".to_owned());
    Resource::new("disk", ResourceValue::Scalar(Scalar::from_thousandths(thousandths)))
        .with_reservations(vec![Reservation::dynamic("a", Some("ops"))])
        .with_disk(Some(info))
}

fn operation(kind: u8, amount: i64, other: i64) -> Operation {
    let amount_of_disk = |thousandths| {
        Resource::new("disk", ResourceValue::Scalar(Scalar::from_thousandths(thousandths)))
            .with_reservations(vec![Reservation::dynamic("a", Some("ops"))])
    };
    let mut operation = Operation::new();
    match kind {
        0 => {
            operation.set_type(OperationType::RESERVE);
            operation.reserve.mut_or_insert_default().resources = vec![amount_of_disk(amount).to_protobuf()];
        }
        1 => {
            operation.set_type(OperationType::UNRESERVE);
            operation.unreserve.mut_or_insert_default().resources = vec![amount_of_disk(amount).to_protobuf()];
        }
        2 => {
            operation.set_type(OperationType::CREATE);
            operation.create.mut_or_insert_default().volumes = vec![volume(amount).to_protobuf()];
        }
        3 => {
            operation.set_type(OperationType::DESTROY);
            operation.destroy.mut_or_insert_default().volumes = vec![volume(20_000).to_protobuf()];
        }
        4 => {
            operation.set_type(OperationType::GROW_VOLUME);
            let grow = operation.grow_volume.mut_or_insert_default();
            grow.volume = Some(volume(20_000).to_protobuf()).into();
            grow.addition = Some(amount_of_disk(other).to_protobuf()).into();
        }
        _ => {
            operation.set_type(OperationType::SHRINK_VOLUME);
            let shrink = operation.shrink_volume.mut_or_insert_default();
            shrink.volume = Some(volume(20_000).to_protobuf()).into();
            shrink.subtract = Some(Scalar::from_thousandths(amount).to_proto()).into();
        }
    }
    operation
}
