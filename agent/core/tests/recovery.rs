//! Restarts of the agent: what one agent wrote, the next one reads.

mod support;

use std::time::Duration;

use mesos::Message;
use mesos_agent_core::recovery::RecoveredState;
use mesos_agent_core::{
    Agent, AgentConfig, AgentState, AgentTimer, Effect, ExecutorState, Input, RecoverMode, ShutdownReason,
};
use mesos_proto::v0::executor::event::Type as EventType;
use mesos_proto::v0::mesos as pb;
use pb::task_status::Reason;
use pb::{TaskState, TaskStatus};
use support::{AGENT, Bench, build, events, forwarded, master, names, replied, sends, upid};

/// A new agent on the disk of an older one.
fn restarted(old: &Bench, config: AgentConfig) -> (Bench, RecoveredState) {
    let mut bench = Bench::new(config);
    bench.now = old.now;
    bench.disk = old.disk.clone();
    bench.launches.clone_from(&old.launches);
    let state = bench.disk.read();
    (bench, state)
}

fn restart(old: &Bench) -> (Bench, Vec<Effect>) {
    let (mut bench, state) = restarted(old, build::config());
    let effects = bench.step(Input::Recovered(Box::new(state)));
    (bench, effects)
}

#[test]
fn an_agent_without_checkpoints_is_new() {
    let mut bench = Bench::new(build::config());
    assert_eq!(bench.agent.state(), AgentState::Recovering);
    bench.step(Input::MasterDetected(Some(master())));
    assert!(bench.timers.is_empty());
    bench.step(Input::Recovered(Box::default()));
    // The master was found before: registration begins at once.
    assert!(bench.timers.contains_key(&AgentTimer::Registration));
}

#[test]
fn libprocess_executors_are_called_back_and_their_tasks_go_on() {
    let mut old = Bench::registered();
    let address = old.running_task("t1", "e1");
    old.receive(&address, build::update("t1", "e1", TaskState::TASK_KILLING, 2));
    let (mut bench, effects) = restart(&old);
    assert_eq!(names(&effects), ["ReconnectExecutorMessage"]);
    assert_eq!(sends(&effects)[0].0, &address);
    assert_eq!(
        bench.pause_of(&AgentTimer::ExecutorReregistration),
        Some(Duration::from_secs(2))
    );
    assert_eq!(bench.agent.info().id.value(), AGENT);

    let effects = bench.receive(&address, build::reregister_executor("e1"));
    assert_eq!(names(&effects), ["ExecutorReregisteredMessage"]);
    // Nobody else is awaited.
    assert_eq!(bench.agent.state(), AgentState::Disconnected);
    bench.step(Input::MasterDetected(Some(master())));
    let effects = bench.fire(&AgentTimer::Registration);
    let [(_, Message::ReregisterSlave(message))] = sends(&effects)[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(message.tasks[0].state(), TaskState::TASK_KILLING);
    assert_eq!(message.tasks[0].statuses.len(), 2);
    // As recorded: nothing was forwarded in this life yet.
    assert!(message.tasks[0].status_update_state.is_none());
    let effects = bench.receive(&master(), build::reregistered());
    let [update] = forwarded(&effects)[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(
        (update.status.state(), update.uuid()),
        (TaskState::TASK_KILLING, &[2; 16][..])
    );
    assert_eq!(update.status.container_status.executor_pid(), 42);
}

#[test]
fn executors_that_stay_away_are_destroyed() {
    let mut old = Bench::registered();
    let address = old.running_task("t1", "e1");
    let (mut bench, _) = restart(&old);
    let effects = bench.fire(&AgentTimer::ExecutorReregistration);
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::DestroyContainer { .. }))
    );
    assert_eq!(bench.agent.state(), AgentState::Disconnected);
    let container = bench.launches[0].container_id.clone();
    bench.terminated(&container, 9);
    let task = bench
        .executor("e1")
        .and_then(|executor| executor.terminated_tasks().next().cloned())
        .expect("a task");
    assert_eq!(task.state(), TaskState::TASK_GONE);
    let reason = task.statuses.last().map(pb::TaskStatus::reason);
    assert_eq!(reason, Some(Reason::REASON_EXECUTOR_REREGISTRATION_TIMEOUT));
    let effects = bench.receive(&address, build::reregister_executor("e1"));
    assert_eq!(names(&effects), ["ShutdownExecutorMessage"]);
}

