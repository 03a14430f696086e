//! The agent's process: hands what happens to the core and carries out what the core wants, in order.
//!
//! No rule about frameworks, executors or tasks lives here. Launches, waits and writes run elsewhere and come back as
//! inputs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use libprocess::http::media::{MediaType, plain};
use libprocess::{Context, Process, Request, Responder, Response, TimerId, Upid};
use mesos::Message;
use mesos::ids::ContainerId;
use mesos_agent_core::{
    Agent, AgentTimer, CheckpointWrite, ContainerLaunch, Effect, ExecutorStreamId, Input, RequestId, ShutdownReason,
};
use mesos_containerizer::{Containerizer, ContainerizerError, ContainerizerFuture};
use mesos_node::files::FilesHandle;
use mesos_node::{EventStream, describe};
use tokio::sync::watch;

use crate::checkpoint::CheckpointWriter;
use crate::collection::empty_trash;
use crate::containers::{launch_request, recoverable, termination_for_core};
use crate::http;
use crate::http::state::Identity;
use crate::http::throttle::Throttle;
use crate::machine;
use crate::metrics::{self, Tally};
use crate::nested::Callers;
use crate::pending::Pending;
use crate::recovery;
use crate::sandboxes;
use crate::sessions::Sessions;

/// How an agent came to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ended {
    /// It runs.
    #[default]
    Running,
    /// A master or an operator asked for it.
    Asked(String),
    /// It cannot go on.
    Failed(String),
}

/// A request that waits for the core's answer.
struct Waiting {
    responder: Responder,
    media_type: MediaType,
}

/// What the process is built from.
pub struct Parts {
    /// The rules.
    pub core: Agent,
    /// What launches containers.
    pub containerizer: Arc<dyn Containerizer>,
    /// What writes checkpoints.
    pub writer: CheckpointWriter,
    /// Address of the master that is followed.
    pub master: Upid,
    /// What it tells about itself.
    pub identity: Identity,
    /// What operators may look into.
    pub files: FilesHandle,
    /// Pause between heartbeats on streams of containers' output.
    pub stream_heartbeat: Duration,
    /// Told when the agent ends.
    pub ended: watch::Sender<Ended>,
}

/// The process `slave(N)`.
pub struct AgentProcess {
    core: Agent,
    containerizer: Arc<dyn Containerizer>,
    pub(crate) writer: CheckpointWriter,
    master: Upid,
    identity: Identity,
    pub(crate) files: FilesHandle,
    stream_heartbeat: Duration,
    ended: watch::Sender<Ended>,
    requests: BTreeMap<RequestId, Waiting>,
    streams: BTreeMap<ExecutorStreamId, EventStream>,
    id_next: u64,
    timers: BTreeMap<AgentTimer, TimerId>,
    /// Who waits for containers.
    pub(crate) callers: Callers,
    pub(crate) sessions: Sessions,
    /// Sandboxes whose users cannot have them, and why: their containers are not launched.
    refused_sandboxes: BTreeMap<PathBuf, String>,
    pub(crate) pending: Pending,
    pub(crate) tally: Tally,
    pub(crate) statistics_throttle: Throttle,
}

