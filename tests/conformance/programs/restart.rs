//! Agents and masters that crash and come back: tasks go on, and their updates arrive.

use mesos_tests_conformance::{Gate, Program, Scheduler, command_task, framework, get, post_json};
use serde_json::{Value, json};

use super::{FOREVER, Site, raw_executor_task};

/// A command that waits at a gate.
fn until_open(gate: &Gate) -> String {
    format!("cat {}", gate.path().display())
}

/// A command that waits at a gate, and says at another one that it ends.
fn until_open_then(go: &Gate, gone: &Gate) -> String {
    format!("cat {}; echo > {}", go.path().display(), gone.path().display())
}

fn open(gate: &Gate) {
    gate.open(super::PATIENCE).expect("the task waits");
}

#[test]
fn a_command_task_survives_the_crash_of_its_agent() {
    let site = Site::new();
    let (master, mut agent) = site.cluster();
    let mut scheduler = Scheduler::subscribe(master.address(), &framework("checkpointing"));
    let offer = scheduler.offer();
    let go = site.gate("go");
    scheduler.launch(&offer, &[command_task("survivor", &until_open(&go))], FOREVER);
    scheduler.until("survivor", "TASK_RUNNING");
    agent.restart();
    // Offers come again when the agent is back.
    let again = Site::offer_after_return(&mut agent, &mut scheduler);
    assert_eq!(again["agent_id"], offer["agent_id"], "the agent keeps its id");
    open(&go);
    scheduler.until("survivor", "TASK_FINISHED");
}

#[test]
fn a_task_that_ends_while_its_agent_is_away_is_told_afterwards() {
    let site = Site::new();
    let (master, mut agent) = site.cluster();
    let mut scheduler = Scheduler::subscribe(master.address(), &framework("checkpointing"));
    let offer = scheduler.offer();
    let (go, gone) = (site.gate("go"), site.gate("gone"));
    let command = until_open_then(&go, &gone);
    scheduler.launch(&offer, &[command_task("short", &command)], FOREVER);
    scheduler.until("short", "TASK_RUNNING");
    agent.crash();
    open(&go);
    gone.passed(super::PATIENCE).expect("the task ends");
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
    let offer = Site::offer_after_return(&mut agent, &mut scheduler);
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
    let go = site.gate("go");
    scheduler.launch(&offer, &[command_task("lasting", &until_open(&go))], FOREVER);
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
    open(&go);
    scheduler.until("lasting", "TASK_FINISHED");
}

#[test]
fn a_task_that_ends_between_two_masters_is_told_to_the_framework() {
    let site = Site::new();
    let (mut master, _agent) = site.cluster();
    let mut scheduler = Scheduler::subscribe(master.address(), &framework("patient"));
    let offer = scheduler.offer();
    let (go, gone) = (site.gate("go"), site.gate("gone"));
    let command = until_open_then(&go, &gone);
    scheduler.launch(&offer, &[command_task("brief", &command)], FOREVER);
    scheduler.until("brief", "TASK_RUNNING");
    master.crash();
    open(&go);
    gone.passed(super::PATIENCE).expect("the task ends");
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

fn operator(master: &Program, call: &Value) -> u16 {
    let answer = post_json(master.address(), "/api/v1", call).expect("an answer");
    answer.status
}

/// Agents, plans and quota as operators read them.
fn read(master: &Program, path: &str) -> Value {
    let answer = get(master.address(), path).expect("an answer");
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

/// Every call was confirmed when the master is killed, so the next one knows all of it.
#[test]
fn a_killed_master_with_its_registry_on_disk_forgets_nothing_that_it_confirmed() {
    let site = Site::new();
    let (mut master, mut agent) = site.cluster_with(&["--registry=disk"]);
    let mut scheduler = Scheduler::subscribe(master.address(), &framework("patient"));
    let offer = scheduler.offer();
    let kept = &offer["agent_id"];
    let go = site.gate("go");
    scheduler.launch(&offer, &[command_task("lasting", &until_open(&go))], FOREVER);
    scheduler.until("lasting", "TASK_RUNNING");
    let mut lost = Program::agent(super::mesos(), &site.path("lost"), master.address(), &[]);
    let offer = scheduler.offer();
    let gone = offer["agent_id"].clone();
    assert_ne!(&gone, kept);
    // A task that has run says that the agent has checkpointed what it is.
    scheduler.launch(&offer, &[command_task("witness", "true")], FOREVER);
    scheduler.until("witness", "TASK_FINISHED");
    lost.crash();
    let machine = json!([{"hostname": "zz"}]);
    let window = json!({"machine_ids": machine, "unavailability": {"start": {"nanoseconds": 7}}});
    let calls = [
        json!({"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": gone}}),
        json!({"type": "DEACTIVATE_AGENT", "deactivate_agent": {"agent_id": kept}}),
        json!({"type": "UPDATE_QUOTA", "update_quota": {"force": true, "quota_configs": [
            {"role": "q1", "guarantees": {"cpus": {"value": 2}}, "limits": {"cpus": {"value": 3}}}]}}),
        json!({"type": "UPDATE_WEIGHTS", "update_weights": {"weight_infos": [{"role": "w1", "weight": 2.5}]}}),
        json!({"type": "UPDATE_MAINTENANCE_SCHEDULE", "update_maintenance_schedule": {"schedule": {"windows": [window]}}}),
        json!({"type": "START_MAINTENANCE", "start_maintenance": {"machines": machine}}),
    ];
    for call in &calls {
        assert_eq!(operator(&master, call), 200, "{call}");
    }
    let schedule = read(&master, "/maintenance/schedule");
    master.restart();
    scheduler.wait_closed();

    agent.wait_for_log(&[": re-registered"]).expect("the agent comes back");
    let back = read(&master, "/slaves")["slaves"][0].clone();
    assert_eq!(back["id"], kept["value"], "the agent keeps its id");
    assert_eq!((&back["deactivated"], &back["active"]), (&json!(true), &json!(false)));
    assert_eq!(read(&master, "/quota")["configs"][0]["role"], "q1");
    assert_eq!(read(&master, "/weights"), json!([{"role": "w1", "weight": 2.5}]));
    assert_eq!(read(&master, "/maintenance/schedule"), schedule);
    assert_eq!(read(&master, "/maintenance/status")["down_machines"], machine);
    lost.restart_to_its_end(&[]);
    assert_eq!(operator(&master, &calls[0]), 200, "it was gone before");
    assert_eq!(read(&master, "/slaves")["slaves"].as_array().map(Vec::len), Some(1));

    let mut info = framework("patient");
    info["id"] = json!({"value": scheduler.id()});
    let mut scheduler = Scheduler::subscribe(master.address(), &info);
    open(&go);
    scheduler.until("lasting", "TASK_FINISHED");
    let reactivate = json!({"type": "REACTIVATE_AGENT", "reactivate_agent": {"agent_id": kept}});
    assert_eq!(operator(&master, &reactivate), 200);
    assert_eq!(&scheduler.offer()["agent_id"], kept);
}
