//! One incoming connection: messages go to mailboxes, the first other request takes the connection to HTTP.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use libprocess_types::Upid;
use tokio::net::TcpStream;

use super::date::with_date;
use super::head::{MessageHead, Sender};
use super::parser::{Limits, Next, Parser};
use super::prefixed::Prefixed;
use crate::mailbox::{MailboxHandle, Message, Name};
use crate::node::Node;
use crate::resolve::resolve_upid;

/// Bytes read at once. Source: shared facts, `constants.tsv`, `read_buffer`.
const READ_BUFFER_BYTES: usize = 80 * 1024;
/// Most memory that is asked for at once for a body that was only declared.
const BODY_RESERVE_MAX: usize = 1024 * 1024;
/// Answers that may wait for a peer that does not read them; beyond that its messages wait as well.
const ANSWERS_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Senders' host names that a connection remembers.
const NAMED_SENDERS_MAX: usize = 256;

/// How reading went on.
enum Outcome {
    /// Wait for more bytes.
    More(usize),
    /// A sender's host name must be looked up before this message can be delivered.
    Lookup(Rc<MessageHead>, Bytes, String),
    /// Hand the connection over to HTTP.
    HandOver,
    /// Close once the answers are written.
    Close,
}

/// Messages for one mailbox that are pushed together.
#[derive(Default)]
struct Batch {
    mailbox: Option<MailboxHandle>,
    messages: Vec<Message>,
}

impl Batch {
    fn add(&mut self, mailbox: &MailboxHandle, message: Message) {
        if self
            .mailbox
            .as_ref()
            .is_none_or(|current| !std::sync::Arc::ptr_eq(current, mailbox))
        {
            self.flush();
            self.mailbox = Some(MailboxHandle::clone(mailbox));
        }
        self.messages.push(message);
    }

    fn flush(&mut self) {
        if let Some(mailbox) = self.mailbox.as_ref().filter(|_| !self.messages.is_empty()) {
            mailbox.push_messages(&mut self.messages);
        }
    }
}

/// The state of a connection.
struct Connection {
    node: Node,
    peer: SocketAddr,
    stream: TcpStream,
    buffer: BytesMut,
    parser: Parser,
    answers: BytesMut,
    accepted: Vec<u8>,
    batch: Batch,
    named_senders: HashMap<String, Option<Upid>>,
}

/// Serves a connection until it ends.
pub(super) async fn serve(stream: TcpStream, peer: SocketAddr, node: Node) {
    let config = node.config();
    let limits = Limits {
        header_bytes: config.header_limit_bytes,
        body_bytes: config.body_limit_bytes,
    };
    let mut connection = Connection {
        peer,
        stream,
        buffer: BytesMut::new(),
        parser: Parser::new(limits),
        answers: BytesMut::new(),
        accepted: Vec::new(),
        batch: Batch::default(),
        named_senders: HashMap::new(),
        node,
    };
    // A connection that breaks is as good as one that closes.
    if matches!(connection.run().await, Ok(Ended::HandOver)) {
        let Connection {
            stream,
            buffer,
            peer,
            node,
            ..
        } = connection;
        crate::http::server::serve(Prefixed::new(buffer.freeze(), stream), peer, node).await;
    }
}

/// How the message part of a connection ended.
enum Ended {
    Closed,
    HandOver,
}

impl Connection {
    async fn run(&mut self) -> io::Result<Ended> {
        let mut wanted = 0;
        loop {
            if self.fill(wanted).await? == 0 {
                return Ok(Ended::Closed);
            }
            loop {
                let outcome = self.read_messages();
                self.batch.flush();
                match outcome {
                    Outcome::More(more) => {
                        wanted = more;
                        break;
                    }
                    Outcome::Lookup(head, body, text) => {
                        let sender = resolve_upid(&text).await.ok();
                        if self.named_senders.len() >= NAMED_SENDERS_MAX {
                            self.named_senders.clear();
                        }
                        self.named_senders.insert(text, sender.clone());
                        self.deliver(&head, sender, body);
                    }
                    Outcome::HandOver => {
                        self.write_answers().await?;
                        return Ok(Ended::HandOver);
                    }
                    Outcome::Close => {
                        self.write_answers().await?;
                        return Ok(Ended::Closed);
                    }
                }
            }
            self.wait_for_room().await?;
        }
    }

