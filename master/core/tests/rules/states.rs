//! Which state and reason the master itself tells of a task, for frameworks that know the partition states and for
//! those that know one word for all of them.

use std::time::Duration;

use libprocess_types::Upid;
use mesos::ids::{AgentId, TaskId};
use mesos_master_core::{MasterTimer, OperatorCall};
use mesos_proto::internal::wire::messages as wire;
use mesos_proto::v0::mesos::framework_info::capability::Type as Capability;
use mesos_proto::v0::mesos::task_status::{Reason, Source};
use mesos_proto::v0::mesos::{TaskState, TaskStatus};
use mesos_proto::v0::scheduler::call::Type;

use crate::actors::{
    MODERN, Scheduler, command_task, framework_info, register_agent, reported_task, reregister_message, update,
};
use crate::harness::Harness;

const UNAWARE: &[Capability] = &[Capability::MULTI_ROLE, Capability::RESERVATION_REFINEMENT];

struct Scene {
    harness: Harness,
    scheduler: Scheduler,
    address: Upid,
    agent: AgentId,
}

/// A framework whose task `a` runs.
fn scene(capabilities: &[Capability]) -> Scene {
    let mut harness = Harness::new();
    let (address, agent) = register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(capabilities));
    scheduler.launch(&mut harness, &agent, &["a"]);
    harness.receive(&address, update(&scheduler.id, &agent, "a", TaskState::TASK_RUNNING, 1));
    harness.clear();
    Scene {
        harness,
        scheduler,
        address,
        agent,
    }
}

impl Scene {
    fn mark_gone(&mut self) {
        let reply = self.harness.operator(OperatorCall::MarkAgentGone(self.agent.clone()));
        assert_eq!(reply.map(|reply| reply.status), Some(200));
    }

    fn lose_by_pings(&mut self) {
        self.harness.advance(Duration::from_secs(76));
    }

    fn come_back(&mut self, state: TaskState) {
        let mut message = reregister_message(&self.agent);
        message.frameworks.push(self.scheduler.info.clone());
        let task = reported_task(&self.scheduler.id, &self.agent, "a", state);
        message.tasks.push(task);
        self.harness.receive(&self.address.clone(), message);
    }

    /// The only status that was told.
    fn told(&self) -> TaskStatus {
        let statuses = self.harness.statuses();
        assert_eq!(statuses.len(), 1, "{statuses:?}");
        let status = statuses.into_iter().next().expect("one");
        assert_eq!(status.source(), Source::SOURCE_MASTER);
        assert!(!status.has_uuid(), "nobody acknowledges the master");
        assert_eq!(status.task_id.value(), "a");
        status
    }
}

/// What happens to the agent of a running task.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Silent,
    Unlinked,
    Gone,
    GoneWhileUnreachable,
    Farewell,
    Replaced,
    Back(TaskState),
}

fn suffer(fate: Fate, scene: &mut Scene) {
    match fate {
        Fate::Silent => scene.lose_by_pings(),
        Fate::Unlinked => {
            scene.harness.exited(&scene.address);
            let address = scene.address.clone();
            scene.harness.advance_alive(Duration::from_secs(601), &[&address]);
        }
        Fate::Gone => scene.mark_gone(),
        Fate::GoneWhileUnreachable => {
            scene.lose_by_pings();
            scene.harness.clear();
            scene.mark_gone();
        }
        Fate::Farewell => {
            let mut message = wire::UnregisterSlaveMessage::new();
            message.slave_id = Some(scene.agent.to_proto()).into();
            scene.harness.receive(&scene.address.clone(), message);
        }
        Fate::Replaced => {
            scene.harness.exited(&scene.address);
            register_agent(&mut scene.harness, 0);
        }
        Fate::Back(state) => {
            scene.lose_by_pings();
            scene.harness.clear();
            scene.come_back(state);
        }
    }
}

#[test]
fn the_fate_of_an_agent_decides_what_is_told_of_its_tasks() {
    use Reason::{
        REASON_SLAVE_REMOVED as REMOVED, REASON_SLAVE_REMOVED_BY_OPERATOR as BY_OPERATOR,
        REASON_SLAVE_REREGISTERED as BACK,
    };
    use TaskState::{
        TASK_FINISHED as FINISHED, TASK_GONE_BY_OPERATOR as GONE_BY_OPERATOR, TASK_LOST as LOST,
        TASK_RUNNING as RUNNING, TASK_UNREACHABLE as UNREACHABLE,
    };
    let rows = [
        (Fate::Silent, UNREACHABLE, LOST, REMOVED),
        (Fate::Unlinked, UNREACHABLE, LOST, REMOVED),
        (Fate::Gone, GONE_BY_OPERATOR, LOST, BY_OPERATOR),
        (Fate::GoneWhileUnreachable, GONE_BY_OPERATOR, LOST, BY_OPERATOR),
        (Fate::Farewell, LOST, LOST, REMOVED),
        (Fate::Replaced, LOST, LOST, REMOVED),
        (Fate::Back(RUNNING), RUNNING, RUNNING, BACK),
        (Fate::Back(FINISHED), FINISHED, FINISHED, BACK),
    ];
    for (fate, to_aware, to_unaware, reason) in rows {
        for (capabilities, state) in [(MODERN, to_aware), (UNAWARE, to_unaware)] {
            let mut scene = scene(capabilities);
            suffer(fate, &mut scene);
            let status = scene.told();
            assert_eq!((status.state(), status.reason()), (state, reason), "{fate:?}");
            let unreachable = matches!(fate, Fate::Silent | Fate::Unlinked);
            assert_eq!(status.unreachable_time.is_some(), unreachable, "{fate:?}");
        }
    }
}

