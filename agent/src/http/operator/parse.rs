//! From a request to a call of an operator. Pure.
//!
//! Source: shared facts, `operator_calls.tsv`.

use libprocess::http::media::{MediaType, plain};
use libprocess::http::negotiate::{APPLICATION_RECORDIO, accepts};
use libprocess::{Request, Response};
use mesos_proto::v1::agent;
use mesos_proto::v1::agent::call::Type;
use mesos_proto::v1::mesos::ContainerID;

use crate::http::body;

/// How an answer that consists of many records announces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// As its records' encoding, like all other answers.
    Plain,
    /// As `application/recordio`, with the records' encoding in a header of its own.
    RecordIo,
}

/// A call that has what its type demands.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is asked.
    pub kind: Type,
    /// The call itself.
    pub message: agent::Call,
    /// Encoding of the answer, or of its records.
    pub media_type: MediaType,
    /// How an answer of records is announced.
    pub framing: Framing,
}

/// Reads a request.
///
/// # Errors
///
/// The answer to send: 400, 405, 406, 415 or 501.
pub fn parse(request: &Request) -> Result<Call, Response> {
    body::check_method(request)?;
    if request.header("content-type") == Some(APPLICATION_RECORDIO) {
        return Err(refuse_records(request));
    }
    let body_type = MediaType::of_body(request)?;
    let message: agent::Call = body::decode(request, body_type)?;
    let kind = message.type_.and_then(|kind| kind.enum_value().ok());
    let (media_type, framing) = wanted(request, kind)?;
    let kind = kind.ok_or_else(|| plain(400, "the call has no `type` that is known here"))?;
    if let Some(field) = missing_field(kind, &message) {
        return Err(plain(400, format!("the {kind:?} call lacks its field `{field}`")));
    }
    Ok(Call {
        kind,
        message,
        media_type,
        framing,
    })
}

/// Encoding and framing of the answer that the client wants.
fn wanted(request: &Request, kind: Option<Type>) -> Result<(MediaType, Framing), Response> {
    if let Some(media_type) = MediaType::wanted(request) {
        return Ok((media_type, Framing::Plain));
    }
    let streams = matches!(
        kind,
        Some(Type::LAUNCH_NESTED_CONTAINER_SESSION | Type::ATTACH_CONTAINER_OUTPUT)
    );
    if !streams || !accepts(&request.headers, "accept", APPLICATION_RECORDIO) {
        let text = "header Accept allows neither application/json nor application/x-protobuf";
        return Err(plain(406, text));
    }
    [MediaType::Json, MediaType::Protobuf]
        .into_iter()
        .find(|kind| accepts(&request.headers, "message-accept", kind.as_str()))
        .map(|kind| (kind, Framing::RecordIo))
        .ok_or_else(|| {
            let text = "header Message-Accept allows neither application/json nor application/x-protobuf";
            plain(406, text)
        })
}

/// Whether a call is about one container.
#[must_use]
pub fn is_about_containers(kind: Type) -> bool {
    matches!(
        kind,
        Type::LAUNCH_NESTED_CONTAINER
            | Type::WAIT_NESTED_CONTAINER
            | Type::KILL_NESTED_CONTAINER
            | Type::REMOVE_NESTED_CONTAINER
            | Type::LAUNCH_NESTED_CONTAINER_SESSION
            | Type::ATTACH_CONTAINER_INPUT
            | Type::ATTACH_CONTAINER_OUTPUT
            | Type::LAUNCH_CONTAINER
            | Type::WAIT_CONTAINER
            | Type::KILL_CONTAINER
            | Type::REMOVE_CONTAINER
    )
}

fn refuse_records(request: &Request) -> Response {
    match request.header("message-content-type") {
        Some("application/json" | "application/x-protobuf") => {
            plain(501, "this agent does not support the call ATTACH_CONTAINER_INPUT yet")
        }
        Some(other) => plain(415, format!("Message-Content-Type '{other}' is not accepted")),
        None => plain(
            400,
            "records need the header Message-Content-Type: application/json or application/x-protobuf",
        ),
    }
}

