//! Updates, acknowledgements, kills, executors' ends and messages.

use std::time::Duration;

use libprocess_types::Upid;
use mesos::Message;
use mesos::ids::{AgentId, ExecutorId, TaskId};
use mesos_master_core::Input;
use mesos_proto::internal::wire::messages as wire;
use mesos_proto::v0::mesos::TaskState;
use mesos_proto::v0::scheduler::call::Type;
use mesos_proto::v0::scheduler::event;

use crate::actors::{
    MODERN, Scheduler, executor_task, framework_info, register_agent, reported_task, reregister_message,
    subscribe_call, update, uuid,
};
use crate::harness::{Harness, upid};

struct Scene {
    harness: Harness,
    scheduler: Scheduler,
    address: Upid,
    agent: AgentId,
}

/// A framework with the tasks `a` and `b` on one agent.
fn scene() -> Scene {
    let mut harness = Harness::new();
    let (address, agent) = register_agent(&mut harness, 0);
    let mut info = framework_info(MODERN);
    info.set_failover_timeout(1000.0);
    let scheduler = Scheduler::subscribe(&mut harness, info);
    scheduler.launch(&mut harness, &agent, &["a", "b"]);
    harness.clear();
    Scene {
        harness,
        scheduler,
        address,
        agent,
    }
}

impl Scene {
    fn update(&mut self, task: &str, state: TaskState, byte: u8) {
        let message = update(&self.scheduler.id, &self.agent, task, state, byte);
        self.harness.receive(&self.address, message);
    }

    fn acknowledge(&mut self, task: &str, byte: u8) {
        self.scheduler
            .acknowledge(&mut self.harness, &self.agent, task, uuid(byte));
    }

    fn state(&self, task: &str) -> Option<TaskState> {
        let framework = &self.harness.master.frameworks()[&self.scheduler.id];
        framework
            .tasks()
            .get(&TaskId::new(task))
            .map(mesos_master_core::Task::state)
    }

    fn completed(&self) -> usize {
        self.harness.master.frameworks()[&self.scheduler.id]
            .completed_tasks()
            .len()
    }
}

#[test]
fn an_update_is_forwarded_with_its_uuid_and_acknowledged_to_the_agent() {
    let mut scene = scene();
    scene.update("a", TaskState::TASK_RUNNING, 1);
    let statuses = scene.harness.statuses();
    assert_eq!(
        (statuses[0].state(), statuses[0].uuid()),
        (TaskState::TASK_RUNNING, &uuid(1)[..])
    );
    assert_eq!(scene.state("a"), Some(TaskState::TASK_RUNNING));
    scene.acknowledge("a", 1);
    let messages = scene.harness.messages_to(&scene.address);
    let Some(Message::StatusUpdateAcknowledgement(ack)) = messages.last() else {
        panic!("{messages:?}")
    };
    assert_eq!((ack.uuid(), ack.task_id.value()), (&uuid(1)[..], "a"));
    assert_eq!(scene.state("a"), Some(TaskState::TASK_RUNNING));
}

#[test]
fn an_ended_task_gives_its_resources_back_at_once_and_leaves_when_acknowledged() {
    let mut scene = scene();
    scene.update("a", TaskState::TASK_FINISHED, 1);
    let used = scene.harness.agent(&scene.agent).used()[&scene.scheduler.id]
        .cpus()
        .to_f64();
    assert!((used - 1.0).abs() < 1e-9, "only b holds something");
    assert_eq!(
        scene.state("a"),
        Some(TaskState::TASK_FINISHED),
        "kept until acknowledged"
    );
    scene.acknowledge("a", 1);
    assert_eq!((scene.state("a"), scene.completed()), (None, 1));
}

/// Pitfall D4: an agent sends the head of its stream, which may be older than the task's latest state.
#[test]
fn only_the_acknowledgement_of_the_last_update_ends_a_task() {
    let mut scene = scene();
    let mut running = update(&scene.scheduler.id, &scene.agent, "a", TaskState::TASK_RUNNING, 1);
    running
        .update
        .mut_or_insert_default()
        .set_latest_state(TaskState::TASK_FINISHED);
    scene.harness.receive(&scene.address.clone(), running);
    assert_eq!(
        scene.state("a"),
        Some(TaskState::TASK_FINISHED),
        "the latest state counts for the resources"
    );
    scene.acknowledge("a", 1);
    assert_eq!(
        scene.state("a"),
        Some(TaskState::TASK_FINISHED),
        "RUNNING was acknowledged, not FINISHED"
    );
    scene.update("a", TaskState::TASK_FINISHED, 2);
    scene.acknowledge("a", 1);
    assert_eq!(
        scene.state("a"),
        Some(TaskState::TASK_FINISHED),
        "a late acknowledgement of RUNNING"
    );
    scene.acknowledge("a", 2);
    assert_eq!(scene.state("a"), None);
    assert_eq!(
        scene.harness.states(),
        [TaskState::TASK_RUNNING, TaskState::TASK_FINISHED]
    );
}

