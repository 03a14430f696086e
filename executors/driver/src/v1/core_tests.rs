//! The v1 executor client's rules as sequences of inputs and effects.

use mesos_proto::v1::mesos::TaskState;

use super::*;

const NOW: Time = Time::EPOCH;

fn core(recovery_timeout: Option<Duration>) -> ClientCore {
    ClientCore::new(ClientConfig {
        framework_id: "F".into(),
        executor_id: "E".into(),
        recovery_timeout,
        backoff_max: Duration::from_secs(2),
        shutdown_grace_period: Duration::from_secs(5),
        seed: 7,
    })
}

const CHECKPOINTING: Option<Duration> = Some(Duration::from_secs(900));

fn event(kind: event::Type) -> Box<Event> {
    let mut event = Event::new();
    event.set_type(kind);
    Box::new(event)
}

fn launch(task: &str) -> Box<Event> {
    let mut launch = event(event::Type::LAUNCH);
    let task_info = launch.launch.mut_or_insert_default().task.mut_or_insert_default();
    task_info.task_id.mut_or_insert_default().set_value(task.to_owned());
    launch
}

fn acknowledged(task: &str, uuid: &[u8]) -> Box<Event> {
    let mut acknowledged = event(event::Type::ACKNOWLEDGED);
    let body = acknowledged.acknowledged.mut_or_insert_default();
    body.task_id.mut_or_insert_default().set_value(task.to_owned());
    body.set_uuid(uuid.to_vec());
    acknowledged
}

fn status(task: &str, uuid: &[u8]) -> Box<TaskStatus> {
    let mut status = TaskStatus::new();
    status.task_id.mut_or_insert_default().set_value(task.to_owned());
    status.set_state(TaskState::TASK_RUNNING);
    status.set_source(task_status::Source::SOURCE_EXECUTOR);
    status.set_uuid(uuid.to_vec());
    Box::new(status)
}

/// The effects in short.
fn brief(effects: &[Effect]) -> Vec<String> {
    let text = |effect: &Effect| match effect {
        Effect::Connect(connection) => format!("connect {}", connection.0),
        Effect::Disconnect => "disconnect".to_owned(),
        Effect::SendCall(connection, call) => {
            let tasks = call.subscribe.unacknowledged_tasks.len();
            let updates = call.subscribe.unacknowledged_updates.len();
            match call.type_() {
                call::Type::SUBSCRIBE => format!("{} subscribe {tasks} {updates}", connection.0),
                kind => format!("{} {kind:?}", connection.0),
            }
        }
        Effect::SetTimer(timer @ ClientTimer::Reconnect, _) => format!("set {timer:?}"),
        Effect::SetTimer(timer, after) => format!("set {timer:?} {after:?}"),
        Effect::CancelTimer(timer) => format!("cancel {timer:?}"),
        Effect::NotifyConnected => "connected".to_owned(),
        Effect::NotifyDisconnected => "disconnected".to_owned(),
        Effect::DeliverEvent(event) => format!("deliver {:?}", event.type_()),
        Effect::ForceExit => "exit".to_owned(),
    };
    effects.iter().map(text).collect()
}

fn step(core: &mut ClientCore, input: Input) -> Vec<String> {
    brief(&core.step(NOW, input))
}

const FIRST: ConnectionId = ConnectionId(1);
const SECOND: ConnectionId = ConnectionId(2);

fn subscribed(recovery_timeout: Option<Duration>) -> ClientCore {
    let mut core = core(recovery_timeout);
    assert_eq!(step(&mut core, Input::Started), ["set Heartbeat 1800s", "connect 1"]);
    assert_eq!(
        step(&mut core, Input::Connected(FIRST)),
        ["connected", "1 subscribe 0 0"]
    );
    let greeted = step(&mut core, Input::Received(FIRST, event(event::Type::SUBSCRIBED)));
    assert_eq!(greeted, ["cancel Resubscribe", "deliver SUBSCRIBED"]);
    core
}

#[test]
fn updates_and_tasks_go_with_every_subscription_until_acknowledged() {
    let mut core = subscribed(CHECKPOINTING);
    assert_eq!(step(&mut core, Input::Received(FIRST, launch("t"))), ["deliver LAUNCH"]);
    assert_eq!(step(&mut core, Input::UpdateSent(status("t", b"u1"))), ["1 UPDATE"]);
    assert_eq!(step(&mut core, Input::UpdateSent(status("t", b"u2"))), ["1 UPDATE"]);
    let lost = step(&mut core, Input::Disconnected(FIRST, "broken".to_owned()));
    let expected = [
        "disconnect",
        "cancel Resubscribe",
        "disconnected",
        "set Recovery 900s",
        "set Reconnect",
    ];
    assert_eq!(lost, expected);
    // While away, updates are only kept.
    assert!(step(&mut core, Input::UpdateSent(status("t", b"u3"))).is_empty());
    assert_eq!(step(&mut core, Input::Elapsed(ClientTimer::Reconnect)), ["connect 2"]);
    assert_eq!(
        step(&mut core, Input::Connected(SECOND)),
        ["cancel Recovery", "connected", "2 subscribe 1 3"]
    );
    step(&mut core, Input::Received(SECOND, event(event::Type::SUBSCRIBED)));
    assert_eq!(
        step(&mut core, Input::Received(SECOND, acknowledged("t", b"u1"))),
        ["deliver ACKNOWLEDGED"]
    );
    assert!(step(&mut core, Input::Received(SECOND, acknowledged("t", b"u1"))).is_empty());
    let left: Vec<&[u8]> = core.unacknowledged_updates().iter().map(TaskStatus::uuid).collect();
    assert_eq!(left, [b"u2", b"u3"]);
    step(&mut core, Input::Disconnected(SECOND, "broken".to_owned()));
    step(&mut core, Input::Elapsed(ClientTimer::Reconnect));
    let again = step(&mut core, Input::Connected(ConnectionId(3)));
    assert_eq!(again, ["cancel Recovery", "connected", "3 subscribe 0 2"]);
}

