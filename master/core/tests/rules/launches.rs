//! Accepting offers and launching: what reaches the agent, what is refused and why.

use libprocess_types::Upid;
use mesos::Message;
use mesos::ids::{AgentId, ExecutorId, OfferId, TaskId};
use mesos_proto::internal::wire::messages as wire;
use mesos_proto::v0::mesos as proto;
use mesos_proto::v0::mesos::framework_info::capability::Type as Capability;
use mesos_proto::v0::mesos::offer::Operation;
use mesos_proto::v0::mesos::offer::operation::Type as OperationType;
use mesos_proto::v0::mesos::task_status::Reason;
use mesos_proto::v0::mesos::{TaskInfo, TaskState};
use mesos_proto::v0::scheduler::event;

use crate::actors::{
    MODERN, Scheduler, agent_upid, command_task, executor_task, framework_info, launch, register_agent, resources,
    subscribe_call, uuid,
};
use crate::harness::{Harness, upid};

struct Scene {
    harness: Harness,
    scheduler: Scheduler,
    address: Upid,
    agent: AgentId,
}

fn scene_with(capabilities: &[Capability]) -> Scene {
    let mut harness = Harness::new();
    let (address, agent) = register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(capabilities));
    harness.clear();
    Scene {
        harness,
        scheduler,
        address,
        agent,
    }
}

fn scene() -> Scene {
    scene_with(MODERN)
}

impl Scene {
    fn offer(&self) -> OfferId {
        self.harness.offers(&self.scheduler.id)[0].clone()
    }

    fn accept(&mut self, tasks: Vec<TaskInfo>) {
        let offer = self.offer();
        self.scheduler.accept(&mut self.harness, &[offer], tasks);
    }

    fn run_tasks(&self) -> Vec<wire::RunTaskMessage> {
        let messages = self
            .harness
            .messages_to(&self.address)
            .into_iter()
            .filter_map(|message| match message {
                Message::RunTask(message) => Some(*message),
                _ => None,
            });
        messages.collect()
    }
}

#[test]
fn a_command_task_reaches_the_agent_as_recorded() {
    let mut scene = scene();
    let task = command_task("a", &scene.agent);
    scene.accept(vec![task]);
    let run = scene.run_tasks();
    assert_eq!(run.len(), 1);
    let run = &run[0];
    assert!(run.framework_id.is_none(), "the deprecated field stays unset");
    assert_eq!(run.framework.id.value(), scene.scheduler.id.as_str());
    assert_eq!(run.pid(), "@0.0.0.0:0", "an HTTP scheduler has no address");
    assert_eq!(run.resource_version_uuids.len(), 1);
    assert_eq!(run.resource_version_uuids[0].uuid.value(), uuid(1));
    assert!(run.launch_executor());
    assert!(
        run.task
            .resources
            .iter()
            .all(|resource| resource.allocation_info.role() == "*")
    );
    let framework = &scene.harness.master.frameworks()[&scene.scheduler.id];
    assert_eq!(framework.tasks()[&TaskId::new("a")].state(), TaskState::TASK_STAGING);
    assert!(
        scene.harness.states().is_empty(),
        "nothing is told before the agent speaks"
    );
}

#[test]
fn the_second_task_of_an_executor_starts_no_other_one() {
    let mut scene = scene();
    let tasks = vec![
        executor_task("a", &scene.agent, "e"),
        executor_task("b", &scene.agent, "e"),
    ];
    scene.accept(tasks);
    let launches: Vec<bool> = scene
        .run_tasks()
        .iter()
        .map(wire::RunTaskMessage::launch_executor)
        .collect();
    assert_eq!(launches, [true, false]);
    let executor = &scene.run_tasks()[1].task.executor.framework_id;
    assert_eq!(executor.value(), scene.scheduler.id.as_str(), "filled in by the master");
    let used = scene.harness.agent(&scene.agent).used()[&scene.scheduler.id].cpus();
    assert!((used.to_f64() - 2.5).abs() < 1e-9, "two tasks and one executor: {used}");
}

#[test]
fn what_a_launch_leaves_is_declined() {
    let mut scene = scene();
    let task = command_task("a", &scene.agent);
    scene.accept(vec![task]);
    assert!(scene.harness.offers(&scene.scheduler.id).is_empty(), "filtered for 5 s");
    scene
        .harness
        .advance_alive(std::time::Duration::from_secs(7), &[&scene.address]);
    let offer = &scene.harness.master.offers()[&scene.offer()];
    assert!((offer.resources().cpus().to_f64() - 3.0).abs() < 1e-9);
}

