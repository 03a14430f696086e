//! Clients that nobody here wrote, unchanged.

use std::path::Path;

use mesos_tests_conformance::{Python, PythonError};

use super::{cluster, file};

/// The Python with pymesos; nothing, after telling why, when the package registry cannot be reached.
pub fn pymesos() -> Option<Python> {
    match Python::with_pymesos(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("python")) {
        Ok(python) => Some(python),
        Err(PythonError::Unreachable(reason)) => {
            println!("skipped: the package registry cannot be reached: {reason}");
            None
        }
        Err(PythonError::Broken(reason)) => panic!("cannot prepare pymesos: {reason}"),
    }
}

#[test]
fn pymesos_runs_kills_reconciles_and_restarts() {
    let Some(python) = pymesos() else { return };
    let cluster = cluster(2);
    let output = python.run(&file("pymesos/framework.py"), &[&cluster.master().to_string()]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{told}\nlog of the cluster:\n{}",
        cluster.log()
    );
    println!("{told}");
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
