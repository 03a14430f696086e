//! How fast silent agents are given up, and who is not after all.

use std::time::Duration;

use mesos::ids::AgentId;
use mesos_master_core::MasterTimer;
use mesos_proto::internal::master::stored_registry::registry::Slave;
use mesos_proto::internal::wire::messages as wire;
use mesos_registrar::Registry;

use crate::actors::{agent_info, agent_upid, register_agent, reregister_message};
use crate::harness::{Harness, config};

const MINUTE: Duration = Duration::from_secs(60);

/// A master that gives one agent up per minute.
fn limited(registry: Registry) -> Harness {
    let mut config = config();
    config.agent_removal_interval = Some(MINUTE);
    Harness::with(config, registry)
}

fn registry(ids: &[&str]) -> Registry {
    let mut registry = Registry::new();
    for id in ids {
        let mut slave = Slave::new();
        slave.info = Some(agent_info(Some(&AgentId::new(*id)))).into();
        registry.slaves.mut_or_insert_default().slaves.push(slave);
    }
    registry
}

fn counted(harness: &Harness) -> [u64; 3] {
    let counters = harness.master.counters();
    ["scheduled", "completed", "canceled"].map(|what| {
        *counters
            .get(format!("master/slave_unreachable_{what}").as_str())
            .unwrap_or(&0)
    })
}

#[test]
fn one_silent_agent_after_the_other_is_given_up() {
    let mut harness = limited(Registry::new());
    for number in 0..3 {
        register_agent(&mut harness, number);
    }
    harness.advance(Duration::from_secs(74));
    assert_eq!(counted(&harness), [0, 0, 0]);
    harness.advance(Duration::from_secs(2));
    assert_eq!(counted(&harness), [3, 1, 0], "all have missed five pings");
    assert_eq!(harness.master.agents().len(), 2);
    harness.advance(MINUTE - Duration::from_secs(2));
    assert_eq!(harness.master.agents().len(), 2);
    harness.advance(Duration::from_secs(2));
    assert_eq!(harness.master.agents().len(), 1);
    harness.advance(MINUTE);
    assert_eq!(harness.master.agents().len(), 0);
    assert_eq!(counted(&harness), [3, 3, 0]);
    assert_eq!(harness.registrar.registry().unreachable.slaves.len(), 3);
}

#[test]
fn an_agent_that_answers_again_while_it_waits_stays() {
    let mut harness = limited(Registry::new());
    let (_, first) = register_agent(&mut harness, 0);
    let (address, second) = register_agent(&mut harness, 1);
    let (_, third) = register_agent(&mut harness, 2);
    harness.advance(Duration::from_secs(76));
    assert_eq!(counted(&harness), [3, 1, 0]);
    harness.receive(&address, wire::PongSlaveMessage::new());
    assert_eq!(counted(&harness), [3, 1, 1]);
    harness.advance_alive(MINUTE, &[&address]);
    let agents: Vec<&AgentId> = harness.master.agents().keys().collect();
    assert_eq!(agents, [&second], "the permit was the third one's");
    assert!(harness.master.unreachable_agents().contains(&first));
    assert!(harness.master.unreachable_agents().contains(&third));
}

#[test]
fn pings_broken_links_and_failover_share_one_limit() {
    let mut harness = limited(registry(&["old-S0"]));
    let (silent, _) = register_agent(&mut harness, 0);
    let (gone, unlinked) = register_agent(&mut harness, 1);
    // All three kinds of silence end together: failover and the broken link after ten minutes, the fifth ping too.
    harness.exited(&gone);
    harness.advance_alive(Duration::from_secs(599) - Duration::from_secs(75), &[&silent, &gone]);
    for _ in 0..74 {
        harness.advance_alive(Duration::from_secs(1), &[&gone]);
    }
    assert_eq!(counted(&harness), [0, 0, 0]);
    harness.advance_alive(Duration::from_secs(15), &[&gone]);
    let [scheduled, completed, cancelled] = counted(&harness);
    assert_eq!((scheduled, completed, cancelled), (3, 1, 0));
    harness.advance_alive(MINUTE, &[&gone]);
    assert_eq!(counted(&harness)[1], 2);
    harness.advance_alive(MINUTE, &[&gone]);
    assert_eq!(counted(&harness)[1], 3);
    assert!(harness.master.agents().is_empty() && harness.master.recovered_agents().is_empty());
    assert!(harness.master.unreachable_agents().contains(&unlinked));
}

