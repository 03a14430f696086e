//! An agent that is drained: what it has ends, nothing new begins, and a restart changes nothing about it.

mod support;

use mesos::Message;
use mesos_agent_core::{AgentState, Effect, Input};
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::mesos as pb;
use pb::TaskState;
use pb::task_status::Reason;
use support::{Bench, build, forwarded, master, names, operation_statuses, sends, upid};

fn drain(max_grace_seconds: Option<i64>, mark_gone: bool) -> internal::DrainSlaveMessage {
    let mut message = internal::DrainSlaveMessage::new();
    let config = message.config.mut_or_insert_default();
    if let Some(seconds) = max_grace_seconds {
        let grace = config.max_grace_period.mut_or_insert_default();
        grace.set_nanoseconds(seconds * 1_000_000_000);
    }
    config.set_mark_gone(mark_gone);
    message
}

/// A launch whose task has, or has not, a grace period of its own.
fn launch(task: &str, grace_seconds: Option<i64>) -> internal::RunTaskMessage {
    let mut message = build::run_task(task, Some("e1"), true);
    if let Some(seconds) = grace_seconds {
        let policy = message.task.mut_or_insert_default().kill_policy.mut_or_insert_default();
        let grace = policy.grace_period.mut_or_insert_default();
        grace.set_nanoseconds(seconds * 1_000_000_000);
    }
    message
}

/// The grace period of the kill among effects; nothing when the task's own holds.
fn kill_of(effects: &[Effect]) -> Option<i64> {
    let kill = sends(effects).into_iter().find_map(|(_, message)| match message {
        Message::KillTask(message) => Some(message.clone()),
        _ => None,
    });
    let policy = kill.expect("a kill").kill_policy.into_option()?;
    Some(policy.grace_period.nanoseconds() / 1_000_000_000)
}

#[test]
fn grace_periods_are_cut_to_what_the_drain_allows() {
    for (own, allowed, used) in [
        (None, None, None),
        (None, Some(5), Some(5)),
        (Some(3), Some(5), None),
        (Some(5), Some(5), None),
        (Some(9), Some(5), Some(5)),
        (Some(9), None, None),
        (Some(9), Some(0), Some(0)),
    ] {
        let mut bench = Bench::registered();
        bench.receive(&master(), launch("t1", own));
        bench.launched();
        let address = upid("executor(1)@127.0.0.1:4000");
        bench.receive(&address, build::register_executor("e1"));
        let effects = bench.receive(&master(), drain(allowed, false));
        assert_eq!(kill_of(&effects), used, "{own:?} {allowed:?}");
    }
}

#[test]
fn what_a_drain_ends_says_so() {
    for (mark_gone, reported, told) in [
        (false, TaskState::TASK_KILLING, TaskState::TASK_KILLING),
        (false, TaskState::TASK_KILLED, TaskState::TASK_KILLED),
        (true, TaskState::TASK_KILLED, TaskState::TASK_GONE_BY_OPERATOR),
    ] {
        let mut bench = Bench::registered();
        let address = bench.running_task("t1", "e1");
        bench.receive(&master(), drain(None, mark_gone));
        let effects = bench.receive(&address, build::update("t1", "e1", reported, 2));
        let [update] = forwarded(&effects)[..] else {
            panic!("{effects:?}")
        };
        assert_eq!(update.status.state(), told);
        assert_eq!(update.status.reason(), Reason::REASON_SLAVE_DRAINING);
    }
    // An end of another kind is told as it is.
    let mut bench = Bench::registered();
    let address = bench.running_task("t1", "e1");
    bench.receive(&master(), drain(None, true));
    let effects = bench.receive(&address, build::update("t1", "e1", TaskState::TASK_FINISHED, 2));
    assert_eq!(forwarded(&effects)[0].status.state(), TaskState::TASK_FINISHED);
}