#[test]
fn http_executors_subscribe_again_while_the_agent_waits() {
    let mut old = Bench::registered();
    old.receive(&master(), build::run_task("t1", Some("e1"), true));
    old.launched();
    old.call(1, build::subscribe("e1"));
    let (mut bench, effects) = restart(&old);
    assert!(names(&effects).is_empty());
    let update = || build::update_call("e1", build::status("t1", TaskState::TASK_RUNNING, 1));
    assert_eq!(replied(&bench.call(2, update())), Some(503));
    let mut call = build::subscribe("e1");
    call.subscribe
        .mut_or_insert_default()
        .unacknowledged_tasks
        .push(build::task("t1", Some("e1")));
    let effects = bench.call(2, call);
    assert_eq!(events(&effects, 2), [EventType::SUBSCRIBED]);
    assert_eq!(bench.agent.state(), AgentState::Disconnected);
    assert_eq!(replied(&bench.call(2, update())), Some(202));
}

#[test]
fn a_task_whose_delivery_was_cut_off_is_dropped() {
    let mut old = Bench::registered();
    let address = old.running_task("t1", "e1");
    old.receive(&master(), build::run_task("t2", Some("e1"), false));
    let (mut bench, _) = restart(&old);
    bench.receive(&address, build::reregister_executor("e1"));
    let executor = bench.executor("e1").expect("an executor");
    let ended: Vec<_> = executor
        .terminated_tasks()
        .map(|task| {
            (
                task.task_id.value(),
                task.state(),
                task.statuses.last().map(TaskStatus::reason),
            )
        })
        .collect();
    let reason = Reason::REASON_SLAVE_RESTARTED;
    assert_eq!(ended, [("t2", TaskState::TASK_DROPPED, Some(reason))]);
    assert_eq!(executor.launched_tasks().count(), 1);
}

#[test]
fn acknowledged_ends_stay_acknowledged() {
    let mut old = Bench::registered();
    let address = old.running_task("t1", "e1");
    old.receive(&address, build::update("t1", "e1", TaskState::TASK_FINISHED, 2));
    old.receive(&master(), build::acknowledge("t1", 2));
    let (mut bench, _) = restart(&old);
    let mut message = build::reregister_executor("e1");
    message.updates.push(
        build::update("t1", "e1", TaskState::TASK_FINISHED, 2)
            .update
            .unwrap_or_default(),
    );
    let effects = bench.receive(&address, message);
    assert_eq!(
        names(&effects),
        ["ExecutorReregisteredMessage", "StatusUpdateAcknowledgementMessage"]
    );
    bench.register_again();
    assert!(
        bench
            .executor("e1")
            .is_some_and(|executor| executor.completed_tasks().count() == 1)
    );
}

#[test]
fn a_task_id_that_is_used_again_starts_afresh() {
    let mut old = Bench::registered();
    let address = old.running_task("t1", "e1");
    old.receive(&address, build::update("t1", "e1", TaskState::TASK_FINISHED, 2));
    old.receive(&master(), build::acknowledge("t1", 2));
    old.receive(&master(), build::run_task("t1", Some("e1"), false));
    old.receive(&address, build::update("t1", "e1", TaskState::TASK_RUNNING, 3));
    let (bench, _) = restart(&old);
    let executor = bench.executor("e1").expect("an executor");
    let launched: Vec<_> = executor
        .launched_tasks()
        .map(|task| (task.task_id.value(), task.state()))
        .collect();
    assert_eq!(launched, [("t1", TaskState::TASK_RUNNING)]);
}

