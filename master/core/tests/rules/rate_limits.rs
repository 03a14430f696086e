//! Rate limits: who waits, who is dropped, who is told.

use std::time::Duration;

use libprocess_types::Upid;
use mesos::Message;
use mesos_master_core::{FrameworkState, MessageCounts, RateLimits};
use mesos_proto::internal::wire::messages as wire;
use mesos_proto::v0::mesos as proto;
use mesos_registrar::Registry;

use crate::actors::{framework_info, register_agent};
use crate::harness::{Harness, config, upid};

fn limits(json: &str) -> RateLimits {
    let message: proto::RateLimits = mesos::json::from_str(json).expect("rate limits");
    RateLimits::from_proto(&message).expect("good limits")
}

fn limited(json: &str) -> Harness {
    let mut config = config();
    config.rate_limits = limits(json);
    Harness::with(config, Registry::new())
}

/// A driver at this port whose framework has this principal.
fn driver(harness: &mut Harness, port: u16, principal: Option<&str>) -> (Upid, proto::FrameworkID) {
    let address = upid(&format!("scheduler@127.0.0.1:{port}"));
    let mut info = framework_info(&[]);
    info.principal = principal.map(str::to_owned);
    info.set_failover_timeout(1000.0);
    let mut message = wire::RegisterFrameworkMessage::new();
    message.framework = Some(info).into();
    harness.receive(&address, message);
    let id = harness
        .messages_to(&address)
        .into_iter()
        .find_map(|message| match message {
            Message::FrameworkRegistered(answer) => answer.framework_id.into_option(),
            _ => None,
        });
    (address, id.expect("registered"))
}

/// Asks about a task that nobody knows: each is answered by one status.
fn ask(harness: &mut Harness, (address, id): &(Upid, proto::FrameworkID)) {
    let mut message = wire::ReconcileTasksMessage::new();
    message.framework_id = Some(id.clone()).into();
    let mut status = proto::TaskStatus::new();
    status.task_id.mut_or_insert_default().set_value("t".to_owned());
    status.set_state(proto::TaskState::TASK_RUNNING);
    message.statuses.push(status);
    harness.receive(address, message);
}

fn answers(harness: &Harness, (address, _): &(Upid, proto::FrameworkID)) -> usize {
    let names = harness.names_to(address);
    names.iter().filter(|name| **name == "StatusUpdateMessage").count()
}

fn errors(harness: &Harness, (address, _): &(Upid, proto::FrameworkID)) -> Vec<String> {
    let errors = harness
        .messages_to(address)
        .into_iter()
        .filter_map(|message| match message {
            Message::FrameworkError(error) => Some(error.message().to_owned()),
            _ => None,
        });
    errors.collect()
}

