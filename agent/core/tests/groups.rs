//! Task groups: the default executor, delivery as a whole, kills before delivery, containers of their own.

mod support;

use mesos_agent_core::{Effect, ExecutorState, Input};
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::executor::event::Type as Event;
use mesos_proto::v0::mesos as pb;
use pb::TaskState;
use pb::task_status::Reason;
use support::{Bench, build, events, forwarded, master, names};

fn ids(effects: &[Effect]) -> Vec<String> {
    let updates = forwarded(effects);
    let ids = updates.iter().map(|update| update.status.task_id.value().to_owned());
    ids.collect()
}

/// A group as masters send it for the executor that the agent brings: of type DEFAULT, without a command.
fn pod(tasks: &[&str], launch_executor: bool) -> internal::RunTaskGroupMessage {
    let mut message = build::run_task_group(tasks, "pod");
    let describe = |executor: &mut pb::ExecutorInfo| {
        executor.set_type(pb::executor_info::Type::DEFAULT);
        executor.command.clear();
    };
    describe(message.executor.mut_or_insert_default());
    for task in &mut message.task_group.mut_or_insert_default().tasks {
        describe(task.executor.mut_or_insert_default());
    }
    message.set_launch_executor(launch_executor);
    message
}

/// The groups that go to a stream, by the ids of their tasks.
fn groups(effects: &[Effect], stream: u64) -> Vec<Vec<String>> {
    let group = |effect: &Effect| match effect {
        Effect::StreamEvent { stream: to, event } if to.0 == stream && event.type_() == Event::LAUNCH_GROUP => {
            let tasks = &event.launch_group.task_group.tasks;
            Some(tasks.iter().map(|task| task.task_id.value().to_owned()).collect())
        }
        _ => None,
    };
    effects.iter().filter_map(group).collect()
}

#[test]
fn a_group_that_waits_is_killed_as_a_whole() {
    let mut bench = Bench::registered();
    bench.receive(&master(), build::run_task_group(&["g1", "g2"], "e1"));
    bench.receive(&master(), build::run_task("t1", Some("e1"), false));
    let effects = bench.receive(&master(), build::kill_task("g2"));
    let ids: Vec<_> = forwarded(&effects)
        .iter()
        .map(|update| update.status.task_id.value().to_owned())
        .collect();
    assert_eq!(ids, ["g1", "g2"]);
    assert_eq!(
        bench.executor("e1").map(|executor| executor.queued_tasks().count()),
        Some(1)
    );
}