/// Pitfall D18: accepting what is gone, twice the same, or what belongs to others.
#[test]
fn launches_on_invalid_offers_are_dropped_or_lost() {
    let unaware: &[Capability] = &[Capability::MULTI_ROLE];
    for (capabilities, state) in [(MODERN, TaskState::TASK_DROPPED), (unaware, TaskState::TASK_LOST)] {
        for case in ["gone", "duplicate", "none"] {
            let mut scene = scene_with(capabilities);
            let offer = scene.offer();
            let offers = match case {
                "gone" => vec![offer.clone(), OfferId::new("nope")],
                "duplicate" => vec![offer.clone(), offer.clone()],
                _ => Vec::new(),
            };
            let task = command_task("a", &scene.agent);
            scene.scheduler.accept(&mut scene.harness, &offers, vec![task]);
            let statuses = scene.harness.statuses();
            assert_eq!(statuses.len(), 1, "{case}");
            assert_eq!(
                (statuses[0].state(), statuses[0].reason()),
                (state, Reason::REASON_INVALID_OFFERS),
                "{case}"
            );
            assert!(!statuses[0].has_uuid(), "{case}");
            assert!(scene.run_tasks().is_empty(), "{case}");
            if case != "none" {
                assert!(
                    !scene.harness.master.offers().contains_key(&offer),
                    "{case}: the offer is used up"
                );
            }
        }
    }
}

#[test]
fn offers_of_two_agents_or_frameworks_cannot_be_accepted_together() {
    let mut scene = scene();
    register_agent(&mut scene.harness, 1);
    let offers = scene.harness.offers(&scene.scheduler.id);
    assert_eq!(offers.len(), 2);
    let task = command_task("a", &scene.agent);
    scene.scheduler.accept(&mut scene.harness, &offers, vec![task.clone()]);
    assert_eq!(scene.harness.states(), [TaskState::TASK_DROPPED]);
    let other = Scheduler::subscribe(&mut scene.harness, framework_info(MODERN));
    let foreign = scene
        .harness
        .offers(&scene.scheduler.id)
        .into_iter()
        .chain(scene.harness.offers(&other.id));
    let foreign = foreign.collect::<Vec<_>>();
    scene.harness.clear();
    let thief = Scheduler::subscribe(&mut scene.harness, framework_info(MODERN));
    thief.accept(&mut scene.harness, &foreign[..1], vec![task]);
    assert_eq!(scene.harness.states(), [TaskState::TASK_DROPPED]);
    assert!(
        scene.harness.master.offers().contains_key(&foreign[0]),
        "the owner keeps its offer"
    );
}

type Break = fn(&mut TaskInfo);

/// What an error must say, and how a good task is broken to get it.
const TASK_RULES: &[(&str, Break)] = &[
    ("the task id", |task| {
        task.task_id.mut_or_insert_default().set_value("a/b".to_owned());
    }),
    ("but the offers are of", |task| {
        task.slave_id.mut_or_insert_default().set_value("other".to_owned());
    }),
    ("exactly one of", |task| task.command = protobuf::MessageField::none()),
    ("kill_policy", |task| {
        task.kill_policy
            .mut_or_insert_default()
            .grace_period
            .mut_or_insert_default()
            .set_nanoseconds(-1);
    }),
    ("max_completion_time", |task| {
        task.max_completion_time.mut_or_insert_default().set_nanoseconds(-1);
    }),
    ("no resources", |task| task.resources.clear()),
    ("the resources of task", |task| {
        task.resources[0].scalar.mut_or_insert_default().set_value(-1.0);
    }),
    ("is left of the offers", |task| {
        task.resources[0].scalar.mut_or_insert_default().set_value(5.0);
    }),
    ("allocated to both", |task| {
        task.resources[0]
            .allocation_info
            .mut_or_insert_default()
            .set_role("other".to_owned());
    }),
    ("both as revocable", |task| {
        task.resources.extend(resources("cpus:1"));
        task.resources[2].revocable.mut_or_insert_default();
    }),
    ("gpus", |task| task.resources.extend(resources("gpus:0.5"))),
    ("`check`", |task| {
        task.check.mut_or_insert_default();
    }),
    ("`health_check`", |task| {
        task.health_check.mut_or_insert_default().set_delay_seconds(1.0);
    }),
    ("environment variable", |task| {
        let environment = task.command.mut_or_insert_default().environment.mut_or_insert_default();
        let mut variable = proto::environment::Variable::new();
        variable.set_name("X".to_owned());
        environment.variables.push(variable);
    }),
    ("below the", |task| {
        let mut limit = proto::value::Scalar::new();
        limit.set_value(0.5);
        task.limits.insert("cpus".to_owned(), limit);
    }),
    ("only cpus and mem", |task| {
        task.limits.insert("disk".to_owned(), proto::value::Scalar::new());
    }),
    ("share_cgroups", |task| {
        let container = task.container.mut_or_insert_default();
        container.set_type(proto::container_info::Type::MESOS);
        container.linux_info.mut_or_insert_default().set_share_cgroups(false);
    }),
];

