//! One connection: requests in, answers out, in order.
//!
//! Requests that arrive back to back are handed to their processes at once, and their answers wait for their turn; a
//! streamed answer holds up those behind it. Everything that waits is bounded: requests in progress, bytes read ahead,
//! bytes not yet taken by the client. Where a bound is reached nothing more is read.
//!
//! Parsing of heads and bodies is left to the codec of `actix-http`, dispatching to `actix-web` (see
//! [`super::server`]). Its connection driver is not used, for three reasons: it frames answers by the latest request it
//! has parsed and not by the one it answers, it keeps a stream alive after the client has gone, and a client that sends
//! much behind a pending answer makes it spin.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_http::body::{BodySize, MessageBody};
use actix_http::h1::{Codec, Message, MessageType};
use actix_http::{ConnectionType, Request, Version};
use bytes::{Buf, Bytes, BytesMut};
use futures_core::future::LocalBoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_util::codec::Decoder;

use super::encode::{self, Framing, Persistence};
use super::exchange::bare;
use super::head::{add_missing_host, asks_to_close, declared_length, head_end};
use super::sending::{Sending, Step, UNSENT_BYTES_HIGH};
use super::server::{Answer, App};
use super::{Method, StatusCode};
use crate::node::Node;

/// Requests of one connection that are in progress at a time, at most.
const IN_PROGRESS_MAX: usize = 16;
/// Requests in progress that a new connection may have. Small answers double it, large ones take it down to one, so
/// that a client that does not read its answers costs little more than one of them.
const IN_PROGRESS_FIRST: usize = 2;
/// The largest answer that counts as small.
const ANSWER_BYTES_SMALL: usize = 4 * 1024;
/// Bytes read at once while requests are in progress.
const READ_BYTES: usize = 16 * 1024;
/// Bytes read at once by a connection that has nothing to do; this much memory it costs.
const READ_BYTES_IDLE: usize = 2 * 1024;
/// How long a client that has closed its sending side may wait for an answer.
const HALF_CLOSED_PATIENCE: Duration = Duration::from_secs(30);
/// How long a client may take nothing of an answer that is not streamed.
const STALLED_PATIENCE: Duration = Duration::from_secs(60);
/// After a refused request: how long, and how much, is read and thrown away, so that the answer arrives before the
/// connection is reset.
const LINGER_PATIENCE: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why a connection gets no more time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Impatience {
    HalfClosed,
    Stalled,
}

/// What is being read.
enum Reading {
    Head,
    Body {
        request: Box<Request>,
        body: BytesMut,
        announces: bool,
    },
    Nothing,
}

/// How the answer to one request is framed; fixed when the request is read.
#[derive(Clone, Copy, Debug)]
struct Terms {
    is_head: bool,
    is_http_10: bool,
    keep_alive: bool,
}

enum Progress {
    Waiting(LocalBoxFuture<'static, Answer>),
    Ready(Answer),
}

struct InProgress {
    terms: Terms,
    progress: Progress,
}

/// One connection.
pub(super) struct Connection<S> {
    stream: S,
    peer: SocketAddr,
    node: Node,
    app: App,
    codec: Codec,
    incoming: BytesMut,
    head_scanned: usize,
    reading: Reading,
    in_progress: VecDeque<InProgress>,
    in_progress_max: usize,
    sending: Option<Sending>,
    outgoing: BytesMut,
    closing: bool,
    refused: bool,
    read_closed: bool,
    impatience: Option<(Impatience, Pin<Box<Sleep>>)>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// A connection on `stream` from which `incoming` was read already.
    pub(super) fn new(stream: S, incoming: BytesMut, peer: SocketAddr, node: Node, app: App, codec: Codec) -> Self {
        Self {
            stream,
            peer,
            node,
            app,
            codec,
            incoming,
            head_scanned: 0,
            reading: Reading::Head,
            in_progress: VecDeque::new(),
            in_progress_max: IN_PROGRESS_FIRST,
            sending: None,
            outgoing: BytesMut::new(),
            closing: false,
            refused: false,
            read_closed: false,
            impatience: None,
        }
    }

