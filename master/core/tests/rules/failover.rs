//! A new leader with the registry of the former one.

use std::time::Duration;

use mesos::ids::{AgentId, FrameworkId};
use mesos_master_core::{Input, Master, MasterTimer, Phase, RequestId, SchedulerCall, StreamId};
use mesos_proto::internal::master::stored_registry::registry::Slave;
use mesos_proto::internal::wire::messages as wire;
use mesos_proto::v0::mesos::TaskState;
use mesos_proto::v0::scheduler::event;
use mesos_registrar::Registry;

use crate::actors::{
    MODERN, Scheduler, agent_info, agent_upid, framework_info, register_message, reported_task, reregister_message,
    subscribe_call,
};
use crate::harness::{Harness, Out, allocator, config, upid};

fn registry(ids: &[&AgentId]) -> Registry {
    let mut registry = Registry::new();
    for id in ids {
        let mut slave = Slave::new();
        slave.info = Some(agent_info(Some(id))).into();
        registry.slaves.mut_or_insert_default().slaves.push(slave);
    }
    registry
}

fn old_agent() -> AgentId {
    AgentId::new("old-S0")
}

fn old_framework() -> FrameworkId {
    FrameworkId::new("old-0000")
}

/// What the agent reports: a running task of the framework.
fn report(id: &AgentId) -> wire::ReregisterSlaveMessage {
    let mut message = reregister_message(id);
    let mut info = framework_info(MODERN);
    info.id = Some(old_framework().to_proto()).into();
    message.frameworks.push(info);
    message
        .tasks
        .push(reported_task(&old_framework(), id, "a", TaskState::TASK_RUNNING));
    message
}

#[test]
fn nobody_is_served_before_recovery() {
    let mut master = Master::new(config(), allocator());
    let now = libprocess_types::Time::from_secs_f64(5.0);
    let message = Input::Message {
        from: agent_upid(0),
        message: register_message().into(),
    };
    assert!(master.step(now, message).is_empty());
    let call = SchedulerCall {
        request: RequestId(1),
        call: subscribe_call(&framework_info(MODERN)),
        principal: None,
        stream_header: None,
        new_stream: StreamId::new("s"),
    };
    let effects = master.step(now, Input::SchedulerCall(Box::new(call)));
    assert!(matches!(&effects[..], [mesos_master_core::Effect::Reply { reply, .. }] if reply.status == 503));
    assert_eq!(master.phase(), Phase::Recovering);
}

#[test]
fn a_master_leads_when_the_registry_names_it() {
    let harness = Harness::new();
    let stored = &harness.registrar.registry().master.info;
    assert_eq!(stored.id(), crate::harness::MASTER);
    assert_eq!(harness.master.phase(), Phase::Leading);
    let mut master = Master::new(config(), allocator());
    let now = libprocess_types::Time::from_secs_f64(5.0);
    let effects = master.step(now, Input::Recovered(Box::default()));
    assert!(matches!(
        &effects[..],
        [mesos_master_core::Effect::StoreRegistry { .. }]
    ));
    assert_eq!(master.phase(), Phase::Recovering);
    assert!(
        master.step(now, Input::Recovered(Box::default())).is_empty(),
        "asked once"
    );
    let failed = Input::RegistryFailed(mesos_registrar::StoreError("full".to_owned()));
    assert!(matches!(
        &master.step(now, failed)[..],
        [mesos_master_core::Effect::Abort(_)]
    ));
}

#[test]
fn agents_bring_their_frameworks_and_tasks_back() {
    let id = old_agent();
    let mut harness = Harness::with(config(), registry(&[&id]));
    assert!(harness.master.recovered_agents().contains_key(&id));
    harness.receive(&agent_upid(0), report(&id));
    assert_eq!(
        harness.names_to(&agent_upid(0)),
        ["PingSlaveMessage", "SlaveReregisteredMessage"]
    );
    assert!(harness.master.recovered_agents().is_empty());
    let framework = &harness.master.frameworks()[&old_framework()];
    assert!(framework.is_recovered());
    assert_eq!(framework.tasks().len(), 1);
    assert!((harness.agent(&id).used()[&old_framework()].cpus().to_f64() - 1.0).abs() < 1e-9);
    assert!(
        harness.states().is_empty(),
        "the framework is told nothing: it reconciles"
    );
    assert!(
        !harness.has_timer(&MasterTimer::FrameworkFailover(old_framework())),
        "no timer for it, pitfall D10"
    );
}

