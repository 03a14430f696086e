//! A master with everything around it simulated: registrar, timers, wires. Invariants are checked after every step.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use libprocess_types::{Time, Upid};
use mesos::Message;
use mesos::ids::{AgentId, FrameworkId, OfferId};
use mesos_allocator::HierarchicalAllocator;
use mesos_allocator::api::{AgentOrder, AllocatorOptions};
use mesos_master_core::{
    Effect, Input, Master, MasterConfig, MasterTimer, OperatorCall, OperatorRequest, Reply, RequestId, SchedulerCall,
    Sender, StreamId,
};
use mesos_proto::internal::wire::messages as wire;
use mesos_proto::v0::mesos as proto;
use mesos_proto::v0::scheduler::{Call, Event, event};
use mesos_registrar::{Registrar, Registry};

/// Something that left the master.
#[derive(Clone, Debug)]
pub enum Out {
    /// A message, with the id of the sending process.
    Message { sender: String, to: Upid, message: Message },
    /// An event on a stream.
    Event(StreamId, Event),
    /// A stream was closed.
    Closed(StreamId),
    /// A request was answered.
    Reply(RequestId, Reply),
    /// The master gave up.
    Abort(String),
}

/// The master and its surroundings.
pub struct Harness {
    pub master: Master,
    pub registrar: Registrar,
    pub now: Time,
    pub out: Vec<Out>,
    /// Registry writes wait until [`Harness::store`] is called.
    pub hold_registry: bool,
    timers: BTreeMap<MasterTimer, Time>,
    next_request: u64,
    next_stream: u64,
}

pub const MASTER: &str = "9f1c26c1-9b4a-4f55-8d2a-ff5c4fd95d60";

pub fn upid(text: &str) -> Upid {
    text.parse().expect("a process address")
}

fn master_info() -> proto::MasterInfo {
    let mut info = proto::MasterInfo::new();
    info.set_id(MASTER.to_owned());
    info.set_ip(0x0100_007f);
    info.set_port(5050);
    info.set_pid("master@127.0.0.1:5050".to_owned());
    info.set_version("1.11.0".to_owned());
    info
}

pub fn config() -> MasterConfig {
    MasterConfig::new(master_info(), 7)
}

pub fn allocator() -> Box<HierarchicalAllocator> {
    let options = AllocatorOptions {
        agent_order: AgentOrder::Added,
        ..AllocatorOptions::default()
    };
    Box::new(HierarchicalAllocator::new(options))
}

impl Harness {
    /// A master that leads, with an empty registry.
    pub fn new() -> Self {
        Self::with(config(), Registry::new())
    }

    pub fn with(config: MasterConfig, registry: Registry) -> Self {
        let mut harness = Self {
            master: Master::new(config, allocator()),
            registrar: Registrar::new(registry.clone()),
            now: Time::from_secs_f64(1_000_000.0),
            out: Vec::new(),
            hold_registry: false,
            timers: BTreeMap::new(),
            next_request: 0,
            next_stream: 0,
        };
        harness.step(Input::Recovered(Box::new(registry)));
        harness
    }