    /// Serves until either side ends the connection.
    pub(super) async fn run(mut self) -> io::Result<()> {
        poll_fn(|task| self.poll_serve(task)).await?;
        poll_fn(|task| Pin::new(&mut self.stream).poll_shutdown(task)).await?;
        if self.refused {
            // Too much patience here would only help those who send what nobody reads.
            let _ = timeout(LINGER_PATIENCE, self.linger()).await;
        }
        Ok(())
    }

    fn poll_serve(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut progressed = self.parse();
            progressed |= self.advance_answers(task);
            progressed |= self.write(task)?;
            progressed |= self.read(task)?;
            if self.is_done() {
                return Poll::Ready(Ok(()));
            }
            if !progressed {
                return self.poll_impatience(task);
            }
        }
    }

    fn is_done(&self) -> bool {
        let sent = self.sending.is_none() && self.outgoing.is_empty();
        sent && (self.closing || (self.read_closed && self.in_progress.is_empty()))
    }

    /// Reads requests out of what has arrived; true when one was completed or refused.
    fn parse(&mut self) -> bool {
        let mut progressed = false;
        while self.in_progress.len() < self.in_progress_max && !self.is_held_up() {
            let step = match std::mem::replace(&mut self.reading, Reading::Nothing) {
                Reading::Nothing => break,
                Reading::Head => self.parse_head(),
                Reading::Body {
                    request,
                    body,
                    announces,
                } => self.parse_body(request, body, announces),
            };
            match step {
                Ok(true) => progressed = true,
                Ok(false) => break,
                Err(status) => {
                    self.refuse(status);
                    return true;
                }
            }
        }
        progressed
    }

    /// Whether the client has not taken the answers before; further ones would only pile up.
    fn is_held_up(&self) -> bool {
        self.outgoing.len() >= UNSENT_BYTES_HIGH || matches!(self.sending, Some(Sending::Full { .. }))
    }

    /// Reads one head; false when more bytes are needed.
    fn parse_head(&mut self) -> Result<bool, StatusCode> {
        self.reading = Reading::Head;
        let blank = self
            .incoming
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        self.incoming.advance(blank);
        let limit_bytes = self.node.config().header_limit_bytes;
        let Some(end) = head_end(&self.incoming, self.head_scanned) else {
            self.head_scanned = self.incoming.len().saturating_sub(2);
            let too_long = self.incoming.len() > limit_bytes;
            return if too_long {
                Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
            } else {
                Ok(false)
            };
        };
        self.head_scanned = 0;
        if end > limit_bytes {
            return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        }
        add_missing_host(&mut self.incoming, end);
        let Ok(Some(Message::Item(request))) = self.codec.decode(&mut self.incoming) else {
            return Err(StatusCode::BAD_REQUEST);
        };
        match self.codec.message_type() {
            MessageType::None => self.begin(request, Bytes::new()),
            MessageType::Payload => {
                let limit_bytes = self.node.config().body_limit_bytes;
                if declared_length(&request.head().headers).is_some_and(|length| length > limit_bytes) {
                    return Err(StatusCode::PAYLOAD_TOO_LARGE);
                }
                let announces = request.head().expect();
                self.reading = Reading::Body {
                    request: Box::new(request),
                    body: BytesMut::new(),
                    announces,
                };
            }
            // Protocol upgrades and tunnels, which end HTTP on the connection.
            MessageType::Stream => return Err(StatusCode::NOT_IMPLEMENTED),
        }
        Ok(true)
    }

    /// Reads more of a body; false when more bytes are needed.
    fn parse_body(
        &mut self,
        request: Box<Request>,
        mut body: BytesMut,
        mut announces: bool,
    ) -> Result<bool, StatusCode> {
        if announces && self.in_progress.is_empty() && self.sending.is_none() {
            self.outgoing.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            announces = false;
        }
        loop {
            match self.codec.decode(&mut self.incoming) {
                Ok(Some(Message::Chunk(Some(chunk)))) => {
                    if body.len() + chunk.len() > self.node.config().body_limit_bytes {
                        return Err(StatusCode::PAYLOAD_TOO_LARGE);
                    }
                    body.extend_from_slice(&chunk);
                }
                Ok(Some(Message::Chunk(None))) => {
                    self.reading = Reading::Head;
                    self.begin(*request, body.freeze());
                    return Ok(true);
                }
                Ok(None) => {
                    self.reading = Reading::Body {
                        request,
                        body,
                        announces,
                    };
                    return Ok(false);
                }
                Ok(Some(Message::Item(_))) | Err(_) => return Err(StatusCode::BAD_REQUEST),
            }
        }
    }

