//! Many seeds at once, on all processors.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::cluster::{Cluster, Report};

/// What came of many runs.
#[derive(Debug, Default)]
pub struct Summary {
    /// Seeds that broke a rule, with what is to be told of them.
    pub failures: BTreeMap<u64, String>,
    /// Runs without a broken rule.
    pub clean: u64,
    /// Events of all clean runs.
    pub events: u64,
    /// Tasks of all clean runs by the state that they ended in.
    pub ends: BTreeMap<String, usize>,
}

impl Summary {
    fn add(&mut self, report: Report) {
        self.clean += 1;
        self.events += report.events;
        for (state, count) in report.ends {
            *self.ends.entry(state).or_default() += count;
        }
    }
}

/// Runs one seed; a panic counts as a broken rule.
fn run_one(seed: u64) -> Result<Report, String> {
    match std::panic::catch_unwind(|| Cluster::run(seed)) {
        Ok(Ok(report)) => Ok(report),
        Ok(Err((failure, trace))) => Err(format!("seed {seed}: {failure}\n{trace}")),
        Err(_) => Err(format!("seed {seed}: panicked; run it alone to see where")),
    }
}

/// Runs `count` seeds from `first` on.
#[must_use]
pub fn run(first: u64, count: u64) -> Summary {
    let next = AtomicU64::new(first);
    let summary = Mutex::new(Summary::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let outcome = run_one(seed);
                    let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
                    match outcome {
                        Ok(report) => summary.add(report),
                        Err(text) => {
                            summary.failures.insert(seed, text);
                        }
                    }
                }
            });
        }
    });
    summary.into_inner().unwrap_or_else(PoisonError::into_inner)
}
