//! How v1 frameworks come, go, come back and are replaced.

use std::time::{Duration, Instant};

use mesos_tests_cluster::Cluster;
use mesos_tests_conformance::{EventStream, Scheduler, framework, get};
use serde_json::{Value, json};

fn failing_over(name: &str, seconds: f64) -> Value {
    let mut info = framework(name);
    info["failover_timeout"] = json!(seconds);
    info
}

fn with_id(mut info: Value, id: &str) -> Value {
    info["id"] = json!({"value": id});
    info
}

fn heartbeat(event: &Value) -> Option<()> {
    (event["type"] == "HEARTBEAT").then_some(())
}

/// Names of frameworks in a list of the master's state.
fn listed(cluster: &Cluster, list: &str) -> Vec<String> {
    let answer = get(cluster.master(), "/state").expect("an answer");
    let state: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let frameworks = state[list].as_array().expect("a list");
    frameworks
        .iter()
        .filter_map(|framework| framework["name"].as_str().map(str::to_owned))
        .collect()
}

#[test]
fn the_first_events_are_subscribed_and_a_heartbeat() {
    let cluster = Cluster::start(&[]);
    let mut scheduler = Scheduler::subscribe(cluster.master(), &framework("beating"));
    assert_eq!(scheduler.subscribed()["heartbeat_interval_seconds"], 15.0);
    let port = scheduler.subscribed()["master_info"]["port"].as_u64();
    assert_eq!(port, Some(u64::from(cluster.master().port())));
    let begin = Instant::now();
    scheduler.wait_for("first heartbeat", heartbeat);
    assert!(begin.elapsed() < Duration::from_secs(10), "at once");
    scheduler.wait_for("second heartbeat", heartbeat);
    assert!(begin.elapsed() > Duration::from_secs(10), "after fifteen seconds");
}

#[test]
fn a_call_needs_the_id_of_its_stream_and_subscribe_must_not_have_one() {
    let cluster = Cluster::start(&[]);
    let scheduler = Scheduler::subscribe(cluster.master(), &framework("careful"));
    let call = json!({"type": "REVIVE"});
    assert_eq!(scheduler.call_on(call.clone(), "").status, 400);
    let foreign = "Mesos-Stream-Id: 00000000-0000-0000-0000-000000000000\r\n";
    assert_eq!(scheduler.call_on(call.clone(), foreign).status, 400);
    assert_eq!(scheduler.call_on(json!({"type": "TEARDOWN"}), "").status, 400);
    let subscribe = json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": framework("twice")}});
    let own = format!("Mesos-Stream-Id: {}\r\n", scheduler.stream_id());
    assert_eq!(scheduler.call_on(subscribe, &own).status, 400);
    assert_eq!(scheduler.try_call(call).status, 202);
}

#[test]
fn each_stream_has_an_id_of_its_own() {
    let cluster = Cluster::start(&[]);
    let one = Scheduler::subscribe(cluster.master(), &framework("one"));
    let other = Scheduler::subscribe(cluster.master(), &framework("other"));
    assert_ne!(one.stream_id(), other.stream_id());
    assert_ne!(one.id(), other.id());
    let foreign = format!("Mesos-Stream-Id: {}\r\n", other.stream_id());
    assert_eq!(one.call_on(json!({"type": "REVIVE"}), &foreign).status, 400);
}

#[test]
fn a_second_instance_takes_over_and_the_first_is_told() {
    let mut cluster = Cluster::start(&[]);
    cluster.agent("cpus:1;mem:256", &[]);
    let mut first = Scheduler::subscribe(cluster.master(), &framework("replaced"));
    first.offer();
    let mut second = Scheduler::subscribe(cluster.master(), &with_id(framework("replaced"), first.id()));
    assert_eq!(second.id(), first.id());
    assert_ne!(second.stream_id(), first.stream_id());
    let told = first.wait_for("error", |event| {
        (event["type"] == "ERROR").then(|| event["error"]["message"].clone())
    });
    assert_eq!(told, "Framework failed over");
    first.wait_closed();
    let stale = first.try_call(json!({"type": "REVIVE"}));
    assert_eq!(stale.status, 400, "{}", stale.text());
    // What the first instance held is offered to the second.
    second.offer();
}

/// The event stream of operators, as it is from now on.
fn watch(cluster: &Cluster) -> EventStream {
    EventStream::watch(cluster.master(), Duration::from_secs(20)).expect("the master answers")
}

fn wait_for(events: &EventStream, kind: &str) {
    events.wait_for(kind, |event| (event["type"] == kind).then_some(()));
}

#[test]
fn a_framework_that_comes_back_in_time_keeps_its_id() {
    let cluster = Cluster::start(&[]);
    let mut first = Scheduler::subscribe(cluster.master(), &failing_over("returning", 600.0));
    first.cut();
    let again = Scheduler::subscribe(cluster.master(), &with_id(failing_over("returning", 600.0), first.id()));
    assert_eq!(again.id(), first.id());
    assert_eq!(again.try_call(json!({"type": "REVIVE"})).status, 202);
}

#[test]
fn a_framework_that_stays_away_too_long_is_torn_down() {
    let cluster = Cluster::start(&[]);
    let mut scheduler = Scheduler::subscribe(cluster.master(), &failing_over("leaving", 1.0));
    assert_eq!(listed(&cluster, "frameworks"), ["leaving"]);
    let events = watch(&cluster);
    let begin = Instant::now();
    scheduler.cut();
    wait_for(&events, "FRAMEWORK_REMOVED");
    assert_eq!(listed(&cluster, "completed_frameworks"), ["leaving"]);
    assert!(begin.elapsed() >= Duration::from_secs(1), "too early");
    assert!(listed(&cluster, "frameworks").is_empty());
}

#[test]
fn without_a_failover_timeout_a_framework_ends_with_its_stream() {
    let cluster = Cluster::start(&[]);
    let mut info = framework("fleeting");
    info.as_object_mut().expect("an object").remove("failover_timeout");
    let mut scheduler = Scheduler::subscribe(cluster.master(), &info);
    let events = watch(&cluster);
    scheduler.cut();
    wait_for(&events, "FRAMEWORK_REMOVED");
    assert_eq!(listed(&cluster, "completed_frameworks"), ["fleeting"]);
}

#[test]
fn a_framework_that_has_been_torn_down_cannot_come_back() {
    let cluster = Cluster::start(&[]);
    let mut scheduler = Scheduler::subscribe(cluster.master(), &framework("done"));
    scheduler.call(json!({"type": "TEARDOWN"}));
    scheduler.wait_closed();
    let again = with_id(framework("done"), scheduler.id());
    let told = Scheduler::refused(cluster.master(), &again);
    assert!(told["message"].is_string(), "{told}");
}

#[test]
fn calls_of_a_framework_whose_stream_is_cut_are_refused() {
    let cluster = Cluster::start(&[]);
    let mut scheduler = Scheduler::subscribe(cluster.master(), &framework("mute"));
    let events = watch(&cluster);
    scheduler.cut();
    wait_for(&events, "FRAMEWORK_UPDATED");
    let answer = scheduler.try_call(json!({"type": "REVIVE"}));
    assert_eq!(answer.status, 403, "{}", answer.text());
}
