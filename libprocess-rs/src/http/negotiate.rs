//! What a client accepts: `Accept` and `Accept-Encoding`.
//!
//! Source: shared facts, `libprocess_wire.md` section 4.

use super::{HeaderMap, header};

/// Media type of JSON bodies.
pub const APPLICATION_JSON: &str = "application/json";
/// Media type of binary protobuf bodies.
pub const APPLICATION_PROTOBUF: &str = "application/x-protobuf";
/// Media type of streams of length-prefixed records.
pub const APPLICATION_RECORDIO: &str = "application/recordio";
/// Media type of texts for people.
pub const TEXT_PLAIN: &str = "text/plain; charset=utf-8";

/// Whether `Accept` (or another header of its grammar, such as `Message-Accept`) allows a media type.
///
/// An absent header allows everything. The exact type is looked for first, then `type/*`, then `*/*`; the first that is
/// present decides, and `q=0` refuses. Upper and lower case and blanks make no difference.
#[must_use]
pub fn accepts(headers: &HeaderMap, name: &str, media_type: &str) -> bool {
    let media_type = media_type.to_ascii_lowercase();
    let family = media_type.split_once('/').map(|(family, _)| format!("{family}/*"));
    let candidates = [Some(media_type.as_str()), family.as_deref(), Some("*/*")];
    decide(headers, name, candidates.into_iter().flatten())
}

/// Whether the answer may be compressed with gzip: `Accept-Encoding` names `gzip` or `*` with a weight above zero.
///
/// Unlike `Accept`, an absent header asks for no encoding.
#[must_use]
pub fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ACCEPT_ENCODING) && decide(headers, "accept-encoding", ["gzip", "*"].into_iter())
}

fn decide<'a>(headers: &HeaderMap, name: &str, candidates: impl Iterator<Item = &'a str>) -> bool {
    let values: Vec<String> = headers
        .get_all(name)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase())
        .map(|value| {
            value
                .chars()
                .filter(|character| !character.is_ascii_whitespace())
                .collect()
        })
        .collect();
    if values.is_empty() {
        return true;
    }
    for candidate in candidates {
        let items = values.iter().flat_map(|value| value.split(','));
        if let Some(allowed) = items.filter_map(|item| weigh(item, candidate)).next() {
            return allowed;
        }
    }
    false
}

/// Whether `item` allows `candidate`; nothing when it speaks of something else. An unreadable weight counts as one.
fn weigh(item: &str, candidate: &str) -> Option<bool> {
    let mut parts = item.split(';');
    if parts.next() != Some(candidate) {
        return None;
    }
    let weight = parts
        .find_map(|part| part.strip_prefix("q="))
        .and_then(|weight| weight.parse::<f64>().ok());
    Some(weight.is_none_or(|weight| weight > 0.0))
}

#[cfg(test)]
mod tests {
    use actix_http::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_str(value).expect("a header value"),
        );
        headers
    }

    #[test]
    fn absent_accept_allows_everything() {
        assert!(accepts(&HeaderMap::new(), "accept", APPLICATION_JSON));
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[test]
    fn exact_type_decides_before_wildcards() {
        for (accept, allowed) in [
            ("application/json", true),
            ("APPLICATION/JSON ; q=0.5", true),
            ("application/*", true),
            ("*/*", true),
            ("text/html, */*;q=0.1", true),
            ("*/*, application/json;q=0", false),
            ("application/json;q=0, */*", false),
            ("application/*;q=0, */*", false),
            ("application/json;q=x", true),
            ("text/html", false),
            ("text/*", false),
            ("", false),
        ] {
            assert_eq!(
                accepts(&headers("accept", accept), "accept", APPLICATION_JSON),
                allowed,
                "{accept}"
            );
        }
    }

    #[test]
    fn gzip_needs_a_weight_above_zero() {
        for (value, allowed) in [
            ("gzip", true),
            ("gzip, deflate", true),
            ("deflate, GZIP ; Q=0.1", true),
            ("*", true),
            ("*;q=0", false),
            ("gzip;q=0", false),
            ("gzip;q=0.0, *", false),
            ("gzip;q=abc", true),
            ("deflate", false),
            ("identity", false),
        ] {
            assert_eq!(accepts_gzip(&headers("accept-encoding", value)), allowed, "{value}");
        }
    }
}
