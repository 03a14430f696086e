//! Containers that others launch through the agent's API: the process' part between calls and containerizer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use libprocess::http::media::{MediaType, plain};
use libprocess::http::{StatusCode, negotiate};
use libprocess::{Context, Responder, Response, StreamError};
use mesos::ids::ContainerId;
use mesos_agent_core::Input;
use mesos_containerizer::{ContainerOutput, ContainerizerError, LaunchRequest, Recovered};
use mesos_node::{EventStream, WriteError};
use mesos_proto::v0::mesos::ContainerStatus;
use mesos_proto::v1::agent::call::Type;
use mesos_proto::v1::agent::process_io::{Control, Data, control, data};
use mesos_proto::v1::agent::{ProcessIO, process_io};
use protobuf::MessageField;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;

use crate::http::operator::containers::{self, ContainerCall, Users};
use crate::http::operator::parse::{Call, Framing};
use crate::process::AgentProcess;

/// Most output in one record.
const PIECE_BYTES_MAX: usize = 16 * 1024;

/// Requests whose answers containers have to give. An agent that ends tells them to ask again: executors wait for its
/// next life.
#[derive(Debug, Default)]
pub struct Callers {
    next: u64,
    waiting: BTreeMap<u64, Responder>,
}

impl Callers {
    /// Keeps a request; the key gives it back.
    fn keep(&mut self, responder: Responder) -> u64 {
        self.next += 1;
        // Those who have left in the meantime are not kept for an answer that may be far away.
        self.waiting.retain(|_, responder| !responder.is_closed());
        self.waiting.insert(self.next, responder);
        self.next
    }

    fn answer(&mut self, key: u64, response: Response) {
        if let Some(responder) = self.waiting.remove(&key) {
            responder.send(response);
        }
    }

    /// Answers everybody.
    pub fn dismiss(&mut self) {
        for responder in std::mem::take(&mut self.waiting).into_values() {
            responder.send(plain(503, "the agent is ending"));
        }
    }
}

impl AgentProcess {
    /// Answers a call about containers.
    pub(crate) fn container_call(&mut self, call: &Call, responder: Responder, context: &mut Context<Self>) {
        let users = if self.core().config().switch_user {
            Users::Switched
        } else {
            Users::Ignored
        };
        match containers::read(call, users) {
            Ok(ContainerCall::Launch(id, request)) => self.launch_for_caller(id, *request, responder, context),
            Ok(ContainerCall::Session(id, request)) => self.open_session(id, *request, call, responder, context),
            Ok(ContainerCall::Wait(id)) => self.wait_for_caller(id, call.kind, call.media_type, responder, context),
            Ok(ContainerCall::Kill(id, signal)) => {
                let killed = self.containerizer().kill(id.clone(), signal);
                let key = self.callers.keep(responder);
                context.run_async(killed, move |agent, result, _| {
                    agent.callers.answer(key, containers::killed(&id, &result));
                });
            }
            Ok(ContainerCall::Remove(id)) => {
                let removed = self.containerizer().remove(id);
                let key = self.callers.keep(responder);
                context.run_async(removed, move |agent, result, _| {
                    agent.callers.answer(key, containers::removed(&result));
                });
            }
            Ok(ContainerCall::Attach(id)) => responder.send(self.refuse_to_attach(call.kind, &id)),
            Err(refusal) => responder.send(refusal),
        }
    }

    fn refuse_to_attach(&self, kind: Type, container_id: &ContainerId) -> Response {
        if self.containerizer().containers().contains(container_id) {
            plain(501, format!("this agent does not support the call {kind:?} yet"))
        } else {
            containers::unknown(container_id)
        }
    }

    fn launch_for_caller(
        &mut self,
        container_id: ContainerId,
        request: LaunchRequest,
        responder: Responder,
        context: &mut Context<Self>,
    ) {
        let key = self.callers.keep(responder);
        self.launch_nested(container_id, request, context, move |agent, result, _| {
            let response = match result {
                Ok(()) => Response::status(StatusCode::OK),
                Err(error) => containers::not_launched(&error),
            };
            agent.callers.answer(key, response);
        });
    }

