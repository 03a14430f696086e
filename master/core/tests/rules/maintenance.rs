//! The maintenance schedule, machines that go down and come up, inverse offers.

use std::time::Duration;

use mesos::Message;
use mesos::ids::OfferId;
use mesos_master_core::{MaintenanceChange, MasterConfig, OperatorCall, Reply};
use mesos_proto::internal::wire::messages as wire;
use mesos_proto::v0::maintenance::{Schedule, Window};
use mesos_proto::v0::mesos::{InverseOffer, MachineID, TaskState};
use mesos_proto::v0::scheduler::call::Type;
use mesos_proto::v0::scheduler::event;
use mesos_registrar::Registry;

use crate::actors::{
    MODERN, Scheduler, agent_upid, framework_info, register_agent, register_message, reregister_message,
};
use crate::draining::drain_config;
use crate::harness::{Harness, Out, config};

/// Machine of the first agent.
const FIRST: &str = "host/127.0.0.1";

fn machine(text: &str) -> MachineID {
    let mut id = MachineID::new();
    let (hostname, ip) = text.split_once('/').unwrap_or((text, ""));
    if !hostname.is_empty() {
        id.set_hostname(hostname.to_owned());
    }
    if !ip.is_empty() {
        id.set_ip(ip.to_owned());
    }
    id
}

fn machines(texts: &[&str]) -> Vec<MachineID> {
    texts.iter().map(|text| machine(text)).collect()
}

fn schedule(windows: &[(&[&str], i64)]) -> OperatorCall {
    let mut schedule = Schedule::new();
    for (named, start) in windows {
        let mut window = Window::new();
        window.machine_ids = machines(named);
        let unavailability = window.unavailability.mut_or_insert_default();
        unavailability.start.mut_or_insert_default().set_nanoseconds(*start);
        schedule.windows.push(window);
    }
    OperatorCall::Maintenance(MaintenanceChange::Schedule(Box::new(schedule)))
}

fn start(named: &[&str]) -> OperatorCall {
    OperatorCall::Maintenance(MaintenanceChange::Start(machines(named)))
}

fn stop(named: &[&str]) -> OperatorCall {
    OperatorCall::Maintenance(MaintenanceChange::Stop(machines(named)))
}

fn done(harness: &mut Harness, call: OperatorCall) {
    let shown = format!("{call:?}");
    assert_eq!(harness.operator(call), Some(Reply::empty(200)), "{shown}");
}

/// `draining | down`, machines by host name.
fn status(harness: &Harness) -> String {
    let status = harness.master.maintenance_status();
    let draining = status.draining_machines.iter().map(|machine| machine.id.hostname());
    let down = status.down_machines.iter().map(MachineID::hostname);
    let join = |names: Vec<&str>| names.join(",");
    format!("{} | {}", join(draining.collect()), join(down.collect()))
}

fn inverse_offers(harness: &Harness, scheduler: &Scheduler) -> Vec<InverseOffer> {
    let events = harness.events_on(&scheduler.stream);
    let asked = events
        .into_iter()
        .flat_map(|event| event.inverse_offers.inverse_offers.clone());
    asked.collect()
}

fn answer(harness: &mut Harness, scheduler: &Scheduler, kind: Type, offer: &InverseOffer, refuse_seconds: f64) {
    let mut call = scheduler.typed(kind);
    if kind == Type::ACCEPT_INVERSE_OFFERS {
        let accept = call.accept_inverse_offers.mut_or_insert_default();
        accept.inverse_offer_ids = vec![(*offer.id).clone()];
        accept
            .filters
            .mut_or_insert_default()
            .set_refuse_seconds(refuse_seconds);
    } else {
        let decline = call.decline_inverse_offers.mut_or_insert_default();
        decline.inverse_offer_ids = vec![(*offer.id).clone()];
        decline
            .filters
            .mut_or_insert_default()
            .set_refuse_seconds(refuse_seconds);
    }
    scheduler.send(harness, call);
}

