//! The master's process: hands what happens to the core and carries out what the core wants, in order.
//!
//! No rule lives here. Requests and streams are known by the ids that this shell gives them; whatever comes for an id
//! that is gone is dropped.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use libprocess::http::media::{MediaType, plain};
use libprocess::{Context, Process, Request, Responder, Response, TimerId, Upid};
use mesos::{Message, WireMessage};
use mesos_master_core::{
    Effect, Input, Master, MasterTimer, OperatorCall, OperatorRequest, Reply, RequestId, Reregistration, SchedulerCall,
    Sender, StreamId,
};
use mesos_node::EventStream;
use mesos_node::files::FilesHandle;
use mesos_proto::internal::wire::messages::ReregisterSlaveMessage;
use mesos_proto::{v0, v1};
use tokio::sync::watch;

use crate::http;
use crate::http::operator::subscribers::{HEARTBEAT_SECONDS, Subscribers};
use crate::http::render::{Identity, View};
use crate::http::scheduler::ParsedCall;
use crate::metrics;
use crate::registry::RegistryKeeper;

/// A request that waits for the core's answer.
struct Waiting {
    responder: Responder,
    media_type: MediaType,
}

/// The process `master`.
pub struct MasterProcess {
    core: Master,
    pub(crate) registry: RegistryKeeper,
    requests: BTreeMap<RequestId, Waiting>,
    request_next: u64,
    streams: BTreeMap<StreamId, EventStream>,
    timers: BTreeMap<MasterTimer, TimerId>,
    failure: watch::Sender<Option<String>>,
    identity: Identity,
    files: FilesHandle,
    subscribers: Subscribers,
}

impl MasterProcess {
    /// Builds the process; `failure` is told why when the master can no longer lead.
    #[must_use]
    pub(crate) fn new(
        core: Master,
        registry: RegistryKeeper,
        identity: Identity,
        files: FilesHandle,
        failure: watch::Sender<Option<String>>,
    ) -> Self {
        let subscribers = Subscribers::new(identity.subscribers_max());
        Self {
            core,
            registry,
            requests: BTreeMap::new(),
            request_next: 0,
            streams: BTreeMap::new(),
            timers: BTreeMap::new(),
            failure,
            identity,
            files,
            subscribers,
        }
    }

    /// The core, for renderers.
    #[must_use]
    pub const fn core(&self) -> &Master {
        &self.core
    }

    /// What the master tells about itself, for renderers.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Files that operators may look into.
    #[must_use]
    pub const fn files(&self) -> &FilesHandle {
        &self.files
    }

