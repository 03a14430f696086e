//! Recorded conversations: what reached the original master is fed to ours, and what ours sends is compared with what
//! the original sent, to each receiver in order.
//!
//! Calls of HTTP schedulers are not in the recordings; they are derived from what the original sent on because of
//! them. Offers are compared by content where one is accepted; their number and ids depend on the allocator's timing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libprocess_types::{Time, Upid};
use mesos::Message;
use mesos::ids::{AgentId, FrameworkId, OfferId};
use mesos::resources::Resources;
use mesos::resources::format::HasResources;
use mesos_master_core::{MasterConfig, StreamId};
use mesos_proto::internal::wire::messages as wire;
use mesos_proto::v0::mesos as proto;
use mesos_proto::v0::scheduler::Call;
use mesos_proto::v0::scheduler::call::Type;
use mesos_registrar::Registry;
use protobuf::MessageField;

use crate::actors::{Scheduler, launch};
use crate::harness::{Harness, Out, config, short, upid};

pub const AGENT: &str = "slave(1)@127.0.0.1:15051";

pub struct Record {
    pub at: f64,
    pub from: Upid,
    pub to: Upid,
    pub message: Message,
}

/// Reads a recording; `None` when the recordings are not on this machine.
pub fn recording(name: &str) -> Option<Vec<Record>> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/golden/wire"));
    let Ok(text) = std::fs::read_to_string(folder.join(name)) else {
        eprintln!("skipped: no recording {name} in {}", folder.display());
        return None;
    };
    let records = text.lines().filter_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).expect("a JSON object a line");
        let field = |key: &str| line[key].as_str().expect("a text").to_owned();
        let body = STANDARD.decode(field("body")).expect("base64");
        let message = Message::decode(&field("name"), &body)?.expect("a valid message");
        let at = line["t"].as_f64().expect("seconds");
        Some(Record {
            at,
            from: upid(&field("from")),
            to: upid(&field("to")),
            message,
        })
    });
    Some(records.collect())
}

fn recorded_config(records: &[Record]) -> MasterConfig {
    let id = records.iter().find_map(|record| match &record.message {
        Message::SlaveRegistered(message) => message.slave_id.value().rsplit_once('-').map(|(id, _)| id.to_owned()),
        _ => None,
    });
    let mut config = config();
    config
        .info
        .set_id(id.expect("the recording begins with a registration"));
    config
}

/// Plays recordings into a master.
pub struct Player {
    pub harness: Harness,
    epoch: Time,
    schedulers: BTreeMap<FrameworkId, Scheduler>,
    agent: Option<AgentId>,
}

impl Player {
    pub fn new(config: MasterConfig, registry: Registry) -> Self {
        let harness = Harness::with(config, registry);
        let epoch = harness.now;
        Self {
            harness,
            epoch,
            schedulers: BTreeMap::new(),
            agent: None,
        }
    }

    /// Plays one recording from where the last one ended.
    fn play(&mut self, records: &[Record]) {
        self.epoch = self.harness.now;
        for record in records {
            self.advance_to(record.at);
            if record.to.id() == "master" || record.to.id().starts_with("slave-observer") {
                self.feed(record);
            } else if record.from.id() == "master" {
                self.derive(record);
            }
        }
    }

    pub fn advance_to(&mut self, at: f64) {
        let target = self.epoch + Duration::from_secs_f64(at.max(0.0));
        let wait = target.saturating_since(self.harness.now);
        self.harness.advance(wait);
    }

    pub fn feed(&mut self, record: &Record) {
        let mut message = record.message.clone();
        if let Message::SchedulerCall(call) = &mut message
            && call.type_() == Type::ACCEPT
        {
            let id = FrameworkId::from(&*call.framework_id);
            call.accept.mut_or_insert_default().offer_ids = self.wait_for_offers(&id);
        }
        self.harness.receive(&record.from, message);
        self.agent = self
            .harness
            .master
            .agents()
            .keys()
            .next()
            .cloned()
            .or_else(|| self.agent.clone());
    }

    /// The offers that the framework holds, once it holds some.
    fn wait_for_offers(&mut self, id: &FrameworkId) -> Vec<proto::OfferID> {
        for _ in 0..100 {
            let offers = self.harness.offers(id);
            if !offers.is_empty() {
                return offers.iter().map(OfferId::to_proto).collect();
            }
            self.others_decline(id);
            self.harness.advance(Duration::from_millis(100));
            self.harness.receive(&upid(AGENT), wire::PongSlaveMessage::new());
        }
        panic!("framework {id} gets no offers");
    }

    /// HTTP schedulers hand back what they do not use.
    fn others_decline(&mut self, id: &FrameworkId) {
        let live = self.harness.master.frameworks();
        let others = self
            .schedulers
            .keys()
            .filter(|other| *other != id && live.contains_key(*other));
        for other in &others.cloned().collect::<Vec<_>>() {
            let offers = self.harness.offers(other);
            let mut call = call_of(other, Type::DECLINE);
            call.decline.mut_or_insert_default().offer_ids = offers.iter().map(OfferId::to_proto).collect();
            let stream = self.schedulers[other].stream.clone();
            self.harness.call(call, Some(&stream));
        }
    }

