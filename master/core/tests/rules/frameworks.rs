//! Schedulers over HTTP and over libprocess: subscribe, retry, take over, leave.

use std::time::Duration;

use libprocess_types::Upid;
use mesos::Message;
use mesos::ids::FrameworkId;
use mesos_master_core::{FrameworkState, Input, MasterTimer, OperatorCall, StreamId};
use mesos_proto::internal::wire::messages as wire;
use mesos_proto::v0::mesos as proto;
use mesos_proto::v0::mesos::TaskState;
use mesos_proto::v0::mesos::framework_info::capability::Type as Capability;
use mesos_proto::v0::scheduler::call::Type;
use mesos_proto::v0::scheduler::{Call, event};

use crate::actors::{MODERN, Scheduler, agent_upid, framework_info, register_agent, subscribe_call};
use crate::harness::{Harness, MASTER, Out, upid};

fn driver() -> Upid {
    upid("scheduler-1@127.0.0.9:4000")
}

fn subscribe_process(harness: &mut Harness, from: &Upid, info: &proto::FrameworkInfo, force: bool) {
    let mut call = subscribe_call(info);
    call.subscribe.mut_or_insert_default().set_force(force);
    harness.receive(from, call);
}

fn with_id(mut info: proto::FrameworkInfo, id: &FrameworkId) -> proto::FrameworkInfo {
    info.id = Some(id.to_proto()).into();
    info
}

fn error_on(harness: &Harness, stream: &StreamId) -> Option<String> {
    let events = harness.events_on(stream);
    events
        .iter()
        .find(|event| event.type_() == event::Type::ERROR)
        .map(|event| event.error.message().to_owned())
}

fn errors_to(harness: &Harness, to: &Upid) -> Vec<String> {
    let errors = harness.messages_to(to).into_iter().filter_map(|message| match message {
        Message::FrameworkError(error) => Some(error.message().to_owned()),
        _ => None,
    });
    errors.collect()
}

#[test]
fn a_new_http_framework_gets_its_id_a_heartbeat_and_offers() {
    let mut harness = Harness::new();
    register_agent(&mut harness, 0);
    harness.clear();
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    assert_eq!(scheduler.id.as_str(), format!("{MASTER}-0000"));
    let types = harness.types_on(&scheduler.stream);
    assert_eq!(
        types,
        [event::Type::SUBSCRIBED, event::Type::HEARTBEAT, event::Type::OFFERS]
    );
    let first = harness.events_on(&scheduler.stream)[0].clone();
    assert!((first.subscribed.heartbeat_interval_seconds() - 15.0).abs() < f64::EPSILON);
    assert_eq!(first.subscribed.master_info.id(), MASTER);
    let second = Scheduler::subscribe(&mut harness, framework_info(&[]));
    assert_eq!(second.id.as_str(), format!("{MASTER}-0001"));
}

#[test]
fn heartbeats_come_every_15_seconds_until_the_stream_ends() {
    let mut harness = Harness::new();
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    harness.clear();
    harness.advance(Duration::from_secs(46));
    assert_eq!(harness.types_on(&scheduler.stream), [event::Type::HEARTBEAT; 3]);
    harness.step(Input::SchedulerStreamClosed(scheduler.stream.clone()));
    assert!(!harness.has_timer(&MasterTimer::Heartbeat(scheduler.stream)));
}

#[test]
fn a_subscription_with_a_stream_id_is_refused() {
    let mut harness = Harness::new();
    let reply = harness.call(subscribe_call(&framework_info(MODERN)), Some(&StreamId::new("x")));
    assert_eq!(reply.status, 400);
    assert!(harness.master.frameworks().is_empty());
}

#[test]
fn an_invalid_description_is_an_error_event_on_an_open_stream() {
    let mut harness = Harness::new();
    let mut info = framework_info(&[]);
    info.roles.push("a".to_owned());
    assert_eq!(harness.call(subscribe_call(&info), None).status, 200);
    let stream = harness.last_stream();
    assert_eq!(harness.types_on(&stream), [event::Type::ERROR]);
    assert!(matches!(harness.out.last(), Some(Out::Closed(closed)) if *closed == stream));
    assert!(harness.master.frameworks().is_empty());
}

