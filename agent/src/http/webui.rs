//! The web page and its files.

use libprocess::http::StatusCode;
use libprocess::http::media::plain;
use libprocess::{Request, Response};

/// Answers the path of the agent itself; anything below it that no other route has is not there.
#[must_use]
pub fn page(request: &Request) -> Response {
    if request.remainder.is_empty() {
        file("")
    } else {
        plain(404, "there is nothing at this path")
    }
}

/// Answers one embedded file.
#[must_use]
pub fn file(path: &str) -> Response {
    match mesos_webui::asset(path) {
        Some(asset) => Response::bytes(StatusCode::OK, asset.content_type, asset.bytes.into_owned()),
        None => plain(404, "the web page has no such file"),
    }
}
