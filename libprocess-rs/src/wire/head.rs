//! Heads of incoming requests: is it a message, from whom, to whom, and how long is its body?
//!
//! Only what messages need is looked at. Whatever is unusual is left to the HTTP server.

use std::cell::RefCell;

use libprocess_types::{ParseUpidError, Upid};

use crate::mailbox::{MailboxHandle, Name};
use crate::registry::percent_decode;

/// How the body of a message is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    Empty,
    /// `Content-Length`.
    Length(usize),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// Who sent a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    Known(Upid),
    /// The address names a host that has to be looked up.
    Named(String),
    /// The header does not hold an address.
    Unknown,
}

/// The head of a message.
pub(crate) struct MessageHead {
    /// All of it as received, the blank line included.
    pub(crate) bytes: Box<[u8]>,
    pub(crate) receiver: String,
    pub(crate) name: String,
    pub(crate) sender: Sender,
    pub(crate) framing: Framing,
    pub(crate) keep_alive: bool,
    /// Where messages with this head go, once that was looked up.
    pub(crate) route: RefCell<Option<(MailboxHandle, Name)>>,
}

/// What a complete head turns out to be.
pub(crate) enum Head {
    Message(Box<MessageHead>),
    /// A request that the HTTP server should see.
    Other,
    /// Not HTTP at all.
    Malformed,
}

#[derive(Default)]
struct Headers<'a> {
    user_agent: Option<&'a str>,
    libprocess_from: Option<&'a str>,
    content_length: Option<&'a str>,
    chunked: bool,
    close: Option<bool>,
    unusual: bool,
}

/// Reads a complete head, its blank line included.
pub(crate) fn parse(head: &[u8]) -> Head {
    let Ok(text) = std::str::from_utf8(head) else {
        return if plausible(head) { Head::Other } else { Head::Malformed };
    };
    let mut lines = text.split("\r\n");
    let Some((method, target, version)) = lines.next().and_then(request_line) else {
        return Head::Malformed;
    };
    if method != "POST" || !target.starts_with('/') {
        return Head::Other;
    }
    let Some(headers) = read_headers(lines) else {
        return Head::Malformed;
    };
    let agent_sender = headers.user_agent.and_then(|agent| agent.strip_prefix("libprocess/"));
    let Some(sender) = headers.libprocess_from.or(agent_sender) else {
        return Head::Other;
    };
    let framing = match (headers.content_length, headers.chunked) {
        _ if headers.unusual => return Head::Other,
        (Some(_), true) => return Head::Malformed,
        (None, true) => Framing::Chunked,
        (None, false) => Framing::Empty,
        (Some(digits), false) => match parse_length(digits) {
            Some(0) => Framing::Empty,
            Some(length) => Framing::Length(length),
            None => return Head::Malformed,
        },
    };
    let path = target.split('?').next().unwrap_or(target);
    let (receiver, name) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    Head::Message(Box::new(MessageHead {
        bytes: head.into(),
        receiver: percent_decode(receiver),
        name: name.to_owned(),
        sender: parse_sender(sender),
        framing,
        keep_alive: !headers.close.unwrap_or(version == "HTTP/1.0"),
        route: RefCell::default(),
    }))
}

fn parse_sender(text: &str) -> Sender {
    match text.trim().parse() {
        Ok(upid) => Sender::Known(upid),
        Err(ParseUpidError::UnknownHost(text)) => Sender::Named(text),
        Err(_) => Sender::Unknown,
    }
}

fn request_line(line: &str) -> Option<(&str, &str, &str)> {
    let (method, rest) = line.split_once(' ')?;
    let (target, version) = rest.rsplit_once(' ')?;
    let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    let is_plain = !target.is_empty() && target.bytes().all(|byte| byte > b' ' && byte != 0x7f);
    (is_method && is_plain && matches!(version, "HTTP/1.1" | "HTTP/1.0")).then_some((method, target, version))
}

fn read_headers<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Headers<'a>> {
    let mut headers = Headers::default();
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        if name.is_empty() || name.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return None;
        }
        let value = value.trim_matches([' ', '\t']);
        if name.eq_ignore_ascii_case("user-agent") {
            headers.user_agent = Some(value);
        } else if name.eq_ignore_ascii_case("libprocess-from") {
            headers.libprocess_from = Some(value);
        } else if name.eq_ignore_ascii_case("content-length") {
            if headers.content_length.is_some_and(|other| other != value) {
                return None;
            }
            headers.content_length = Some(value);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            headers.chunked = value.eq_ignore_ascii_case("chunked");
            headers.unusual |= !headers.chunked;
        } else if name.eq_ignore_ascii_case("connection") {
            headers.close = connection_closes(value).or(headers.close);
        } else if name.eq_ignore_ascii_case("content-encoding") || name.eq_ignore_ascii_case("expect") {
            headers.unusual = true;
        }
    }
    Some(headers)
}

fn connection_closes(value: &str) -> Option<bool> {
    value.split(',').find_map(|word| match word.trim() {
        word if word.eq_ignore_ascii_case("close") => Some(true),
        word if word.eq_ignore_ascii_case("keep-alive") => Some(false),
        _ => None,
    })
}