#[test]
fn launches_are_dropped_until_the_drain_is_over() {
    let mut bench = Bench::registered();
    let address = bench.running_task("t1", "e1");
    bench.receive(&master(), drain(None, false));
    let effects = bench.receive(&master(), build::run_task("t2", Some("e1"), false));
    let [update] = forwarded(&effects)[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(update.status.state(), TaskState::TASK_DROPPED);
    assert_eq!(update.status.reason(), Reason::REASON_SLAVE_DRAINING);
    let refused = update.uuid().to_vec();
    bench.receive(&master(), build::acknowledge_uuid("t2", refused));
    bench.receive(&address, build::update("t1", "e1", TaskState::TASK_KILLED, 2));
    bench.receive(&master(), build::acknowledge("t1", 2));
    let container = bench.launches[0].container_id.clone();
    assert!(bench.agent.drain_config().is_some());
    bench.terminated(&container, 0);
    assert!(bench.agent.drain_config().is_none(), "nothing is left to end");
    assert!(
        bench
            .disk
            .read()
            .agent
            .is_some_and(|agent| agent.drain_config.is_none())
    );
    bench.receive(&master(), build::run_task("t3", Some("e1"), true));
    assert_eq!(bench.launches.len(), 2, "whether it is offered is the master's affair");
}

#[test]
fn an_empty_agent_is_drained_at_once() {
    let mut bench = Bench::registered();
    assert_eq!(bench.receive(&master(), drain(None, false)), []);
    assert!(bench.agent.drain_config().is_none());
}

#[test]
fn a_drain_waits_for_operations_too() {
    let mut bench = Bench::registered();
    let operation = format!(
        r#"{{"type":"RESERVE","reserve":{{"resources":[{}]}}}}"#,
        build::reserved("cpus", 1)
    );
    let message = build::apply_operation(&bench, 1, &operation);
    let effects = bench.receive(&master(), message);
    let update = operation_statuses(&effects)[0].clone();
    bench.receive(&master(), drain(None, false));
    assert!(bench.agent.drain_config().is_some());
    bench.receive(&master(), build::acknowledge_operation(&update));
    assert!(bench.agent.drain_config().is_none());
}

#[test]
fn a_drain_goes_on_after_a_restart() {
    let mut old = Bench::registered();
    let address = old.running_task("t1", "e1");
    old.receive(&master(), drain(Some(5), true));
    let mut bench = Bench::new(build::config());
    bench.disk = old.disk.clone();
    bench.launches.clone_from(&old.launches);
    let state = bench.disk.read();
    bench.step(Input::Recovered(Box::new(state)));
    assert!(bench.agent.drain_config().is_some_and(pb::DrainConfig::mark_gone));
    let effects = bench.receive(&address, build::reregister_executor("e1"));
    assert_eq!(names(&effects), ["ExecutorReregisteredMessage", "KillTaskMessage"]);
    assert_eq!(kill_of(&effects), Some(5));
    bench.register_again();
    let effects = bench.receive(&address, build::update("t1", "e1", TaskState::TASK_KILLED, 2));
    assert_eq!(forwarded(&effects)[0].status.state(), TaskState::TASK_GONE_BY_OPERATOR);
    // The master says it again; the task has ended.
    assert_eq!(names(&bench.receive(&master(), drain(Some(5), true))), [] as [&str; 0]);
}

#[test]
fn a_drain_that_was_over_when_the_agent_died_is_over() {
    let mut old = Bench::registered();
    let address = old.running_task("t1", "e1");
    old.receive(&master(), drain(None, false));
    let drained = old.disk.clone();
    old.receive(&address, build::update("t1", "e1", TaskState::TASK_KILLED, 2));
    old.receive(&master(), build::acknowledge("t1", 2));
    let container = old.launches[0].container_id.clone();
    old.terminated(&container, 0);
    // The agent dies before the file of the drain is removed.
    let mut bench = Bench::new(build::config());
    bench.disk = old.disk.clone();
    let config = bench.agent.paths().drain_config(old.agent.id().expect("an id"));
    let bytes = drained.files[&config].clone();
    bench.disk.files.insert(config, bytes);
    let state = bench.disk.read();
    bench.step(Input::Recovered(Box::new(state)));
    assert_eq!(bench.agent.state(), AgentState::Disconnected);
    assert!(bench.agent.drain_config().is_none());
    assert!(
        bench
            .disk
            .read()
            .agent
            .is_some_and(|agent| agent.drain_config.is_none())
    );
}