#[test]
fn an_ended_task_never_runs_again() {
    let mut scene = scene();
    scene.update("a", TaskState::TASK_FAILED, 1);
    scene.update("a", TaskState::TASK_RUNNING, 2);
    assert_eq!(scene.state("a"), Some(TaskState::TASK_FAILED));
}

#[test]
fn an_update_of_a_forgotten_task_is_forwarded_so_that_it_can_be_acknowledged() {
    let mut scene = scene();
    scene.update("a", TaskState::TASK_FINISHED, 1);
    scene.acknowledge("a", 1);
    scene.harness.clear();
    scene.update("a", TaskState::TASK_FINISHED, 1);
    assert_eq!(scene.harness.states(), [TaskState::TASK_FINISHED]);
    scene.acknowledge("a", 1);
    assert_eq!(
        scene.harness.names_to(&scene.address),
        ["StatusUpdateAcknowledgementMessage"]
    );
    assert_eq!(scene.completed(), 1);
}

#[test]
fn updates_of_a_disconnected_framework_change_the_task_and_wait_at_the_agent() {
    let mut scene = scene();
    scene
        .harness
        .step(Input::SchedulerStreamClosed(scene.scheduler.stream.clone()));
    scene.harness.clear();
    scene.update("a", TaskState::TASK_FINISHED, 1);
    assert!(scene.harness.states().is_empty());
    assert_eq!(scene.state("a"), Some(TaskState::TASK_FINISHED));
    let id = scene.scheduler.id.clone();
    scene.scheduler = Scheduler::subscribe(&mut scene.harness, scene.scheduler.info.clone());
    assert_eq!(scene.scheduler.id, id);
    scene.update("a", TaskState::TASK_FINISHED, 1);
    scene.acknowledge("a", 1);
    assert_eq!(scene.state("a"), None);
}

#[test]
fn updates_without_uuid_or_from_unknown_agents_are_dropped() {
    let mut scene = scene();
    let stranger = AgentId::new("nope");
    scene.harness.receive(
        &scene.address.clone(),
        update(&scene.scheduler.id, &stranger, "a", TaskState::TASK_LOST, 1),
    );
    let mut message = update(&scene.scheduler.id, &scene.agent, "a", TaskState::TASK_LOST, 1);
    message.update.mut_or_insert_default().set_uuid(Vec::new());
    scene.harness.receive(&scene.address.clone(), message);
    assert!(scene.harness.states().is_empty());
    assert_eq!(scene.state("a"), Some(TaskState::TASK_STAGING));
    assert_eq!(scene.harness.master.counters()["master/invalid_status_updates"], 2);
}

#[test]
fn an_acknowledgement_before_any_update_or_to_a_disconnected_agent_is_dropped() {
    let mut scene = scene();
    scene.acknowledge("a", 1);
    assert!(scene.harness.names_to(&scene.address).is_empty());
    scene.update("a", TaskState::TASK_RUNNING, 1);
    scene.harness.exited(&scene.address.clone());
    scene.harness.clear();
    scene.acknowledge("a", 1);
    assert!(scene.harness.names_to(&scene.address).is_empty());
}

#[test]
fn a_chatty_task_keeps_one_status_per_run_of_equal_states() {
    let mut scene = scene();
    for byte in 1..=20 {
        let mut message = update(&scene.scheduler.id, &scene.agent, "a", TaskState::TASK_RUNNING, byte);
        message
            .update
            .mut_or_insert_default()
            .status
            .mut_or_insert_default()
            .set_data(vec![byte; 1000]);
        scene.harness.receive(&scene.address.clone(), message);
    }
    let task = &scene.harness.master.frameworks()[&scene.scheduler.id].tasks()[&TaskId::new("a")];
    assert_eq!(task.message().statuses.len(), 1);
    assert!(!task.message().statuses[0].has_data());
    assert_eq!(
        scene.harness.statuses()[19].data().len(),
        1000,
        "the framework gets the data"
    );
}

#[test]
fn completed_tasks_are_kept_to_their_bound() {
    let mut config = crate::harness::config();
    config.max_completed_tasks_per_framework = 1;
    let mut harness = Harness::with(config, mesos_registrar::Registry::new());
    let (address, agent) = register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    scheduler.launch(&mut harness, &agent, &["a", "b"]);
    for (task, byte) in [("a", 1), ("b", 2)] {
        harness.receive(
            &address,
            update(&scheduler.id, &agent, task, TaskState::TASK_FINISHED, byte),
        );
        scheduler.acknowledge(&mut harness, &agent, task, uuid(byte));
    }
    let completed = harness.master.frameworks()[&scheduler.id].completed_tasks();
    let ids: Vec<_> = completed.iter().map(|task| task.id().as_str().to_owned()).collect();
    assert_eq!(ids, ["b"]);
}