/// Source: golden `errors.tsv`, rows `live.*` and `sched.unknownfw*`.
#[test]
fn calls_fail_with_the_status_of_the_first_rule_that_they_break() {
    let mut harness = Harness::new();
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    let revive = scheduler.typed(Type::REVIVE);
    let mut unknown = Call::new();
    unknown.set_type(Type::TEARDOWN);
    assert_eq!(harness.call(unknown.clone(), None).status, 400, "no framework id");
    unknown
        .framework_id
        .mut_or_insert_default()
        .set_value("nope".to_owned());
    assert_eq!(
        harness.call(unknown, Some(&scheduler.stream)).status,
        400,
        "unknown framework"
    );
    assert_eq!(harness.call(revive.clone(), None).status, 400, "no stream id");
    assert_eq!(
        harness.call(revive.clone(), Some(&StreamId::new("x"))).status,
        400,
        "foreign stream id"
    );
    assert_eq!(harness.call(revive.clone(), Some(&scheduler.stream)).status, 202);
    assert_eq!(
        harness
            .call(scheduler.typed(Type::UNKNOWN), Some(&scheduler.stream))
            .status,
        501
    );
    harness.step(Input::SchedulerStreamClosed(scheduler.stream.clone()));
    // A failover timeout of zero: the framework ends when the timer is handled.
    assert_eq!(
        harness.call(revive, Some(&scheduler.stream)).status,
        403,
        "not subscribed"
    );
}

#[test]
fn a_framework_of_a_driver_cannot_be_called_over_http() {
    let mut harness = Harness::new();
    subscribe_process(&mut harness, &driver(), &framework_info(MODERN), false);
    let id = harness.master.frameworks().keys().next().expect("subscribed").clone();
    let mut call = Call::new();
    call.set_type(Type::REVIVE);
    call.framework_id = Some(id.to_proto()).into();
    assert_eq!(harness.call(call, Some(&StreamId::new("x"))).status, 403);
}

#[test]
fn a_driver_that_repeats_its_subscription_is_acknowledged_again() {
    let mut harness = Harness::new();
    let info = framework_info(MODERN);
    subscribe_process(&mut harness, &driver(), &info, false);
    subscribe_process(&mut harness, &driver(), &info, false);
    assert_eq!(harness.names_to(&driver()), ["FrameworkRegisteredMessage"; 2]);
    assert_eq!(harness.master.frameworks().len(), 1);
}

#[test]
fn the_older_registration_messages_subscribe_too() {
    let mut harness = Harness::new();
    let mut message = wire::RegisterFrameworkMessage::new();
    message.framework = Some(framework_info(MODERN)).into();
    harness.receive(&driver(), message.clone());
    assert_eq!(harness.names_to(&driver()), ["FrameworkRegisteredMessage"]);
    let id = harness.master.frameworks().keys().next().expect("subscribed").clone();
    harness.clear();
    message.framework = Some(with_id(framework_info(MODERN), &id)).into();
    harness.receive(&driver(), message);
    assert_eq!(
        harness.names_to(&driver()),
        ["FrameworkErrorMessage"],
        "registration with an id"
    );
    harness.clear();
    let mut again = wire::ReregisterFrameworkMessage::new();
    again.framework = Some(with_id(framework_info(MODERN), &id)).into();
    again.set_failover(false);
    harness.receive(&driver(), again.clone());
    assert_eq!(harness.names_to(&driver()), ["FrameworkReregisteredMessage"]);
    harness.clear();
    again.framework = Some(framework_info(MODERN)).into();
    harness.receive(&driver(), again);
    assert_eq!(
        harness.names_to(&driver()),
        ["FrameworkErrorMessage"],
        "re-registration without an id"
    );
}

#[test]
fn a_second_http_subscription_takes_over_and_the_first_is_told() {
    let mut harness = Harness::new();
    register_agent(&mut harness, 0);
    let first = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    harness.clear();
    let second = Scheduler::subscribe(&mut harness, with_id(framework_info(MODERN), &first.id));
    assert_eq!(
        error_on(&harness, &first.stream).as_deref(),
        Some("Framework failed over")
    );
    assert!(
        harness
            .out
            .iter()
            .any(|out| matches!(out, Out::Closed(stream) if *stream == first.stream))
    );
    assert_eq!(
        harness.call(first.typed(Type::REVIVE), Some(&first.stream)).status,
        400,
        "the old stream id"
    );
    // The end of the old stream is none of the new one's business.
    harness.step(Input::SchedulerStreamClosed(first.stream.clone()));
    assert!(harness.master.frameworks()[&second.id].is_active());
    assert_eq!(harness.names_to(&agent_upid(0)), ["UpdateFrameworkMessage"]);
}