#[test]
fn without_checkpointing_a_lost_agent_ends_the_executor() {
    let mut core = subscribed(None);
    let lost = step(&mut core, Input::Disconnected(FIRST, "broken".to_owned()));
    let expected = [
        "disconnect",
        "cancel Resubscribe",
        "disconnected",
        "cancel Reconnect",
        "cancel Recovery",
        "cancel Heartbeat",
        "set ShutdownGrace 5s",
        "deliver SHUTDOWN",
    ];
    assert_eq!(lost, expected);
    assert_eq!(step(&mut core, Input::Elapsed(ClientTimer::ShutdownGrace)), ["exit"]);
    assert!(step(&mut core, Input::Elapsed(ClientTimer::Reconnect)).is_empty());
}

#[test]
fn an_agent_that_was_never_reached_is_not_waited_for() {
    let mut core = core(CHECKPOINTING);
    step(&mut core, Input::Started);
    let failed = step(&mut core, Input::Disconnected(FIRST, "refused".to_owned()));
    assert_eq!(failed.last().map(String::as_str), Some("deliver SHUTDOWN"));
}

#[test]
fn attempts_go_on_until_the_recovery_timeout() {
    let mut core = subscribed(CHECKPOINTING);
    step(&mut core, Input::Disconnected(FIRST, "broken".to_owned()));
    for attempt in 2..6 {
        assert_eq!(
            step(&mut core, Input::Elapsed(ClientTimer::Reconnect)),
            [format!("connect {attempt}")]
        );
        let failed = step(
            &mut core,
            Input::Disconnected(ConnectionId(attempt), "refused".to_owned()),
        );
        assert_eq!(failed, ["set Reconnect"]);
    }
    let over = step(&mut core, Input::Elapsed(ClientTimer::Recovery));
    assert_eq!(over.last().map(String::as_str), Some("deliver SHUTDOWN"));
    assert!(step(&mut core, Input::Elapsed(ClientTimer::Reconnect)).is_empty());
}

#[test]
fn pauses_are_random_and_bounded() {
    let mut core = subscribed(CHECKPOINTING);
    let mut pauses = Vec::new();
    for attempt in 1..50 {
        for effect in core.step(NOW, Input::Disconnected(ConnectionId(attempt), String::new())) {
            if let Effect::SetTimer(ClientTimer::Reconnect, pause) = effect {
                pauses.push(pause);
            }
        }
        core.step(NOW, Input::Elapsed(ClientTimer::Reconnect));
    }
    assert!(
        pauses
            .iter()
            .all(|pause| (BACKOFF_MIN..=Duration::from_secs(2)).contains(pause))
    );
    pauses.dedup();
    assert!(pauses.len() > 40);
}

#[test]
fn a_recovering_agent_is_asked_again_and_others_refusals_end() {
    let mut core = core(None);
    step(&mut core, Input::Started);
    step(&mut core, Input::Connected(FIRST));
    let refused = |status| Input::Rejected {
        connection: FIRST,
        call: call::Type::SUBSCRIBE,
        status,
        message: String::new(),
    };
    assert_eq!(step(&mut core, refused(503)), ["set Resubscribe 1s"]);
    assert_eq!(
        step(&mut core, Input::Elapsed(ClientTimer::Resubscribe)),
        ["1 subscribe 0 0"]
    );
    let ended = step(&mut core, refused(403));
    assert_eq!(ended[..2], ["deliver ERROR", "disconnect"]);
    assert_eq!(ended.last().map(String::as_str), Some("deliver SHUTDOWN"));
}

#[test]
fn late_and_strange_inputs_change_nothing() {
    let mut core = subscribed(CHECKPOINTING);
    for late in [
        Input::Connected(FIRST),
        Input::Connected(ConnectionId(0)),
        Input::Disconnected(SECOND, String::new()),
        Input::Received(SECOND, event(event::Type::SHUTDOWN)),
        Input::Received(FIRST, acknowledged("x", b"x")),
        Input::Elapsed(ClientTimer::Recovery),
        Input::Elapsed(ClientTimer::Resubscribe),
        Input::Elapsed(ClientTimer::Reconnect),
        Input::Rejected {
            connection: FIRST,
            call: call::Type::UPDATE,
            status: 403,
            message: String::new(),
        },
    ] {
        assert!(step(&mut core, late.clone()).is_empty(), "{late:?}");
    }
    assert_eq!(step(&mut core, Input::MessageSent(b"m".to_vec())), ["1 MESSAGE"]);
}

#[test]
fn shutdown_is_delivered_once_and_forced_after_the_grace_period() {
    let mut core = subscribed(CHECKPOINTING);
    let shutdown = || Input::Received(FIRST, event(event::Type::SHUTDOWN));
    assert_eq!(
        step(&mut core, shutdown()),
        ["set ShutdownGrace 5s", "deliver SHUTDOWN"]
    );
    assert!(step(&mut core, shutdown()).is_empty());
    // Updates still go out.
    assert_eq!(step(&mut core, Input::UpdateSent(status("t", b"u"))), ["1 UPDATE"]);
    assert_eq!(step(&mut core, Input::Elapsed(ClientTimer::ShutdownGrace)), ["exit"]);
}

#[test]
fn heartbeats_repeat_while_subscribed() {
    let mut core = subscribed(None);
    let beat = step(&mut core, Input::Elapsed(ClientTimer::Heartbeat));
    assert_eq!(beat, ["1 HEARTBEAT", "set Heartbeat 1800s"]);
}
