//! Launches: checks, queues, delivery, kills before delivery.

mod support;

use std::path::Path;

use mesos::Message;
use mesos_agent_core::{AgentTimer, Effect, ExecutorState, Input};
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

#[test]
fn a_restarted_agent_could_know_everything_before_the_container_is_launched() {
    let mut bench = Bench::registered();
    let message = build::run_task("t1", Some("e1"), true);
    let effects = bench.agent.step(
        bench.now,
        Input::Message {
            from: master(),
            message: message.into(),
        },
    );
    let held = effects.iter().find_map(|effect| match effect {
        Effect::Checkpoint { writes, then } if matches!(then[..], [Effect::LaunchContainer(_)]) => Some(writes),
        _ => None,
    });
    let written: Vec<_> = held
        .expect("a launch")
        .iter()
        .map(|write| write.path().display().to_string())
        .collect();
    let run = |path: &String| {
        path.replace(
            &bench.agent.frameworks().next().map_or(String::new(), |framework| {
                framework
                    .executors()
                    .next()
                    .map_or(String::new(), |executor| executor.container_id().to_string())
            }),
            "RUN",
        )
    };
    let written: Vec<_> = written.iter().map(run).collect();
    let sandboxes = "/w/slaves/M-S0/frameworks/M-0000/executors/e1/runs";
    let meta = "/w/meta/slaves/M-S0/frameworks/M-0000/executors/e1";
    let framework = "/w/meta/slaves/M-S0/frameworks/M-0000";
    let expected = [
        format!("{framework}/framework.info"),
        format!("{framework}/framework.pid"),
        format!("{sandboxes}/RUN"),
        format!("{sandboxes}/latest"),
        format!("{meta}/executor.info"),
        format!("{meta}/executor_generated_for_command_task"),
        format!("{meta}/runs/RUN"),
        format!("{meta}/runs/latest"),
        format!("{meta}/runs/RUN/tasks/t1/task.info"),
    ];
    assert_eq!(written, expected);
}

#[test]
fn a_new_framework_leaves_its_info_and_address() {
    let mut bench = Bench::registered();
    bench.receive(&master(), build::run_task("t1", Some("e1"), true));
    let meta = Path::new("/w/meta/slaves/M-S0/frameworks/M-0000");
    assert_eq!(
        bench.disk.text(&meta.join("framework.pid")),
        Some("scheduler-1@127.0.0.1:3000")
    );
    let info: pb::FrameworkInfo = bench
        .disk
        .message(&meta.join("framework.info"))
        .expect("framework.info");
    assert_eq!(info, build::framework());
    let executor: pb::ExecutorInfo = bench
        .disk
        .message(&meta.join("executors/e1/executor.info"))
        .expect("info");
    assert_eq!(executor.resources[0].role(), "*");
}

#[test]
fn the_containerizer_gets_resources_user_and_environment() {
    let mut bench = Bench::registered();
    bench.receive(&master(), build::run_task("c1", None, true));
    let launch = &bench.launches[0];
    assert_eq!(launch.user.as_deref(), Some("user"));
    assert_eq!(launch.task.as_ref().map(|task| task.task_id.value()), Some("c1"));
    let cpus: f64 = launch
        .resources
        .iter()
        .filter(|r| r.name() == "cpus")
        .map(|r| r.scalar.value())
        .sum();
    assert!((cpus - 0.6).abs() < 1e-9, "{cpus}");
    let variable = |name: &str| {
        let found = launch.environment.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    };
    let sandbox = launch.directory.display().to_string();
    let expected = [
        ("LIBPROCESS_PORT", "0"),
        ("MESOS_AGENT_ENDPOINT", "127.0.0.1:5051"),
        ("MESOS_CHECKPOINT", "1"),
        ("MESOS_DIRECTORY", sandbox.as_str()),
        ("MESOS_EXECUTOR_ID", "c1"),
        ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "5secs"),
        ("MESOS_FRAMEWORK_ID", "M-0000"),
        ("MESOS_HTTP_COMMAND_EXECUTOR", "0"),
        ("MESOS_RECOVERY_TIMEOUT", "15mins"),
        ("MESOS_SLAVE_ID", "M-S0"),
        ("MESOS_SLAVE_PID", "slave(1)@127.0.0.1:5051"),
        ("MESOS_SUBSCRIPTION_BACKOFF_MAX", "2secs"),
    ];
    for (name, value) in expected {
        assert_eq!(variable(name), Some(value), "{name}");
    }
    assert_eq!(launch.environment.len(), expected.len());
    assert!(
        launch
            .forked_pid_path
            .as_ref()
            .is_some_and(|path| path.ends_with("pids/forked.pid"))
    );
}

