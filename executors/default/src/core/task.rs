//! One task of a group, as far as it has come.

use std::time::Duration;

use libprocess_types::Time;
use mesos::ids::ContainerId;
use mesos_proto::v1::agent::Call;
use mesos_proto::v1::mesos::{TaskInfo, TaskStatus};

use super::{Effect, KillSignal, Retried};

/// Why a task is being killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The scheduler or the agent asked for it.
    Asked,
    /// Another task of its group failed or was killed.
    Group,
    /// It has run for longer than it may.
    MaxCompletionTime,
    /// Its health check failed too often.
    Unhealthy,
}

/// How far a task has come.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Life {
    /// The agent is to be asked, or was asked, to launch its container.
    Launching {
        /// The call; nothing of it was sent yet when it is not `asked`.
        call: Box<Call>,
        /// Whether the agent may know of the container.
        asked: bool,
        /// A kill that has to wait for the answer: why, and how long the task may take to end.
        kill: Option<(Cause, Duration)>,
    },
    /// It runs.
    Running,
    /// It is being ended.
    Killing {
        /// Why.
        cause: Cause,
        /// Since when.
        since: Time,
        /// When it is ended by force.
        deadline: Time,
        /// The signal that the agent has not confirmed.
        unconfirmed: Option<KillSignal>,
    },
}

/// A task that has not ended.
#[derive(Clone, Debug)]
pub(super) struct PodTask {
    /// Its description.
    pub info: TaskInfo,
    /// Its container.
    pub container: ContainerId,
    /// Its group, counted from the executor's first one.
    pub group: u64,
    /// How far it has come.
    pub life: Life,
    /// What was told of it last.
    pub last_status: TaskStatus,
}

impl PodTask {
    /// The agent is back: asks for everything again that has no answer.
    pub fn resume(&mut self, effects: &mut Vec<Effect>) {
        match &self.life {
            Life::Launching { .. } => self.retry(Retried::Launch, effects),
            Life::Running => self.retry(Retried::Wait, effects),
            Life::Killing { .. } => {
                self.retry(Retried::Wait, effects);
                self.retry(Retried::Kill, effects);
            }
        }
    }

    /// Makes a call again if it still has a point.
    pub fn retry(&mut self, retried: Retried, effects: &mut Vec<Effect>) {
        let container = self.container.clone();
        match (retried, &mut self.life) {
            (Retried::Launch, Life::Launching { call, asked, .. }) => {
                *asked = true;
                effects.push(Effect::LaunchContainer(container, call.clone()));
            }
            (Retried::Wait, Life::Running | Life::Killing { .. }) => effects.push(Effect::WaitContainer(container)),
            (
                Retried::Kill,
                Life::Killing {
                    unconfirmed: Some(signal),
                    ..
                },
            ) => effects.push(Effect::KillContainer(container, *signal)),
            (Retried::Launch, Life::Running | Life::Killing { .. })
            | (Retried::Wait, Life::Launching { .. })
            | (Retried::Kill, Life::Launching { .. } | Life::Running | Life::Killing { .. }) => {}
        }
    }
}
