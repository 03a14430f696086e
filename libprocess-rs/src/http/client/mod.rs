//! A small HTTP/1.1 client over one persistent connection, for drivers, tools and tests.
//!
//! It runs on any tokio runtime. One [`Client`] speaks to one address and carries one request at a time; a streamed
//! answer takes the connection with it, and the client opens a new one for its next request. There are no redirects,
//! no proxies, no TLS and no compression.

mod body;
mod decode;

use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use socket2::SockRef;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use self::body::Connection;
pub use self::body::{RecordReader, ResponseStream};
use super::recordio::RecordError;
use super::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

/// Bounds on what a client waits for and accepts.
#[derive(Clone, Copy, Debug)]
pub struct ClientLimits {
    /// How long connecting may take.
    pub connect_patience: Duration,
    /// How long the answer's head may take after the request was written; absent for as long as the connection lives.
    pub answer_patience: Option<Duration>,
    /// Longest head of an answer.
    pub head_bytes_max: usize,
    /// Longest body that [`Client::request`] collects, and longest record of a [`RecordReader`].
    pub body_bytes_max: usize,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            connect_patience: Duration::from_secs(10),
            answer_patience: Some(Duration::from_secs(60)),
            head_bytes_max: 64 * 1024,
            body_bytes_max: 256 * 1024 * 1024,
        }
    }
}