    /// Launches a container, tells the core of it and then the caller.
    fn launch_nested(
        &mut self,
        container_id: ContainerId,
        request: LaunchRequest,
        context: &mut Context<Self>,
        then: impl FnOnce(&mut Self, Result<(), ContainerizerError>, &mut Context<Self>) + 'static,
    ) {
        let key = self.pending.begin("launch", &container_id);
        let containerizer = Arc::clone(self.containerizer());
        let launched = containerizer.launch(container_id.clone(), request);
        let id = container_id.clone();
        let outcome = async move {
            launched.await?;
            // A container whose status cannot be told still runs, or has ended already.
            Ok(containerizer.status(id).await.ok())
        };
        context.run_async(outcome, move |agent, result: Result<_, ContainerizerError>, context| {
            agent.pending.end(key);
            let result = result.map(|status| {
                if let Some(status) = status {
                    agent.note_nested(container_id, status, context);
                }
            });
            then(agent, result, context);
        });
    }

    /// Tells the core of a nested container that runs, and later of its end.
    fn note_nested(&mut self, container_id: ContainerId, status: ContainerStatus, context: &mut Context<Self>) {
        let running = Input::NestedContainerRunning {
            container_id: container_id.clone(),
            status: Box::new(status),
        };
        self.apply(running, context);
        let ended = self.containerizer().wait(container_id.clone());
        context.run_async(ended, move |agent, _, context| {
            agent.apply(Input::NestedContainerEnded { container_id }, context);
        });
    }

    /// Tells the core of the nested containers that an earlier life of the agent left.
    pub(crate) fn note_recovered(&self, recovered: Recovered, context: &mut Context<Self>) {
        for container_id in recovered.containers.into_iter().filter(ContainerId::is_nested) {
            let status = self.containerizer().status(container_id.clone());
            context.run_async(status, move |agent, status, context| {
                if let Ok(status) = status {
                    agent.note_nested(container_id, status, context);
                }
            });
        }
    }

    fn wait_for_caller(
        &mut self,
        container_id: ContainerId,
        kind: Type,
        media_type: MediaType,
        responder: Responder,
        context: &mut Context<Self>,
    ) {
        let ended = self.containerizer().wait(container_id.clone());
        let key = self.callers.keep(responder);
        context.run_async(ended, move |agent, end, _| {
            let response = containers::ended(kind, &container_id, end.as_ref(), media_type);
            agent.callers.answer(key, response);
        });
    }

    /// Launches a container whose output is the answer; it ends with the connection.
    fn open_session(
        &mut self,
        container_id: ContainerId,
        mut request: LaunchRequest,
        call: &Call,
        responder: Responder,
        context: &mut Context<Self>,
    ) {
        let pipes = std::io::pipe().and_then(|stdout| Ok((stdout, std::io::pipe()?)));
        let ((stdout, to_stdout), (stderr, to_stderr)) = match pipes {
            Ok(pipes) => pipes,
            Err(error) => return responder.send(plain(500, format!("pipes cannot be made: {error}"))),
        };
        request.output = ContainerOutput::Pipes {
            stdout: Arc::new(to_stdout.into()),
            stderr: Arc::new(to_stderr.into()),
        };
        let (framing, media_type, heartbeat) = (call.framing, call.media_type, self.stream_heartbeat());
        let id = container_id.clone();
        self.launch_nested(container_id, request, context, move |agent, result, context| {
            let receivers = || {
                Ok((
                    Receiver::from_owned_fd(stdout.into())?,
                    Receiver::from_owned_fd(stderr.into())?,
                ))
            };
            let failed = |error: std::io::Error| plain(500, format!("pipes cannot be read: {error}"));
            let opened = match result {
                Ok(()) => receivers().map_err(failed),
                Err(error) => Err(containers::not_launched(&error)),
            };
            match opened {
                Ok((stdout, stderr)) => {
                    let (response, stream) = session_response(framing, media_type, agent, id, context);
                    responder.send(response);
                    let output = Output {
                        stdout: Some(stdout),
                        stderr: Some(stderr),
                        stream,
                    };
                    context.run_async(output.pass_on(heartbeat), |_, (), _| {});
                }
                Err(refusal) => responder.send(refusal),
            }
        });
    }
}

