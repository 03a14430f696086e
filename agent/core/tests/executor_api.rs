//! Executors over the v1 API, and messages between schedulers and executors.

mod support;

use std::path::Path;

use mesos::Message;
use mesos_agent_core::{AgentConfig, AgentTimer, Effect, ExecutorConnection, ExecutorState, ExecutorStreamId, Input};
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::executor::{self, call::Type as CallType, event::Type as EventType};
use mesos_proto::v0::mesos as pb;
use pb::TaskState;
use support::{Bench, build, events, forwarded, master, names, replied, sends, upid};

/// A v1 executor `e1` that has subscribed on stream 1 and got its task `t1`.
fn subscribed() -> Bench {
    let mut bench = Bench::registered();
    bench.receive(&master(), build::run_task("t1", Some("e1"), true));
    bench.launched();
    bench.call(1, build::subscribe("e1"));
    bench
}

fn connection(bench: &Bench) -> Option<&ExecutorConnection> {
    bench.executor("e1").map(mesos_agent_core::Executor::connection)
}

#[test]
fn a_subscription_opens_the_stream_and_delivers_the_queue() {
    let mut bench = Bench::registered();
    bench.receive(&master(), build::run_task("t1", Some("e1"), true));
    bench.receive(&master(), build::run_task("t2", Some("e1"), false));
    let container = bench.launched();
    let effects = bench.call(1, build::subscribe("e1"));
    assert!(effects.iter().any(|effect| matches!(
        effect,
        Effect::OpenStream {
            stream: ExecutorStreamId(1),
            ..
        }
    )));
    assert_eq!(
        events(&effects, 1),
        [EventType::SUBSCRIBED, EventType::LAUNCH, EventType::LAUNCH]
    );
    let event = effects.iter().find_map(|effect| match effect {
        Effect::StreamEvent { event, .. } => Some(&event.subscribed),
        _ => None,
    });
    let event = event.expect("an event");
    assert_eq!(event.container_id.value(), container.value());
    assert_eq!(event.slave_info.id.value(), support::AGENT);
    let marker = bench
        .executor("e1")
        .map(|executor| executor.paths().http_marker())
        .expect("an executor");
    assert!(bench.disk.files.contains_key(&marker));
    assert!(
        !bench
            .timers
            .keys()
            .any(|timer| matches!(timer, AgentTimer::ExecutorRegistration { .. }))
    );
}

#[test]
fn calls_are_answered_as_documented() {
    let bad_uuid = |mut call: executor::Call| {
        call.update
            .mut_or_insert_default()
            .status
            .mut_or_insert_default()
            .set_uuid(vec![1]);
        call
    };
    let with_source = |mut call: executor::Call| {
        let status = call.update.mut_or_insert_default().status.mut_or_insert_default();
        status.set_source(pb::task_status::Source::SOURCE_SLAVE);
        call
    };
    let unknown_framework = |mut call: executor::Call| {
        call.framework_id.mut_or_insert_default().set_value("f".to_owned());
        call
    };
    let update = || build::update_call("e1", build::status("t1", TaskState::TASK_RUNNING, 1));
    let mut no_framework = build::subscribe("e1");
    no_framework.framework_id.clear();
    let staging = build::update_call("e1", build::status("t1", TaskState::TASK_STAGING, 1));
    let mut other_executor = build::status("t1", TaskState::TASK_RUNNING, 1);
    other_executor.executor_id = build::executor_id("e2");
    let table = [
        ("no type", executor::Call::new(), 400),
        ("no framework", no_framework, 400),
        ("no subscribe", build::call("e1", CallType::SUBSCRIBE), 400),
        ("no message", build::call("e1", CallType::MESSAGE), 400),
        ("no update", build::call("e1", CallType::UPDATE), 400),
        ("short uuid", bad_uuid(update()), 400),
        ("agent as source", with_source(update()), 400),
        ("staging", staging, 400),
        (
            "other executor in status",
            build::update_call("e1", other_executor),
            400,
        ),
        ("unknown framework", unknown_framework(build::subscribe("e1")), 400),
        ("unknown executor", build::subscribe("e9"), 400),
        ("heartbeat", build::call("e1", CallType::HEARTBEAT), 202),
        ("heartbeat of a stranger", build::call("e9", CallType::HEARTBEAT), 202),
        ("unknown type", build::call("e1", CallType::UNKNOWN), 501),
        ("update", update(), 202),
    ];
    let mut bench = subscribed();
    for (what, call, status) in table {
        assert_eq!(replied(&bench.call(7, call)), Some(status), "{what}");
    }
}

