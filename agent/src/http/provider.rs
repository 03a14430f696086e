//! `/api/v1/resource_provider`: refused with a reason, since this agent has no resource providers.

use libprocess::http::media::plain;
use libprocess::{Request, Response};
use mesos_proto::v1::resource_provider::{Call, call::Type};

use super::body;

/// Answers a call.
#[must_use]
pub fn answer(request: &Request) -> Response {
    match body::read::<Call>(request).and_then(|call| check(&call)) {
        Ok(()) => plain(
            501,
            "this agent does not support resource providers; resources come from its flags alone",
        ),
        Err(refusal) => refusal,
    }
}

fn check(call: &Call) -> Result<(), Response> {
    let kind = call.type_.and_then(|kind| kind.enum_value().ok());
    let present = match kind {
        None | Some(Type::UNKNOWN) => return Err(plain(400, "the call has no `type` that is known here")),
        Some(Type::SUBSCRIBE) => call.subscribe.is_some(),
        Some(Type::UPDATE_OPERATION_STATUS) => call.update_operation_status.is_some(),
        Some(Type::UPDATE_STATE) => call.update_state.is_some(),
        Some(Type::UPDATE_PUBLISH_RESOURCES_STATUS) => call.update_publish_resources_status.is_some(),
    };
    if present {
        Ok(())
    } else {
        Err(plain(400, "the call lacks the field that belongs to its type"))
    }
}
