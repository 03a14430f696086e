//! Cuts a connection's bytes into messages.
//!
//! Heads repeat: all messages from one process to another of one name have the same head, byte for byte. A head that
//! was read before is recognised by comparing bytes and costs neither parsing nor memory. Bodies are slices of the read
//! buffer.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;

use super::head::{self, Framing, Head, MessageHead};
use crate::registry::hex_value;

/// Heads that a connection remembers.
const KNOWN_HEADS_MAX: usize = 1024;
/// Longer heads are not remembered.
const KNOWN_HEAD_BYTES_MAX: usize = 1024;
/// Longest line that carries a chunk's size or a trailer.
const CHUNK_LINE_MAX: usize = 4096;

/// What comes next on a connection.
pub(crate) enum Next {
    /// More bytes are needed; at least so many where that is known.
    Incomplete(usize),
    Message(Rc<MessageHead>, Bytes),
    /// A request that is no message; nothing of it was consumed.
    Other,
    /// Answer with this status and close.
    Refused(u16),
    /// Close without an answer.
    Malformed,
}

/// Limits of what is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) header_bytes: usize,
    pub(crate) body_bytes: usize,
}

enum State {
    /// In front of a head of which so many bytes have been searched for its end.
    Head { searched: usize },
    /// Behind the head of a message; chunks that came already.
    Body {
        head: Rc<MessageHead>,
        collected: Option<BytesMut>,
        ended: bool,
    },
}

/// The parser of one connection.
pub(crate) struct Parser {
    limits: Limits,
    state: State,
    last: Option<Rc<MessageHead>>,
    known: HashSet<KnownHead>,
}

/// A head that was read before; equal to its bytes.
struct KnownHead(Rc<MessageHead>);

impl Borrow<[u8]> for KnownHead {
    fn borrow(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl Hash for KnownHead {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.bytes.hash(state);
    }
}

impl PartialEq for KnownHead {
    fn eq(&self, other: &Self) -> bool {
        self.0.bytes == other.0.bytes
    }
}

impl Eq for KnownHead {}

/// What became of a body.
enum Cut {
    Whole(Bytes),
    Incomplete(usize),
    Refused(u16),
    Malformed,
}

impl Parser {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Head { searched: 0 },
            last: None,
            known: HashSet::new(),
        }
    }

    /// Takes the next message off the front of `buffer`.
    pub(crate) fn next(&mut self, buffer: &mut BytesMut) -> Next {
        if let State::Head { searched } = self.state {
            let head = match self.next_head(buffer, searched) {
                Ok(head) => head,
                Err(next) => return next,
            };
            self.state = State::Body {
                head,
                collected: None,
                ended: false,
            };
        }
        let State::Body { head, collected, ended } = &mut self.state else {
            return Next::Malformed;
        };
        let head = Rc::clone(head);
        let cut = match head.framing {
            Framing::Empty => Cut::Whole(Bytes::new()),
            Framing::Length(length) => cut_length(buffer, length, self.limits.body_bytes),
            Framing::Chunked => cut_chunks(buffer, collected, ended, self.limits.body_bytes),
        };
        match cut {
            Cut::Whole(body) => {
                self.state = State::Head { searched: 0 };
                Next::Message(head, body)
            }
            Cut::Incomplete(wanted) => Next::Incomplete(wanted),
            Cut::Refused(status) => Next::Refused(status),
            Cut::Malformed => Next::Malformed,
        }
    }

    /// Consumes a complete head of a message, or says why there is none.
    fn next_head(&mut self, buffer: &mut BytesMut, searched: usize) -> Result<Rc<MessageHead>, Next> {
        if let Some(head) = &self.last
            && buffer.starts_with(&head.bytes)
        {
            buffer.advance(head.bytes.len());
            return Ok(Rc::clone(head));
        }
        while buffer.starts_with(b"\r\n") {
            buffer.advance(2);
        }
        let from = searched.saturating_sub(3).min(buffer.len());
        let Some(end) = memmem::find(&buffer[from..], b"\r\n\r\n").map(|position| from + position + 4) else {
            return Err(self.unfinished_head(buffer));
        };
        if end > self.limits.header_bytes {
            return Err(Next::Refused(431));
        }
        let bytes = &buffer[..end];
        let head = match self.known.get(bytes) {
            Some(known) => Rc::clone(&known.0),
            None => match head::parse(bytes) {
                Head::Message(head) => self.remember(*head),
                Head::Other => return Err(Next::Other),
                Head::Malformed => return Err(Next::Malformed),
            },
        };
        buffer.advance(end);
        self.last = Some(Rc::clone(&head));
        Ok(head)
    }

    fn unfinished_head(&mut self, buffer: &BytesMut) -> Next {
        if !head::plausible(buffer) {
            return Next::Malformed;
        }
        if buffer.len() > self.limits.header_bytes {
            return Next::Refused(431);
        }
        self.state = State::Head { searched: buffer.len() };
        Next::Incomplete(0)
    }

    fn remember(&mut self, head: MessageHead) -> Rc<MessageHead> {
        let head = Rc::new(head);
        if head.bytes.len() <= KNOWN_HEAD_BYTES_MAX {
            if self.known.len() >= KNOWN_HEADS_MAX {
                self.known.clear();
            }
            self.known.insert(KnownHead(Rc::clone(&head)));
        }
        head
    }
}

