//! Who is offered what, and when again.

use std::time::{Duration, Instant};

use mesos_tests_cluster::Cluster;
use mesos_tests_conformance::{Scheduler, framework, offers_of};
use serde_json::{Value, json};

/// Some allocation rounds: long enough to see an offer that must not be.
const ROUNDS: Duration = Duration::from_millis(700);

fn any_offer(event: &Value) -> Option<()> {
    offers_of(event).map(|_| ())
}

fn cpus(offer: &Value) -> f64 {
    let resources = offer["resources"].as_array().expect("resources");
    resources
        .iter()
        .filter(|resource| resource["name"] == "cpus")
        .filter_map(|resource| resource["scalar"]["value"].as_f64())
        .sum()
}

fn in_role(name: &str, role: &str) -> Value {
    let mut info = framework(name);
    info["roles"] = json!([role]);
    info
}

#[test]
fn a_refused_offer_does_not_come_back_before_its_time() {
    let mut cluster = Cluster::start(&[]);
    cluster.agent("cpus:1;mem:256", &[]);
    let mut scheduler = Scheduler::subscribe(cluster.master(), &framework("picky"));
    let offer = scheduler.offer();
    let begin = Instant::now();
    scheduler.decline(&offer, 2.0);
    let again = scheduler.offer();
    assert!(begin.elapsed() >= Duration::from_secs(2), "{:?}", begin.elapsed());
    assert_eq!(again["agent_id"], offer["agent_id"]);
    assert_ne!(again["id"], offer["id"]);
}

#[test]
fn revive_brings_a_refused_offer_back_at_once() {
    let mut cluster = Cluster::start(&[]);
    cluster.agent("cpus:1;mem:256", &[]);
    let mut scheduler = Scheduler::subscribe(cluster.master(), &framework("fickle"));
    let offer = scheduler.offer();
    scheduler.decline(&offer, 10_000.0);
    assert!(scheduler.within(ROUNDS, any_offer).is_none(), "refused");
    scheduler.call(json!({"type": "REVIVE"}));
    scheduler.offer();
}

#[test]
fn what_one_framework_refuses_another_gets() {
    let mut cluster = Cluster::start(&[]);
    cluster.agent("cpus:1;mem:256", &[]);
    let mut first = Scheduler::subscribe(cluster.master(), &framework("first"));
    let offer = first.offer();
    let mut second = Scheduler::subscribe(cluster.master(), &framework("second"));
    first.decline(&offer, 10_000.0);
    assert_eq!(second.offer()["agent_id"], offer["agent_id"]);
}

#[test]
fn a_framework_that_wants_no_offers_gets_none_until_it_does() {
    let mut cluster = Cluster::start(&[]);
    let mut scheduler = Scheduler::subscribe(cluster.master(), &framework("quiet"));
    scheduler.call(json!({"type": "SUPPRESS"}));
    let mut witness = Scheduler::subscribe(cluster.master(), &framework("witness"));
    cluster.agent("cpus:1;mem:256", &[]);
    let offer = witness.offer();
    witness.decline(&offer, 10_000.0);
    assert!(scheduler.within(ROUNDS, any_offer).is_none(), "suppressed");
    scheduler.call(json!({"type": "REVIVE"}));
    scheduler.offer();
}

#[test]
fn roles_can_be_suppressed_from_the_start() {
    let mut cluster = Cluster::start(&[]);
    let mut quiet = Scheduler::subscribe_with(cluster.master(), &in_role("quiet", "dev"), &["dev"]);
    let mut witness = Scheduler::subscribe(cluster.master(), &framework("witness"));
    cluster.agent("cpus:1;mem:256", &[]);
    let offer = witness.offer();
    witness.decline(&offer, 10_000.0);
    assert!(quiet.within(ROUNDS, any_offer).is_none(), "suppressed");
    quiet.call(json!({"type": "REVIVE", "revive": {"roles": ["dev"]}}));
    let offer = quiet.offer();
    assert_eq!(offer["allocation_info"]["role"], "dev");
}

