//! Descriptions of frameworks: what may change in them, what they may ask for, and which agents they see.

use std::collections::BTreeSet;
use std::time::Duration;

use libprocess_types::Upid;
use mesos_master_core::{Input, Reply};
use mesos_proto::v0::mesos as proto;
use mesos_proto::v0::mesos::TaskState;
use mesos_proto::v0::mesos::framework_info::capability::Type as Capability;
use mesos_proto::v0::scheduler::call::Type as CallType;
use mesos_proto::v0::scheduler::{Call, OfferConstraints, event};
use mesos_registrar::Registry;

use crate::actors::{
    MODERN, Scheduler, agent_upid, command_task, framework_info, register_agent, register_message, subscribe_call,
    update,
};
use crate::harness::{Harness, config};

fn update_call(scheduler: &Scheduler, info: &proto::FrameworkInfo) -> Call {
    let mut call = scheduler.typed(CallType::UPDATE_FRAMEWORK);
    call.update_framework.mut_or_insert_default().framework_info = Some(info.clone()).into();
    call
}

fn ask_update(harness: &mut Harness, scheduler: &Scheduler, info: &proto::FrameworkInfo) -> Reply {
    harness.call(update_call(scheduler, info), Some(&scheduler.stream))
}

fn capability(kind: Capability) -> proto::framework_info::Capability {
    let mut capability = proto::framework_info::Capability::new();
    capability.set_type(kind);
    capability
}

