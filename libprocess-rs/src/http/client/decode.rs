//! Decoding of answers: the head, and bodies in their three framings.

use bytes::{Buf, Bytes, BytesMut};

use super::super::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use super::ClientError;

/// Headers that an answer may have.
const HEADERS_MAX: usize = 128;
/// Longest line with the size of a chunk.
const CHUNK_LINE_BYTES_MAX: usize = 1024;
/// Longest trailer after the last chunk.
const TRAILER_BYTES_MAX: usize = 16 * 1024;

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) persistent: bool,
}

/// Takes a head off `incoming`; nothing when it is not complete.
pub(super) fn take_head(incoming: &mut BytesMut, bytes_max: usize) -> Result<Option<Head>, ClientError> {
    let mut slots = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut slots);
    let length = match parsed.parse(incoming) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if incoming.len() > bytes_max => {
            return Err(ClientError::TooLarge {
                part: "head",
                limit_bytes: bytes_max,
            });
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(ClientError::BadAnswer("its head cannot be parsed")),
    };
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(ClientError::BadAnswer("it has no status code"))?;
    let mut headers = HeaderMap::new();
    for header in parsed.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        let value = HeaderValue::from_bytes(header.value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(ClientError::BadAnswer("a header cannot be read"));
        };
        headers.append(name, value);
    }
    let connection = headers
        .get(header::CONNECTION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let persistent = match parsed.version {
        Some(1) => !connection.eq_ignore_ascii_case("close"),
        _ => connection.eq_ignore_ascii_case("keep-alive"),
    };
    incoming.advance(length);
    Ok(Some(Head {
        status,
        headers,
        persistent,
    }))
}

/// Where the decoding of a body stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// This many bytes are to come.
    Length(u64),
    /// A line with the size of a chunk is to come.
    ChunkSize,
    /// This many bytes of a chunk are to come, then its line end.
    ChunkData(u64),
    /// The line end of a chunk is to come.
    ChunkEnd,
    /// Trailers and the empty line are to come.
    Trailer,
    /// The body ends with the connection.
    UntilClose,
    /// Nothing is to come.
    Done,
}

/// How the body of an answer is framed.
pub(super) fn framing_of(head: &Head, answers_head_request: bool) -> Result<Framing, ClientError> {
    let bodiless = matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if answers_head_request || bodiless {
        return Ok(Framing::Done);
    }
    if let Some(encoding) = head.headers.get(header::TRANSFER_ENCODING) {
        let chunked = encoding
            .to_str()
            .is_ok_and(|encoding| encoding.trim().eq_ignore_ascii_case("chunked"));
        return if chunked {
            Ok(Framing::ChunkSize)
        } else {
            Err(ClientError::BadAnswer("its framing is unknown"))
        };
    }
    let Some(length) = head.headers.get(header::CONTENT_LENGTH) else {
        return Ok(Framing::UntilClose);
    };
    match length.to_str().ok().and_then(|length| length.trim().parse().ok()) {
        Some(0) => Ok(Framing::Done),
        Some(length) => Ok(Framing::Length(length)),
        None => Err(ClientError::BadAnswer("its length is no number")),
    }
}

/// Takes the next piece of the body off `incoming`; nothing when more bytes are needed or the body is done.
pub(super) fn take_piece(framing: &mut Framing, incoming: &mut BytesMut) -> Result<Option<Bytes>, ClientError> {
    loop {
        match *framing {
            Framing::Done => return Ok(None),
            Framing::UntilClose => return Ok(take_up_to(incoming, u64::MAX)),
            Framing::Length(left) => {
                let piece = take_up_to(incoming, left);
                let left = left - piece.as_ref().map_or(0, |piece| piece.len() as u64);
                *framing = if left == 0 {
                    Framing::Done
                } else {
                    Framing::Length(left)
                };
                return Ok(piece);
            }
            Framing::ChunkData(left) => {
                let piece = take_up_to(incoming, left);
                let left = left - piece.as_ref().map_or(0, |piece| piece.len() as u64);
                *framing = if left == 0 {
                    Framing::ChunkEnd
                } else {
                    Framing::ChunkData(left)
                };
                return Ok(piece);
            }
            Framing::ChunkSize => {
                let Some(line) = take_line(incoming, CHUNK_LINE_BYTES_MAX)? else {
                    return Ok(None);
                };
                *framing = match parse_chunk_size(&line)? {
                    0 => Framing::Trailer,
                    size => Framing::ChunkData(size),
                };
            }
            Framing::ChunkEnd => {
                let Some(line) = take_line(incoming, 2)? else {
                    return Ok(None);
                };
                if !line.is_empty() {
                    return Err(ClientError::BadAnswer("a chunk does not end where it should"));
                }
                *framing = Framing::ChunkSize;
            }
            Framing::Trailer => {
                let Some(line) = take_line(incoming, TRAILER_BYTES_MAX)? else {
                    return Ok(None);
                };
                if line.is_empty() {
                    *framing = Framing::Done;
                }
            }
        }
    }
}

