//! The text scenarios of `scenarios/`, each on a cluster of our own programs.

use std::path::Path;
use std::time::Instant;

use mesos_tests_conformance::scenario::{Outcome, Report, Suite, load, table};

/// Scenarios at the same time: they wait more than they work.
const AT_ONCE: usize = 6;

#[test]
fn every_scenario_holds() {
    let folder = super::file("scenarios");
    let scenarios = load(Path::new(&folder)).unwrap_or_else(|error| panic!("{error}"));
    assert!(scenarios.len() >= 150, "only {} scenarios", scenarios.len());
    let started = Instant::now();
    let suite = Suite::Programs {
        mesos: super::mesos().to_owned(),
        at_once: AT_ONCE,
    };
    let reports = suite.run(scenarios, |_| {});
    print!("{}", table(&reports));
    println!("in {:.1} s", started.elapsed().as_secs_f64());
    let failed: Vec<String> = reports.iter().filter_map(failure).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn failure(report: &Report) -> Option<String> {
    match &report.outcome {
        Outcome::Failed(why) => Some(format!("{}: {}\n  {why}", report.place, report.name)),
        Outcome::Held | Outcome::Skipped(_) => None,
    }
}
