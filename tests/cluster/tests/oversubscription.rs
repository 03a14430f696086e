//! Revocable resources from the agent's estimator to the framework's offer.

use std::time::Duration;

use mesos_tests_cluster::Cluster;
use mesos_tests_conformance::{Scheduler, framework, offers_of};
use serde_json::{Value, json};

const LENDING: &str = r#"--modules={"libraries":[{"modules":[{"name":"org_apache_mesos_FixedResourceEstimator",
    "parameters":[{"key":"resources","value":"cpus:3"}]}]}]}"#;

/// CPUs of one kind in the offers of an event.
fn cpus(event: &Value, revocable: bool) -> f64 {
    let offers = offers_of(event).into_iter().flatten();
    let resources = offers.flat_map(|offer| offer["resources"].as_array().into_iter().flatten());
    resources
        .filter(|resource| resource["name"] == "cpus" && resource.get("revocable").is_some() == revocable)
        .filter_map(|resource| resource["scalar"]["value"].as_f64())
        .sum()
}

#[test]
fn only_frameworks_that_ask_for_them_are_offered_revocable_resources() {
    let mut cluster = Cluster::start(&[]);
    let estimator = "--resource_estimator=org_apache_mesos_FixedResourceEstimator";
    cluster.agent("cpus:1;mem:256", &[LENDING, estimator]);
    let mut plain = Scheduler::subscribe(cluster.master(), &framework("plain"));
    let seen = plain.within(Duration::from_millis(700), |event| {
        (cpus(event, true) > 0.0).then_some(())
    });
    assert!(seen.is_none(), "it did not ask for them");
    let mut info = framework("borrower");
    info["capabilities"] = json!([{"type": "MULTI_ROLE"}, {"type": "REVOCABLE_RESOURCES"}]);
    let mut borrower = Scheduler::subscribe(cluster.master(), &info);
    let lent = borrower.within(Duration::from_secs(30), |event| {
        let lent = cpus(event, true);
        (lent > 0.0).then_some(lent)
    });
    assert_eq!(lent, Some(3.0));
}
