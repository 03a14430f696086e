//! `/api/v1/executor`: from bytes and headers to a call. Pure; the answers are the core's or refusals made here.
//!
//! Source: shared facts, `executor_calls.tsv`.

use libprocess::http::media::{MediaType, plain};
use libprocess::{Request, Response};
use mesos::validation::validate_executor_call;
use mesos_proto::v0::executor::{Call, call};
use mesos_proto::v1;

use super::body;

/// Reads a request: the call in the unversioned form and the encoding of the stream that a subscription opens.
///
/// # Errors
///
/// The answer to send: 400, 405, 406 or 415.
pub fn parse(request: &Request) -> Result<(Call, MediaType), Response> {
    let versioned: v1::executor::Call = body::read(request)?;
    let call = mesos::convert::devolve_executor_call(&versioned);
    validate_executor_call(&call).map_err(|error| plain(400, mesos_node::describe(&error)))?;
    match MediaType::wanted(request) {
        Some(media_type) => Ok((call, media_type)),
        None if call.type_() == call::Type::SUBSCRIBE => Err(plain(
            406,
            "header Accept allows neither application/json nor application/x-protobuf",
        )),
        None => Ok((call, MediaType::Json)),
    }
}

#[cfg(test)]
mod tests {
    use libprocess::http::{HeaderName, HeaderValue, Method};

    use super::*;

    fn request(method: Method, headers: &[(&str, &str)], body: &[u8]) -> Request {
        let mut request = Request::new(method, "/api/v1/executor");
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
            request
                .headers
                .insert(name, HeaderValue::from_str(value).expect("a header value"));
        }
        request.body = bytes::Bytes::copy_from_slice(body);
        request
    }

    const SUBSCRIBE: &[u8] =
        br#"{"type":"SUBSCRIBE","executor_id":{"value":"e"},"framework_id":{"value":"f"},"subscribe":{}}"#;

    #[test]
    fn refusals_have_the_status_of_the_facts() {
        let json = ("Content-Type", "application/json");
        let refused = |method: Method, headers: &[(&str, &str)], body: &[u8]| {
            let refusal = parse(&request(method, headers, body)).expect_err("refused");
            refusal.status.as_u16()
        };
        assert_eq!(refused(Method::GET, &[json], b"{}"), 405);
        assert_eq!(refused(Method::POST, &[], b"{}"), 400);
        assert_eq!(refused(Method::POST, &[("Content-Type", "text/plain")], b"{}"), 415);
        assert_eq!(refused(Method::POST, &[json], b"{"), 400);
        assert_eq!(refused(Method::POST, &[json, ("Accept", "text/html")], SUBSCRIBE), 406);
    }

    #[test]
    fn a_subscription_is_read_with_a_token_or_without() {
        let json = ("Content-Type", "application/json");
        for headers in [&[json][..], &[json, ("Authorization", "Bearer a.b.c")]] {
            let (call, media_type) = parse(&request(Method::POST, headers, SUBSCRIBE)).expect("valid");
            assert_eq!(
                (call.type_(), call.executor_id.value(), media_type),
                (call::Type::SUBSCRIBE, "e", MediaType::Json)
            );
        }
    }
}
