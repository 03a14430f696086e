//! The v0 executor driver's rules as sequences of inputs and effects.

use mesos_proto::internal::wire::messages as wire;

use super::*;

const NOW: Time = Time::from_nanos(5_000_000_000);
const CHECKPOINTING: Option<Duration> = Some(Duration::from_secs(900));

fn upid(text: &str) -> Upid {
    text.parse().expect("an address")
}

fn agent() -> Upid {
    upid("slave(1)@127.0.0.1:5051")
}

fn core(recovery_timeout: Option<Duration>) -> DriverCore {
    DriverCore::new(DriverConfig {
        framework_id: "F".into(),
        executor_id: "E".into(),
        agent_id: "S".into(),
        agent: agent(),
        recovery_timeout,
        shutdown_grace_period: Duration::from_secs(5),
        local: false,
    })
}

fn brief(effects: &[Effect]) -> Vec<String> {
    let text = |effect: &Effect| match effect {
        Effect::Send(to, message) => format!("{} <- {}", to.address().port(), message.name()),
        Effect::Link(to) => format!("link {}", to.address().port()),
        Effect::SetTimer(timer, after) => format!("set {timer:?} {after:?}"),
        Effect::CancelTimer(timer) => format!("cancel {timer:?}"),
        Effect::Call(callback) => {
            let text = format!("{callback:?}");
            let end = text.find([' ', '(', '{']).unwrap_or(text.len());
            format!("call {}", &text[..end])
        }
        Effect::Finish(status) => format!("finish {status:?}"),
        Effect::ForceExit => "exit".to_owned(),
    };
    effects.iter().map(text).collect()
}

fn step(core: &mut DriverCore, input: Input) -> Vec<String> {
    brief(&core.step(NOW, input))
}

fn receive(core: &mut DriverCore, message: impl Into<Message>) -> Vec<String> {
    step(
        core,
        Input::Received {
            from: agent(),
            message: message.into(),
        },
    )
}

fn run_task(id: &str) -> wire::RunTaskMessage {
    let mut run = wire::RunTaskMessage::new();
    run.task
        .mut_or_insert_default()
        .task_id
        .mut_or_insert_default()
        .set_value(id.to_owned());
    run
}

fn update(id: &str, uuid: &[u8]) -> Input {
    let mut status = TaskStatus::new();
    status.task_id.mut_or_insert_default().set_value(id.to_owned());
    status.set_state(TaskState::TASK_RUNNING);
    Input::UpdateSent {
        status: Box::new(status),
        uuid: uuid.to_vec(),
    }
}

fn acknowledgement(id: &str, uuid: &[u8]) -> wire::StatusUpdateAcknowledgementMessage {
    let mut acknowledgement = wire::StatusUpdateAcknowledgementMessage::new();
    acknowledgement.task_id.mut_or_insert_default().set_value(id.to_owned());
    acknowledgement.set_uuid(uuid.to_vec());
    acknowledgement
}

fn registered(recovery_timeout: Option<Duration>) -> DriverCore {
    let mut core = core(recovery_timeout);
    let started = step(&mut core, Input::Started(upid("executor(1)@127.0.0.1:7")));
    assert_eq!(started, ["link 5051", "5051 <- mesos.internal.RegisterExecutorMessage"]);
    assert_eq!(
        receive(&mut core, wire::ExecutorRegisteredMessage::new()),
        ["call Registered"]
    );
    core
}

#[test]
fn tasks_messages_and_updates_pass_in_both_directions() {
    let mut core = registered(None);
    assert_eq!(receive(&mut core, run_task("t")), ["call LaunchTask"]);
    assert!(receive(&mut core, run_task("t")).is_empty());
    let mut message = wire::FrameworkToExecutorMessage::new();
    message.set_data(b"hi".to_vec());
    assert_eq!(receive(&mut core, message), ["call FrameworkMessage"]);
    assert_eq!(receive(&mut core, wire::KillTaskMessage::new()), ["call KillTask"]);
    let sent = step(&mut core, Input::MessageSent(b"ho".to_vec()));
    assert_eq!(sent, ["5051 <- mesos.internal.ExecutorToFrameworkMessage"]);
}

#[test]
fn updates_carry_all_ids_time_and_the_drivers_address() {
    let mut core = registered(None);
    let effects = core.step(NOW, update("t", &[7; 16]));
    let [Effect::Send(to, Message::StatusUpdate(sent))] = effects.as_slice() else {
        panic!("one message: {effects:?}");
    };
    assert_eq!((to, sent.pid()), (&agent(), "executor(1)@127.0.0.1:7"));
    let update = &sent.update;
    assert_eq!(
        (
            update.framework_id.value(),
            update.executor_id.value(),
            update.slave_id.value()
        ),
        ("F", "E", "S")
    );
    assert_eq!(
        (update.uuid(), update.status.uuid()),
        ([7; 16].as_slice(), [7; 16].as_slice())
    );
    assert_eq!((update.timestamp(), update.status.timestamp()), (5.0, 5.0));
    assert_eq!(update.status.slave_id.value(), "S");
}

