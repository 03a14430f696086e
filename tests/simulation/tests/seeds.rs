//! Many seeds, each a whole life of a cluster.

use mesos_tests_simulation::batch;
use mesos_tests_simulation::cluster::{Cluster, Report};

/// Seeds run when nothing else is asked for.
const SEEDS: u64 = 200;

/// Seeds that failed once, with what they found. They stay.
const PERMANENT: &[(u64, &str)] = &[
    (
        3,
        "a launch delayed by a partition ran on an agent that was registering again",
    ),
    (34, "the same, for a framework that knows no partitions"),
    (82, "a kill delayed by a partition gave a task another end"),
    (
        195,
        "a task refused for its offer was answered as gone: late news, see README.md",
    ),
    (
        361,
        "the master kept the resources of an executor whose end it had missed",
    ),
    (
        389,
        "a scheduler took the late answer of a dead master for a subscription",
    ),
    (
        628,
        "launches of a dead master, held back by a partition, ran beside those of its successor",
    ),
];

fn run(seed: u64) -> Report {
    match Cluster::run(seed) {
        Ok(report) => report,
        Err((failure, trace)) => panic!("seed {seed}: {failure}\n{trace}"),
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn every_task_ends_exactly_once_whatever_goes_wrong() {
    let (first, count) = (number("FIRST").unwrap_or(0), number("SEEDS").unwrap_or(SEEDS));
    let summary = batch::run(first, count);
    for text in summary.failures.values() {
        eprintln!("{text}");
    }
    println!(
        "{} seeds clean, {} events, {:?}",
        summary.clean, summary.events, summary.ends
    );
    let failed: Vec<u64> = summary.failures.keys().copied().collect();
    assert!(failed.is_empty(), "seeds that failed: {failed:?}");
}

#[test]
fn seeds_that_failed_once_stay_clean() {
    for (seed, found) in PERMANENT {
        if let Err((failure, trace)) = Cluster::run(*seed) {
            panic!("seed {seed} ({found}): {failure}\n{trace}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_history() {
    assert_eq!(run(7), run(7));
    assert_ne!(run(7).fingerprint, run(8).fingerprint);
}
