//! Checks and health checks of the task.
//!
//! Each runs as a task of its own: wait, look, judge, wait again. [`judge`] holds the rules of health, `probe` the
//! three ways to look. Dropping [`Checks`] ends them.

mod judge;
mod probe;

use std::time::Duration;

use mesos_proto::v1::mesos::check_info::Type as CheckType;
use mesos_proto::v1::mesos::health_check::Type as HealthType;
use mesos_proto::v1::mesos::{CheckInfo, CheckStatusInfo, HealthCheck, TaskInfo};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::command::Children;
use crate::core::{CheckOutcome, Input};
use judge::{HealthJudge, Verdict};
use probe::{Found, Probe};

/// Shortest pause between two looks, whatever the task asks for.
const INTERVAL_MIN: Duration = Duration::from_millis(10);

/// The running checks of a task.
#[derive(Debug)]
pub struct Checks {
    tasks: Vec<AbortHandle>,
}

impl Drop for Checks {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// When a check looks.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    delay: Duration,
    interval: Duration,
    timeout: Duration,
}

impl Schedule {
    fn new(delay: f64, interval: f64, timeout: f64) -> Self {
        // Zero means no limit to the original; a check that never answers would hide everything after it.
        let timeout = if timeout > 0.0 {
            seconds(timeout)
        } else {
            Duration::from_secs(365 * 24 * 60 * 60)
        };
        Self {
            delay: seconds(delay),
            interval: seconds(interval).max(INTERVAL_MIN),
            timeout,
        }
    }
}

fn seconds(seconds: f64) -> Duration {
    mesos::duration::from_seconds(seconds).unwrap_or_default()
}

/// Says which check of a task cannot be run.
#[must_use]
pub fn unsupported(task: &TaskInfo) -> Option<String> {
    let check = task.check.as_ref().map(Probe::of_check);
    let health = task.health_check.as_ref().map(Probe::of_health_check);
    check.into_iter().chain(health).find_map(Result::err)
}

impl Checks {
    /// Begins the checks of a task; results come as inputs.
    pub fn start(task: &TaskInfo, children: &Children, inputs: &mpsc::Sender<Input>) -> Self {
        let mut tasks = Vec::new();
        if let Some(check) = task.check.as_ref()
            && let Ok(probe) = Probe::of_check(check)
        {
            let running = run_check(check.clone(), probe, children.clone(), inputs.clone());
            tasks.push(tokio::spawn(running).abort_handle());
        }
        if let Some(check) = task.health_check.as_ref()
            && let Ok(probe) = Probe::of_health_check(check)
        {
            let running = run_health_check(check.clone(), probe, children.clone(), inputs.clone());
            tasks.push(tokio::spawn(running).abort_handle());
        }
        Self { tasks }
    }
}

async fn run_check(check: CheckInfo, probe: Probe, children: Children, inputs: mpsc::Sender<Input>) {
    let schedule = Schedule::new(check.delay_seconds(), check.interval_seconds(), check.timeout_seconds());
    tokio::time::sleep(schedule.delay).await;
    let mut told = None;
    loop {
        let found = probe.look(schedule.timeout, &children).await;
        let status = check_status(check.type_(), &found);
        if told.as_ref() != Some(&status) {
            told = Some(status.clone());
            let outcome = CheckOutcome::Status(Box::new(status));
            if inputs.send(Input::Checked(outcome)).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(schedule.interval).await;
    }
}

fn check_status(kind: CheckType, found: &Found) -> CheckStatusInfo {
    let mut status = CheckStatusInfo::new();
    status.set_type(kind);
    match (kind, found) {
        (CheckType::COMMAND, found) => {
            let command = status.command.mut_or_insert_default();
            command.exit_code = if let Found::Exit(code) = found {
                Some(*code)
            } else {
                None
            };
        }
        (CheckType::HTTP, found) => {
            let http = status.http.mut_or_insert_default();
            http.status_code = if let Found::Answer(code) = found {
                Some(u32::from(*code))
            } else {
                None
            };
        }
        (CheckType::TCP, found) => {
            status
                .tcp
                .mut_or_insert_default()
                .set_succeeded(matches!(found, Found::Connected));
        }
        (CheckType::UNKNOWN, _) => {}
    }
    status
}

async fn run_health_check(check: HealthCheck, probe: Probe, children: Children, inputs: mpsc::Sender<Input>) {
    let schedule = Schedule::new(check.delay_seconds(), check.interval_seconds(), check.timeout_seconds());
    let started = Instant::now();
    let statuses = if check.type_() == HealthType::HTTP {
        check.http.statuses.clone()
    } else {
        Vec::new()
    };
    let mut judge = HealthJudge::new(seconds(check.grace_period_seconds()), check.consecutive_failures());
    tokio::time::sleep(schedule.delay).await;
    loop {
        let found = probe.look(schedule.timeout, &children).await;
        let healthy = found.is_healthy(&statuses);
        if !healthy {
            tracing::warn!(?found, "health check failed");
        }
        if let Verdict::Tell { healthy, kill } = judge.judge(started.elapsed(), healthy)
            && inputs
                .send(Input::Checked(CheckOutcome::Health { healthy, kill }))
                .await
                .is_err()
        {
            return;
        }
        tokio::time::sleep(schedule.interval).await;
    }
}
