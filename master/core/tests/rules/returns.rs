//! Agents that register again with something new, and agents that are older than the master.

use std::time::Duration;

use mesos::Message;
use mesos::capabilities::AgentCapabilities;
use mesos::ids::AgentId;
use mesos_proto::internal::wire::messages as wire;
use mesos_proto::v0::mesos as proto;
use mesos_proto::v0::mesos::TaskState;
use mesos_proto::v0::mesos::framework_info::capability::Type as Capability;
use mesos_registrar::Registry;

use crate::actors::{
    MODERN, Scheduler, agent_upid, command_task, framework_info, register_agent, register_message, reported_task,
    reregister_message, resources,
};
use crate::harness::{Harness, config};

type Change = fn(&mut wire::ReregisterSlaveMessage);

/// What the master does with a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// It takes the change over and has it stored.
    Stored,
    /// It takes the message over and stores nothing.
    Taken,
    /// It says nothing and changes nothing.
    Refused,
    /// It tells the agent to end.
    ShutDown,
}

fn slave(message: &mut wire::ReregisterSlaveMessage) -> &mut proto::SlaveInfo {
    message.slave.mut_or_insert_default()
}

fn domain(region: &str) -> proto::DomainInfo {
    let mut domain = proto::DomainInfo::new();
    let fault = domain.fault_domain.mut_or_insert_default();
    fault.region.mut_or_insert_default().set_name(region.to_owned());
    fault.zone.mut_or_insert_default().set_name("zone".to_owned());
    domain
}

const ROWS: &[(&str, Change, Answer)] = &[
    ("nothing new", |_| {}, Answer::Taken),
    (
        "another version",
        |message| message.set_version("1.10.0".to_owned()),
        Answer::Taken,
    ),
    (
        "the oldest version",
        |message| message.set_version("1.0.0".to_owned()),
        Answer::Taken,
    ),
    (
        "a version before the oldest",
        |message| message.set_version("0.28.3".to_owned()),
        Answer::Refused,
    ),
    (
        "a newer version",
        |message| message.set_version("2.3.4-rc1".to_owned()),
        Answer::Taken,
    ),
    ("no version", |message| message.version = None, Answer::Refused),
    (
        "fewer capabilities",
        |message| message.agent_capabilities.clear(),
        Answer::Taken,
    ),
    (
        "other attributes",
        |message| {
            let mut attribute = proto::Attribute::new();
            attribute.set_name("rack".to_owned());
            attribute.set_type(proto::value::Type::TEXT);
            attribute.text.mut_or_insert_default().set_value("r1".to_owned());
            slave(message).attributes.push(attribute);
        },
        Answer::Stored,
    ),
    (
        "more resources",
        |message| {
            slave(message).resources = resources("cpus:8;mem:4096;disk:8192");
        },
        Answer::Stored,
    ),
    (
        "fewer resources",
        |message| {
            slave(message).resources = resources("cpus:1;mem:64");
        },
        Answer::Stored,
    ),
    ("another port", |message| slave(message).set_port(9999), Answer::Stored),
    (
        "another host name",
        |message| slave(message).set_hostname("other".to_owned()),
        Answer::ShutDown,
    ),
    (
        "a domain, and the master has none",
        |message| {
            slave(message).domain = Some(domain("west")).into();
        },
        Answer::Refused,
    ),
    (
        "negative resources",
        |message| slave(message).resources = resources("cpus:-1"),
        Answer::Refused,
    ),
    (
        "no id",
        |message| slave(message).id = protobuf::MessageField::none(),
        Answer::Refused,
    ),
    (
        "a task of an unknown framework",
        |message| {
            let agent = AgentId::from(&*message.slave.id);
            let task = reported_task(&"nobody".into(), &agent, "a", TaskState::TASK_RUNNING);
            message.tasks.push(task);
        },
        Answer::Refused,
    ),
];

#[test]
fn each_change_of_a_registered_agent_has_its_answer() {
    for (name, change, expected) in ROWS {
        let mut harness = Harness::new();
        let (address, id) = register_agent(&mut harness, 0);
        harness.advance_alive(Duration::from_secs(1), &[&address]);
        let before = harness.agent(&id).clone();
        let stored = |harness: &Harness| harness.registrar.registry().slaves.slaves[0].info.clone();
        let stored_before = stored(&harness);
        harness.clear();
        let mut message = reregister_message(&id);
        change(&mut message);
        let (info, version) = ((*message.slave).clone(), message.version().to_owned());
        harness.receive(&address, message);
        let names = harness.names_to(&address);
        let agent = harness.agent(&id);
        match expected {
            Answer::Stored | Answer::Taken => {
                assert_eq!(names.first(), Some(&"SlaveReregisteredMessage"), "{name}");
                assert_eq!(agent.version(), version, "{name}");
                assert_eq!(agent.info().hostname(), info.hostname(), "{name}");
                assert_eq!(agent.total().cpus().to_f64(), cpus_of(&info), "{name}");
            }
            Answer::Refused => assert!(names.is_empty(), "{name}: {names:?}"),
            Answer::ShutDown => assert_eq!(names, ["ShutdownMessage"], "{name}"),
        }
        assert_eq!(stored(&harness) != stored_before, *expected == Answer::Stored, "{name}");
        if matches!(expected, Answer::Refused | Answer::ShutDown) {
            assert_eq!(agent.info(), before.info(), "{name}");
            assert_eq!(agent.version(), before.version(), "{name}");
        }
    }
}