/// What the refusal of a change must say; nothing when the change is taken over.
type Row = (&'static str, fn(&mut proto::FrameworkInfo), &'static [&'static str]);

const FIELDS: &[Row] = &[
    ("name", |info| info.set_name("other".to_owned()), &[]),
    ("hostname", |info| info.set_hostname("h".to_owned()), &[]),
    ("webui_url", |info| info.set_webui_url("http://x".to_owned()), &[]),
    ("failover_timeout", |info| info.set_failover_timeout(60.0), &[]),
    (
        "labels",
        |info| {
            let mut label = proto::Label::new();
            label.set_key("k".to_owned());
            info.labels.mut_or_insert_default().labels.push(label);
        },
        &[],
    ),
    ("roles", |info| info.roles = vec!["a".to_owned(), "b/c".to_owned()], &[]),
    (
        "more capabilities",
        |info| info.capabilities.push(capability(Capability::GPU_RESOURCES)),
        &[],
    ),
    (
        "no refinement",
        |info| {
            info.capabilities
                .retain(|own| own.type_() != Capability::RESERVATION_REFINEMENT);
        },
        &[],
    ),
    (
        "not partition aware",
        |info| {
            info.capabilities
                .retain(|own| own.type_() != Capability::PARTITION_AWARE);
        },
        &[],
    ),
    (
        "one role only",
        |info| {
            info.capabilities.retain(|own| own.type_() != Capability::MULTI_ROLE);
            info.roles.clear();
            info.set_role("a".to_owned());
        },
        &[],
    ),
    (
        "user",
        |info| info.set_user("nobody".to_owned()),
        &["`user`", "`root`", "`nobody`"],
    ),
    (
        "checkpoint",
        |info| info.set_checkpoint(true),
        &["`checkpoint`", "`true`"],
    ),
    (
        "principal",
        |info| info.set_principal("p".to_owned()),
        &["`principal`", "`p`"],
    ),
    (
        "roles without their capability",
        |info| info.capabilities.clear(),
        &["`roles`", "MULTI_ROLE"],
    ),
    (
        "a malformed role",
        |info| info.roles = vec!["-a".to_owned()],
        &["role", "`-a`"],
    ),
    (
        "a role twice",
        |info| info.roles = vec!["a".to_owned(), "a".to_owned()],
        &["`roles`", "`a`"],
    ),
    (
        "a bad timeout",
        |info| info.set_failover_timeout(-1.0),
        &["`failover_timeout`", "-1"],
    ),
];

#[test]
fn each_field_of_a_description_changes_or_says_why_not() {
    for (name, change, texts) in FIELDS {
        let mut harness = Harness::new();
        register_agent(&mut harness, 0);
        let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
        let mut info = scheduler.info.clone();
        change(&mut info);
        harness.clear();
        let reply = ask_update(&mut harness, &scheduler, &info);
        let known = harness.master.frameworks()[&scheduler.id].info();
        let told = harness.names_to(&agent_upid(0)).contains(&"UpdateFrameworkMessage");
        if texts.is_empty() {
            assert_eq!((reply.status, reply.body.as_str()), (200, ""), "{name}");
            assert_eq!(*known, info, "{name}");
            assert!(told, "{name}: agents know the new description");
        } else {
            assert_eq!(reply.status, 400, "{name}");
            assert!(
                texts.iter().all(|text| reply.body.contains(text)),
                "{name}: {}",
                reply.body
            );
            assert_eq!(*known, scheduler.info, "{name}: nothing changed");
            assert!(!told, "{name}");
        }
    }
}

/// Frameworks that subscribe again keep what cannot change, silently, as older ones rely on; only the principal is
/// refused.
#[test]
fn subscribing_again_keeps_what_cannot_change() {
    for (name, change, texts) in FIELDS {
        let mut harness = Harness::new();
        let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
        let mut info = scheduler.info.clone();
        change(&mut info);
        assert_eq!(harness.call(subscribe_call(&info), None).status, 200, "{name}");
        let stream = harness.last_stream();
        let first = harness.events_on(&stream)[0].clone();
        let known = harness.master.frameworks()[&scheduler.id].info();
        if texts.is_empty() || matches!(*name, "user" | "checkpoint") {
            assert_eq!(first.type_(), event::Type::SUBSCRIBED, "{name}");
            info.set_user("root".to_owned());
            info.checkpoint = known.checkpoint;
            assert_eq!(*known, info, "{name}");
            assert!(!known.checkpoint());
        } else {
            let text = first.error.message();
            assert!(texts.iter().all(|part| text.contains(part)), "{name}: {text}");
            assert_eq!(*known, scheduler.info, "{name}: nothing changed");
        }
    }
}

/// From then on the framework is told in the words and the format that it knows.
#[test]
fn a_framework_that_loses_a_capability_is_served_without_it() {
    let mut harness = Harness::new();
    let (address, agent) = register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    scheduler.launch(&mut harness, &agent, &["a"]);
    harness.receive(&address, update(&scheduler.id, &agent, "a", TaskState::TASK_RUNNING, 1));
    let mut info = scheduler.info.clone();
    info.capabilities.clear();
    info.roles.clear();
    info.set_role("*".to_owned());
    assert_eq!(ask_update(&mut harness, &scheduler, &info).status, 200);
    harness.clear();
    harness.advance_alive(Duration::from_secs(7), &[&address]);
    let events = harness.events_on(&scheduler.stream);
    let offers = events
        .iter()
        .find(|event| event.type_() == event::Type::OFFERS)
        .expect("offered");
    let offer = &offers.offers.offers[0];
    assert!(offer.allocation_info.is_none(), "no MULTI_ROLE");
    assert!(
        offer.resources.iter().all(proto::Resource::has_role),
        "no RESERVATION_REFINEMENT"
    );
    harness.clear();
    harness.advance(Duration::from_secs(91));
    assert_eq!(harness.states(), [TaskState::TASK_LOST], "not PARTITION_AWARE");
}

#[test]
fn root_and_roles_are_as_the_flags_say() {
    let mut config = config();
    config.root_submissions = false;
    config.role_whitelist = Some(BTreeSet::from(["a".to_owned()]));
    let rows: [(&str, &[&str], Option<&str>); 5] = [
        ("root", &["a"], Some("--no-root_submissions")),
        ("nobody", &["a"], None),
        ("nobody", &["*"], None),
        ("nobody", &["a", "b"], Some("'b'")),
        ("nobody", &["a/c"], Some("'a/c'")),
    ];
    for (user, roles, refusal) in rows {
        let mut harness = Harness::with(config.clone(), Registry::new());
        let mut info = framework_info(MODERN);
        info.set_user(user.to_owned());
        info.roles = roles.iter().map(|role| (*role).to_owned()).collect();
        harness.call(subscribe_call(&info), None);
        let first = harness.events_on(&harness.last_stream())[0].clone();
        match refusal {
            None => assert_eq!(first.type_(), event::Type::SUBSCRIBED, "{user} {roles:?}"),
            Some(text) => assert!(first.error.message().contains(text), "{user} {roles:?}: {first:?}"),
        }
    }
    // The rules hold for updates as well.
    let mut harness = Harness::with(config, Registry::new());
    let mut info = framework_info(MODERN);
    info.set_user("nobody".to_owned());
    let scheduler = Scheduler::subscribe(&mut harness, info);
    let mut info = scheduler.info.clone();
    info.roles = vec!["b".to_owned()];
    assert!(ask_update(&mut harness, &scheduler, &info).body.contains("'b'"));
}

fn register_host(harness: &mut Harness, number: u16, hostname: &str) -> Upid {
    let mut message = register_message();
    message.slave.mut_or_insert_default().set_hostname(hostname.to_owned());
    harness.receive(&agent_upid(number), message);
    agent_upid(number)
}

fn hosts_offered(harness: &Harness, scheduler: &Scheduler) -> Vec<String> {
    let offers = harness.offers(&scheduler.id);
    let hosts: BTreeSet<String> = offers
        .iter()
        .map(|id| harness.master.offers()[id].message().hostname().to_owned())
        .collect();
    hosts.into_iter().collect()
}

fn host_constraint(predicate: &str) -> OfferConstraints {
    let json = format!(
        r#"{{"role_constraints":{{"*":{{"groups":[{{"attribute_constraints":[
            {{"selector":{{"pseudoattribute_type":"HOSTNAME"}},"predicate":{predicate}}}]}}]}}}}}}"#
    );
    mesos::json::from_str(&json).expect("constraints")
}

