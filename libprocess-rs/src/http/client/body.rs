//! Bodies of answers, piece by piece or record by record.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::net::TcpStream;

use super::super::recordio::Decoder;
use super::super::{HeaderMap, StatusCode};
use super::decode::{self, Framing};
use super::{ClientError, ClientLimits};

/// A connection to the server and what was read from it too early.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) incoming: BytesMut,
}

/// An answer whose body is still coming.
#[derive(Debug)]
pub struct ResponseStream {
    /// The status code.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    address: String,
    limits: ClientLimits,
    connection: Connection,
    framing: Framing,
    persistent: bool,
}

impl ResponseStream {
    /// Reads the head of an answer; informational ones before it are skipped.
    pub(super) async fn begin(
        mut connection: Connection,
        address: String,
        limits: ClientLimits,
        answers_head_request: bool,
    ) -> Result<Self, ClientError> {
        let head = loop {
            match decode::take_head(&mut connection.incoming, limits.head_bytes_max)? {
                Some(head) if head.status.is_informational() => {}
                Some(head) => break head,
                None => match connection.fill().await {
                    Ok(0) => {
                        return Err(ClientError::Broken {
                            address,
                            source: io::ErrorKind::UnexpectedEof.into(),
                        });
                    }
                    Ok(_) => {}
                    Err(source) => return Err(ClientError::Broken { address, source }),
                },
            }
        };
        let framing = decode::framing_of(&head, answers_head_request)?;
        let decode::Head {
            status,
            headers,
            persistent,
        } = head;
        Ok(Self {
            status,
            headers,
            address,
            limits,
            connection,
            framing,
            persistent,
        })
    }

    /// The value of a header when it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The next bytes of the body as they come in, nothing at its end. May be cancelled and called again.
    ///
    /// # Errors
    ///
    /// Fails when the connection breaks before the end or the framing is broken.
    pub async fn next_piece(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            if let Some(piece) = decode::take_piece(&mut self.framing, &mut self.connection.incoming)? {
                return Ok(Some(piece));
            }
            if self.framing == Framing::Done {
                return Ok(None);
            }
            match self.connection.fill().await {
                Ok(0) if self.framing == Framing::UntilClose => {
                    self.framing = Framing::Done;
                    self.persistent = false;
                }
                Ok(0) => return Err(self.broken(io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(source) => return Err(self.broken(source)),
            }
        }
    }

    /// The rest of the body.
    ///
    /// # Errors
    ///
    /// As [`ResponseStream::next_piece`], and when the body exceeds `bytes_max`.
    pub async fn collect(&mut self, bytes_max: usize) -> Result<Bytes, ClientError> {
        let mut body = BytesMut::new();
        while let Some(piece) = self.next_piece().await? {
            if body.len() + piece.len() > bytes_max {
                return Err(ClientError::TooLarge {
                    part: "body",
                    limit_bytes: bytes_max,
                });
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }

    /// Reads the body as records.
    #[must_use]
    pub fn into_records(self) -> RecordReader {
        let decoder = Decoder::new(self.limits.body_bytes_max);
        RecordReader { stream: self, decoder }
    }

    /// The connection, when the whole answer was read and the server keeps it open.
    pub(super) fn into_idle_connection(self) -> Option<Connection> {
        (self.framing == Framing::Done && self.persistent).then_some(self.connection)
    }

    fn broken(&self, source: io::Error) -> ClientError {
        ClientError::Broken {
            address: self.address.clone(),
            source,
        }
    }
}

/// The records of a streamed answer.
#[derive(Debug)]
pub struct RecordReader {
    stream: ResponseStream,
    decoder: Decoder,
}

impl RecordReader {
    /// The head of the answer.
    #[must_use]
    pub fn response(&self) -> &ResponseStream {
        &self.stream
    }

    /// The next record, nothing at the end of the stream. May be cancelled and called again.
    ///
    /// # Errors
    ///
    /// Fails when the connection breaks, a length is no number, or a record exceeds the limits.
    pub async fn next_record(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            if let Some(record) = self.decoder.next_record()? {
                return Ok(Some(record));
            }
            match self.stream.next_piece().await? {
                Some(piece) => self.decoder.feed(&piece),
                None if self.decoder.is_at_boundary() => return Ok(None),
                None => return Err(self.stream.broken(io::ErrorKind::UnexpectedEof.into())),
            }
        }
    }
}
