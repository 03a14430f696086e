//! What agents and schedulers answer to operations.

use std::time::Duration;

use mesos_proto::v0::mesos::OperationState::{
    OPERATION_DROPPED, OPERATION_ERROR, OPERATION_FAILED, OPERATION_FINISHED, OPERATION_GONE_BY_OPERATOR,
    OPERATION_PENDING,
};
use mesos_proto::v0::mesos::offer::operation::Type;
use mesos_proto::v0::scheduler::call;

use super::world::CAPABLE;
use super::world::{ROLE, World, in_role, named, on, reserved, volume};
use crate::actors::subscribe_call;

/// A world in which the operation `r` reserves a processor and was sent.
fn reserving() -> World {
    let mut world = World::new();
    world.accept(vec![named("r", on(Type::RESERVE, vec![reserved("cpus", 1.0, ROLE)]))]);
    world
}

#[test]
fn a_named_operation_is_told_and_ends_with_its_acknowledgement() {
    let mut world = reserving();
    let sent = world.applied().remove(0);
    assert_eq!(world.operations()[0].state(), OPERATION_PENDING);
    world.tell(&sent, OPERATION_FINISHED, 7);
    assert_eq!(world.told(), [("r".to_owned(), OPERATION_FINISHED, true)]);
    assert_eq!((world.acknowledgements(), world.operations().len()), (0, 1));
    world.acknowledge("r", 8);
    assert_eq!(
        (world.acknowledgements(), world.operations().len()),
        (0, 1),
        "another status"
    );
    world.acknowledge("r", 7);
    assert_eq!((world.acknowledgements(), world.operations().len()), (1, 0));
    assert!(world.has(&reserved("cpus", 1.0, ROLE)));
    assert_eq!(world.harness.master.operation_counts().get("reserve", "finished"), 1);
    assert_eq!(world.harness.master.operation_counts().get("reserve", "total"), 1);
}

#[test]
fn a_status_that_the_agent_repeats_is_told_again_until_it_is_acknowledged() {
    let mut world = reserving();
    let sent = world.applied().remove(0);
    world.tell(&sent, OPERATION_FINISHED, 7);
    world.tell(&sent, OPERATION_FINISHED, 7);
    assert_eq!(world.told().len(), 2);
    assert_eq!(world.operations()[0].message().statuses.len(), 1);
    world.acknowledge("r", 7);
    world.harness.clear();
    // The acknowledgement was lost on its way.
    world.tell(&sent, OPERATION_FINISHED, 7);
    assert_eq!((world.told().len(), world.acknowledgements()), (0, 1));
}

#[test]
fn the_master_acknowledges_what_nobody_named() {
    let mut world = World::new();
    world.accept(vec![on(Type::RESERVE, vec![reserved("cpus", 1.0, ROLE)])]);
    let sent = world.applied().remove(0);
    world.tell(&sent, OPERATION_FINISHED, 7);
    assert_eq!(
        (world.told().len(), world.acknowledgements(), world.operations().len()),
        (0, 1, 0)
    );
}

#[test]
fn an_ended_operation_stays_as_it_ended() {
    let ends = [
        OPERATION_FINISHED,
        OPERATION_FAILED,
        OPERATION_ERROR,
        OPERATION_DROPPED,
        OPERATION_GONE_BY_OPERATOR,
    ];
    for end in ends {
        let mut world = reserving();
        let sent = world.applied().remove(0);
        world.tell(&sent, end, 7);
        assert_eq!(world.operations()[0].state(), end);
        world.tell(&sent, OPERATION_PENDING, 8);
        world.tell(&sent, OPERATION_FINISHED, 9);
        assert_eq!(world.operations()[0].state(), end, "{end:?}");
        assert_eq!(
            world.has(&reserved("cpus", 1.0, ROLE)),
            end == OPERATION_FINISHED,
            "{end:?}"
        );
    }
}

#[test]
fn a_latest_state_may_be_ahead_of_what_is_told() {
    let mut world = reserving();
    let sent = world.applied().remove(0);
    let mut message = world.status(&sent, OPERATION_PENDING, 7);
    message
        .latest_status
        .mut_or_insert_default()
        .set_state(OPERATION_FAILED);
    world.harness.receive(&world.address.clone(), message);
    assert_eq!(world.told(), [("r".to_owned(), OPERATION_PENDING, true)]);
    assert_eq!(world.operations()[0].state(), OPERATION_FAILED);
    assert!(!world.has(&reserved("cpus", 1.0, ROLE)));
    world.acknowledge("r", 7);
    assert_eq!(
        (world.acknowledgements(), world.operations().len()),
        (1, 1),
        "not the last one"
    );
    world.tell(&sent, OPERATION_FAILED, 8);
    world.acknowledge("r", 8);
    assert_eq!((world.acknowledgements(), world.operations().len()), (2, 0));
}

#[test]
fn what_an_agent_dropped_is_undone_with_what_was_built_on_it() {
    let mut world = World::new();
    let before = world.total();
    let data = volume("data", 100.0);
    world.accept(vec![
        on(Type::RESERVE, vec![reserved("disk", 100.0, ROLE)]),
        on(Type::CREATE, vec![data]),
    ]);
    let sent = world.applied();
    let _ = world.offered();
    world.tell(&sent[0], OPERATION_DROPPED, 1);
    assert_ne!(world.total(), before, "the volume stands on it");
    world.tell(&sent[1], OPERATION_DROPPED, 2);
    assert_eq!(world.total(), before);
    assert_eq!(world.offered(), before, "offers of what was not made are withdrawn");
}

