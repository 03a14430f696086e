//! Groups of tasks with the real programs: crashes of the agent and of the executor, and pymesos as the framework.

use std::fs;
use std::path::PathBuf;

use mesos_tests_conformance::{Scheduler, command_task, framework, scalars};
use serde_json::{Value, json};

use super::clients::pymesos_holds;
use super::{Site, cluster};

fn launch_group(scheduler: &mut Scheduler, tasks: &[Value]) {
    let offer = scheduler.offer();
    let mut tasks = tasks.to_vec();
    for task in &mut tasks {
        task["agent_id"] = offer["agent_id"].clone();
    }
    let executor = json!({
        "type": "DEFAULT", "executor_id": {"value": "pod"}, "framework_id": {"value": scheduler.id()},
        "resources": scalars(&[("cpus", 0.1), ("mem", 32.0), ("disk", 32.0)]),
    });
    scheduler.call(json!({"type": "ACCEPT", "accept": {
        "offer_ids": [offer["id"]],
        "operations": [{"type": "LAUNCH_GROUP", "launch_group": {
            "executor": executor, "task_group": {"tasks": tasks},
        }}],
        "filters": {"refuse_seconds": super::FOREVER},
    }}));
}

/// A command that leaves a line of its start, and ends when the file appears.
fn until_file(site: &Site, name: &str) -> String {
    let (begun, path) = (site.path("begun"), site.path(name));
    format!(
        "echo begun >> {}; while [ ! -e {} ]; do sleep 0.05; done",
        begun.display(),
        path.display()
    )
}

/// The first process of the executor's container, from the agent's checkpoints.
fn executor_pid(site: &Site) -> i32 {
    let mut folders: Vec<PathBuf> = vec![site.path("agent")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok) {
            if entry.file_name() == "forked.pid" {
                let pid = fs::read_to_string(entry.path()).expect("readable");
                return pid.trim().parse().expect("a number");
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
        }
    }
    panic!("no executor")
}

#[test]
fn a_group_survives_the_crash_of_its_agent() {
    let site = Site::new();
    let (master, mut agent) = site.cluster();
    let mut scheduler = Scheduler::subscribe(master.address(), &framework("pods"));
    let command = until_file(&site, "go");
    launch_group(
        &mut scheduler,
        &[command_task("a", &command), command_task("b", &command)],
    );
    for task in ["a", "b"] {
        scheduler.until(task, "TASK_RUNNING");
    }
    agent.crash();
    agent.restart();
    fs::write(site.path("go"), b"").expect("a file");
    for task in ["a", "b"] {
        scheduler.until(task, "TASK_FINISHED");
    }
    let begun = fs::read_to_string(site.path("begun")).expect("written");
    assert_eq!(begun.lines().count(), 2, "each task was started once");
}

#[test]
fn a_group_that_ends_while_its_agent_is_away_is_told_afterwards() {
    let site = Site::new();
    let (master, mut agent) = site.cluster();
    let mut scheduler = Scheduler::subscribe(master.address(), &framework("pods"));
    let gone = site.gate("gone");
    let ends = format!("{}; echo > {}", until_file(&site, "go"), gone.path().display());
    launch_group(
        &mut scheduler,
        &[command_task("a", &ends), command_task("b", &until_file(&site, "go"))],
    );
    for task in ["a", "b"] {
        scheduler.until(task, "TASK_RUNNING");
    }
    agent.crash();
    fs::write(site.path("go"), b"").expect("a file");
    gone.passed(super::PATIENCE).expect("the task ends");
    agent.restart();
    for task in ["a", "b"] {
        let finished = scheduler.until(task, "TASK_FINISHED");
        assert_eq!(finished["message"], "Command exited with status 0");
    }
}

#[test]
fn the_end_of_the_executor_ends_its_tasks() {
    let site = Site::new();
    let (master, _agent) = site.cluster();
    let mut scheduler = Scheduler::subscribe(master.address(), &framework("pods"));
    let mut gates = ["a", "b"].map(|task| (task, site.gate(task)));
    let tasks = gates.each_ref().map(|(task, gate)| {
        let command = format!("exec 9> {}; sleep 1000", gate.path().display());
        command_task(task, &command)
    });
    launch_group(&mut scheduler, &tasks);
    for (task, gate) in &mut gates {
        scheduler.until(task, "TASK_RUNNING");
        gate.held(super::PATIENCE).expect("the task runs");
    }
    let executor = nix::unistd::Pid::from_raw(executor_pid(&site));
    nix::sys::signal::kill(executor, nix::sys::signal::Signal::SIGKILL).expect("it runs");
    for task in ["a", "b"] {
        let failed = scheduler.until(task, "TASK_FAILED");
        assert_eq!(failed["reason"], "REASON_EXECUTOR_TERMINATED");
    }
    for (_, gate) in &mut gates {
        gate.left(super::PATIENCE).expect("the task ends");
    }
}

#[test]
fn mesos_execute_runs_a_group_and_tells_of_each_task() {
    let cluster = cluster(1);
    let mut tasks = [
        command_task("good", "true"),
        command_task("long", "exec sleep 1000"),
        command_task("bad", "sleep 0.3; exit 3"),
    ];
    for task in &mut tasks {
        task["agent_id"] = json!({"value": ""});
    }
    let output = std::process::Command::new(super::mesos())
        .args(["execute", &format!("--master={}", cluster.master())])
        .arg(format!("--task_group={}", json!({"tasks": tasks})))
        .output()
        .expect("the executable starts");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success(), "{told}");
    assert!(
        told.contains("Submitted task group with tasks 'good', 'long', 'bad'"),
        "{told}"
    );
    for (task, state) in [
        ("good", "TASK_FINISHED"),
        ("bad", "TASK_FAILED"),
        ("long", "TASK_KILLED"),
    ] {
        assert!(
            told.contains(&format!("Received status update {state} for task '{task}'")),
            "{told}"
        );
    }
}

#[test]
fn pymesos_launches_groups() {
    pymesos_holds("pymesos/pods.py", 1);
}