fn cut_length(buffer: &mut BytesMut, length: usize, limit: usize) -> Cut {
    if length > limit {
        return Cut::Refused(413);
    }
    if buffer.len() < length {
        return Cut::Incomplete(length - buffer.len());
    }
    Cut::Whole(buffer.split_to(length).freeze())
}

/// A line at the front of `buffer`: where it ends and where the next begins.
fn line_end(buffer: &[u8]) -> Option<(usize, usize)> {
    let newline = memchr::memchr(b'\n', buffer)?;
    let end = if newline > 0 && buffer[newline - 1] == b'\r' {
        newline - 1
    } else {
        newline
    };
    Some((end, newline + 1))
}

fn chunk_size(line: &[u8]) -> Option<usize> {
    let digits = line.split(|byte| *byte == b';').next()?.trim_ascii();
    if digits.is_empty() || digits.len() > 15 {
        return None;
    }
    digits
        .iter()
        .try_fold(0, |size, digit| Some(size << 4 | usize::from(hex_value(*digit)?)))
}

fn cut_chunks(buffer: &mut BytesMut, collected: &mut Option<BytesMut>, ended: &mut bool, limit: usize) -> Cut {
    if collected.is_none()
        && !*ended
        && let Some(body) = cut_only_chunk(buffer, limit)
    {
        return Cut::Whole(body);
    }
    while !*ended {
        let Some((end, data_start)) = line_end(buffer) else {
            return unfinished_line(buffer);
        };
        let Some(size) = chunk_size(&buffer[..end]) else {
            return Cut::Malformed;
        };
        if size == 0 {
            buffer.advance(data_start);
            *ended = true;
            break;
        }
        let before = collected.as_ref().map_or(0, BytesMut::len);
        if size > limit || before + size > limit {
            return Cut::Refused(413);
        }
        let needed = data_start + size + 2;
        if buffer.len() < needed {
            return Cut::Incomplete(needed - buffer.len());
        }
        if &buffer[data_start + size..needed] != b"\r\n" {
            return Cut::Malformed;
        }
        collected
            .get_or_insert_default()
            .extend_from_slice(&buffer[data_start..data_start + size]);
        buffer.advance(needed);
    }
    loop {
        let Some((end, next)) = line_end(buffer) else {
            return unfinished_line(buffer);
        };
        buffer.advance(next);
        if end == 0 {
            return Cut::Whole(collected.take().map_or_else(Bytes::new, BytesMut::freeze));
        }
    }
}

fn unfinished_line(buffer: &BytesMut) -> Cut {
    if buffer.len() > CHUNK_LINE_MAX {
        Cut::Malformed
    } else {
        Cut::Incomplete(0)
    }
}

