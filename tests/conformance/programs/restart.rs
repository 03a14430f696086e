//! Agents and masters that crash and come back: tasks go on, and their updates arrive.

use std::fs;

use mesos_tests_conformance::{Program, Scheduler, command_task, framework};
use serde_json::{Value, json};

use super::{FOREVER, Site, raw_executor_task};

/// A command that runs until the file appears.
fn until_file(site: &Site, name: &str) -> String {
    let path = site.path(name);
    format!("while [ ! -e {} ]; do sleep 0.05; done", path.display())
}

fn allow(site: &Site, name: &str) {
    fs::write(site.path(name), b"").expect("a file");
}

#[test]
fn a_command_task_survives_the_crash_of_its_agent() {
    let site = Site::new();
    let (master, mut agent) = site.cluster();
    let mut scheduler = Scheduler::subscribe(master.address(), &framework("checkpointing"));
    let offer = scheduler.offer();
    scheduler.launch(&offer, &[command_task("survivor", &until_file(&site, "go"))], FOREVER);
    scheduler.until("survivor", "TASK_RUNNING");
    agent.restart();
    // Offers come again when the agent is back.
    let again = Site::offer_after_return(&master, &mut scheduler);
    assert_eq!(again["agent_id"], offer["agent_id"], "the agent keeps its id");
    allow(&site, "go");
    scheduler.until("survivor", "TASK_FINISHED");
}

#[test]
fn a_task_that_ends_while_its_agent_is_away_is_told_afterwards() {
    let site = Site::new();
    let (master, mut agent) = site.cluster();
    let mut scheduler = Scheduler::subscribe(master.address(), &framework("checkpointing"));
    let offer = scheduler.offer();
    let command = format!("{}; touch {}", until_file(&site, "go"), site.path("gone").display());
    scheduler.launch(&offer, &[command_task("short", &command)], FOREVER);
    scheduler.until("short", "TASK_RUNNING");
    agent.crash();
    allow(&site, "go");
    site.wait_for_file("gone");
    agent.restart();
    scheduler.until("short", "TASK_FINISHED");
}

#[test]
fn tasks_of_a_v0_executor_survive_the_crash_of_their_agent() {
    let site = Site::new();
    let (master, mut agent) = site.cluster();
    let mut scheduler = Scheduler::subscribe(master.address(), &framework("checkpointing"));
    let offer = scheduler.offer();
    let tasks = [raw_executor_task("one", "wait"), raw_executor_task("two", "wait")];
    scheduler.launch(&offer, &tasks, FOREVER);
    scheduler.until("one", "TASK_RUNNING");
    scheduler.until("two", "TASK_RUNNING");
    agent.restart();
    let offer = Site::offer_after_return(&master, &mut scheduler);
    scheduler.kill("one");
    scheduler.until("one", "TASK_KILLED");
    scheduler.launch(&offer, &[raw_executor_task("three", "finish")], FOREVER);
    scheduler.until("three", "TASK_FINISHED");
    scheduler.kill("two");
    scheduler.until("two", "TASK_KILLED");
}

#[test]
fn an_update_that_was_not_acknowledged_comes_again_after_the_crash() {
    let site = Site::new();
    let (master, mut agent) = site.cluster();
    let mut scheduler = Scheduler::subscribe(master.address(), &framework("checkpointing"));
    let offer = scheduler.offer();
    scheduler.launch(&offer, &[raw_executor_task("slow", "finish")], FOREVER);
    let pick = |event: &Value| (event["type"] == "UPDATE").then(|| event["update"]["status"].clone());
    let first = scheduler.wait_for("update", pick);
    assert_eq!(first["state"], "TASK_RUNNING", "{first}");
    agent.restart();
    let again = scheduler.wait_for("the same update", pick);
    assert_eq!((&again["uuid"], &again["state"]), (&first["uuid"], &first["state"]));
    scheduler.call(json!({"type": "ACKNOWLEDGE", "acknowledge": {
        "agent_id": again["agent_id"], "task_id": again["task_id"], "uuid": again["uuid"],
    }}));
    scheduler.until("slow", "TASK_FINISHED");
}

#[test]
fn tasks_of_a_framework_without_checkpoints_are_lost_with_the_agent_s_process() {
    let site = Site::new();
    let (master, mut agent) = site.cluster();
    let mut info = framework("forgetful");
    info["checkpoint"] = json!(false);
    info["capabilities"] = json!([{"type": "MULTI_ROLE"}]);
    let mut scheduler = Scheduler::subscribe(master.address(), &info);
    let offer = scheduler.offer();
    scheduler.launch(&offer, &[command_task("loser", "sleep 1000")], FOREVER);
    scheduler.until("loser", "TASK_RUNNING");
    agent.restart();
    scheduler.until("loser", "TASK_LOST");
}

#[test]
fn a_new_master_learns_tasks_from_agents_and_frameworks_that_come_back() {
    let site = Site::new();
    let (mut master, _agent) = site.cluster();
    let mut scheduler = Scheduler::subscribe(master.address(), &framework("patient"));
    let offer = scheduler.offer();
    scheduler.launch(&offer, &[command_task("lasting", &until_file(&site, "go"))], FOREVER);
    scheduler.until("lasting", "TASK_RUNNING");
    master.restart();
    scheduler.wait_closed();
    let mut info = framework("patient");
    info["id"] = json!({"value": scheduler.id()});
    let mut scheduler = Scheduler::subscribe(master.address(), &info);
    let again = scheduler.offer();
    assert_eq!(again["agent_id"], offer["agent_id"], "the agent keeps its id");
    let tasks = [json!({"task_id": {"value": "lasting"}, "agent_id": offer["agent_id"]})];
    scheduler.call(json!({"type": "RECONCILE", "reconcile": {"tasks": tasks}}));
    loop {
        let status = scheduler.update("lasting");
        assert_eq!(status["state"], "TASK_RUNNING", "{status}");
        if status["reason"] == "REASON_RECONCILIATION" {
            break;
        }
        // Tasks of agents that come back are told without being asked for.
        assert_eq!(status["reason"], "REASON_AGENT_REREGISTERED", "{status}");
    }
    allow(&site, "go");
    scheduler.until("lasting", "TASK_FINISHED");
}

#[test]
fn a_task_that_ends_between_two_masters_is_told_to_the_framework() {
    let site = Site::new();
    let (mut master, _agent) = site.cluster();
    let mut scheduler = Scheduler::subscribe(master.address(), &framework("patient"));
    let offer = scheduler.offer();
    let command = format!("{}; touch {}", until_file(&site, "go"), site.path("gone").display());
    scheduler.launch(&offer, &[command_task("brief", &command)], FOREVER);
    scheduler.until("brief", "TASK_RUNNING");
    master.crash();
    allow(&site, "go");
    site.wait_for_file("gone");
    master.restart();
    let mut info = framework("patient");
    info["id"] = json!({"value": scheduler.id()});
    let mut scheduler = Scheduler::subscribe(master.address(), &info);
    scheduler.until("brief", "TASK_FINISHED");
}

#[test]
fn an_agent_that_starts_before_its_master_joins_later() {
    let site = Site::new();
    let mut master = site.master(&[]);
    master.crash();
    let agent = Program::agent(super::mesos(), &site.path("agent"), master.address(), &[]);
    master.restart();
    let mut scheduler = Scheduler::subscribe(master.address(), &framework("late"));
    let offer = scheduler.offer();
    assert_eq!(
        offer["url"]["address"]["port"].as_u64(),
        Some(u64::from(agent.address().port())),
        "{offer}"
    );
}
