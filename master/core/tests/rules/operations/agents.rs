//! Operations of agents that come back, report, or leave.

use mesos::Message;
use mesos::capabilities::AgentCapabilities;
use mesos_master_core::OperatorCall;
use mesos_proto::internal::wire::messages as wire;
use mesos_proto::v0::mesos::OperationState::{
    OPERATION_DROPPED, OPERATION_FINISHED, OPERATION_GONE_BY_OPERATOR, OPERATION_PENDING, OPERATION_UNREACHABLE,
};
use mesos_proto::v0::mesos::offer::operation::Type;

use super::world::{ROLE, World, named, on, registration, reserved, volume};
use crate::actors::{launch, reregister_message, uuid};
use crate::harness::Harness;

fn reserving() -> World {
    let mut world = World::new();
    world.accept(vec![named("r", on(Type::RESERVE, vec![reserved("cpus", 1.0, ROLE)]))]);
    world
}

fn reconciled(world: &World) -> Vec<wire::ReconcileOperationsMessage> {
    let messages = world.harness.messages_to(&world.address).into_iter();
    let asked = messages.filter_map(|message| match message {
        Message::ReconcileOperations(message) => Some(*message),
        _ => None,
    });
    asked.collect()
}

#[test]
fn an_agent_is_asked_for_operations_that_it_does_not_report() {
    let mut world = reserving();
    let sent = world.applied().remove(0);
    world.harness.clear();
    let known = world.operations()[0].message().clone();
    let report = world.report(vec![known]);
    world.harness.receive(&world.address.clone(), report);
    assert!(reconciled(&world).is_empty());
    let report = world.report(Vec::new());
    world.harness.receive(&world.address.clone(), report);
    let asked = reconciled(&world);
    assert_eq!(asked[0].operations[0].operation_uuid, sent.operation_uuid);
    assert_eq!(
        world.operations()[0].state(),
        OPERATION_PENDING,
        "the agent will answer"
    );
    world.tell(&sent, OPERATION_DROPPED, 1);
    assert!(!world.has(&reserved("cpus", 1.0, ROLE)));
}

#[test]
fn an_agent_that_lost_its_connection_keeps_what_was_on_its_way() {
    let mut world = reserving();
    world.harness.exited(&world.address.clone());
    let mut message = reregister_message(&world.agent);
    message.slave = Some(world.harness.agent(&world.agent).info().clone()).into();
    message.resource_version_uuid.mut_or_insert_default().set_value(uuid(1));
    world.harness.receive(&world.address.clone(), message);
    assert!(world.has(&reserved("cpus", 1.0, ROLE)));
}

#[test]
fn the_record_of_an_agent_that_restarted_counts() {
    let mut world = reserving();
    let sent = world.applied().remove(0);
    let _ = world.offered();
    world.harness.clear();
    let mut message = reregister_message(&world.agent);
    message.slave = Some(world.harness.agent(&world.agent).info().clone()).into();
    message.checkpointed_resources = vec![reserved("disk", 10.0, ROLE)];
    world.harness.receive(&world.address.clone(), message);
    assert!(!world.has(&reserved("cpus", 1.0, ROLE)) && world.has(&reserved("disk", 10.0, ROLE)));
    let offered = world.offered();
    assert_eq!(offered, world.total(), "offers of the older resources are withdrawn");
    // The late answer to the operation takes nothing away that the record has.
    world.tell(&sent, OPERATION_DROPPED, 1);
    assert_eq!(world.total(), offered);
}

#[test]
fn frameworks_are_told_when_an_agent_leaves() {
    let mut world = reserving();
    world.harness.clear();
    let reply = world.harness.operator(OperatorCall::MarkAgentGone(world.agent.clone()));
    assert_eq!(reply.expect("stored").status, 200);
    assert_eq!(world.told(), [("r".to_owned(), OPERATION_GONE_BY_OPERATOR, false)]);
    let framework = &world.harness.master.frameworks()[&world.scheduler.id];
    assert!(framework.operations().is_empty());
}

