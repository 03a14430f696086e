//! Ends that somebody wanted, or that a rule brings: of frameworks, of executors, of agents.

use std::fs;

use mesos_tests_conformance::{Gate, Program, Scheduler, command_task, framework};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::{FOREVER, Site, raw_executor_task};

/// A command that holds a gate until the last of its processes has ended, and the gate.
fn marked(site: &Site) -> (String, Gate) {
    let tree = site.gate("tree");
    (format!("exec 9> {}; sleep 1000", tree.path().display()), tree)
}

fn until_gone(mut tree: Gate) {
    tree.left(super::PATIENCE).expect("the task's processes end");
}

/// Runs one marked task; gives the scheduler and the gate that its processes hold.
fn running(site: &Site, master: &Program, info: &Value) -> (Scheduler, Gate) {
    let (command, mut tree) = marked(site);
    let mut scheduler = Scheduler::subscribe(master.address(), info);
    let offer = scheduler.offer();
    scheduler.launch(&offer, &[command_task("task", &command)], FOREVER);
    scheduler.until("task", "TASK_RUNNING");
    tree.held(super::PATIENCE).expect("the task runs");
    (scheduler, tree)
}

#[test]
fn a_framework_that_does_not_come_back_in_time_loses_its_tasks() {
    let site = Site::new();
    let (master, _agent) = site.cluster();
    let mut info = framework("leaving");
    info["failover_timeout"] = json!(0.5);
    let (mut scheduler, tree) = running(&site, &master, &info);
    scheduler.cut();
    until_gone(tree);
}

#[test]
fn a_framework_that_comes_back_in_time_finds_its_task_running() {
    let site = Site::new();
    let (master, _agent) = site.cluster();
    let (mut scheduler, tree) = running(&site, &master, &framework("returning"));
    scheduler.cut();
    let mut info = framework("returning");
    info["id"] = json!({"value": scheduler.id()});
    let mut again = Scheduler::subscribe(master.address(), &info);
    again.call(json!({"type": "RECONCILE", "reconcile": {"tasks": []}}));
    assert_eq!(again.update("task")["state"], "TASK_RUNNING");
    again.kill("task");
    again.until("task", "TASK_KILLED");
    until_gone(tree);
}

#[test]
fn an_agent_that_is_told_to_leave_takes_its_tasks_along() {
    let site = Site::new();
    let (master, mut agent) = site.cluster();
    let (mut scheduler, tree) = running(&site, &master, &framework("bereft"));
    agent.signal(Signal::SIGUSR1);
    let status = scheduler.update("task");
    let told = status["state"].as_str().unwrap_or_default();
    assert!(
        ["TASK_GONE", "TASK_KILLED", "TASK_LOST", "TASK_FAILED"].contains(&told),
        "{status}"
    );
    until_gone(tree);
    let ended = agent.wait().expect("the agent ends");
    assert!(ended.success(), "{ended}");
}

#[test]
fn an_agent_that_is_terminated_leaves_its_tasks_to_its_next_life() {
    let site = Site::new();
    let (master, mut agent) = site.cluster();
    let (mut scheduler, tree) = running(&site, &master, &framework("patient"));
    agent.signal(Signal::SIGTERM);
    assert!(agent.wait().is_some_and(|ended| ended.success()));
    // The task goes on: it can be killed later.
    agent.restart();
    Site::offer_after_return(&mut agent, &mut scheduler);
    scheduler.kill("task");
    scheduler.until("task", "TASK_KILLED");
    until_gone(tree);
}

#[test]
fn an_agent_that_cleans_up_ends_what_an_earlier_life_left() {
    let site = Site::new();
    let (master, mut agent) = site.cluster();
    let (_scheduler, tree) = running(&site, &master, &framework("abandoned"));
    agent.restart_to_its_end(&["--recover=cleanup"]);
    until_gone(tree);
}

#[test]
fn an_agent_with_other_resources_than_before_refuses_to_start() {
    let site = Site::new();
    let (master, mut agent) = site.cluster();
    let mut scheduler = Scheduler::subscribe(master.address(), &framework("witness"));
    let offer = scheduler.offer();
    // A task that has run says that the agent has checkpointed what it is.
    scheduler.launch(&offer, &[command_task("task", "true")], FOREVER);
    scheduler.until("task", "TASK_FINISHED");
    let ended = agent.restart_to_its_end(&["--resources=cpus:1;mem:64;disk:64"]);
    assert!(!ended.success());
    let log = agent.log();
    let last = log.lines().last().unwrap_or_default();
    assert!(last.contains("resources"), "{log}");
}

#[test]
fn an_executor_that_is_shot_fails_its_tasks_with_the_signal_told() {
    let site = Site::new();
    let (master, _agent) = site.cluster();
    let mut scheduler = Scheduler::subscribe(master.address(), &framework("hunted"));
    let offer = scheduler.offer();
    let mut task = raw_executor_task("target", "wait");
    let pid_file = site.path("pid");
    let command = task["executor"]["command"]["value"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    task["executor"]["command"]["value"] = json!(format!("echo $$ > {}; {command}", pid_file.display()));
    scheduler.launch(&offer, &[task], FOREVER);
    scheduler.until("target", "TASK_RUNNING");
    let pid = fs::read_to_string(&pid_file).expect("a file");
    let pid: i32 = pid.trim().parse().expect("a process id");
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("the executor lives");
    let status = scheduler.until("target", "TASK_FAILED");
    assert_eq!(status["reason"], "REASON_EXECUTOR_TERMINATED", "{status}");
    let message = status["message"].as_str().unwrap_or_default();
    assert!(message.contains("signal") || message.contains("Killed"), "{status}");
}

#[test]
fn an_executor_that_never_registers_is_ended() {
    let site = Site::new();
    let master = site.master(&[]);
    let flags = ["--executor_registration_timeout=500ms"];
    let _agent = Program::agent(super::mesos(), &site.path("agent"), master.address(), &flags);
    let mut scheduler = Scheduler::subscribe(master.address(), &framework("waiting"));
    let offer = scheduler.offer();
    let (command, mut tree) = marked(&site);
    let mut task = raw_executor_task("silent", "wait");
    task["executor"]["command"]["value"] = json!(command);
    scheduler.launch(&offer, &[task], FOREVER);
    tree.held(super::PATIENCE).expect("the executor runs");
    let status = scheduler.until("silent", "TASK_FAILED");
    assert_eq!(status["reason"], "REASON_EXECUTOR_REGISTRATION_TIMEOUT", "{status}");
    until_gone(tree);
}
