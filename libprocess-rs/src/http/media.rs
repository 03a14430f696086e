//! Answers that every API gives alike: encodings of bodies, plain refusals, methods that are not allowed.
//!
//! Source: shared facts, `libprocess_wire.md` section 4 (exact comparison of `Content-Type`, JSON before protobuf).

use super::negotiate::{APPLICATION_JSON, APPLICATION_PROTOBUF, accepts};
use super::types::{Method, Request, Response, StatusCode};

/// Encoding of bodies and records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// `application/json`
    Json,
    /// `application/x-protobuf`
    Protobuf,
}

impl MediaType {
    /// The name in headers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => APPLICATION_JSON,
            Self::Protobuf => APPLICATION_PROTOBUF,
        }
    }

    /// The media type of a request's body.
    ///
    /// # Errors
    ///
    /// The answer to send: 400 without the header, 415 for anything but the two names exactly.
    pub fn of_body(request: &Request) -> Result<Self, Response> {
        match request.header("content-type") {
            None => Err(plain(
                400,
                "header Content-Type is missing; accepted: application/json, application/x-protobuf",
            )),
            Some(APPLICATION_JSON) => Ok(Self::Json),
            Some(APPLICATION_PROTOBUF) => Ok(Self::Protobuf),
            Some(other) => Err(plain(
                415,
                format!("Content-Type '{other}' is not accepted; accepted: application/json, application/x-protobuf"),
            )),
        }
    }

    /// The media type that the client wants answers in; JSON wins when both are welcome.
    #[must_use]
    pub fn wanted(request: &Request) -> Option<Self> {
        [Self::Json, Self::Protobuf]
            .into_iter()
            .find(|kind| accepts(&request.headers, "accept", kind.as_str()))
    }
}

/// An answer of plain text; no body and no content type when the text is empty.
#[must_use]
pub fn plain(status: u16, text: impl Into<String>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let text = text.into();
    if text.is_empty() {
        Response::status(status)
    } else {
        Response::text(status, text)
    }
}

/// 405 with the methods that are accepted and the one that came.
#[must_use]
pub fn method_not_allowed(method: &Method, allowed: &[&str]) -> Response {
    let allowed = allowed.join(", ");
    plain(405, format!("method {method} is not allowed here; allowed: {allowed}")).with_header("Allow", &allowed)
}
