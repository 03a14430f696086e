//! The default executor's rules as sequences of inputs and effects.

mod checks;
mod endings;
mod groups;
mod histories;
mod kills;
mod restarts;

use mesos_proto::v1::mesos::framework_info::{Capability, capability::Type as CapabilityType};
use mesos_proto::v1::mesos::{Resource, TaskInfo, TaskState, task_status};

use super::*;

/// An executor and time; keeps what the effects of the last input were.
pub struct Bench {
    pub core: ExecutorCore,
    pub now: Time,
    pub effects: Vec<Effect>,
}

impl Bench {
    /// An executor that was greeted, for a framework with these capabilities.
    pub fn subscribed(capabilities: &[CapabilityType]) -> Self {
        let mut next = 0_u8;
        let make_uuid = move || {
            next += 1;
            [next; 16]
        };
        let core = ExecutorCore::new(Settings {
            executor_id: "E".into(),
            shutdown_grace_period: Duration::from_secs(5),
            container_ip: "10.0.0.1".to_owned(),
            make_uuid: Box::new(make_uuid),
        });
        let mut bench = Self {
            core,
            now: Time::EPOCH + Duration::from_secs(100),
            effects: Vec::new(),
        };
        bench.subscribe(capabilities);
        bench
    }

    pub fn subscribe(&mut self, capabilities: &[CapabilityType]) {
        let mut event = event(event::Type::SUBSCRIBED);
        let subscribed = event.subscribed.mut_or_insert_default();
        subscribed
            .container_id
            .mut_or_insert_default()
            .set_value("exec".to_owned());
        for kind in capabilities {
            let mut capability = Capability::new();
            capability.set_type(*kind);
            let framework = subscribed.framework_info.mut_or_insert_default();
            framework.capabilities.push(capability);
        }
        self.receive(event);
    }

    pub fn step(&mut self, input: Input) -> &[Effect] {
        self.effects = self.core.step(self.now, input);
        &self.effects
    }

    pub fn receive(&mut self, event: Event) {
        self.step(Input::Received(Box::new(event)));
    }

    pub fn launch_group(&mut self, tasks: &[TaskInfo]) {
        let mut event = event(event::Type::LAUNCH_GROUP);
        let group = event.launch_group.mut_or_insert_default();
        group.task_group.mut_or_insert_default().tasks = tasks.to_vec();
        self.receive(event);
    }

    /// Launches a group, all of whose containers come to run.
    pub fn run_group(&mut self, ids: &[&str]) {
        let tasks: Vec<TaskInfo> = ids.iter().map(|id| task(id)).collect();
        self.launch_group(&tasks);
        for id in ids {
            let container = self.container(id);
            self.step(Input::LaunchAnswered(container, Answer::Done(())));
        }
    }

    pub fn container(&self, id: &str) -> ContainerId {
        self.core.tasks[id].container.clone()
    }

    pub fn kill(&mut self, id: &str, grace_seconds: Option<i64>) {
        let mut event = event(event::Type::KILL);
        let kill = event.kill.mut_or_insert_default();
        kill.task_id.mut_or_insert_default().set_value(id.to_owned());
        if let Some(seconds) = grace_seconds {
            let policy = kill.kill_policy.mut_or_insert_default();
            let period = policy.grace_period.mut_or_insert_default();
            period.set_nanoseconds(seconds * 1_000_000_000);
        }
        self.receive(event);
    }

    /// The container of a task ends with a wait status.
    pub fn ended(&mut self, id: &str, status: i32) {
        let mut wait = WaitNestedContainer::new();
        wait.set_exit_status(status);
        let container = self.container(id);
        self.step(Input::WaitAnswered(container, Answer::Done(Box::new(wait))));
    }

    pub fn elapsed(&mut self, timer: ExecutorTimer) {
        self.step(Input::Elapsed(timer));
    }

    pub fn shut_down(&mut self) {
        self.receive(event(event::Type::SHUTDOWN));
    }

    /// The agent acknowledges every update that it was sent.
    pub fn acknowledge_all(&mut self) {
        for uuid in self.core.unacknowledged.clone() {
            let mut event = event(event::Type::ACKNOWLEDGED);
            event.acknowledged.mut_or_insert_default().set_uuid(uuid);
            self.receive(event);
        }
    }

