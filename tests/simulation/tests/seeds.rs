//! Many seeds, each a whole life of a cluster.

use mesos_tests_simulation::{Cluster, Report};

fn run(seed: u64) -> Report {
    match Cluster::run(seed) {
        Ok(report) => report,
        Err((failure, trace)) => panic!("seed {seed}: {failure}\n{trace}"),
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

#[test]
fn every_task_ends_exactly_once_whatever_goes_wrong() {
    let (first, count) = (number("FIRST", 0), number("SEEDS", 200));
    let mut failed = Vec::new();
    for seed in first..first + count {
        if let Err((failure, trace)) = Cluster::run(seed) {
            eprintln!("seed {seed}: {failure}\n{trace}");
            failed.push(seed);
        }
    }
    assert!(failed.is_empty(), "seeds that failed: {failed:?}");
}

#[test]
fn the_same_seed_gives_the_same_history() {
    assert_eq!(run(7), run(7));
    assert_ne!(run(7).fingerprint, run(8).fingerprint);
}