#[test]
fn each_rule_for_schedules_and_machines_has_its_own_text() {
    let mut harness = Harness::new();
    let windows: &[(&[&str], i64)] = &[(&["m1/10.0.0.1", "m2"], 5)];
    done(&mut harness, schedule(windows));
    done(&mut harness, start(&["m2"]));
    let mut negative = Schedule::new();
    let mut window = Window::new();
    window.machine_ids = machines(&["m2"]);
    let duration = window
        .unavailability
        .mut_or_insert_default()
        .duration
        .mut_or_insert_default();
    duration.set_nanoseconds(-1);
    negative.windows.push(window);
    let negative = OperatorCall::Maintenance(MaintenanceChange::Schedule(Box::new(negative)));
    let rows = [
        (
            schedule(&[(&["m2"], 1), (&[], 1)]),
            "window 1 of the schedule names no machines",
        ),
        (negative, "-1 nanoseconds"),
        (schedule(&[(&["m2", ""], 1)]), "must have a 'hostname' or an 'ip'"),
        (
            schedule(&[(&["m2", "m1/10.0.0.256"], 1)]),
            "'10.0.0.256' is no IPv4 address",
        ),
        (schedule(&[(&["m2"], 1), (&["M2"], 2)]), "machine M2 is named twice"),
        (schedule(&[(&["m1"], 1)]), "machine m2 is down and cannot be taken out"),
        (schedule(&[]), "machine m2 is down and cannot be taken out"),
        (start(&[]), "no machines are named"),
        (start(&[""]), "must have a 'hostname' or an 'ip'"),
        (start(&["m1/10.0.0.1", "m1/10.0.0.1"]), "is named twice"),
        (start(&["m1"]), "machine m1 is not part of the maintenance schedule"),
        (start(&["m2"]), "machine m2 is DOWN and cannot be brought down"),
        (
            stop(&["m1/10.0.0.1"]),
            "machine m1/10.0.0.1 is DRAINING and cannot be brought up",
        ),
        (stop(&["m3"]), "machine m3 is not part of the maintenance schedule"),
    ];
    let before = harness.registrar.registry();
    for (call, text) in rows {
        let reply = harness.operator(call).expect("answered");
        assert_eq!(reply.status, 400, "{text}");
        assert!(reply.body.contains(text), "{text}: {}", reply.body);
    }
    assert_eq!(harness.registrar.registry(), before);
    assert_eq!(status(&harness), "m1 | m2");
    done(&mut harness, stop(&["m2"]));
    assert_eq!(status(&harness), "m1 | ");
    assert_eq!(harness.master.machines().schedule().windows[0].machine_ids.len(), 1);
    done(&mut harness, schedule(&[]));
    assert_eq!(status(&harness), " | ");
}

#[test]
fn changes_are_answered_in_their_order_when_the_registry_has_them() {
    let mut harness = Harness::new();
    harness.hold_registry = true;
    assert_eq!(harness.operator(schedule(&[(&["m1"], 5)])), None);
    assert_eq!(
        harness.operator(start(&["m1"])),
        None,
        "checked against what the first one makes"
    );
    assert_eq!(harness.operator(stop(&["m1"])), None);
    assert_eq!(status(&harness), " | ");
    let mut seen = Vec::new();
    for _ in 0..3 {
        harness.store();
        seen.push(status(&harness));
    }
    assert_eq!(seen, ["m1 | ", " | m1", " | "]);
    let replies = harness
        .out
        .iter()
        .filter(|out| matches!(out, Out::Reply(_, reply) if reply.status == 200));
    assert_eq!(replies.count(), 3);
}

#[test]
fn offers_tell_the_unavailability_and_are_made_anew_when_it_changes() {
    let mut harness = Harness::new();
    let (_, id) = register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    harness.clear();
    done(&mut harness, schedule(&[(&[FIRST], 77)]));
    assert_eq!(harness.types_on(&scheduler.stream)[0], event::Type::RESCIND);
    harness.advance_alive(Duration::from_secs(2), &[&agent_upid(0)]);
    let start_of = |harness: &Harness| {
        let offers = harness.offers(&scheduler.id);
        let offer = &harness.master.offers()[&offers[0]];
        assert_eq!(*offer.agent_id(), id);
        offer
            .message()
            .unavailability
            .as_ref()
            .map(|planned| planned.start.nanoseconds())
    };
    assert_eq!(start_of(&harness), Some(77));
    done(&mut harness, schedule(&[]));
    harness.advance_alive(Duration::from_secs(2), &[&agent_upid(0)]);
    assert_eq!(start_of(&harness), None);
}

