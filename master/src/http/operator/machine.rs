//! Questions about this program and its machine: metrics, log level, files.

use std::time::Duration;

use bytes::Bytes;
use libprocess::http::media::{MediaType, plain};
use libprocess::http::{Body, Method};
use libprocess::{Context, Node, Request, Responder, Response};
use mesos_node::files::{FileInfo, FilesError, Piece};
use mesos_proto::v0::master::response::Type as AnswerType;
use mesos_proto::v0::master::{Call, Response as Answer};
use mesos_proto::v0::mesos::{FileInfo as FileMessage, Metric, TimeInfo};
use protobuf::MessageField;

use super::encode;
use crate::process::MasterProcess;

/// `GET_METRICS`.
pub fn metrics(call: &Call, wanted: MediaType, responder: Responder, context: &mut Context<MasterProcess>) {
    let timeout = call
        .get_metrics
        .timeout
        .as_ref()
        .map(mesos_proto::v0::mesos::DurationInfo::nanoseconds);
    let patience = match timeout.map(u64::try_from) {
        Some(Err(_)) => return responder.send(plain(400, "'timeout' must not be negative")),
        Some(Ok(nanoseconds)) => Some(Duration::from_nanos(nanoseconds)),
        None => None,
    };
    let metrics = context.node().metrics().clone();
    let snapshot = async move { metrics.snapshot(patience).await };
    context.run_async(snapshot, move |_, snapshot, _| {
        let mut answer = Answer::new();
        answer.set_type(AnswerType::GET_METRICS);
        let listed = &mut answer.get_metrics.mut_or_insert_default().metrics;
        for (name, sample) in snapshot {
            let mut metric = Metric::new();
            metric.set_name(name);
            metric.set_value(sample.value);
            listed.push(metric);
        }
        responder.send(encode(&answer, wanted));
    });
}

/// `GET_LOGGING_LEVEL`.
pub fn logging_level(wanted: MediaType, responder: Responder, context: &mut Context<MasterProcess>) {
    let answer = toggle(context.node().clone(), Vec::new());
    context.run_async(answer, move |_, answer, _| {
        let level = answer.ok().and_then(|text| text.trim().parse().ok());
        responder.send(level.map_or_else(
            || plain(500, "the log level cannot be told"),
            |level| {
                let mut answer = Answer::new();
                answer.set_type(AnswerType::GET_LOGGING_LEVEL);
                answer.get_logging_level.mut_or_insert_default().set_level(level);
                encode(&answer, wanted)
            },
        ));
    });
}

/// `SET_LOGGING_LEVEL`.
pub fn set_logging_level(call: &Call, responder: Responder, context: &mut Context<MasterProcess>) {
    let wanted = &call.set_logging_level;
    let duration = wanted.duration.nanoseconds();
    if duration < 0 {
        return responder.send(plain(400, "'duration' must not be negative"));
    }
    let query = vec![
        ("level".to_owned(), wanted.level().to_string()),
        ("duration".to_owned(), format!("{duration}ns")),
    ];
    let answer = toggle(context.node().clone(), query);
    context.run_async(answer, move |_, answer, _| {
        responder.send(answer.map_or_else(
            |refusal| refusal,
            |_| Response::status(libprocess::http::StatusCode::OK),
        ));
    });
}

/// Asks the node's own process that knows the log level, and gives its text or its refusal.
async fn toggle(node: Node, query: Vec<(String, String)>) -> Result<String, Response> {
    const PATH: &str = "/logging/toggle";
    let gone = || plain(503, "the process that knows the log level is gone");
    let target = node.resolve_route_when_ready(PATH).await.ok_or_else(gone)?;
    let mut request = Request::new(Method::GET, PATH);
    request.query.extend(query);
    let (responder, answer) = Responder::new();
    node.deliver_http(&target, request, responder);
    let answer = answer.await.map_err(|_| gone())?;
    if !answer.status.is_success() {
        return Err(answer);
    }
    let bytes = match answer.body {
        Body::Full(bytes) => bytes,
        Body::Empty | Body::Stream(_) => Bytes::new(),
    };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `LIST_FILES`.
pub fn list_files(
    master: &MasterProcess,
    call: &Call,
    wanted: MediaType,
    responder: Responder,
    context: &mut Context<MasterProcess>,
) {
    let (files, path) = (master.files().clone(), call.list_files.path().to_owned());
    context.run_blocking(
        move || files.list(&path),
        move |_, listed, _| {
            responder.send(listed.map_or_else(|error| refusal(&error), |entries| encode(&listing(entries), wanted)));
        },
    );
}

/// `READ_FILE`.
pub fn read_file(
    master: &MasterProcess,
    call: &Call,
    wanted: MediaType,
    responder: Responder,
    context: &mut Context<MasterProcess>,
) {
    let (files, asked) = (master.files().clone(), call.read_file.clone().unwrap_or_default());
    context.run_blocking(
        move || files.read(asked.path(), Some(asked.offset()), asked.length),
        move |_, read, _| {
            responder.send(read.map_or_else(|error| refusal(&error), |piece| encode(&reading(piece), wanted)));
        },
    );
}

fn refusal(error: &FilesError) -> Response {
    let status = libprocess::http::StatusCode::from_u16(error.status());
    Response::text(
        status.unwrap_or(libprocess::http::StatusCode::INTERNAL_SERVER_ERROR),
        error.body(),
    )
}

fn listing(entries: Vec<FileInfo>) -> Answer {
    let mut answer = Answer::new();
    answer.set_type(AnswerType::LIST_FILES);
    let infos = &mut answer.list_files.mut_or_insert_default().file_infos;
    for entry in entries {
        let mut info = FileMessage::new();
        info.set_path(entry.path);
        info.set_nlink(i32::try_from(entry.nlink).unwrap_or(i32::MAX));
        info.set_size(entry.size);
        let mut time = TimeInfo::new();
        time.set_nanoseconds(entry.mtime.saturating_mul(1_000_000_000));
        info.mtime = MessageField::some(time);
        info.set_mode(entry.mode.0);
        info.set_uid(entry.owner);
        info.set_gid(entry.group);
        infos.push(info);
    }
    answer
}

fn reading(piece: Piece) -> Answer {
    let mut answer = Answer::new();
    answer.set_type(AnswerType::READ_FILE);
    let read = answer.read_file.mut_or_insert_default();
    read.set_size(piece.size);
    read.set_data(piece.data);
    answer
}
