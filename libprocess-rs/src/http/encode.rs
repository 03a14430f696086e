//! Writing of answers: status line, headers, and the framing of bodies.

use std::cell::RefCell;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{BufMut, BytesMut};

use super::{HeaderMap, StatusCode, header};

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// `Content-Length`.
    Length(usize),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// The connection closes; for HTTP/1.0 clients, which know no chunks.
    UntilClose,
}

/// What a client learns about the connection's future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Persistence {
    /// HTTP/1.1 stays open without saying so.
    Stay,
    /// An HTTP/1.0 client asked to stay and is told so.
    StayAnnounced,
    /// The connection ends after this answer.
    Close,
}

/// Writes the head of an answer. Headers that the framing decides are not taken from `headers`.
pub(super) fn head(
    into: &mut BytesMut,
    status: StatusCode,
    headers: &HeaderMap,
    framing: Framing,
    persistence: Persistence,
) {
    into.reserve(256);
    put(
        into,
        format_args!(
            "HTTP/1.1 {} {}\r\n",
            status.as_str(),
            status.canonical_reason().unwrap_or("Unknown")
        ),
    );
    put_date(into);
    match framing {
        Framing::Length(length) => put(into, format_args!("Content-Length: {length}\r\n")),
        Framing::Chunked => into.put_slice(b"Transfer-Encoding: chunked\r\n"),
        Framing::UntilClose => {}
    }
    match persistence {
        Persistence::Stay => {}
        Persistence::StayAnnounced => into.put_slice(b"Connection: keep-alive\r\n"),
        Persistence::Close => into.put_slice(b"Connection: close\r\n"),
    }
    for (name, value) in headers {
        let decided_here = matches!(
            *name,
            header::CONNECTION | header::CONTENT_LENGTH | header::TRANSFER_ENCODING | header::DATE
        );
        if !decided_here {
            put_name(into, name.as_str());
            into.put_slice(b": ");
            into.put_slice(value.as_bytes());
            into.put_slice(b"\r\n");
        }
    }
    into.put_slice(b"\r\n");
}

/// Writes one chunk of a chunked body. Its bytes must not be empty, for that would end the body.
pub(super) fn chunk(into: &mut BytesMut, bytes: &[u8]) {
    put(into, format_args!("{:x}\r\n", bytes.len()));
    into.put_slice(bytes);
    into.put_slice(b"\r\n");
}

/// Writes the end of a chunked body.
pub(super) fn last_chunk(into: &mut BytesMut) {
    into.put_slice(b"0\r\n\r\n");
}

fn put(into: &mut BytesMut, arguments: std::fmt::Arguments<'_>) {
    // Writing into memory does not fail.
    let _ = into.writer().write_fmt(arguments);
}

/// Names are held in lower case; on the wire they start each word with a capital, as they always did.
fn put_name(into: &mut BytesMut, name: &str) {
    if name == "www-authenticate" {
        into.put_slice(b"WWW-Authenticate");
        return;
    }
    let mut starts_word = true;
    for byte in name.bytes() {
        into.put_u8(if starts_word { byte.to_ascii_uppercase() } else { byte });
        starts_word = byte == b'-';
    }
}

thread_local! {
    /// The `Date` line of the second in which it was last needed.
    static DATE_LINE: RefCell<(u64, Vec<u8>)> = const { RefCell::new((0, Vec::new())) };
}

fn put_date(into: &mut BytesMut) {
    let now = SystemTime::now();
    let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    DATE_LINE.with_borrow_mut(|(cached_second, line)| {
        if *cached_second != second || line.is_empty() {
            *line = format!("Date: {}\r\n", header::HttpDate::from(now)).into_bytes();
            *cached_second = second;
        }
        into.put_slice(line);
    });
}

#[cfg(test)]
mod tests {
    use super::super::Response;
    use super::*;

    fn written(response: &Response, framing: Framing, persistence: Persistence) -> String {
        let mut bytes = BytesMut::new();
        head(&mut bytes, response.status, &response.headers, framing, persistence);
        String::from_utf8(bytes.to_vec()).expect("text")
    }

    #[test]
    fn head_has_the_recorded_lines() {
        let response = Response::text(StatusCode::UNAUTHORIZED, "x")
            .with_header("www-authenticate", "Basic realm=\"r\"")
            .with_header("mesos-stream-id", "1");
        let text = written(&response, Framing::Length(1), Persistence::Stay);
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(lines[0], "HTTP/1.1 401 Unauthorized");
        assert!(
            lines[1].starts_with("Date: ") && lines[1].ends_with(" GMT") && lines[1].len() == 35,
            "{}",
            lines[1]
        );
        for line in [
            "Content-Length: 1",
            "WWW-Authenticate: Basic realm=\"r\"",
            "Mesos-Stream-Id: 1",
            "Content-Type: text/plain; charset=utf-8",
        ] {
            assert!(lines.contains(&line), "{line} is missing in {text}");
        }
        assert!(text.ends_with("\r\n\r\n"));
    }

    #[test]
    fn framing_cannot_be_overruled() {
        let response = Response::text(StatusCode::OK, "x")
            .with_header("content-length", "999")
            .with_header("transfer-encoding", "identity");
        let text = written(&response, Framing::Chunked, Persistence::Close);
        assert!(!text.contains("999") && !text.contains("identity"), "{text}");
        assert!(
            text.contains("Transfer-Encoding: chunked\r\nConnection: close\r\n"),
            "{text}"
        );
    }

    #[test]
    fn chunks_match_the_recorded_stream() {
        let mut bytes = BytesMut::new();
        chunk(&mut bytes, b"20\n{\"type\":\"HEARTBEAT\"}");
        last_chunk(&mut bytes);
        assert_eq!(bytes.as_ref(), b"17\r\n20\n{\"type\":\"HEARTBEAT\"}\r\n0\r\n\r\n");
    }
}
