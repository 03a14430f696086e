//! Start, use and end of `mesos up` and `mesos execute`, as a person does it.

use std::fs;
use std::process::{Command, Output};

use mesos_tests_conformance::Gate;

use super::cluster;

fn execute(master: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mesos"))
        .args(["execute", &format!("--master={master}")])
        .args(arguments)
        .output()
        .expect("the executable starts")
}

#[test]
fn a_command_runs_to_its_end_and_its_output_is_in_the_sandbox() {
    let cluster = cluster(1);
    let output = execute(
        &cluster.master().to_string(),
        &["--name=hello", "--command=echo from-the-task"],
    );
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for state in ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"] {
        assert!(
            told.contains(&format!("Received status update {state} for task 'hello'")),
            "{told}"
        );
    }
    let work = cluster.state().join("agent-1/work/slaves");
    let mut stdouts = Vec::new();
    let mut folders = vec![work];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok) {
            let kind = entry.file_type().expect("a listed entry has a kind");
            if kind.is_dir() {
                folders.push(entry.path());
            } else if entry.file_name() == "stdout" {
                stdouts.push(fs::read_to_string(entry.path()).expect("readable"));
            }
        }
    }
    assert!(stdouts.iter().any(|text| text.contains("from-the-task")), "{stdouts:?}");
}

#[test]
fn a_failing_command_ends_with_its_status_told_and_a_failing_exit_code() {
    let cluster = cluster(1);
    let output = execute(&cluster.master().to_string(), &["--name=bad", "--command=exit 7"]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success());
    assert!(told.contains("TASK_FAILED") && told.contains("status 7"), "{told}");
}

#[test]
fn kill_after_kills_the_whole_tree() {
    let cluster = cluster(1);
    let mut tree = Gate::new(&cluster.state().join("tree")).expect("a named pipe");
    let held = tree.path().display();
    let command = format!("--command=exec 9> {held}; sh -c 'sleep 1000; true' & sleep 1000; true");
    let master = cluster.master().to_string();
    let output = std::thread::scope(|scope| {
        let client = scope.spawn(|| execute(&master, &["--name=long", "--kill_after=500ms", &command]));
        tree.held(super::PATIENCE).expect("the task runs");
        client.join().expect("the client ends")
    });
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        told.contains("TASK_KILLED"),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    tree.left(super::PATIENCE).expect("the whole tree ends");
}

#[test]
fn an_interrupt_ends_everything_and_leaves_no_process() {
    let cluster = cluster(2);
    let mut tree = Gate::new(&cluster.state().join("tree")).expect("a named pipe");
    let mut client = Command::new(env!("CARGO_BIN_EXE_mesos"))
        .args(["execute", &format!("--master={}", cluster.master()), "--name=long"])
        .arg(format!("--command=exec 9> {}; sleep 1000; true", tree.path().display()))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the executable starts");
    tree.held(super::PATIENCE).expect("the task runs");
    client.kill().expect("the client can be killed");
    client.wait().expect("the client ends");
    cluster.interrupt();
    tree.left(super::PATIENCE).expect("all tasks end");
}

#[test]
fn programs_refuse_what_they_cannot_do_with_a_sentence() {
    let table: &[(&[&str], &str)] = &[
        (&["master", "--zk=zk://h:2181/mesos"], "zk"),
        (&["master", "--registry=replicated_log"], "registry"),
        (&["agent", "--master=127.0.0.1:5050"], "work_dir"),
        (
            &[
                "agent",
                "--master=127.0.0.1:5050",
                "--work_dir=/tmp/x",
                "--isolation=cgroups/cpu",
            ],
            "isolation",
        ),
        (&["agent", "--mastre=127.0.0.1:5050"], "master"),
        (&["master", "--agent_ping_timeout=15"], "agent_ping_timeout"),
        (&["docker-executor"], "not supported"),
        (&["default-executor", "--frobnicate"], "frobnicate"),
        (&["frobnicate"], "frobnicate"),
    ];
    for (arguments, named) in table {
        let output = Command::new(env!("CARGO_BIN_EXE_mesos"))
            .args(*arguments)
            .output()
            .expect("starts");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && told.contains(named),
            "{arguments:?}: {told}"
        );
    }
}
