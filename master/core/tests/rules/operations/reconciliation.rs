//! RECONCILE_OPERATIONS.

use std::time::Duration;

use mesos::Message;
use mesos::ids::{AgentId, OperationId};
use mesos_master_core::OperatorCall;
use mesos_proto::v0::mesos::OperationState;
use mesos_proto::v0::mesos::OperationState::{
    OPERATION_FINISHED, OPERATION_GONE_BY_OPERATOR, OPERATION_PENDING, OPERATION_RECOVERING, OPERATION_UNKNOWN,
    OPERATION_UNREACHABLE,
};
use mesos_proto::v0::mesos::offer::operation::Type;
use mesos_proto::v0::scheduler::call::{self, reconcile_operations};

use super::world::{ROLE, World, named, on, reserved};
use crate::actors::{Scheduler, register_agent};
use crate::harness::{Harness, config};

/// Asks about operations: id, agent, resource provider.
fn ask(world: &mut World, operations: &[(&str, Option<&AgentId>, Option<&str>)]) {
    let mut call = world.scheduler.typed(call::Type::RECONCILE_OPERATIONS);
    let asked = call.reconcile_operations.mut_or_insert_default();
    for (id, agent, provider) in operations {
        let mut operation = reconcile_operations::Operation::new();
        operation.operation_id = Some(OperationId::new(*id).to_proto()).into();
        operation.slave_id = agent.map(AgentId::to_proto).into();
        if let Some(provider) = provider {
            let id = operation.resource_provider_id.mut_or_insert_default();
            id.set_value((*provider).to_owned());
        }
        asked.operations.push(operation);
    }
    world.harness.clear();
    world.scheduler.send(&mut world.harness, call);
}

fn answer(world: &mut World, id: &str, agent: Option<&AgentId>) -> OperationState {
    ask(world, &[(id, agent, None)]);
    let told = world.told();
    assert_eq!((told.len(), &*told[0].0, told[0].2), (1, id, false));
    told[0].1
}

#[test]
fn explicit_answers_follow_the_table() {
    let mut world = World::new();
    let agent = world.agent.clone();
    let (_, gone) = register_agent(&mut world.harness, 1);
    world.harness.operator(OperatorCall::MarkAgentGone(gone.clone()));
    world.accept(vec![named("r", on(Type::RESERVE, vec![reserved("cpus", 1.0, ROLE)]))]);
    let sent = world.applied().remove(0);
    assert_eq!(answer(&mut world, "r", None), OPERATION_PENDING);
    world.tell(&sent, OPERATION_FINISHED, 1);
    assert_eq!(answer(&mut world, "r", Some(&agent)), OPERATION_FINISHED);
    assert_eq!(answer(&mut world, "other", Some(&agent)), OPERATION_UNKNOWN);
    assert_eq!(answer(&mut world, "other", Some(&gone)), OPERATION_GONE_BY_OPERATOR);
    assert_eq!(
        answer(&mut world, "other", Some(&AgentId::new("nobody"))),
        OPERATION_UNKNOWN
    );
    assert_eq!(answer(&mut world, "other", None), OPERATION_UNKNOWN);
    world.harness.advance(Duration::from_secs(90));
    assert_eq!(answer(&mut world, "r", Some(&agent)), OPERATION_UNREACHABLE);
}

#[test]
fn agents_that_may_come_back_are_waited_for() {
    let world = World::new();
    let registry = world.harness.registrar.registry().clone();
    let mut harness = Harness::with(config(), registry);
    let scheduler = Scheduler::subscribe(&mut harness, world.scheduler.info.clone());
    let mut world = World {
        harness,
        scheduler,
        ..world
    };
    let agent = world.agent.clone();
    assert_eq!(answer(&mut world, "r", Some(&agent)), OPERATION_RECOVERING);
}

#[test]
fn the_agent_answers_for_providers_that_are_away() {
    let mut world = World::new();
    let agent = world.agent.clone();
    ask(
        &mut world,
        &[
            ("a", Some(&agent), Some("p")),
            ("b", Some(&agent), Some("q")),
            ("c", Some(&agent), None),
        ],
    );
    assert_eq!(world.told(), [("c".to_owned(), OPERATION_UNKNOWN, false)]);
    let messages = world.harness.messages_to(&world.address);
    let [Message::ReconcileOperations(message)] = &messages[..] else {
        panic!("{messages:?}")
    };
    let ids: Vec<&str> = message
        .operations
        .iter()
        .map(|operation| operation.operation_id.value())
        .collect();
    assert_eq!(
        (ids, message.framework_id.value()),
        (vec!["a", "b"], world.scheduler.id.as_str())
    );
    // Its answer names no operation of the master's.
    let mut answer = mesos_proto::internal::wire::messages::UpdateOperationStatusMessage::new();
    answer.framework_id = message.framework_id.clone();
    answer.slave_id = Some(agent.to_proto()).into();
    let status = answer.status.mut_or_insert_default();
    status.set_state(OPERATION_UNREACHABLE);
    status.operation_id = message.operations[0].operation_id.clone();
    world.harness.clear();
    world.harness.receive(&world.address.clone(), answer);
    assert_eq!(world.told(), [("a".to_owned(), OPERATION_UNREACHABLE, false)]);
}

#[test]
fn implicit_reconciliation_tells_all_open_operations() {
    let mut world = World::new();
    ask(&mut world, &[]);
    assert!(world.told().is_empty());
    world.accept(vec![
        named("r", on(Type::RESERVE, vec![reserved("cpus", 1.0, ROLE)])),
        on(Type::RESERVE, vec![reserved("mem", 64.0, ROLE)]),
    ]);
    ask(&mut world, &[]);
    let mut told = world.told();
    told.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(
        told,
        [
            (String::new(), OPERATION_PENDING, false),
            ("r".to_owned(), OPERATION_PENDING, false)
        ]
    );
}
