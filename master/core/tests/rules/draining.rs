//! Agents that operators drain, deactivate and reactivate.

use std::time::Duration;

use mesos::Message;
use mesos::ids::AgentId;
use mesos_master_core::{OperatorCall, Reply};
use mesos_proto::internal::wire::messages as wire;
use mesos_proto::v0::mesos::slave_info::capability::Type as AgentCapability;
use mesos_proto::v0::mesos::{DrainConfig, DrainState, TaskState};
use mesos_proto::v0::scheduler::event;

use crate::actors::{
    MODERN, Scheduler, agent_upid, framework_info, register_agent, register_message, reported_task, reregister_message,
    update,
};
use crate::harness::{Harness, Out, config};

pub fn drain_config(grace_seconds: Option<i64>, mark_gone: bool) -> DrainConfig {
    let mut config = DrainConfig::new();
    if let Some(seconds) = grace_seconds {
        let nanoseconds = seconds * 1_000_000_000;
        config
            .max_grace_period
            .mut_or_insert_default()
            .set_nanoseconds(nanoseconds);
    }
    config.set_mark_gone(mark_gone);
    config
}

fn drain(harness: &mut Harness, id: &AgentId, config: DrainConfig) -> Option<Reply> {
    harness.operator(OperatorCall::DrainAgent {
        agent_id: id.clone(),
        config,
    })
}

fn status(reply: Option<Reply>) -> u16 {
    reply.expect("answered").status
}

fn drain_state(harness: &Harness, id: &AgentId) -> Option<DrainState> {
    harness
        .master
        .plans()
        .drain(id)
        .map(mesos_proto::v0::mesos::DrainInfo::state)
}

/// What an agent was told to do about a drain.
fn drains_told(harness: &Harness, number: u16) -> Vec<DrainConfig> {
    let messages = harness.messages_to(&agent_upid(number));
    let told = messages.into_iter().filter_map(|message| match message {
        Message::DrainSlave(message) => message.config.into_option(),
        _ => None,
    });
    told.collect()
}

#[test]
fn a_drain_waits_for_the_registry_then_takes_offers_back_and_tells_the_agent() {
    let mut harness = Harness::new();
    let (address, id) = register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    scheduler.launch(&mut harness, &id, &["a"]);
    harness.advance_alive(Duration::from_secs(6), &[&address]);
    assert_eq!(harness.offers(&scheduler.id).len(), 1);
    harness.clear();
    harness.hold_registry = true;
    assert_eq!(
        drain(&mut harness, &id, drain_config(Some(3), false)),
        None,
        "not before it is stored"
    );
    assert!(harness.out.is_empty());
    assert!(harness.agent(&id).is_active());
    harness.store();
    assert!(matches!(harness.out.last(), Some(Out::Reply(_, reply)) if reply.status == 200));
    assert_eq!(harness.types_on(&scheduler.stream), [event::Type::RESCIND]);
    assert_eq!(drains_told(&harness, 0), [drain_config(Some(3), false)]);
    assert!(!harness.agent(&id).is_active() && harness.master.plans().is_deactivated(&id));
    assert_eq!(drain_state(&harness, &id), Some(DrainState::DRAINING));
    assert_eq!(harness.master.plans().drain_started(&id), Some(harness.now));
    let stored = &harness.registrar.registry().slaves.slaves[0];
    assert!(stored.deactivated() && stored.drain_info.state() == DrainState::DRAINING);
    harness.hold_registry = false;
    harness.clear();
    harness.advance_alive(Duration::from_secs(10), &[&address]);
    assert!(
        harness.offers(&scheduler.id).is_empty(),
        "no offers of a draining agent"
    );
}

#[test]
fn an_agent_is_drained_when_the_last_end_is_acknowledged() {
    let mut harness = Harness::new();
    let (address, id) = register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    scheduler.launch(&mut harness, &id, &["a"]);
    assert_eq!(status(drain(&mut harness, &id, drain_config(None, false))), 200);
    assert_eq!(
        status(harness.operator(OperatorCall::ReactivateAgent(id.clone()))),
        400,
        "still draining"
    );
    harness.receive(&address, update(&scheduler.id, &id, "a", TaskState::TASK_KILLED, 7));
    assert_eq!(drain_state(&harness, &id), Some(DrainState::DRAINING));
    scheduler.acknowledge(&mut harness, &id, "a", crate::actors::uuid(7));
    assert_eq!(drain_state(&harness, &id), Some(DrainState::DRAINED));
    let stored = &harness.registrar.registry().slaves.slaves[0];
    assert_eq!(stored.drain_info.state(), DrainState::DRAINED);
    assert_eq!(status(harness.operator(OperatorCall::ReactivateAgent(id.clone()))), 200);
    assert!(harness.agent(&id).is_active());
    assert_eq!(drain_state(&harness, &id), None);
    assert!(harness.registrar.registry().minimum_capabilities.is_empty());
    harness.advance_alive(Duration::from_secs(2), &[&address]);
    assert_eq!(harness.offers(&scheduler.id).len(), 1, "offered again");
}

