//! How tasks end, and what their ends do to others.

use libprocess_types::Time;
use mesos::ids::{ContainerId, TaskId};
use mesos_containerizer::WaitStatus;
use mesos_proto::v1::agent::response::WaitNestedContainer;
use mesos_proto::v1::mesos::task_status::Reason;
use mesos_proto::v1::mesos::{TaskResourceLimitation, TaskState};

use super::task::{Cause, Life};
use super::{Answer, Effect, ExecutorCore, ExecutorTimer, Outcome, RETRY_INTERVAL, Retried};

/// The end of a task.
#[derive(Clone, Debug)]
pub(super) struct End {
    state: TaskState,
    reason: Option<Reason>,
    message: Option<String>,
    limitation: Option<TaskResourceLimitation>,
}

impl End {
    pub fn failed(message: String) -> Self {
        Self {
            state: TaskState::TASK_FAILED,
            reason: None,
            message: Some(message),
            limitation: None,
        }
    }

    pub fn killed(message: Option<String>) -> Self {
        Self {
            state: TaskState::TASK_KILLED,
            reason: None,
            message,
            limitation: None,
        }
    }

    /// The agent does not know the container (any more).
    fn of_unknown(cause: Option<Cause>) -> Self {
        match cause {
            Some(_) => Self::killed(None),
            None => Self::failed("Unable to retrieve command's termination information".to_owned()),
        }
    }

    /// What the agent says of an end counts before what the executor makes of it.
    fn of_container(wait: &WaitNestedContainer, cause: Option<Cause>) -> Self {
        let status = wait.exit_status.map(WaitStatus::from_raw);
        let mut end = match (status, cause) {
            (None, _) => Self::failed("Command terminated with unknown status".to_owned()),
            (Some(status), cause) => {
                let mut end = Self::failed(format!("Command {}", status.describe()));
                match cause {
                    Some(Cause::MaxCompletionTime) => end.reason = Some(Reason::REASON_MAX_COMPLETION_TIME_REACHED),
                    Some(Cause::Asked | Cause::Group | Cause::Unhealthy) => end.state = TaskState::TASK_KILLED,
                    None if status.success() => end.state = TaskState::TASK_FINISHED,
                    None => {}
                }
                end
            }
        };
        if wait.has_state() {
            end.state = wait.state();
        }
        if wait.has_reason() {
            end.reason = Some(wait.reason());
        }
        if wait.has_message() {
            let own = end.message.take().map(|own| format!("{own}: ")).unwrap_or_default();
            end.message = Some(own + wait.message());
        }
        end.limitation = wait.limitation.as_ref().cloned();
        end
    }
}

fn wait_again(container: &ContainerId, why: &str, effects: &mut Vec<Effect>) {
    tracing::info!(%container, why, "the agent could not answer a wait");
    let retry = ExecutorTimer::Retry(container.clone(), Retried::Wait);
    effects.push(Effect::SetTimer(retry, RETRY_INTERVAL));
}

impl ExecutorCore {
    pub(super) fn wait_answered(
        &mut self,
        now: Time,
        container: &ContainerId,
        answer: Answer<Box<WaitNestedContainer>>,
        effects: &mut Vec<Effect>,
    ) {
        let launched = |life: &Life| !matches!(life, Life::Launching { .. });
        let Some(id) = self.name_in(container, launched) else {
            return;
        };
        let cause = self.tasks.get(&id).and_then(|task| match &task.life {
            Life::Killing { cause, .. } => Some(*cause),
            Life::Launching { .. } | Life::Running => None,
        });
        match answer {
            Answer::Done(wait) => self.end(now, &id, End::of_container(&wait, cause), effects),
            Answer::NotFound => self.end(now, &id, End::of_unknown(cause), effects),
            Answer::Unavailable(why) => wait_again(container, &why, effects),
            // An agent that breaks while it answers says nothing of the task.
            Answer::Refused(500.., why) => wait_again(container, &why, effects),
            Answer::Refused(status, text) => {
                tracing::error!(task_id = %id, status, text, "the agent refuses to tell the end of a task");
                effects.push(Effect::Exit(Outcome::Failed));
            }
        }
    }

    /// Tells the end of a task, and ends the rest of its group when it did not end well.
    pub(super) fn end(&mut self, now: Time, id: &TaskId, end: End, effects: &mut Vec<Effect>) {
        let Some(mut status) = self.status(now, id, end.state) else {
            return;
        };
        let Some(task) = self.tasks.remove(id) else { return };
        tracing::info!(task_id = %id, state = ?end.state, message = end.message, "a task has ended");
        let container = task.container;
        for timer in [ExecutorTimer::Escalate, ExecutorTimer::Completion] {
            effects.push(Effect::CancelTimer(timer(container.clone())));
        }
        effects.push(Effect::StopChecks(container));
        status.reason = end.reason.map(Into::into);
        status.message = end.message;
        status.limitation = end.limitation.into();
        let unhealthy = Cause::Unhealthy;
        if matches!(task.life, Life::Killing { cause, .. } if cause == unhealthy) {
            status.set_healthy(false);
        }
        self.send(status, effects);
        let badly = matches!(end.state, TaskState::TASK_FAILED | TaskState::TASK_KILLED);
        if badly && !self.shutting_down {
            self.kill_group(now, task.group, effects);
        }
        self.leave_if_done(effects);
    }
}