#[test]
fn an_agent_that_registers_again_while_it_waits_stays() {
    let mut harness = limited(registry(&["old-S0", "old-S1", "old-S2"]));
    harness.advance(Duration::from_secs(601));
    assert_eq!(counted(&harness), [3, 1, 0]);
    let back = AgentId::new("old-S1");
    harness.receive(&agent_upid(4), reregister_message(&back));
    assert!(harness.master.agents().contains_key(&back));
    assert_eq!(counted(&harness), [3, 1, 1]);
    harness.advance_alive(MINUTE, &[&agent_upid(4)]);
    assert_eq!(counted(&harness), [3, 2, 1]);
    assert!(harness.master.agents().contains_key(&back));
}

#[test]
fn a_link_that_is_back_ends_the_wait_for_it() {
    let mut harness = limited(Registry::new());
    let (first, _) = register_agent(&mut harness, 0);
    let (second, id) = register_agent(&mut harness, 1);
    harness.exited(&first);
    harness.exited(&second);
    harness.advance_alive(Duration::from_secs(600), &[&first, &second]);
    assert_eq!(counted(&harness), [2, 1, 0]);
    harness.receive(&second, reregister_message(&id));
    assert_eq!(counted(&harness), [2, 1, 1]);
    harness.advance_alive(MINUTE * 2, &[&second]);
    assert!(harness.agent(&id).is_connected());
    assert!(!harness.has_timer(&MasterTimer::AgentRemoval));
}

#[test]
fn without_a_limit_all_go_at_once() {
    let mut harness = Harness::new();
    for number in 0..3 {
        register_agent(&mut harness, number);
    }
    harness.advance(Duration::from_secs(76));
    assert_eq!(counted(&harness), [3, 3, 0]);
}

/// The two flags together say how long an agent may be silent, and agents are told so.
#[test]
fn ping_timeouts_multiply() {
    let mut config = config();
    config.agent_ping_timeout = Duration::from_secs(7);
    config.max_agent_ping_timeouts = 3;
    let mut harness = Harness::with(config, Registry::new());
    let (address, _) = register_agent(&mut harness, 0);
    let told = harness
        .messages_to(&address)
        .into_iter()
        .find_map(|message| match message {
            mesos::Message::SlaveRegistered(answer) => Some(answer.connection.total_ping_timeout_seconds()),
            _ => None,
        });
    assert_eq!(told.map(|seconds| seconds.to_string()).as_deref(), Some("21"));
    harness.advance(Duration::from_millis(20_900));
    assert_eq!(harness.master.agents().len(), 1);
    harness.advance(Duration::from_millis(200));
    assert_eq!(harness.master.agents().len(), 0);
}

/// Who was back and is silent again stands at the end of the line, and once.
#[test]
fn an_agent_that_comes_and_goes_waits_anew() {
    let mut harness = limited(Registry::new());
    register_agent(&mut harness, 0);
    let (address, flapping) = register_agent(&mut harness, 1);
    let (_, steady) = register_agent(&mut harness, 2);
    harness.advance(Duration::from_secs(76));
    assert_eq!(counted(&harness), [3, 1, 0]);
    // An answer, and then five missed pings again, before the second permit after the first minute.
    harness.receive(&address, wire::PongSlaveMessage::new());
    harness.advance(Duration::from_secs(58));
    assert_eq!(counted(&harness), [3, 1, 1]);
    harness.advance(Duration::from_secs(2));
    assert!(
        harness.master.unreachable_agents().contains(&steady),
        "the flapping one lost its place"
    );
    harness.advance(MINUTE);
    assert_eq!(counted(&harness), [4, 3, 1]);
    assert!(harness.master.unreachable_agents().contains(&flapping));
}
