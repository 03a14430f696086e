//! What a run has seen so far.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libprocess_types::Time;
use tokio::sync::Notify;

use crate::samples::Samples;

/// One thing worth counting. Cores make them; shells hand them to the [`Recorder`].
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// An agent asked to be registered for the first time since it lost its master.
    Asked,
    /// An agent asked once more because no answer came.
    AskedAgain,
    /// The master answered an agent, so long after it asked first.
    Answered(Duration),
    /// An agent lost its master.
    AgentLost,
    /// An agent took a task over.
    TaskStarted,
    /// An update was acknowledged, so long after it was sent first.
    UpdateAcknowledged(Duration),
    /// An update was sent once more because no acknowledgement came.
    UpdateRepeated,
    /// A ping was answered.
    PingAnswered,
    /// A framework is subscribed.
    Subscribed,
    /// So many offers arrived.
    Offers(u64),
    /// So many offers were withdrawn.
    Rescinded(u64),
    /// So many tasks were launched.
    Launched(u64),
    /// A framework was told that a task runs.
    Running,
    /// A framework was told that a task ended as it should.
    Finished,
    /// A framework was told that a task ended otherwise; the state's name.
    Failed(&'static str),
    /// A probe was offered something, its task reported as running, its end reported: time since it asked.
    Probed {
        /// From asking for offers to the first offer.
        offered: Duration,
        /// From asking for offers to the report that the task runs.
        running: Duration,
    },
    /// Something that should not have happened.
    Problem(String),
}

/// The latest wave of registrations: from the moment when all agents were told of a master.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wave {
    /// When the first agent asked.
    pub asked_first: Option<Time>,
    /// When the last agent asked first.
    pub asked_last: Option<Time>,
    /// When the first answer came.
    pub answered_first: Option<Time>,
    /// When the last answer came.
    pub answered_last: Option<Time>,
    /// How many were answered.
    pub answered: u64,
    /// How often agents asked again.
    pub asked_again: u64,
}

/// Counts and samples of a run.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// Agents that have a master now.
    pub agents_registered: u64,
    /// Answers to registrations of either kind.
    pub registrations: u64,
    /// From asking first to the answer.
    pub registration_times: Samples,
    /// The latest wave of registrations.
    pub wave: Wave,
    /// Pings answered.
    pub pings: u64,
    /// Subscriptions of frameworks, repeated ones too.
    pub subscriptions: u64,
    /// Offers received.
    pub offers: u64,
    /// Offers withdrawn.
    pub rescinded: u64,
    /// Tasks that frameworks launched.
    pub tasks_launched: u64,
    /// Tasks that agents took over.
    pub tasks_started: u64,
    /// Reports of running tasks that reached frameworks.
    pub tasks_running: u64,
    /// Tasks whose good end was reported to their framework.
    pub tasks_finished: u64,
    /// Other ends, by state.
    pub tasks_failed: BTreeMap<&'static str, u64>,
    /// Updates acknowledged.
    pub updates_acknowledged: u64,
    /// From sending an update first to its acknowledgement, at the agent.
    pub update_times: Samples,
    /// Updates sent again.
    pub updates_repeated: u64,
    /// From asking to the first offer, of probes.
    pub probe_offered: Samples,
    /// From asking to the report that the task runs, of probes.
    pub probe_running: Samples,
    /// What should not have happened, with how often; at most [`PROBLEMS_MAX`] kinds.
    pub problems: BTreeMap<String, u64>,
}

/// Kinds of problems that are told apart; all further ones are counted together.
pub const PROBLEMS_MAX: usize = 20;

impl Numbers {
    fn take(&mut self, now: Time, note: Note) {
        match note {
            Note::Asked => {
                self.wave.asked_first.get_or_insert(now);
                self.wave.asked_last = Some(now);
            }
            Note::AskedAgain => self.wave.asked_again += 1,
            Note::Answered(after) => {
                self.agents_registered += 1;
                self.registrations += 1;
                self.registration_times.add(after);
                self.wave.answered += 1;
                self.wave.answered_first.get_or_insert(now);
                self.wave.answered_last = Some(now);
            }
            Note::AgentLost => self.agents_registered = self.agents_registered.saturating_sub(1),
            Note::TaskStarted => self.tasks_started += 1,
            Note::UpdateAcknowledged(after) => {
                self.updates_acknowledged += 1;
                self.update_times.add(after);
            }
            Note::UpdateRepeated => self.updates_repeated += 1,
            Note::PingAnswered => self.pings += 1,
            Note::Subscribed => self.subscriptions += 1,
            Note::Offers(count) => self.offers += count,
            Note::Rescinded(count) => self.rescinded += count,
            Note::Launched(count) => self.tasks_launched += count,
            Note::Running => self.tasks_running += 1,
            Note::Finished => self.tasks_finished += 1,
            Note::Failed(state) => *self.tasks_failed.entry(state).or_default() += 1,
            Note::Probed { offered, running } => {
                self.probe_offered.add(offered);
                self.probe_running.add(running);
            }
            Note::Problem(text) => self.problem(text),
        }
    }

    fn problem(&mut self, text: String) {
        let full = self.problems.len() >= PROBLEMS_MAX && !self.problems.contains_key(&text);
        let key = if full { "others".to_owned() } else { text };
        *self.problems.entry(key).or_default() += 1;
    }
}

/// Collects notes from all threads and wakes those who wait for a count.
#[derive(Debug, Default)]
pub struct Recorder {
    numbers: Mutex<Numbers>,
    changed: Notify,
}

impl Recorder {
    fn lock(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a note of something that happened at `now`.
    pub fn note(&self, now: Time, note: Note) {
        self.lock().take(now, note);
        self.changed.notify_waiters();
    }

    /// Reads the numbers.
    pub fn read<R>(&self, read: impl FnOnce(&Numbers) -> R) -> R {
        read(&self.lock())
    }

    /// Starts a new wave of registrations.
    pub fn begin_wave(&self) {
        self.lock().wave = Wave::default();
    }

    /// Waits until the numbers are as `reached` wants them.
    pub async fn wait(&self, reached: impl Fn(&Numbers) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Listens before it looks, so that no note falls between.
            changed.as_mut().enable();
            if self.read(&reached) {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_spans_the_first_and_the_last_answer() {
        let recorder = Recorder::default();
        let at = |seconds| Time::EPOCH + Duration::from_secs(seconds);
        recorder.note(at(1), Note::Asked);
        recorder.note(at(2), Note::Asked);
        for second in [3, 5, 9] {
            recorder.note(at(second), Note::Answered(Duration::from_secs(second)));
        }
        let wave = recorder.read(|numbers| numbers.wave);
        assert_eq!(
            (
                wave.asked_first,
                wave.asked_last,
                wave.answered_first,
                wave.answered_last,
                wave.answered
            ),
            (Some(at(1)), Some(at(2)), Some(at(3)), Some(at(9)), 3)
        );
        recorder.begin_wave();
        assert_eq!(recorder.read(|numbers| numbers.wave), Wave::default());
        assert_eq!(recorder.read(|numbers| numbers.registrations), 3);
    }

    #[test]
    fn kinds_of_problems_are_bounded() {
        let recorder = Recorder::default();
        for kind in 0..PROBLEMS_MAX + 5 {
            recorder.note(Time::EPOCH, Note::Problem(format!("kind {kind}")));
        }
        recorder.read(|numbers| {
            assert_eq!(numbers.problems.len(), PROBLEMS_MAX + 1);
            assert_eq!(numbers.problems["others"], 5);
        });
    }
}
