//! The real executor against an agent made of sockets: launches, kills, shutdowns, reconnections.

mod agent;
mod messages;

use std::fs;
use std::time::Duration;

use agent::{Agent, Executor, kill, launch, plain, task};
use mesos_proto::v1::executor::{call, event};
use mesos_proto::v1::mesos::{TaskState, check_info, health_check, secret, task_status};

#[test]
fn a_task_goes_from_starting_to_finished() {
    let agent = Agent::start();
    let mut executor = Executor::start(&agent, &[]);
    let subscription = agent.accept_subscription(&[]);
    let mut task = task("echo $GREETING $MESOS_ALLOCATION_ROLE; pwd; cat");
    let variable = task.command.mut_or_insert_default().environment.mut_or_insert_default();
    variable.variables.push(agent::variable("GREETING", "hello"));
    subscription.send(&launch(&task));
    let starting = agent.update(TaskState::TASK_STARTING);
    subscription.acknowledge(&starting);
    let running = agent.update(TaskState::TASK_RUNNING);
    subscription.acknowledge(&running);
    let finished = agent.update(TaskState::TASK_FINISHED);
    assert_eq!(finished.message(), "Command exited with status 0");
    for status in [&starting, &running, &finished] {
        assert_eq!(status.source(), task_status::Source::SOURCE_EXECUTOR);
        assert_eq!((status.task_id.value(), status.executor_id.value()), ("t", "E"));
        assert_eq!(status.uuid().len(), 16);
        assert!(status.timestamp() > 1.0e9 && !status.has_reason());
    }
    assert!(executor.is_running());
    subscription.acknowledge(&finished);
    assert_eq!(executor.exit_code(), Some(0));
    let stdout = fs::read_to_string(executor.sandbox().join("stdout")).expect("stdout");
    assert_eq!(stdout, format!("hello web\n{}\n", executor.sandbox().display()));
}

#[test]
fn failures_are_told_with_status_signal_or_name() {
    for (command, message) in [
        ("exit 3", "Command exited with status 3"),
        ("kill -SEGV $$", "Command terminated with signal Segmentation fault"),
    ] {
        let agent = Agent::start();
        let mut executor = Executor::start(&agent, &[]);
        let subscription = agent.accept_subscription(&[]);
        subscription.send(&launch(&task(command)));
        agent.update(TaskState::TASK_STARTING);
        agent.update(TaskState::TASK_RUNNING);
        let failed = agent.update(TaskState::TASK_FAILED);
        assert!(failed.message().starts_with(message), "{}", failed.message());
        subscription.acknowledge(&failed);
        assert_eq!(executor.exit_code(), Some(0));
    }
    let agent = Agent::start();
    let _executor = Executor::start(&agent, &[]);
    let subscription = agent.accept_subscription(&[]);
    let mut missing = task("/no/such/program");
    missing.command.mut_or_insert_default().set_shell(false);
    subscription.send(&launch(&missing));
    agent.update(TaskState::TASK_STARTING);
    assert!(
        agent
            .update(TaskState::TASK_FAILED)
            .message()
            .contains("'/no/such/program'")
    );
}

#[test]
fn a_stubborn_tree_is_killed_after_the_grace_period() {
    let agent = Agent::start();
    let mut executor = Executor::start(&agent, &[]);
    let subscription = agent.accept_subscription(&["TASK_KILLING_STATE"]);
    let stubborn = "trap '' TERM; \
        setsid sh -c 'trap \"\" TERM; echo $$ > daemon; while :; do sleep 1; done' & \
        (setsid sh -c 'trap \"\" TERM; echo $$ > orphan; while :; do sleep 1; done' &) ; \
        echo ready > ready; while :; do sleep 1; done";
    subscription.send(&launch(&task(stubborn)));
    agent.update(TaskState::TASK_STARTING);
    agent.update(TaskState::TASK_RUNNING);
    let daemon = executor.pid_in("daemon");
    // Its parent has ended: the executor is its parent now.
    let orphan = executor.pid_in("orphan");
    executor.wait_for("ready");
    subscription.send(&kill("t", Some(Duration::from_millis(200))));
    agent.update(TaskState::TASK_KILLING);
    let killed = agent.update(TaskState::TASK_KILLED);
    assert_eq!(killed.message(), "Command terminated with signal Killed");
    assert!(!agent::runs(daemon) && !agent::runs(orphan));
    subscription.acknowledge(&killed);
    assert_eq!(executor.exit_code(), Some(0));
}