/// The answer that a session's output goes into. Once it is closed, by whichever side, the container ends.
fn session_response(
    framing: Framing,
    media_type: MediaType,
    agent: &AgentProcess,
    container_id: ContainerId,
    context: &Context<AgentProcess>,
) -> (Response, EventStream) {
    let (response, writer) = match framing {
        Framing::Plain => Response::stream(media_type.as_str()),
        Framing::RecordIo => {
            let (response, writer) = Response::stream(negotiate::APPLICATION_RECORDIO);
            (
                response.with_header("Message-Content-Type", media_type.as_str()),
                writer,
            )
        }
    };
    let (me, containerizer) = (context.me(), Arc::clone(agent.containerizer()));
    writer.on_close(move || {
        me.dispatch(move |_, context| {
            let destroyed = containerizer.destroy(container_id);
            context.run_async(destroyed, |_, _, _| {});
        });
    });
    (response, EventStream::new(writer, media_type))
}

/// The output of a session on its way to the client.
struct Output {
    stdout: Option<Receiver>,
    stderr: Option<Receiver>,
    stream: EventStream,
}

impl Output {
    /// Passes on what comes until both pipes have ended or the client has gone.
    async fn pass_on(mut self, heartbeat: Duration) {
        let mut beat = tokio::time::interval(heartbeat);
        let (mut from_stdout, mut from_stderr) = (vec![0; PIECE_BYTES_MAX], vec![0; PIECE_BYTES_MAX]);
        while self.stdout.is_some() || self.stderr.is_some() {
            let record = tokio::select! {
                read = read(&mut self.stdout, &mut from_stdout) => read.map(|piece| output(data::Type::STDOUT, piece)),
                read = read(&mut self.stderr, &mut from_stderr) => read.map(|piece| output(data::Type::STDERR, piece)),
                _ = beat.tick() => Some(beat_of(heartbeat)),
            };
            if let Some(record) = record
                && !self.write(&record).await
            {
                return;
            }
        }
    }

    /// Writes a record, waiting for room; false when nobody reads any more.
    async fn write(&self, record: &ProcessIO) -> bool {
        loop {
            match self.stream.write(record) {
                Ok(()) => return true,
                Err(WriteError::Stream(StreamError::Full)) => self.stream.room().await,
                Err(error) => {
                    tracing::debug!(%error, "the client of a session has gone");
                    return false;
                }
            }
        }
    }
}

/// Reads a piece; at the end of the pipe it is dropped.
async fn read<'a>(pipe: &mut Option<Receiver>, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let Some(open) = pipe.as_mut() else {
        return std::future::pending().await;
    };
    match open.read(buffer).await {
        Ok(length) if length > 0 => buffer.get(..length),
        _ => {
            *pipe = None;
            None
        }
    }
}

fn output(kind: data::Type, piece: &[u8]) -> ProcessIO {
    let mut bytes = Data::new();
    bytes.set_type(kind);
    bytes.set_data(piece.to_vec());
    let mut record = ProcessIO::new();
    record.set_type(process_io::Type::DATA);
    record.data = MessageField::some(bytes);
    record
}

fn beat_of(interval: Duration) -> ProcessIO {
    let mut beat = Control::new();
    beat.set_type(control::Type::HEARTBEAT);
    let nanoseconds = i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX);
    beat.heartbeat
        .mut_or_insert_default()
        .interval
        .mut_or_insert_default()
        .set_nanoseconds(nanoseconds);
    let mut record = ProcessIO::new();
    record.set_type(process_io::Type::CONTROL);
    record.control = MessageField::some(beat);
    record
}