#[test]
fn frameworks_that_do_not_checkpoint_leave_only_a_sandbox() {
    let mut bench = Bench::registered();
    let before = bench.disk.files.len();
    let mut message = build::run_task("t1", Some("e1"), true);
    message.framework.mut_or_insert_default().set_checkpoint(false);
    bench.receive(&master(), message);
    assert_eq!(bench.disk.files.len(), before);
    assert_eq!(bench.disk.sandboxes.len(), 1);
    assert!(bench.launches[0].forked_pid_path.is_none());
    assert!(
        !bench.launches[0]
            .environment
            .iter()
            .any(|(name, _)| name == "MESOS_RECOVERY_TIMEOUT")
    );
}

#[test]
fn queued_tasks_are_delivered_in_the_order_of_their_arrival() {
    let mut bench = Bench::registered();
    bench.receive(&master(), build::run_task("b", Some("e1"), true));
    bench.receive(&master(), build::run_task("a", Some("e1"), false));
    bench.receive(&master(), build::run_task("c", Some("e1"), false));
    assert_eq!(bench.launches.len(), 1);
    bench.launched();
    let address = upid("executor(1)@127.0.0.1:4000");
    let effects = bench.receive(&address, build::register_executor("e1"));
    assert!(effects.contains(&Effect::Link(address.clone())));
    assert_eq!(
        names(&effects),
        [
            "ExecutorRegisteredMessage",
            "RunTaskMessage",
            "RunTaskMessage",
            "RunTaskMessage"
        ]
    );
    let delivered = sends(&effects).into_iter().filter_map(|(_, message)| match message {
        Message::RunTask(message) => Some(message.task.task_id.value().to_owned()),
        _ => None,
    });
    assert_eq!(delivered.collect::<Vec<_>>(), ["b", "a", "c"]);
    // A running executor gets further tasks at once.
    let effects = bench.receive(&master(), build::run_task("d", Some("e1"), false));
    assert!(matches!(&effects[..], [Effect::UpdateContainer { .. }, Effect::Send { to, .. }] if *to == address));
    assert!(
        !bench
            .timers
            .keys()
            .any(|timer| matches!(timer, AgentTimer::ExecutorRegistration { .. }))
    );
}

#[test]
fn a_launch_that_comes_twice_runs_once() {
    let mut bench = Bench::registered();
    let message = build::run_task("c1", None, true);
    bench.receive(&master(), message.clone());
    assert_eq!(bench.receive(&master(), message.clone()), []);
    bench.launched();
    let address = upid("executor(1)@127.0.0.1:4000");
    bench.receive(&address, build::register_executor("c1"));
    assert_eq!(bench.receive(&master(), message), []);
    assert_eq!(bench.receive(&address, build::register_executor("c1")), []);
    assert_eq!(bench.launches.len(), 1);
    let effects = bench.receive(&upid("executor(1)@127.0.0.1:4001"), build::register_executor("c1"));
    assert_eq!(names(&effects), ["ShutdownExecutorMessage"]);
}

#[test]
fn wrong_launches_are_refused_with_their_reasons() {
    type Change = fn(&mut internal::RunTaskMessage);
    let table: [(&str, Change, TaskState, Reason); 7] = [
        (
            "no executor expected",
            |m| m.set_launch_executor(false),
            TaskState::TASK_DROPPED,
            Reason::REASON_EXECUTOR_TERMINATED,
        ),
        (
            "executor of an earlier launch",
            |m| m.task.mut_or_insert_default().executor = Some(build::executor("e0")).into(),
            TaskState::TASK_DROPPED,
            Reason::REASON_EXECUTOR_TERMINATED,
        ),
        (
            "older resources",
            |m| m.resource_version_uuids.push(internal::ResourceVersionUUID::new()),
            TaskState::TASK_DROPPED,
            Reason::REASON_INVALID_OFFERS,
        ),
        (
            "unknown reservation",
            |m| {
                let mut reservation = pb::resource::ReservationInfo::new();
                reservation.set_type(pb::resource::reservation_info::Type::DYNAMIC);
                reservation.set_role("r".to_owned());
                m.task.mut_or_insert_default().resources[0]
                    .reservations
                    .push(reservation);
            },
            TaskState::TASK_DROPPED,
            Reason::REASON_RESOURCES_UNKNOWN,
        ),
        (
            "neither command nor executor",
            |m| {
                let task = m.task.mut_or_insert_default();
                task.executor.clear();
            },
            TaskState::TASK_ERROR,
            Reason::REASON_TASK_INVALID,
        ),
        (
            "id that leaves its directory",
            |m| {
                m.task
                    .mut_or_insert_default()
                    .task_id
                    .mut_or_insert_default()
                    .set_value("../x".to_owned());
            },
            TaskState::TASK_ERROR,
            Reason::REASON_TASK_INVALID,
        ),
        (
            "executor id that leaves its directory",
            |m| {
                m.task.mut_or_insert_default().executor = Some(build::executor("a/b")).into();
            },
            TaskState::TASK_ERROR,
            Reason::REASON_TASK_INVALID,
        ),
    ];
    for (what, change, state, reason) in table {
        let mut bench = Bench::registered();
        bench.receive(&master(), build::run_task("t0", Some("e0"), true));
        let mut message = build::run_task("t1", Some("e1"), true);
        change(&mut message);
        let effects = bench.receive(&master(), message);
        assert_eq!(state_and_reason(&effects), [(state, reason)], "{what}");
        assert_eq!(bench.launches.len(), 1, "{what}");
    }
}

