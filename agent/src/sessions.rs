//! Sessions: containers that look into others and whose output is an answer, for whoever launched them and for those
//! who attach later.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libprocess::http::media::plain;
use libprocess::http::negotiate;
use libprocess::{Context, Responder, Response, StreamError, StreamWriter};
use mesos::ids::ContainerId;
use mesos_containerizer::{ContainerOutput, LaunchRequest};
use mesos_node::{EventStream, WriteError};
use mesos_proto::v1::agent::call::Type;
use mesos_proto::v1::agent::process_io::{Control, Data, control, data};
use mesos_proto::v1::agent::{ProcessIO, process_io};
use protobuf::MessageField;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;

use crate::http::operator::containers;
use crate::http::operator::parse::{Call, Framing};
use crate::process::AgentProcess;

/// Most output in one record.
const PIECE_BYTES_MAX: usize = 16 * 1024;

/// The sessions that are open, with those who attached to their output.
#[derive(Debug, Default)]
pub struct Sessions(BTreeMap<ContainerId, Viewers>);

/// Streams that get a copy of a session's output.
type Viewers = Arc<Mutex<Vec<EventStream>>>;

impl AgentProcess {
    /// Attaches a caller to a running container: to the output of a session, from now on.
    pub(crate) fn attach(&self, container_id: &ContainerId, call: &Call, responder: Responder) {
        let output = call.kind == Type::ATTACH_CONTAINER_OUTPUT;
        let viewers = self.sessions.0.get(container_id).filter(|_| output);
        if let Some(viewers) = viewers {
            let (response, writer) = stream_response(call);
            let stream = EventStream::new(writer, call.media_type);
            viewers.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
            return responder.send(response);
        }
        responder.send(if !self.containerizer().containers().contains(container_id) {
            containers::unknown(container_id)
        } else if output {
            plain(
                501,
                "this agent streams the output of sessions only; that of others is in their sandboxes",
            )
        } else {
            plain(501, format!("this agent does not support the call {:?} yet", call.kind))
        });
    }

    /// Launches a container whose output is the answer; it ends with the connection.
    pub(crate) fn open_session(
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
        let receivers = Receiver::from_owned_fd(stdout.into())
            .and_then(|stdout| Ok((stdout, Receiver::from_owned_fd(stderr.into())?)));
        let (stdout, stderr) = match receivers {
            Ok(receivers) => receivers,
            Err(error) => return responder.send(plain(500, format!("pipes cannot be read: {error}"))),
        };
        request.output = ContainerOutput::Pipes {
            stdout: Arc::new(to_stdout.into()),
            stderr: Arc::new(to_stderr.into()),
        };
        let (response, writer) = stream_response(call);
        let output = Output {
            stdout: Some(stdout),
            stderr: Some(stderr),
            stream: EventStream::new(writer, call.media_type),
            viewers: Viewers::default(),
        };
        let id = container_id.clone();
        self.launch_nested(
            container_id,
            request,
            context,
            move |agent, result, context| match result {
                Ok(()) => agent.stream_session(id, output, response, responder, context),
                Err(error) => responder.send(containers::not_launched(&error)),
            },
        );
    }

    /// Answers with the output of a container that runs. Once the answer is closed, by whichever side, it ends.
    fn stream_session(
        &mut self,
        container_id: ContainerId,
        output: Output,
        response: Response,
        responder: Responder,
        context: &mut Context<Self>,
    ) {
        let (me, id) = (context.me(), container_id.clone());
        output.stream.on_close(move || {
            me.dispatch(move |agent, context| {
                agent.sessions.0.remove(&id);
                let destroyed = agent.containerizer().destroy(id);
                context.run_async(destroyed, |_, _, _| {});
            });
        });
        self.sessions.0.insert(container_id, Arc::clone(&output.viewers));
        responder.send(response);
        context.run_async(output.pass_on(self.stream_heartbeat()), |_, (), _| {});
    }
}

/// An answer that consists of records, announced as the caller wants.
fn stream_response(call: &Call) -> (Response, StreamWriter) {
    match call.framing {
        Framing::Plain => Response::stream(call.media_type.as_str()),
        Framing::RecordIo => {
            let (response, writer) = Response::stream(negotiate::APPLICATION_RECORDIO);
            let response = response.with_header("Message-Content-Type", call.media_type.as_str());
            (response, writer)
        }
    }
}

/// The output of a session on its way to whoever reads it.
struct Output {
    stdout: Option<Receiver>,
    stderr: Option<Receiver>,
    stream: EventStream,
    viewers: Viewers,
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

    /// Writes a record, waiting for the client's room; false when it does not read any more. Those who attached later
    /// must keep up.
    async fn write(&self, record: &ProcessIO) -> bool {
        let kept = |viewer: &EventStream| viewer.write(record).is_ok();
        self.viewers.lock().unwrap_or_else(PoisonError::into_inner).retain(kept);
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