#[test]
fn each_rule_for_tasks_has_its_own_error() {
    for (text, break_rule) in TASK_RULES {
        let mut scene = scene();
        let mut task = command_task("a", &scene.agent);
        break_rule(&mut task);
        scene.accept(vec![task]);
        let statuses = scene.harness.statuses();
        assert_eq!(statuses.len(), 1, "{text}");
        assert_eq!(statuses[0].state(), TaskState::TASK_ERROR, "{text}");
        assert_eq!(statuses[0].reason(), Reason::REASON_TASK_INVALID, "{text}");
        assert!(
            statuses[0].message().contains(text),
            "{text}: {}",
            statuses[0].message()
        );
        assert!(scene.run_tasks().is_empty(), "{text}");
        assert!(
            scene.harness.master.frameworks()[&scene.scheduler.id]
                .tasks()
                .is_empty(),
            "{text}"
        );
    }
}

#[test]
fn each_rule_for_executors_has_its_own_error() {
    let rules: &[(&str, Break)] = &[
        ("the executor id", |task| {
            task.executor
                .mut_or_insert_default()
                .executor_id
                .mut_or_insert_default()
                .set_value(String::new());
        }),
        ("names the framework", |task| {
            task.executor
                .mut_or_insert_default()
                .framework_id
                .mut_or_insert_default()
                .set_value("other".to_owned());
        }),
        ("runs task groups only", |task| {
            task.executor
                .mut_or_insert_default()
                .set_type(proto::executor_info::Type::DEFAULT);
        }),
        ("lacks `command`", |task| {
            task.executor.mut_or_insert_default().command = protobuf::MessageField::none();
        }),
        ("shutdown_grace_period", |task| {
            task.executor
                .mut_or_insert_default()
                .shutdown_grace_period
                .mut_or_insert_default()
                .set_nanoseconds(-1);
        }),
        ("exactly one of", |task| {
            task.command.mut_or_insert_default();
        }),
    ];
    for (text, break_rule) in rules {
        let mut scene = scene();
        let mut task = executor_task("a", &scene.agent, "e");
        break_rule(&mut task);
        scene.accept(vec![task]);
        let statuses = scene.harness.statuses();
        assert_eq!(statuses.len(), 1, "{text}");
        assert!(
            statuses[0].message().contains(text),
            "{text}: {}",
            statuses[0].message()
        );
        assert!(scene.harness.agent(&scene.agent).executors().is_empty(), "{text}");
    }
}

/// Pitfall D17.
#[test]
fn an_executor_with_another_description_is_refused() {
    let mut scene = scene();
    let mut second = executor_task("b", &scene.agent, "e");
    second
        .executor
        .mut_or_insert_default()
        .command
        .mut_or_insert_default()
        .set_value("other".to_owned());
    let tasks = vec![executor_task("a", &scene.agent, "e"), second];
    scene.accept(tasks);
    assert_eq!(scene.run_tasks().len(), 1);
    let statuses = scene.harness.statuses();
    assert_eq!(statuses.len(), 1);
    assert_eq!(
        (statuses[0].task_id.value(), statuses[0].state()),
        ("b", TaskState::TASK_ERROR)
    );
}

#[test]
fn a_task_id_in_use_is_refused_and_the_others_run() {
    let mut scene = scene();
    let tasks = vec![
        command_task("a", &scene.agent),
        command_task("a", &scene.agent),
        command_task("b", &scene.agent),
    ];
    scene.accept(tasks);
    assert_eq!(scene.run_tasks().len(), 2);
    assert_eq!(scene.harness.states(), [TaskState::TASK_ERROR]);
}

#[test]
fn tasks_beyond_the_offer_are_refused_one_by_one() {
    let mut scene = scene();
    let tasks = (0..6)
        .map(|number| command_task(&number.to_string(), &scene.agent))
        .collect();
    scene.accept(tasks);
    assert_eq!(scene.run_tasks().len(), 4, "4 cpus, one a task");
    assert_eq!(scene.harness.states(), [TaskState::TASK_ERROR; 2]);
}

