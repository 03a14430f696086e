//! The recorded life of persistent volumes, shared and not: what ours sends is compared with what the original sent.

use std::time::Duration;

use libprocess_types::Upid;
use mesos::Message;
use mesos::ids::{FrameworkId, OfferId};
use mesos::resources::format::HasResources;
use mesos_proto::v0::mesos::UUID;
use mesos_proto::v0::mesos::offer::operation::Type;
use mesos_proto::v0::scheduler::Call;
use mesos_proto::v0::scheduler::call::Type as CallType;
use mesos_registrar::Registry;

use crate::actors::register_message;
use crate::golden::{AGENT, Player, Record, compare, recording};
use crate::harness::{Harness, config, upid};

/// The uuids of the operations that were sent, in order.
fn sent<'a>(messages: impl Iterator<Item = &'a Message>) -> Vec<UUID> {
    let applied = messages.filter_map(|message| match message {
        Message::ApplyOperation(message) => Some((*message.operation_uuid).clone()),
        _ => None,
    });
    applied.collect()
}

/// Calls the operations of one list as those of the other are called, by their order.
fn rename(message: &mut Message, from: &[UUID], to: &[UUID]) {
    let uuid = match message {
        Message::ApplyOperation(message) => &mut message.operation_uuid,
        Message::UpdateOperationStatus(message) => &mut message.operation_uuid,
        Message::AcknowledgeOperationStatus(message) => &mut message.operation_uuid,
        _ => return,
    };
    let place = from
        .iter()
        .position(|known| *known == **uuid)
        .expect("a known operation");
    *uuid = Some(to[place].clone()).into();
}

/// A master with the agent of the recording, as far as the recording shows it.
fn player(records: &[Record]) -> Player {
    let offers = records.iter().find_map(|record| match &record.message {
        Message::ResourceOffers(message) => Some(&message.offers),
        _ => None,
    });
    let offer = &offers.expect("an offer")[0];
    let version = records.iter().find_map(|record| match &record.message {
        Message::ApplyOperation(message) => Some(&message.resource_version_uuid.uuid),
        _ => None,
    });
    let (master, _) = offer
        .slave_id
        .value()
        .rsplit_once('-')
        .expect("ids begin with the master's");
    let mut config = config();
    config.info.set_id(master.to_owned());
    let mut player = Player::new(config, Registry::new());
    let mut registration = register_message();
    let info = registration.slave.mut_or_insert_default();
    info.set_hostname(offer.hostname().to_owned());
    info.resources.clone_from(&offer.resources);
    info.resources.strip_allocation();
    registration.resource_version_uuid = version.expect("an operation").clone();
    player.harness.receive(&upid(AGENT), registration);
    player.harness.clear();
    player
}

fn ours(harness: &Harness) -> Vec<UUID> {
    sent(harness.messages_to(&upid(AGENT)).iter())
}

/// The original offers what ended tasks give back once an interval, ours at once, with a copy of each shared volume:
/// the framework gives all back and gets it in one offer.
fn gather(player: &mut Player, from: &Upid, call: &Call) {
    let id = FrameworkId::from(&*call.framework_id);
    let mut decline = Call::new();
    decline.set_type(CallType::DECLINE);
    decline.framework_id = call.framework_id.clone();
    let body = decline.decline.mut_or_insert_default();
    body.offer_ids = player.harness.offers(&id).iter().map(OfferId::to_proto).collect();
    body.filters.mut_or_insert_default().set_refuse_seconds(0.0);
    player.harness.receive(from, decline);
    player.harness.advance(Duration::from_secs(1));
}

#[test]
fn volumes_live_and_end_as_recorded() {
    let Some(mut records) = recording("w14_persistent_volume.jsonl") else {
        return;
    };
    let theirs = sent(records.iter().map(|record| &record.message));
    assert_eq!(theirs.len(), 8, "four volumes, made and destroyed");
    let mut player = player(&records);
    for record in records.iter().filter(|record| record.to.id() == "master") {
        player.advance_to(record.at);
        let mut message = record.message.clone();
        rename(&mut message, &theirs, &ours(&player.harness));
        if let Message::SchedulerCall(call) = &message
            && let [first, ..] = &call.accept.operations[..]
            && first.type_() == Type::DESTROY
        {
            gather(&mut player, &record.from, call);
        }
        player.feed(&Record {
            at: record.at,
            from: record.from.clone(),
            to: record.to.clone(),
            message,
        });
    }
    let ours = ours(&player.harness);
    assert_eq!(ours.len(), theirs.len());
    for record in &mut records {
        rename(&mut record.message, &theirs, &ours);
    }
    compare(&records, &player.harness);
    let agents = player.harness.master.agents().values();
    assert!(agents.map(|agent| agent.operations().len()).eq([0]));
}
