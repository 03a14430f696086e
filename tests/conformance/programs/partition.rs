//! Agents that are not heard of: frozen (a partition, as the master sees it) or gone for good.

use mesos_tests_conformance::{Scheduler, command_task, framework};
use nix::sys::signal::Signal;
use serde_json::json;

use super::{FOREVER, Site};

const PINGS: &[&str] = &["--agent_ping_timeout=1secs", "--max_agent_ping_timeouts=2"];

fn unaware(name: &str) -> serde_json::Value {
    let mut info = framework(name);
    info["capabilities"] = json!([{"type": "MULTI_ROLE"}]);
    info
}

#[test]
fn a_frozen_agent_becomes_unreachable_and_its_tasks_run_again_when_it_thaws() {
    let site = Site::new();
    let (master, agent) = site.cluster_with(PINGS);
    let mut aware = Scheduler::subscribe(master.address(), &framework("aware"));
    let offer = aware.offer();
    aware.launch(&offer, &[command_task("watched", "sleep 1000")], FOREVER);
    aware.until("watched", "TASK_RUNNING");
    agent.signal(Signal::SIGSTOP);
    let status = aware.until("watched", "TASK_UNREACHABLE");
    assert_eq!(status["reason"], "REASON_AGENT_REMOVED", "{status}");
    assert!(
        status.get("uuid").is_none(),
        "made by the master, not to be acknowledged: {status}"
    );
    assert!(status["unreachable_time"]["nanoseconds"].is_i64(), "{status}");
    let failure = aware.wait_for("failure of the agent", |event| {
        (event["type"] == "FAILURE").then(|| event["failure"].clone())
    });
    assert_eq!(failure["agent_id"], offer["agent_id"]);
    agent.signal(Signal::SIGCONT);
    aware.until("watched", "TASK_RUNNING");
    aware.kill("watched");
    aware.until("watched", "TASK_KILLED");
}

#[test]
fn an_agent_gone_for_good_costs_its_tasks() {
    let site = Site::new();
    let (master, mut agent) = site.cluster_with(PINGS);
    let mut aware = Scheduler::subscribe(master.address(), &framework("aware"));
    let offer = aware.offer();
    aware.launch(&offer, &[command_task("first", "sleep 1000")], FOREVER);
    aware.until("first", "TASK_RUNNING");
    let mut plain = Scheduler::subscribe(master.address(), &unaware("unaware"));
    let offer = plain.offer();
    plain.launch(&offer, &[command_task("second", "sleep 1000")], FOREVER);
    plain.until("second", "TASK_RUNNING");
    agent.crash();
    aware.until("first", "TASK_UNREACHABLE");
    plain.until("second", "TASK_LOST");
    for scheduler in [&mut aware, &mut plain] {
        let failure = scheduler.wait_for("failure of the agent", |event| {
            (event["type"] == "FAILURE").then(|| event["failure"].clone())
        });
        assert_eq!(failure["agent_id"], offer["agent_id"]);
    }
    // Asked again, the master tells the same.
    let tasks = [json!({"task_id": {"value": "first"}, "agent_id": offer["agent_id"]})];
    aware.call(json!({"type": "RECONCILE", "reconcile": {"tasks": tasks}}));
    assert_eq!(aware.update("first")["state"], "TASK_UNREACHABLE");
    // The processes of the tasks outlive their agent; its next life ends them.
    agent.restart();
    aware.until("first", "TASK_RUNNING");
    aware.kill("first");
    aware.until("first", "TASK_KILLED");
}