#[test]
fn an_unreachable_agent_brings_its_operations_back() {
    let mut world = reserving();
    let sent = world.applied().remove(0);
    let mut operation = world.operations()[0].message().clone();
    let info = world.harness.agent(&world.agent).info().clone();
    world.harness.clear();
    world.harness.advance(std::time::Duration::from_secs(90));
    assert_eq!(world.told(), [("r".to_owned(), OPERATION_UNREACHABLE, false)]);
    let mut message = reregister_message(&world.agent);
    message.slave = Some(info).into();
    message.checkpointed_resources = vec![reserved("cpus", 1.0, ROLE)];
    world.harness.receive(&world.address.clone(), message);
    assert!(world.has(&reserved("cpus", 1.0, ROLE)) && world.operations().is_empty());
    operation
        .latest_status
        .mut_or_insert_default()
        .set_state(OPERATION_FINISHED);
    let report = world.report(vec![operation]);
    world.harness.receive(&world.address.clone(), report);
    world.harness.clear();
    world.tell(&sent, OPERATION_FINISHED, 3);
    assert_eq!(world.told(), [("r".to_owned(), OPERATION_FINISHED, true)]);
    world.acknowledge("r", 3);
    assert!(world.operations().is_empty());
}

#[test]
fn a_new_master_learns_operations_from_agents() {
    let mut world = reserving();
    let sent = world.applied().remove(0);
    let operation = world.operations()[0].message().clone();
    let registry = world.harness.registrar.registry().clone();
    let mut reregistration = reregister_message(&world.agent);
    reregistration.slave = Some(world.harness.agent(&world.agent).info().clone()).into();
    reregistration.checkpointed_resources = vec![reserved("cpus", 1.0, ROLE)];
    world.harness = Harness::with(crate::harness::config(), registry);
    let info = world.scheduler.info.clone();
    world.scheduler = crate::actors::Scheduler::subscribe(&mut world.harness, info);
    world.harness.receive(&world.address.clone(), reregistration);
    let report = world.report(vec![operation]);
    world.harness.receive(&world.address.clone(), report);
    assert_eq!(world.operations().len(), 1);
    world.tell(&sent, OPERATION_FINISHED, 3);
    assert_eq!(world.told(), [("r".to_owned(), OPERATION_FINISHED, true)]);
    world.acknowledge("r", 3);
    assert!(world.operations().is_empty() && world.has(&reserved("cpus", 1.0, ROLE)));
}

#[test]
fn a_reserved_agent_is_registered_as_it_was() {
    let mut harness = Harness::new();
    let mut message = registration(AgentCapabilities::all(), "cpus:4;mem:4096;disk:500");
    message.checkpointed_resources = vec![volume("data", 100.0), reserved("cpus", 1.0, ROLE)];
    harness.receive(&crate::actors::agent_upid(0), message);
    let agent = harness.master.agents().values().next().expect("registered");
    let text = agent.total().to_string();
    assert!(
        text.contains("(reservations: [(DYNAMIC,dev,ops)])[data:data:rw]:100"),
        "{text}"
    );
    assert_eq!(agent.total().disk().to_f64(), 500.0);
}

#[test]
fn tasks_that_never_got_their_resources_keep_the_speculation() {
    let mut world = World::new();
    let task = world.task("t", vec![reserved("cpus", 1.0, ROLE)]);
    world.accept(vec![
        on(Type::RESERVE, vec![reserved("cpus", 1.0, ROLE)]),
        launch(vec![task]),
    ]);
    let sent = world.applied().remove(0);
    world.tell(&sent, OPERATION_DROPPED, 1);
    assert!(
        world.has(&reserved("cpus", 1.0, ROLE)),
        "in use until the agent disowns the task"
    );
}