#[test]
fn an_offer_that_is_not_used_in_time_is_taken_back() {
    let mut cluster = Cluster::start(&["--offer_timeout=500ms"]);
    cluster.agent("cpus:1;mem:256", &[]);
    let mut scheduler = Scheduler::subscribe(cluster.master(), &framework("slow"));
    let offer = scheduler.offer();
    let rescinded = scheduler.wait_for("rescind", |event| {
        (event["type"] == "RESCIND").then(|| event["rescind"]["offer_id"].clone())
    });
    assert_eq!(rescinded, offer["id"]);
    let again = scheduler.offer();
    assert_ne!(again["id"], offer["id"]);
}

#[test]
fn an_offer_of_an_agent_that_goes_is_taken_back() {
    let mut cluster = Cluster::start(&[]);
    let agent = cluster.agent("cpus:1;mem:256", &[]);
    let mut scheduler = Scheduler::subscribe(cluster.master(), &framework("bereft"));
    let offer = scheduler.offer();
    cluster.stop_agent(agent);
    let rescinded = scheduler.wait_for("rescind", |event| {
        (event["type"] == "RESCIND").then(|| event["rescind"]["offer_id"].clone())
    });
    assert_eq!(rescinded, offer["id"]);
}

#[test]
fn an_offer_that_is_gone_cannot_be_used() {
    let mut cluster = Cluster::start(&[]);
    cluster.agent("cpus:1;mem:256", &[]);
    let mut scheduler = Scheduler::subscribe(cluster.master(), &framework("greedy"));
    let offer = scheduler.offer();
    scheduler.decline(&offer, 10_000.0);
    let task = mesos_tests_conformance::command_task("late", "true");
    scheduler.launch(&offer, &[task], 0.0);
    let status = scheduler.update("late");
    assert_eq!(status["state"], "TASK_DROPPED", "{status}");
    assert_eq!(status["reason"], "REASON_INVALID_OFFERS", "{status}");
}

#[test]
fn a_wrong_task_is_refused_and_its_resources_come_back() {
    let mut cluster = Cluster::start(&[]);
    cluster.agent("cpus:1;mem:256", &[]);
    let mut scheduler = Scheduler::subscribe(cluster.master(), &framework("wishful"));
    let offer = scheduler.offer();
    let mut task = mesos_tests_conformance::command_task("huge", "true");
    task["resources"] = mesos_tests_conformance::scalars(&[("cpus", 100.0), ("mem", 32.0)]);
    scheduler.launch(&offer, &[task], 0.0);
    let status = scheduler.update("huge");
    assert_eq!(status["state"], "TASK_ERROR", "{status}");
    assert!(
        status["message"].as_str().is_some_and(|text| !text.is_empty()),
        "{status}"
    );
    assert!((cpus(&scheduler.offer()) - 1.0).abs() < 1e-9);
}

#[test]
fn two_frameworks_share_agents_evenly() {
    const AGENTS: usize = 6;
    let mut cluster = Cluster::start(&[]);
    let mut frameworks = [
        Scheduler::subscribe(cluster.master(), &in_role("one", "a")),
        Scheduler::subscribe(cluster.master(), &in_role("two", "b")),
    ];
    for _ in 0..AGENTS {
        cluster.agent("cpus:1;mem:256", &[]);
    }
    for scheduler in &mut frameworks {
        for _ in 0..AGENTS / 2 {
            assert!((cpus(&scheduler.offer()) - 1.0).abs() < 1e-9);
        }
    }
    for scheduler in &mut frameworks {
        assert!(scheduler.within(ROUNDS, any_offer).is_none(), "more than its share");
    }
}

#[test]
fn weights_shift_the_shares() {
    const AGENTS: usize = 6;
    let mut cluster = Cluster::start(&["--weights=heavy=2,light=1"]);
    let mut heavy = Scheduler::subscribe(cluster.master(), &in_role("one", "heavy"));
    let mut light = Scheduler::subscribe(cluster.master(), &in_role("two", "light"));
    for _ in 0..AGENTS {
        cluster.agent("cpus:1;mem:256", &[]);
    }
    for _ in 0..AGENTS / 3 * 2 {
        heavy.offer();
    }
    for _ in 0..AGENTS / 3 {
        light.offer();
    }
    for scheduler in [&mut heavy, &mut light] {
        assert!(scheduler.within(ROUNDS, any_offer).is_none(), "more than its share");
    }
}