/// Pitfall D6: the agent keeps its id, and the tasks of both kinds of frameworks run on.
#[test]
fn tasks_of_a_returning_agent_run_again() {
    for capabilities in [MODERN, UNAWARE] {
        let mut scene = scene(capabilities);
        scene.lose_by_pings();
        let framework = &scene.harness.master.frameworks()[&scene.scheduler.id];
        assert!(framework.tasks().is_empty());
        assert_eq!(framework.unreachable_tasks().len(), 1);
        scene.come_back(TaskState::TASK_RUNNING);
        let framework = &scene.harness.master.frameworks()[&scene.scheduler.id];
        assert_eq!(framework.tasks()[&TaskId::new("a")].state(), TaskState::TASK_RUNNING);
        assert!(framework.unreachable_tasks().is_empty() && framework.completed_tasks().is_empty());
        assert!(
            scene
                .harness
                .agent(&scene.agent)
                .used()
                .contains_key(&scene.scheduler.id)
        );
    }
}

/// A framework hears nothing more after its end: what became of its tasks stands in what is remembered of it.
#[test]
fn tasks_of_a_removed_framework_are_killed() {
    for by_timeout in [false, true] {
        let mut scene = scene(MODERN);
        if by_timeout {
            let stream = scene.scheduler.stream.clone();
            scene
                .harness
                .step(mesos_master_core::Input::SchedulerStreamClosed(stream));
            let timer = MasterTimer::FrameworkFailover(scene.scheduler.id.clone());
            assert!(scene.harness.has_timer(&timer));
            scene.harness.advance(Duration::from_secs(1));
        } else {
            let call = scene.scheduler.typed(Type::TEARDOWN);
            scene.scheduler.send(&mut scene.harness, call);
        }
        let framework = scene.harness.master.completed_frameworks().iter().next().expect("kept");
        let task = framework.completed_tasks().iter().next().expect("kept");
        assert_eq!(task.state(), TaskState::TASK_KILLED);
        let message = task.message();
        let status = message.statuses.last().expect("a status");
        assert_eq!(status.reason(), Reason::REASON_FRAMEWORK_REMOVED);
        assert_eq!(status.source(), Source::SOURCE_MASTER);
        assert_eq!(status.message(), "Framework terminated");
    }
}

/// `TASK_STAGING` is the master's own: told in answers to reconciliation before the agent spoke.
#[test]
fn a_launched_task_is_staging_until_its_agent_speaks() {
    let mut scene = scene(MODERN);
    let address = scene.address.clone();
    scene.harness.advance_alive(Duration::from_secs(7), &[&address]);
    let offers = scene.harness.offers(&scene.scheduler.id);
    let task = command_task("b", &scene.agent);
    scene.scheduler.accept(&mut scene.harness, &offers[..1], vec![task]);
    scene.harness.clear();
    scene.scheduler.reconcile(&mut scene.harness, &[("b", None)]);
    let statuses = scene.harness.statuses();
    assert_eq!(
        (statuses[0].state(), statuses[0].reason()),
        (TaskState::TASK_STAGING, Reason::REASON_RECONCILIATION)
    );
}

/// States that agents and executors tell pass the master unchanged, with their reason and source.
#[test]
fn what_agents_and_executors_tell_is_told_unchanged() {
    let rows = [
        (TaskState::TASK_STARTING, None, Source::SOURCE_EXECUTOR),
        (TaskState::TASK_KILLING, None, Source::SOURCE_EXECUTOR),
        (TaskState::TASK_FINISHED, None, Source::SOURCE_EXECUTOR),
        (TaskState::TASK_KILLED, None, Source::SOURCE_EXECUTOR),
        (
            TaskState::TASK_FAILED,
            Some(Reason::REASON_CONTAINER_LIMITATION_MEMORY),
            Source::SOURCE_SLAVE,
        ),
        (
            TaskState::TASK_GONE,
            Some(Reason::REASON_EXECUTOR_TERMINATED),
            Source::SOURCE_SLAVE,
        ),
        (
            TaskState::TASK_DROPPED,
            Some(Reason::REASON_INVALID_OFFERS),
            Source::SOURCE_SLAVE,
        ),
        (
            TaskState::TASK_ERROR,
            Some(Reason::REASON_TASK_INVALID),
            Source::SOURCE_SLAVE,
        ),
    ];
    for (state, reason, source) in rows {
        let mut scene = scene(MODERN);
        let mut message = update(&scene.scheduler.id, &scene.agent, "a", state, 2);
        let status = message.update.mut_or_insert_default().status.mut_or_insert_default();
        status.set_source(source);
        status.reason = reason.map(Into::into);
        scene.harness.receive(&scene.address.clone(), message);
        let told = &scene.harness.statuses()[0];
        assert_eq!((told.state(), told.source()), (state, source));
        assert_eq!(told.has_reason().then(|| told.reason()), reason);
        assert!(told.has_uuid());
        let ended = scene.harness.master.frameworks()[&scene.scheduler.id].tasks()[&TaskId::new("a")].is_terminal();
        assert_eq!(
            ended,
            !matches!(state, TaskState::TASK_STARTING | TaskState::TASK_KILLING)
        );
    }
}