/// The usual case: one chunk, all of it here, and nothing behind it. The body then shares the read buffer's memory.
fn cut_only_chunk(buffer: &mut BytesMut, limit: usize) -> Option<Bytes> {
    const END: &[u8] = b"\r\n0\r\n\r\n";
    let (end, data_start) = line_end(&buffer[..buffer.len().min(32)])?;
    let size = chunk_size(&buffer[..end]).filter(|size| (1..=limit).contains(size))?;
    let data_end = data_start + size;
    if buffer.get(data_end..data_end + END.len()) != Some(END) {
        return None;
    }
    let mut frame = buffer.split_to(data_end + END.len());
    frame.advance(data_start);
    frame.truncate(size);
    Some(frame.freeze())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits {
        header_bytes: 64 * 1024,
        body_bytes: 1024 * 1024,
    };

    /// Feeds `bytes` in pieces of `step` and lists the messages as `receiver name body`.
    fn messages(bytes: &[u8], step: usize) -> Result<Vec<String>, String> {
        let mut parser = Parser::new(LIMITS);
        let mut buffer = BytesMut::new();
        let mut found = Vec::new();
        for piece in bytes.chunks(step) {
            buffer.extend_from_slice(piece);
            loop {
                match parser.next(&mut buffer) {
                    Next::Incomplete(_) => break,
                    Next::Message(head, body) => {
                        found.push(format!(
                            "{} {} {}",
                            head.receiver,
                            head.name,
                            String::from_utf8_lossy(&body)
                        ));
                    }
                    Next::Other => return Err("other".into()),
                    Next::Refused(status) => return Err(format!("refused {status}")),
                    Next::Malformed => return Err("malformed".into()),
                }
            }
        }
        Ok(found)
    }

    const HEAD: &str = "POST /b/name HTTP/1.1\r\nLibprocess-From: a@127.0.0.1:1\r\n";

    #[test]
    fn every_framing_is_cut_whatever_the_fragments() {
        let text = format!(
            "{HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n\
             {HEAD}\r\n\
             {HEAD}Content-Length: 5\r\n\r\nworld\
             {HEAD}Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n\
             \r\n{HEAD}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n\
             {HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nagain\r\n0\r\n\r\n"
        );
        let expected = [
            "b name hello",
            "b name ",
            "b name world",
            "b name abcde",
            "b name ",
            "b name again",
        ];
        for step in [1, 2, 3, 7, 64, text.len()] {
            assert_eq!(
                messages(text.as_bytes(), step).expect("good input"),
                expected,
                "step {step}"
            );
        }
    }

    #[test]
    fn bad_chunks_are_malformed() {
        for body in ["x\r\n", "\r\n\r\n", "5\r\nhelloXX", "fffffffffffffffff\r\n", "-1\r\n"] {
            let text = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{body}");
            assert_eq!(messages(text.as_bytes(), 1000), Err("malformed".into()), "{body}");
        }
    }

    #[test]
    fn limits_are_kept() {
        let endless = format!("{HEAD}X: {}", "x".repeat(70_000));
        assert_eq!(messages(endless.as_bytes(), 1000), Err("refused 431".into()));
        let declared = format!("{HEAD}Content-Length: 99999999999999999999999\r\n\r\n");
        assert_eq!(messages(declared.as_bytes(), 1000), Err("refused 413".into()));
        let chunk = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n40000000\r\n");
        assert_eq!(messages(chunk.as_bytes(), 1000), Err("refused 413".into()));
        let many = format!(
            "{HEAD}Transfer-Encoding: chunked\r\n\r\n{}",
            "80000\r\n".to_owned() + &"y".repeat(0x80000) + "\r\n"
        );
        let many = many + "80001\r\n" + &"y".repeat(0x80001) + "\r\n";
        assert_eq!(messages(many.as_bytes(), 100_000), Err("refused 413".into()));
    }

    #[test]
    fn request_that_is_no_message_stays_in_the_buffer() {
        let mut parser = Parser::new(LIMITS);
        let mut buffer = BytesMut::from(format!("{HEAD}\r\nGET /x HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
        assert!(matches!(parser.next(&mut buffer), Next::Message(..)));
        assert!(matches!(parser.next(&mut buffer), Next::Other));
        assert!(buffer.starts_with(b"GET /x"));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), step in 1_usize..50) {
            let _ = messages(&bytes, step);
            let mut posed = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
            posed.extend_from_slice(&bytes);
            let _ = messages(&posed, step);
        }

        #[test]
        fn bodies_survive_any_split(bodies in proptest::collection::vec("[a-z]{0,40}", 1..6), step in 1_usize..60) {
            let mut text = String::new();
            for (index, body) in bodies.iter().enumerate() {
                if index % 2 == 0 {
                    text += &format!("{HEAD}Content-Length: {}\r\n\r\n{body}", body.len());
                } else if body.is_empty() {
                    text += &format!("{HEAD}\r\n");
                } else {
                    text += &format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
                }
            }
            let expected: Vec<String> = bodies.iter().map(|body| format!("b name {body}")).collect();
            prop_assert_eq!(messages(text.as_bytes(), step), Ok(expected));
        }
    }
}
