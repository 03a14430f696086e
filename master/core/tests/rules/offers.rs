//! Offers: shape, decline, rescind, expiry, filters.

use std::time::Duration;

use mesos::Message;
use mesos::ids::OfferId;
use mesos_master_core::{Input, MasterTimer};
use mesos_proto::internal::wire::messages as wire;
use mesos_proto::v0::mesos as proto;
use mesos_proto::v0::scheduler::call::Type;
use mesos_proto::v0::scheduler::event;

use crate::actors::{MODERN, Scheduler, framework_info, register_agent, subscribe_call};
use crate::harness::{Harness, MASTER, config, upid};

fn first_offer(harness: &Harness, scheduler: &Scheduler) -> proto::Offer {
    let events = harness.events_on(&scheduler.stream);
    let offers = events
        .iter()
        .find(|event| event.type_() == event::Type::OFFERS)
        .expect("offers");
    offers.offers.offers[0].clone()
}

fn decline(harness: &mut Harness, scheduler: &Scheduler, offers: &[OfferId], refuse: Option<f64>) {
    let mut call = scheduler.typed(Type::DECLINE);
    let decline = call.decline.mut_or_insert_default();
    decline.offer_ids = offers.iter().map(OfferId::to_proto).collect();
    if let Some(refuse) = refuse {
        decline.filters.mut_or_insert_default().set_refuse_seconds(refuse);
    }
    scheduler.send(harness, call);
}

#[test]
fn an_offer_says_where_and_what() {
    let mut harness = Harness::new();
    let (_, agent_id) = register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    let offer = first_offer(&harness, &scheduler);
    assert_eq!(offer.id.value(), format!("{MASTER}-O0"));
    assert_eq!(offer.slave_id.value(), agent_id.as_str());
    assert_eq!(offer.hostname(), "host");
    assert_eq!((offer.url.path(), offer.url.address.port()), ("/slave(1)", 5051));
    assert_eq!(offer.allocation_info.role(), "*");
    for resource in &offer.resources {
        assert_eq!(resource.allocation_info.role(), "*");
        assert!(!resource.has_role(), "post-refinement");
    }
}

/// Pitfalls D1 and D2.
#[test]
fn older_frameworks_see_the_older_format_without_allocation() {
    let mut harness = Harness::new();
    register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(&[]));
    let offer = first_offer(&harness, &scheduler);
    assert!(offer.allocation_info.is_none());
    for resource in &offer.resources {
        assert!(resource.allocation_info.is_none());
        assert_eq!(resource.role.as_deref(), Some("*"));
    }
}

#[test]
fn drivers_get_offers_as_a_message_with_the_addresses_of_the_agents() {
    let mut harness = Harness::new();
    let (address, _) = register_agent(&mut harness, 0);
    let driver = upid("scheduler-1@127.0.0.9:4000");
    harness.receive(&driver, subscribe_call(&framework_info(MODERN)));
    assert_eq!(
        harness.names_to(&driver),
        ["FrameworkRegisteredMessage", "ResourceOffersMessage"]
    );
    let messages = harness.messages_to(&driver);
    let Message::ResourceOffers(offers) = &messages[1] else {
        panic!("{messages:?}")
    };
    assert_eq!(
        (offers.offers.len(), offers.pids.clone()),
        (1, vec![address.to_string()])
    );
}

#[test]
fn declined_offers_come_back_when_the_filter_is_over() {
    let mut harness = Harness::new();
    let (address, _) = register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    let offers = harness.offers(&scheduler.id);
    decline(&mut harness, &scheduler, &offers, None);
    harness.advance_alive(Duration::from_secs(4), &[&address]);
    assert!(harness.offers(&scheduler.id).is_empty(), "the default filter is 5 s");
    harness.advance_alive(Duration::from_secs(3), &[&address]);
    let offers = harness.offers(&scheduler.id);
    assert_eq!(offers.len(), 1);
    decline(&mut harness, &scheduler, &offers, Some(3600.0));
    harness.advance_alive(Duration::from_secs(60), &[&address]);
    assert!(harness.offers(&scheduler.id).is_empty());
    scheduler.send(&mut harness, scheduler.typed(Type::REVIVE));
    assert_eq!(harness.offers(&scheduler.id).len(), 1, "revive drops filters");
}

#[test]
fn declining_foreign_and_unknown_offers_changes_nothing() {
    let mut harness = Harness::new();
    register_agent(&mut harness, 0);
    let owner = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    let other = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    let offers = harness.offers(&owner.id);
    decline(&mut harness, &other, &offers, None);
    decline(&mut harness, &other, &[OfferId::new("nope")], None);
    assert_eq!(harness.offers(&owner.id), offers);
}

#[test]
fn suppressed_frameworks_get_no_offers_until_they_revive() {
    let mut harness = Harness::new();
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    scheduler.send(&mut harness, scheduler.typed(Type::SUPPRESS));
    let (address, _) = register_agent(&mut harness, 0);
    harness.advance_alive(Duration::from_secs(5), &[&address]);
    assert!(harness.offers(&scheduler.id).is_empty());
    assert_eq!(harness.master.frameworks()[&scheduler.id].suppressed_roles().len(), 1);
    scheduler.send(&mut harness, scheduler.typed(Type::REVIVE));
    assert_eq!(harness.offers(&scheduler.id).len(), 1);
    assert!(harness.master.frameworks()[&scheduler.id].suppressed_roles().is_empty());
}

/// Pitfall D22.
#[test]
fn subscribing_again_lifts_suppression_unless_it_is_told_again() {
    let mut harness = Harness::new();
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    scheduler.send(&mut harness, scheduler.typed(Type::SUPPRESS));
    let mut call = subscribe_call(&scheduler.info);
    call.subscribe
        .mut_or_insert_default()
        .suppressed_roles
        .push("*".to_owned());
    harness.call(call, None);
    register_agent(&mut harness, 0);
    assert!(harness.offers(&scheduler.id).is_empty());
    harness.call(subscribe_call(&scheduler.info), None);
    assert_eq!(harness.offers(&scheduler.id).len(), 1);
}

#[test]
fn unused_offers_expire_when_a_timeout_is_set() {
    let mut config = config();
    config.offer_timeout = Some(Duration::from_secs(30));
    let mut harness = Harness::with(config, mesos_registrar::Registry::new());
    let (address, _) = register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    let offer = harness.offers(&scheduler.id)[0].clone();
    assert!(harness.has_timer(&MasterTimer::OfferExpiry(offer.clone())));
    harness.clear();
    harness.advance_alive(Duration::from_secs(31), &[&address]);
    let rescinded = harness
        .events_on(&scheduler.stream)
        .iter()
        .any(|event| event.rescind.offer_id.value() == offer.as_str());
    assert!(rescinded);
    assert!(!harness.master.offers().contains_key(&offer));
    harness.step(Input::Timer(MasterTimer::OfferExpiry(offer)));
}

#[test]
fn a_launch_message_without_tasks_declines() {
    let mut harness = Harness::new();
    register_agent(&mut harness, 0);
    let driver = upid("scheduler-1@127.0.0.9:4000");
    harness.receive(&driver, subscribe_call(&framework_info(MODERN)));
    let id = harness.master.frameworks().keys().next().expect("subscribed").clone();
    let mut message = wire::LaunchTasksMessage::new();
    message.framework_id = Some(id.to_proto()).into();
    message.offer_ids = harness.offers(&id).iter().map(OfferId::to_proto).collect();
    message.filters.mut_or_insert_default();
    harness.receive(&driver, message);
    assert!(harness.offers(&id).is_empty());
}