#[test]
fn older_launch_messages_launch() {
    let mut harness = Harness::new();
    let (address, agent) = register_agent(&mut harness, 0);
    let driver = upid("scheduler-1@127.0.0.9:4000");
    harness.receive(&driver, subscribe_call(&framework_info(MODERN)));
    let id = harness.master.frameworks().keys().next().expect("subscribed").clone();
    let mut message = wire::LaunchTasksMessage::new();
    message.framework_id = Some(id.to_proto()).into();
    message.offer_ids = harness.offers(&id).iter().map(OfferId::to_proto).collect();
    message.filters.mut_or_insert_default();
    message.tasks.push(command_task("a", &agent));
    harness.receive(&upid("scheduler-2@127.0.0.9:4001"), message.clone());
    assert!(
        harness.master.frameworks()[&id].tasks().is_empty(),
        "a stranger launches nothing"
    );
    harness.clear();
    harness.receive(&driver, message);
    let messages = harness.messages_to(&address);
    let Some(Message::RunTask(run)) = messages.first() else {
        panic!("{messages:?}")
    };
    assert_eq!(run.pid(), driver.to_string());
}

fn group_call(scene: &Scene, tasks: Vec<TaskInfo>, kind: proto::executor_info::Type) -> Operation {
    let mut operation = Operation::new();
    operation.set_type(OperationType::LAUNCH_GROUP);
    let group = operation.launch_group.mut_or_insert_default();
    group.task_group.mut_or_insert_default().tasks = tasks;
    let executor = group.executor.mut_or_insert_default();
    executor.set_type(kind);
    executor.executor_id = Some(ExecutorId::new("e").to_proto()).into();
    executor.framework_id = Some(scene.scheduler.id.to_proto()).into();
    executor.resources = resources("cpus:0.1;mem:32;disk:1");
    operation
}

#[test]
fn a_task_group_is_launched_whole_or_not_at_all() {
    let mut scene = scene();
    let tasks = vec![command_task("a", &scene.agent), command_task("b", &scene.agent)];
    let operation = group_call(&scene, tasks, proto::executor_info::Type::DEFAULT);
    let call = scene.scheduler.accept_call(&[scene.offer()], vec![operation]);
    scene.scheduler.send(&mut scene.harness, call);
    let messages = scene.harness.messages_to(&scene.address);
    let Some(Message::RunTaskGroup(run)) = messages.first() else {
        panic!("{messages:?}")
    };
    assert!(run.launch_executor());
    assert!(run.task_group.tasks.iter().all(|task| task.executor.is_some()));
    let mut scene = self::scene();
    let mut tasks = vec![command_task("a", &scene.agent), command_task("b", &scene.agent)];
    tasks[1].resources = resources("cpus:100;mem:1");
    let operation = group_call(&scene, tasks, proto::executor_info::Type::DEFAULT);
    let call = scene.scheduler.accept_call(&[scene.offer()], vec![operation]);
    scene.scheduler.send(&mut scene.harness, call);
    let statuses = scene.harness.statuses();
    assert_eq!(statuses.len(), 2);
    assert!(
        statuses
            .iter()
            .all(|status| status.reason() == Reason::REASON_TASK_GROUP_INVALID)
    );
    assert!(scene.harness.agent(&scene.agent).used().is_empty());
}

#[test]
fn operations_that_are_not_supported_yet_say_so() {
    let mut scene = scene();
    let mut operation = Operation::new();
    operation.set_type(OperationType::RESERVE);
    operation.id.mut_or_insert_default().set_value("op".to_owned());
    operation.reserve.mut_or_insert_default();
    let launch = launch(vec![command_task("a", &scene.agent)]);
    let call = scene.scheduler.accept_call(&[scene.offer()], vec![operation, launch]);
    scene.scheduler.send(&mut scene.harness, call);
    let events = scene.harness.events_on(&scene.scheduler.stream);
    let told = events
        .iter()
        .find(|event| event.type_() == event::Type::UPDATE_OPERATION_STATUS)
        .expect("told");
    let status = &told.update_operation_status.status;
    assert_eq!(status.state(), proto::OperationState::OPERATION_ERROR);
    assert_eq!(status.operation_id.value(), "op");
    assert_eq!(scene.run_tasks().len(), 1, "the launch beside it is carried out");
    assert_eq!(scene.address, agent_upid(0));
}
