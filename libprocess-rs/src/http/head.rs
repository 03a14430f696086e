//! Small questions about heads that the codec does not answer.

use bytes::BytesMut;

use super::{HeaderMap, header};

/// Where the first head ends, just behind its empty line. The first `scanned` bytes hold no end.
pub(super) fn head_end(incoming: &[u8], scanned: usize) -> Option<usize> {
    memchr::memchr_iter(b'\n', &incoming[scanned..]).find_map(|position| {
        let after = scanned + position + 1;
        match &incoming[after..] {
            [b'\n', ..] => Some(after + 1),
            [b'\r', b'\n', ..] => Some(after + 2),
            _ => None,
        }
    })
}

/// Adds an empty `Host` where it is missing: it is nowhere used, and old clients leave it out.
pub(super) fn add_missing_host(incoming: &mut BytesMut, end: usize) {
    let head = &incoming[..end];
    let mut lines = head.split(|byte| *byte == b'\n');
    let first = lines.next().map_or(0, |line| line.len() + 1);
    if lines.any(|line| line.len() >= 5 && line[..5].eq_ignore_ascii_case(b"host:")) {
        return;
    }
    let mut with_host = BytesMut::with_capacity(incoming.len() + 8);
    with_host.extend_from_slice(&incoming[..first]);
    with_host.extend_from_slice(b"Host: \r\n");
    with_host.extend_from_slice(&incoming[first..]);
    *incoming = with_host;
}

/// The length that a request declares for its body.
pub(super) fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// Whether an answer's headers end the connection.
pub(super) fn asks_to_close(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONNECTION).and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.trim().eq_ignore_ascii_case("close"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_end_at_the_empty_line() {
        assert_eq!(head_end(b"GET / HTTP/1.1\r\n\r\nrest", 0), Some(18));
        assert_eq!(head_end(b"GET / HTTP/1.1\n\nrest", 0), Some(16));
        assert_eq!(head_end(b"GET / HTTP/1.1\r\na: b\r\n\r", 0), None);
        assert_eq!(head_end(b"GET / HTTP/1.1\r\n\r\n", 14), Some(18));
    }

    #[test]
    fn missing_host_is_added_once() {
        let with = |text: &str| {
            let mut incoming = BytesMut::from(text);
            add_missing_host(&mut incoming, text.len());
            String::from_utf8(incoming.to_vec()).expect("text")
        };
        assert_eq!(
            with("GET / HTTP/1.1\r\na: b\r\n\r\n"),
            "GET / HTTP/1.1\r\nHost: \r\na: b\r\n\r\n"
        );
        assert_eq!(
            with("GET / HTTP/1.1\r\nhOsT: b\r\n\r\n"),
            "GET / HTTP/1.1\r\nhOsT: b\r\n\r\n"
        );
    }
}
