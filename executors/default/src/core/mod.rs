//! The rules of the default executor: groups of tasks, each task in a container nested in the executor's own.
//!
//! ```text
//!            LAUNCH_GROUP       launched             KILL, group, time limit, check, SHUTDOWN
//! (unknown) -------------> Launching ------> Running ---------------------------------------> Killing
//!                              |                |  ended                                         |  ended
//!                              '-- not launched-+------------------> (gone) <--------------------'
//! ```
//!
//! A task that fails or is killed takes the rest of its group with it; groups know nothing of each other. Once no task
//! is left and the agent has acknowledged all updates, the executor leaves.
//!
//! The agent may go away and come back: waits are asked for again, and a launch without an answer is asked for again
//! under the same container id, which starts nothing twice. A kill that was not confirmed is repeated.
//!
//! Source: shared facts, `task_reasons.tsv`, `constants.tsv`, `pitfalls.md` D20, and the recorded exchange `w5`.

mod ending;
mod killing;
mod launching;
mod status;
mod task;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use libprocess_types::Time;
use mesos::capabilities::FrameworkCapabilities;
use mesos::ids::{ContainerId, ExecutorId, TaskId};
use mesos_checks::Report;
use mesos_checks::core::TaskChecks;
use mesos_proto::v1::agent::Call;
use mesos_proto::v1::agent::response::WaitNestedContainer;
use mesos_proto::v1::executor::{Event, event};
use mesos_proto::v1::mesos::TaskStatus;

use self::task::{Life, PodTask};

/// Time between `TERM` and `KILL` when nobody says.
pub const KILL_GRACE_DEFAULT: Duration = Duration::from_secs(3);

/// Longest wait for the acknowledgement of the last updates.
pub const ACKNOWLEDGEMENT_PATIENCE: Duration = Duration::from_secs(60);

/// Pause before a call that the agent could not answer is made again.
pub const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Timers that the core asks for; there is at most one of each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExecutorTimer {
    /// The task in the container had its time to end after `TERM`.
    Escalate(ContainerId),
    /// The `max_completion_time` of the task in the container is over.
    Completion(ContainerId),
    /// A call about the container is due again.
    Retry(ContainerId, Retried),
    /// The last updates were not acknowledged.
    Acknowledgement,
}

/// Calls that are made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Retried {
    /// The launch.
    Launch,
    /// The wait for the end.
    Wait,
    /// The signal.
    Kill,
}

/// The signals that end tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillSignal {
    /// `TERM`: the task may end in its own way.
    Term,
    /// `KILL`.
    Kill,
}

impl KillSignal {
    /// Its number.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Term => 15,
            Self::Kill => 9,
        }
    }
}

/// How the agent answered a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer<T> {
    /// As hoped.
    Done(T),
    /// It does not know the container.
    NotFound,
    /// It is not there, or recovers: the call may be made again.
    Unavailable(String),
    /// It refuses: status code and text.
    Refused(u16, String),
}

impl<T> Answer<T> {
    /// The same answer with another result.
    pub fn and_then<U>(self, then: impl FnOnce(T) -> Answer<U>) -> Answer<U> {
        match self {
            Self::Done(result) => then(result),
            Self::NotFound => Answer::NotFound,
            Self::Unavailable(why) => Answer::Unavailable(why),
            Self::Refused(status, text) => Answer::Refused(status, text),
        }
    }
}

/// Everything that can happen to the executor.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The agent sent an event.
    Received(Box<Event>),
    /// The connection to the agent is gone; calls that had no answer will have none.
    Disconnected,
    /// The agent answered a launch. Being told of a container that exists counts as done.
    LaunchAnswered(ContainerId, Answer<()>),
    /// The agent answered a wait.
    WaitAnswered(ContainerId, Answer<Box<WaitNestedContainer>>),
    /// The agent answered a kill.
    KillAnswered(ContainerId, KillSignal, Answer<()>),
    /// A check of the task in the container has a result that is to be told.
    Checked(ContainerId, Report),
    /// A timer elapsed.
    Elapsed(ExecutorTimer),
    /// The client says that the time to shut down is over.
    GraceOver,
}

/// Everything the executor may want.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Report a state.
    SendUpdate(Box<TaskStatus>),
    /// Make a LAUNCH_CONTAINER call; [`Input::LaunchAnswered`] is the answer.
    LaunchContainer(ContainerId, Box<Call>),
    /// Ask for the container's end; [`Input::WaitAnswered`] is the answer.
    WaitContainer(ContainerId),
    /// Send a signal to the container; [`Input::KillAnswered`] is the answer.
    KillContainer(ContainerId, KillSignal),
    /// Give up all calls that have no answer yet.
    AbandonCalls,
    /// Show the container's sandbox under the task's name.
    LinkSandbox(ContainerId, TaskId),
    /// Begin the checks of the task in the container.
    StartChecks(ContainerId, Box<TaskChecks>),
    /// End the checks of the task in the container.
    StopChecks(ContainerId),
    /// Look at no task while the agent is away.
    PauseChecks,
    /// Look at tasks again.
    ResumeChecks,
    /// Set a timer, replacing one of the same name.
    SetTimer(ExecutorTimer, Duration),
    /// Drop a timer.
    CancelTimer(ExecutorTimer),
    /// End the executor.
    Exit(Outcome),
}

/// How the executor itself ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its work is done.
    Done,
    /// Something went wrong that no update could tell.
    Failed,
}

/// Makes ids of updates and containers: 16 bytes, never the same.
pub type MakeUuid = Box<dyn FnMut() -> [u8; 16] + Send>;

