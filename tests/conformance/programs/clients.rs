//! Clients that nobody here wrote, unchanged.

use std::path::Path;

use mesos_tests_conformance::{Python, PythonError};

use super::{cluster, file};

/// The Python with pymesos; nothing, after telling why, when the package registry cannot be reached.
fn pymesos() -> Option<Python> {
    match Python::with_pymesos(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("python")) {
        Ok(python) => Some(python),
        Err(PythonError::Unreachable(reason)) => {
            println!("skipped: the package registry cannot be reached: {reason}");
            None
        }
        Err(PythonError::Broken(reason)) => panic!("cannot prepare pymesos: {reason}"),
    }
}

/// Runs a framework on pymesos, which tells each step, against a cluster with so many agents.
pub(crate) fn pymesos_holds(script: &str, agents: usize) {
    let Some(python) = pymesos() else { return };
    let cluster = cluster(agents);
    let output = python.run(&file(script), &[&cluster.master().to_string()]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{told}\nlog of the cluster:\n{}",
        cluster.log()
    );
    println!("{told}");
}

#[test]
fn pymesos_runs_kills_reconciles_and_restarts() {
    pymesos_holds("pymesos/framework.py", 2);
}

#[test]
fn pymesos_reserves_and_keeps_volumes() {
    pymesos_holds("pymesos/volumes.py", 1);
}

#[test]
fn pymesos_sees_maintenance_and_loses_an_agent() {
    pymesos_holds("pymesos/agents.py", 2);
}

#[test]
fn raw_libprocess_drivers_run_kill_reconcile_and_restart() {
    let cluster = cluster(2);
    let output = std::process::Command::new("python3")
        .arg(file("raw/framework.py"))
        .arg(cluster.master().to_string())
        .output()
        .expect("python3 starts");
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{told}\nlog of the cluster:\n{}",
        cluster.log()
    );
    println!("{told}");
}
