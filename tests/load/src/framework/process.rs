//! A framework over libprocess messages: a process like the driver's.

use std::sync::Arc;

use bytes::Bytes;
use libprocess::{Context, Process, Upid};
use mesos::Message;

use super::core::{Effect, FrameworkCore, FrameworkEvent, FrameworkInput};
use crate::record::{Note, Recorder};

/// The process `scheduler(N)`.
pub struct FrameworkProcess {
    core: FrameworkCore,
    master: Upid,
    recorder: Arc<Recorder>,
}

impl FrameworkProcess {
    /// Builds the process.
    #[must_use]
    pub const fn new(core: FrameworkCore, master: Upid, recorder: Arc<Recorder>) -> Self {
        Self { core, master, recorder }
    }

    /// Hands something that happened to the core and carries out what follows.
    pub fn apply(&mut self, input: FrameworkInput, context: &mut Context<Self>) {
        let now = context.now();
        for effect in self.core.step(now, input) {
            match effect {
                Effect::Subscribe(call) => {
                    context.link(&self.master);
                    self.send(&(*call).into(), context);
                }
                Effect::Call(call) => self.send(&(*call).into(), context),
                Effect::SetTimer(after) => {
                    context.delay(after, |framework: &mut Self, context| {
                        framework.apply(FrameworkInput::TimerElapsed, context);
                    });
                }
                Effect::Note(note) => self.recorder.note(now, note),
            }
        }
    }

    fn send(&self, message: &Message, context: &mut Context<Self>) {
        context.send(&self.master, message.name(), message.encode().into());
    }
}

impl Process for FrameworkProcess {
    fn message(&mut self, _from: Upid, name: &str, body: Bytes, context: &mut Context<Self>) {
        match Message::decode(name, &body) {
            Some(Ok(message)) => self.apply(FrameworkInput::Event(framework_event(message)), context),
            Some(Err(_)) | None => {
                let problem = Note::Problem(format!("a framework got a {name} that it cannot read"));
                self.recorder.note(context.now(), problem);
            }
        }
    }

    fn exited(&mut self, _upid: &Upid, context: &mut Context<Self>) {
        self.apply(FrameworkInput::Disconnected, context);
    }
}

/// What a message of the master means.
fn framework_event(message: Message) -> FrameworkEvent {
    match message {
        Message::FrameworkRegistered(message) => FrameworkEvent::Subscribed(message.framework_id.value().to_owned()),
        Message::FrameworkReregistered(message) => FrameworkEvent::Subscribed(message.framework_id.value().to_owned()),
        Message::ResourceOffers(message) => FrameworkEvent::Offers(message.offers),
        Message::RescindResourceOffer(message) => {
            FrameworkEvent::Rescinded(message.offer_id.into_option().unwrap_or_default())
        }
        Message::StatusUpdate(message) => {
            let update = message.update.unwrap_or_default();
            let mut status = update.status.unwrap_or_default();
            status.slave_id = update.slave_id;
            status.uuid = update.uuid;
            FrameworkEvent::Update(Box::new(status))
        }
        Message::FrameworkError(message) => FrameworkEvent::Error(message.message().to_owned()),
        _ => FrameworkEvent::Other,
    }
}
