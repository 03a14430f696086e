//! A task as a state machine, with the stream of its updates.
//!
//! ```text
//! launched ──▶ RUNNING ──ran out──▶ FINISHED ─┐
//!                 └───────killed──▶ KILLED ───┴─last acknowledgement──▶ (forgotten)
//! ```
//!
//! Updates go out one at a time: the next one when the one before is acknowledged, the same one again when it is not.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use libprocess_types::Time;
use mesos_proto::v0::mesos::TaskState;

use super::TaskShape;

/// A uuid as bytes.
pub type UpdateId = [u8; 16];

/// One update.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// Names it.
    pub uuid: UpdateId,
    /// What it says.
    pub state: TaskState,
    /// When the state was reached.
    pub reached: Time,
}

/// What happens to a task. Events that give it a new state bring the id of the update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TaskEvent {
    /// The agent has launched it.
    Launched(UpdateId),
    /// Its time is over.
    RanOut(UpdateId),
    /// The framework wants it to end.
    Killed(UpdateId),
    /// An update was acknowledged.
    Acknowledged(UpdateId),
    /// The acknowledgement has not come in time.
    AcknowledgementDue,
    /// The agent has a master again, or for the first time.
    MasterFound,
}

/// What follows for the agent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The first waiting update is to be sent, if the agent has a master.
    pub send: bool,
    /// It went out before.
    pub repeated: bool,
    /// An update was acknowledged, so long after it was sent first.
    pub acknowledged: Option<Duration>,
    /// The task is over: nobody waits for anything of it.
    pub over: bool,
}

/// A task of an emulated agent.
#[derive(Clone, Debug)]
pub struct Task {
    shape: Arc<TaskShape>,
    state: TaskState,
    updates: VecDeque<Update>,
    /// When the first waiting update went out first, and how often it did.
    sent: Option<(Time, u32)>,
}

impl Task {
    /// A task that was just taken over.
    #[must_use]
    pub const fn new(shape: Arc<TaskShape>) -> Self {
        Self {
            shape,
            state: TaskState::TASK_STAGING,
            updates: VecDeque::new(),
            sent: None,
        }
    }

    /// A task that runs already, with nothing to tell.
    #[must_use]
    pub const fn running(shape: Arc<TaskShape>) -> Self {
        Self {
            shape,
            state: TaskState::TASK_RUNNING,
            updates: VecDeque::new(),
            sent: None,
        }
    }

    /// What it looks like.
    #[must_use]
    pub fn shape(&self) -> &TaskShape {
        &self.shape
    }

    /// The state that it has reached, told or not.
    #[must_use]
    pub const fn state(&self) -> TaskState {
        self.state
    }

    /// The update whose acknowledgement is waited for.
    #[must_use]
    pub fn update(&self) -> Option<&Update> {
        self.updates.front()
    }

    /// How often the waiting update went out.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.sent.map_or(0, |(_, attempts)| attempts)
    }

    /// Remembers that the waiting update went out now.
    pub fn sent(&mut self, now: Time) {
        let (first, attempts) = self.sent.unwrap_or((now, 0));
        self.sent = Some((first, attempts.saturating_add(1)));
    }

    /// Takes one event; late and repeated ones change nothing.
    pub fn step(&mut self, now: Time, event: TaskEvent) -> Outcome {
        match event {
            TaskEvent::Launched(uuid) => self.reach(now, TaskState::TASK_RUNNING, uuid),
            TaskEvent::RanOut(uuid) => self.reach(now, TaskState::TASK_FINISHED, uuid),
            TaskEvent::Killed(uuid) => self.reach(now, TaskState::TASK_KILLED, uuid),
            TaskEvent::Acknowledged(uuid) => self.acknowledged(now, uuid),
            TaskEvent::AcknowledgementDue | TaskEvent::MasterFound => Outcome {
                send: !self.updates.is_empty(),
                repeated: self.sent.is_some(),
                ..Outcome::default()
            },
        }
    }

    fn has_ended(&self) -> bool {
        matches!(self.state, TaskState::TASK_FINISHED | TaskState::TASK_KILLED)
    }

    fn reach(&mut self, now: Time, state: TaskState, uuid: UpdateId) -> Outcome {
        if self.has_ended() || self.state == state {
            return Outcome::default();
        }
        self.state = state;
        self.updates.push_back(Update {
            uuid,
            state,
            reached: now,
        });
        Outcome {
            send: self.updates.len() == 1,
            ..Outcome::default()
        }
    }

    fn acknowledged(&mut self, now: Time, uuid: UpdateId) -> Outcome {
        if self.updates.front().is_none_or(|update| update.uuid != uuid) {
            return Outcome::default();
        }
        self.updates.pop_front();
        let acknowledged = self.sent.take().map(|(first, _)| now.saturating_since(first));
        Outcome {
            send: !self.updates.is_empty(),
            repeated: false,
            acknowledged,
            over: self.updates.is_empty() && self.has_ended(),
        }
    }
}

