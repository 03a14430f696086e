//! The one line of JSON at the end of a run.

use std::collections::BTreeMap;
use std::time::Duration;

use libprocess_types::Time;
use serde::Serialize;

use crate::record::{Numbers, Wave};
use crate::samples::Spread;
use crate::usage::Usage;

/// One wave of registrations: all agents at once, after a start or a restart of the master.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct WaveReport {
    /// Agents that were answered.
    pub answered: u64,
    /// Time in which agents asked first.
    pub asking_s: f64,
    /// From the first answer to the last.
    pub first_to_last_answer_s: f64,
    /// From the first question to the last answer.
    pub first_question_to_last_answer_s: f64,
    /// Answers in a second, from the first question on.
    pub answers_per_s: f64,
    /// How often agents had to ask again.
    pub asked_again: u64,
    /// Processor time of the master from before the first question to the last answer.
    pub master_cpu_s: Option<f64>,
    /// The same up to the moment when it was idle again.
    pub master_cpu_settled_s: Option<f64>,
    /// Memory of the master when it was idle again.
    pub master_rss_bytes: Option<u64>,
    /// Memory of the master before the first question.
    pub master_rss_before_bytes: Option<u64>,
}

impl WaveReport {
    /// Reads a wave that is over.
    #[must_use]
    pub fn new(wave: &Wave) -> Self {
        let between = |from: Option<Time>, to: Option<Time>| match (from, to) {
            (Some(from), Some(to)) => to.saturating_since(from),
            _ => Duration::ZERO,
        };
        let all = between(wave.asked_first, wave.answered_last);
        Self {
            answered: wave.answered,
            asking_s: between(wave.asked_first, wave.asked_last).as_secs_f64(),
            first_to_last_answer_s: between(wave.answered_first, wave.answered_last).as_secs_f64(),
            first_question_to_last_answer_s: all.as_secs_f64(),
            answers_per_s: rate(wave.answered, all),
            asked_again: wave.asked_again,
            ..Self::default()
        }
    }
}

/// What was done in the time for which the load was held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct WindowReport {
    /// Length of the time.
    pub seconds: f64,
    /// Offers that frameworks got in a second.
    pub offers_per_s: f64,
    /// Tasks launched in a second.
    pub tasks_launched_per_s: f64,
    /// Tasks whose end reached their framework in a second.
    pub tasks_finished_per_s: f64,
    /// Updates acknowledged in a second.
    pub updates_acknowledged_per_s: f64,
    /// Processor time of the master in a second.
    pub master_cpu: Option<f64>,
}

/// What was seen when the time began or ended.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    at: Time,
    offers: u64,
    launched: u64,
    finished: u64,
    acknowledged: u64,
    cpu_s: Option<f64>,
}

impl Mark {
    /// Notes how far a run is.
    #[must_use]
    pub fn new(at: Time, numbers: &Numbers, usage: Option<Usage>) -> Self {
        Self {
            at,
            offers: numbers.offers,
            launched: numbers.tasks_launched,
            finished: numbers.tasks_finished,
            acknowledged: numbers.updates_acknowledged,
            cpu_s: usage.map(|usage| usage.cpu_s),
        }
    }

    /// What happened from this mark to a later one.
    #[must_use]
    pub fn until(&self, end: &Self) -> WindowReport {
        let time = end.at.saturating_since(self.at);
        WindowReport {
            seconds: time.as_secs_f64(),
            offers_per_s: rate(end.offers - self.offers, time),
            tasks_launched_per_s: rate(end.launched - self.launched, time),
            tasks_finished_per_s: rate(end.finished - self.finished, time),
            updates_acknowledged_per_s: rate(end.acknowledged - self.acknowledged, time),
            master_cpu: self
                .cpu_s
                .zip(end.cpu_s)
                .map(|(before, after)| (after - before) / time.as_secs_f64().max(f64::EPSILON)),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run stay far below 2^52")]
fn rate(count: u64, time: Duration) -> f64 {
    if time.is_zero() {
        return 0.0;
    }
    count as f64 / time.as_secs_f64()
}

/// What a run found out. Rates are for the whole run unless they stand in a wave or window.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Name of the scenario.
    pub scenario: &'static str,
    /// Where the master is.
    pub master: String,
    /// Emulated agents.
    pub agents: usize,
    /// Emulated frameworks, of both kinds.
    pub frameworks: usize,
    /// Length of the run.
    pub seconds: f64,
    /// Waves of registrations, in order.
    pub waves: Vec<WaveReport>,
    /// From asking first to the answer, of all agents in all waves.
    pub registrations: Spread,
    /// The time for which the load was held, in scenarios that have one.
    pub window: Option<WindowReport>,
    /// Offers that frameworks got.
    pub offers: u64,
    /// Offers that were withdrawn.
    pub offers_rescinded: u64,
    /// Tasks that frameworks launched.
    pub tasks_launched: u64,
    /// Tasks that agents took over.
    pub tasks_started: u64,
    /// Tasks whose end reached their framework.
    pub tasks_finished: u64,
    /// Tasks with another end, by state.
    pub tasks_failed: BTreeMap<&'static str, u64>,
    /// From sending an update first to its acknowledgement, at the agent.
    pub updates: Spread,
    /// Updates that had to be sent again.
    pub updates_repeated: u64,
    /// Pings that agents answered.
    pub pings: u64,
    /// From asking for offers to the first one, of probes.
    pub probe_offered: Option<Spread>,
    /// From asking for offers to the report that the task runs, of probes.
    pub probe_running: Option<Spread>,
    /// What the master itself counts, when it can be asked.
    pub master_counts: BTreeMap<String, f64>,
    /// What the master used up to the end of the run; since its last restart if it was restarted.
    pub master_usage: Option<Usage>,
    /// What the generator used.
    pub generator_usage: Option<Usage>,
    /// How much of it should not have happened.
    pub errors: u64,
    /// What should not have happened, with how often.
    pub problems: BTreeMap<String, u64>,
}