    /// Hands a complete request on.
    fn begin(&mut self, request: Request, body: Bytes) {
        let terms = Terms {
            is_head: *request.method() == Method::HEAD,
            is_http_10: request.version() == Version::HTTP_10,
            keep_alive: request.head().connection_type() == ConnectionType::KeepAlive,
        };
        if !terms.keep_alive {
            self.reading = Reading::Nothing;
        }
        let progress = match super::message::deliver(&self.node, &request, &body, self.peer) {
            Some(status) => Progress::Ready(Answer::empty(status)),
            None => Progress::Waiting(self.app.call(&self.node, self.peer, terms.keep_alive, request, body)),
        };
        self.in_progress.push_back(InProgress { terms, progress });
    }

    /// Answers what cannot be read on, after the requests before it, and closes.
    fn refuse(&mut self, status: StatusCode) {
        self.reading = Reading::Nothing;
        self.refused = true;
        let terms = Terms {
            is_head: false,
            is_http_10: false,
            keep_alive: false,
        };
        self.in_progress.push_back(InProgress {
            terms,
            progress: Progress::Ready(Answer::from(bare(status))),
        });
    }

    /// Lets processes answer and prepares bytes for the client; true when bytes or room for requests came up.
    fn advance_answers(&mut self, task: &mut Context<'_>) -> bool {
        for entry in &mut self.in_progress {
            if let Progress::Waiting(future) = &mut entry.progress
                && let Poll::Ready(answer) = future.as_mut().poll(task)
            {
                entry.progress = Progress::Ready(answer);
            }
        }
        let mut progressed = false;
        while self.outgoing.len() < UNSENT_BYTES_HIGH && !self.closing {
            let sent_more = match self.sending.take() {
                Some(sending) => self.send_more(task, sending),
                None => self.send_next(),
            };
            if !sent_more {
                break;
            }
            progressed = true;
        }
        progressed
    }

    /// Begins the answer whose turn it is; false when it is not there yet.
    fn send_next(&mut self) -> bool {
        match self.in_progress.pop_front() {
            Some(InProgress {
                terms,
                progress: Progress::Ready(answer),
            }) => {
                self.start_answer(terms, answer);
                true
            }
            Some(waiting) => {
                self.in_progress.push_front(waiting);
                false
            }
            None => false,
        }
    }

    fn start_answer(&mut self, terms: Terms, answer: Answer) {
        let Answer { status, headers, body } = answer;
        let framing = match body.size() {
            BodySize::Sized(length) => Framing::Length(usize::try_from(length).unwrap_or(usize::MAX)),
            BodySize::None => Framing::Length(0),
            BodySize::Stream if terms.is_http_10 => Framing::UntilClose,
            BodySize::Stream => Framing::Chunked,
        };
        let close = !terms.keep_alive || framing == Framing::UntilClose || asks_to_close(&headers);
        let persistence = match (close, terms.is_http_10) {
            (true, _) => Persistence::Close,
            (false, true) => Persistence::StayAnnounced,
            (false, false) => Persistence::Stay,
        };
        encode::head(&mut self.outgoing, status, &headers, framing, persistence);
        self.adapt_to(framing);
        if terms.is_head || framing == Framing::Length(0) {
            self.closing |= close;
            return;
        }
        self.sending = Some(Sending::new(body, framing, close));
    }

    /// Lets more requests be in progress after small answers, fewer after large ones.
    fn adapt_to(&mut self, framing: Framing) {
        match framing {
            Framing::Length(length) if length > UNSENT_BYTES_HIGH => self.in_progress_max = 1,
            Framing::Length(length) if length <= ANSWER_BYTES_SMALL => {
                self.in_progress_max = (self.in_progress_max * 2).min(IN_PROGRESS_MAX);
            }
            Framing::Length(_) | Framing::Chunked | Framing::UntilClose => {}
        }
    }