/// Why a request got no answer, or a stream no more of it.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The address does not answer.
    #[error("cannot connect to {address}")]
    Connect {
        /// Where to.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// Something took longer than the limits allow.
    #[error("{address} takes too long to {action}")]
    TimedOut {
        /// Which server.
        address: String,
        /// What was waited for.
        action: &'static str,
    },
    /// The connection broke.
    #[error("the connection to {address} broke")]
    Broken {
        /// Which server.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The request cannot be written.
    #[error("a request cannot have the {part} '{value}'")]
    BadRequest {
        /// Path, header name or header value.
        part: &'static str,
        /// What it was.
        value: String,
    },
    /// The answer is no HTTP.
    #[error("the answer is not HTTP/1: {0}")]
    BadAnswer(&'static str),
    /// The answer exceeds a limit.
    #[error("the {part} of the answer exceeds {limit_bytes} bytes")]
    TooLarge {
        /// Head or body.
        part: &'static str,
        /// The limit.
        limit_bytes: usize,
    },
    /// A stream does not consist of records.
    #[error("the stream cannot be read on")]
    Record(#[from] RecordError),
}

/// A complete answer.
#[derive(Debug)]
pub struct ClientResponse {
    /// The status code.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl ClientResponse {
    /// The value of a header when it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as text, with replacement characters for what is no UTF-8.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A client of one address.
#[derive(Debug)]
pub struct Client {
    address: String,
    limits: ClientLimits,
    idle: Option<Connection>,
}

impl Client {
    /// A client of `HOST:PORT`. Connects when the first request is sent.
    #[must_use]
    pub fn new(address: impl ToString) -> Self {
        Self::with_limits(address, ClientLimits::default())
    }

    /// A client with limits of its own.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "takes addresses of any kind, mostly cheap ones"
    )]
    pub fn with_limits(address: impl ToString, limits: ClientLimits) -> Self {
        Self {
            address: address.to_string(),
            limits,
            idle: None,
        }
    }

    /// The address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sends a request and collects the whole answer.
    ///
    /// # Errors
    ///
    /// Fails when there is no complete answer within the limits. The request may have been carried out all the same.
    pub async fn request(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<ClientResponse, ClientError> {
        let mut stream = self.open(method, path, headers, body).await?;
        let body = stream.collect(self.limits.body_bytes_max).await?;
        let ResponseStream { status, headers, .. } = &mut stream;
        let (status, headers) = (*status, std::mem::take(headers));
        self.idle = stream.into_idle_connection();
        Ok(ClientResponse { status, headers, body })
    }

    /// `GET`, collecting the whole answer.
    ///
    /// # Errors
    ///
    /// As [`Client::request`].
    pub async fn get(&mut self, path: &str) -> Result<ClientResponse, ClientError> {
        self.request(Method::GET, path, &[], Bytes::new()).await
    }

    /// Sends a request and reads the head of the answer; the body comes through the returned stream, which owns the
    /// connection. Dropping the stream closes it.
    ///
    /// # Errors
    ///
    /// Fails when there is no head within the limits.
    pub async fn open(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<ResponseStream, ClientError> {
        let head = self.write_head(&method, path, headers, body.len())?;
        let mut connection = self.connection().await?;
        let exchange = async {
            connection.stream.write_all(&head).await?;
            if !body.is_empty() {
                connection.stream.write_all(&body).await?;
            }
            Ok::<(), io::Error>(())
        };
        let sent = self
            .bounded(self.limits.answer_patience, "take a request", exchange)
            .await?;
        if let Err(error) = sent {
            // A server may answer and close before it has read everything; its answer is worth more than the error.
            if connection.stream.readable().await.is_err() {
                return Err(self.broken(error));
            }
        }
        let is_head = method == Method::HEAD;
        let answer = ResponseStream::begin(connection, self.address.clone(), self.limits, is_head);
        self.bounded(self.limits.answer_patience, "answer", answer).await?
    }

    /// The idle connection if it is still good, else a new one.
    async fn connection(&mut self) -> Result<Connection, ClientError> {
        if let Some(idle) = self.idle.take()
            && idle.is_quiet()
        {
            return Ok(idle);
        }
        let connecting = TcpStream::connect(&self.address);
        let connected = self
            .bounded(Some(self.limits.connect_patience), "connect", connecting)
            .await?;
        let stream = connected.map_err(|source| ClientError::Connect {
            address: self.address.clone(),
            source,
        })?;
        // Requests are written whole; waiting for more to send would only delay them.
        stream.set_nodelay(true).map_err(|source| self.broken(source))?;
        Ok(Connection {
            stream,
            incoming: BytesMut::new(),
        })
    }

    async fn bounded<T>(
        &self,
        patience: Option<Duration>,
        action: &'static str,
        work: impl Future<Output = T>,
    ) -> Result<T, ClientError> {
        match patience {
            Some(patience) => timeout(patience, work).await.map_err(|_| ClientError::TimedOut {
                address: self.address.clone(),
                action,
            }),
            None => Ok(work.await),
        }
    }

    fn broken(&self, source: io::Error) -> ClientError {
        ClientError::Broken {
            address: self.address.clone(),
            source,
        }
    }

    fn write_head(
        &self,
        method: &Method,
        path: &str,
        headers: &[(&str, &str)],
        body_bytes: usize,
    ) -> Result<Bytes, ClientError> {
        let path_is_plain = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
        if !path_is_plain {
            return Err(ClientError::BadRequest {
                part: "path",
                value: path.to_owned(),
            });
        }
        let mut head = BytesMut::with_capacity(256);
        head.put_slice(format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address).as_bytes());
        for (name, value) in headers {
            if HeaderName::from_bytes(name.as_bytes()).is_err() {
                return Err(ClientError::BadRequest {
                    part: "header name",
                    value: (*name).to_owned(),
                });
            }
            if HeaderValue::from_str(value).is_err() {
                return Err(ClientError::BadRequest {
                    part: "header value",
                    value: (*value).to_owned(),
                });
            }
            head.put_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if body_bytes > 0 || matches!(*method, Method::POST | Method::PUT) {
            head.put_slice(format!("Content-Length: {body_bytes}\r\n").as_bytes());
        }
        head.put_slice(b"\r\n");
        Ok(head.freeze())
    }
}

impl Connection {
    /// Whether the server neither closed the connection nor sent anything nobody asked for.
    fn is_quiet(&self) -> bool {
        // Asks the system: the runtime learns of an end only when it next waits.
        let mut byte = [MaybeUninit::uninit()];
        let peeked = SockRef::from(&self.stream).peek(&mut byte);
        self.incoming.is_empty() && peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Reads some bytes; zero at the end.
    async fn fill(&mut self) -> io::Result<usize> {
        self.incoming.reserve(16 * 1024);
        self.stream.read_buf(&mut self.incoming).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_cannot_be_split_by_their_parts() {
        let client = Client::new("127.0.0.1:1");
        let write = |path: &str, headers: &[(&str, &str)]| client.write_head(&Method::GET, path, headers, 0);
        assert!(write("/a b", &[]).is_err());
        assert!(write("/a\r\nb", &[]).is_err());
        assert!(write("a", &[]).is_err());
        assert!(write("/a", &[("x\r\ny", "1")]).is_err());
        assert!(write("/a", &[("x", "1\r\ny: 2")]).is_err());
        let head = write("/a", &[("X-Thing", "1")]).expect("plain parts");
        assert_eq!(
            head.as_ref(),
            b"GET /a HTTP/1.1\r\nHost: 127.0.0.1:1\r\nX-Thing: 1\r\n\r\n"
        );
    }
}