#[test]
fn an_executor_that_has_not_subscribed_may_do_nothing_else() {
    let mut bench = Bench::registered();
    bench.receive(&master(), build::run_task("t1", Some("e1"), true));
    let call = build::update_call("e1", build::status("t1", TaskState::TASK_RUNNING, 1));
    assert_eq!(replied(&bench.call(1, call)), Some(403));
}

#[test]
fn nothing_is_answered_before_recovery() {
    let mut bench = Bench::new(build::config());
    assert_eq!(replied(&bench.call(1, build::subscribe("e1"))), Some(503));
    assert_eq!(
        replied(&bench.call(1, build::call("e1", CallType::HEARTBEAT))),
        Some(503)
    );
    let effects = bench.receive(&upid("executor(1)@127.0.0.1:4000"), build::register_executor("e1"));
    assert_eq!(names(&effects), ["ShutdownExecutorMessage"]);
}

#[test]
fn updates_are_acknowledged_over_the_stream() {
    let mut bench = subscribed();
    let effects = bench.call(
        1,
        build::update_call("e1", build::status("t1", TaskState::TASK_RUNNING, 1)),
    );
    assert_eq!(replied(&effects), Some(202));
    assert_eq!(events(&effects, 1), [EventType::ACKNOWLEDGED]);
    let update = forwarded(&effects)[0];
    // The executor gave no time of its own: the agent's stands on the update only.
    assert!(update.status.timestamp.is_none());
    assert!((update.timestamp() - bench.now.as_secs_f64()).abs() < 1e-6);
    assert_eq!(update.executor_id.value(), "e1");
}

#[test]
fn a_new_subscription_replaces_the_older_stream() {
    let mut bench = subscribed();
    bench.call(
        1,
        build::update_call("e1", build::status("t1", TaskState::TASK_RUNNING, 1)),
    );
    let effects = bench.call(2, build::subscribe("e1"));
    assert!(effects.contains(&Effect::CloseStream(ExecutorStreamId(1))));
    assert_eq!(events(&effects, 2), [EventType::SUBSCRIBED]);
    // The end of the older stream is no news.
    bench.step(Input::ExecutorStreamClosed {
        stream: ExecutorStreamId(1),
    });
    assert_eq!(
        connection(&bench),
        Some(&ExecutorConnection::Http(Some(ExecutorStreamId(2))))
    );
}

#[test]
fn tasks_and_kills_wait_for_a_disconnected_executor() {
    let mut bench = subscribed();
    bench.call(
        1,
        build::update_call("e1", build::status("t1", TaskState::TASK_RUNNING, 1)),
    );
    bench.step(Input::ExecutorStreamClosed {
        stream: ExecutorStreamId(1),
    });
    assert!(events(&bench.receive(&master(), build::run_task("t2", Some("e1"), false)), 1).is_empty());
    assert!(events(&bench.receive(&master(), build::kill_task("t1")), 1).is_empty());
    let effects = bench.call(2, build::subscribe("e1"));
    assert_eq!(
        events(&effects, 2),
        [EventType::SUBSCRIBED, EventType::KILL, EventType::LAUNCH]
    );
}

#[test]
fn tasks_that_an_executor_never_got_are_dropped_when_it_is_back() {
    let mut bench = subscribed();
    bench.receive(&master(), build::run_task("t2", Some("e1"), false));
    bench.step(Input::ExecutorStreamClosed {
        stream: ExecutorStreamId(1),
    });
    let mut call = build::subscribe("e1");
    let subscribe = call.subscribe.mut_or_insert_default();
    subscribe.unacknowledged_tasks.push(build::task("t2", Some("e1")));
    let mut kept = executor::call::Update::new();
    kept.status = Some(build::status("t2", TaskState::TASK_RUNNING, 5)).into();
    subscribe.unacknowledged_updates.push(kept);
    let effects = bench.call(2, call);
    let states: Vec<_> = forwarded(&effects)
        .iter()
        .map(|u| (u.status.task_id.value(), u.status.state()))
        .collect();
    assert_eq!(
        states,
        [("t2", TaskState::TASK_RUNNING), ("t1", TaskState::TASK_DROPPED)]
    );
}