#[test]
fn statuses_without_uuid_end_an_operation_at_once() {
    let mut world = reserving();
    let sent = world.applied().remove(0);
    let mut message = world.status(&sent, OPERATION_DROPPED, 0);
    // As an agent answers a reconciliation: without ids that it cannot know.
    message.framework_id = protobuf::MessageField::none();
    for status in [&mut message.status, &mut message.latest_status] {
        let status = status.mut_or_insert_default();
        status.uuid = protobuf::MessageField::none();
        status.operation_id = protobuf::MessageField::none();
    }
    let repeated = message.clone();
    world.harness.receive(&world.address.clone(), message);
    assert_eq!(world.told(), [("r".to_owned(), OPERATION_DROPPED, false)]);
    assert!(world.operations().is_empty());
    world.harness.receive(&world.address.clone(), repeated);
    assert_eq!(world.told().len(), 1);
}

#[test]
fn a_framework_that_is_away_is_told_when_it_is_back() {
    let mut world = World::new();
    let mut info = world.scheduler.info.clone();
    info.set_failover_timeout(1000.0);
    world.harness.call(subscribe_call(&info), None);
    world.scheduler.stream = world.harness.last_stream();
    world.accept(vec![named("r", on(Type::RESERVE, vec![reserved("cpus", 1.0, ROLE)]))]);
    let sent = world.applied().remove(0);
    world.harness.step(mesos_master_core::Input::SchedulerStreamClosed(
        world.scheduler.stream.clone(),
    ));
    world.tell(&sent, OPERATION_FINISHED, 7);
    assert_eq!(
        (world.acknowledgements(), world.operations().len()),
        (0, 1),
        "the agent repeats it"
    );
    world.harness.call(subscribe_call(&info), None);
    world.scheduler.stream = world.harness.last_stream();
    world.tell(&sent, OPERATION_FINISHED, 7);
    assert_eq!(world.told(), [("r".to_owned(), OPERATION_FINISHED, true)]);
    world.acknowledge("r", 7);
    assert!(world.operations().is_empty());
}

#[test]
fn operations_of_a_framework_that_ended_are_acknowledged_here() {
    let mut world = reserving();
    let sent = world.applied().remove(0);
    let call = world.scheduler.typed(call::Type::TEARDOWN);
    world.scheduler.send(&mut world.harness, call);
    assert_eq!(world.operations().len(), 1, "the agent is at it");
    world.tell(&sent, OPERATION_FINISHED, 7);
    assert_eq!((world.acknowledgements(), world.operations().len()), (1, 0));
    assert!(
        world.has(&reserved("cpus", 1.0, ROLE)),
        "reservations outlive frameworks"
    );
}

#[test]
fn strange_statuses_and_acknowledgements_change_nothing() {
    let mut world = reserving();
    let sent = world.applied().remove(0);
    let mut elsewhere = world.status(&sent, OPERATION_FINISHED, 7);
    elsewhere
        .slave_id
        .mut_or_insert_default()
        .set_value("nobody".to_owned());
    world.harness.receive(&world.address.clone(), elsewhere);
    let mut unknown = world.status(&sent, OPERATION_FINISHED, 7);
    unknown.operation_uuid.mut_or_insert_default().set_value(vec![5; 16]);
    world.harness.receive(&world.address.clone(), unknown);
    // The framework may know what the master forgot, and is told.
    assert_eq!(world.told(), [("r".to_owned(), OPERATION_FINISHED, true)]);
    assert_eq!(world.operations()[0].state(), OPERATION_PENDING);
    world.acknowledge("nothing", 7);
    world.acknowledge("r", 7);
    world.harness.exited(&world.address.clone());
    world.acknowledge("r", 7);
    assert_eq!(world.acknowledgements(), 0);
    let counters = world.harness.master.counters();
    assert_eq!(counters["master/invalid_operation_status_updates"], 2);
    assert_eq!(counters["master/invalid_operation_status_update_acknowledgements"], 3);
}

#[test]
fn an_unknown_framework_has_ten_minutes_to_come_back() {
    let mut world = reserving();
    let sent = world.applied().remove(0);
    let mut message = world.status(&sent, OPERATION_FINISHED, 7);
    let mut operation = world.operations()[0].message().clone();
    operation.uuid.mut_or_insert_default().set_value(vec![9; 16]);
    operation
        .framework_id
        .mut_or_insert_default()
        .set_value("of an earlier master".to_owned());
    let report = world.report(vec![operation.clone()]);
    world.harness.receive(&world.address.clone(), report);
    message.operation_uuid = operation.uuid.clone();
    message.framework_id = operation.framework_id.clone();
    world.harness.clear();
    world.harness.receive(&world.address.clone(), message.clone());
    assert_eq!(
        (world.acknowledgements(), world.operations().len()),
        (0, 2),
        "it may come back"
    );
    let address = world.address.clone();
    world.harness.advance_alive(Duration::from_secs(601), &[&address]);
    world.harness.clear();
    world.harness.receive(&address, message);
    assert_eq!((world.acknowledgements(), world.operations().len()), (1, 1));
    let mut info = in_role(ROLE, CAPABLE);
    info.id.mut_or_insert_default().set_value("late".to_owned());
    world.harness.call(subscribe_call(&info), None);
}