#[test]
fn the_default_executor_gets_its_command_from_the_launcher_dir() {
    let mut bench = Bench::registered();
    bench.receive(&master(), pod(&["g1", "g2"], true));
    let launch = &bench.launches[0];
    let command = &launch.executor_info.command;
    assert_eq!(command.value(), "/usr/libexec/mesos/mesos-default-executor");
    assert_eq!(
        command.arguments,
        ["mesos-default-executor", "--launcher_dir=/usr/libexec/mesos"]
    );
    assert!(!command.shell());
    assert_eq!((command.user(), launch.user.as_deref()), ("user", Some("user")));
    assert_eq!(launch.task, None, "the container is the executor's, not a task's");
    let cpus: f64 = launch
        .resources
        .iter()
        .filter(|resource| resource.name() == "cpus")
        .map(|resource| resource.scalar.value())
        .sum();
    assert!((cpus - 1.1).abs() < 1e-9, "executor and both tasks: {cpus}");
    let environment = |name: &str| {
        let found = launch.environment.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!(environment("MESOS_EXECUTOR_ID"), Some("pod"));
    assert_eq!(environment("MESOS_SLAVE_PID"), Some("slave(1)@127.0.0.1:5051"));
    // What the framework described is what others see.
    let executor = bench.executor("pod").expect("an executor");
    assert!(executor.info().command.is_none() && !executor.is_generated_for_command_task());
}

#[test]
fn groups_are_delivered_whole_and_in_order() {
    let mut bench = Bench::registered();
    bench.receive(&master(), pod(&["a1", "a2"], true));
    bench.receive(&master(), pod(&["b1"], false));
    bench.launched();
    let effects = bench.call(7, build::subscribe("pod"));
    assert_eq!(
        events(&effects, 7),
        [Event::SUBSCRIBED, Event::LAUNCH_GROUP, Event::LAUNCH_GROUP]
    );
    assert_eq!(groups(&effects, 7), [vec!["a1", "a2"], vec!["b1"]]);
    let effects = bench.receive(&master(), pod(&["c1", "c2"], false));
    assert_eq!(groups(&effects, 7), [vec!["c1", "c2"]]);
    let updated = |effect: &Effect| matches!(effect, Effect::UpdateContainer { .. });
    assert!(effects.iter().any(updated), "the container grows with the group");
    let executor = bench.executor("pod").expect("an executor");
    assert_eq!(
        (executor.queued_tasks().count(), executor.launched_tasks().count()),
        (0, 5)
    );
}

#[test]
fn a_kill_before_delivery_ends_its_group_and_no_other() {
    let mut bench = Bench::registered();
    bench.receive(&master(), pod(&["a1", "a2"], true));
    bench.receive(&master(), pod(&["b1"], false));
    let effects = bench.receive(&master(), build::kill_task("a1"));
    assert_eq!(ids(&effects), ["a1", "a2"]);
    for update in forwarded(&effects) {
        assert_eq!(update.status.state(), TaskState::TASK_KILLED);
        assert_eq!(update.status.reason(), Reason::REASON_TASK_KILLED_DURING_LAUNCH);
    }
    bench.launched();
    let effects = bench.call(7, build::subscribe("pod"));
    assert_eq!(groups(&effects, 7), [vec!["b1"]]);
}

#[test]
fn an_executor_whose_groups_were_all_killed_is_shut_down() {
    let mut bench = Bench::registered();
    bench.receive(&master(), pod(&["a1", "a2"], true));
    bench.launched();
    bench.receive(&master(), build::kill_task("a2"));
    let effects = bench.call(7, build::subscribe("pod"));
    assert_eq!(events(&effects, 7), [Event::SHUTDOWN]);
    let state = bench.executor("pod").map(mesos_agent_core::Executor::state);
    assert_eq!(state, Some(ExecutorState::Terminating));
}

#[test]
fn a_group_for_an_executor_that_ended_is_dropped_whole() {
    let mut bench = Bench::registered();
    bench.receive(&master(), pod(&["a1"], true));
    let container = bench.launched();
    bench.call(7, build::subscribe("pod"));
    bench.terminated(&container, 0);
    let effects = bench.receive(&master(), pod(&["b1", "b2"], false));
    assert_eq!(ids(&effects), ["b1", "b2"]);
    for update in forwarded(&effects) {
        assert_eq!(update.status.state(), TaskState::TASK_DROPPED);
        assert_eq!(update.status.reason(), Reason::REASON_EXECUTOR_TERMINATED);
    }
    assert_eq!(names(&effects), ["StatusUpdateMessage"; 2]);
}

#[test]
fn updates_tell_the_tasks_own_container_while_it_runs() {
    let mut bench = Bench::registered();
    bench.receive(&master(), pod(&["a1"], true));
    let nested = bench.launched().child("n");
    bench.call(7, build::subscribe("pod"));
    let report = |bench: &mut Bench, state: TaskState, uuid: u8| {
        let mut status = build::status("a1", state, uuid);
        status.container_status.mut_or_insert_default().container_id = Some(nested.to_proto()).into();
        let effects = bench.call(7, build::update_call("pod", status));
        let told = forwarded(&effects)
            .first()
            .map(|update| update.status.container_status.clone());
        bench.receive(&master(), build::acknowledge("a1", uuid));
        told.and_then(protobuf::MessageField::into_option)
            .expect("a container status")
    };
    let starting = report(&mut bench, TaskState::TASK_STARTING, 1);
    assert_eq!(starting.container_id.as_ref(), Some(&nested.to_proto()));
    assert!(starting.executor_pid.is_none() && starting.network_infos.is_empty());

    let mut known = pb::ContainerStatus::new();
    known.container_id = Some(nested.to_proto()).into();
    known.set_executor_pid(4711);
    known.network_infos.push(pb::NetworkInfo::new());
    bench.step(Input::NestedContainerRunning {
        container_id: nested.clone(),
        status: Box::new(known.clone()),
    });
    assert_eq!(report(&mut bench, TaskState::TASK_RUNNING, 2), known);

    bench.step(Input::NestedContainerEnded {
        container_id: nested.clone(),
    });
    let finished = report(&mut bench, TaskState::TASK_FINISHED, 3);
    assert_eq!(finished.container_id.as_ref(), Some(&nested.to_proto()));
    assert!(finished.executor_pid.is_none());
}
