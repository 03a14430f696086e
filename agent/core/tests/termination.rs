//! Ends: of containers, executors and frameworks.

mod support;

use std::time::Duration;

use mesos::Message;
use mesos_agent_core::{AgentConfig, AgentTimer, ContainerTermination, Effect, ExecutorState, Input};
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::mesos as pb;
use pb::TaskState;
use pb::task_status::Reason;
use support::{Bench, build, forwarded, master, names, sends, upid};

fn state_and_reason(effects: &[Effect]) -> Vec<(TaskState, Reason)> {
    forwarded(effects)
        .iter()
        .map(|update| (update.status.state(), update.status.reason()))
        .collect()
}

fn destroys(effects: &[Effect]) -> usize {
    effects
        .iter()
        .filter(|effect| matches!(effect, Effect::DestroyContainer { .. }))
        .count()
}

#[test]
fn an_executor_that_ends_fails_its_tasks_and_stays_until_they_are_acknowledged() {
    let mut bench = Bench::registered();
    bench.running_task("t1", "e1");
    let container = bench.launches[0].container_id.clone();
    let effects = bench.terminated(&container, 256);
    assert_eq!(names(&effects), ["StatusUpdateMessage", "ExitedExecutorMessage"]);
    let update = forwarded(&effects)[0].clone();
    assert_eq!(update.status.state(), TaskState::TASK_FAILED);
    assert_eq!(update.status.reason(), Reason::REASON_EXECUTOR_TERMINATED);
    assert_eq!(update.status.source(), pb::task_status::Source::SOURCE_SLAVE);
    assert_eq!(update.status.message(), "the executor exited with status 1");
    let Message::ExitedExecutor(exited) = sends(&effects)[1].1 else {
        panic!("{effects:?}")
    };
    assert_eq!(exited.status(), 256);
    assert_eq!(
        bench.executor("e1").map(mesos_agent_core::Executor::state),
        Some(ExecutorState::Terminated)
    );
    assert_eq!(bench.terminated(&container, 0), []);

    let sentinel = bench
        .executor("e1")
        .map(|executor| executor.paths().sentinel())
        .expect("an executor");
    assert!(!bench.disk.files.contains_key(&sentinel));
    bench.receive(&master(), build::acknowledge_uuid("t1", update.uuid().to_vec()));
    assert!(bench.disk.files.contains_key(&sentinel));
    let scheduled = bench.agent.collections().pending();
    assert_eq!(
        scheduled, 7,
        "task, run, executor and framework, sandbox and checkpoints"
    );
    assert!(bench.agent.frameworks().next().is_none());
    assert_eq!(bench.agent.completed_frameworks().count(), 1);
}

#[test]
fn a_limit_says_what_was_broken() {
    let mut bench = Bench::registered();
    bench.receive(&master(), build::run_task("t1", Some("e1"), true));
    let container_id = bench.launched();
    let termination = ContainerTermination {
        status: Some(9),
        state: Some(TaskState::TASK_FAILED),
        reason: Some(Reason::REASON_CONTAINER_LIMITATION_MEMORY),
        message: Some("memory limit exceeded".to_owned()),
        limited_resources: vec![build::scalar("mem", 64.0, Some("*"))],
    };
    let effects = bench.step(Input::ContainerTerminated {
        container_id,
        termination,
    });
    let update = forwarded(&effects)[0];
    assert_eq!(update.status.reason(), Reason::REASON_CONTAINER_LIMITATION_MEMORY);
    assert_eq!(update.status.message(), "memory limit exceeded");
    assert_eq!(update.status.limitation.resources[0].name(), "mem");
}

#[test]
fn a_failed_launch_fails_the_tasks_and_says_why() {
    let mut bench = Bench::registered();
    bench.receive(&master(), build::run_task("c1", None, true));
    let container_id = bench.launches[0].container_id.clone();
    let result = Err("'/no/such/file' does not exist".to_owned());
    let effects = bench.step(Input::LaunchFinished {
        container_id: container_id.clone(),
        result,
    });
    assert_eq!(
        state_and_reason(&effects),
        [(TaskState::TASK_FAILED, Reason::REASON_CONTAINER_LAUNCH_FAILED)]
    );
    assert!(
        forwarded(&effects)[0]
            .status
            .message()
            .contains("'/no/such/file' does not exist")
    );
    // The master knows no executors of command tasks.
    assert_eq!(names(&effects), ["StatusUpdateMessage"]);
    assert_eq!(destroys(&effects), 1);
    assert_eq!(bench.terminated(&container_id, 9), []);
    assert_eq!(bench.agent.counters().container_launch_errors, 1);
}

#[test]
fn an_executor_that_never_registers_is_destroyed() {
    let mut bench = Bench::registered();
    bench.receive(&master(), build::run_task("t1", Some("e1"), true));
    let container_id = bench.launched();
    let timer = AgentTimer::ExecutorRegistration {
        container_id: container_id.clone(),
    };
    assert_eq!(bench.pause_of(&timer), Some(Duration::from_secs(60)));
    assert_eq!(destroys(&bench.fire(&timer)), 1);
    let effects = bench.terminated(&container_id, 9);
    assert_eq!(
        state_and_reason(&effects),
        [(TaskState::TASK_FAILED, Reason::REASON_EXECUTOR_REGISTRATION_TIMEOUT)]
    );
    let effects = bench.receive(&upid("executor(1)@127.0.0.1:4000"), build::register_executor("e1"));
    assert_eq!(names(&effects), ["ShutdownExecutorMessage"]);
}