#[test]
fn frameworks_on_the_machine_are_asked_to_leave_and_asked_again_after_their_filter() {
    let mut harness = Harness::new();
    let (address, id) = register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    scheduler.launch(&mut harness, &id, &["a"]);
    let idle = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    let mut suppress = idle.typed(Type::SUPPRESS);
    suppress.suppress.mut_or_insert_default();
    idle.send(&mut harness, suppress);
    harness.clear();
    done(&mut harness, schedule(&[(&[FIRST], 77)]));
    harness.advance_alive(Duration::from_secs(2), &[&address]);
    let asked = inverse_offers(&harness, &scheduler);
    assert_eq!(asked.len(), 1, "once, until it is answered");
    assert_eq!(asked[0].slave_id.value(), id.as_str());
    assert_eq!(asked[0].unavailability.start.nanoseconds(), 77);
    assert!(asked[0].resources.is_empty() && asked[0].url.is_some());
    assert!(inverse_offers(&harness, &idle).is_empty(), "has nothing there");
    harness.clear();
    answer(&mut harness, &scheduler, Type::DECLINE_INVERSE_OFFERS, &asked[0], 10.0);
    let told = &harness.master.maintenance_status().draining_machines[0].statuses[0];
    assert_eq!(told.framework_id.value(), scheduler.id.as_str());
    assert_eq!(format!("{:?}", told.status()), "DECLINE");
    harness.advance_alive(Duration::from_secs(8), &[&address]);
    assert!(inverse_offers(&harness, &scheduler).is_empty(), "filtered");
    harness.advance_alive(Duration::from_secs(4), &[&address]);
    let again = inverse_offers(&harness, &scheduler);
    assert_eq!(again.len(), 1);
    assert_ne!(again[0].id, asked[0].id);
    answer(&mut harness, &idle, Type::ACCEPT_INVERSE_OFFERS, &again[0], 0.0);
    let told = &harness.master.maintenance_status().draining_machines[0].statuses;
    assert_eq!(told.len(), 1, "another framework's answer does not count");
    answer(&mut harness, &scheduler, Type::ACCEPT_INVERSE_OFFERS, &again[0], 100.0);
    let told = &harness.master.maintenance_status().draining_machines[0].statuses[0];
    assert_eq!(format!("{:?}", told.status()), "ACCEPT");
    assert_eq!(harness.master.inverse_offers().iter().count(), 0);
}

#[test]
fn inverse_offers_are_withdrawn_with_their_reason() {
    let open = |harness: &mut Harness| {
        let (address, id) = register_agent(harness, 0);
        let scheduler = Scheduler::subscribe(harness, framework_info(MODERN));
        scheduler.launch(harness, &id, &["a"]);
        done(harness, schedule(&[(&[FIRST], 77)]));
        assert_eq!(harness.master.inverse_offers().of_framework(&scheduler.id).count(), 1);
        harness.clear();
        (address, id, scheduler)
    };
    let rescinded = |harness: &Harness, scheduler: &Scheduler| {
        let types = harness.types_on(&scheduler.stream);
        types.contains(&event::Type::RESCIND_INVERSE_OFFER)
    };
    let mut harness = Harness::new();
    let (_, id, scheduler) = open(&mut harness);
    harness.operator(OperatorCall::DeactivateAgent(id));
    assert!(rescinded(&harness, &scheduler));

    let mut harness = Harness::new();
    let (_, _, scheduler) = open(&mut harness);
    done(&mut harness, schedule(&[]));
    assert!(rescinded(&harness, &scheduler));
    assert_eq!(harness.master.inverse_offers().iter().count(), 0);

    let timeout = MasterConfig {
        offer_timeout: Some(Duration::from_secs(3)),
        ..config()
    };
    let mut harness = Harness::with(timeout, Registry::new());
    let (address, _, scheduler) = open(&mut harness);
    harness.advance_alive(Duration::from_secs(5), &[&address]);
    assert!(rescinded(&harness, &scheduler));
    assert_eq!(inverse_offers(&harness, &scheduler).len(), 1, "and asked again");

    let mut harness = Harness::new();
    let (_, _, scheduler) = open(&mut harness);
    harness.step(mesos_master_core::Input::SchedulerStreamClosed(
        scheduler.stream.clone(),
    ));
    assert_eq!(harness.master.inverse_offers().iter().count(), 0);
}

