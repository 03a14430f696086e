//! The bytes of an outgoing message.
//!
//! Source: shared facts, `libprocess_wire.md` section 2.

use std::collections::VecDeque;
use std::net::SocketAddrV4;

use bytes::{Bytes, BytesMut};
use libprocess_types::Upid;

/// Bodies from this size on are queued as they are instead of being copied behind their head.
const COPY_MAX_BYTES: usize = 16 * 1024;
/// Memory that the copy buffer asks for at once.
const TAIL_BYTES: usize = 64 * 1024;

/// Ends the only chunk of a body, and the body.
const CHUNKS_END: &[u8] = b"\r\n0\r\n\r\n";

/// Bytes that wait to be written to one connection, in order.
#[derive(Default)]
pub(crate) struct SendQueue {
    segments: VecDeque<Bytes>,
    tail: BytesMut,
    byte_count: usize,
}

impl SendQueue {
    /// Bytes that wait.
    pub(crate) fn byte_count(&self) -> usize {
        self.byte_count
    }

    /// Moves everything that waits to the end of `into`.
    pub(crate) fn take_into(&mut self, into: &mut VecDeque<Bytes>) {
        into.append(&mut self.segments);
        if !self.tail.is_empty() {
            into.push_back(self.tail.split().freeze());
        }
        self.byte_count = 0;
    }

    /// Appends one message.
    pub(crate) fn push_message(&mut self, head: &MessageHead<'_>, body: &Bytes) {
        let inline = if body.len() < COPY_MAX_BYTES { body.len() } else { 0 };
        let needed = head.size_max() + inline + 32;
        if self.tail.capacity() - self.tail.len() < needed {
            self.tail.reserve(needed.max(TAIL_BYTES));
        }
        let before = self.tail.len();
        head.write(&mut self.tail, body.len());
        self.byte_count += self.tail.len() - before + body.len();
        if body.is_empty() {
            return;
        }
        if inline > 0 {
            self.tail.extend_from_slice(body);
        } else {
            self.segments.push_back(self.tail.split().freeze());
            self.segments.push_back(body.clone());
        }
        self.tail.extend_from_slice(CHUNKS_END);
        self.byte_count += CHUNKS_END.len();
    }
}

/// What stands before the body of a message.
pub(crate) struct MessageHead<'a> {
    pub(crate) from: &'a Upid,
    /// Id of the receiver.
    pub(crate) to_id: &'a str,
    /// Address of the receiver, `IP:PORT`.
    pub(crate) to_host: &'a str,
    pub(crate) name: &'a str,
    /// The sender's own address, `@IP:PORT`.
    pub(crate) from_host: &'a str,
}

impl MessageHead<'_> {
    /// Whether ids and name can stand in a request line without ending it.
    pub(crate) fn is_writable(&self) -> bool {
        let plain = |text: &str| text.bytes().all(|byte| byte > b' ' && byte != 0x7f);
        plain(self.to_id) && plain(self.name) && plain(self.from.id())
    }

    fn size_max(&self) -> usize {
        200 + self.to_id.len()
            + self.to_host.len()
            + self.name.len()
            + 2 * (self.from.id().len() + self.from_host.len())
    }

    fn write(&self, into: &mut BytesMut, body_length: usize) {
        let mut put = |text: &str| into.extend_from_slice(text.as_bytes());
        put("POST /");
        if !self.to_id.is_empty() {
            put(self.to_id);
            put("/");
        }
        put(self.name);
        put(" HTTP/1.1\r\nUser-Agent: libprocess/");
        put(self.from.id());
        put(self.from_host);
        put("\r\nLibprocess-From: ");
        put(self.from.id());
        put(self.from_host);
        put("\r\nConnection: Keep-Alive\r\nHost: ");
        put(self.to_host);
        if body_length == 0 {
            put("\r\n\r\n");
            return;
        }
        put("\r\nTransfer-Encoding: chunked\r\n\r\n");
        put_hex(into, body_length);
        into.extend_from_slice(b"\r\n");
    }
}