    /// Applies an input and everything that follows from it at once.
    pub fn apply(&mut self, input: Input, context: &mut Context<Self>) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for effect in self.core.step(context.now(), input) {
                self.carry_out(effect, &mut inputs, context);
            }
        }
    }

    fn carry_out(&mut self, effect: Effect, inputs: &mut VecDeque<Input>, context: &mut Context<Self>) {
        match effect {
            Effect::Send { sender, to, message } => self.send(sender, &to, &message, context),
            Effect::Link(to) => context.link(&to),
            Effect::StartObserver(id) => context.node().add_alias(&id.to_string(), &context.me()),
            Effect::StopObserver(id) => context.node().remove_alias(&id.to_string()),
            Effect::OpenStream { request, stream } => self.open_stream(request, stream, context),
            Effect::StreamEvent { stream, event } => self.write_event(&stream, &event, inputs),
            Effect::CloseStream(stream) => drop(self.streams.remove(&stream)),
            Effect::Reply { request, reply } => self.reply(request, reply),
            Effect::SetTimer { timer, after } => self.set_timer(timer, after, context),
            Effect::CancelTimer(timer) => {
                if let Some(id) = self.timers.remove(&timer) {
                    context.cancel(id);
                }
            }
            Effect::StoreRegistry { write, operations } => self.store(write, operations, inputs, context),
            Effect::Publish(change) => {
                tracing::trace!(?change, "state changed");
                self.subscribers.publish(&self.core, &change);
            }
            Effect::Abort(reason) => self.abort(reason, context),
        }
    }

    fn send(&mut self, sender: Sender, to: &Upid, message: &Message, context: &mut Context<Self>) {
        let body = Bytes::from(message.encode());
        tracing::trace!(upid = %to, name = message.name(), "message sent");
        match sender {
            Sender::Master => context.send(to, message.name(), body),
            Sender::Observer(id) => {
                let node = context.node();
                node.send(&node.pid(&id.to_string()), to, message.name(), body);
            }
        }
    }

    fn open_stream(&mut self, request: RequestId, stream: StreamId, context: &mut Context<Self>) {
        let Some(waiting) = self.requests.remove(&request) else {
            return;
        };
        let (response, writer) = Response::stream(waiting.media_type.as_str());
        let me = context.me();
        let closed = stream.clone();
        writer.on_close(move || {
            me.dispatch(move |master, context| {
                master.streams.remove(&closed);
                master.apply(Input::SchedulerStreamClosed(closed), context);
            });
        });
        waiting
            .responder
            .send(response.with_header("Mesos-Stream-Id", stream.as_str()));
        self.streams
            .insert(stream, EventStream::new(writer, waiting.media_type));
    }

    fn write_event(&mut self, stream: &StreamId, event: &v0::scheduler::Event, inputs: &mut VecDeque<Input>) {
        let Some(open) = self.streams.get(stream) else { return };
        let written = open.write_evolved::<v0::scheduler::Event, v1::scheduler::Event>(event);
        if let Err(error) = written {
            tracing::warn!(%stream, %error, "closing a scheduler's stream");
            self.streams.remove(stream);
            inputs.push_back(Input::SchedulerStreamClosed(stream.clone()));
        }
    }

    fn reply(&mut self, request: RequestId, reply: Reply) {
        if let Some(waiting) = self.requests.remove(&request) {
            waiting.responder.send(plain(reply.status, reply.body));
        }
    }

    fn set_timer(&mut self, timer: MasterTimer, after: std::time::Duration, context: &mut Context<Self>) {
        let fired = timer.clone();
        let id = context.delay(after, move |master: &mut Self, context| {
            master.timers.remove(&fired);
            master.apply(Input::Timer(fired), context);
        });
        if let Some(earlier) = self.timers.insert(timer, id) {
            context.cancel(earlier);
        }
    }

    /// Registers what is read from the core whenever somebody asks for the node's metrics.
    fn offer_metrics(&self, context: &mut Context<Self>) {
        let (me, node) = (context.me(), context.node().clone());
        let id = context.pid().id().to_owned();
        context.node().metrics().source("master", move || {
            let queued = node.queued_events(&id).unwrap_or_default();
            let collected = me.call(move |master, context| {
                let mut numbers = metrics::collect(&master.core, &master.identity, queued, context.now());
                numbers.push(metrics::subscribers(master.subscribers.len()));
                numbers.extend(metrics::registrar(master.registry.registrar()));
                numbers
            });
            Box::pin(async move { collected.await.unwrap_or_default() })
        });
    }

    pub(crate) fn abort(&self, reason: String, context: &mut Context<Self>) {
        tracing::error!(error = reason, "the master ends");
        self.failure.send_replace(Some(reason));
        context.terminate_self();
    }

    /// Takes a request in whose answer the core will decide, and gives its id.
    pub fn wait_for_core(&mut self, responder: Responder, media_type: MediaType) -> RequestId {
        self.request_next += 1;
        let id = RequestId(self.request_next);
        self.requests.insert(id, Waiting { responder, media_type });
        id
    }

    /// Lets the core decide about an operator's call.
    pub fn operator_call(
        &mut self,
        call: OperatorCall,
        principal: Option<String>,
        responder: Responder,
        context: &mut Context<Self>,
    ) {
        let request = self.wait_for_core(responder, MediaType::Json);
        let call = OperatorRequest {
            request,
            principal,
            call,
        };
        self.apply(Input::Operator(Box::new(call)), context);
    }

    /// Opens a stream that tells an operator what changes.
    pub fn subscribe_operator(&mut self, media_type: MediaType, responder: Responder, context: &mut Context<Self>) {
        let (id, response) = self.subscribers.open(&View::new(&self.core), media_type);
        responder.send(response);
        Self::delay_heartbeat(id, context);
    }

    fn delay_heartbeat(id: u64, context: &mut Context<Self>) {
        let after = Duration::from_secs(u64::from(HEARTBEAT_SECONDS));
        context.delay(after, move |master, context| {
            if master.subscribers.heartbeat(id) {
                Self::delay_heartbeat(id, context);
            }
        });
    }

    /// `POST /api/v1/scheduler`.
    pub fn scheduler_api(&mut self, request: &Request, responder: Responder, context: &mut Context<Self>) {
        match http::scheduler::parse(request) {
            Ok(ParsedCall {
                call,
                media_type,
                stream_header,
            }) => {
                let principal = request.principal.as_ref().and_then(|principal| principal.value.clone());
                let request = self.wait_for_core(responder, media_type);
                let new_stream = StreamId::new(uuid::Uuid::new_v4().to_string());
                let call = SchedulerCall {
                    request,
                    call,
                    principal,
                    stream_header,
                    new_stream,
                };
                self.apply(Input::SchedulerCall(Box::new(call)), context);
            }
            Err(refusal) => responder.send(refusal),
        }
    }
}

impl MasterProcess {
    /// The one message that is as large as what runs on an agent: its tasks are not parsed.
    fn agent_returned(&mut self, from: Upid, body: &[u8], context: &mut Context<Self>) {
        match Reregistration::decode(body) {
            Ok(report) => {
                let report = Box::new(report);
                self.apply(Input::AgentReturned { from, report }, context);
            }
            Err(error) => {
                tracing::warn!(upid = %from, error = %error, "registration does not parse; dropped");
            }
        }
    }
}

impl Process for MasterProcess {
    fn initialize(&mut self, context: &mut Context<Self>) {
        http::install(context);
        self.offer_metrics(context);
        self.recover(context);
    }

    fn exited(&mut self, upid: &Upid, context: &mut Context<Self>) {
        self.apply(Input::Exited(upid.clone()), context);
    }

    fn message(&mut self, from: Upid, name: &str, body: Bytes, context: &mut Context<Self>) {
        if name == ReregisterSlaveMessage::WIRE_NAME {
            return self.agent_returned(from, &body, context);
        }
        match Message::decode(name, &body) {
            Some(Ok(message)) => self.apply(Input::Message { from, message }, context),
            Some(Err(error)) => tracing::warn!(upid = %from, name, %error, "message does not parse; dropped"),
            None => tracing::debug!(upid = %from, name, "unknown message dropped"),
        }
    }

    fn finalize(&mut self, context: &mut Context<Self>) {
        context.node().metrics().remove_source("master");
    }
}