#[test]
fn heartbeats_go_out_every_half_hour_while_the_stream_is_open() {
    let mut bench = subscribed();
    let timer = AgentTimer::ExecutorHeartbeat {
        stream: ExecutorStreamId(1),
    };
    assert_eq!(bench.pause_of(&timer).map(|pause| pause.as_secs()), Some(1800));
    assert_eq!(events(&bench.fire(&timer), 1), [EventType::HEARTBEAT]);
    assert!(bench.timers.contains_key(&timer));
    bench.step(Input::ExecutorStreamClosed {
        stream: ExecutorStreamId(1),
    });
    assert!(!bench.timers.contains_key(&timer));
}

#[test]
fn executors_that_are_ending_are_told_so() {
    let mut bench = subscribed();
    bench.receive(&master(), build::shutdown_framework());
    let effects = bench.call(2, build::subscribe("e1"));
    assert_eq!(events(&effects, 2), [EventType::SHUTDOWN]);
    assert!(effects.contains(&Effect::CloseStream(ExecutorStreamId(2))));
    assert_eq!(
        bench.executor("e1").map(mesos_agent_core::Executor::state),
        Some(ExecutorState::Terminating)
    );
}

#[test]
fn groups_reach_the_executor_as_one_event() {
    let mut bench = Bench::registered();
    bench.receive(&master(), build::run_task_group(&["g1", "g2"], "e1"));
    bench.launched();
    let effects = bench.call(1, build::subscribe("e1"));
    assert_eq!(events(&effects, 1), [EventType::SUBSCRIBED, EventType::LAUNCH_GROUP]);
    assert_eq!(
        bench.executor("e1").map(|executor| executor.launched_tasks().count()),
        Some(2)
    );
}

#[test]
fn messages_pass_in_both_directions() {
    let mut bench = subscribed();
    let mut message = internal::FrameworkToExecutorMessage::new();
    message.slave_id = build::agent_id();
    message.framework_id = build::framework_id();
    message.executor_id = build::executor_id("e1");
    message.set_data(b"hi".to_vec());
    let effects = bench.receive(&upid("scheduler-1@127.0.0.1:3000"), message.clone());
    assert_eq!(events(&effects, 1), [EventType::MESSAGE]);

    let mut call = build::call("e1", CallType::MESSAGE);
    call.message.mut_or_insert_default().set_data(b"ho".to_vec());
    let effects = bench.call(1, call);
    let [(to, Message::ExecutorToFramework(answer))] = sends(&effects)[..] else {
        panic!("{effects:?}")
    };
    assert_eq!((to, answer.data()), (&upid("scheduler-1@127.0.0.1:3000"), &b"ho"[..]));

    // A scheduler without an address hears through the master.
    let mut moved = internal::UpdateFrameworkMessage::new();
    moved.framework_id = build::framework_id();
    moved.set_pid("@0.0.0.0:0".to_owned());
    bench.receive(&master(), moved);
    let pid = Path::new("/w/meta/slaves/M-S0/frameworks/M-0000/framework.pid");
    assert_eq!(bench.disk.text(pid), Some("@0.0.0.0:0"));
    let mut old = internal::ExecutorToFrameworkMessage::new();
    old.slave_id = build::agent_id();
    old.framework_id = build::framework_id();
    old.executor_id = build::executor_id("e1");
    old.set_data(b"ho".to_vec());
    let effects = bench.receive(&upid("executor(1)@127.0.0.1:4000"), old);
    assert_eq!(sends(&effects)[0].0, &master());

    message.executor_id = build::executor_id("e9");
    assert_eq!(bench.receive(&master(), message), []);
    assert_eq!(bench.agent.counters().invalid_framework_messages, 1);
}

#[test]
fn the_domain_socket_is_told_to_executors() {
    let config = AgentConfig {
        domain_socket: Some("/run/agent.sock".into()),
        ..build::config()
    };
    let mut bench = Bench::new(config);
    bench.step(Input::Recovered(Box::default()));
    bench.register();
    bench.receive(&master(), build::run_task("t1", Some("e1"), true));
    let expected = ("MESOS_DOMAIN_SOCKET".to_owned(), "/run/agent.sock".to_owned());
    assert!(bench.launches[0].environment.contains(&expected));
}
