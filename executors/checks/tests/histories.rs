//! Generated histories of checks against what must hold in all of them.

use std::collections::BTreeMap;
use std::time::Duration;

use libprocess_types::Time;
use mesos_checks::core::{Effect, Input, TaskChecks};
use mesos_checks::{CheckKind, Found, Report};
use mesos_proto::v1::mesos::{TaskInfo, check_info, health_check};
use proptest::prelude::*;

/// Failures in a row that kill.
const FAILURES_MAX: u32 = 3;

/// Seconds in which failures do not count.
const GRACE_SECONDS: u64 = 20;

/// Something that happens; what it needs to be told is taken from the checks as they are.
#[derive(Clone, Copy, Debug)]
enum Step {
    Timer(CheckKind),
    Result(CheckKind, Outcome),
    /// A result of a look that was given up, or of one that never began.
    Late(CheckKind, u64),
    Pause,
    Resume,
    Stop,
    Wait(u64),
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Good,
    Bad,
    Failed,
    Away,
}

fn kind() -> impl Strategy<Value = CheckKind> {
    prop_oneof![Just(CheckKind::Check), Just(CheckKind::HealthCheck)]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Good),
        Just(Outcome::Bad),
        Just(Outcome::Failed),
        Just(Outcome::Away)
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => kind().prop_map(Step::Timer),
        6 => (kind(), outcome()).prop_map(|(kind, outcome)| Step::Result(kind, outcome)),
        1 => (kind(), 0_u64..20).prop_map(|(kind, attempt)| Step::Late(kind, attempt)),
        1 => Just(Step::Pause),
        2 => Just(Step::Resume),
        1 => (1_u64..8).prop_map(Step::Wait),
    ]
}

fn task() -> TaskInfo {
    let mut task = TaskInfo::new();
    let check = task.check.mut_or_insert_default();
    check.set_type(check_info::Type::COMMAND);
    let command = check.command.mut_or_insert_default();
    command.command.mut_or_insert_default().set_value("true".to_owned());
    let health = task.health_check.mut_or_insert_default();
    health.set_type(health_check::Type::COMMAND);
    health.command.mut_or_insert_default().set_value("true".to_owned());
    health.set_consecutive_failures(FAILURES_MAX);
    health.set_grace_period_seconds(20.0);
    task
}

fn found(outcome: Outcome) -> Found {
    match outcome {
        Outcome::Good => Found::Exit(0),
        Outcome::Bad => Found::Exit(1),
        Outcome::Failed => Found::Failed("why".to_owned()),
        Outcome::Away => Found::Unavailable("away".to_owned()),
    }
}

/// The checks, and what an observer knows of them.
struct Watched {
    checks: TaskChecks,
    seconds: u64,
    /// The look that goes on.
    looks: BTreeMap<CheckKind, u64>,
    /// Whether a timer is set.
    timers: BTreeMap<CheckKind, bool>,
    told_check: Option<Report>,
    failures: u32,
    succeeded: bool,
    paused: bool,
    stopped: bool,
}

impl Watched {
    fn start() -> Self {
        let mut watched = Self {
            checks: TaskChecks::of_task(&task()).expect("valid"),
            seconds: 0,
            looks: BTreeMap::new(),
            timers: BTreeMap::new(),
            told_check: None,
            failures: 0,
            succeeded: false,
            paused: false,
            stopped: false,
        };
        watched.apply(&Input::Started);
        watched
    }

    fn apply(&mut self, input: &Input) {
        let now = Time::EPOCH + Duration::from_secs(self.seconds);
        for effect in self.checks.step(now, input) {
            assert!(!self.stopped || matches!(effect, Effect::CancelTimer(_) | Effect::CancelProbe(_)));
            match effect {
                Effect::SetTimer(kind, _) => {
                    assert!(!self.looks.contains_key(&kind), "no timer during a look");
                    assert!(!self.paused, "no timer during a pause");
                    self.timers.insert(kind, true);
                }
                Effect::CancelTimer(kind) => {
                    assert_eq!(self.timers.insert(kind, false), Some(true));
                }
                Effect::StartProbe { kind, attempt, .. } => {
                    assert_eq!(self.looks.insert(kind, attempt), None, "one look at a time");
                    assert!(!self.paused, "no look during a pause");
                }
                Effect::CancelProbe(kind) => assert!(self.looks.remove(&kind).is_some()),
                Effect::Tell(report) => self.told(report, input),
            }
        }
    }

    fn told(&mut self, report: Report, input: &Input) {
        let Input::Probed { kind, attempt, found } = input else {
            panic!("only results are told: {report:?} after {input:?}");
        };
        assert_eq!(self.looks.get(kind), Some(attempt), "only the look that goes on counts");
        assert!(!self.paused && !matches!(found, Found::Unavailable(_)));
        match report {
            Report::Check(_) => {
                assert_ne!(self.told_check.as_ref(), Some(&report), "only changes are told");
                self.told_check = Some(report);
            }
            Report::Health(health) => {
                if health.healthy {
                    assert!(!self.succeeded || self.failures > 0, "health is no news");
                    self.succeeded = true;
                    self.failures = 0;
                } else {
                    assert!(self.succeeded || self.seconds > GRACE_SECONDS, "still in grace");
                    self.failures += 1;
                }
                assert_eq!(health.failures, self.failures);
                assert_eq!(health.kill, self.failures >= FAILURES_MAX);
            }
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Timer(kind) => {
                // A timer that was cancelled may still elapse.
                self.timers.insert(kind, false);
                self.apply(&Input::Elapsed(kind));
            }
            Step::Result(kind, outcome) => {
                let Some(attempt) = self.looks.get(&kind).copied() else {
                    return;
                };
                let found = found(outcome);
                let now = Time::EPOCH + Duration::from_secs(self.seconds);
                let input = Input::Probed { kind, attempt, found };
                for effect in self.checks.step(now, &input) {
                    match effect {
                        Effect::Tell(report) => self.told(report, &input),
                        Effect::SetTimer(of, _) => {
                            assert_eq!(of, kind);
                            self.looks.remove(&kind);
                            self.timers.insert(kind, true);
                        }
                        other => panic!("{other:?} after a result"),
                    }
                }
                assert!(!self.looks.contains_key(&kind), "the next look has its time");
            }
            Step::Late(kind, attempt) => {
                if self.looks.get(&kind) != Some(&attempt) {
                    let found = Found::Exit(0);
                    let now = Time::EPOCH + Duration::from_secs(self.seconds);
                    let effects = self.checks.step(now, &Input::Probed { kind, attempt, found });
                    assert!(effects.is_empty(), "{effects:?}");
                }
            }
            Step::Pause => {
                self.apply(&Input::Paused);
                self.paused = true;
                assert!(self.looks.is_empty());
            }
            Step::Resume => {
                let was = std::mem::replace(&mut self.paused, false);
                self.apply(&Input::Resumed);
                assert!(!was || self.looks.len() == 2, "both look at once after a pause");
            }
            Step::Stop => {
                self.stopped = true;
                self.apply(&Input::Stopped);
                assert!(self.looks.is_empty());
            }
            Step::Wait(seconds) => self.seconds += seconds,
        }
    }
}

proptest! {
    #[test]
    fn rules_hold_in_every_history(
        steps in proptest::collection::vec(step(), 0..200),
        after in proptest::collection::vec(step(), 0..20),
    ) {
        let mut watched = Watched::start();
        for step in steps {
            watched.step(step);
        }
        watched.step(Step::Stop);
        for step in after {
            if !matches!(step, Step::Resume) {
                watched.step(step);
            }
        }
    }
}
