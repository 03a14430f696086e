//! The web page of master and agent, embedded as static files.
//!
//! The page reads the same endpoints as everyone else (`/state`, `/files/browse`, `/files/read`); agents are asked with
//! `jsonp=` because they answer from another address than the page came from. This crate only hands out the bytes.

use std::borrow::Cow;

use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Assets;

/// One static file.
#[derive(Clone, Debug)]
pub struct Asset {
    /// Value of the `Content-Type` header.
    pub content_type: &'static str,
    /// The whole file.
    pub bytes: Cow<'static, [u8]>,
}

/// Finds the static file at `path` (relative, without leading slash); the empty path is the page itself.
#[must_use]
pub fn asset(path: &str) -> Option<Asset> {
    let path = if path.is_empty() { "index.html" } else { path };
    let file = Assets::get(path)?;
    Some(Asset {
        content_type: content_type(path),
        bytes: file.data,
    })
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_and_what_it_refers_to_are_embedded() {
        let page = asset("").expect("the page is embedded");
        assert_eq!(page.content_type, "text/html; charset=utf-8");
        let text = String::from_utf8(page.bytes.into_owned()).expect("the page is text");
        for name in ["assets/app.js", "assets/style.css"] {
            assert!(text.contains(name), "{name}");
            assert!(asset(name.trim_start_matches("assets/")).is_some(), "{name}");
        }
    }

    #[test]
    fn unknown_files_and_parents_are_not_found() {
        assert!(asset("no-such-file.js").is_none());
        assert!(asset("../Cargo.toml").is_none());
    }
}