/// Writes a number in lower-case hexadecimal.
fn put_hex(into: &mut BytesMut, number: usize) {
    let mut digits = [0_u8; 16];
    let mut start = digits.len();
    let mut rest = number;
    while rest > 0 || start == digits.len() {
        start -= 1;
        digits[start] = b"0123456789abcdef"[rest % 16];
        rest /= 16;
    }
    into.extend_from_slice(&digits[start..]);
}

/// `@IP:PORT`, as it follows the id in the text form of a process address.
pub(crate) fn host_text(address: SocketAddrV4) -> String {
    format!("@{address}")
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn bytes_of(from: &Upid, to: &Upid, name: &str, body: &'static [u8]) -> Vec<u8> {
        let mut queue = SendQueue::default();
        let (to_host, from_host) = (to.address().to_string(), host_text(from.address()));
        let head = MessageHead {
            from,
            to_id: to.id(),
            to_host: &to_host,
            name,
            from_host: &from_host,
        };
        assert!(head.is_writable());
        queue.push_message(&head, &Bytes::from_static(body));
        let counted = queue.byte_count();
        let mut segments = VecDeque::new();
        queue.take_into(&mut segments);
        assert_eq!(queue.byte_count(), 0);
        let all: Vec<u8> = segments.iter().flatten().copied().collect();
        assert_eq!(all.len(), counted);
        all
    }

    fn upid(text: &str) -> Upid {
        text.parse().expect("a good address")
    }

    #[test]
    fn message_with_body_is_one_chunk() {
        let bytes = bytes_of(
            &upid("slave(1)@10.0.0.2:5051"),
            &upid("master@10.0.0.1:5050"),
            "mesos.internal.RegisterSlaveMessage",
            b"0123456789abcdefXYZ",
        );
        let expected = "POST /master/mesos.internal.RegisterSlaveMessage HTTP/1.1\r\n\
            User-Agent: libprocess/slave(1)@10.0.0.2:5051\r\n\
            Libprocess-From: slave(1)@10.0.0.2:5051\r\n\
            Connection: Keep-Alive\r\n\
            Host: 10.0.0.1:5050\r\n\
            Transfer-Encoding: chunked\r\n\r\n\
            13\r\n0123456789abcdefXYZ\r\n0\r\n\r\n";
        assert_eq!(String::from_utf8_lossy(&bytes), expected);
    }

    #[test]
    fn message_without_body_has_no_body_header() {
        let bytes = bytes_of(&upid("a@127.0.0.1:1"), &upid("@127.0.0.1:2"), "PING", b"");
        let expected = "POST /PING HTTP/1.1\r\nUser-Agent: libprocess/a@127.0.0.1:1\r\n\
            Libprocess-From: a@127.0.0.1:1\r\nConnection: Keep-Alive\r\nHost: 127.0.0.1:2\r\n\r\n";
        assert_eq!(String::from_utf8_lossy(&bytes), expected);
    }

    #[test]
    fn large_bodies_are_framed_alike() {
        static BODY: [u8; 70_000] = [7; 70_000];
        let bytes = bytes_of(&upid("a@127.0.0.1:1"), &upid("b@127.0.0.1:2"), "m", &BODY);
        let split = bytes
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .expect("end of head")
            + 4;
        assert!(bytes[split..].starts_with(b"11170\r\n\x07"));
        assert!(bytes.ends_with(b"\x07\r\n0\r\n\r\n"));
        assert_eq!(bytes.len() - split, 7 + 70_000 + 7);
    }

    #[test]
    fn ids_that_would_break_the_request_line_are_seen() {
        let from = Upid::new("x", SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1));
        let head = |to_id, name| MessageHead {
            from: &from,
            to_id,
            to_host: "h",
            name,
            from_host: "@h",
        };
        assert!(!head("a b", "n").is_writable());
        assert!(!head("a", "n\r\nX: y").is_writable());
        assert!(head("log-replica(1)", "n/m").is_writable());
    }
}