    /// Does what an HTTP scheduler must have done for the original to send this.
    fn derive(&mut self, record: &Record) {
        match &record.message {
            Message::RunTask(run) if run.pid() == "@0.0.0.0:0" => {
                let scheduler = self.scheduler(&run.framework);
                let mut task = (*run.task).clone();
                task.strip_allocation();
                let mut call = call_of(&scheduler, Type::ACCEPT);
                let accept = call.accept.mut_or_insert_default();
                accept.offer_ids = self.wait_for_offers(&scheduler);
                accept.filters.mut_or_insert_default().set_refuse_seconds(0.0);
                accept.operations.push(launch(vec![task]));
                self.call(&scheduler, call);
            }
            Message::StatusUpdateAcknowledgement(message) => {
                let mut call = call_of(&FrameworkId::from(&*message.framework_id), Type::ACKNOWLEDGE);
                let acknowledge = call.acknowledge.mut_or_insert_default();
                acknowledge.slave_id = message.slave_id.clone();
                acknowledge.task_id = message.task_id.clone();
                acknowledge.uuid = message.uuid.clone();
                self.call(&FrameworkId::from(&*message.framework_id), call);
            }
            Message::KillTask(message) => {
                let mut call = call_of(&FrameworkId::from(&*message.framework_id), Type::KILL);
                call.kill.mut_or_insert_default().task_id = message.task_id.clone();
                self.call(&FrameworkId::from(&*message.framework_id), call);
            }
            Message::ShutdownFramework(message) => {
                let id = FrameworkId::from(&*message.framework_id);
                self.call(&id, call_of(&id, Type::TEARDOWN));
            }
            _ => {}
        }
    }

    /// The HTTP scheduler with this description; it subscribes when it is seen first.
    fn scheduler(&mut self, info: &proto::FrameworkInfo) -> FrameworkId {
        let id = FrameworkId::from(&*info.id);
        if !self.schedulers.contains_key(&id) {
            let mut info = info.clone();
            if !self.harness.master.frameworks().contains_key(&id) {
                info.id = MessageField::none();
            }
            let scheduler = Scheduler::subscribe(&mut self.harness, info);
            assert_eq!(scheduler.id, id, "ids are given in the same order");
            self.schedulers.insert(id.clone(), scheduler);
        }
        id
    }

    fn call(&mut self, id: &FrameworkId, call: Call) {
        let stream: Option<StreamId> = self.schedulers.get(id).map(|scheduler| scheduler.stream.clone());
        if let Some(stream) = stream
            && self.harness.master.frameworks().contains_key(id)
        {
            let reply = self.harness.call(call, Some(&stream));
            assert_eq!(reply.status, 202, "{reply:?}");
        }
    }
}

fn call_of(id: &FrameworkId, kind: Type) -> Call {
    let mut call = Call::new();
    call.set_type(kind);
    call.framework_id = Some(id.to_proto()).into();
    call
}

/// A message in a form in which equal meaning is equal value. Times of statuses that masters make are left out.
fn comparable(message: &Message) -> Option<String> {
    let name = short(message.name());
    match message {
        Message::PingSlave(_) | Message::ResourceOffers(_) => None,
        Message::FrameworkRegistered(message) => Some(format!("{name} {}", message.framework_id.value())),
        Message::FrameworkReregistered(message) => Some(format!("{name} {}", message.framework_id.value())),
        Message::StatusUpdate(message) if !message.update.has_uuid() => {
            let status = &message.update.status;
            Some(format!(
                "{name} {} {:?} {:?}",
                status.task_id.value(),
                status.state(),
                status.reason()
            ))
        }
        other => Some(format!("{name} {other:?}")),
    }
}

/// Compares what was sent to each receiver.
pub fn compare(records: &[Record], harness: &Harness) {
    let receivers: BTreeSet<Upid> = records
        .iter()
        .filter(|record| record.from.id() == "master")
        .map(|record| record.to.clone())
        .collect();
    for receiver in receivers {
        let theirs = records
            .iter()
            .filter(|record| record.from.id() == "master" && record.to == receiver);
        let theirs: Vec<String> = theirs.filter_map(|record| comparable(&record.message)).collect();
        let ours: Vec<String> = harness.messages_to(&receiver).iter().filter_map(comparable).collect();
        for (index, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            assert_eq!(ours, theirs, "message {index} to {receiver}");
        }
        let names = |list: &[String]| {
            list.iter()
                .map(|text| text.split(' ').next().map(str::to_owned))
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&ours), names(&theirs), "to {receiver}");
    }
}

