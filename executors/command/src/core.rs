//! The rules of the command executor: one task, its states, and when to go.
//!
//! ```text
//! Idle --LAUNCH--> Starting --started--> Running --KILL, SHUTDOWN, time limit--> Killing
//!                     |  \_not started_____  \_ended_            _ended_______/
//!                     |                    \        \           /
//!                     '--KILL (after start)-'--> Terminated --acknowledged, or waited enough--> exit
//! ```
//!
//! No state but the terminal one follows `TASK_KILLING`; the executor stays until the agent has acknowledged the
//! terminal state.
//!
//! Source: shared facts, `task_reasons.tsv`, `constants.tsv`, `pitfalls.md` D20, and the recorded exchange `w3`.

use std::time::Duration;

use libprocess_types::Time;
use mesos::capabilities::FrameworkCapabilities;
use mesos::ids::ExecutorId;
use mesos_checks::{Report, unknown_status};
use mesos_containerizer::WaitStatus;
use mesos_proto::v1::executor::{Event, event};
use mesos_proto::v1::mesos::task_status::{Reason, Source};
use mesos_proto::v1::mesos::{KillPolicy, TaskID, TaskInfo, TaskState, TaskStatus};

/// Time between `TERM` and `KILL` when nobody says.
pub const KILL_GRACE_DEFAULT: Duration = Duration::from_secs(3);

/// Longest wait for the acknowledgement of the terminal state.
pub const ACKNOWLEDGEMENT_PATIENCE: Duration = Duration::from_secs(60);

/// What a shutdown keeps of the grace period for sending the last update.
const SHUTDOWN_RESERVE: Duration = Duration::from_secs(2);

/// Timers that the core asks for; there is at most one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExecutorTimer {
    /// The task had its time to end after `TERM`.
    Escalate,
    /// The task's `max_completion_time` is over.
    Completion,
    /// The terminal state was not acknowledged.
    Acknowledgement,
}

/// Everything that can happen to the executor.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The agent sent an event.
    Received(Box<Event>),
    /// The task's command runs.
    Started,
    /// The task's command could not be started.
    StartFailed(String),
    /// The task's command has ended.
    Ended(WaitStatus),
    /// A check has a result that is to be told.
    Checked(Report),
    /// A timer elapsed.
    Elapsed(ExecutorTimer),
    /// The client says that the time to shut down is over.
    GraceOver,
}

/// Everything the executor may want.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Start the task's command and answer `Started` or `StartFailed`, later `Ended`.
    StartCommand(Box<TaskInfo>),
    /// Begin the task's checks.
    StartChecks,
    /// End the checks.
    StopChecks,
    /// Report a state.
    SendUpdate(Box<TaskStatus>),
    /// Ask all processes of the task to end.
    TerminateTree,
    /// Kill all processes of the task.
    KillTree,
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

/// Why the task is being killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// The scheduler or the agent asked for it.
    Asked,
    /// It has run for longer than it may.
    MaxCompletionTime,
    /// Its health check failed too often.
    Unhealthy,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Idle,
    Starting { kill: Option<(Cause, Duration)> },
    Running,
    Killing { cause: Cause, since: Time, deadline: Time },
    Terminated { uuid: Vec<u8> },
}

/// Makes ids of updates: 16 bytes, never the same.
pub type MakeUuid = Box<dyn FnMut() -> Vec<u8> + Send>;

/// The state of a command executor.
pub struct ExecutorCore {
    executor_id: ExecutorId,
    shutdown_grace_period: Duration,
    make_uuid: MakeUuid,
    capabilities: FrameworkCapabilities,
    state: State,
    task: TaskInfo,
    last_status: TaskStatus,
}

impl ExecutorCore {
    /// An executor without a task.
    #[must_use]
    pub fn new(executor_id: ExecutorId, shutdown_grace_period: Duration, make_uuid: MakeUuid) -> Self {
        Self {
            executor_id,
            shutdown_grace_period,
            make_uuid,
            capabilities: FrameworkCapabilities::none(),
            state: State::Idle,
            task: TaskInfo::new(),
            last_status: TaskStatus::new(),
        }
    }

