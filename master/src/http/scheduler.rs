//! `/api/v1/scheduler`: from bytes and headers to a call. Pure; the answers are the core's or refusals made here.
//!
//! Source: shared facts, `scheduler_calls.tsv` (status codes) and `libprocess_wire.md` section 4 (media types).

use libprocess::http::media::{MediaType, method_not_allowed, plain};
use libprocess::{Request, Response};
use mesos_master_core::StreamId;
use mesos_proto::v0::scheduler::{Call, call};
use mesos_proto::v1;

/// A call with what its headers said.
#[derive(Debug)]
pub struct ParsedCall {
    /// The call in the unversioned form.
    pub call: Call,
    /// Encoding of the event stream that a subscription opens.
    pub media_type: MediaType,
    /// `Mesos-Stream-Id` as sent.
    pub stream_header: Option<StreamId>,
}

/// Reads a request.
///
/// # Errors
///
/// The answer to send: 400, 405, 406 or 415.
pub fn parse(request: &Request) -> Result<ParsedCall, Response> {
    if request.method.as_str() != "POST" {
        return Err(method_not_allowed(&request.method, &["POST"]));
    }
    let body_type = MediaType::of_body(request)?;
    let call: Call = match body_type {
        MediaType::Json => {
            let text = std::str::from_utf8(&request.body)
                .map_err(|error| plain(400, format!("the body is no UTF-8 text: {error}")))?;
            let versioned: v1::scheduler::Call = mesos::json::from_str(text)
                .map_err(|error| plain(400, format!("the body is no scheduler call: {error}")))?;
            mesos::convert::devolve_scheduler_call(&versioned)
        }
        MediaType::Protobuf => mesos::convert::devolve_from_bytes::<v1::scheduler::Call, Call>(&request.body)
            .map_err(|error| plain(400, format!("the body is no scheduler call: {error}")))?,
    };
    let streams = matches!(call.type_(), call::Type::SUBSCRIBE | call::Type::RECONCILE_OPERATIONS);
    let media_type = match MediaType::wanted(request) {
        Some(media_type) => media_type,
        None if streams => {
            return Err(plain(
                406,
                "header Accept allows neither application/json nor application/x-protobuf",
            ));
        }
        None => MediaType::Json,
    };
    let stream_header = request.header("mesos-stream-id").map(StreamId::new);
    Ok(ParsedCall {
        call,
        media_type,
        stream_header,
    })
}

#[cfg(test)]
mod tests {
    use libprocess::http::{HeaderName, HeaderValue, Method};
    use protobuf::Message as _;

    use super::*;

    fn request(method: Method, headers: &[(&str, &str)], body: &[u8]) -> Request {
        let mut request = Request::new(method, "/api/v1/scheduler");
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
            request
                .headers
                .insert(name, HeaderValue::from_str(value).expect("a header value"));
        }
        request.body = bytes::Bytes::copy_from_slice(body);
        request
    }

    #[test]
    fn refusals_have_the_status_of_the_facts() {
        let json = ("Content-Type", "application/json");
        let subscribe: &[u8] = br#"{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"root","name":"x"}}}"#;
        type Row<'a> = (Method, &'a [(&'a str, &'a str)], &'a [u8], u16);
        let table: &[Row<'_>] = &[
            (Method::GET, &[json], b"{}", 405),
            (Method::PUT, &[json], b"{}", 405),
            (Method::POST, &[], b"{}", 400),
            (
                Method::POST,
                &[("Content-Type", "application/json;charset=UTF-8")],
                b"{}",
                415,
            ),
            (Method::POST, &[("Content-Type", "application/recordio")], b"2\n{}", 415),
            (Method::POST, &[json], b"{\"type\":", 400),
            (Method::POST, &[json], b"[]", 400),
            (Method::POST, &[json], b"{\"type\":5}", 400),
            (Method::POST, &[json], b"\xff\xff", 400),
            (
                Method::POST,
                &[("Content-Type", "application/x-protobuf")],
                b"\xff\xff\xff",
                400,
            ),
            (Method::POST, &[json, ("Accept", "text/html")], subscribe, 406),
        ];
        for (method, headers, body, status) in table {
            let refusal = parse(&request(method.clone(), headers, body)).expect_err("refused");
            assert_eq!(refusal.status.as_u16(), *status, "{method} {headers:?}");
        }
    }

    #[test]
    fn a_subscription_is_read_in_both_encodings() {
        let body = br#"{"type":"SUBSCRIBE",
            "subscribe":{"framework_info":{"user":"root","name":"x"},"suppressed_roles":["r"]}}"#;
        let parsed = parse(&request(Method::POST, &[("Content-Type", "application/json")], body)).expect("valid");
        assert_eq!(parsed.call.subscribe.suppressed_roles, ["r"]);
        assert_eq!(parsed.media_type, MediaType::Json);
        let versioned: v1::scheduler::Call =
            mesos::json::from_str(std::str::from_utf8(body).expect("text")).expect("valid");
        let headers = [
            ("Content-Type", "application/x-protobuf"),
            ("Accept", "application/x-protobuf"),
            ("Mesos-Stream-Id", "s"),
        ];
        let parsed = parse(&request(
            Method::POST,
            &headers,
            &versioned.write_to_bytes().expect("complete"),
        ))
        .expect("valid");
        assert_eq!(parsed.call.subscribe.suppressed_roles, ["r"]);
        assert_eq!(
            (parsed.media_type, parsed.stream_header),
            (MediaType::Protobuf, Some(StreamId::new("s")))
        );
    }
}