#[test]
fn finished_runs_go_to_the_history() {
    let mut old = Bench::registered();
    old.running_task("t1", "e1");
    old.receive(&master(), build::run_task("c1", None, true));
    let container = old.launches[1].container_id.clone();
    let effects = old.terminated(&container, 0);
    let uuid = forwarded(&effects)[0].uuid().to_vec();
    old.receive(&master(), build::acknowledge_uuid("c1", uuid));
    let (bench, _) = restart(&old);
    let framework = bench.agent.frameworks().next().expect("a framework");
    assert_eq!(framework.executors().count(), 1);
    let completed: Vec<_> = framework
        .completed_executors()
        .map(|executor| executor.id().to_string())
        .collect();
    assert_eq!(completed, ["c1"]);
    assert!(
        framework
            .completed_executors()
            .all(mesos_agent_core::Executor::is_generated_for_command_task)
    );
}

#[test]
fn executors_of_an_earlier_boot_are_gone() {
    let mut old = Bench::registered();
    old.running_task("t1", "e1");
    let (mut bench, mut state) = restarted(&old, build::config());
    state.rebooted = true;
    let effects = bench.step(Input::Recovered(Box::new(state)));
    assert!(names(&effects).is_empty());
    assert_eq!(bench.agent.state(), AgentState::Disconnected);
    let executor = bench.executor("e1").expect("an executor");
    assert_eq!(executor.state(), ExecutorState::Terminated);
    assert_eq!(
        executor.terminated_tasks().next().map(pb::Task::state),
        Some(TaskState::TASK_FAILED)
    );
}

#[test]
fn cleanup_ends_every_executor_and_then_the_agent() {
    let mut old = Bench::registered();
    let address = old.running_task("t1", "e1");
    let config = AgentConfig {
        recover: RecoverMode::Cleanup,
        ..build::config()
    };
    let (mut bench, state) = restarted(&old, config);
    let effects = bench.step(Input::Recovered(Box::new(state)));
    assert_eq!(names(&effects), ["ShutdownExecutorMessage"]);
    assert_eq!(sends(&effects)[0].0, &address);
    assert_eq!(bench.agent.state(), AgentState::Terminating);
    let container = bench.launches[0].container_id.clone();
    let effects = bench.terminated(&container, 0);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Shutdown { .. })));
}

#[test]
fn executors_that_never_registered_are_waited_for_and_then_destroyed() {
    let mut old = Bench::registered();
    old.receive(&master(), build::run_task("t1", Some("e1"), true));
    let (mut bench, effects) = restart(&old);
    assert!(names(&effects).is_empty());
    let effects = bench.receive(&upid("executor(1)@127.0.0.1:4000"), build::register_executor("e1"));
    assert_eq!(names(&effects), ["ShutdownExecutorMessage"]);
    let effects = bench.fire(&AgentTimer::ExecutorReregistration);
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::DestroyContainer { .. }))
    );
}

#[test]
fn reconnection_is_repeated_when_configured() {
    let mut old = Bench::registered();
    old.running_task("t1", "e1");
    let interval = Some(Duration::from_millis(500));
    let config = AgentConfig {
        executor_reregistration_retry_interval: interval,
        ..build::config()
    };
    let (mut bench, state) = restarted(&old, config);
    bench.step(Input::Recovered(Box::new(state)));
    assert_eq!(
        names(&bench.fire(&AgentTimer::ExecutorReconnectRetry)),
        ["ReconnectExecutorMessage"]
    );
    assert!(bench.timers.contains_key(&AgentTimer::ExecutorReconnectRetry));
}

#[test]
fn the_order_of_steps_does_not_depend_on_anything_but_the_inputs() {
    let run = || {
        let mut bench = Bench::registered();
        bench.running_task("t1", "e1");
        let container = bench.launches[0].container_id.clone();
        (bench.terminated(&container, 1), bench.disk.files)
    };
    assert_eq!(run(), run());
    let config = AgentConfig {
        seed: 1,
        ..build::config()
    };
    let now = libprocess_types::Time::from_secs_f64(1.0);
    let (one, other) = (Agent::new(build::config(), now), Agent::new(config, now));
    assert_ne!(one.resource_version(), other.resource_version());
}

