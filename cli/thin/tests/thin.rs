//! What the thin programs run.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A program that one test starts inherits, for a moment, the file that another one is writing, and a file that is open
/// for writing cannot be executed: the tests take turns.
static ALONE: Mutex<()> = Mutex::new(());

const THIN: &str = env!("CARGO_BIN_EXE_mesos-agent");

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A folder with a thin program and, beside it, a `mesos` that tells its arguments.
fn installed(folder: &Path) -> std::path::PathBuf {
    let program = folder.join("mesos-agent");
    fs::copy(THIN, &program).expect("copied");
    let mesos = folder.join("mesos");
    fs::write(&mesos, "#!/bin/sh\necho \"mesos got: $*\"\nexit 5\n").expect("written");
    fs::set_permissions(&mesos, fs::Permissions::from_mode(0o755)).expect("executable");
    program
}

fn told(program: &Path) -> (Option<i32>, String) {
    let output = Command::new(program)
        .args(["--master=h:1", "--work_dir=/w x"])
        .output()
        .expect("it starts");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), lines)
}

#[test]
fn the_executable_beside_gets_all_arguments_and_its_exit_code_counts() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let program = installed(folder.path());
    let expected = (Some(5), "mesos got: --master=h:1 --work_dir=/w x\n".to_owned());
    assert_eq!(told(&program), expected);
    let elsewhere = tempfile::tempdir().expect("a folder");
    let link = elsewhere.path().join("mesos-agent");
    symlink(&program, &link).expect("a link");
    assert_eq!(told(&link), expected, "through a link from another folder");
}

#[test]
fn without_an_executable_it_says_what_is_missing() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("mesos-agent");
    fs::copy(THIN, &program).expect("copied");
    let output = Command::new(&program)
        .env("PATH", folder.path())
        .output()
        .expect("it starts");
    let lines = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(127), "{lines}");
    assert!(lines.contains("mesos-agent") && lines.contains("mesos:"), "{lines}");
}