#[test]
fn a_task_may_end_well_within_the_grace_period() {
    let agent = Agent::start();
    let mut executor = Executor::start(&agent, &[]);
    let subscription = agent.accept_subscription(&[]);
    let graceful = "trap 'echo bye > bye; exit 0' TERM; echo > ready; while :; do sleep 0.01; done";
    subscription.send(&launch(&task(graceful)));
    agent.update(TaskState::TASK_STARTING);
    agent.update(TaskState::TASK_RUNNING);
    executor.wait_for("ready");
    subscription.send(&kill("t", Some(Duration::from_secs(50))));
    // Without the capability there is no TASK_KILLING.
    let killed = agent.update(TaskState::TASK_KILLED);
    assert_eq!(killed.message(), "Command exited with status 0");
    assert!(executor.sandbox().join("bye").exists());
    subscription.acknowledge(&killed);
    assert_eq!(executor.exit_code(), Some(0));
}

#[test]
fn unacknowledged_updates_and_tasks_come_back_after_a_reconnection() {
    let agent = Agent::start();
    let checkpoint = [("MESOS_CHECKPOINT", "1"), ("MESOS_RECOVERY_TIMEOUT", "1mins")];
    let mut executor = Executor::start(&agent, &checkpoint);
    let subscription = agent.accept_subscription(&[]);
    subscription.send(&launch(&task("while ! test -e go; do sleep 0.01; done")));
    let starting = agent.update(TaskState::TASK_STARTING);
    let running = agent.update(TaskState::TASK_RUNNING);
    drop(subscription);
    let (again, call) = agent.accept_call_and_subscription(&[]);
    let uuids: Vec<&[u8]> = call
        .subscribe
        .unacknowledged_updates
        .iter()
        .map(|update| update.status.uuid())
        .collect();
    assert_eq!(uuids, [starting.uuid(), running.uuid()]);
    assert_eq!(call.subscribe.unacknowledged_tasks[0].task_id.value(), "t");
    again.acknowledge(&starting);
    again.acknowledge(&running);
    fs::write(executor.sandbox().join("go"), "").expect("signal");
    let finished = agent.update(TaskState::TASK_FINISHED);
    again.acknowledge(&finished);
    assert_eq!(executor.exit_code(), Some(0));
}