/// What an executor is told once.
pub struct Settings {
    /// Its id.
    pub executor_id: ExecutorId,
    /// How long it has to end.
    pub shutdown_grace_period: Duration,
    /// The address that its tasks are told as theirs (`MESOS_CONTAINER_IP`).
    pub container_ip: String,
    /// Makes ids.
    pub make_uuid: MakeUuid,
}

/// The state of a default executor.
pub struct ExecutorCore {
    settings: Settings,
    capabilities: FrameworkCapabilities,
    /// The container of the executor itself; unknown before the first subscription.
    container: Option<ContainerId>,
    subscribed: bool,
    shutting_down: bool,
    /// There was a task: without any left, the executor has no more reason to be.
    had_tasks: bool,
    tasks: BTreeMap<TaskId, PodTask>,
    groups: u64,
    unacknowledged: BTreeSet<Vec<u8>>,
}

impl ExecutorCore {
    /// An executor without tasks.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            capabilities: FrameworkCapabilities::none(),
            container: None,
            subscribed: false,
            shutting_down: false,
            had_tasks: false,
            tasks: BTreeMap::new(),
            groups: 0,
            unacknowledged: BTreeSet::new(),
        }
    }

    /// Applies one thing that happened.
    pub fn step(&mut self, now: Time, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Received(event) => self.received(now, &event, &mut effects),
            Input::Disconnected => self.disconnected(&mut effects),
            Input::LaunchAnswered(container, answer) => self.launch_answered(now, &container, answer, &mut effects),
            Input::WaitAnswered(container, answer) => self.wait_answered(now, &container, answer, &mut effects),
            Input::KillAnswered(container, signal, answer) => {
                self.kill_answered(&container, signal, answer, &mut effects);
            }
            Input::Checked(container, report) => self.checked(now, &container, report, &mut effects),
            Input::Elapsed(timer) => self.elapsed(now, timer, &mut effects),
            Input::GraceOver => effects.push(Effect::Exit(Outcome::Failed)),
        }
        effects
    }

    fn received(&mut self, now: Time, event: &Event, effects: &mut Vec<Effect>) {
        match event.type_() {
            event::Type::SUBSCRIBED => self.subscribed(&event.subscribed, effects),
            event::Type::LAUNCH_GROUP => self.launch_group(now, &event.launch_group.task_group, effects),
            event::Type::LAUNCH => {
                tracing::error!("a single task needs the command executor; shutting down");
                self.shut_down(now, effects);
            }
            event::Type::KILL => self.kill_asked(now, &event.kill, effects),
            event::Type::ACKNOWLEDGED => {
                self.unacknowledged.remove(event.acknowledged.uuid());
                self.leave_if_done(effects);
            }
            event::Type::SHUTDOWN => self.shut_down(now, effects),
            event::Type::ERROR => tracing::error!(message = event.error.message(), "the agent reports an error"),
            event::Type::MESSAGE | event::Type::HEARTBEAT | event::Type::UNKNOWN => {}
        }
    }

    fn subscribed(&mut self, subscribed: &event::Subscribed, effects: &mut Vec<Effect>) {
        self.capabilities = FrameworkCapabilities::from_v1(&subscribed.framework_info.capabilities);
        let Some(container) = subscribed.container_id.as_ref() else {
            tracing::error!("the agent does not tell this executor's container; it is too old for task groups");
            effects.push(Effect::Exit(Outcome::Failed));
            return;
        };
        self.container = Some(ContainerId::from(container));
        self.subscribed = true;
        for task in self.tasks.values_mut() {
            task.resume(effects);
        }
        effects.push(Effect::ResumeChecks);
    }

    fn disconnected(&mut self, effects: &mut Vec<Effect>) {
        self.subscribed = false;
        effects.extend([Effect::AbandonCalls, Effect::PauseChecks]);
    }

    fn elapsed(&mut self, now: Time, timer: ExecutorTimer, effects: &mut Vec<Effect>) {
        match timer {
            ExecutorTimer::Escalate(container) => self.escalate(&container, effects),
            ExecutorTimer::Completion(container) => self.completion_time_over(now, &container, effects),
            ExecutorTimer::Retry(container, retried) => {
                // After a reconnection everything is asked for again anyway.
                let subscribed = self.subscribed;
                if let Some(task) = self.in_container(&container).filter(|_| subscribed) {
                    task.retry(retried, effects);
                }
            }
            ExecutorTimer::Acknowledgement if self.tasks.is_empty() => {
                tracing::error!("the agent did not acknowledge the last updates");
                effects.push(Effect::Exit(Outcome::Failed));
            }
            ExecutorTimer::Acknowledgement => {}
        }
    }

    /// The task of a nested container, unless it has ended.
    fn in_container(&mut self, container: &ContainerId) -> Option<&mut PodTask> {
        self.tasks.values_mut().find(|task| task.container == *container)
    }

    /// The name of the task in a nested container that has reached none or some of its life.
    fn name_in(&self, container: &ContainerId, wanted: impl Fn(&Life) -> bool) -> Option<TaskId> {
        let found = |(_, task): &(&TaskId, &PodTask)| task.container == *container && wanted(&task.life);
        self.tasks.iter().find(found).map(|(id, _)| id.clone())
    }

    /// Leaves when no task is left and nothing waits for its acknowledgement.
    fn leave_if_done(&self, effects: &mut Vec<Effect>) {
        if !self.tasks.is_empty() || !(self.had_tasks || self.shutting_down) {
            return;
        }
        effects.push(if self.unacknowledged.is_empty() {
            Effect::Exit(Outcome::Done)
        } else {
            Effect::SetTimer(ExecutorTimer::Acknowledgement, ACKNOWLEDGEMENT_PATIENCE)
        });
    }
}

#[cfg(test)]
mod tests;
