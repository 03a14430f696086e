//! The command executor's rules as sequences of inputs and effects.

use mesos_proto::v1::mesos::framework_info::{Capability, capability::Type as CapabilityType};

use mesos_checks::HealthReport;
use mesos_proto::v1::mesos::{CheckStatusInfo, check_info};

use super::*;

fn hopeless() -> Input {
    Input::Checked(Report::Health(HealthReport {
        healthy: false,
        failures: 3,
        kill: true,
    }))
}

fn core() -> ExecutorCore {
    let mut next = 0_u8;
    let make_uuid = move || {
        next += 1;
        vec![next; 16]
    };
    ExecutorCore::new("E".into(), Duration::from_secs(5), Box::new(make_uuid))
}

fn at(seconds: u64) -> Time {
    Time::EPOCH + Duration::from_secs(seconds)
}

fn event(kind: event::Type) -> Event {
    let mut event = Event::new();
    event.set_type(kind);
    event
}

fn received(event: Event) -> Input {
    Input::Received(Box::new(event))
}

fn subscribed(capabilities: &[CapabilityType]) -> Input {
    let mut event = event(event::Type::SUBSCRIBED);
    let framework = event
        .subscribed
        .mut_or_insert_default()
        .framework_info
        .mut_or_insert_default();
    for kind in capabilities {
        let mut capability = Capability::new();
        capability.set_type(*kind);
        framework.capabilities.push(capability);
    }
    received(event)
}

fn task() -> TaskInfo {
    let mut task = TaskInfo::new();
    task.task_id.mut_or_insert_default().set_value("t".to_owned());
    task.command.mut_or_insert_default().set_value("true".to_owned());
    task
}

fn launch(task: TaskInfo) -> Input {
    let mut event = event(event::Type::LAUNCH);
    event.launch.mut_or_insert_default().task = Some(task).into();
    received(event)
}

fn kill(task: &str, grace_seconds: Option<i64>) -> Input {
    let mut event = event(event::Type::KILL);
    let kill = event.kill.mut_or_insert_default();
    kill.task_id.mut_or_insert_default().set_value(task.to_owned());
    if let Some(seconds) = grace_seconds {
        let policy = kill.kill_policy.mut_or_insert_default();
        policy
            .grace_period
            .mut_or_insert_default()
            .set_nanoseconds(seconds * 1_000_000_000);
    }
    received(event)
}

fn acknowledged(uuid: u8) -> Input {
    let mut event = event(event::Type::ACKNOWLEDGED);
    let body = event.acknowledged.mut_or_insert_default();
    body.task_id.mut_or_insert_default().set_value("t".to_owned());
    body.set_uuid(vec![uuid; 16]);
    received(event)
}

fn shutdown() -> Input {
    received(event(event::Type::SHUTDOWN))
}

/// The effects in short; cancelled timers and stopped checks are left out.
fn brief(effects: &[Effect]) -> Vec<String> {
    let text = |effect: &Effect| match effect {
        Effect::CancelTimer(_) | Effect::StopChecks => None,
        Effect::StartCommand(_) => Some("start".to_owned()),
        Effect::StartChecks => Some("check".to_owned()),
        Effect::SendUpdate(status) => {
            assert_eq!(status.source(), Source::SOURCE_EXECUTOR);
            assert_eq!((status.executor_id.value(), status.uuid().len()), ("E", 16));
            let mut text = format!("{:?}", status.state());
            if status.has_reason() {
                text.push_str(&format!(" {:?}", status.reason()));
            }
            if status.has_message() {
                text.push_str(&format!(" {}", status.message()));
            }
            if status.has_healthy() {
                text.push_str(&format!(" healthy={}", status.healthy()));
            }
            Some(text)
        }
        Effect::TerminateTree => Some("term".to_owned()),
        Effect::KillTree => Some("kill".to_owned()),
        Effect::SetTimer(timer, after) => Some(format!("set {timer:?} {after:?}")),
        Effect::Exit(outcome) => Some(format!("exit {outcome:?}")),
    };
    effects.iter().filter_map(text).collect()
}

fn step(core: &mut ExecutorCore, seconds: u64, input: Input) -> Vec<String> {
    brief(&core.step(at(seconds), input))
}

fn running(capabilities: &[CapabilityType], task: TaskInfo) -> ExecutorCore {
    let mut core = core();
    assert!(step(&mut core, 0, subscribed(capabilities)).is_empty());
    step(&mut core, 0, launch(task));
    assert_eq!(step(&mut core, 0, Input::Started), ["TASK_RUNNING", "check"]);
    core
}