/// The field that belongs to the type of a call, when it is not there.
fn missing_field(kind: Type, call: &agent::Call) -> Option<&'static str> {
    let (field, present) = match kind {
        Type::GET_METRICS => ("get_metrics", call.get_metrics.is_some()),
        Type::SET_LOGGING_LEVEL => ("set_logging_level", call.set_logging_level.is_some()),
        Type::LIST_FILES => ("list_files", call.list_files.is_some()),
        Type::READ_FILE => ("read_file", call.read_file.is_some()),
        Type::LAUNCH_NESTED_CONTAINER => ("launch_nested_container", call.launch_nested_container.is_some()),
        Type::WAIT_NESTED_CONTAINER => ("wait_nested_container", call.wait_nested_container.is_some()),
        Type::KILL_NESTED_CONTAINER => ("kill_nested_container", call.kill_nested_container.is_some()),
        Type::REMOVE_NESTED_CONTAINER => ("remove_nested_container", call.remove_nested_container.is_some()),
        Type::LAUNCH_NESTED_CONTAINER_SESSION => (
            "launch_nested_container_session",
            call.launch_nested_container_session.is_some(),
        ),
        Type::ATTACH_CONTAINER_INPUT => ("attach_container_input", call.attach_container_input.is_some()),
        Type::ATTACH_CONTAINER_OUTPUT => ("attach_container_output", call.attach_container_output.is_some()),
        Type::LAUNCH_CONTAINER => ("launch_container", call.launch_container.is_some()),
        Type::WAIT_CONTAINER => ("wait_container", call.wait_container.is_some()),
        Type::KILL_CONTAINER => ("kill_container", call.kill_container.is_some()),
        Type::REMOVE_CONTAINER => ("remove_container", call.remove_container.is_some()),
        Type::ADD_RESOURCE_PROVIDER_CONFIG => (
            "add_resource_provider_config",
            call.add_resource_provider_config.is_some(),
        ),
        Type::UPDATE_RESOURCE_PROVIDER_CONFIG => (
            "update_resource_provider_config",
            call.update_resource_provider_config.is_some(),
        ),
        Type::REMOVE_RESOURCE_PROVIDER_CONFIG => (
            "remove_resource_provider_config",
            call.remove_resource_provider_config.is_some(),
        ),
        Type::MARK_RESOURCE_PROVIDER_GONE => (
            "mark_resource_provider_gone",
            call.mark_resource_provider_gone.is_some(),
        ),
        _ => return None,
    };
    (!present).then_some(field)
}

/// The container that a call is about.
#[must_use]
pub fn container_of(call: &Call) -> Option<&ContainerID> {
    let message = &call.message;
    let container = match call.kind {
        Type::LAUNCH_NESTED_CONTAINER => &message.launch_nested_container.container_id,
        Type::WAIT_NESTED_CONTAINER => &message.wait_nested_container.container_id,
        Type::KILL_NESTED_CONTAINER => &message.kill_nested_container.container_id,
        Type::REMOVE_NESTED_CONTAINER => &message.remove_nested_container.container_id,
        Type::LAUNCH_NESTED_CONTAINER_SESSION => &message.launch_nested_container_session.container_id,
        Type::ATTACH_CONTAINER_INPUT => &message.attach_container_input.container_id,
        Type::ATTACH_CONTAINER_OUTPUT => &message.attach_container_output.container_id,
        Type::LAUNCH_CONTAINER => &message.launch_container.container_id,
        Type::WAIT_CONTAINER => &message.wait_container.container_id,
        Type::KILL_CONTAINER => &message.kill_container.container_id,
        Type::REMOVE_CONTAINER => &message.remove_container.container_id,
        _ => return None,
    };
    container.as_ref()
}
