//! Older endpoints that change something, and how requests of them are read.

use std::collections::BTreeMap;

use libprocess::http::media::{method_not_allowed, plain};
use libprocess::http::uri::parse_query;
use libprocess::{Context, Request, Responder, Response};
use mesos::ids::FrameworkId;
use mesos_master_core::OperatorCall;
use protobuf::MessageFull;

use crate::process::MasterProcess;

/// `/teardown`: ends a framework.
pub fn teardown(
    master: &mut MasterProcess,
    request: &Request,
    responder: Responder,
    context: &mut Context<MasterProcess>,
) {
    let id = post_only(request).and_then(|()| field(&form(request)?, "frameworkId"));
    match id {
        Ok(id) => {
            let call = OperatorCall::Teardown(FrameworkId::new(id));
            master.operator_call(call, principal_of(request), responder, context);
        }
        Err(refusal) => responder.send(refusal),
    }
}

/// Who asks, if that is known.
#[must_use]
pub fn principal_of(request: &Request) -> Option<String> {
    request.principal.as_ref().and_then(|principal| principal.value.clone())
}

/// Refuses every method but POST.
///
/// # Errors
///
/// 405 with the allowed method.
pub fn post_only(request: &Request) -> Result<(), Response> {
    if request.method.as_str() == "POST" {
        Ok(())
    } else {
        Err(method_not_allowed(&request.method, &["POST"]))
    }
}

/// Reads the body as a form.
///
/// # Errors
///
/// 400 when it is none.
pub fn form(request: &Request) -> Result<BTreeMap<String, String>, Response> {
    let text = std::str::from_utf8(&request.body).map_err(|_| plain(400, "the body is no UTF-8 text"))?;
    parse_query(text).map_err(|_| plain(400, "the body is no form"))
}

/// The value of a field of a form.
///
/// # Errors
///
/// 400 with the name of the field when it is missing.
pub fn field(form: &BTreeMap<String, String>, name: &str) -> Result<String, Response> {
    let value = form.get(name).cloned();
    value.ok_or_else(|| plain(400, format!("the body must have '{name}=VALUE'")))
}

/// Reads a JSON body as a message.
///
/// # Errors
///
/// 400 with what is wrong.
pub fn parse_json<M: MessageFull>(request: &Request) -> Result<M, Response> {
    mesos::json::from_slice(&request.body)
        .map_err(|error| plain(400, format!("the body is not what is expected: {error}")))
}

/// Reads a JSON body as an array of messages.
///
/// # Errors
///
/// 400 with what is wrong.
pub fn parse_json_array<M: MessageFull>(request: &Request) -> Result<Vec<M>, Response> {
    read_array(&request.body).map_err(|reason| plain(400, format!("the body is not what is expected: {reason}")))
}

/// Reads JSON as an array of messages.
///
/// # Errors
///
/// Says what is wrong.
pub fn read_array<M: MessageFull>(bytes: &[u8]) -> Result<Vec<M>, String> {
    let value = mesos::json::parse_value(bytes).map_err(|error| error.to_string())?;
    let elements = value.as_array().ok_or_else(|| "it is no array".to_owned())?;
    elements
        .iter()
        .map(|element| mesos::json::from_value(element).map_err(|error| error.to_string()))
        .collect()
}