    /// Handles all complete messages in the buffer.
    fn read_messages(&mut self) -> Outcome {
        with_date(|date| {
            self.accepted.clear();
            self.accepted.extend_from_slice(b"HTTP/1.1 202 Accepted\r\nDate: ");
            self.accepted.extend_from_slice(date.as_bytes());
            self.accepted.extend_from_slice(b"\r\nContent-Length: 0\r\n\r\n");
        });
        loop {
            match self.parser.next(&mut self.buffer) {
                Next::Message(head, body) => {
                    let sender = match &head.sender {
                        Sender::Known(upid) => Some(upid.clone()),
                        Sender::Unknown => None,
                        Sender::Named(text) => match self.named_senders.get(text) {
                            Some(known) => known.clone(),
                            None => {
                                let text = text.clone();
                                return Outcome::Lookup(head, body, text);
                            }
                        },
                    };
                    self.deliver(&head, sender, body);
                    if !head.keep_alive {
                        return Outcome::Close;
                    }
                }
                Next::Incomplete(wanted) => return Outcome::More(wanted),
                Next::Other => return Outcome::HandOver,
                Next::Malformed => return Outcome::Close,
                Next::Refused(status) => {
                    self.answer(status);
                    return Outcome::Close;
                }
            }
        }
    }

    /// Queues a message for its receiver and the answer for its sender.
    fn deliver(&mut self, head: &MessageHead, sender: Option<Upid>, body: Bytes) {
        let Some(from) = sender else { return self.answer(500) };
        if self.node.config().require_peer_address_ip_match && IpAddr::V4(*from.address().ip()) != self.peer.ip() {
            tracing::warn!(upid = %from, peer = %self.peer, "message refused: it names a sender at another address");
            return self.answer(400);
        }
        let mut route = head.route.borrow_mut();
        if route.as_ref().is_none_or(|(mailbox, _)| mailbox.core().is_gone()) {
            *route = self.node.registry().receiver(&head.receiver).map(|mailbox| {
                let name = mailbox.resolve_name(&head.name);
                (mailbox, name)
            });
        }
        let Some((mailbox, name)) = route.as_mut() else {
            return self.answer(404);
        };
        if matches!(name, Name::Other(_)) {
            // The receiver may have installed a handler in the meantime.
            *name = mailbox.resolve_name(&head.name);
        }
        self.batch.add(
            mailbox,
            Message {
                from,
                name: name.clone(),
                body,
            },
        );
        self.answers.extend_from_slice(&self.accepted);
    }

    fn answer(&mut self, status: u16) {
        let reason = match status {
            400 => "Bad Request",
            404 => "Not Found",
            413 => "Payload Too Large",
            431 => "Request Header Fields Too Large",
            _ => "Internal Server Error",
        };
        let head = with_date(|date| format!("HTTP/1.1 {status} {reason}\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n"));
        self.answers.extend_from_slice(head.as_bytes());
    }

    /// Does not read on while the last receiver is far behind.
    async fn wait_for_room(&mut self) -> io::Result<()> {
        let Some(mailbox) = self.batch.mailbox.clone().filter(|mailbox| mailbox.is_crowded()) else {
            return Ok(());
        };
        let mut room = std::pin::pin!(crate::mailbox::wait_for_room(&mailbox));
        poll_fn(|task| {
            // What was taken is answered in the meantime.
            let _ = self.poll_write_answers(task)?;
            room.as_mut().poll(task).map(Ok)
        })
        .await
    }

    /// Writes answers and reads until at least one byte came; 0 at the end of the stream.
    async fn fill(&mut self, wanted: usize) -> io::Result<usize> {
        poll_fn(|task| self.poll_fill(task, wanted)).await
    }

    fn poll_fill(&mut self, task: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        loop {
            let _ = self.poll_write_answers(task)?;
            if self.answers.len() > ANSWERS_BYTES_MAX {
                return Poll::Pending;
            }
            let reserve = wanted
                .min(BODY_RESERVE_MAX.max(self.buffer.len()))
                .max(READ_BUFFER_BYTES / 2);
            if self.buffer.capacity() - self.buffer.len() < reserve {
                self.buffer.reserve(reserve.max(READ_BUFFER_BYTES));
            }
            match self.stream.try_read_buf(&mut self.buffer) {
                Ok(count) => return Poll::Ready(Ok(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.stream.poll_read_ready(task)?.is_pending() {
                        if self.buffer.is_empty() {
                            // An idle connection holds no buffer.
                            self.buffer = BytesMut::new();
                        }
                        return Poll::Pending;
                    }
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_write_answers(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.answers.is_empty() {
            match self.stream.try_write(&self.answers) {
                Ok(count) => self.answers.advance(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::task::ready!(self.stream.poll_write_ready(task))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    async fn write_answers(&mut self) -> io::Result<()> {
        poll_fn(|task| self.poll_write_answers(task)).await
    }
}