    /// Prepares more of the body; false when its producer has nothing more at the moment.
    fn send_more(&mut self, task: &mut Context<'_>, sending: Sending) -> bool {
        match sending.prepare(task, &mut self.outgoing) {
            Step::More(sending) => {
                self.sending = Some(sending);
                true
            }
            Step::Waiting(sending) => {
                self.sending = Some(sending);
                false
            }
            Step::Done { close } => {
                self.closing |= close;
                true
            }
        }
    }

    /// Sends what is prepared; true when some of it went out.
    fn write(&mut self, task: &mut Context<'_>) -> io::Result<bool> {
        let mut progressed = false;
        while !self.outgoing.is_empty() {
            match Pin::new(&mut self.stream).poll_write(task, &self.outgoing) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    self.outgoing.advance(count);
                    progressed = true;
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
        }
        if progressed {
            self.impatience = None;
            if self.outgoing.is_empty() && self.is_idle() {
                // An idle connection keeps no memory of the answers it carried.
                self.outgoing = BytesMut::new();
            }
        }
        Ok(progressed)
    }

    /// Reads when there is room; true when bytes or the end came. Notices the end of a client that waits for a stream.
    fn read(&mut self, task: &mut Context<'_>) -> io::Result<bool> {
        if self.read_closed {
            return if self.is_streaming() {
                Err(io::ErrorKind::ConnectionAborted.into())
            } else {
                Ok(false)
            };
        }
        let buffered_max = self.node.config().header_limit_bytes + READ_BYTES;
        if self.incoming.len() >= buffered_max {
            // Nothing but the end of the answer makes room again, and a stream's end may never come.
            return if self.is_streaming() {
                Err(io::ErrorKind::ConnectionAborted.into())
            } else {
                Ok(false)
            };
        }
        let idle = self.incoming.is_empty() && self.is_idle();
        self.incoming.reserve(if idle { READ_BYTES_IDLE } else { READ_BYTES });
        match tokio_util::io::poll_read_buf(Pin::new(&mut self.stream), task, &mut self.incoming) {
            Poll::Ready(Ok(0)) => {
                self.read_closed = true;
                if matches!(self.reading, Reading::Body { .. }) {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(true)
            }
            Poll::Ready(Ok(_)) => {
                if self.closing || matches!(self.reading, Reading::Nothing) {
                    self.incoming.clear();
                }
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Ok(false),
        }
    }

    fn is_idle(&self) -> bool {
        self.in_progress.is_empty() && self.sending.is_none() && matches!(self.reading, Reading::Head)
    }

    fn is_streaming(&self) -> bool {
        matches!(self.sending, Some(Sending::Streamed { .. }))
    }

    /// Waits, but not forever, for clients that have half closed or that do not take their answer.
    fn poll_impatience(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let reason = if self.is_streaming() {
            None
        } else if !self.outgoing.is_empty() {
            Some((Impatience::Stalled, STALLED_PATIENCE))
        } else if self.read_closed {
            Some((Impatience::HalfClosed, HALF_CLOSED_PATIENCE))
        } else {
            None
        };
        let Some((reason, patience)) = reason else {
            self.impatience = None;
            return Poll::Pending;
        };
        if self.impatience.as_ref().is_none_or(|(running, _)| *running != reason) {
            self.impatience = Some((reason, Box::pin(sleep_until(Instant::now() + patience))));
        }
        if let Some((_, deadline)) = &mut self.impatience {
            ready!(deadline.as_mut().poll(task));
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Throws away what still comes in, up to a bound.
    async fn linger(&mut self) -> io::Result<()> {
        let mut discarded = 0;
        while discarded < LINGER_BYTES_MAX {
            self.incoming.clear();
            self.incoming.reserve(READ_BYTES);
            let read = |task: &mut Context<'_>| {
                tokio_util::io::poll_read_buf(Pin::new(&mut self.stream), task, &mut self.incoming)
            };
            match poll_fn(read).await? {
                0 => break,
                count => discarded += count,
            }
        }
        Ok(())
    }
}