#[test]
fn a_kill_reaches_the_agent_and_names_the_right_one() {
    let mut scene = scene();
    let other = AgentId::new("other");
    scene.scheduler.kill(&mut scene.harness, "a", Some(&other));
    assert!(
        scene.harness.names_to(&scene.address).is_empty(),
        "another agent was named"
    );
    let agent = scene.agent.clone();
    scene.scheduler.kill(&mut scene.harness, "a", Some(&agent));
    assert_eq!(scene.harness.names_to(&scene.address), ["KillTaskMessage"]);
}

#[test]
fn a_kill_of_an_unknown_task_is_answered_as_reconciliation() {
    let mut scene = scene();
    scene.scheduler.kill(&mut scene.harness, "nope", None);
    assert_eq!(scene.harness.states(), [TaskState::TASK_UNKNOWN]);
    scene.harness.clear();
    let agent = scene.agent.clone();
    scene.scheduler.kill(&mut scene.harness, "nope", Some(&agent));
    assert_eq!(scene.harness.states(), [TaskState::TASK_GONE]);
}

#[test]
fn the_older_kill_and_acknowledgement_messages_work() {
    let mut harness = Harness::new();
    let (address, agent) = register_agent(&mut harness, 0);
    let driver = upid("scheduler-1@127.0.0.9:4000");
    harness.receive(&driver, subscribe_call(&framework_info(MODERN)));
    let id = harness.master.frameworks().keys().next().expect("subscribed").clone();
    let mut message = wire::LaunchTasksMessage::new();
    message.framework_id = Some(id.to_proto()).into();
    message.offer_ids = harness.offers(&id).iter().map(mesos::ids::OfferId::to_proto).collect();
    message.filters.mut_or_insert_default();
    message.tasks.push(crate::actors::command_task("a", &agent));
    harness.receive(&driver, message);
    let mut kill = wire::KillTaskMessage::new();
    kill.framework_id = Some(id.to_proto()).into();
    kill.task_id = Some(TaskId::new("a").to_proto()).into();
    harness.clear();
    harness.receive(&driver, kill);
    assert_eq!(harness.names_to(&address), ["KillTaskMessage"]);
    harness.receive(&address, update(&id, &agent, "a", TaskState::TASK_KILLED, 5));
    let messages = harness.messages_to(&driver);
    let told = messages.iter().find_map(|message| match message {
        Message::StatusUpdate(told) => Some(told),
        _ => None,
    });
    let told = told.expect("the driver is told");
    assert_eq!(told.pid(), address.to_string());
    let mut acknowledge = wire::StatusUpdateAcknowledgementMessage::new();
    acknowledge.framework_id = Some(id.to_proto()).into();
    acknowledge.slave_id = Some(agent.to_proto()).into();
    acknowledge.task_id = Some(TaskId::new("a").to_proto()).into();
    acknowledge.set_uuid(uuid(5));
    harness.receive(&driver, acknowledge);
    assert!(harness.master.frameworks()[&id].tasks().is_empty());
}

fn executor_scene() -> Scene {
    let mut harness = Harness::new();
    let (address, agent) = register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    let offers = harness.offers(&scheduler.id);
    let task = executor_task("a", &agent, "e");
    scheduler.accept(&mut harness, &offers, vec![task]);
    harness.clear();
    Scene {
        harness,
        scheduler,
        address,
        agent,
    }
}

fn exited(scene: &Scene) -> wire::ExitedExecutorMessage {
    let mut message = wire::ExitedExecutorMessage::new();
    message.slave_id = Some(scene.agent.to_proto()).into();
    message.framework_id = Some(scene.scheduler.id.to_proto()).into();
    message.executor_id = Some(ExecutorId::new("e").to_proto()).into();
    message.set_status(9);
    message
}

#[test]
fn an_executor_that_ended_is_told_once_and_gives_its_resources_back() {
    let mut scene = executor_scene();
    scene.update("a", TaskState::TASK_FINISHED, 1);
    assert!(
        !scene.harness.agent(&scene.agent).used().is_empty(),
        "the executor still holds something"
    );
    scene.harness.clear();
    let message = exited(&scene);
    scene.harness.receive(&scene.address.clone(), message.clone());
    scene.harness.receive(&scene.address.clone(), message);
    let events = scene.harness.events_on(&scene.scheduler.stream);
    let failures: Vec<_> = events
        .iter()
        .filter(|event| event.type_() == event::Type::FAILURE)
        .collect();
    assert_eq!(failures.len(), 1);
    assert_eq!(
        (failures[0].failure.executor_id.value(), failures[0].failure.status()),
        ("e", 9)
    );
    assert!(scene.harness.agent(&scene.agent).used().is_empty());
}

