//! Requests and responses as processes see them, independent of the HTTP library underneath.
//!
//! The server builds a [`Request`] and a [`Responder`] and hands both to the process that owns the route; the process
//! answers at once or later, from any thread. Nothing here reads or writes sockets.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

pub use actix_http::header::{self, HeaderMap, HeaderName, HeaderValue};
pub use actix_http::{Method, StatusCode};
use bytes::Bytes;
use futures_core::Stream;
use thiserror::Error;
use tokio::sync::oneshot;

/// Bytes that a stream may hold for a client that does not read; the next write is refused.
pub const STREAM_QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Chunks that a stream may hold for a client that does not read, however small they are.
pub const STREAM_QUEUE_CHUNKS_MAX: usize = 16 * 1024;

/// Who sent a request, as the authenticator of the route's realm found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Principal {
    /// The name, absent for principals that consist of claims only.
    pub value: Option<String>,
    /// Claims of a token.
    pub claims: BTreeMap<String, String>,
}

/// A complete request.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path as received, without the query.
    pub path: String,
    /// What follows the route's name in the path, percent-decoded, without leading and trailing slashes.
    pub remainder: String,
    /// The decoded query; the last value of a repeated key wins.
    pub query: BTreeMap<String, String>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, inflated when it came compressed.
    pub body: Bytes,
    /// The other end of the connection.
    pub peer: Option<SocketAddr>,
    /// Who asks; absent when the realm has no authenticator.
    pub principal: Option<Principal>,
    /// Whether the client wants to keep the connection.
    pub keep_alive: bool,
}

impl Request {
    /// A request without headers, query and body.
    #[must_use]
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            remainder: String::new(),
            query: BTreeMap::new(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            peer: None,
            principal: None,
            keep_alive: true,
        }
    }

    /// The value of a header when it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// What a response carries.
#[derive(Debug)]
pub enum Body {
    /// No bytes; `Content-Length: 0`.
    Empty,
    /// All bytes, known in advance.
    Full(Bytes),
    /// Chunks that a [`StreamWriter`] produces.
    Stream(StreamReader),
}

/// An answer to a request.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: StatusCode,
    /// Headers beyond those that the server adds by itself (`Date`, `Content-Length`, `Transfer-Encoding`).
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
}

impl Response {
    /// An answer with an empty body.
    #[must_use]
    pub fn status(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: Body::Empty,
        }
    }

    /// An answer in plain text.
    #[must_use]
    pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Self {
        Self::bytes(status, "text/plain; charset=utf-8", text)
    }

    /// An answer with a body of the given content type.
    #[must_use]
    pub fn bytes(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut response = Self::status(status);
        response
            .headers
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        response.body = Body::Full(body.into());
        response
    }

    /// `200 OK` with a JSON body; the server applies `?jsonp=` and compression.
    #[must_use]
    pub fn ok_json(json: impl Into<Bytes>) -> Self {
        Self::bytes(StatusCode::OK, "application/json", json)
    }

    /// Adds a header; a name or value that HTTP does not allow is left out.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            self.headers.insert(name, value);
        }
        self
    }

    /// `200 OK` with a body that is written piece by piece, one HTTP chunk per write.
    #[must_use]
    pub fn stream(content_type: &'static str) -> (Self, StreamWriter) {
        let (writer, reader) = stream();
        let mut response = Self::status(StatusCode::OK);
        response
            .headers
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        response.body = Body::Stream(reader);
        (response, writer)
    }
}

/// Answers one request, once; may be kept and moved to another thread. Dropping it unanswered gives the client a 500.
#[derive(Debug)]
pub struct Responder {
    answer: oneshot::Sender<Response>,
}

impl Responder {
    /// A responder and the end at which its answer comes out; an error there means that it was dropped.
    #[must_use]
    pub fn new() -> (Self, oneshot::Receiver<Response>) {
        let (answer, receiver) = oneshot::channel();
        (Self { answer }, receiver)
    }

    /// Sends the answer; nothing happens when the client has gone.
    pub fn send(self, response: Response) {
        drop(self.answer.send(response));
    }

    /// Whether the client has gone, so that no answer is needed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.answer.is_closed()
    }
}

/// How a route is offered.
#[derive(Clone, Debug, Default)]
pub struct RouteOptions {
    /// Name of the authentication realm; without one everybody passes.
    pub realm: Option<String>,
    /// Methods that are allowed; an empty list allows all. Others are answered with 405 and `Allow`.
    pub methods: Vec<Method>,
    /// Text for the help pages.
    pub help: String,
}

/// Why a write to a stream was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StreamError {
    /// The client does not read: more than [`STREAM_QUEUE_BYTES_MAX`] bytes or
    /// [`STREAM_QUEUE_CHUNKS_MAX`] chunks wait.
    #[error("the stream's client does not keep up")]
    Full,
    /// The client has gone or the stream was closed.
    #[error("the stream is closed")]
    Closed,
}

type CloseHook = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct StreamState {
    queue: VecDeque<Bytes>,
    queued_bytes: usize,
    finished: bool,
    reader_gone: bool,
    waker: Option<Waker>,
    room_wakers: Vec<Waker>,
    close_hooks: Vec<CloseHook>,
}

impl StreamState {
    fn has_room(&self) -> bool {
        self.queued_bytes <= STREAM_QUEUE_BYTES_MAX / 2 && self.queue.len() <= STREAM_QUEUE_CHUNKS_MAX / 2
    }
}

#[derive(Clone, Default)]
struct SharedStream(Arc<Mutex<StreamState>>);