#[test]
fn a_recovered_framework_that_subscribes_is_offered_what_is_left() {
    let id = old_agent();
    let mut harness = Harness::with(config(), registry(&[&id]));
    harness.receive(&agent_upid(0), report(&id));
    harness.clear();
    let mut info = framework_info(MODERN);
    info.id = Some(old_framework().to_proto()).into();
    let scheduler = Scheduler::subscribe(&mut harness, info);
    assert_eq!(scheduler.id, old_framework());
    assert_eq!(
        harness.types_on(&scheduler.stream),
        [event::Type::SUBSCRIBED, event::Type::HEARTBEAT, event::Type::OFFERS]
    );
    assert_eq!(harness.names_to(&agent_upid(0)), ["UpdateFrameworkMessage"]);
    let offers = harness.offers(&scheduler.id);
    assert!((harness.master.offers()[&offers[0]].resources().cpus().to_f64() - 3.0).abs() < 1e-9);
}

#[test]
fn a_framework_that_returns_before_its_agents_keeps_its_id() {
    let mut harness = Harness::new();
    let driver = upid("scheduler-1@127.0.0.9:4000");
    let mut info = framework_info(MODERN);
    info.id = Some(old_framework().to_proto()).into();
    harness.receive(&driver, subscribe_call(&info));
    assert_eq!(harness.names_to(&driver), ["FrameworkRegisteredMessage"]);
    assert!(harness.master.frameworks()[&old_framework()].is_active());
}

#[test]
fn agents_that_do_not_come_back_become_unreachable() {
    let (here, lost) = (old_agent(), AgentId::new("old-S1"));
    let mut harness = Harness::with(config(), registry(&[&here, &lost]));
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    harness.receive(&agent_upid(0), reregister_message(&here));
    harness.clear();
    harness.advance_alive(Duration::from_secs(601), &[&agent_upid(0)]);
    assert!(harness.master.unreachable_agents().contains(&lost));
    assert_eq!(harness.registrar.registry().unreachable.slaves.len(), 1);
    assert!(harness.types_on(&scheduler.stream).contains(&event::Type::FAILURE));
    assert!(harness.master.agents().contains_key(&here));
}

#[test]
fn losing_too_many_agents_at_failover_ends_the_master() {
    let mut config = config();
    config.recovery_agent_removal_limit = 40.0;
    let (first, second) = (old_agent(), AgentId::new("old-S1"));
    let mut harness = Harness::with(config, registry(&[&first, &second]));
    harness.receive(&agent_upid(0), reregister_message(&first));
    harness.advance_alive(Duration::from_secs(601), &[&agent_upid(0)]);
    assert!(harness.out.iter().any(|out| matches!(out, Out::Abort(_))));
    assert!(harness.master.unreachable_agents().is_empty());
}

#[test]
fn an_agent_with_a_changed_description_updates_the_registry() {
    let id = old_agent();
    let mut harness = Harness::with(config(), registry(&[&id]));
    let mut message = report(&id);
    message.slave.mut_or_insert_default().set_port(6000);
    harness.receive(&agent_upid(0), message);
    assert_eq!(harness.registrar.registry().slaves.slaves[0].info.port(), 6000);
}

#[test]
fn old_unreachable_agents_leave_the_registry() {
    let mut config = config();
    config.registry_max_agent_age = Duration::from_secs(3600);
    let id = old_agent();
    let mut harness = Harness::with(config, registry(&[&id]));
    harness.advance(Duration::from_secs(601));
    assert_eq!(harness.registrar.registry().unreachable.slaves.len(), 1);
    harness.advance(Duration::from_secs(3 * 3600));
    assert!(harness.registrar.registry().unreachable.slaves.is_empty());
    assert!(harness.master.unreachable_agents().is_empty());
}