fn take_up_to(incoming: &mut BytesMut, bytes_max: u64) -> Option<Bytes> {
    let count = incoming.len().min(usize::try_from(bytes_max).unwrap_or(usize::MAX));
    (count > 0).then(|| incoming.split_to(count).freeze())
}

/// Takes a line without its end.
fn take_line(incoming: &mut BytesMut, bytes_max: usize) -> Result<Option<Bytes>, ClientError> {
    let Some(end) = memchr::memchr(b'\n', incoming) else {
        let too_long = incoming.len() > bytes_max;
        return if too_long {
            Err(ClientError::BadAnswer("a line of its framing is too long"))
        } else {
            Ok(None)
        };
    };
    let mut line = incoming.split_to(end + 1).freeze();
    line.truncate(end);
    if line.last() == Some(&b'\r') {
        line.truncate(end - 1);
    }
    Ok(Some(line))
}

fn parse_chunk_size(line: &[u8]) -> Result<u64, ClientError> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let text = std::str::from_utf8(digits)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
    text.and_then(|text| u64::from_str_radix(text, 16).ok())
        .ok_or(ClientError::BadAnswer("a chunk has no size"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(wire: &[u8], cut: usize) -> Result<(Vec<Bytes>, Framing), ClientError> {
        let mut framing = Framing::ChunkSize;
        let mut incoming = BytesMut::new();
        let mut pieces = Vec::new();
        for part in wire.chunks(cut) {
            incoming.extend_from_slice(part);
            while let Some(piece) = take_piece(&mut framing, &mut incoming)? {
                pieces.push(piece);
            }
        }
        Ok((pieces, framing))
    }

    #[test]
    fn chunks_are_joined_and_trailers_skipped() {
        let (pieces, framing) =
            decode(b"3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nx: y\r\n\r\n", 1000).expect("well formed");
        assert_eq!(pieces.concat(), b"abc0123456789");
        assert_eq!(framing, Framing::Done);
    }

    #[test]
    fn broken_framing_is_refused() {
        for wire in [
            &b"x\r\n"[..],
            b"\r\n",
            b"-1\r\n",
            b"+3\r\nabc\r\n",
            b"3\r\nabcd\r\n",
            b"fffffffffffffffff\r\n",
        ] {
            assert!(decode(wire, 1000).is_err(), "{}", String::from_utf8_lossy(wire));
        }
        assert!(decode(&[b'1'; 2000], 1000).is_err());
    }

    #[test]
    fn heads_are_bounded() {
        let mut incoming = BytesMut::from(format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(100)).as_str());
        assert!(matches!(
            take_head(&mut incoming, 50),
            Err(ClientError::TooLarge { .. })
        ));
        assert!(matches!(take_head(&mut incoming, 500), Ok(None)));
        assert!(take_head(&mut BytesMut::from("SSH-2.0\r\n"), 500).is_err());
    }

    proptest! {
        #[test]
        fn chunked_bodies_survive_any_cut(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..100), 0..6),
            cut in 1_usize..40,
        ) {
            let mut wire = BytesMut::new();
            for chunk in &chunks {
                crate::http::encode::chunk(&mut wire, chunk);
            }
            crate::http::encode::last_chunk(&mut wire);
            let (pieces, framing) = decode(&wire, cut).expect("well formed");
            prop_assert_eq!(pieces.concat(), chunks.concat());
            prop_assert_eq!(framing, Framing::Done);
        }
    }
}
