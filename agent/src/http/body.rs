//! From the bytes of a request to a call, alike for every v1 API. Pure.
//!
//! Source: shared facts, `libprocess_wire.md` section 4.

use libprocess::http::media::{MediaType, method_not_allowed, plain};
use libprocess::{Request, Response};
use protobuf::MessageFull;

/// Reads a call of the type `M` in the encoding that the request names.
///
/// # Errors
///
/// The answer to send: 405 for any method but POST, 415 for other encodings, 400 for a body that is no call.
pub fn read<M: MessageFull>(request: &Request) -> Result<M, Response> {
    check_method(request)?;
    decode(request, MediaType::of_body(request)?)
}

/// Refuses any method but POST.
///
/// # Errors
///
/// The answer to send: 405.
pub fn check_method(request: &Request) -> Result<(), Response> {
    if request.method.as_str() == "POST" {
        Ok(())
    } else {
        Err(method_not_allowed(&request.method, &["POST"]))
    }
}

/// Reads a call of the type `M` in a known encoding.
///
/// # Errors
///
/// The answer to send: 400 for a body that is no call.
pub fn decode<M: MessageFull>(request: &Request, media_type: MediaType) -> Result<M, Response> {
    let refuse = |reason: String| plain(400, format!("the body is no call of this API: {reason}"));
    match media_type {
        MediaType::Json => mesos::json::from_slice(&request.body).map_err(|error| refuse(error.to_string())),
        MediaType::Protobuf => M::parse_from_bytes(&request.body).map_err(|error| refuse(error.to_string())),
    }
}
