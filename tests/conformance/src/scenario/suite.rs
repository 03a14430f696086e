//! Many scenarios at once: on clusters of our own programs, or one after the other against a master somewhere.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::control::Site;
use super::file::Scenario;
use super::run::{FailedLine, Target, run};

/// How a scenario went.
#[derive(Debug)]
pub enum Outcome {
    /// Every line held.
    Held,
    /// A line did not hold; what was found, and the logs of the programs when they are ours.
    Failed(String),
    /// It was not run.
    Skipped(String),
}

/// One scenario and how it went.
#[derive(Debug)]
pub struct Report {
    /// Area and behaviour, as `filters/decline`.
    pub place: String,
    /// The sentence that names it.
    pub name: String,
    /// File of the scenario.
    pub path: PathBuf,
    /// How it went.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

impl Report {
    fn new(scenario: &Scenario, outcome: Outcome, took: Duration) -> Self {
        Self {
            place: scenario.place.clone(),
            name: scenario.name.clone(),
            path: scenario.path.clone(),
            outcome,
            took,
        }
    }

    /// Whether a line did not hold.
    #[must_use]
    pub const fn failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed(_))
    }
}

/// What to run scenarios on.
#[derive(Clone, Debug)]
pub enum Suite {
    /// Clusters of the executable at this path, each in a temporary folder.
    Programs {
        /// The executable `mesos`.
        mesos: PathBuf,
        /// How many scenarios run at the same time.
        at_once: usize,
    },
    /// A master that runs already.
    Master(SocketAddr),
}

impl Suite {
    /// Runs scenarios; `told` hears of each one as it ends.
    pub fn run(&self, scenarios: Vec<Scenario>, told: impl Fn(&Report) + Sync) -> Vec<Report> {
        let mut reports = match self {
            Self::Master(master) => scenarios
                .iter()
                .map(|scenario| {
                    let report = against(scenario, *master);
                    told(&report);
                    report
                })
                .collect(),
            Self::Programs { mesos, at_once } => {
                let work = Mutex::new(groups(scenarios));
                let reports = Mutex::new(Vec::new());
                std::thread::scope(|scope| {
                    for _ in 0..*at_once {
                        scope.spawn(|| {
                            while let Some(group) = next(&work) {
                                for report in on_own_cluster(mesos, &group) {
                                    told(&report);
                                    reports.lock().unwrap_or_else(PoisonError::into_inner).push(report);
                                }
                            }
                        });
                    }
                });
                reports.into_inner().unwrap_or_else(PoisonError::into_inner)
            }
        };
        reports.sort_by(|left, right| (&left.place, &left.name).cmp(&(&right.place, &right.name)));
        reports
    }
}

fn next(work: &Mutex<VecDeque<Vec<Scenario>>>) -> Option<Vec<Scenario>> {
    work.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

/// Scenarios that share a cluster, in one group; the others each in their own.
fn groups(scenarios: Vec<Scenario>) -> VecDeque<Vec<Scenario>> {
    let mut groups: VecDeque<Vec<Scenario>> = VecDeque::new();
    for scenario in scenarios {
        let together = groups
            .iter_mut()
            .find(|group| scenario.setting.shared && group[0].setting == scenario.setting);
        match together {
            Some(group) => group.push(scenario),
            None => groups.push_back(vec![scenario]),
        }
    }
    groups
}

fn on_own_cluster(mesos: &std::path::Path, group: &[Scenario]) -> Vec<Report> {
    let started = Instant::now();
    let mut site = match Site::start(mesos, &group[0].setting) {
        Ok(site) => site,
        Err(failure) => {
            let failed = |scenario| Report::new(scenario, Outcome::Failed(failure.to_string()), started.elapsed());
            return group.iter().map(failed).collect();
        }
    };
    if let [only] = group {
        let outcome = run(only, Target::Own(&mut site));
        return vec![report(only, outcome, started, &site.logs())];
    }
    std::thread::scope(|scope| {
        let site = &site;
        let running: Vec<_> = group
            .iter()
            .map(|scenario| {
                scope.spawn(move || {
                    let started = Instant::now();
                    report(scenario, run(scenario, Target::Shared(site)), started, "")
                })
            })
            .collect();
        let ended = running.into_iter().zip(group);
        ended
            .map(|(thread, scenario)| {
                let panicked = || Outcome::Failed("the runner panicked".to_owned());
                thread
                    .join()
                    .unwrap_or_else(|_| Report::new(scenario, panicked(), started.elapsed()))
            })
            .collect()
    })
}

fn report(scenario: &Scenario, outcome: Result<(), FailedLine>, started: Instant, logs: &str) -> Report {
    let outcome = match outcome {
        Ok(()) => Outcome::Held,
        Err(failed) => Outcome::Failed(format!(
            "{}:{}: {}\n    {}\n    {logs}",
            scenario.path.display(),
            failed.number,
            failed.text,
            failed.failure
        )),
    };
    Report::new(scenario, outcome, started.elapsed())
}

fn against(scenario: &Scenario, master: SocketAddr) -> Report {
    let reason = match &scenario.needs {
        Some(reason) => Some(reason.clone()),
        None if !scenario.setting.is_plain() => Some("it needs programs with certain flags".to_owned()),
        None => None,
    };
    if let Some(reason) = reason {
        return Report::new(scenario, Outcome::Skipped(reason), Duration::ZERO);
    }
    let started = Instant::now();
    report(scenario, run(scenario, Target::Master(master)), started, "")
}

/// One line for each scenario, and the sums.
#[must_use]
pub fn table(reports: &[Report]) -> String {
    let mut text = String::new();
    let (mut held, mut failed, mut skipped) = (0, 0, 0);
    for report in reports {
        let (word, reason) = match &report.outcome {
            Outcome::Held => ("held", String::new()),
            Outcome::Failed(_) => ("FAILED", String::new()),
            Outcome::Skipped(reason) => ("skipped", format!(" ({reason})")),
        };
        match report.outcome {
            Outcome::Held => held += 1,
            Outcome::Failed(_) => failed += 1,
            Outcome::Skipped(_) => skipped += 1,
        }
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "{word:<8}{:>7.2} s  {:<34} {}{reason}",
            report.took.as_secs_f64(),
            report.place,
            report.name
        );
    }
    let _ = writeln!(text, "{held} held, {failed} failed, {skipped} skipped");
    text
}
