//! What looks find, what it means, and what is told.

use std::time::Duration;

use mesos_proto::v1::mesos::check_info::Type as CheckType;
use mesos_proto::v1::mesos::{CheckInfo, CheckStatusInfo};

use crate::plan::HealthPlan;

/// What one look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The command exited with this code.
    Exit(i32),
    /// The server answered with this status.
    Answer(u16),
    /// The port took the connection.
    Connected,
    /// The port did not take it: why.
    NotConnected(String),
    /// Looking itself failed (too slow, nothing to execute, ended by a signal, no answer): why.
    Failed(String),
    /// Nobody could look just now (the agent is away): why. It counts neither way.
    Unavailable(String),
}

impl Found {
    /// Whether a health check is content.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        match self {
            Self::Exit(code) => *code == 0,
            Self::Answer(status) => (200..400).contains(status),
            Self::Connected => true,
            Self::NotConnected(_) | Self::Failed(_) | Self::Unavailable(_) => false,
        }
    }
}

/// Something that the executor tells with an update of the task.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// `REASON_TASK_CHECK_STATUS_UPDATED`: the check has another status than before.
    Check(Box<CheckStatusInfo>),
    /// `REASON_TASK_HEALTH_CHECK_STATUS_UPDATED`: how the task is.
    Health(HealthReport),
}

/// How a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthReport {
    /// Whether it is well.
    pub healthy: bool,
    /// Failures in a row that count, this one included; zero when it is well.
    pub failures: u32,
    /// Whether it must be killed, after this was told.
    pub kill: bool,
}

/// The status of a check without any result: it stands in every update of a task with a check until there is one.
#[must_use]
pub fn unknown_status(check: &CheckInfo) -> CheckStatusInfo {
    empty_status(check.type_())
}

fn empty_status(kind: CheckType) -> CheckStatusInfo {
    let mut status = CheckStatusInfo::new();
    status.set_type(kind);
    match kind {
        CheckType::COMMAND => status.command = Some(Default::default()).into(),
        CheckType::HTTP => status.http = Some(Default::default()).into(),
        CheckType::TCP => status.tcp = Some(Default::default()).into(),
        CheckType::UNKNOWN => {}
    }
    status
}

/// Remembers what was told of a check: only changes are told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CheckJudge {
    kind: CheckType,
    told: CheckStatusInfo,
}

impl CheckJudge {
    /// Nothing is known yet, and that was told.
    pub fn new(check: &CheckInfo) -> Self {
        Self {
            kind: check.type_(),
            told: unknown_status(check),
        }
    }

    pub fn judge(&mut self, found: &Found) -> Option<Report> {
        let mut status = empty_status(self.kind);
        match found {
            Found::Exit(code) => status.command.mut_or_insert_default().set_exit_code(*code),
            Found::Answer(code) => status.http.mut_or_insert_default().set_status_code(u32::from(*code)),
            Found::Connected => status.tcp.mut_or_insert_default().set_succeeded(true),
            Found::NotConnected(_) => status.tcp.mut_or_insert_default().set_succeeded(false),
            Found::Failed(_) => {}
            Found::Unavailable(_) => return None,
        }
        if status == self.told {
            return None;
        }
        self.told = status.clone();
        Some(Report::Check(Box::new(status)))
    }
}

/// Remembers the results of a health check.
///
/// Failures before the first success do not count while the grace period lasts. Success is told when it is the first
/// one or follows a failure that counted; every failure that counts is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HealthJudge {
    plan: HealthPlan,
    failures: u32,
    succeeded: bool,
}

impl HealthJudge {
    pub fn new(plan: HealthPlan) -> Self {
        Self {
            plan,
            failures: 0,
            succeeded: false,
        }
    }

    /// Judges what a look found, `age` after the checks began.
    pub fn judge(&mut self, age: Duration, found: &Found) -> Option<Report> {
        if matches!(found, Found::Unavailable(_)) {
            return None;
        }
        if found.is_healthy() {
            let news = !self.succeeded || self.failures > 0;
            self.succeeded = true;
            self.failures = 0;
            return news.then_some(Report::Health(HealthReport {
                healthy: true,
                failures: 0,
                kill: false,
            }));
        }
        let grace = self.plan.grace_period;
        if !self.succeeded && !grace.is_zero() && age <= grace {
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        Some(Report::Health(HealthReport {
            healthy: false,
            failures: self.failures,
            kill: self.failures >= self.plan.failures_max,
        }))
    }
}