#[test]
fn an_empty_agent_is_drained_at_once_and_gone_when_that_is_asked() {
    let mut harness = Harness::new();
    let (_, first) = register_agent(&mut harness, 0);
    let (second_address, second) = register_agent(&mut harness, 1);
    assert_eq!(status(drain(&mut harness, &first, drain_config(None, false))), 200);
    assert_eq!(drain_state(&harness, &first), Some(DrainState::DRAINED));
    assert_eq!(status(drain(&mut harness, &second, drain_config(None, true))), 200);
    assert!(!harness.master.agents().contains_key(&second));
    assert!(harness.master.gone_agents().contains(&second));
    assert_eq!(drain_state(&harness, &second), None);
    assert!(harness.names_to(&second_address).contains(&"ShutdownMessage"));
    let registry = harness.registrar.registry();
    assert_eq!(registry.gone.slaves.len(), 1);
    assert_eq!(registry.minimum_capabilities[0].capability(), "AGENT_DRAINING");
}

#[test]
fn a_task_of_a_framework_that_ends_holds_no_drain_up() {
    let mut harness = Harness::new();
    let (_, id) = register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    scheduler.launch(&mut harness, &id, &["a"]);
    drain(&mut harness, &id, drain_config(None, false));
    harness.operator(OperatorCall::Teardown(scheduler.id.clone()));
    assert_eq!(drain_state(&harness, &id), Some(DrainState::DRAINED));
}

#[test]
fn wrong_requests_are_refused_each_with_its_reason() {
    let mut harness = Harness::new();
    let (_, id) = register_agent(&mut harness, 0);
    let mut message = register_message();
    message
        .agent_capabilities
        .retain(|capability| capability.type_() != AgentCapability::AGENT_DRAINING);
    harness.receive(&agent_upid(1), message);
    let old = harness
        .master
        .agents()
        .keys()
        .find(|other| **other != id)
        .expect("registered")
        .clone();
    let nobody = AgentId::new("nobody");
    let asked = |agent_id: &AgentId, config| OperatorCall::DrainAgent {
        agent_id: agent_id.clone(),
        config,
    };
    let rows = [
        (
            asked(&nobody, drain_config(None, false)),
            400,
            "no agent nobody is known",
        ),
        (
            asked(&id, drain_config(Some(-1), false)),
            400,
            "'max_grace_period' must not be negative",
        ),
        (
            asked(&old, drain_config(None, false)),
            400,
            "lacks the capability AGENT_DRAINING",
        ),
        (
            OperatorCall::DeactivateAgent(nobody.clone()),
            400,
            "no agent nobody is known",
        ),
        (
            OperatorCall::ReactivateAgent(nobody),
            400,
            "agent nobody is not deactivated",
        ),
        (OperatorCall::ReactivateAgent(id.clone()), 400, "is not deactivated"),
    ];
    for (call, expected, text) in rows {
        let reply = harness.operator(call.clone()).expect("answered");
        assert_eq!(reply.status, expected, "{call:?}");
        assert!(reply.body.contains(text), "{call:?}: {}", reply.body);
    }
    harness.hold_registry = true;
    assert_eq!(harness.operator(OperatorCall::MarkAgentGone(id.clone())), None);
    assert_eq!(
        status(drain(&mut harness, &id, drain_config(None, false))),
        409,
        "being marked gone"
    );
}

#[test]
fn an_agent_that_leaves_before_the_registry_hears_of_its_drain_is_a_conflict() {
    let mut harness = Harness::new();
    let (address, id) = register_agent(&mut harness, 0);
    harness.hold_registry = true;
    let mut farewell = wire::UnregisterSlaveMessage::new();
    farewell.slave_id = Some(id.to_proto()).into();
    harness.receive(&address, farewell);
    harness.clear();
    assert_eq!(drain(&mut harness, &id, drain_config(None, false)), None);
    harness.store();
    assert!(matches!(harness.out.last(), Some(Out::Reply(_, reply)) if reply.status == 409));
    assert_eq!(drain_state(&harness, &id), None);
}