#[test]
fn a_driver_gets_inverse_offers_as_messages() {
    let mut harness = Harness::new();
    let (_, id) = register_agent(&mut harness, 0);
    let driver = crate::harness::upid("scheduler-1@127.0.0.9:4000");
    let mut register = wire::RegisterFrameworkMessage::new();
    register.framework = Some(framework_info(&[])).into();
    harness.receive(&driver, register);
    let framework = harness.master.frameworks().keys().next().expect("registered").clone();
    let offers: Vec<OfferId> = harness.offers(&framework);
    let mut launch = wire::LaunchTasksMessage::new();
    launch.framework_id = Some(framework.to_proto()).into();
    launch.offer_ids = offers.iter().map(OfferId::to_proto).collect();
    launch.tasks = vec![crate::actors::command_task("a", &id)];
    harness.receive(&driver, launch);
    harness.clear();
    done(&mut harness, schedule(&[(&[FIRST], 77)]));
    let told = harness.messages_to(&driver);
    let asked = told.iter().find_map(|message| match message {
        Message::InverseOffers(message) => Some(message),
        _ => None,
    });
    let asked = asked.expect("asked");
    assert_eq!(asked.inverse_offers[0].slave_id.value(), id.as_str());
    assert_eq!(asked.pids, [agent_upid(0).to_string()]);
    done(&mut harness, schedule(&[]));
    assert!(harness.names_to(&driver).contains(&"RescindInverseOfferMessage"));
}

#[test]
fn a_machine_that_goes_down_takes_its_agents_with_it_until_it_is_up() {
    let mut harness = Harness::new();
    let (address, id) = register_agent(&mut harness, 0);
    let (_, other) = register_agent(&mut harness, 1);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    scheduler.launch(&mut harness, &id, &["a"]);
    done(&mut harness, schedule(&[(&[FIRST], 77)]));
    harness.clear();
    done(&mut harness, start(&[FIRST]));
    assert!(harness.names_to(&address).contains(&"ShutdownMessage"));
    assert_eq!(harness.states(), [TaskState::TASK_LOST]);
    assert!(!harness.master.agents().contains_key(&id) && harness.master.agents().contains_key(&other));
    assert_eq!(harness.registrar.registry().slaves.slaves.len(), 1);
    harness.clear();
    harness.receive(&address, register_message());
    harness.receive(&address, reregister_message(&id));
    assert_eq!(harness.names_to(&address), ["ShutdownMessage", "ShutdownMessage"]);
    done(&mut harness, stop(&[FIRST]));
    harness.clear();
    harness.receive(&address, register_message());
    assert_eq!(
        harness.names_to(&address),
        ["PingSlaveMessage", "SlaveRegisteredMessage"]
    );
    assert!(harness.master.machines().is_empty());
}

#[test]
fn an_agent_whose_registration_is_being_stored_leaves_with_its_machine() {
    let mut harness = Harness::new();
    done(&mut harness, schedule(&[(&[FIRST], 77)]));
    harness.hold_registry = true;
    harness.receive(&agent_upid(0), register_message());
    assert_eq!(harness.operator(start(&[FIRST])), None);
    harness.hold_registry = false;
    harness.store();
    assert!(harness.master.agents().is_empty());
    assert!(harness.names_to(&agent_upid(0)).contains(&"ShutdownMessage"));
    assert!(harness.registrar.registry().slaves.slaves.is_empty());
}

#[test]
fn agents_on_scheduled_machines_are_not_drained() {
    let mut harness = Harness::new();
    let (_, agent_id) = register_agent(&mut harness, 0);
    done(&mut harness, schedule(&[(&[FIRST], 77)]));
    let config = drain_config(None, false);
    let reply = harness
        .operator(OperatorCall::DrainAgent { agent_id, config })
        .expect("answered");
    assert_eq!(reply.status, 400);
    assert!(
        reply.body.contains(FIRST) && reply.body.contains("maintenance schedule"),
        "{}",
        reply.body
    );
}

#[test]
fn another_master_keeps_the_schedule_and_who_is_down() {
    let mut harness = Harness::new();
    done(&mut harness, schedule(&[(&[FIRST, "zz"], 77)]));
    done(&mut harness, start(&["zz"]));
    let mut next = Harness::with(config(), harness.registrar.registry());
    assert_eq!(status(&next), "host | zz");
    assert_eq!(next.master.machines().schedule(), harness.master.machines().schedule());
    let (_, id) = register_agent(&mut next, 0);
    let planned = next.master.machines().unavailability(next.agent(&id)).expect("planned");
    assert_eq!(planned.start.nanoseconds(), 77);
    let scheduler = Scheduler::subscribe(&mut next, framework_info(MODERN));
    assert_eq!(
        inverse_offers(&next, &scheduler).len(),
        1,
        "offered resources count as held"
    );
}