impl SharedStream {
    fn lock(&self) -> MutexGuard<'_, StreamState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Both ends of a streamed body.
#[must_use]
pub fn stream() -> (StreamWriter, StreamReader) {
    let shared = SharedStream::default();
    (StreamWriter(shared.clone()), StreamReader(shared))
}

/// The producing end of a streamed body. Dropping it ends the stream.
pub struct StreamWriter(SharedStream);

impl StreamWriter {
    /// Queues one chunk; an empty one is skipped, for it would end the stream.
    ///
    /// # Errors
    ///
    /// Refuses when the client is gone or too much waits already; the stream stays open in the latter case.
    pub fn write(&self, chunk: Bytes) -> Result<(), StreamError> {
        let mut state = self.0.lock();
        if state.finished || state.reader_gone {
            return Err(StreamError::Closed);
        }
        if chunk.is_empty() {
            return Ok(());
        }
        let too_many_bytes = state.queued_bytes > 0 && state.queued_bytes + chunk.len() > STREAM_QUEUE_BYTES_MAX;
        if too_many_bytes || state.queue.len() >= STREAM_QUEUE_CHUNKS_MAX {
            return Err(StreamError::Full);
        }
        state.queued_bytes += chunk.len();
        state.queue.push_back(chunk);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Completes when half of the queue or more is free, or the stream is closed; for producers that can wait.
    pub fn room(&self) -> impl Future<Output = ()> + Send + 'static {
        let shared = self.0.clone();
        poll_fn(move |task| {
            let mut state = shared.lock();
            if state.has_room() || state.finished || state.reader_gone {
                return Poll::Ready(());
            }
            state.room_wakers.push(task.waker().clone());
            Poll::Pending
        })
    }

    /// Calls `hook` once the client has gone or the stream has ended; at once when that is so already.
    pub fn on_close(&self, hook: impl FnOnce() + Send + 'static) {
        let mut state = self.0.lock();
        if state.reader_gone {
            drop(state);
            hook();
        } else {
            state.close_hooks.push(Box::new(hook));
        }
    }

    /// Whether writes are refused for good.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let state = self.0.lock();
        state.finished || state.reader_gone
    }

    /// Ends the stream after what was written.
    pub fn close(&self) {
        let mut state = self.0.lock();
        state.finished = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for StreamWriter {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Debug for StreamWriter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("StreamWriter")
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// The consuming end of a streamed body; the server writes each item as one HTTP chunk. Dropping it tells the writer.
pub struct StreamReader(SharedStream);

impl Stream for StreamReader {
    type Item = Bytes;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.0.lock();
        if let Some(chunk) = state.queue.pop_front() {
            state.queued_bytes -= chunk.len();
            let wakers = if state.has_room() {
                std::mem::take(&mut state.room_wakers)
            } else {
                Vec::new()
            };
            drop(state);
            wakers.into_iter().for_each(Waker::wake);
            return Poll::Ready(Some(chunk));
        }
        if state.finished {
            return Poll::Ready(None);
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.reader_gone = true;
        state.queue.clear();
        state.queued_bytes = 0;
        let hooks = std::mem::take(&mut state.close_hooks);
        let wakers = std::mem::take(&mut state.room_wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        for hook in hooks {
            hook();
        }
    }
}

impl std::fmt::Debug for StreamReader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("StreamReader").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::StreamExt;

    use super::*;

    #[test]
    fn queues_are_bounded_in_bytes_and_chunks() {
        let (writer, _reader) = stream();
        let large = Bytes::from(vec![0; STREAM_QUEUE_BYTES_MAX * 2]);
        assert_eq!(
            writer.write(large.clone()),
            Ok(()),
            "one chunk of any size fits an empty queue"
        );
        assert_eq!(writer.write(Bytes::from_static(b"x")), Err(StreamError::Full));
        let (writer, _reader) = stream();
        let accepted = (0..)
            .take_while(|_| writer.write(Bytes::from_static(b"x")).is_ok())
            .count();
        assert_eq!(accepted, STREAM_QUEUE_CHUNKS_MAX);
    }

    #[test]
    fn close_hooks_run_once_whoever_ends() {
        let calls = Arc::new(AtomicUsize::new(0));
        let hook = |calls: &Arc<AtomicUsize>| {
            let calls = Arc::clone(calls);
            move || drop(calls.fetch_add(1, Ordering::Relaxed).to_string())
        };
        let (writer, reader) = stream();
        writer.on_close(hook(&calls));
        drop(reader);
        writer.on_close(hook(&calls));
        assert_eq!(calls.load(Ordering::Relaxed), 2);
        assert_eq!(writer.write(Bytes::from_static(b"x")), Err(StreamError::Closed));
    }

    #[tokio::test]
    async fn room_comes_when_the_client_reads_or_goes() {
        let (writer, mut reader) = stream();
        writer.room().await;
        assert_eq!(writer.write(Bytes::from(vec![0; STREAM_QUEUE_BYTES_MAX])), Ok(()));
        let room = writer.room();
        let (_, read) = tokio::join!(room, reader.next());
        assert!(read.is_some());
        assert_eq!(writer.write(Bytes::from(vec![0; STREAM_QUEUE_BYTES_MAX])), Ok(()));
        let room = writer.room();
        tokio::join!(room, async { drop(reader) });
    }

    #[tokio::test]
    async fn closing_lets_what_was_written_through() {
        let (writer, reader) = stream();
        writer.write(Bytes::from_static(b"x")).expect("room");
        drop(writer);
        assert_eq!(reader.collect::<Vec<_>>().await, [Bytes::from_static(b"x")]);
    }
}