const KILLING: &[CapabilityType] = &[CapabilityType::TASK_KILLING_STATE];

#[test]
fn a_task_starts_runs_finishes_and_is_acknowledged() {
    let mut core = core();
    step(&mut core, 0, subscribed(&[]));
    assert_eq!(step(&mut core, 1, launch(task())), ["TASK_STARTING", "start"]);
    assert_eq!(step(&mut core, 1, Input::Started), ["TASK_RUNNING", "check"]);
    assert!(step(&mut core, 2, acknowledged(1)).is_empty());
    let ended = step(&mut core, 3, Input::Ended(WaitStatus::exited(0)));
    assert_eq!(
        ended,
        ["TASK_FINISHED Command exited with status 0", "set Acknowledgement 60s"]
    );
    assert!(step(&mut core, 3, acknowledged(2)).is_empty());
    assert_eq!(step(&mut core, 3, acknowledged(3)), ["exit Done"]);
}

#[test]
fn failures_say_status_or_signal() {
    for (status, message) in [
        (WaitStatus::exited(1), "TASK_FAILED Command exited with status 1"),
        (
            WaitStatus::signaled(9),
            "TASK_FAILED Command terminated with signal Killed",
        ),
    ] {
        let mut core = running(KILLING, task());
        assert_eq!(step(&mut core, 1, Input::Ended(status))[0], message);
    }
    let mut core = core();
    step(&mut core, 0, launch(task()));
    let failed = step(&mut core, 0, Input::StartFailed("no such file".to_owned()));
    assert_eq!(failed, ["TASK_FAILED no such file", "set Acknowledgement 60s"]);
}

#[test]
fn kills_terminate_then_kill_and_tell_killing_only_when_asked_to() {
    let mut core = running(KILLING, task());
    assert_eq!(
        step(&mut core, 5, kill("t", None)),
        ["TASK_KILLING", "term", "set Escalate 3s"]
    );
    assert_eq!(step(&mut core, 8, Input::Elapsed(ExecutorTimer::Escalate)), ["kill"]);
    let ended = step(&mut core, 8, Input::Ended(WaitStatus::signaled(9)));
    assert_eq!(ended[0], "TASK_KILLED Command terminated with signal Killed");

    let mut core = running(&[], task());
    assert_eq!(step(&mut core, 5, kill("t", Some(7))), ["term", "set Escalate 7s"]);
    // A task that ends well after it was asked to is killed all the same.
    let ended = step(&mut core, 6, Input::Ended(WaitStatus::exited(0)));
    assert_eq!(ended[0], "TASK_KILLED Command exited with status 0");
    assert!(step(&mut core, 9, Input::Elapsed(ExecutorTimer::Escalate)).is_empty());
}

#[test]
fn the_kill_policy_of_the_task_holds_unless_the_kill_has_its_own() {
    let mut patient = task();
    let policy = patient.kill_policy.mut_or_insert_default();
    policy
        .grace_period
        .mut_or_insert_default()
        .set_nanoseconds(20_000_000_000);
    let mut core = running(&[], patient.clone());
    assert_eq!(step(&mut core, 0, kill("t", None)), ["term", "set Escalate 20s"]);
    let mut core = running(&[], patient);
    assert_eq!(step(&mut core, 0, kill("t", Some(0))), ["term", "set Escalate 0ns"]);
}

#[test]
fn later_kills_may_only_shorten_the_grace() {
    let mut core = running(&[], task());
    assert_eq!(step(&mut core, 0, kill("t", Some(20))), ["term", "set Escalate 20s"]);
    assert!(step(&mut core, 1, kill("t", Some(20))).is_empty());
    assert!(step(&mut core, 1, kill("t", Some(30))).is_empty());
    assert_eq!(step(&mut core, 2, kill("t", Some(10))), ["set Escalate 8s"]);
    assert_eq!(step(&mut core, 6, kill("t", Some(5))), ["set Escalate 0ns"]);
}

#[test]
fn shutdown_kills_within_the_agents_grace_and_ends_an_idle_executor() {
    let mut idle = core();
    assert_eq!(step(&mut idle, 0, shutdown()), ["exit Done"]);
    let mut core = running(KILLING, task());
    assert_eq!(
        step(&mut core, 0, shutdown()),
        ["TASK_KILLING", "term", "set Escalate 3s"]
    );
    assert_eq!(step(&mut core, 5, Input::GraceOver), ["kill", "exit Failed"]);
}