#[test]
fn another_driver_takes_over_only_by_force() {
    let mut harness = Harness::new();
    subscribe_process(&mut harness, &driver(), &framework_info(MODERN), false);
    let id = harness.master.frameworks().keys().next().expect("subscribed").clone();
    let other = upid("scheduler-2@127.0.0.9:4001");
    let info = with_id(framework_info(MODERN), &id);
    subscribe_process(&mut harness, &other, &info, false);
    assert_eq!(errors_to(&harness, &other), ["Framework failed over"]);
    assert_eq!(harness.master.frameworks()[&id].upid(), Some(&driver()));
    harness.clear();
    subscribe_process(&mut harness, &other, &info, true);
    assert_eq!(errors_to(&harness, &driver()), ["Framework failed over"]);
    assert_eq!(harness.names_to(&other), ["FrameworkRegisteredMessage"]);
    // The break of the older link is stale.
    harness.exited(&driver());
    assert!(harness.master.frameworks()[&id].is_active());
}

#[test]
fn two_frameworks_cannot_live_at_one_address() {
    let mut harness = Harness::new();
    let other = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    subscribe_process(&mut harness, &driver(), &framework_info(MODERN), false);
    harness.clear();
    subscribe_process(
        &mut harness,
        &driver(),
        &with_id(framework_info(MODERN), &other.id),
        true,
    );
    assert!(harness.names_to(&driver()).is_empty());
    assert!(harness.master.frameworks()[&other.id].is_connected());
}

#[test]
fn a_disconnected_framework_ends_when_its_failover_timeout_passes() {
    let mut harness = Harness::new();
    let (agent, _) = register_agent(&mut harness, 0);
    let mut info = framework_info(MODERN);
    info.set_failover_timeout(60.0);
    let scheduler = Scheduler::subscribe(&mut harness, info.clone());
    harness.step(Input::SchedulerStreamClosed(scheduler.stream.clone()));
    assert_eq!(
        *harness.master.frameworks()[&scheduler.id].state(),
        FrameworkState::Disconnected
    );
    assert!(harness.master.offers().is_empty(), "its offers came back");
    harness.advance_alive(Duration::from_secs(59), &[&agent]);
    let scheduler = Scheduler::subscribe(&mut harness, with_id(info.clone(), &scheduler.id));
    harness.advance_alive(Duration::from_secs(120), &[&agent]);
    assert!(
        harness.master.frameworks().contains_key(&scheduler.id),
        "it came back in time"
    );
    harness.step(Input::SchedulerStreamClosed(scheduler.stream.clone()));
    harness.clear();
    harness.advance_alive(Duration::from_secs(61), &[&agent]);
    assert!(harness.master.frameworks().is_empty());
    assert!(harness.names_to(&agent).contains(&"ShutdownFrameworkMessage"));
    assert_eq!(
        harness.call(subscribe_call(&with_id(info, &scheduler.id)), None).status,
        200
    );
    assert_eq!(
        error_on(&harness, &harness.last_stream()).as_deref(),
        Some("Framework has been removed")
    );
}

#[test]
fn teardown_kills_the_tasks_and_forgets_the_framework() {
    let mut harness = Harness::new();
    let (agent, agent_id) = register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    scheduler.launch(&mut harness, &agent_id, &["a", "b"]);
    harness.clear();
    scheduler.send(&mut harness, scheduler.typed(Type::TEARDOWN));
    assert_eq!(harness.names_to(&agent), ["ShutdownFrameworkMessage"]);
    assert!(harness.master.frameworks().is_empty());
    let ended = harness.master.completed_frameworks().iter().next().expect("remembered");
    let tasks: Vec<_> = ended.completed_tasks().iter().collect();
    assert_eq!(tasks.len(), 2);
    for task in tasks {
        assert_eq!(task.state(), TaskState::TASK_KILLED);
        assert_eq!(
            task.message().statuses.last().expect("a status").message(),
            "Framework terminated"
        );
    }
    assert!(harness.agent(&agent_id).used().is_empty());
    assert_eq!(
        harness
            .operator(OperatorCall::Teardown(scheduler.id))
            .map(|reply| reply.status),
        Some(400)
    );
}

