//! The process of an emulated agent: carries out what its core wants.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use libprocess::{Context, Process, TimerId, Upid};
use mesos::Message;
use mesos::message::WireMessage;
use mesos_proto::internal::wire::messages::ReregisterSlaveMessage;

use super::{AgentCore, AgentInput, AgentTimer, Effect};
use crate::record::{Note, Recorder};

/// The process `slave(N)`.
pub struct AgentProcess {
    core: AgentCore,
    master: Upid,
    recorder: Arc<Recorder>,
    timers: HashMap<AgentTimer, TimerId>,
}

impl AgentProcess {
    /// Builds the process of one agent.
    #[must_use]
    pub fn new(core: AgentCore, master: Upid, recorder: Arc<Recorder>) -> Self {
        Self {
            core,
            master,
            recorder,
            timers: HashMap::new(),
        }
    }

    /// Hands something that happened to the core and carries out what follows.
    pub fn apply(&mut self, input: AgentInput, context: &mut Context<Self>) {
        let now = context.now();
        for effect in self.core.step(now, input) {
            match effect {
                Effect::LinkMaster => context.link(&self.master),
                Effect::Send(message) => context.send(&self.master, message.name(), message.encode().into()),
                Effect::SendReregistration(body) => {
                    context.send(&self.master, ReregisterSlaveMessage::WIRE_NAME, body);
                }
                Effect::Reply(to, message) => context.send(&to, message.name(), message.encode().into()),
                Effect::SetTimer(timer, after) => self.set_timer(timer, after, context),
                Effect::CancelTimer(timer) => {
                    if let Some(id) = self.timers.remove(&timer) {
                        context.cancel(id);
                    }
                }
                Effect::Note(note) => self.recorder.note(now, note),
            }
        }
    }

    fn set_timer(&mut self, timer: AgentTimer, after: std::time::Duration, context: &mut Context<Self>) {
        let due = timer.clone();
        let id = context.delay(after, move |agent: &mut Self, context| {
            agent.timers.remove(&due);
            agent.apply(AgentInput::Timer(due), context);
        });
        if let Some(earlier) = self.timers.insert(timer, id) {
            context.cancel(earlier);
        }
    }
}

impl Process for AgentProcess {
    fn message(&mut self, from: Upid, name: &str, body: Bytes, context: &mut Context<Self>) {
        match Message::decode(name, &body) {
            Some(Ok(message)) => self.apply(AgentInput::Message { from, message }, context),
            Some(Err(error)) => {
                let problem = Note::Problem(format!("agents got a {name} that does not parse: {error}"));
                self.recorder.note(context.now(), problem);
            }
            None => {
                let problem = Note::Problem(format!("agents got a message of the unknown name {name}"));
                self.recorder.note(context.now(), problem);
            }
        }
    }

    fn exited(&mut self, _upid: &Upid, context: &mut Context<Self>) {
        self.apply(AgentInput::MasterLost, context);
    }
}
