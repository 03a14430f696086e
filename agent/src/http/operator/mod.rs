//! `/api/v1`: the calls of operators.
//!
//! [`parse`] reads a call, [`reads`] builds answers from the core's state, [`encode`] writes them; this file leads from
//! one to the other and asks whoever else has to be asked.

pub mod containers;
pub mod encode;
pub mod parse;
pub mod reads;

use std::sync::Arc;
use std::time::Duration;

use libprocess::http::media::{MediaType, plain};
use libprocess::http::{Body, Method, StatusCode};
use libprocess::{Context, Node, Request, Responder, Response};
use mesos_proto::v1::agent::call::Type;
use mesos_proto::v1::mesos::DurationInfo;

use self::encode::encode;
use self::parse::Call;
use super::{refuse_while_recovering, usage};
use crate::process::AgentProcess;

/// Answers one request.
pub fn handle(agent: &mut AgentProcess, request: &Request, responder: Responder, context: &mut Context<AgentProcess>) {
    if let Some(refusal) = refuse_while_recovering(agent) {
        return responder.send(refusal);
    }
    match parse::parse(request) {
        Ok(call) => dispatch(agent, call, responder, context),
        Err(refusal) => responder.send(refusal),
    }
}

fn dispatch(agent: &mut AgentProcess, call: Call, responder: Responder, context: &mut Context<AgentProcess>) {
    let media_type = call.media_type;
    let core = agent.core();
    let answer = match call.kind {
        Type::UNKNOWN => return responder.send(plain(501, "the call type is not known")),
        Type::GET_HEALTH => reads::health(),
        Type::GET_FLAGS => reads::flags(agent.identity()),
        Type::GET_VERSION => reads::version(agent.identity()),
        Type::GET_STATE => reads::state(core),
        Type::GET_FRAMEWORKS => reads::frameworks(core),
        Type::GET_EXECUTORS => reads::executors(core),
        Type::GET_TASKS => reads::tasks(core),
        Type::GET_AGENT => reads::agent(core),
        Type::GET_OPERATIONS => reads::operations(core),
        Type::GET_RESOURCE_PROVIDERS => reads::resource_providers(),
        Type::GET_CONTAINERS => return containers(agent, &call, responder, context),
        Type::GET_METRICS => return metrics(&call, responder, context),
        Type::GET_LOGGING_LEVEL => return logging_level(media_type, responder, context),
        Type::SET_LOGGING_LEVEL => return set_logging_level(&call, responder, context),
        Type::LIST_FILES | Type::READ_FILE => return files(agent, call, responder, context),
        // There are no images here, and so none is left to prune.
        Type::PRUNE_IMAGES => return responder.send(Response::status(StatusCode::OK)),
        kind if parse::is_about_containers(kind) => return agent.container_call(&call, responder, context),
        kind => return responder.send(plain(501, format!("this agent does not support the call {kind:?} yet"))),
    };
    responder.send(encode(&answer, media_type));
}

fn containers(agent: &AgentProcess, call: &Call, responder: Responder, context: &mut Context<AgentProcess>) {
    let mut containers = usage::executors(agent.core());
    let others = usage::others(agent.core(), agent.containerizer().containers());
    let (show_nested, show_standalone) = (
        call.message.get_containers.show_nested(),
        call.message.get_containers.show_standalone(),
    );
    containers.extend(others.into_iter().filter(|other| match other.container_id.is_nested() {
        true => show_nested,
        false => show_standalone,
    }));
    let media_type = call.media_type;
    let measured = usage::measure(Arc::clone(agent.containerizer()), containers);
    context.run_async(measured, move |_, measured, _| {
        responder.send(encode(&reads::containers(&measured), media_type));
    });
}

fn metrics(call: &Call, responder: Responder, context: &mut Context<AgentProcess>) {
    let patience = call.message.get_metrics.timeout.as_ref().map(duration);
    let (metrics, media_type) = (context.node().metrics().clone(), call.media_type);
    let snapshot = async move { metrics.snapshot(patience).await };
    context.run_async(snapshot, move |_, snapshot, _| {
        responder.send(encode(&reads::metrics(&snapshot), media_type));
    });
}

fn files(agent: &AgentProcess, call: Call, responder: Responder, context: &mut Context<AgentProcess>) {
    let files = agent.files.clone();
    let read = move || {
        let answer = if call.kind == Type::LIST_FILES {
            let path = call.message.list_files.path();
            files.list(path).map(|listed| reads::listed(&listed))
        } else {
            let wanted = &call.message.read_file;
            let piece = files.read(wanted.path(), Some(wanted.offset()), wanted.length);
            piece.map(reads::piece)
        };
        match answer {
            Ok(answer) => encode(&answer, call.media_type),
            Err(error) => plain(error.status(), error.body()),
        }
    };
    context.run_blocking(read, |_, response, _| responder.send(response));
}

fn duration(duration: &DurationInfo) -> Duration {
    Duration::from_nanos(u64::try_from(duration.nanoseconds()).unwrap_or_default())
}

fn logging_level(media_type: MediaType, responder: Responder, context: &mut Context<AgentProcess>) {
    let asked = ask(context.node().clone(), Request::new(Method::GET, "/logging/toggle"));
    context.run_async(asked, move |_, told, _| {
        let level = told.as_ref().and_then(level_of);
        responder.send(match level {
            Some(level) => encode(&reads::logging_level(level), media_type),
            None => plain(500, "the log level cannot be told"),
        });
    });
}

fn level_of(told: &Response) -> Option<u32> {
    let Body::Full(text) = &told.body else { return None };
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

fn set_logging_level(call: &Call, responder: Responder, context: &mut Context<AgentProcess>) {
    let wanted = &call.message.set_logging_level;
    let mut request = Request::new(Method::POST, "/logging/toggle");
    let duration = format!("{}ns", wanted.duration.nanoseconds());
    request.query.insert("level".to_owned(), wanted.level().to_string());
    request.query.insert("duration".to_owned(), duration);
    let asked = ask(context.node().clone(), request);
    context.run_async(asked, move |_, told, _| {
        responder.send(told.unwrap_or_else(|| plain(500, "the log level cannot be set")));
    });
}

/// Asks another process of this node as a request from outside would, past authentication: the operator's call has
/// been authenticated already.
async fn ask(node: Node, request: Request) -> Option<Response> {
    let target = node.resolve_route_when_ready(&request.path).await?;
    let (responder, answer) = Responder::new();
    node.deliver_http(&target, request, responder);
    answer.await.ok()
}
