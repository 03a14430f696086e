//! Operators drain agents and take machines down while a framework looks on, over real sockets.

use mesos_tests_cluster::Cluster;
use mesos_tests_conformance::{Scheduler, framework, get, post_json};
use serde_json::{Value, json};

fn operator(cluster: &Cluster, call: &Value) -> u16 {
    let answer = post_json(cluster.master(), "/api/v1", call).expect("an answer");
    answer.status
}

fn read(cluster: &Cluster, path: &str) -> Value {
    let answer = get(cluster.master(), path).expect("an answer");
    serde_json::from_slice(&answer.body).expect("JSON")
}

fn of_type(kind: &'static str) -> impl FnMut(&Value) -> Option<Value> {
    move |event| (event["type"] == kind).then(|| event.clone())
}

#[test]
fn a_drained_agent_is_offered_again_when_it_is_reactivated() {
    let mut cluster = Cluster::start(&[]);
    cluster.agent("cpus:1;mem:256", &[]);
    let mut scheduler = Scheduler::subscribe(cluster.master(), &framework("onlooker"));
    let offer = scheduler.offer();
    let agent = &offer["agent_id"];
    let drain = json!({"type": "DRAIN_AGENT", "drain_agent": {"agent_id": agent, "max_grace_period": {"seconds": 2}}});
    assert_eq!(operator(&cluster, &drain), 200);
    let rescinded = scheduler.wait_for("rescind", of_type("RESCIND"));
    assert_eq!(rescinded["rescind"]["offer_id"], offer["id"]);
    let shown = &read(&cluster, "/slaves")["slaves"][0];
    assert_eq!((&shown["deactivated"], &shown["active"]), (&json!(true), &json!(false)));
    assert_eq!(shown["drain_info"]["state"], "DRAINED", "nothing runs there");
    assert_eq!(
        shown["drain_info"]["config"]["max_grace_period"]["nanoseconds"],
        json!(2_000_000_000_u64)
    );
    assert!(shown["estimated_drain_start_time_seconds"].is_f64());
    let reactivate = json!({"type": "REACTIVATE_AGENT", "reactivate_agent": {"agent_id": agent}});
    assert_eq!(operator(&cluster, &reactivate), 200);
    assert_eq!(operator(&cluster, &reactivate), 400, "it is not deactivated any more");
    let again = scheduler.offer();
    assert_eq!(&again["agent_id"], agent);
    assert!(read(&cluster, "/slaves")["slaves"][0].get("drain_info").is_none());
}

#[test]
fn a_framework_hears_of_maintenance_answers_and_loses_the_agent_that_goes_down() {
    let mut cluster = Cluster::start(&[]);
    cluster.agent("cpus:1;mem:256", &["--hostname=machine-1"]);
    let mut scheduler = Scheduler::subscribe(cluster.master(), &framework("onlooker"));
    let offer = scheduler.offer();
    let machine = json!({"hostname": "machine-1", "ip": "127.0.0.1"});
    let schedule = json!({"windows": [{"machine_ids": [machine], "unavailability": {"start": {"nanoseconds": 5}}}]});
    let answer = post_json(cluster.master(), "/maintenance/schedule", &schedule).expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    scheduler.wait_for("rescind", of_type("RESCIND"));
    let planned = scheduler.offer();
    assert_eq!(planned["unavailability"]["start"]["nanoseconds"], 5);
    let asked = scheduler.wait_for("inverse offer", of_type("INVERSE_OFFERS"));
    let inverse = &asked["inverse_offers"]["inverse_offers"][0];
    assert_eq!(inverse["agent_id"], offer["agent_id"]);
    scheduler.call(json!({"type": "ACCEPT_INVERSE_OFFERS",
        "accept_inverse_offers": {"inverse_offer_ids": [inverse["id"]], "filters": {"refuse_seconds": 1000.0}}}));
    let status = read(&cluster, "/maintenance/status");
    let told = &status["draining_machines"][0]["statuses"][0];
    assert_eq!(
        (&told["status"], &told["framework_id"]["value"]),
        (&json!("ACCEPT"), &json!(scheduler.id()))
    );
    let down = post_json(cluster.master(), "/machine/down", &json!([machine])).expect("an answer");
    assert_eq!(down.status, 200, "{}", down.text());
    let lost = scheduler.wait_for("failure", of_type("FAILURE"));
    assert_eq!(lost["failure"]["agent_id"], offer["agent_id"]);
    assert_eq!(read(&cluster, "/maintenance/status")["down_machines"], json!([machine]));
    assert_eq!(read(&cluster, "/slaves")["slaves"], json!([]));
    let up = json!({"type": "STOP_MAINTENANCE", "stop_maintenance": {"machines": [machine]}});
    assert_eq!(operator(&cluster, &up), 200);
    assert_eq!(read(&cluster, "/maintenance/schedule"), json!({}));
    cluster.agent("cpus:1;mem:256", &["--hostname=machine-1"]);
    let back = scheduler.offer();
    assert_ne!(back["agent_id"], offer["agent_id"]);
}