#[cfg(test)]
mod tests {
    use TaskEvent::{Acknowledged, AcknowledgementDue, Killed, Launched, MasterFound, RanOut};
    use TaskState::{TASK_FINISHED, TASK_KILLED, TASK_RUNNING};

    use super::*;

    const fn id(number: u8) -> UpdateId {
        [number; 16]
    }

    /// Steps of one history: the event, whether something is sent, whether the task is over, the state after it.
    type Row = (TaskEvent, bool, bool, TaskState);

    fn check(name: &str, rows: &[Row]) {
        let mut task = Task::new(Arc::default());
        let mut now = Time::EPOCH;
        for (number, (event, sends, over, state)) in rows.iter().enumerate() {
            now += Duration::from_secs(1);
            let outcome = task.step(now, *event);
            assert_eq!(
                (outcome.send, outcome.over, task.state()),
                (*sends, *over, *state),
                "{name}, step {number}: {event:?}"
            );
            if outcome.send {
                task.sent(now);
            }
        }
    }

    #[test]
    fn a_task_tells_each_state_once_and_in_order() {
        check(
            "acknowledged in time",
            &[
                (Launched(id(1)), true, false, TASK_RUNNING),
                (Acknowledged(id(1)), false, false, TASK_RUNNING),
                (RanOut(id(2)), true, false, TASK_FINISHED),
                (Acknowledged(id(2)), false, true, TASK_FINISHED),
            ],
        );
        check(
            "acknowledged late",
            &[
                (Launched(id(1)), true, false, TASK_RUNNING),
                (RanOut(id(2)), false, false, TASK_FINISHED),
                (AcknowledgementDue, true, false, TASK_FINISHED),
                (Acknowledged(id(1)), true, false, TASK_FINISHED),
                (Acknowledged(id(2)), false, true, TASK_FINISHED),
            ],
        );
        check(
            "killed, and the timer of its time comes late",
            &[
                (Launched(id(1)), true, false, TASK_RUNNING),
                (Acknowledged(id(1)), false, false, TASK_RUNNING),
                (Killed(id(2)), true, false, TASK_KILLED),
                (RanOut(id(3)), false, false, TASK_KILLED),
                (Killed(id(4)), false, false, TASK_KILLED),
                (Acknowledged(id(2)), false, true, TASK_KILLED),
            ],
        );
        check(
            "foreign and repeated acknowledgements",
            &[
                (Acknowledged(id(9)), false, false, TaskState::TASK_STAGING),
                (Launched(id(1)), true, false, TASK_RUNNING),
                (Acknowledged(id(9)), false, false, TASK_RUNNING),
                (Acknowledged(id(1)), false, false, TASK_RUNNING),
                (Acknowledged(id(1)), false, false, TASK_RUNNING),
                (MasterFound, false, false, TASK_RUNNING),
            ],
        );
    }

    #[test]
    fn the_round_trip_counts_from_the_first_sending() {
        let mut task = Task::new(Arc::default());
        let at = |seconds| Time::EPOCH + Duration::from_secs(seconds);
        task.step(at(0), Launched(id(1)));
        task.sent(at(1));
        assert!(task.step(at(4), MasterFound).repeated);
        task.sent(at(4));
        assert_eq!(task.attempts(), 2);
        let outcome = task.step(at(6), Acknowledged(id(1)));
        assert_eq!(outcome.acknowledged, Some(Duration::from_secs(5)));
    }
}