#[test]
fn messages_above_the_rate_wait_in_their_order() {
    let mut harness = limited(r#"{"limits":[{"principal":"slow","qps":2}]}"#);
    let slow = driver(&mut harness, 6000, Some("slow"));
    let fast = driver(&mut harness, 6001, Some("fast"));
    let nobody = driver(&mut harness, 6002, None);
    for framework in [&slow, &fast, &nobody] {
        for _ in 0..5 {
            ask(&mut harness, framework);
        }
    }
    assert_eq!(answers(&harness, &slow), 1, "the first passes at once");
    assert_eq!(
        (answers(&harness, &fast), answers(&harness, &nobody)),
        (5, 5),
        "not limited"
    );
    let counts = harness.master.message_counts()["slow"];
    assert_eq!((counts.received, counts.processed), (5, 1));
    for expected in [2, 3, 4, 5] {
        harness.advance(Duration::from_millis(500));
        assert_eq!(answers(&harness, &slow), expected);
    }
    let counts = harness.master.message_counts();
    assert_eq!(
        counts["slow"],
        MessageCounts {
            received: 5,
            processed: 5
        }
    );
    assert_eq!(counts["fast"].processed, 5);
    assert_eq!(counts.len(), 2, "a framework without principal has no counts");
    harness.advance(Duration::from_secs(1));
    ask(&mut harness, &slow);
    assert_eq!(answers(&harness, &slow), 6, "after a quiet time at once again");
}

#[test]
fn above_the_capacity_messages_are_dropped_and_the_scheduler_told() {
    let mut harness = limited(r#"{"limits":[{"principal":"slow","qps":1,"capacity":2}]}"#);
    let slow = driver(&mut harness, 6000, Some("slow"));
    for _ in 0..5 {
        ask(&mut harness, &slow);
    }
    assert_eq!(answers(&harness, &slow), 1);
    let told = errors(&harness, &slow);
    assert_eq!(told.len(), 2, "one handled, two wait, two dropped");
    assert!(
        told[0].contains("ReconcileTasksMessage") && told[0].contains('2'),
        "{}",
        told[0]
    );
    harness.advance(Duration::from_secs(10));
    assert_eq!(answers(&harness, &slow), 3, "what waited before is still handled");
    let counts = harness.master.message_counts()["slow"];
    assert_eq!((counts.received, counts.processed), (5, 3));
    ask(&mut harness, &slow);
    assert_eq!(answers(&harness, &slow), 4, "there is room again");
}

#[test]
fn frameworks_that_are_not_listed_share_the_default_limit() {
    let json = r#"{"limits":[{"principal":"free"}],"aggregate_default_qps":1,"aggregate_default_capacity":3}"#;
    let mut harness = limited(json);
    let free = driver(&mut harness, 6000, Some("free"));
    let other = driver(&mut harness, 6001, Some("other"));
    let nobody = driver(&mut harness, 6002, None);
    for framework in [&free, &other, &nobody, &other, &nobody] {
        ask(&mut harness, framework);
    }
    assert_eq!(answers(&harness, &free), 1);
    assert_eq!(
        answers(&harness, &other) + answers(&harness, &nobody),
        1,
        "one permit for both"
    );
    ask(&mut harness, &free);
    assert_eq!(answers(&harness, &free), 2, "listed without a rate: never limited");
    ask(&mut harness, &nobody);
    assert_eq!(errors(&harness, &nobody).len(), 1, "three wait already");
    harness.advance(Duration::from_secs(3));
    assert_eq!((answers(&harness, &other), answers(&harness, &nobody)), (2, 2));
}

/// The end of a link must not overtake what its process sent before, and is never dropped.
#[test]
fn a_broken_link_waits_behind_the_messages() {
    let mut harness = limited(r#"{"limits":[{"principal":"slow","qps":1,"capacity":1}]}"#);
    let slow = driver(&mut harness, 6000, Some("slow"));
    ask(&mut harness, &slow);
    ask(&mut harness, &slow);
    harness.exited(&slow.0);
    let state = |harness: &Harness| {
        harness
            .master
            .frameworks()
            .values()
            .next()
            .map(|own| own.state().clone())
    };
    assert!(matches!(state(&harness), Some(FrameworkState::Active(_))));
    harness.advance(Duration::from_secs(1));
    assert_eq!(answers(&harness, &slow), 2);
    assert!(matches!(state(&harness), Some(FrameworkState::Active(_))));
    harness.advance(Duration::from_secs(1));
    assert!(matches!(state(&harness), Some(FrameworkState::Disconnected)));
}

#[test]
fn the_counts_of_a_principal_go_with_its_last_framework() {
    let mut harness = limited(r#"{"limits":[{"principal":"slow","qps":100}]}"#);
    let first = driver(&mut harness, 6000, Some("slow"));
    let second = driver(&mut harness, 6001, Some("slow"));
    ask(&mut harness, &first);
    harness.advance(Duration::from_secs(1));
    for (index, (address, id)) in [first, second].into_iter().enumerate() {
        let mut message = wire::UnregisterFrameworkMessage::new();
        message.framework_id = Some(id).into();
        harness.receive(&address, message);
        harness.advance(Duration::from_secs(1));
        let known = harness.master.message_counts().contains_key("slow");
        assert_eq!(known, index == 0);
    }
    let again = driver(&mut harness, 6002, Some("slow"));
    ask(&mut harness, &again);
    assert_eq!(harness.master.message_counts()["slow"].received, 1, "counted anew");
}

/// Agents are no frameworks, whatever the limits say.
#[test]
fn agents_are_not_limited() {
    let mut harness = limited(r#"{"limits":[],"aggregate_default_qps":0.001,"aggregate_default_capacity":0}"#);
    register_agent(&mut harness, 0);
    register_agent(&mut harness, 1);
    assert_eq!(harness.master.agents().len(), 2);
    let refused = driver(&mut harness, 6000, None);
    ask(&mut harness, &refused);
    assert_eq!(errors(&harness, &refused).len(), 1, "no message may wait");
}