fn parse_length(digits: &str) -> Option<usize> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // Numbers beyond the address space are over every limit.
    all_digits.then(|| digits.parse().unwrap_or(usize::MAX))
}

/// Whether what was received so far can be the beginning of an HTTP request.
pub(crate) fn plausible(start: &[u8]) -> bool {
    let start = start.trim_prefix_crlf();
    let line_end = start.iter().position(|byte| *byte == b'\n');
    let line = &start[..line_end.unwrap_or(start.len())];
    let method_end = line.iter().position(|byte| *byte == b' ');
    let method = &line[..method_end.unwrap_or(line.len())];
    if method.len() > METHOD_MAX || !method.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'-') {
        return false;
    }
    line_end.is_none()
        || line
            .trim_ascii_end()
            .rsplit(|byte| *byte == b' ')
            .next()
            .is_some_and(is_version)
}

/// Longest name of a method that anybody uses, and then some.
const METHOD_MAX: usize = 32;

fn is_version(word: &[u8]) -> bool {
    word.starts_with(b"HTTP/1.")
}

trait TrimPrefix {
    fn trim_prefix_crlf(&self) -> &Self;
}

impl TrimPrefix for [u8] {
    fn trim_prefix_crlf(&self) -> &Self {
        let count = self.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        &self[count..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> MessageHead {
        match parse(text.as_bytes()) {
            Head::Message(head) => *head,
            Head::Other => panic!("no message: {text}"),
            Head::Malformed => panic!("malformed: {text}"),
        }
    }

    #[test]
    fn message_of_a_sender_is_understood() {
        let head = message(
            "POST /slave%281%29/mesos.internal.PingSlaveMessage HTTP/1.1\r\nuser-agent: libprocess/x@1.2.3.4:5\r\n\
             LIBPROCESS-FROM: a@127.0.0.1:1\r\nConnection: Keep-Alive\r\nTransfer-Encoding: chunked\r\n\r\n",
        );
        assert_eq!(
            (head.receiver.as_str(), head.name.as_str()),
            ("slave(1)", "mesos.internal.PingSlaveMessage")
        );
        assert_eq!(head.sender, Sender::Known("a@127.0.0.1:1".parse().expect("an address")));
        assert_eq!((head.framing, head.keep_alive), (Framing::Chunked, true));
    }

    #[test]
    fn either_sender_header_makes_a_message() {
        let head = message("POST /m/n/o?q HTTP/1.1\r\nUser-Agent: libprocess/x@1.2.3.4:5\r\nContent-Length: 3\r\n\r\n");
        assert_eq!((head.name.as_str(), head.framing), ("n/o", Framing::Length(3)));
        let head = message("POST /m HTTP/1.0\r\nLibprocess-From: nonsense\r\n\r\n");
        assert_eq!(
            (head.name.as_str(), head.sender, head.keep_alive),
            ("", Sender::Unknown, false)
        );
        let head = message("POST /m HTTP/1.1\r\nLibprocess-From: a@host:1\r\nConnection: close\r\n\r\n");
        assert_eq!(
            (head.sender, head.keep_alive),
            (Sender::Named("a@host:1".into()), false)
        );
    }

    #[test]
    fn other_requests_are_left_alone() {
        for text in [
            "GET /m/n HTTP/1.1\r\nLibprocess-From: a@127.0.0.1:1\r\n\r\n",
            "POST /m/n HTTP/1.1\r\nUser-Agent: curl/libprocess/\r\n\r\n",
            "POST /m/n HTTP/1.1\r\nLibprocess-From: a@127.0.0.1:1\r\nContent-Encoding: gzip\r\n\r\n",
            "POST /m/n HTTP/1.1\r\nLibprocess-From: a@127.0.0.1:1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        ] {
            assert!(matches!(parse(text.as_bytes()), Head::Other), "{text}");
        }
    }

    #[test]
    fn contradictions_and_garbage_are_malformed() {
        for text in [
            "POST /m/n\r\n\r\n",
            "post /m/n HTTP/1.1\r\n\r\n",
            "POST /m/n HTTP/2.0\r\n\r\n",
            "POST /m HTTP/1.1\r\nLibprocess-From: a@127.0.0.1:1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "POST /m HTTP/1.1\r\nLibprocess-From: a@127.0.0.1:1\r\nContent-Length: -1\r\n\r\n",
            "POST /m HTTP/1.1\r\nLibprocess-From: a@1.1.1.1:1\r\nContent-Length: 1\r\n\
             Transfer-Encoding: chunked\r\n\r\n",
            "POST /m HTTP/1.1\r\nno colon\r\n\r\n",
            "POST /m HTTP/1.1\r\nspace : x\r\n\r\n",
        ] {
            assert!(matches!(parse(text.as_bytes()), Head::Malformed), "{text}");
        }
    }

    #[test]
    fn beginnings_are_judged_early() {
        for start in ["", "P", "POST /x HT", "GET / HTTP/1.1\r\nA", "\r\nGET"] {
            assert!(plausible(start.as_bytes()), "{start}");
        }
        for start in ["\x16\x03\x01", "hello", "POST /x\r\n", "GET / FTP/1\r\n", "\0"] {
            assert!(!plausible(start.as_bytes()), "{start}");
        }
    }
}