    /// The updates among the last effects.
    pub fn updates(&self) -> Vec<TaskStatus> {
        let update = |effect: &Effect| match effect {
            Effect::SendUpdate(status) => Some((**status).clone()),
            _ => None,
        };
        self.effects.iter().filter_map(update).collect()
    }

    /// Task and state of the updates among the last effects.
    pub fn told(&self) -> Vec<(String, TaskState)> {
        let updates = self.updates();
        let told = updates
            .iter()
            .map(|status| (status.task_id.value().to_owned(), status.state()));
        told.collect()
    }

    /// The signals among the last effects, with the tasks that they are for.
    pub fn signals(&self) -> Vec<(String, KillSignal)> {
        let signal = |effect: &Effect| match effect {
            Effect::KillContainer(container, signal) => Some((self.task_in(container), *signal)),
            _ => None,
        };
        self.effects.iter().filter_map(signal).collect()
    }

    /// The tasks whose containers are to be launched.
    pub fn launches(&self) -> Vec<String> {
        let launch = |effect: &Effect| match effect {
            Effect::LaunchContainer(container, _) => Some(self.task_in(container)),
            _ => None,
        };
        self.effects.iter().filter_map(launch).collect()
    }

    /// The tasks whose ends are asked for.
    pub fn waits(&self) -> Vec<String> {
        let wait = |effect: &Effect| match effect {
            Effect::WaitContainer(container) => Some(self.task_in(container)),
            _ => None,
        };
        self.effects.iter().filter_map(wait).collect()
    }

    /// When a timer is set to elapse.
    pub fn timer(&self, timer: &ExecutorTimer) -> Option<Duration> {
        self.effects.iter().rev().find_map(|effect| match effect {
            Effect::SetTimer(set, after) if set == timer => Some(*after),
            _ => None,
        })
    }

    pub fn exit(&self) -> Option<Outcome> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Exit(outcome) => Some(*outcome),
            _ => None,
        })
    }

    fn task_in(&self, container: &ContainerId) -> String {
        let found = self.core.tasks.iter().find(|(_, task)| task.container == *container);
        found.map_or_else(String::new, |(id, _)| id.to_string())
    }
}

pub fn event(kind: event::Type) -> Event {
    let mut event = Event::new();
    event.set_type(kind);
    event
}

pub fn task(id: &str) -> TaskInfo {
    let mut task = TaskInfo::new();
    task.task_id.mut_or_insert_default().set_value(id.to_owned());
    task.command.mut_or_insert_default().set_value("true".to_owned());
    let mut cpus = Resource::new();
    cpus.set_name("cpus".to_owned());
    cpus.scalar.mut_or_insert_default().set_value(0.5);
    cpus.allocation_info.mut_or_insert_default().set_role("web".to_owned());
    task.resources.push(cpus);
    task
}

pub fn with_grace(mut task: TaskInfo, seconds: i64) -> TaskInfo {
    let policy = task.kill_policy.mut_or_insert_default();
    let period = policy.grace_period.mut_or_insert_default();
    period.set_nanoseconds(seconds * 1_000_000_000);
    task
}

/// Pairs of task and value, as the bench gives them.
pub fn of<T: Copy>(pairs: &[(&str, T)]) -> Vec<(String, T)> {
    pairs.iter().map(|(id, value)| ((*id).to_owned(), *value)).collect()
}

pub const KILLING: [CapabilityType; 1] = [CapabilityType::TASK_KILLING_STATE];
pub const TERM: KillSignal = KillSignal::Term;
pub const KILL: KillSignal = KillSignal::Kill;
pub const STARTING: TaskState = TaskState::TASK_STARTING;
pub const RUNNING: TaskState = TaskState::TASK_RUNNING;
pub const FINISHED: TaskState = TaskState::TASK_FINISHED;
pub const FAILED: TaskState = TaskState::TASK_FAILED;
pub const KILLED: TaskState = TaskState::TASK_KILLED;
pub const TASK_KILLING: TaskState = TaskState::TASK_KILLING;

pub fn reason(status: &TaskStatus) -> Option<task_status::Reason> {
    status.has_reason().then(|| status.reason())
}
