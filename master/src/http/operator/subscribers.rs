//! `SUBSCRIBE`: operators that are told what changes, as a stream of events.

use std::collections::VecDeque;

use bytes::Bytes;
use libprocess::http::media::MediaType;
use libprocess::http::recordio;
use libprocess::{Response, StreamWriter};
use mesos_master_core::{Change, Master};
use mesos_proto::v0::master::Event;
use mesos_proto::v0::master::event::Type;
use mesos_proto::v0::master::response::get_frameworks::Framework as FrameworkAnswer;
use mesos_proto::v0::mesos::TimeInfo;
use mesos_proto::v1;
use protobuf::MessageField;

use super::{answers, json};
use crate::http::render::View;

/// Seconds between heartbeats.
///
/// Source: shared facts, `operator_calls.tsv`.
pub const HEARTBEAT_SECONDS: u32 = 15;

/// One operator.
struct Subscriber {
    id: u64,
    writer: StreamWriter,
    media_type: MediaType,
}

/// All operators that subscribed, oldest first.
pub struct Subscribers {
    open: VecDeque<Subscriber>,
    next: u64,
    limit: usize,
}

impl Subscribers {
    /// Nobody yet, and at most `limit` later.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self {
            open: VecDeque::new(),
            next: 0,
            limit,
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Opens a stream that begins with the whole state and a heartbeat; gives its id and the answer to send. The oldest
    /// stream ends when there are too many.
    pub fn open(&mut self, view: &View<'_>, media_type: MediaType) -> (u64, Response) {
        let (response, writer) = Response::stream(media_type.as_str());
        let subscriber = Subscriber {
            id: self.next,
            writer,
            media_type,
        };
        self.next += 1;
        // A stream that is new takes both records, unless the client is gone already.
        let _ = subscriber.write(&encode(&subscribed(view), media_type));
        let _ = subscriber.write(&encode(&heartbeat(), media_type));
        let id = subscriber.id;
        self.open.push_back(subscriber);
        if self.open.len() > self.limit {
            self.open.pop_front();
        }
        (id, response)
    }

    /// Sends a heartbeat to one stream; whether it is still open.
    pub fn heartbeat(&mut self, id: u64) -> bool {
        let Some(at) = self.open.iter().position(|subscriber| subscriber.id == id) else {
            return false;
        };
        let subscriber = &self.open[at];
        if subscriber.write(&encode(&heartbeat(), subscriber.media_type)) {
            return true;
        }
        self.open.remove(at);
        false
    }

    /// Tells everybody what changed. Streams whose clients are gone or do not read are ended.
    pub fn publish(&mut self, core: &Master, change: &Change) {
        if self.open.is_empty() {
            return;
        }
        let Some(event) = event(core, change) else { return };
        let of = |media_type| {
            let wanted = self.open.iter().any(|subscriber| subscriber.media_type == media_type);
            if wanted {
                encode(&event, media_type)
            } else {
                Default::default()
            }
        };
        let (text, binary) = (of(MediaType::Json), of(MediaType::Protobuf));
        self.open.retain(|subscriber| {
            subscriber.write(match subscriber.media_type {
                MediaType::Json => &text,
                MediaType::Protobuf => &binary,
            })
        });
    }
}

impl Subscriber {
    fn write(&self, record: &Bytes) -> bool {
        self.writer.write(record.clone()).is_ok()
    }
}

/// A record with the event in v1 form.
fn encode(event: &Event, media_type: MediaType) -> Bytes {
    recordio::encode(&match media_type {
        MediaType::Json => json::event_to_json(event).into_bytes(),
        MediaType::Protobuf => mesos::convert::evolve_to_bytes::<Event, v1::master::Event>(event),
    })
}

fn heartbeat() -> Event {
    let mut event = Event::new();
    event.set_type(Type::HEARTBEAT);
    event
}

fn subscribed(view: &View<'_>) -> Event {
    let mut event = Event::new();
    event.set_type(Type::SUBSCRIBED);
    let subscribed = event.subscribed.mut_or_insert_default();
    subscribed.get_state = MessageField::some(answers::state(view));
    subscribed.set_heartbeat_interval_seconds(f64::from(HEARTBEAT_SECONDS));
    event
}

/// The event that tells a change; nothing for changes that have none or whose subject is gone again.
fn event(core: &Master, change: &Change) -> Option<Event> {
    let mut event = Event::new();
    let kind = match change {
        Change::FrameworkAdded(id) => {
            let added = event.framework_added.mut_or_insert_default();
            added.framework = MessageField::some(framework(core, id)?);
            Type::FRAMEWORK_ADDED
        }
        Change::FrameworkUpdated(id) => {
            let updated = event.framework_updated.mut_or_insert_default();
            updated.framework = MessageField::some(framework(core, id)?);
            Type::FRAMEWORK_UPDATED
        }
        Change::FrameworkRemoved(info) => {
            let removed = event.framework_removed.mut_or_insert_default();
            removed.framework_info = MessageField::some((**info).clone());
            Type::FRAMEWORK_REMOVED
        }
        Change::AgentAdded(id) => {
            let agent = core.agents().get(id)?;
            let added = event.agent_added.mut_or_insert_default();
            added.agent = MessageField::some(answers::agent_answer(&View::new(core), agent));
            Type::AGENT_ADDED
        }
        Change::AgentRemoved(id) => {
            let removed = event.agent_removed.mut_or_insert_default();
            removed.agent_id = MessageField::some(id.to_proto());
            Type::AGENT_REMOVED
        }
        Change::TaskAdded(framework, id) => {
            let task = core.frameworks().get(framework)?.tasks().get(id)?;
            let added = event.task_added.mut_or_insert_default();
            added.task = MessageField::some(task.message());
            Type::TASK_ADDED
        }
        Change::TaskUpdated {
            framework_id,
            status,
            state,
        } => {
            let updated = event.task_updated.mut_or_insert_default();
            updated.framework_id = MessageField::some(framework_id.to_proto());
            updated.status = MessageField::some((**status).clone());
            updated.set_state(*state);
            Type::TASK_UPDATED
        }
        Change::AgentUpdated(_)
        | Change::TaskRemoved(..)
        | Change::ExecutorAdded(..)
        | Change::ExecutorRemoved(..)
        | Change::OfferAdded(_)
        | Change::OfferRemoved(_) => return None,
    };
    event.set_type(kind);
    Some(event)
}

fn framework(core: &Master, id: &mesos::ids::FrameworkId) -> Option<FrameworkAnswer> {
    let framework = core.frameworks().get(id)?;
    let mut answer = answers::framework_answer(&View::new(core), framework);
    if answer.unregistered_time.is_none() {
        let mut never = TimeInfo::new();
        never.set_nanoseconds(0);
        answer.unregistered_time = MessageField::some(never);
    }
    Some(answer)
}
