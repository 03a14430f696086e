//! libprocess messages on a connection that has turned to HTTP.
//!
//! The front of every connection decodes messages by hand; once a connection has carried another request, the messages
//! that follow come through here.
//!
//! Source: shared facts, `libprocess_wire.md` section 2.

use std::net::{IpAddr, SocketAddr};

use actix_http::Request;
use bytes::Bytes;
use libprocess_types::Upid;

use super::{HeaderMap, Method, StatusCode, header, uri};
use crate::node::Node;

/// Delivers `request` if it is a message and gives the status of the answer; nothing when it is a plain request.
pub(super) fn deliver(node: &Node, request: &Request, body: &Bytes, peer: SocketAddr) -> Option<StatusCode> {
    if *request.method() != Method::POST {
        return None;
    }
    let sender = sender_text(&request.head().headers)?;
    let Some(sender) = sender.and_then(|text| text.trim().parse::<Upid>().ok()) else {
        return Some(StatusCode::INTERNAL_SERVER_ERROR);
    };
    if node.config().require_peer_address_ip_match && IpAddr::V4(*sender.address().ip()) != peer.ip() {
        return Some(StatusCode::BAD_REQUEST);
    }
    let path = request.path().strip_prefix('/').unwrap_or(request.path());
    let (id, name) = path.split_once('/').unwrap_or((path, ""));
    let delivered = uri::percent_decode(id).is_ok_and(|id| node.deliver_message(&id, &sender, name, body.clone()));
    Some(if delivered {
        StatusCode::ACCEPTED
    } else {
        StatusCode::NOT_FOUND
    })
}

/// The sender's address in text, `Some(None)` when it cannot be read, nothing when the headers are not a message's.
#[expect(
    clippy::option_option,
    reason = "whether it is a message and who sent it are two questions"
)]
fn sender_text(headers: &HeaderMap) -> Option<Option<&str>> {
    if let Some(value) = headers.get("libprocess-from") {
        return Some(value.to_str().ok());
    }
    let agent = headers.get(header::USER_AGENT)?.to_str().ok()?;
    agent.strip_prefix("libprocess/").map(Some)
}