#[test]
fn offer_constraints_choose_the_agents() {
    let mut harness = Harness::new();
    for (number, host) in ["web-1", "web-2", "db-1"].into_iter().enumerate() {
        register_host(&mut harness, u16::try_from(number).expect("small"), host);
    }
    let mut call = subscribe_call(&framework_info(MODERN));
    let constraints = host_constraint(r#"{"text_matches":{"regex":"web-[0-9]+"}}"#);
    call.subscribe.mut_or_insert_default().offer_constraints = Some(constraints.clone()).into();
    harness.call(call, None);
    let stream = harness.last_stream();
    let id = harness.events_on(&stream)[0].subscribed.framework_id.clone();
    let mut info = framework_info(MODERN);
    info.id = id;
    let scheduler = Scheduler {
        id: (&*info.id).into(),
        stream,
        info,
    };
    assert_eq!(hosts_offered(&harness, &scheduler), ["web-1", "web-2"]);
    let framework = &harness.master.frameworks()[&scheduler.id];
    assert_eq!(framework.offer_constraints(), Some(&constraints));
    // Without constraints all agents are seen.
    assert_eq!(ask_update(&mut harness, &scheduler, &scheduler.info).status, 200);
    let alive = [&agent_upid(0), &agent_upid(1), &agent_upid(2)];
    harness.advance_alive(Duration::from_secs(2), &alive);
    assert_eq!(hosts_offered(&harness, &scheduler), ["db-1", "web-1", "web-2"]);
}

#[test]
fn offer_constraints_that_make_no_sense_are_refused() {
    let long = format!(r#"{{"text_matches":{{"regex":"{}"}}}}"#, "a{10}".repeat(30));
    let rows = [
        (r#"{"text_matches":{"regex":"("}}"#.to_owned(), "'('"),
        (long, "at most 100"),
        ("{}".to_owned(), "predicate"),
    ];
    for (predicate, text) in rows {
        let mut harness = Harness::new();
        let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
        let mut call = update_call(&scheduler, &scheduler.info);
        let constraints = host_constraint(&predicate);
        call.update_framework.mut_or_insert_default().offer_constraints = Some(constraints).into();
        let reply = harness.call(call, Some(&scheduler.stream));
        assert_eq!(reply.status, 400, "{predicate}");
        assert!(reply.body.contains(text), "{}", reply.body);
        assert_eq!(harness.master.frameworks()[&scheduler.id].offer_constraints(), None);
    }
}

#[test]
fn the_whitelist_says_which_agents_are_offered() {
    let mut harness = Harness::new();
    let first = register_host(&mut harness, 0, "one");
    let second = register_host(&mut harness, 1, "two");
    let list = |hosts: &[&str]| Some(hosts.iter().map(|host| (*host).to_owned()).collect());
    harness.step(Input::Whitelist(list(&["one"])));
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    assert_eq!(hosts_offered(&harness, &scheduler), ["one"]);
    harness.step(Input::Whitelist(list(&["two"])));
    harness.advance_alive(Duration::from_secs(2), &[&first, &second]);
    assert_eq!(
        hosts_offered(&harness, &scheduler),
        ["one", "two"],
        "what is out stays out"
    );
    harness.step(Input::Whitelist(list(&[])));
    let third = register_host(&mut harness, 2, "three");
    harness.advance_alive(Duration::from_secs(2), &[&first, &second, &third]);
    assert_eq!(hosts_offered(&harness, &scheduler), ["one", "two"]);
    harness.step(Input::Whitelist(None));
    harness.advance_alive(Duration::from_secs(2), &[&first, &second, &third]);
    assert_eq!(hosts_offered(&harness, &scheduler), ["one", "three", "two"]);
}

#[test]
fn a_framework_says_what_is_worth_an_offer() {
    let filters = r#"{"*":{"min_allocatable_resources":{"quantities":[{"quantities":{"cpus":{"value":CPUS}}}]}}}"#;
    for (cpus, offered) in [("4", true), ("5", false)] {
        let mut harness = Harness::new();
        register_agent(&mut harness, 0);
        let json = format!(
            r#"{{"user":"root","name":"n","roles":["*"],"capabilities":[{{"type":"MULTI_ROLE"}}],"offer_filters":{}}}"#,
            filters.replace("CPUS", cpus)
        );
        let info: proto::FrameworkInfo = mesos::json::from_str(&json).expect("a description");
        let scheduler = Scheduler::subscribe(&mut harness, info);
        assert_eq!(!harness.offers(&scheduler.id).is_empty(), offered, "{cpus}");
    }
}

#[test]
fn what_a_framework_does_and_hears_is_counted() {
    let mut harness = Harness::new();
    let (address, agent) = register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    scheduler.launch(&mut harness, &agent, &["a"]);
    harness.receive(&address, update(&scheduler.id, &agent, "a", TaskState::TASK_FAILED, 1));
    harness.advance_alive(Duration::from_secs(7), &[&address]);
    let offers = harness.offers(&scheduler.id);
    let mut decline = scheduler.typed(CallType::DECLINE);
    let declined = decline.decline.mut_or_insert_default();
    declined.offer_ids = offers.iter().map(mesos::ids::OfferId::to_proto).collect();
    scheduler.send(&mut harness, decline);
    harness.advance_alive(Duration::from_secs(7), &[&address]);
    assert_eq!(harness.offers(&scheduler.id).len(), 1);
    harness.exited(&address);
    let bad = command_task("b", &agent);
    scheduler.accept(&mut harness, &offers, vec![bad]);
    let counters = harness.master.frameworks()[&scheduler.id].counters();
    assert_eq!(counters.calls_of(CallType::SUBSCRIBE), 1);
    assert_eq!(counters.calls_of(CallType::ACCEPT), 2);
    assert_eq!(counters.calls_of(CallType::DECLINE), 1);
    assert_eq!(counters.calls(), 4);
    assert_eq!((counters.offers_sent(), counters.offers_accepted()), (3, 1));
    assert_eq!((counters.offers_declined(), counters.offers_rescinded()), (1, 1));
    assert_eq!(counters.operations(), 1);
    assert_eq!(counters.ended_in(TaskState::TASK_FAILED), 1);
    assert_eq!(counters.events_of(event::Type::SUBSCRIBED), 1);
    assert_eq!(
        counters.events_of(event::Type::UPDATE),
        2,
        "the failure, and the refused launch"
    );
    assert_eq!(counters.events_of(event::Type::OFFERS), 3);
    assert_eq!(counters.events_of(event::Type::RESCIND), 1);
}
