//! How tasks are launched, fetched for, talked to and ended.

use std::fs;
use std::time::{Duration, Instant};

use mesos_tests_conformance::{Scheduler, command_task, exchange, framework};
use serde_json::{Value, json};

use super::{Site, raw_executor_task};

/// Subscribes, launches the task on the first offer.
fn launched(master: std::net::SocketAddr, task: Value) -> Scheduler {
    let mut scheduler = Scheduler::subscribe(master, &framework("tasks"));
    let offer = scheduler.offer();
    scheduler.launch(&offer, &[task], 0.0);
    scheduler
}

fn with_uri(mut task: Value, uri: &Value) -> Value {
    task["command"]["uris"] = json!([uri]);
    task
}

#[test]
fn files_and_archives_are_in_the_sandbox_before_the_command_starts() {
    let site = Site::new();
    let (master, _agent) = site.cluster();
    fs::write(site.path("plain.txt"), "plain").expect("a file");
    fs::create_dir(site.path("folder")).expect("a folder");
    fs::write(site.path("folder/packed.sh"), "#!/bin/sh\necho packed > ran\n").expect("a file");
    let tar = std::process::Command::new("tar")
        .args(["-czf", "packed.tar.gz", "-C", "folder", "packed.sh"])
        .current_dir(site.path(""))
        .status();
    assert!(tar.expect("tar starts").success());
    let command = "test \"$(cat plain.txt)\" = plain && sh ./packed.sh && test \"$(cat ran)\" = packed && ./run.sh";
    let mut task = command_task("fetching", command);
    fs::write(site.path("run.sh"), "#!/bin/sh\nexit 0\n").expect("a file");
    task["command"]["uris"] = json!([
        {"value": format!("file://{}", site.path("plain.txt").display())},
        {"value": site.path("packed.tar.gz").display().to_string(), "extract": true},
        {"value": site.path("run.sh").display().to_string(), "executable": true},
    ]);
    let mut scheduler = launched(master.address(), task);
    scheduler.until("fetching", "TASK_FINISHED");
}

#[test]
fn a_file_that_cannot_be_fetched_fails_the_task_and_is_named() {
    let site = Site::new();
    let (master, _agent) = site.cluster();
    let missing = site.path("missing.txt").display().to_string();
    let task = with_uri(command_task("starving", "true"), &json!({"value": missing}));
    let mut scheduler = launched(master.address(), task);
    let status = scheduler.until("starving", "TASK_FAILED");
    let message = status["message"].as_str().unwrap_or_default();
    assert!(message.contains("missing.txt"), "{status}");
    assert_eq!(status["reason"], "REASON_CONTAINER_LAUNCH_FAILED", "{status}");
}

#[test]
fn a_user_that_does_not_exist_fails_the_task_and_is_named() {
    let site = Site::new();
    let (master, _agent) = site.cluster();
    let mut task = command_task("stranger", "true");
    task["command"]["user"] = json!("nobody-by-this-name");
    let mut scheduler = launched(master.address(), task);
    let status = scheduler.until("stranger", "TASK_FAILED");
    let message = status["message"].as_str().unwrap_or_default();
    assert!(message.contains("nobody-by-this-name"), "{status}");
}

#[test]
fn a_signal_that_ends_a_task_is_told() {
    let site = Site::new();
    let (master, _agent) = site.cluster();
    let mut scheduler = launched(master.address(), command_task("shot", "kill -SEGV $$"));
    let status = scheduler.until("shot", "TASK_FAILED");
    let message = status["message"].as_str().unwrap_or_default().to_lowercase();
    assert!(
        message.contains("signal") || message.contains("segmentation"),
        "{status}"
    );
}

#[test]
fn an_executor_that_ends_without_a_word_fails_its_tasks() {
    let site = Site::new();
    let (master, _agent) = site.cluster();
    let mut task = raw_executor_task("orphan", "wait");
    task["executor"]["command"]["value"] = json!("exit 3");
    let mut scheduler = launched(master.address(), task);
    let status = scheduler.until("orphan", "TASK_FAILED");
    let message = status["message"].as_str().unwrap_or_default();
    assert!(message.contains("status 3"), "{status}");
    let failure = scheduler.wait_for("failure of the executor", |event| {
        (event["type"] == "FAILURE").then(|| event["failure"].clone())
    });
    assert_eq!(failure["executor_id"]["value"], "raw", "{failure}");
}