#[test]
fn frameworks_that_know_no_dropped_tasks_are_told_of_lost_ones() {
    let mut bench = Bench::registered();
    let mut message = build::run_task("t1", Some("e1"), false);
    message.framework.mut_or_insert_default().capabilities.pop();
    let effects = bench.receive(&master(), message);
    assert_eq!(
        state_and_reason(&effects),
        [(TaskState::TASK_LOST, Reason::REASON_EXECUTOR_TERMINATED)]
    );
    // The framework has no work here, but its update is still sent until it is acknowledged.
    assert!(bench.agent.frameworks().next().is_none());
    let again = bench.fire(&support::retry_timer("t1"));
    assert_eq!(names(&again), ["StatusUpdateMessage"]);
    let uuid = forwarded(&again)[0].uuid().to_vec();
    bench.receive(&master(), build::acknowledge_uuid("t1", uuid));
    assert!(!bench.timers.contains_key(&support::retry_timer("t1")));
}

#[test]
fn launches_for_other_agents_and_from_other_masters_are_ignored() {
    let mut bench = Bench::registered();
    let mut message = build::run_task("t1", Some("e1"), true);
    message
        .task
        .mut_or_insert_default()
        .slave_id
        .mut_or_insert_default()
        .set_value("M-S7".to_owned());
    assert_eq!(bench.receive(&master(), message), []);
    assert_eq!(
        bench.receive(&upid("master@10.0.0.1:1"), build::run_task("t1", Some("e1"), true)),
        []
    );
    assert!(bench.agent.frameworks().next().is_none());
}

#[test]
fn older_masters_send_no_allocation() {
    let mut bench = Bench::registered();
    let mut message = build::run_task("t1", Some("e1"), true);
    let task = message.task.mut_or_insert_default();
    task.resources
        .iter_mut()
        .for_each(|resource| resource.allocation_info.clear());
    task.executor.mut_or_insert_default().resources[0]
        .allocation_info
        .clear();
    bench.receive(&master(), message);
    assert!(
        bench.launches[0]
            .resources
            .iter()
            .all(|resource| resource.allocation_info.role() == "*")
    );
}

#[test]
fn a_kill_before_delivery_never_reaches_the_executor() {
    let mut bench = Bench::registered();
    bench.receive(&master(), build::run_task("t1", Some("e1"), true));
    bench.receive(&master(), build::run_task("t2", Some("e1"), false));
    let effects = bench.receive(&master(), build::kill_task("t1"));
    let killed = (TaskState::TASK_KILLED, Reason::REASON_TASK_KILLED_DURING_LAUNCH);
    assert_eq!(state_and_reason(&effects), [killed]);
    bench.launched();
    let address = upid("executor(1)@127.0.0.1:4000");
    let effects = bench.receive(&address, build::register_executor("e1"));
    let delivered = sends(&effects)
        .into_iter()
        .filter(|(_, message)| matches!(message, Message::RunTask(_)));
    assert_eq!(delivered.count(), 1);
}

#[test]
fn an_executor_whose_first_tasks_are_all_killed_ends() {
    let mut bench = Bench::registered();
    bench.receive(&master(), build::run_task("t1", Some("e1"), true));
    bench.launched();
    bench.receive(&master(), build::kill_task("t1"));
    let effects = bench.receive(&upid("executor(1)@127.0.0.1:4000"), build::register_executor("e1"));
    assert_eq!(names(&effects), ["ShutdownExecutorMessage"]);
    assert_eq!(
        bench.executor("e1").map(mesos_agent_core::Executor::state),
        Some(ExecutorState::Terminating)
    );
}

