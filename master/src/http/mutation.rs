//! Older endpoints that change something: methods and form are checked, and what is not supported yet is refused with
//! 501, never taken without effect.

use std::collections::BTreeMap;

use libprocess::http::media::{method_not_allowed, plain};
use libprocess::http::uri::parse_query;
use libprocess::{Context, Request, Responder, Response};
use mesos::ids::FrameworkId;
use mesos_master_core::OperatorCall;
use mesos_proto::v0::maintenance::{ClusterStatus, Schedule};
use mesos_proto::v0::mesos::MachineID;
use protobuf::MessageFull;

use crate::process::MasterProcess;

/// The refusal of what this master does not do yet.
#[must_use]
pub fn not_supported(what: &str) -> Response {
    plain(501, format!("{what} is not supported yet by this master"))
}

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

/// `/maintenance/schedule`: always empty so far.
#[must_use]
pub fn schedule(request: &Request) -> Response {
    match request.method.as_str() {
        "GET" => Response::ok_json(mesos::json::to_string(&Schedule::new())),
        "POST" => {
            parse_json::<Schedule>(request).map_or_else(|refusal| refusal, |_| not_supported("a maintenance schedule"))
        }
        _ => method_not_allowed(&request.method, &["GET", "POST"]),
    }
}

/// `/maintenance/status`: no machine is draining or down so far.
#[must_use]
pub fn maintenance_status(request: &Request) -> Response {
    if request.method.as_str() == "GET" {
        Response::ok_json(mesos::json::to_string(&ClusterStatus::new()))
    } else {
        method_not_allowed(&request.method, &["GET"])
    }
}

/// `/machine/down` and `/machine/up`: no machine is part of a schedule, so every request is refused.
#[must_use]
pub fn machines(request: &Request) -> Response {
    if let Err(refusal) = post_only(request) {
        return refusal;
    }
    match parse_json_array::<MachineID>(request) {
        Ok(machines) if machines.is_empty() => plain(400, "no machines are named"),
        Ok(_) => plain(400, "a machine that is named is not part of the maintenance schedule"),
        Err(refusal) => refusal,
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

#[cfg(test)]
mod tests {
    use libprocess::http::Method;

    use super::*;

    fn request(method: Method, body: &str) -> Request {
        let mut request = Request::new(method, "/x");
        request.body = bytes::Bytes::copy_from_slice(body.as_bytes());
        request
    }

    #[test]
    fn maintenance_is_empty_and_cannot_be_set() {
        assert_eq!(schedule(&request(Method::GET, "")).status.as_u16(), 200);
        assert_eq!(schedule(&request(Method::POST, "zz")).status.as_u16(), 400);
        assert_eq!(
            schedule(&request(Method::POST, "{\"windows\":[]}")).status.as_u16(),
            501
        );
        assert_eq!(maintenance_status(&request(Method::POST, "")).status.as_u16(), 405);
        for body in ["zz", "[]", "[{\"hostname\":\"nope\"}]"] {
            assert_eq!(machines(&request(Method::POST, body)).status.as_u16(), 400, "{body}");
        }
        assert_eq!(machines(&request(Method::GET, "")).status.as_u16(), 405);
    }
}