    /// Applies one thing that happened.
    pub fn step(&mut self, now: Time, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Received(event) => self.received(now, &event, &mut effects),
            Input::Started => self.started(now, &mut effects),
            Input::StartFailed(message) => self.start_failed(now, &message, &mut effects),
            Input::Ended(status) => self.ended(now, status, &mut effects),
            Input::Checked(report) => self.checked(now, report, &mut effects),
            Input::Elapsed(timer) => self.elapsed(now, timer, &mut effects),
            Input::GraceOver => effects.extend([Effect::KillTree, Effect::Exit(Outcome::Failed)]),
        }
        effects
    }

    fn received(&mut self, now: Time, event: &Event, effects: &mut Vec<Effect>) {
        match event.type_() {
            event::Type::SUBSCRIBED => {
                let framework = &event.subscribed.framework_info;
                self.capabilities = FrameworkCapabilities::from_v1(&framework.capabilities);
            }
            event::Type::LAUNCH => self.launch(now, event.launch.task.get_or_default(), effects),
            event::Type::LAUNCH_GROUP => {
                tracing::error!("task groups need the default executor; shutting down");
                self.shut_down(now, effects);
            }
            event::Type::KILL => self.kill_asked(now, &event.kill, effects),
            event::Type::ACKNOWLEDGED => {
                if matches!(&self.state, State::Terminated { uuid } if uuid == event.acknowledged.uuid()) {
                    effects.push(Effect::Exit(Outcome::Done));
                }
            }
            event::Type::SHUTDOWN => self.shut_down(now, effects),
            event::Type::ERROR => tracing::error!(message = event.error.message(), "the agent reports an error"),
            event::Type::MESSAGE | event::Type::HEARTBEAT | event::Type::UNKNOWN => {}
        }
    }

    fn launch(&mut self, now: Time, task: &TaskInfo, effects: &mut Vec<Effect>) {
        if self.state != State::Idle {
            let mut status = self.status(now, &task.task_id, TaskState::TASK_FAILED);
            status.set_message("The command executor runs one task and has one already".to_owned());
            effects.push(Effect::SendUpdate(Box::new(status)));
            return;
        }
        self.task = task.clone();
        self.state = State::Starting { kill: None };
        self.update(now, TaskState::TASK_STARTING, None, None, effects);
        let limit = Duration::from_nanos(u64::try_from(task.max_completion_time.nanoseconds()).unwrap_or_default());
        if !limit.is_zero() {
            effects.push(Effect::SetTimer(ExecutorTimer::Completion, limit));
        }
        effects.push(Effect::StartCommand(Box::new(task.clone())));
    }

    fn started(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let State::Starting { kill } = self.state else {
            return;
        };
        self.state = State::Running;
        self.update(now, TaskState::TASK_RUNNING, None, None, effects);
        match kill {
            Some((cause, grace)) => self.kill(now, cause, grace, effects),
            None => effects.push(Effect::StartChecks),
        }
    }

    fn start_failed(&mut self, now: Time, message: &str, effects: &mut Vec<Effect>) {
        if matches!(self.state, State::Starting { .. }) {
            self.terminate(now, TaskState::TASK_FAILED, None, message, effects);
        }
    }

    fn kill_asked(&mut self, now: Time, kill: &event::Kill, effects: &mut Vec<Effect>) {
        if self.state == State::Idle {
            // The agent answers such kills itself: it has lost its mind or the task on the way.
            tracing::error!(task_id = kill.task_id.value(), "kill came before any task; ending");
            effects.push(Effect::Exit(Outcome::Failed));
            return;
        }
        if kill.task_id.value() != self.task.task_id.value() {
            tracing::warn!(task_id = kill.task_id.value(), "kill of an unknown task is ignored");
            return;
        }
        let grace = grace_of(&kill.kill_policy).or_else(|| grace_of(&self.task.kill_policy));
        self.kill(now, Cause::Asked, grace.unwrap_or(KILL_GRACE_DEFAULT), effects);
    }

    fn shut_down(&mut self, now: Time, effects: &mut Vec<Effect>) {
        if self.state == State::Idle {
            effects.push(Effect::Exit(Outcome::Done));
        } else {
            self.kill(
                now,
                Cause::Asked,
                self.shutdown_grace_period.saturating_sub(SHUTDOWN_RESERVE),
                effects,
            );
        }
    }

    fn kill(&mut self, now: Time, cause: Cause, grace: Duration, effects: &mut Vec<Effect>) {
        match &mut self.state {
            State::Idle | State::Terminated { .. } => {}
            State::Starting { kill } => {
                // A second wish may only shorten the time.
                let grace = kill.map_or(grace, |(_, earlier)| earlier.min(grace));
                *kill = Some((kill.map_or(cause, |(first, _)| first), grace));
            }
            State::Running => {
                self.state = State::Killing {
                    cause,
                    since: now,
                    deadline: now + grace,
                };
                effects.push(Effect::CancelTimer(ExecutorTimer::Completion));
                if cause != Cause::MaxCompletionTime && self.capabilities.task_killing_state {
                    self.update(now, TaskState::TASK_KILLING, None, None, effects);
                }
                effects.extend([
                    Effect::StopChecks,
                    Effect::TerminateTree,
                    Effect::SetTimer(ExecutorTimer::Escalate, grace),
                ]);
            }
            State::Killing { since, deadline, .. } => {
                if *since + grace < *deadline {
                    *deadline = *since + grace;
                    effects.push(Effect::SetTimer(
                        ExecutorTimer::Escalate,
                        deadline.saturating_since(now),
                    ));
                }
            }
        }
    }

    fn ended(&mut self, now: Time, status: WaitStatus, effects: &mut Vec<Effect>) {
        let (state, reason) = match &self.state {
            State::Idle | State::Terminated { .. } => return,
            State::Killing {
                cause: Cause::MaxCompletionTime,
                ..
            } => (TaskState::TASK_FAILED, Some(Reason::REASON_MAX_COMPLETION_TIME_REACHED)),
            State::Killing {
                cause: Cause::Asked | Cause::Unhealthy,
                ..
            } => (TaskState::TASK_KILLED, None),
            State::Starting { .. } | State::Running if status.success() => (TaskState::TASK_FINISHED, None),
            State::Starting { .. } | State::Running => (TaskState::TASK_FAILED, None),
        };
        self.terminate(now, state, reason, &format!("Command {}", status.describe()), effects);
    }

    fn terminate(
        &mut self,
        now: Time,
        state: TaskState,
        reason: Option<Reason>,
        message: &str,
        effects: &mut Vec<Effect>,
    ) {
        let unhealthy = matches!(
            self.state,
            State::Killing {
                cause: Cause::Unhealthy,
                ..
            }
        );
        for timer in [ExecutorTimer::Escalate, ExecutorTimer::Completion] {
            effects.push(Effect::CancelTimer(timer));
        }
        effects.push(Effect::StopChecks);
        let mut status = self.task_status(now, state);
        status.reason = reason.map(Into::into);
        status.set_message(message.to_owned());
        if unhealthy {
            status.set_healthy(false);
        }
        self.state = State::Terminated {
            uuid: status.uuid().to_vec(),
        };
        effects.push(Effect::SendUpdate(Box::new(status)));
        effects.push(Effect::SetTimer(
            ExecutorTimer::Acknowledgement,
            ACKNOWLEDGEMENT_PATIENCE,
        ));
    }

    fn checked(&mut self, now: Time, report: Report, effects: &mut Vec<Effect>) {
        if self.state != State::Running {
            return;
        }
        // What the task has told before stays told.
        let mut status = self.last_status.clone();
        status.set_uuid((self.make_uuid)());
        status.set_timestamp(now.as_secs_f64());
        let kill = match report {
            Report::Check(check) => {
                status.set_reason(Reason::REASON_TASK_CHECK_STATUS_UPDATED);
                status.check_status = Some(*check).into();
                false
            }
            Report::Health(health) => {
                status.set_reason(Reason::REASON_TASK_HEALTH_CHECK_STATUS_UPDATED);
                status.set_healthy(health.healthy);
                health.kill
            }
        };
        self.last_status = status.clone();
        effects.push(Effect::SendUpdate(Box::new(status)));
        if kill {
            let grace = grace_of(&self.task.kill_policy).unwrap_or(KILL_GRACE_DEFAULT);
            self.kill(now, Cause::Unhealthy, grace, effects);
        }
    }

    fn elapsed(&mut self, now: Time, timer: ExecutorTimer, effects: &mut Vec<Effect>) {
        match (timer, &self.state) {
            (ExecutorTimer::Escalate, State::Killing { .. }) => effects.push(Effect::KillTree),
            (ExecutorTimer::Completion, State::Starting { .. } | State::Running) => {
                self.kill(now, Cause::MaxCompletionTime, Duration::ZERO, effects);
            }
            (ExecutorTimer::Acknowledgement, State::Terminated { .. }) => {
                tracing::error!("the agent did not acknowledge the task's last state");
                effects.push(Effect::Exit(Outcome::Failed));
            }
            // A timer that was cancelled too late.
            (ExecutorTimer::Escalate | ExecutorTimer::Completion | ExecutorTimer::Acknowledgement, _) => {}
        }
    }

    fn update(
        &mut self,
        now: Time,
        state: TaskState,
        reason: Option<Reason>,
        message: Option<&str>,
        effects: &mut Vec<Effect>,
    ) {
        let mut status = self.task_status(now, state);
        status.reason = reason.map(Into::into);
        status.message = message.map(str::to_owned);
        self.last_status = status.clone();
        effects.push(Effect::SendUpdate(Box::new(status)));
    }

    fn task_status(&mut self, now: Time, state: TaskState) -> TaskStatus {
        let task_id = self.task.task_id.get_or_default().clone();
        let mut status = self.status(now, &task_id, state);
        // A task with a check has a check status from the first update on.
        status.check_status = self.task.check.as_ref().map(unknown_status).into();
        status
    }

    fn status(&mut self, now: Time, task_id: &TaskID, state: TaskState) -> TaskStatus {
        let mut status = TaskStatus::new();
        status.task_id = Some(task_id.clone()).into();
        status.set_state(state);
        status.set_source(Source::SOURCE_EXECUTOR);
        status.executor_id = Some(self.executor_id.to_v1()).into();
        status.set_uuid((self.make_uuid)());
        status.set_timestamp(now.as_secs_f64());
        status
    }
}

fn grace_of(policy: &protobuf::MessageField<KillPolicy>) -> Option<Duration> {
    let grace = policy.as_ref()?.grace_period.as_ref()?;
    Some(Duration::from_nanos(
        u64::try_from(grace.nanoseconds()).unwrap_or_default(),
    ))
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
