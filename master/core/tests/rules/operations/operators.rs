//! Operations that operators ask for.

use mesos_master_core::{OperatorCall, Reply};
use mesos_proto::v0::mesos::OperationState::{OPERATION_DROPPED, OPERATION_FINISHED};
use mesos_proto::v0::mesos::offer::Operation;
use mesos_proto::v0::mesos::offer::operation::Type;
use mesos_proto::v0::scheduler::event;

use super::world::{ROLE, World, grow, on, reserved, scalar, shrink, volume};
use crate::actors::{launch, register_agent};

fn operate(world: &mut World, operation: Operation) -> Reply {
    let agent_id = world.agent.clone();
    let operation = Box::new(operation);
    world.harness.clear();
    let call = OperatorCall::Operate { agent_id, operation };
    world.harness.operator(call).expect("answered at once")
}

#[test]
fn an_operator_does_what_frameworks_do() {
    let mut world = World::new();
    let before = world.total();
    let disk = reserved("disk", 150.0, ROLE);
    let steps = [
        on(Type::RESERVE, vec![disk.clone()]),
        on(Type::CREATE, vec![volume("data", 100.0)]),
        grow(volume("data", 100.0), reserved("disk", 50.0, ROLE)),
        shrink(volume("data", 150.0), 30.0),
        on(Type::DESTROY, vec![volume("data", 120.0)]),
        on(Type::UNRESERVE, vec![disk]),
    ];
    for operation in steps {
        let kind = operation.type_();
        assert_eq!(operate(&mut world, operation), Reply::empty(202), "{kind:?}");
        let sent = world.applied().remove(0);
        assert!(sent.framework_id.is_none());
        world.tell(&sent, OPERATION_FINISHED, 1);
        assert_eq!(
            (world.acknowledgements(), world.operations().len()),
            (1, 0),
            "the master acknowledges"
        );
    }
    assert_eq!(world.total(), before);
}

#[test]
fn only_offers_that_help_are_withdrawn() {
    let mut world = World::new();
    let (_, other) = register_agent(&mut world.harness, 1);
    let offers = world.offers();
    assert_eq!(offers.len(), 2);
    assert_eq!(
        operate(&mut world, on(Type::RESERVE, vec![reserved("cpus", 1.0, "x/y")])).status,
        202
    );
    let types = world.harness.types_on(&world.scheduler.stream);
    assert_eq!(types.iter().filter(|kind| **kind == event::Type::RESCIND).count(), 1);
    let left = world.harness.offers(&world.scheduler.id);
    assert!(
        left.iter()
            .any(|id| *world.harness.master.offers()[id].agent_id() == other)
    );
}

#[test]
fn what_cannot_be_had_withdraws_nothing() {
    let mut world = World::new();
    let task = world.task("t", vec![scalar("cpus", 3.0), scalar("mem", 64.0)]);
    world.accept(vec![launch(vec![task])]);
    let offers = world.offers();
    let reply = operate(&mut world, on(Type::RESERVE, vec![reserved("cpus", 2.0, ROLE)]));
    assert_eq!(reply.status, 409);
    assert!(reply.body.contains("cpus:2 is not contained in"), "{}", reply.body);
    assert_eq!(world.harness.offers(&world.scheduler.id), offers);
    assert_eq!(
        operate(&mut world, on(Type::UNRESERVE, vec![reserved("cpus", 1.0, ROLE)])).status,
        409
    );
    assert!(world.applied().is_empty());
}

#[test]
fn malformed_requests_are_refused() {
    let mut world = World::new();
    let mut allocated = reserved("cpus", 1.0, ROLE);
    allocated
        .allocation_info
        .mut_or_insert_default()
        .set_role(ROLE.to_owned());
    let mut mixed = reserved("cpus", 1.0, ROLE);
    mixed.set_role("other".to_owned());
    for (operation, words) in [
        (on(Type::RESERVE, vec![scalar("cpus", 1.0)]), "dynamically reserved"),
        (on(Type::RESERVE, vec![]), "`resources`"),
        (on(Type::RESERVE, vec![allocated]), "is allocated"),
        (on(Type::RESERVE, vec![mixed]), "contradict each other"),
        (on(Type::DESTROY, vec![volume("none", 1.0)]), "is not on the agent"),
    ] {
        let reply = operate(&mut world, operation);
        assert_eq!(reply.status, 400, "{words}");
        assert!(reply.body.contains(words), "{words}: {}", reply.body);
    }
    let agent_id = mesos::ids::AgentId::new("nope");
    let operation = Box::new(on(Type::RESERVE, Vec::new()));
    let reply = world.harness.operator(OperatorCall::Operate { agent_id, operation });
    assert_eq!(reply.expect("answered").status, 400);
}

#[test]
fn a_reservation_that_the_agent_dropped_is_undone() {
    let mut world = World::new();
    let before = world.total();
    assert_eq!(
        operate(&mut world, on(Type::RESERVE, vec![reserved("cpus", 1.0, "x/y")])).status,
        202
    );
    let sent = world.applied().remove(0);
    world.tell(&sent, OPERATION_DROPPED, 1);
    assert_eq!(world.total(), before);
}