    /// Takes one input, carries the effects out, and checks that the master's state agrees with itself.
    pub fn step(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let shown = format!("{input:?}");
            for effect in self.master.step(self.now, input) {
                self.carry_out(effect);
            }
            if let Err(error) = self.master.check_invariants() {
                panic!("after {}: {error}", &shown[..shown.len().min(300)]);
            }
            if !self.hold_registry {
                inputs.extend(self.write());
            }
        }
    }

    fn write(&mut self) -> Vec<Input> {
        if self.registrar.next_batch().is_none() {
            return Vec::new();
        }
        let answers = self.registrar.finish(Ok(())).expect("stored");
        answers.into_iter().map(Input::RegistryStored).collect()
    }

    /// Lets the registry answer what waits.
    pub fn store(&mut self) {
        for input in self.write() {
            self.step(input);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Send { sender, to, message } => {
                let sender = match sender {
                    Sender::Master => "master".to_owned(),
                    Sender::Observer(observer) => observer.to_string(),
                };
                self.out.push(Out::Message { sender, to, message });
            }
            Effect::StreamEvent { stream, event } => self.out.push(Out::Event(stream, *event)),
            Effect::CloseStream(stream) => self.out.push(Out::Closed(stream)),
            Effect::Reply { request, reply } => self.out.push(Out::Reply(request, reply)),
            Effect::SetTimer { timer, after } => {
                self.timers.insert(timer, self.now + after);
            }
            Effect::CancelTimer(timer) => {
                self.timers.remove(&timer);
            }
            Effect::StoreRegistry { write, operations } => self.registrar.submit(write, operations),
            Effect::Abort(reason) => self.out.push(Out::Abort(reason)),
            Effect::Link(_)
            | Effect::OpenStream { .. }
            | Effect::StartObserver(_)
            | Effect::StopObserver(_)
            | Effect::Publish(_) => {}
        }
    }

    /// Lets time pass; timers run out in their order.
    pub fn advance(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some((timer, due)) = self
            .timers
            .iter()
            .min_by_key(|(_, due)| **due)
            .map(|(t, d)| (t.clone(), *d))
        {
            if due > end {
                break;
            }
            self.timers.remove(&timer);
            self.now = due;
            self.step(Input::Timer(timer));
        }
        self.now = end;
    }

    /// Lets time pass while the agents answer their pings.
    pub fn advance_alive(&mut self, duration: Duration, agents: &[&Upid]) {
        let end = self.now + duration;
        while self.now < end {
            self.advance(Duration::from_secs(1));
            for agent in agents {
                self.receive(agent, wire::PongSlaveMessage::new());
            }
        }
    }

    pub fn has_timer(&self, timer: &MasterTimer) -> bool {
        self.timers.contains_key(timer)
    }

    pub fn receive(&mut self, from: &Upid, message: impl Into<Message>) {
        self.step(Input::Message {
            from: from.clone(),
            message: message.into(),
        });
    }

    pub fn exited(&mut self, upid: &Upid) {
        self.step(Input::Exited(upid.clone()));
    }

    /// Sends a call over HTTP and gives the status of the answer; 200 with an open stream for SUBSCRIBE.
    pub fn call(&mut self, call: Call, stream: Option<&StreamId>) -> Reply {
        self.next_request += 1;
        let request = RequestId(self.next_request);
        let call = SchedulerCall {
            request,
            call,
            principal: None,
            stream_header: stream.cloned(),
            new_stream: self.fresh_stream(),
        };
        self.step(Input::SchedulerCall(Box::new(call)));
        self.reply(request).unwrap_or(Reply {
            status: 200,
            body: String::new(),
        })
    }

    fn reply(&self, wanted: RequestId) -> Option<Reply> {
        self.out.iter().find_map(|out| match out {
            Out::Reply(request, reply) if *request == wanted => Some(reply.clone()),
            _ => None,
        })
    }

    pub fn operator(&mut self, call: OperatorCall) -> Option<Reply> {
        self.next_request += 1;
        let request = RequestId(self.next_request);
        self.step(Input::Operator(Box::new(OperatorRequest {
            request,
            principal: None,
            call,
        })));
        self.reply(request)
    }

    fn fresh_stream(&mut self) -> StreamId {
        self.next_stream += 1;
        StreamId::new(format!("stream-{}", self.next_stream))
    }

    /// Forgets what left the master so far.
    pub fn clear(&mut self) {
        self.out.clear();
    }

    /// Messages to a process, by the short name of their type.
    pub fn names_to(&self, wanted: &Upid) -> Vec<&'static str> {
        let names = self.out.iter().filter_map(|out| match out {
            Out::Message { to, message, .. } if to == wanted => Some(short(message.name())),
            _ => None,
        });
        names.collect()
    }

    pub fn messages_to(&self, wanted: &Upid) -> Vec<Message> {
        let messages = self.out.iter().filter_map(|out| match out {
            Out::Message { to, message, .. } if to == wanted => Some(message.clone()),
            _ => None,
        });
        messages.collect()
    }

    pub fn events_on(&self, wanted: &StreamId) -> Vec<&Event> {
        let events = self.out.iter().filter_map(|out| match out {
            Out::Event(stream, event) if stream == wanted => Some(event),
            _ => None,
        });
        events.collect()
    }

    pub fn types_on(&self, wanted: &StreamId) -> Vec<event::Type> {
        self.events_on(wanted).iter().map(|event| event.type_()).collect()
    }

    /// Statuses that were told to a framework, in either form.
    pub fn statuses(&self) -> Vec<proto::TaskStatus> {
        let statuses = self.out.iter().filter_map(|out| match out {
            Out::Event(_, event) if event.type_() == event::Type::UPDATE => Some((*event.update.status).clone()),
            Out::Message {
                message: Message::StatusUpdate(update),
                ..
            } => Some((*update.update.status).clone()),
            _ => None,
        });
        statuses.collect()
    }

    /// States of the statuses that were told.
    pub fn states(&self) -> Vec<proto::TaskState> {
        self.statuses().iter().map(proto::TaskStatus::state).collect()
    }

    /// The offers that a framework holds, oldest first.
    pub fn offers(&self, framework: &FrameworkId) -> Vec<OfferId> {
        let framework = &self.master.frameworks()[framework];
        framework.offers().iter().cloned().collect()
    }

    pub fn agent(&self, id: &AgentId) -> &mesos_master_core::Agent {
        &self.master.agents()[id]
    }

    pub fn last_stream(&self) -> StreamId {
        StreamId::new(format!("stream-{}", self.next_stream))
    }
}

pub fn short(name: &'static str) -> &'static str {
    name.rsplit('.').next().unwrap_or(name)
}