#[test]
fn a_task_that_runs_too_long_fails_with_its_reason() {
    let mut limited = task();
    limited
        .max_completion_time
        .mut_or_insert_default()
        .set_nanoseconds(4_000_000_000);
    let mut core = core();
    step(&mut core, 0, subscribed(KILLING));
    assert_eq!(
        step(&mut core, 0, launch(limited)),
        ["TASK_STARTING", "set Completion 4s", "start"]
    );
    step(&mut core, 0, Input::Started);
    assert_eq!(
        step(&mut core, 4, Input::Elapsed(ExecutorTimer::Completion)),
        ["term", "set Escalate 0ns"]
    );
    let ended = step(&mut core, 4, Input::Ended(WaitStatus::signaled(15)));
    let expected = "TASK_FAILED REASON_MAX_COMPLETION_TIME_REACHED Command terminated with signal Terminated";
    assert_eq!(ended[0], expected);
}

#[test]
fn a_second_task_is_refused_and_the_first_goes_on() {
    let mut core = running(&[], task());
    let refused = step(&mut core, 0, launch(task()));
    assert_eq!(
        refused,
        ["TASK_FAILED The command executor runs one task and has one already"]
    );
    assert_eq!(
        step(&mut core, 1, Input::Ended(WaitStatus::exited(0)))[0],
        "TASK_FINISHED Command exited with status 0"
    );
}

#[test]
fn a_kill_during_the_start_waits_for_the_process() {
    let mut core = core();
    step(&mut core, 0, subscribed(KILLING));
    step(&mut core, 0, launch(task()));
    assert!(step(&mut core, 0, kill("t", Some(9))).is_empty());
    assert!(step(&mut core, 0, kill("t", Some(4))).is_empty());
    assert_eq!(
        step(&mut core, 0, Input::Started),
        ["TASK_RUNNING", "TASK_KILLING", "term", "set Escalate 4s"]
    );
}

#[test]
fn strange_kills_and_late_inputs_are_survived() {
    let mut idle = core();
    assert_eq!(step(&mut idle, 0, kill("t", None)), ["exit Failed"]);
    let mut core = running(&[], task());
    assert!(step(&mut core, 0, kill("other", None)).is_empty());
    step(&mut core, 0, Input::Ended(WaitStatus::exited(0)));
    for late in [
        kill("t", None),
        shutdown(),
        Input::Started,
        Input::StartFailed(String::new()),
        Input::Ended(WaitStatus::exited(1)),
        Input::Elapsed(ExecutorTimer::Completion),
        hopeless(),
        acknowledged(9),
    ] {
        assert!(step(&mut core, 1, late.clone()).is_empty(), "{late:?}");
    }
    assert_eq!(
        step(&mut core, 60, Input::Elapsed(ExecutorTimer::Acknowledgement)),
        ["exit Failed"]
    );
}

#[test]
fn check_results_keep_what_was_told_and_failed_health_kills() {
    let mut checked = task();
    checked
        .check
        .mut_or_insert_default()
        .set_type(check_info::Type::COMMAND);
    let mut core = core();
    let effects = core.step(at(0), launch(checked));
    let Effect::SendUpdate(starting) = &effects[0] else {
        panic!("an update comes first");
    };
    assert!(starting.check_status.command.is_some());
    step(&mut core, 0, Input::Started);
    let mut status = CheckStatusInfo::new();
    status.command.mut_or_insert_default().set_exit_code(3);
    let told = step(&mut core, 1, Input::Checked(Report::Check(Box::new(status))));
    assert_eq!(told, ["TASK_RUNNING REASON_TASK_CHECK_STATUS_UPDATED"]);
    let told = core.step(at(2), hopeless());
    let expected = [
        "TASK_RUNNING REASON_TASK_HEALTH_CHECK_STATUS_UPDATED healthy=false",
        "term",
        "set Escalate 3s",
    ];
    assert_eq!(brief(&told), expected);
    let Effect::SendUpdate(unhealthy) = &told[0] else {
        panic!("an update comes first");
    };
    assert_eq!(unhealthy.check_status.command.exit_code(), 3);
    let ended = step(&mut core, 3, Input::Ended(WaitStatus::signaled(15)));
    assert_eq!(
        ended[0],
        "TASK_KILLED Command terminated with signal Terminated healthy=false"
    );
}