/// The first offer of a recording, and ours.
fn compare_first_offers(records: &[Record], harness: &Harness) {
    let theirs = records.iter().find_map(|record| match &record.message {
        Message::ResourceOffers(message) => Some((record.to.clone(), message.clone())),
        _ => None,
    });
    let (receiver, theirs) = theirs.expect("an offer was recorded");
    let ours = harness
        .messages_to(&receiver)
        .into_iter()
        .find_map(|message| match message {
            Message::ResourceOffers(message) => Some(message),
            _ => None,
        });
    let ours = ours.expect("an offer was made");
    assert_eq!(ours.pids, theirs.pids);
    let plain = |offer: &proto::Offer| {
        let mut offer = offer.clone();
        let resources = Resources::from_protobuf(&offer.resources).expect("valid");
        offer.resources.clear();
        offer.id = MessageField::none();
        (offer, resources)
    };
    assert_eq!(plain(&ours.offers[0]), plain(&theirs.offers[0]));
}

#[test]
fn a_day_in_the_life_of_one_master() {
    let Some(first) = recording("w1_registration.jsonl") else {
        return;
    };
    let mut player = Player::new(recorded_config(&first), Registry::new());
    player.play(&first);
    compare(&first, &player.harness);
    let pings = player
        .harness
        .names_to(&upid(AGENT))
        .iter()
        .filter(|name| **name == "PingSlaveMessage")
        .count();
    assert_eq!(pings, 3);
    let files = [
        "w2_v0_test_framework.jsonl",
        "w2b_v0_explicit_ack.jsonl",
        "w3_mesos_execute.jsonl",
        "w4_http_framework.jsonl",
        "w6_no_executor.jsonl",
    ];
    for name in files {
        let Some(records) = recording(name) else { return };
        player.harness.clear();
        player.play(&records);
        eprintln!("{name}: {} messages", records.len());
        compare(&records, &player.harness);
        if name.starts_with("w2") || name.starts_with("w6") {
            compare_first_offers(&records, &player.harness);
        }
        // Between the recordings the agent answered its pings.
        player.harness.advance_alive(Duration::from_secs(30), &[&upid(AGENT)]);
    }
}

#[test]
fn a_kill_an_agent_found_dead_and_its_return() {
    let Some(records) = recording("w11_ping_timeout_kill.jsonl") else {
        return;
    };
    let mut config = recorded_config(&records);
    config.agent_ping_timeout = Duration::from_secs(1);
    config.max_agent_ping_timeouts = 2;
    let mut player = Player::new(config, Registry::new());
    // The driver of the second framework ended while the agent was silent; broken links are not in recordings.
    let back = records
        .iter()
        .position(|record| matches!(record.message, Message::ReregisterSlave(_)));
    let (before, after) = records.split_at(back.expect("the agent came back"));
    player.play(before);
    let driver = records
        .iter()
        .find(|record| matches!(record.message, Message::SchedulerCall(_)));
    player.harness.exited(&driver.expect("a driver").from);
    // The farewell to the driver went into the broken link.
    player.harness.out.retain(|out| {
        !matches!(
            out,
            Out::Message {
                message: Message::FrameworkError(_),
                ..
            }
        )
    });
    let epoch = player.epoch;
    player.advance_to(after[0].at);
    for record in after.iter().filter(|record| record.to.id() != "slave(1)") {
        player.advance_to(record.at);
        player.feed(record);
    }
    assert_eq!(player.epoch, epoch);
    compare(&records, &player.harness);
}

#[test]
fn a_restart_of_the_master() {
    let Some(records) = recording("w8_failover.jsonl") else {
        return;
    };
    let restart = records
        .iter()
        .position(|record| matches!(record.message, Message::ReregisterSlave(_)));
    let (before, after) = records.split_at(restart.expect("the agent came back"));
    let mut player = Player::new(recorded_config(before), Registry::new());
    player.play(before);
    compare(before, &player.harness);
    let registry = player.harness.registrar.registry().clone();
    let mut second = Player::new(recorded_config(before), registry);
    second.harness.now = player.harness.now;
    let long_lived = after.iter().find_map(|record| match &record.message {
        Message::UpdateFramework(message) => Some((*message.framework_info).clone()),
        _ => None,
    });
    let info = long_lived.expect("its framework was back before the agent");
    let id = FrameworkId::from(&*info.id);
    let scheduler = Scheduler::subscribe(&mut second.harness, info);
    second.schedulers.insert(id, scheduler);
    second.epoch = second.harness.now;
    let begin = after[0].at;
    let after: Vec<Record> = after
        .iter()
        .map(|record| Record {
            at: record.at - begin,
            from: record.from.clone(),
            to: record.to.clone(),
            message: record.message.clone(),
        })
        .collect();
    second.play(&after);
    assert!(second.harness.out.iter().all(|out| !matches!(out, Out::Abort(_))));
    compare(&after, &second.harness);
}
