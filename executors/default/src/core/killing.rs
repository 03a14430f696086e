//! Ending tasks: asked for, with their group, for a limit, for their health, at shutdown.

use std::time::Duration;

use libprocess_types::Time;
use mesos::ids::{ContainerId, TaskId};
use mesos_proto::v1::executor::event;
use mesos_proto::v1::mesos::{KillPolicy, TaskState};
use protobuf::MessageField;

use super::ending::End;
use super::task::{Cause, Life};
use super::{
    Answer, Effect, ExecutorCore, ExecutorTimer, KILL_GRACE_DEFAULT, KillSignal, Outcome, RETRY_INTERVAL, Retried,
};

/// What a shutdown keeps of the grace period for sending the last updates.
const SHUTDOWN_RESERVE: Duration = Duration::from_secs(2);

impl ExecutorCore {
    pub(super) fn kill_asked(&mut self, now: Time, kill: &event::Kill, effects: &mut Vec<Effect>) {
        let id = TaskId::from(&*kill.task_id);
        let Some(task) = self.tasks.get(&id).filter(|_| !self.shutting_down) else {
            tracing::warn!(task_id = %id, "kill of a task that is not here, or about to end, is ignored");
            return;
        };
        let grace = grace_of(&kill.kill_policy).or_else(|| grace_of(&task.info.kill_policy));
        self.kill(now, &id, Cause::Asked, grace.unwrap_or(KILL_GRACE_DEFAULT), effects);
    }

    /// Ends every task, or the executor at once when there is nobody to ask.
    pub(super) fn shut_down(&mut self, now: Time, effects: &mut Vec<Effect>) {
        if std::mem::replace(&mut self.shutting_down, true) {
            return;
        }
        tracing::info!(tasks = self.tasks.len(), "shutting down");
        if !self.tasks.is_empty() && !self.subscribed {
            // Whoever destroys this executor's container ends what runs in it.
            effects.push(Effect::Exit(Outcome::Failed));
            return;
        }
        let grace = self.settings.shutdown_grace_period.saturating_sub(SHUTDOWN_RESERVE);
        let ids: Vec<TaskId> = self.tasks.keys().cloned().collect();
        for id in ids {
            self.kill(now, &id, Cause::Asked, grace, effects);
        }
        self.leave_if_done(effects);
    }

    /// Ends the other tasks of a group.
    pub(super) fn kill_group(&mut self, now: Time, group: u64, effects: &mut Vec<Effect>) {
        let members = self.tasks.iter().filter(|(_, task)| task.group == group);
        let members: Vec<(TaskId, Option<Duration>)> = members
            .map(|(id, task)| (id.clone(), grace_of(&task.info.kill_policy)))
            .collect();
        for (id, grace) in members {
            // One that is being killed already keeps its time.
            let killing = |life: &Life| matches!(life, Life::Killing { .. });
            if self.tasks.get(&id).is_some_and(|task| !killing(&task.life)) {
                self.kill(now, &id, Cause::Group, grace.unwrap_or(KILL_GRACE_DEFAULT), effects);
            }
        }
    }

    pub(super) fn completion_time_over(&mut self, now: Time, container: &ContainerId, effects: &mut Vec<Effect>) {
        if let Some(id) = self.name_in(container, |life| *life == Life::Running) {
            self.kill(now, &id, Cause::MaxCompletionTime, Duration::ZERO, effects);
        }
    }

    pub(super) fn kill(&mut self, now: Time, id: &TaskId, cause: Cause, grace: Duration, effects: &mut Vec<Effect>) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        match &mut task.life {
            Life::Launching { asked: false, .. } => self.end(now, id, End::killed(None), effects),
            Life::Launching { kill, .. } => {
                // A second wish may only shorten the time.
                let (first, grace) = kill.map_or((cause, grace), |(first, earlier)| (first, earlier.min(grace)));
                *kill = Some((first, grace));
            }
            Life::Running => {
                task.life = Life::Killing {
                    cause,
                    since: now,
                    deadline: now + grace,
                    unconfirmed: None,
                };
                self.begin_to_end(now, id, cause, grace, effects);
            }
            Life::Killing { since, deadline, .. } => {
                if *since + grace < *deadline {
                    *deadline = *since + grace;
                    let escalate = ExecutorTimer::Escalate(task.container.clone());
                    effects.push(Effect::SetTimer(escalate, deadline.saturating_since(now)));
                }
            }
        }
    }

    fn begin_to_end(&mut self, now: Time, id: &TaskId, cause: Cause, grace: Duration, effects: &mut Vec<Effect>) {
        let Some(container) = self.tasks.get(id).map(|task| task.container.clone()) else {
            return;
        };
        tracing::info!(task_id = %id, ?cause, ?grace, "killing a task");
        effects.push(Effect::CancelTimer(ExecutorTimer::Completion(container.clone())));
        effects.push(Effect::StopChecks(container.clone()));
        if cause != Cause::MaxCompletionTime && self.capabilities.task_killing_state {
            self.update(now, id, TaskState::TASK_KILLING, effects);
        }
        self.signal(&container, KillSignal::Term, effects);
        effects.push(Effect::SetTimer(ExecutorTimer::Escalate(container), grace));
    }

    /// The task had its time.
    pub(super) fn escalate(&mut self, container: &ContainerId, effects: &mut Vec<Effect>) {
        self.signal(container, KillSignal::Kill, effects);
    }

    /// Sends a signal until the agent confirms it; now, or once the agent is back.
    fn signal(&mut self, container: &ContainerId, signal: KillSignal, effects: &mut Vec<Effect>) {
        let subscribed = self.subscribed;
        let Some(task) = self.in_container(container) else {
            return;
        };
        if let Life::Killing { unconfirmed, .. } = &mut task.life {
            *unconfirmed = Some(signal);
            if subscribed {
                effects.push(Effect::KillContainer(container.clone(), signal));
            }
        }
    }

    pub(super) fn kill_answered(
        &mut self,
        container: &ContainerId,
        signal: KillSignal,
        answer: Answer<()>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(task) = self.in_container(container) else {
            return;
        };
        let Life::Killing { unconfirmed, .. } = &mut task.life else {
            return;
        };
        if *unconfirmed != Some(signal) {
            return;
        }
        match (answer, signal) {
            // Unknown containers have ended: the wait tells how.
            (Answer::Done(()) | Answer::NotFound, _) => *unconfirmed = None,
            (Answer::Refused(status, text), KillSignal::Term) => {
                tracing::warn!(%container, status, text, "the agent did not send TERM");
                *unconfirmed = None;
            }
            (Answer::Refused(..) | Answer::Unavailable(_), _) => {
                tracing::warn!(%container, ?signal, "the agent did not send a signal; asking again");
                let retry = ExecutorTimer::Retry(container.clone(), Retried::Kill);
                effects.push(Effect::SetTimer(retry, RETRY_INTERVAL));
            }
        }
    }
}

/// The time that a policy gives.
pub(super) fn grace_of(policy: &MessageField<KillPolicy>) -> Option<Duration> {
    let grace = policy.as_ref()?.grace_period.as_ref()?;
    Some(Duration::from_nanos(
        u64::try_from(grace.nanoseconds()).unwrap_or_default(),
    ))
}
