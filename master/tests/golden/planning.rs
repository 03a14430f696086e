//! Draining, deactivation, maintenance and goodbye over real sockets: recorded requests in their order, with the id of
//! our own agent, and what is read between them.

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::compare;
use crate::exchange::{Answer, golden, recorded, send};

/// Id of the agent of the recordings.
const RECORDED_AGENT: &str = "b89917cd-4427-49cd-ac06-2050b8d3b5b8-S0";

/// Differences of shape that are meant: the test's agent has other resources than the recorded one.
const MEANT: &[&str] = &[
    "/get_agents/agents[]/agent_info/resources[]",
    "/get_agents/agents[]/total_resources[]",
    "/slaves[]/reserved_resources_full",
];

/// A request with another agent in its body.
fn with_agent(request: &[u8], agent: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(request);
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let body = body.replace(RECORDED_AGENT, agent);
    let head = head.lines().map(|line| {
        if line.to_ascii_lowercase().starts_with("content-length:") {
            format!("Content-Length: {}\r\n", body.trim_end_matches('\n').len())
        } else {
            format!("{line}\r\n")
        }
    });
    format!("{}\r\n{}", head.collect::<String>(), body.trim_end_matches('\n')).into_bytes()
}

/// Sends a recorded request about this agent and compares head and shape; gives the answer.
async fn replay(cluster: &Cluster, name: &str, agent: &str) -> Answer {
    let (request, recorded) = recorded(&golden().join(format!("mutations/{name}.http")));
    let answer = send(cluster.master.node().bound_address(), &with_agent(&request, agent)).await;
    let differences = compare(&answer, &recorded).into_iter();
    let unmeant = differences.filter(|difference| !MEANT.iter().any(|begin| difference.starts_with(begin)));
    let unmeant: Vec<String> = unmeant.collect();
    assert!(unmeant.is_empty(), "{name}: {}", unmeant.join("\n"));
    answer
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).expect("JSON")
}

/// The same document with the elements of all arrays in the order of their texts: they come from hash tables.
fn unordered(value: Value) -> Value {
    match value {
        Value::Array(elements) => {
            let mut elements: Vec<Value> = elements.into_iter().map(unordered).collect();
            elements.sort_by_key(Value::to_string);
            Value::Array(elements)
        }
        Value::Object(members) => members
            .into_iter()
            .map(|(key, value)| (key, unordered(value)))
            .collect(),
        other => other,
    }
}

#[tokio::test]
async fn agents_are_deactivated_drained_and_gone_as_recorded() {
    let cluster = Cluster::start().await;
    cluster.register().await;
    let agent = cluster.agent_id_text().await;
    let drained = json!({"state": "DRAINED", "config": {"max_grace_period": {"nanoseconds": 3_000_000_000_i64}, "mark_gone": false}});
    replay(&cluster, "DEACTIVATE_AGENT", &agent).await;
    for (name, list) in [
        ("slaves_deactivated", "/slaves/0"),
        ("GET_AGENTS_deactivated", "/get_agents/agents/0"),
    ] {
        let told = json_of(&replay(&cluster, name, &agent).await);
        let shown = told.pointer(list).expect("an agent");
        assert_eq!(
            (&shown["active"], &shown["deactivated"]),
            (&json!(false), &json!(true)),
            "{name}"
        );
    }
    replay(&cluster, "REACTIVATE_AGENT", &agent).await;
    let told = json_of(&replay(&cluster, "slaves_reactivated", &agent).await);
    assert_eq!(told["slaves"][0]["deactivated"], json!(false));
    replay(&cluster, "DRAIN_AGENT", &agent).await;
    for (name, list) in [
        ("slaves_drained", "/slaves/0"),
        ("GET_AGENTS_drained", "/get_agents/agents/0"),
    ] {
        let told = json_of(&replay(&cluster, name, &agent).await);
        let shown = told.pointer(list).expect("an agent");
        assert_eq!(shown["drain_info"], drained, "{name}");
    }
    replay(&cluster, "DRAIN_again", &agent).await;
    replay(&cluster, "REACTIVATE_2", &agent).await;
    replay(&cluster, "MARK_AGENT_GONE", &agent).await;
    replay(&cluster, "MARK_AGENT_GONE_again", &agent).await;
    cluster.stop().await;
}

#[tokio::test]
async fn machines_go_down_and_come_up_as_recorded() {
    let cluster = Cluster::start().await;
    cluster.register().await;
    let agent = cluster.agent_id_text().await;
    for name in [
        "v0_maintenance_schedule_POST",
        "maintenance_status",
        "v0_machine_down",
        "maintenance_status_down",
        "v0_machine_up",
        "maintenance_schedule_up",
        "v0_schedule_clear",
    ] {
        let answer = replay(&cluster, name, &agent).await;
        let (_, recorded) = recorded(&golden().join(format!("mutations/{name}.http")));
        if !recorded.body.trim_ascii().is_empty() {
            assert_eq!(unordered(json_of(&answer)), unordered(json_of(&recorded)), "{name}");
        }
    }
    cluster.stop().await;
}