#[test]
fn other_resources_or_attributes_than_before_end_the_agent() {
    let mut old = Bench::registered();
    old.running_task("t1", "e1");
    for named in ["resources", "attributes"] {
        let mut config = build::config();
        if named == "resources" {
            config.info.resources.push(build::scalar("gpus", 1.0, None));
        } else {
            let mut attribute = pb::Attribute::new();
            attribute.set_name("rack".to_owned());
            attribute.set_type(pb::value::Type::TEXT);
            attribute.text.mut_or_insert_default().set_value("r1".to_owned());
            config.info.attributes.push(attribute);
        }
        let (mut bench, state) = restarted(&old, config);
        let effects = bench.step(Input::Recovered(Box::new(state)));
        let [
            Effect::Shutdown {
                reason: ShutdownReason::Failed { message },
            },
        ] = &effects[..]
        else {
            panic!("{effects:?}");
        };
        assert!(
            message.contains(named) && message.contains("slaves/latest"),
            "{message}"
        );
        assert_eq!(bench.agent.state(), AgentState::Terminating);
    }
}

#[test]
fn executors_inherit_what_the_agent_runs_with_under_what_it_sets() {
    let mut config = build::config();
    config.base_environment = vec![
        ("PATH".to_owned(), "/bin".to_owned()),
        ("LIBPROCESS_PORT".to_owned(), "9".to_owned()),
    ];
    let mut bench = Bench::new(config);
    bench.step(Input::Recovered(Box::default()));
    bench.step(Input::MasterDetected(Some(master())));
    bench.register();
    bench.running_task("t1", "e1");
    let environment = &bench.launches[0].environment;
    let value = |name: &str| {
        environment
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!((value("PATH"), value("LIBPROCESS_PORT")), (Some("/bin"), Some("0")));
}

#[test]
fn an_agent_may_come_back_with_more_when_the_policy_says_so() {
    let mut old = Bench::registered();
    let address = old.running_task("t1", "e1");
    let mut config = build::config();
    config.reconfiguration_policy = mesos_agent_core::ReconfigurationPolicy::Additive;
    config.info.resources.push(build::scalar("gpus", 1.0, None));
    let (mut bench, state) = restarted(&old, config.clone());
    bench.step(Input::Recovered(Box::new(state)));
    bench.receive(&address, build::reregister_executor("e1"));
    assert_eq!(bench.agent.total_resources().get_scalar("gpus").to_f64(), 1.0);
    let path = bench.agent.paths().agent_info(bench.agent.id().expect("an id"));
    let stored = |bench: &Bench| bench.disk.message::<pb::SlaveInfo>(&path).expect("a description");
    assert_eq!(stored(&bench).resources.len(), 2, "until a master took it so");
    bench.register_again();
    assert_eq!(stored(&bench).resources.len(), 3);
    // From now on that is what the agent has.
    let (mut bench, state) = restarted(&bench, config.clone());
    bench.step(Input::Recovered(Box::new(state)));
    assert_ne!(bench.agent.state(), AgentState::Terminating);
    config.info.resources.pop();
    let (mut bench, state) = restarted(&bench, config);
    bench.step(Input::Recovered(Box::new(state)));
    assert_eq!(bench.agent.state(), AgentState::Terminating);
}

#[test]
fn after_a_reboot_other_resources_make_a_new_agent() {
    let mut old = Bench::registered();
    old.running_task("t1", "e1");
    let mut config = build::config();
    config.info.resources.push(build::scalar("gpus", 1.0, None));
    let (mut bench, mut state) = restarted(&old, config);
    state.rebooted = true;
    bench.step(Input::Recovered(Box::new(state)));
    assert_eq!(bench.agent.state(), AgentState::Disconnected);
    assert!(bench.agent.id().is_none());
    assert!(bench.agent.frameworks().next().is_none());
    assert!(
        bench.disk.read().agent.is_none(),
        "the link to the earlier agent is gone"
    );
    assert_eq!(bench.agent.collections().pending(), 2, "its sandboxes and checkpoints");
    bench.step(Input::MasterDetected(Some(master())));
    let effects = bench.fire(&AgentTimer::Registration);
    assert_eq!(names(&effects), ["RegisterSlaveMessage"]);
}