#[test]
fn kills_of_delivered_tasks_go_to_the_executor_and_kills_of_ended_ones_nowhere() {
    let mut bench = Bench::registered();
    let address = bench.running_task("t1", "e1");
    let mut kill = build::kill_task("t1");
    kill.kill_policy
        .mut_or_insert_default()
        .grace_period
        .mut_or_insert_default()
        .set_nanoseconds(7);
    let effects = bench.receive(&master(), kill.clone());
    let [(to, Message::KillTask(forwarded_kill))] = sends(&effects)[..] else {
        panic!("{effects:?}")
    };
    assert_eq!((to, &**forwarded_kill), (&address, &kill));
    bench.receive(&address, build::update("t1", "e1", TaskState::TASK_KILLED, 2));
    bench.receive(&master(), build::acknowledge("t1", 2));
    assert_eq!(bench.receive(&master(), build::kill_task("t1")), []);
    let effects = bench.receive(&master(), build::kill_task("never"));
    assert_eq!(
        state_and_reason(&effects),
        [(TaskState::TASK_DROPPED, Reason::REASON_EXECUTOR_TERMINATED)]
    );
    // Asked twice, answered once.
    assert_eq!(
        names(&bench.receive(&master(), build::kill_task("never"))),
        Vec::<&str>::new()
    );
}

#[test]
fn a_draining_agent_kills_what_it_has_and_takes_nothing_new() {
    let mut bench = Bench::registered();
    let address = bench.running_task("t1", "e1");
    let mut drain = internal::DrainSlaveMessage::new();
    drain
        .config
        .mut_or_insert_default()
        .max_grace_period
        .mut_or_insert_default()
        .set_nanoseconds(5);
    let effects = bench.receive(&master(), drain);
    let [(_, Message::KillTask(kill))] = sends(&effects)[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(kill.kill_policy.grace_period.nanoseconds(), 5);
    let effects = bench.receive(&master(), build::run_task("t2", Some("e1"), false));
    assert_eq!(
        state_and_reason(&effects),
        [(TaskState::TASK_DROPPED, Reason::REASON_SLAVE_DRAINING)]
    );
    let effects = bench.receive(&address, build::update("t1", "e1", TaskState::TASK_KILLED, 3));
    assert_eq!(
        state_and_reason(&effects),
        [(TaskState::TASK_KILLED, Reason::REASON_SLAVE_DRAINING)]
    );
    let config = Path::new("/w/meta/slaves/M-S0/drain.config");
    assert!(bench.disk.files.contains_key(config));
    bench.receive(&master(), build::acknowledge("t1", 3));
    let container = bench.launches[0].container_id.clone();
    bench.terminated(&container, 0);
    assert!(bench.agent.drain_config().is_none() && !bench.disk.files.contains_key(config));
}

#[test]
fn a_launch_finds_the_resources_of_a_framework_that_is_being_shut_down_free() {
    let mut bench = Bench::registered();
    bench.running_task("t1", "e1");
    bench.receive(&master(), build::shutdown_framework());
    let mut message = build::run_task("next", Some("e2"), true);
    let mut other = build::framework_id();
    other.mut_or_insert_default().set_value("other".to_owned());
    message.framework.mut_or_insert_default().id = other.clone();
    let task = message.task.mut_or_insert_default();
    task.executor.mut_or_insert_default().framework_id = other;
    task.resources = vec![build::scalar("cpus", 3.9, Some("*"))];
    let effects = bench.receive(&master(), message);
    assert_eq!(state_and_reason(&effects), &[]);
    bench.agent.check_invariants().expect("no contradiction");
}

#[test]
fn a_launch_that_finds_its_resources_in_use_is_dropped() {
    let mut bench = Bench::registered();
    bench.running_task("t1", "e1");
    // The agent has 4 CPUs; 0.6 are in use, and a new executor brings 0.1.
    for (cpus, room) in [(3.4, false), (3.3, true)] {
        let mut message = build::run_task("late", Some("e2"), true);
        message.task.mut_or_insert_default().resources = vec![build::scalar("cpus", cpus, Some("*"))];
        let effects = bench.receive(&master(), message);
        let expected: &[(TaskState, Reason)] = if room {
            &[]
        } else {
            &[(TaskState::TASK_DROPPED, Reason::REASON_INVALID_OFFERS)]
        };
        assert_eq!(state_and_reason(&effects), expected, "{cpus}");
        assert_eq!(bench.executor("e2").is_some(), room, "{cpus}");
    }
}