#[test]
fn a_container_that_cannot_be_updated_is_destroyed() {
    let mut bench = Bench::registered();
    bench.running_task("t1", "e1");
    let container_id = bench.launches[0].container_id.clone();
    let error = "no such cgroup".to_owned();
    let effects = bench.step(Input::ContainerUpdateFailed {
        container_id: container_id.clone(),
        error,
    });
    assert_eq!(destroys(&effects), 1);
    let effects = bench.terminated(&container_id, 9);
    assert_eq!(
        state_and_reason(&effects),
        [(TaskState::TASK_GONE, Reason::REASON_CONTAINER_UPDATE_FAILED)]
    );
}

#[test]
fn a_shut_down_framework_hears_nothing_more_and_its_executors_have_a_grace_period() {
    let mut bench = Bench::registered();
    let address = bench.running_task("t1", "e1");
    let effects = bench.receive(&master(), build::shutdown_framework());
    assert_eq!(names(&effects), ["ShutdownExecutorMessage"]);
    assert_eq!(
        bench.receive(&address, build::update("t1", "e1", TaskState::TASK_KILLED, 2)),
        []
    );
    let container_id = bench.launches[0].container_id.clone();
    let timer = AgentTimer::ExecutorShutdown {
        container_id: container_id.clone(),
    };
    assert_eq!(bench.pause_of(&timer), Some(Duration::from_secs(5)));
    assert_eq!(destroys(&bench.fire(&timer)), 1);
    let effects = bench.terminated(&container_id, 9);
    assert_eq!(names(&effects), ["ExitedExecutorMessage"]);
    assert!(bench.agent.frameworks().next().is_none());
    // The framework may come back, and keeps its history.
    bench.receive(&master(), build::run_task("t9", Some("e1"), true));
    let framework = bench.agent.frameworks().next().expect("a framework");
    assert_eq!(framework.completed_executors().count(), 1);
    assert_eq!(bench.agent.completed_frameworks().count(), 0);
}

#[test]
fn an_executor_told_to_end_before_it_registered_is_destroyed_when_its_launch_is_done() {
    let mut bench = Bench::registered();
    bench.receive(&master(), build::run_task("t1", Some("e1"), true));
    bench.receive(&master(), build::shutdown_framework());
    let container_id = bench.launches[0].container_id.clone();
    let result = Ok(Box::new(pb::ContainerStatus::new()));
    let effects = bench.step(Input::LaunchFinished { container_id, result });
    assert_eq!(destroys(&effects), 1);
}

#[test]
fn one_executor_is_shut_down_when_the_scheduler_asks() {
    let mut bench = Bench::registered();
    let address = bench.running_task("t1", "e1");
    let mut message = internal::ShutdownExecutorMessage::new();
    message.framework_id = build::framework_id();
    message.executor_id = build::executor_id("e1");
    let effects = bench.receive(&master(), message.clone());
    assert_eq!(
        sends(&effects),
        [(&address, &Message::from(internal::ShutdownExecutorMessage::new()))]
    );
    assert_eq!(bench.receive(&master(), message), []);
    let container = bench.launches[0].container_id.clone();
    assert_eq!(state_and_reason(&bench.terminated(&container, 0)).len(), 1);
    // Tasks that come too late are dropped.
    let effects = bench.receive(&master(), build::run_task("t2", Some("e1"), false));
    assert_eq!(
        state_and_reason(&effects),
        [(TaskState::TASK_DROPPED, Reason::REASON_EXECUTOR_TERMINATED)]
    );
}

#[test]
fn histories_are_bounded() {
    let config = AgentConfig {
        max_completed_frameworks: 2,
        max_completed_executors_per_framework: 2,
        max_completed_tasks_per_executor: 3,
        ..build::config()
    };
    let mut bench = Bench::new(config);
    bench.step(Input::Recovered(Box::default()));
    bench.register();
    let address = bench.running_task("t0", "e1");
    for number in 1..6_u8 {
        let task = format!("t{number}");
        bench.receive(&master(), build::run_task(&task, Some("e1"), false));
        bench.receive(
            &address,
            build::update(&task, "e1", TaskState::TASK_FINISHED, 100 + number),
        );
        bench.receive(&master(), build::acknowledge(&task, 100 + number));
    }
    assert_eq!(
        bench.executor("e1").map(|executor| executor.completed_tasks().count()),
        Some(3)
    );
    for number in 0..4_u8 {
        let task = format!("c{number}");
        bench.receive(&master(), build::run_task(&task, None, true));
        let container = bench.launches.last().expect("a launch").container_id.clone();
        let effects = bench.terminated(&container, 0);
        let uuid = forwarded(&effects)[0].uuid().to_vec();
        bench.receive(&master(), build::acknowledge_uuid(&task, uuid));
    }
    let framework = bench.agent.frameworks().next().expect("a framework");
    let kept: Vec<_> = framework
        .completed_executors()
        .map(|executor| executor.id().to_string())
        .collect();
    assert_eq!(kept, ["c2", "c3"]);
    for number in 0..4_u8 {
        let mut message = build::run_task("t1", Some("e1"), false);
        let framework = message.framework.mut_or_insert_default();
        framework.id.mut_or_insert_default().set_value(format!("M-100{number}"));
        bench.receive(&master(), message);
    }
    assert_eq!(bench.agent.completed_frameworks().count(), 2);
}

#[test]
fn the_master_can_end_the_agent() {
    let mut bench = Bench::registered();
    let mut message = internal::ShutdownMessage::new();
    message.set_message("gone".to_owned());
    assert_eq!(bench.receive(&upid("master@127.0.0.1:6000"), message.clone()), []);
    let effects = bench.receive(&master(), message);
    assert!(matches!(effects.last(), Some(Effect::Shutdown { .. })));
    assert_eq!(bench.receive(&master(), build::run_task("t1", Some("e1"), true)), []);
}
