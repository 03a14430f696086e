//! The web page and its static files.

use libprocess::http::StatusCode;
use libprocess::http::media::plain;
use libprocess::{Request, Response};

/// `/`: the page itself; nothing lies below it.
#[must_use]
pub fn index(request: &Request) -> Response {
    if request.remainder.is_empty() {
        asset("")
    } else {
        not_found()
    }
}

/// `/assets/FILE`.
#[must_use]
pub fn assets(request: &Request) -> Response {
    if request.remainder.is_empty() {
        not_found()
    } else {
        asset(&request.remainder)
    }
}

fn asset(path: &str) -> Response {
    match mesos_webui::asset(path) {
        Some(asset) => Response::bytes(StatusCode::OK, asset.content_type, asset.bytes.into_owned()),
        None => not_found(),
    }
}

fn not_found() -> Response {
    plain(404, "404 Not Found.")
}

#[cfg(test)]
mod tests {
    use libprocess::http::Method;

    use super::*;

    #[test]
    fn only_the_page_and_its_files_are_served() {
        let get = |remainder: &str| {
            let mut request = Request::new(Method::GET, "/");
            remainder.clone_into(&mut request.remainder);
            request
        };
        assert_eq!(index(&get("")).status, StatusCode::OK);
        assert_eq!(index(&get("webui")).status, StatusCode::NOT_FOUND);
        assert_eq!(assets(&get("app.js")).status, StatusCode::OK);
        assert_eq!(assets(&get("")).status, StatusCode::NOT_FOUND);
        assert_eq!(assets(&get("../Cargo.toml")).status, StatusCode::NOT_FOUND);
    }
}