#[test]
fn a_task_that_ignores_sigterm_has_its_grace_and_no_more() {
    let site = Site::new();
    let (master, _agent) = site.cluster();
    let ready = site.gate("ready");
    let command = format!(
        "trap '' TERM; echo > {}; while true; do sleep 0.1; done",
        ready.path().display()
    );
    let mut task = command_task("stubborn", &command);
    task["kill_policy"] = json!({"grace_period": {"nanoseconds": 2_000_000_000_u64}});
    let mut scheduler = launched(master.address(), task);
    scheduler.until("stubborn", "TASK_RUNNING");
    ready.passed(super::PATIENCE).expect("the command starts");
    let asked = Instant::now();
    scheduler.kill("stubborn");
    scheduler.until("stubborn", "TASK_KILLED");
    let took = asked.elapsed();
    assert!(
        took >= Duration::from_secs(2),
        "killed before its grace was over: {took:?}"
    );
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn a_shorter_grace_in_the_kill_wins() {
    let site = Site::new();
    let (master, _agent) = site.cluster();
    let ready = site.gate("ready");
    let command = format!(
        "trap '' TERM; echo > {}; while true; do sleep 0.1; done",
        ready.path().display()
    );
    let mut task = command_task("stubborn", &command);
    task["kill_policy"] = json!({"grace_period": {"nanoseconds": 1_000_000_000_000_u64}});
    let mut scheduler = launched(master.address(), task);
    scheduler.until("stubborn", "TASK_RUNNING");
    ready.passed(super::PATIENCE).expect("the command starts");
    scheduler.call(json!({"type": "KILL", "kill": {
        "task_id": {"value": "stubborn"}, "kill_policy": {"grace_period": {"nanoseconds": 100_000_000}},
    }}));
    scheduler.until("stubborn", "TASK_KILLED");
}

#[test]
fn a_kill_before_the_executor_is_there_keeps_the_task_from_running() {
    let site = Site::new();
    let (master, _agent) = site.cluster();
    let mut task = raw_executor_task("early", "wait");
    task["executor"]["command"]["value"] = json!("sleep 1000");
    let mut scheduler = launched(master.address(), task);
    scheduler.kill("early");
    let status = scheduler.until("early", "TASK_KILLED");
    assert_eq!(status["source"], "SOURCE_AGENT", "{status}");
}

#[test]
fn messages_go_both_ways_between_a_framework_and_its_executor() {
    let site = Site::new();
    let (master, _agent) = site.cluster();
    let mut scheduler = launched(master.address(), raw_executor_task("talker", "wait"));
    let status = scheduler.until("talker", "TASK_RUNNING");
    let data = "aGVsbG8=";
    scheduler.call(json!({"type": "MESSAGE", "message": {
        "agent_id": status["agent_id"], "executor_id": {"value": "raw"}, "data": data,
    }}));
    let message = scheduler.wait_for("message", |event| {
        (event["type"] == "MESSAGE").then(|| event["message"].clone())
    });
    assert_eq!(message["data"], data);
    assert_eq!(message["executor_id"]["value"], "raw");
    assert_eq!(message["agent_id"], status["agent_id"]);
}

#[test]
fn an_executor_that_is_shut_down_ends_with_its_tasks() {
    let site = Site::new();
    let (master, _agent) = site.cluster();
    let mut scheduler = launched(master.address(), raw_executor_task("dependant", "wait"));
    let status = scheduler.until("dependant", "TASK_RUNNING");
    scheduler.call(json!({"type": "SHUTDOWN", "shutdown": {
        "agent_id": status["agent_id"], "executor_id": {"value": "raw"},
    }}));
    let failure = scheduler.wait_for("failure of the executor", |event| {
        (event["type"] == "FAILURE").then(|| event["failure"].clone())
    });
    assert_eq!(failure["executor_id"]["value"], "raw", "{failure}");
    let status = scheduler.update("dependant");
    assert!(
        status["state"] == "TASK_FAILED" || status["state"] == "TASK_KILLED",
        "{status}"
    );
    // Its resources are free again.
    Site::whole_agent(&mut scheduler);
}

#[test]
fn a_framework_that_is_torn_down_takes_its_tasks_along() {
    let site = Site::new();
    let (master, _agent) = site.cluster();
    let mut tree = site.gate("tree");
    let command = format!("exec 9> {}; sleep 1000", tree.path().display());
    let mut scheduler = launched(master.address(), command_task("doomed", &command));
    scheduler.until("doomed", "TASK_RUNNING");
    tree.held(super::PATIENCE).expect("the task runs");
    let body = format!("frameworkId={}", scheduler.id());
    let request = format!(
        "POST /master/teardown HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = exchange(master.address(), request.as_bytes()).expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    scheduler.wait_closed();
    tree.left(super::PATIENCE).expect("the task ends");
}