/// A launch may be on its way while the agent writes that it has no executor: the executor is doubted, not forgotten.
#[test]
fn an_executor_in_doubt_lives_or_goes_with_what_the_agent_says_next() {
    for lives in [true, false] {
        let mut scene = executor_scene();
        scene
            .harness
            .receive(&scene.address.clone(), reregister_message(&scene.agent));
        assert_eq!(scene.harness.agent(&scene.agent).executors().len(), 1);
        let mut message = update(&scene.scheduler.id, &scene.agent, "a", TaskState::TASK_DROPPED, 1);
        let status = message.update.mut_or_insert_default().status.mut_or_insert_default();
        status.set_source(mesos_proto::v0::mesos::task_status::Source::SOURCE_SLAVE);
        if lives {
            scene.update("a", TaskState::TASK_RUNNING, 1);
        } else {
            scene.harness.receive(&scene.address.clone(), message);
        }
        assert_eq!(scene.harness.agent(&scene.agent).executors().len(), usize::from(lives));
        assert_eq!(scene.harness.agent(&scene.agent).used().is_empty(), !lives);
    }
}

/// An agent that names a task and not its executor has seen the executor end: updates that the executor left behind are
/// no sign of life.
#[test]
fn an_executor_whose_tasks_are_named_without_it_has_ended() {
    let mut scene = executor_scene();
    let mut message = reregister_message(&scene.agent);
    let mut task = reported_task(&scene.scheduler.id, &scene.agent, "a", TaskState::TASK_FAILED);
    task.executor_id = Some(ExecutorId::new("e").to_proto()).into();
    message.frameworks.push(scene.scheduler.info.clone());
    message.tasks.push(task);
    scene.harness.receive(&scene.address.clone(), message);
    scene.update("a", TaskState::TASK_RUNNING, 1);
    assert_eq!(scene.harness.agent(&scene.agent).executors().len(), 0);
}

/// The agent may name an older task of the same executor id while a launch is on its way: that one is still doubted.
#[test]
fn an_older_task_of_an_executor_does_not_end_the_next_launch() {
    let mut scene = executor_scene();
    let mut message = reregister_message(&scene.agent);
    let mut older = reported_task(&scene.scheduler.id, &scene.agent, "older", TaskState::TASK_FAILED);
    older.executor_id = Some(ExecutorId::new("e").to_proto()).into();
    message.frameworks.push(scene.scheduler.info.clone());
    message.tasks.push(older);
    scene.harness.receive(&scene.address.clone(), message);
    assert_eq!(scene.harness.agent(&scene.agent).executors().len(), 1);
}

#[test]
fn messages_go_both_ways() {
    let mut scene = executor_scene();
    let mut call = scene.scheduler.typed(Type::MESSAGE);
    let message = call.message.mut_or_insert_default();
    message.slave_id = Some(scene.agent.to_proto()).into();
    message.executor_id = Some(ExecutorId::new("e").to_proto()).into();
    message.set_data(b"down".to_vec());
    scene.scheduler.send(&mut scene.harness, call.clone());
    let messages = scene.harness.messages_to(&scene.address);
    assert!(matches!(&messages[..], [Message::FrameworkToExecutor(message)] if message.data() == b"down"));
    let mut up = wire::ExecutorToFrameworkMessage::new();
    up.slave_id = Some(scene.agent.to_proto()).into();
    up.framework_id = Some(scene.scheduler.id.to_proto()).into();
    up.executor_id = Some(ExecutorId::new("e").to_proto()).into();
    up.set_data(b"up".to_vec());
    scene.harness.receive(&scene.address.clone(), up);
    let events = scene.harness.events_on(&scene.scheduler.stream);
    assert_eq!(events.last().map(|event| event.message.data()), Some(&b"up"[..]));
    scene.harness.exited(&scene.address.clone());
    scene.harness.clear();
    scene.scheduler.send(&mut scene.harness, call);
    assert!(
        scene.harness.names_to(&scene.address).is_empty(),
        "lost with the connection"
    );
}

#[test]
fn shutdown_of_an_executor_is_handed_on() {
    let mut scene = executor_scene();
    let mut call = scene.scheduler.typed(Type::SHUTDOWN);
    let shutdown = call.shutdown.mut_or_insert_default();
    shutdown.executor_id = Some(ExecutorId::new("e").to_proto()).into();
    shutdown.slave_id = Some(scene.agent.to_proto()).into();
    scene.scheduler.send(&mut scene.harness, call);
    assert_eq!(scene.harness.names_to(&scene.address), ["ShutdownExecutorMessage"]);
    scene
        .harness
        .advance_alive(Duration::from_secs(2), &[&scene.address.clone()]);
}