#[test]
fn without_checkpointing_a_lost_agent_ends_executor_and_task() {
    let agent = Agent::start();
    let mut executor = Executor::start(&agent, &[("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "500ms")]);
    let subscription = agent.accept_subscription(&[]);
    subscription.send(&launch(&task("echo $$ > pid; exec sleep 600")));
    agent.update(TaskState::TASK_STARTING);
    agent.update(TaskState::TASK_RUNNING);
    let pid = executor.pid_in("pid");
    drop(subscription);
    assert_eq!(executor.exit_code(), Some(1));
    assert!(!agent::runs(pid));
}

#[test]
fn shutdown_ends_idle_executors_at_once_and_kills_tasks() {
    let agent = Agent::start();
    let mut executor = Executor::start(&agent, &[]);
    let subscription = agent.accept_subscription(&[]);
    subscription.send(&plain(event::Type::SHUTDOWN));
    assert_eq!(executor.exit_code(), Some(0));

    let mut executor = Executor::start(&agent, &[]);
    let subscription = agent.accept_subscription(&[]);
    subscription.send(&launch(&task("sleep 600")));
    agent.update(TaskState::TASK_STARTING);
    agent.update(TaskState::TASK_RUNNING);
    subscription.send(&plain(event::Type::SHUTDOWN));
    let killed = agent.update(TaskState::TASK_KILLED);
    assert_eq!(killed.message(), "Command terminated with signal Terminated");
    subscription.acknowledge(&killed);
    assert_eq!(executor.exit_code(), Some(0));
}

#[test]
fn checks_tell_changes_and_failed_health_kills() {
    let agent = Agent::start();
    let mut executor = Executor::start(&agent, &[]);
    let subscription = agent.accept_subscription(&[]);
    let mut checked = task("sleep 600");
    let check = checked.check.mut_or_insert_default();
    check.set_type(check_info::Type::COMMAND);
    check.set_delay_seconds(0.0);
    check.set_interval_seconds(0.01);
    check
        .command
        .mut_or_insert_default()
        .command
        .mut_or_insert_default()
        .set_value("test -e good".to_owned());
    let health = checked.health_check.mut_or_insert_default();
    health.set_type(health_check::Type::COMMAND);
    health.set_delay_seconds(0.0);
    health.set_interval_seconds(0.01);
    health.set_grace_period_seconds(0.0);
    health.set_consecutive_failures(2);
    health
        .command
        .mut_or_insert_default()
        .set_value("! test -e sick".to_owned());
    subscription.send(&launch(&checked));
    assert!(agent.update(TaskState::TASK_STARTING).check_status.command.is_some());
    agent.update(TaskState::TASK_RUNNING);
    let mut exit_codes = Vec::new();
    let mut healthy = Vec::new();
    let mut result = || {
        let status = agent.update(TaskState::TASK_RUNNING);
        if status.reason() == task_status::Reason::REASON_TASK_CHECK_STATUS_UPDATED {
            exit_codes.push(status.check_status.command.exit_code());
        } else {
            healthy.push(status.healthy());
        }
    };
    result();
    result();
    fs::write(executor.sandbox().join("good"), "").expect("signal");
    result();
    fs::write(executor.sandbox().join("sick"), "").expect("signal");
    result();
    result();
    assert_eq!((exit_codes, healthy), (vec![1, 0], vec![true, false, false]));
    let killed = agent.update(TaskState::TASK_KILLED);
    assert!(killed.has_healthy() && !killed.healthy());
    subscription.acknowledge(&killed);
    assert_eq!(executor.exit_code(), Some(0));
}

#[test]
fn secrets_with_a_value_reach_the_task_and_others_fail_it_by_name() {
    let agent = Agent::start();
    let mut executor = Executor::start(&agent, &[]);
    let subscription = agent.accept_subscription(&[]);
    let mut hidden = task("echo $HIDDEN");
    let variable = agent::secret_variable("HIDDEN", secret::Type::VALUE, "treasure");
    let environment = hidden
        .command
        .mut_or_insert_default()
        .environment
        .mut_or_insert_default();
    environment.variables.push(variable);
    subscription.send(&launch(&hidden));
    agent.update(TaskState::TASK_STARTING);
    agent.update(TaskState::TASK_RUNNING);
    let finished = agent.update(TaskState::TASK_FINISHED);
    subscription.acknowledge(&finished);
    assert_eq!(executor.exit_code(), Some(0));
    let stdout = fs::read_to_string(executor.sandbox().join("stdout")).expect("stdout");
    assert_eq!(stdout, "treasure\n");

    let _executor = Executor::start(&agent, &[]);
    let subscription = agent.accept_subscription(&[]);
    let mut named = task("true");
    let variable = agent::secret_variable("HIDDEN", secret::Type::REFERENCE, "");
    let environment = named
        .command
        .mut_or_insert_default()
        .environment
        .mut_or_insert_default();
    environment.variables.push(variable);
    subscription.send(&launch(&named));
    agent.update(TaskState::TASK_STARTING);
    let failed = agent.update(TaskState::TASK_FAILED);
    assert!(failed.message().contains("'HIDDEN'"), "{}", failed.message());
}

#[test]
fn a_broken_check_fails_the_task_with_the_field() {
    let agent = Agent::start();
    let _executor = Executor::start(&agent, &[]);
    let subscription = agent.accept_subscription(&[]);
    let mut broken = task("sleep 600");
    let check = broken.health_check.mut_or_insert_default();
    check.set_type(health_check::Type::HTTP);
    check.http.mut_or_insert_default().set_port(1);
    check.http.mut_or_insert_default().set_scheme("gopher".to_owned());
    subscription.send(&launch(&broken));
    agent.update(TaskState::TASK_STARTING);
    let failed = agent.update(TaskState::TASK_FAILED);
    assert!(failed.message().contains("gopher"), "{}", failed.message());
}

#[test]
fn a_recovering_agent_is_asked_again() {
    let agent = Agent::start();
    let _executor = Executor::start(&agent, &[]);
    let refused = agent.refuse_subscription(503);
    assert_eq!(refused.type_(), call::Type::SUBSCRIBE);
    agent.accept_subscription(&[]);
}

#[test]
fn bad_surroundings_are_named() {
    let agent = Agent::start();
    let mut executor = Executor::start_with_arguments(&agent, &[], &["--rootfs=/x"]);
    assert_eq!(executor.exit_code(), Some(1));
    let stderr = fs::read_to_string(executor.sandbox().join("stderr")).expect("stderr");
    assert!(stderr.contains("--rootfs is not supported yet"), "{stderr}");
}