impl AgentProcess {
    /// Builds the process.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self {
            core: parts.core,
            containerizer: parts.containerizer,
            writer: parts.writer,
            master: parts.master,
            identity: parts.identity,
            files: parts.files,
            stream_heartbeat: parts.stream_heartbeat,
            ended: parts.ended,
            requests: BTreeMap::new(),
            streams: BTreeMap::new(),
            id_next: 0,
            timers: BTreeMap::new(),
            callers: Callers::default(),
            sessions: Sessions::default(),
            refused_sandboxes: BTreeMap::new(),
            pending: Pending::default(),
            tally: Tally::default(),
            statistics_throttle: Throttle::per_second(http::STATISTICS_PER_SECOND),
        }
    }

    /// The core, for renderers.
    #[must_use]
    pub const fn core(&self) -> &Agent {
        &self.core
    }

    /// What it tells about itself.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What launches containers, for renderers of usage.
    #[must_use]
    pub const fn containerizer(&self) -> &Arc<dyn Containerizer> {
        &self.containerizer
    }

    /// Pause between heartbeats on streams of containers' output.
    pub(crate) const fn stream_heartbeat(&self) -> Duration {
        self.stream_heartbeat
    }

    /// Applies an input and carries out what follows.
    pub fn apply(&mut self, input: Input, context: &mut Context<Self>) {
        let effects = self.core.step(context.now(), input);
        self.carry_out_all(effects, context);
    }

    fn carry_out_all(&mut self, effects: Vec<Effect>, context: &mut Context<Self>) {
        for effect in effects {
            self.carry_out(effect, context);
        }
    }

    fn carry_out(&mut self, effect: Effect, context: &mut Context<Self>) {
        match effect {
            Effect::Send { to, message } => context.send(&to, message.name(), Bytes::from(message.encode())),
            Effect::Link(to) => context.link(&to),
            Effect::OpenStream { request, stream } => self.open_stream(request, stream, context),
            Effect::StreamEvent { stream, event } => self.write_event(stream, &event, context),
            Effect::CloseStream(stream) => drop(self.streams.remove(&stream)),
            Effect::Reply { request, status, body } => {
                if let Some(waiting) = self.requests.remove(&request) {
                    waiting.responder.send(plain(status, body));
                }
            }
            Effect::Checkpoint { writes, then } => self.checkpoint(writes, then, context),
            Effect::LaunchContainer(launch) => self.launch(*launch, context),
            Effect::DestroyContainer { container_id } => {
                // The end of the container is told by the wait that its launch began.
                let key = self.pending.begin("destroy", &container_id);
                let destroyed = self.containerizer.destroy(container_id);
                context.run_async(destroyed, move |agent, _, _| agent.pending.end(key));
            }
            Effect::UpdateContainer {
                container_id,
                resources,
                limits,
            } => {
                let updated = self.containerizer.update(container_id.clone(), resources, limits);
                self.await_update(container_id, updated, context);
            }
            Effect::SetTimer { timer, after } => self.set_timer(timer, after, context),
            Effect::CancelTimer(timer) => {
                if let Some(id) = self.timers.remove(&timer) {
                    context.cancel(id);
                }
            }
            Effect::CollectFolders { paths } => self.collect_folders(paths, context),
            Effect::MeasureDisk => self.measure_disk(context),
            Effect::MeasureLoad => context.run_blocking(machine::load_average, |agent: &mut Self, load, context| {
                agent.apply(Input::LoadMeasured(load), context);
            }),
            Effect::Redetect => {
                let master = self.master.clone();
                context
                    .me()
                    .dispatch(move |agent, context| agent.apply(Input::MasterDetected(Some(master)), context));
            }
            Effect::Shutdown { reason } => self.shut_down(reason, context),
        }
    }

    fn open_stream(&mut self, request: RequestId, stream: ExecutorStreamId, context: &mut Context<Self>) {
        let Some(waiting) = self.requests.remove(&request) else {
            return;
        };
        let (response, writer) = Response::stream(waiting.media_type.as_str());
        let me = context.me();
        writer.on_close(move || {
            me.dispatch(move |agent, context| {
                agent.streams.remove(&stream);
                agent.apply(Input::ExecutorStreamClosed { stream }, context);
            });
        });
        waiting.responder.send(response);
        self.streams
            .insert(stream, EventStream::new(writer, waiting.media_type));
    }

    fn write_event(
        &mut self,
        stream: ExecutorStreamId,
        event: &mesos_proto::v0::executor::Event,
        context: &mut Context<Self>,
    ) {
        let Some(open) = self.streams.get(&stream) else { return };
        if let Err(error) = open.write(&mesos::convert::evolve_executor_event(event)) {
            tracing::warn!(%stream, %error, "closing an executor's stream");
            self.streams.remove(&stream);
            let closed = Input::ExecutorStreamClosed { stream };
            context
                .me()
                .dispatch(move |agent, context| agent.apply(closed, context));
        }
    }

    fn checkpoint(&self, writes: Vec<CheckpointWrite>, then: Vec<Effect>, context: &Context<Self>) {
        let me = context.me();
        self.writer.submit(writes, move |result| {
            me.dispatch(move |agent, context| match result {
                Ok(refused) => {
                    let refused = refused.into_iter().map(|sandbox| (sandbox.path, sandbox.error));
                    agent.refused_sandboxes.extend(refused);
                    agent.carry_out_all(then, context);
                }
                Err(failure) => {
                    tracing::error!(path = %failure.path.display(), error = failure.error, "checkpoint failed");
                    agent.apply(
                        Input::CheckpointFailed {
                            path: failure.path,
                            error: failure.error,
                        },
                        context,
                    );
                }
            });
        });
    }

    fn launch(&mut self, launch: ContainerLaunch, context: &mut Context<Self>) {
        sandboxes::attach(
            &self.files,
            &launch.framework_id,
            &launch.executor_id,
            &launch.directory,
        );
        let container_id = launch.container_id.clone();
        if let Some(error) = self.refused_sandboxes.remove(&launch.directory) {
            let result = Err(error);
            self.apply(Input::LaunchFinished { container_id, result }, context);
            return;
        }
        let containerizer = Arc::clone(&self.containerizer);
        let launched = containerizer.launch(container_id.clone(), launch_request(launch));
        let id = container_id.clone();
        let key = self.pending.begin("launch", &id);
        let outcome = async move {
            launched.await?;
            // A container whose status cannot be told still runs; the core fills in what it knows.
            Ok(Box::new(containerizer.status(id).await.unwrap_or_default()))
        };
        context.run_async(outcome, move |agent, result: Result<_, ContainerizerError>, context| {
            agent.pending.end(key);
            agent.tally.count_fetch(result.as_ref().err());
            let running = result.is_ok();
            let result = result.map_err(|error| describe(&error));
            agent.apply(
                Input::LaunchFinished {
                    container_id: container_id.clone(),
                    result,
                },
                context,
            );
            if running {
                agent.watch(container_id, context);
            }
        });
    }

    /// Waits for the end of a container.
    fn watch(&self, container_id: ContainerId, context: &mut Context<Self>) {
        let ended = self.containerizer.wait(container_id.clone());
        context.run_async(ended, move |agent, termination, context| {
            let termination = termination.map(termination_for_core).unwrap_or_default();
            agent.apply(
                Input::ContainerTerminated {
                    container_id,
                    termination,
                },
                context,
            );
        });
    }

    fn await_update(
        &mut self,
        container_id: ContainerId,
        updated: ContainerizerFuture<Result<(), ContainerizerError>>,
        context: &mut Context<Self>,
    ) {
        let key = self.pending.begin("update", &container_id);
        context.run_async(updated, move |agent, result, context| {
            agent.pending.end(key);
            let answer = match result {
                Ok(()) => Input::ContainerUpdated { container_id },
                Err(error) => {
                    let error = describe(&error);
                    Input::ContainerUpdateFailed { container_id, error }
                }
            };
            agent.apply(answer, context);
        });
    }

    fn set_timer(&mut self, timer: AgentTimer, after: Duration, context: &mut Context<Self>) {
        let fired = timer.clone();
        let id = context.delay(after, move |agent: &mut Self, context| {
            agent.timers.remove(&fired);
            agent.apply(Input::Timer(fired), context);
        });
        if let Some(earlier) = self.timers.insert(timer, id) {
            context.cancel(earlier);
        }
    }

    fn shut_down(&self, reason: ShutdownReason, context: &mut Context<Self>) {
        let ended = match reason {
            ShutdownReason::Asked { message } => {
                tracing::info!(reason = message, "the agent ends as asked");
                Ended::Asked(message)
            }
            ShutdownReason::Failed { message } => {
                tracing::error!(error = message, "the agent ends");
                Ended::Failed(message)
            }
        };
        self.ended.send_replace(ended);
        context.terminate_self();
    }

    /// Reads checkpoints, adopts containers, then starts to follow the master.
    fn recover(&self, context: &mut Context<Self>) {
        let (paths, strictness) = (self.core.paths().clone(), self.core.config().strict);
        context.run_blocking(
            move || recovery::recover(&paths, strictness),
            |agent, recovered, context| match recovered {
                Ok(state) => agent.adopt(state, context),
                Err(error) => {
                    let message = describe(&error);
                    agent.shut_down(ShutdownReason::Failed { message }, context);
                }
            },
        );
    }

    fn adopt(&self, state: mesos_agent_core::recovery::RecoveredState, context: &mut Context<Self>) {
        let known = recoverable(&state, self.core.paths());
        let adopted = self.containerizer.recover(known);
        context.run_async(adopted, move |agent, result, context| {
            let recovered = match result {
                Ok(recovered) => recovered,
                Err(error) => {
                    let message = format!("cannot recover containers: {}", describe(&error));
                    agent.shut_down(ShutdownReason::Failed { message }, context);
                    return;
                }
            };
            let boot = recovery::boot_id().unwrap_or_default();
            let path = agent.core.paths().boot_id();
            let durability = mesos_agent_core::Durability::Written;
            let write = CheckpointWrite::File {
                path,
                bytes: boot.into_bytes(),
                durability,
            };
            agent.checkpoint(vec![write], Vec::new(), context);
            agent.apply(Input::Recovered(Box::new(state)), context);
            agent.note_recovered(recovered, context);
            sandboxes::attach_all(&agent.files, &agent.core);
            agent.tally.recovered(agent.core.started(), context.now());
            // Also those that cannot be adopted: the agent died before their process was known, and their wait ends
            // at once.
            for container_id in agent.containers_of_executors() {
                agent.watch(container_id, context);
            }
            let master = agent.master.clone();
            agent.apply(Input::MasterDetected(Some(master)), context);
        });
    }

    /// Containers of all executors whose end is not known yet.
    fn containers_of_executors(&self) -> Vec<ContainerId> {
        let executors = self.core.frameworks().flat_map(mesos_agent_core::Framework::executors);
        let open = executors.filter(|executor| executor.state() != mesos_agent_core::ExecutorState::Terminated);
        open.map(|executor| executor.container_id().clone()).collect()
    }

    fn next_id(&mut self) -> u64 {
        self.id_next += 1;
        self.id_next
    }

    /// `POST /api/v1/executor`.
    pub fn executor_api(&mut self, request: &Request, responder: Responder, context: &mut Context<Self>) {
        match http::executor::parse(request) {
            Ok((call, media_type)) => {
                let (request, stream) = (RequestId(self.next_id()), ExecutorStreamId(self.next_id()));
                self.requests.insert(request, Waiting { responder, media_type });
                self.apply(
                    Input::ExecutorCall {
                        request,
                        stream,
                        call: Box::new(call),
                    },
                    context,
                );
            }
            Err(refusal) => responder.send(refusal),
        }
    }
}

impl Process for AgentProcess {
    fn initialize(&mut self, context: &mut Context<Self>) {
        http::install(context);
        metrics::install(context);
        let trash = self.core.paths().trash();
        context.run_blocking(move || empty_trash(&trash), |_, (), _| {});
        self.recover(context);
    }

    fn finalize(&mut self, context: &mut Context<Self>) {
        self.callers.dismiss();
        metrics::uninstall(context);
    }

    fn exited(&mut self, upid: &Upid, context: &mut Context<Self>) {
        self.apply(Input::Exited { upid: upid.clone() }, context);
    }

    fn message(&mut self, from: Upid, name: &str, body: Bytes, context: &mut Context<Self>) {
        match Message::decode(name, &body) {
            Some(Ok(message)) => self.apply(Input::Message { from, message }, context),
            Some(Err(error)) => tracing::warn!(upid = %from, name, %error, "message does not parse; dropped"),
            None => tracing::debug!(upid = %from, name, "unknown message dropped"),
        }
    }
}