#[test]
fn unregister_and_deactivate_are_heard_from_the_framework_itself_only() {
    let mut harness = Harness::new();
    register_agent(&mut harness, 0);
    subscribe_process(&mut harness, &driver(), &framework_info(MODERN), false);
    let id = harness.master.frameworks().keys().next().expect("subscribed").clone();
    let mut deactivate = wire::DeactivateFrameworkMessage::new();
    deactivate.framework_id = Some(id.to_proto()).into();
    let mut unregister = wire::UnregisterFrameworkMessage::new();
    unregister.framework_id = Some(id.to_proto()).into();
    let stranger = upid("scheduler-2@127.0.0.9:4001");
    harness.receive(&stranger, deactivate.clone());
    harness.receive(&stranger, unregister.clone());
    assert!(harness.master.frameworks()[&id].is_active());
    harness.clear();
    harness.receive(&driver(), deactivate);
    assert!(harness.master.frameworks()[&id].is_connected() && !harness.master.frameworks()[&id].is_active());
    assert_eq!(harness.names_to(&driver()), ["RescindResourceOfferMessage"]);
    harness.receive(&driver(), unregister);
    assert!(harness.master.frameworks().is_empty());
}

#[test]
fn completed_frameworks_are_kept_to_their_bound() {
    let mut config = crate::harness::config();
    config.max_completed_frameworks = 2;
    let mut harness = Harness::with(config, mesos_registrar::Registry::new());
    let mut ids = Vec::new();
    for _ in 0..3 {
        let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
        scheduler.send(&mut harness, scheduler.typed(Type::TEARDOWN));
        ids.push(scheduler.id);
    }
    let kept: Vec<_> = harness
        .master
        .completed_frameworks()
        .iter()
        .map(|framework| framework.id().clone())
        .collect();
    assert_eq!(kept, ids[1..]);
}

#[test]
fn an_update_changes_roles_and_refuses_user_and_checkpoint() {
    let mut harness = Harness::new();
    register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    assert_eq!(harness.offers(&scheduler.id).len(), 1);
    let mut call = scheduler.typed(Type::UPDATE_FRAMEWORK);
    let update = call.update_framework.mut_or_insert_default();
    update.framework_info = Some(scheduler.info.clone()).into();
    update
        .framework_info
        .mut_or_insert_default()
        .set_user("nobody".to_owned());
    assert_eq!(harness.call(call.clone(), Some(&scheduler.stream)).status, 400);
    let info = call
        .update_framework
        .mut_or_insert_default()
        .framework_info
        .mut_or_insert_default();
    info.set_user("root".to_owned());
    info.roles = vec!["new".to_owned()];
    harness.clear();
    let reply = harness.call(call, Some(&scheduler.stream));
    assert_eq!((reply.status, reply.body.as_str()), (200, ""));
    assert!(
        harness.types_on(&scheduler.stream).contains(&event::Type::RESCIND),
        "offers of the old role are withdrawn"
    );
    assert_eq!(harness.names_to(&agent_upid(0)), ["UpdateFrameworkMessage"]);
    let offers = harness.offers(&scheduler.id);
    assert!(offers.iter().all(|id| harness.master.offers()[id].role() == "new"));
}

#[test]
fn principals_must_agree() {
    let mut harness = Harness::new();
    let mut info = framework_info(&[Capability::MULTI_ROLE]);
    info.set_principal("ops".to_owned());
    let first = Scheduler::subscribe(&mut harness, info.clone());
    let mut other = with_id(info, &first.id);
    other.set_principal("other".to_owned());
    assert_eq!(harness.call(subscribe_call(&other), None).status, 200);
    assert!(error_on(&harness, &harness.last_stream()).is_some());
    assert!(
        harness.master.frameworks()[&first.id].is_active(),
        "the refused one changed nothing"
    );
}
