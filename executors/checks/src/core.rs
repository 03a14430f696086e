//! The rules of a task's checks: when to look, and what to tell.
//!
//! ```text
//! Idle --Started--> Waiting --Elapsed--> Looking --Probed--> Waiting ...
//!                      ^  \                 |
//!                      |   '--- Paused -----'--> Paused --Resumed--> Looking
//!                      '-- (any) --Stopped--> Stopped
//! ```
//!
//! Check and health check run beside each other by the same rules; only the meaning of results differs. A look that
//! a pause interrupts never counts, whatever it finds; after the pause the next look begins at once.
//!
//! Time is handed in: the same history gives the same reports.

use std::time::Duration;

use libprocess_types::Time;
use mesos::validation::check::CheckError;
use mesos_proto::v1::mesos::TaskInfo;

use crate::plan::{CheckKind, Plan, Probe};
use crate::result::{CheckJudge, Found, HealthJudge, Report};

/// Everything that can happen to the checks of a task.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The task runs.
    Started,
    /// The timer of a check elapsed.
    Elapsed(CheckKind),
    /// A look is over.
    Probed {
        /// Whose.
        kind: CheckKind,
        /// Which look, as in [`Effect::StartProbe`]; results of others do not count.
        attempt: u64,
        /// The result.
        found: Found,
    },
    /// Nobody can look or be told for a while.
    Paused,
    /// They can again.
    Resumed,
    /// The task is being killed, or has ended: nothing follows.
    Stopped,
}

/// Everything the checks may want.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Set the timer of a check; it has one.
    SetTimer(CheckKind, Duration),
    /// Drop it.
    CancelTimer(CheckKind),
    /// Look, and answer [`Input::Probed`]; at the latest when the time is over, then with [`Found::Failed`].
    StartProbe {
        /// Whose.
        kind: CheckKind,
        /// Which look.
        attempt: u64,
        /// How.
        probe: Probe,
        /// Longest time.
        timeout: Option<Duration>,
    },
    /// Give up the look that goes on, with everything that it started.
    CancelProbe(CheckKind),
    /// Tell this.
    Tell(Report),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Waiting,
    Looking { attempt: u64 },
    Paused,
    Stopped,
}

#[derive(Clone, Debug)]
enum Judge {
    Check(CheckJudge),
    Health(HealthJudge),
}

/// One check or health check.
#[derive(Clone, Debug)]
struct Lane {
    kind: CheckKind,
    plan: Plan,
    judge: Judge,
    phase: Phase,
    started: Time,
    attempts: u64,
}

/// The state of a task's checks.
#[derive(Clone, Debug)]
pub struct TaskChecks {
    lanes: Vec<Lane>,
}

impl TaskChecks {
    /// Reads the checks of a task; it may have none, one or both.
    ///
    /// # Errors
    ///
    /// Names the field that breaks a rule.
    pub fn of_task(task: &TaskInfo) -> Result<Self, CheckError> {
        let mut lanes = Vec::new();
        if let Some(check) = task.check.as_ref() {
            let judge = Judge::Check(CheckJudge::new(check));
            lanes.push(Lane::new(CheckKind::Check, Plan::of_check(check)?, judge));
        }
        if let Some(check) = task.health_check.as_ref() {
            let (plan, health) = Plan::of_health_check(check)?;
            let judge = Judge::Health(HealthJudge::new(health));
            lanes.push(Lane::new(CheckKind::HealthCheck, plan, judge));
        }
        Ok(Self { lanes })
    }

    /// Whether the task has neither a check nor a health check.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Applies one thing that happened.
    pub fn step(&mut self, now: Time, input: &Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        for lane in &mut self.lanes {
            lane.step(now, input, &mut effects);
        }
        effects
    }
}

impl Lane {
    fn new(kind: CheckKind, plan: Plan, judge: Judge) -> Self {
        Self {
            kind,
            plan,
            judge,
            phase: Phase::Idle,
            started: Time::EPOCH,
            attempts: 0,
        }
    }

    fn step(&mut self, now: Time, input: &Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Started if self.phase == Phase::Idle => {
                self.started = now;
                self.phase = Phase::Waiting;
                effects.push(Effect::SetTimer(self.kind, self.plan.delay));
            }
            Input::Elapsed(kind) if *kind == self.kind && self.phase == Phase::Waiting => self.look(effects),
            Input::Probed { kind, attempt, found }
                if *kind == self.kind && self.phase == (Phase::Looking { attempt: *attempt }) =>
            {
                self.found(now, found, effects);
            }
            Input::Paused if matches!(self.phase, Phase::Waiting | Phase::Looking { .. }) => {
                self.leave(effects);
                self.phase = Phase::Paused;
            }
            Input::Resumed if self.phase == Phase::Paused => self.look(effects),
            Input::Stopped => {
                self.leave(effects);
                self.phase = Phase::Stopped;
            }
            // Late, for the other check, or out of order: a timer or a look that was given up may still answer.
            Input::Started | Input::Elapsed(_) | Input::Probed { .. } | Input::Paused | Input::Resumed => {}
        }
    }

    fn look(&mut self, effects: &mut Vec<Effect>) {
        self.attempts += 1;
        self.phase = Phase::Looking { attempt: self.attempts };
        effects.push(Effect::StartProbe {
            kind: self.kind,
            attempt: self.attempts,
            probe: self.plan.probe.clone(),
            timeout: self.plan.timeout,
        });
    }

    fn found(&mut self, now: Time, found: &Found, effects: &mut Vec<Effect>) {
        let report = match &mut self.judge {
            Judge::Check(judge) => judge.judge(found),
            Judge::Health(judge) => judge.judge(now.saturating_since(self.started), found),
        };
        self.phase = Phase::Waiting;
        effects.extend(report.map(Effect::Tell));
        effects.push(Effect::SetTimer(self.kind, self.plan.interval));
    }

    /// Gives up what goes on.
    fn leave(&self, effects: &mut Vec<Effect>) {
        match self.phase {
            Phase::Waiting => effects.push(Effect::CancelTimer(self.kind)),
            Phase::Looking { .. } => effects.push(Effect::CancelProbe(self.kind)),
            Phase::Idle | Phase::Paused | Phase::Stopped => {}
        }
    }
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