#[test]
fn a_restarted_agent_learns_what_it_has_not_acknowledged() {
    let mut core = registered(CHECKPOINTING);
    receive(&mut core, run_task("t1"));
    receive(&mut core, run_task("t2"));
    step(&mut core, update("t1", &[1; 16]));
    step(&mut core, update("t1", &[2; 16]));
    assert_eq!(
        receive(&mut core, acknowledgement("t1", &[1; 16])),
        ["call Acknowledged"]
    );
    assert_eq!(
        step(&mut core, Input::Exited(agent())),
        ["set Recovery 900s", "call Disconnected"]
    );
    let again = upid("slave(1)@127.0.0.1:6000");
    let message = wire::ReconnectExecutorMessage::new().into();
    let effects = core.step(
        NOW,
        Input::Received {
            from: again.clone(),
            message,
        },
    );
    let [
        Effect::Link(linked),
        Effect::Send(to, Message::ReregisterExecutor(sent)),
    ] = effects.as_slice()
    else {
        panic!("link and message: {effects:?}");
    };
    assert_eq!((linked, to), (&again, &again));
    let tasks: Vec<&str> = sent.tasks.iter().map(|task| task.task_id.value()).collect();
    let updates: Vec<&[u8]> = sent.updates.iter().map(StatusUpdate::uuid).collect();
    assert_eq!((tasks, updates), (vec!["t2"], vec![[2; 16].as_slice()]));
    let message = wire::ExecutorReregisteredMessage::new();
    assert_eq!(receive(&mut core, message), ["cancel Recovery", "call Reregistered"]);
    // The old agent's connection is of no interest any more.
    assert!(step(&mut core, Input::Exited(agent())).is_empty());
    assert!(step(&mut core, Input::Elapsed(DriverTimer::Recovery)).is_empty());
    assert_eq!(
        step(&mut core, update("t2", &[3; 16])),
        ["6000 <- mesos.internal.StatusUpdateMessage"]
    );
}

const SHUTDOWN: [&str; 4] = [
    "set ShutdownGrace 5s",
    "call Shutdown",
    "cancel Recovery",
    "finish Aborted",
];

#[test]
fn a_lost_agent_ends_the_executor_unless_it_may_come_back() {
    let mut core = registered(None);
    assert_eq!(step(&mut core, Input::Exited(agent())), SHUTDOWN);
    let mut core = registered(CHECKPOINTING);
    step(&mut core, Input::Exited(agent()));
    assert!(step(&mut core, Input::Exited(agent())).is_empty());
    assert_eq!(step(&mut core, Input::Elapsed(DriverTimer::Recovery)), SHUTDOWN);
    let mut core = self::core(CHECKPOINTING);
    step(&mut core, Input::Started(upid("executor(1)@127.0.0.1:7")));
    assert_eq!(step(&mut core, Input::Exited(agent())), SHUTDOWN);
}

#[test]
fn after_a_shutdown_only_last_words_pass_until_the_grace_period_is_over() {
    let mut core = registered(CHECKPOINTING);
    assert_eq!(receive(&mut core, wire::ShutdownExecutorMessage::new()), SHUTDOWN);
    assert_eq!(core.status(), DriverStatus::Aborted);
    for late in [
        Input::Exited(agent()),
        Input::Received {
            from: agent(),
            message: run_task("t").into(),
        },
        Input::MessageSent(Vec::new()),
        Input::Stopped,
    ] {
        assert!(step(&mut core, late.clone()).is_empty(), "{late:?}");
    }
    assert_eq!(
        step(&mut core, update("t", &[1; 16])),
        ["5051 <- mesos.internal.StatusUpdateMessage"]
    );
    assert_eq!(
        receive(&mut core, acknowledgement("t", &[1; 16])),
        ["call Acknowledged"]
    );
    assert_eq!(step(&mut core, Input::Elapsed(DriverTimer::ShutdownGrace)), ["exit"]);
}

#[test]
fn kills_carry_the_policy_of_the_kill() {
    let mut core = registered(None);
    let mut kill = wire::KillTaskMessage::new();
    kill.task_id.mut_or_insert_default().set_value("t".to_owned());
    let policy = kill.kill_policy.mut_or_insert_default();
    policy.grace_period.mut_or_insert_default().set_nanoseconds(7);
    let effects = core.step(
        NOW,
        Input::Received {
            from: agent(),
            message: kill.into(),
        },
    );
    let [
        Effect::Call(Callback::KillTask {
            task_id,
            policy: Some(policy),
        }),
    ] = effects.as_slice()
    else {
        panic!("{effects:?}");
    };
    assert_eq!((task_id.value(), policy.grace_period.nanoseconds()), ("t", 7));
}

#[test]
fn after_a_stop_nothing_is_heard() {
    let mut core = registered(None);
    step(&mut core, Input::Stopped);
    for late in [update("t", &[1; 16]), Input::Exited(agent()), Input::Stopped] {
        assert!(step(&mut core, late.clone()).is_empty(), "{late:?}");
    }
}

#[test]
fn staging_is_refused_and_strange_messages_are_ignored() {
    let mut core = registered(None);
    assert!(receive(&mut core, wire::PingSlaveMessage::new()).is_empty());
    assert!(receive(&mut core, acknowledgement("x", &[9; 16])).is_empty());
    let mut status = TaskStatus::new();
    status.set_state(TaskState::TASK_STAGING);
    let refused = step(
        &mut core,
        Input::UpdateSent {
            status: Box::new(status),
            uuid: vec![1; 16],
        },
    );
    assert_eq!(refused, ["call Error", "cancel Recovery", "finish Aborted"]);
    let mut core = registered(None);
    assert_eq!(step(&mut core, Input::Stopped), ["cancel Recovery", "finish Stopped"]);
}
