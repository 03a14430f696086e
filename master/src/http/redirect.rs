//! `/redirect`: where the leading master is.

use libprocess::http::StatusCode;
use libprocess::http::media::plain;
use libprocess::{Request, Response};
use mesos_master_core::Master;

/// 307 with the leader's address; nothing lies below the path.
#[must_use]
pub fn respond(core: &Master, request: &Request) -> Response {
    if !request.remainder.is_empty() {
        return plain(404, "404 Not Found.");
    }
    let address = &core.info().address;
    let location = format!("//{}:{}", address.hostname(), address.port());
    Response::status(StatusCode::TEMPORARY_REDIRECT).with_header("Location", &location)
}