#[test]
fn a_deactivated_agent_keeps_its_tasks_and_stays_out_of_offers_when_it_returns() {
    let mut harness = Harness::new();
    let (address, id) = register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    scheduler.launch(&mut harness, &id, &["a"]);
    assert_eq!(status(harness.operator(OperatorCall::DeactivateAgent(id.clone()))), 200);
    assert_eq!(
        status(harness.operator(OperatorCall::DeactivateAgent(id.clone()))),
        200,
        "again"
    );
    assert!(drains_told(&harness, 0).is_empty());
    harness.exited(&address);
    let mut back = reregister_message(&id);
    back.frameworks = vec![scheduler.info.clone()];
    back.tasks = vec![reported_task(&scheduler.id, &id, "a", TaskState::TASK_RUNNING)];
    harness.receive(&address, back);
    let agent = harness.agent(&id);
    assert!(agent.is_connected() && !agent.is_active());
    assert_eq!(agent.tasks()[&scheduler.id].len(), 1);
    harness.exited(&address);
    assert_eq!(
        status(harness.operator(OperatorCall::ReactivateAgent(id.clone()))),
        200,
        "disconnected agents are activated when they return"
    );
    assert!(!harness.agent(&id).is_active());
    harness.receive(&address, reregister_message(&id));
    assert!(harness.agent(&id).is_active());
}

#[test]
fn a_drain_goes_on_when_its_agent_was_unreachable() {
    let mut harness = Harness::new();
    let (address, id) = register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    scheduler.launch(&mut harness, &id, &["a"]);
    drain(&mut harness, &id, drain_config(Some(5), false));
    harness.advance(Duration::from_secs(76));
    assert!(harness.master.unreachable_agents().contains(&id));
    assert_eq!(drain_state(&harness, &id), Some(DrainState::DRAINING));
    assert!(harness.registrar.registry().unreachable.slaves[0].deactivated());
    harness.clear();
    harness.receive(&address, reregister_message(&id));
    assert_eq!(drains_told(&harness, 0), [drain_config(Some(5), false)]);
    assert_eq!(
        drain_state(&harness, &id),
        Some(DrainState::DRAINING),
        "operations come with the first update"
    );
    let mut message = wire::UpdateSlaveMessage::new();
    message.slave_id = Some(id.to_proto()).into();
    harness.receive(&address, message);
    assert_eq!(drain_state(&harness, &id), Some(DrainState::DRAINED));
}

#[test]
fn an_unreachable_agent_can_be_drained_and_reactivated() {
    let mut harness = Harness::new();
    let (address, id) = register_agent(&mut harness, 0);
    harness.advance(Duration::from_secs(76));
    assert!(harness.master.unreachable_agents().contains(&id));
    assert_eq!(status(drain(&mut harness, &id, drain_config(None, false))), 200);
    harness.clear();
    harness.receive(&address, reregister_message(&id));
    assert_eq!(drains_told(&harness, 0).len(), 1);
    assert!(!harness.agent(&id).is_active());
    harness.advance(Duration::from_secs(76));
    harness.operator(OperatorCall::MarkAgentGone(id.clone()));
    assert!(!harness.master.plans().is_deactivated(&id), "gone agents have no plans");
}

#[test]
fn another_master_knows_who_is_drained_and_who_is_deactivated() {
    let mut harness = Harness::new();
    let (_, drained) = register_agent(&mut harness, 0);
    let (_, draining) = register_agent(&mut harness, 1);
    let (_, deactivated) = register_agent(&mut harness, 2);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    scheduler.launch(&mut harness, &draining, &["a"]);
    drain(&mut harness, &drained, drain_config(None, false));
    drain(&mut harness, &draining, drain_config(Some(9), true));
    harness.operator(OperatorCall::DeactivateAgent(deactivated.clone()));
    let registry = harness.registrar.registry();

    let mut next = Harness::with(config(), registry);
    assert_eq!(drain_state(&next, &drained), Some(DrainState::DRAINED));
    for (number, id) in [(0, &drained), (1, &draining), (2, &deactivated)] {
        let mut back = reregister_message(id);
        if id == &draining {
            let mut info = scheduler.info.clone();
            info.id = Some(scheduler.id.to_proto()).into();
            back.frameworks = vec![info];
            back.tasks = vec![reported_task(&scheduler.id, id, "a", TaskState::TASK_RUNNING)];
        }
        next.receive(&agent_upid(number), back);
        assert!(!next.agent(id).is_active(), "{id}");
    }
    assert_eq!(drains_told(&next, 1), [drain_config(Some(9), true)]);
    assert_eq!(drain_state(&next, &draining), Some(DrainState::DRAINING));
    assert!(drains_told(&next, 2).is_empty());
    next.receive(
        &agent_upid(1),
        update(&scheduler.id, &draining, "a", TaskState::TASK_KILLED, 3),
    );
    let again = Scheduler::subscribe(&mut next, {
        let mut info = scheduler.info.clone();
        info.id = Some(scheduler.id.to_proto()).into();
        info
    });
    next.receive(
        &agent_upid(1),
        update(&scheduler.id, &draining, "a", TaskState::TASK_KILLED, 3),
    );
    again.acknowledge(&mut next, &draining, "a", crate::actors::uuid(3));
    assert!(next.master.gone_agents().contains(&draining), "drained, then gone");
}