fn cpus_of(info: &proto::SlaveInfo) -> f64 {
    let cpus = info.resources.iter().filter(|resource| resource.name() == "cpus");
    cpus.map(|resource| resource.scalar.value()).sum()
}

#[test]
fn another_agent_at_an_address_displaces_the_one_that_was_there() {
    let mut harness = Harness::new();
    let (address, first) = register_agent(&mut harness, 0);
    let (_, second) = register_agent(&mut harness, 1);
    harness.exited(&agent_upid(1));
    // The second agent comes back unreachable at the first one's address.
    harness.advance_alive(Duration::from_secs(601), &[&address]);
    assert!(harness.master.unreachable_agents().contains(&second));
    harness.receive(&address, reregister_message(&second));
    assert_eq!(*harness.agent(&second).upid(), address);
    assert!(
        !harness.agent(&first).is_connected(),
        "whoever was there is not any more"
    );
    assert!(harness.agent(&second).is_connected());
    harness.exited(&address);
    assert!(
        !harness.agent(&second).is_connected(),
        "the address is the second one's"
    );
}

#[test]
fn a_master_with_a_domain_takes_agents_of_any_region_and_may_insist_on_one() {
    for (required, with_domain, taken) in [
        (false, false, true),
        (false, true, true),
        (true, false, false),
        (true, true, true),
    ] {
        let mut config = config();
        config.info.domain = Some(domain("west")).into();
        config.require_agent_domain = required;
        let mut harness = Harness::with(config, Registry::new());
        let mut message = register_message();
        if with_domain {
            message.slave.mut_or_insert_default().domain = Some(domain("east")).into();
        }
        harness.receive(&agent_upid(0), message);
        assert_eq!(
            harness.master.agents().len(),
            usize::from(taken),
            "{required} {with_domain}"
        );
    }
}

/// An agent of another version: everything that it announces is known, less what is taken away.
fn older(harness: &mut Harness, take: fn(&mut AgentCapabilities)) -> AgentId {
    let mut capabilities = AgentCapabilities::all();
    take(&mut capabilities);
    let mut message = register_message();
    message.set_version("1.2.0".to_owned());
    message.agent_capabilities = capabilities.to_proto();
    harness.receive(&agent_upid(0), message);
    harness.master.agents().keys().next().expect("registered").clone()
}

#[test]
fn agents_without_multi_role_are_for_frameworks_of_one_role() {
    let mut harness = Harness::new();
    older(&mut harness, |capabilities| capabilities.multi_role = false);
    let many = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    assert!(harness.offers(&many.id).is_empty());
    let one = Scheduler::subscribe(&mut harness, framework_info(&[Capability::PARTITION_AWARE]));
    assert_eq!(harness.offers(&one.id).len(), 1);
}

#[test]
fn agents_without_hierarchical_roles_are_for_plain_ones() {
    let mut harness = Harness::new();
    older(&mut harness, |capabilities| capabilities.hierarchical_role = false);
    let mut info = framework_info(MODERN);
    info.roles = vec!["a/b".to_owned()];
    let nested = Scheduler::subscribe(&mut harness, info.clone());
    assert!(harness.offers(&nested.id).is_empty());
    info.roles = vec!["a".to_owned()];
    let plain = Scheduler::subscribe(&mut harness, info);
    assert_eq!(harness.offers(&plain.id).len(), 1);
}

/// Pitfall D1: what is sent to an agent is in the format that it reads.
#[test]
fn agents_without_reservation_refinement_get_the_older_format() {
    for refinement in [true, false] {
        let mut harness = Harness::new();
        let agent = if refinement {
            older(&mut harness, |_| {})
        } else {
            older(&mut harness, |capabilities| capabilities.reservation_refinement = false)
        };
        let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
        scheduler.launch(&mut harness, &agent, &["a"]);
        let run = harness
            .messages_to(&agent_upid(0))
            .into_iter()
            .find_map(|message| match message {
                Message::RunTask(run) => Some(run),
                _ => None,
            });
        let run = run.expect("launched");
        let older_format = run
            .task
            .resources
            .iter()
            .all(|resource| resource.role() == "*" && resource.has_role());
        assert_eq!(older_format, !refinement);
    }
}

/// Agents that keep no record of their reservations are told the master's when they come back.
#[test]
fn agents_without_resource_providers_are_told_their_reservations() {
    for tracks in [true, false] {
        let mut harness = Harness::new();
        let id = if tracks {
            older(&mut harness, |_| {})
        } else {
            older(&mut harness, |capabilities| capabilities.resource_provider = false)
        };
        harness.clear();
        let mut message = reregister_message(&id);
        let mut capabilities = AgentCapabilities::all();
        capabilities.resource_provider = tracks;
        message.agent_capabilities = capabilities.to_proto();
        harness.receive(&agent_upid(0), message);
        let told = harness.names_to(&agent_upid(0)).contains(&"CheckpointResourcesMessage");
        assert_eq!(told, !tracks);
    }
}

#[test]
fn agents_without_resource_limits_run_no_task_that_has_some() {
    let mut harness = Harness::new();
    let agent = older(&mut harness, |capabilities| capabilities.task_resource_limits = false);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    let mut task = command_task("a", &agent);
    let mut limit = proto::value::Scalar::new();
    limit.set_value(2.0);
    task.limits.insert("cpus".to_owned(), limit);
    let offers = harness.offers(&scheduler.id);
    scheduler.accept(&mut harness, &offers, vec![task]);
    let status = &harness.statuses()[0];
    assert_eq!(status.state(), TaskState::TASK_ERROR);
    assert!(status.message().contains("limits") && status.message().contains(agent.as_str()));
}
