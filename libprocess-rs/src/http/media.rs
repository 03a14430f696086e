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

#[cfg(test)]
mod tests {
    use super::*;

    fn request(header: Option<(&str, &str)>) -> Request {
        let mut request = Request::new(Method::POST, "/api/v1");
        if let Some((name, value)) = header {
            request.headers = Response::status(StatusCode::OK).with_header(name, value).headers;
        }
        request
    }

    #[test]
    fn content_types_are_compared_exactly() {
        let found = |value: &str| {
            MediaType::of_body(&request(Some(("content-type", value)))).map_err(|response| response.status.as_u16())
        };
        assert_eq!(found("application/json"), Ok(MediaType::Json));
        assert_eq!(found("application/x-protobuf"), Ok(MediaType::Protobuf));
        for value in [
            "application/json;charset=UTF-8",
            "text/plain",
            "application/recordio",
            "Application/JSON",
            "",
        ] {
            assert_eq!(found(value), Err(415), "{value}");
        }
        let missing = MediaType::of_body(&request(None)).map_err(|response| response.status.as_u16());
        assert_eq!(missing, Err(400));
    }

    #[test]
    fn json_wins_where_both_are_accepted() {
        let wanted = |value: &str| MediaType::wanted(&request(Some(("accept", value))));
        assert_eq!(MediaType::wanted(&request(None)), Some(MediaType::Json));
        assert_eq!(wanted("*/*"), Some(MediaType::Json));
        assert_eq!(
            wanted("application/x-protobuf, application/json"),
            Some(MediaType::Json)
        );
        assert_eq!(wanted("application/x-protobuf"), Some(MediaType::Protobuf));
        assert_eq!(wanted("text/html"), None);
    }

    #[test]
    fn refused_methods_are_told_what_is_allowed() {
        let response = method_not_allowed(&Method::DELETE, &["GET", "PUT"]);
        assert_eq!(response.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(
            response.headers.get("allow").and_then(|value| value.to_str().ok()),
            Some("GET, PUT")
        );
        let super::super::Body::Full(body) = response.body else {
            panic!("a full body")
        };
        let text = String::from_utf8(body.to_vec()).expect("text");
        assert!(text.contains("GET, PUT") && text.contains("DELETE"), "{text}");
    }
}
