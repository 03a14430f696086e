//! Event streams: v1 events as RecordIO records in the media type that the client asked for.

use libprocess::http::media::MediaType;
use libprocess::http::recordio;
use libprocess::{StreamError, StreamWriter};
use protobuf::MessageFull;
use thiserror::Error;

/// Why an event could not be written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The client is gone or does not read.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The event cannot be expressed in the stream's media type.
    #[error("cannot encode an event: {0}")]
    Encode(String),
}

/// One open subscription.
#[derive(Debug)]
pub struct EventStream {
    writer: StreamWriter,
    media_type: MediaType,
}

impl EventStream {
    /// Takes over the writing end of a response.
    #[must_use]
    pub const fn new(writer: StreamWriter, media_type: MediaType) -> Self {
        Self { writer, media_type }
    }

    /// Calls `hook` once the client has gone or the stream has ended.
    pub fn on_close(&self, hook: impl FnOnce() + Send + 'static) {
        self.writer.on_close(hook);
    }

    /// Completes when there is room for more, or nobody reads any more; for producers that can wait.
    pub fn room(&self) -> impl Future<Output = ()> + Send + 'static {
        self.writer.room()
    }

    /// Writes the v1 form of an unversioned event as a record, without building the v1 event.
    ///
    /// # Errors
    ///
    /// Tells when the client is gone or has too much unread.
    pub fn write_evolved<A: MessageFull, B: MessageFull>(&self, event: &A) -> Result<(), WriteError> {
        let record = match self.media_type {
            MediaType::Json => {
                let mut text = String::new();
                mesos::convert::evolve_to_json::<A, B>(event, &mut text);
                text.into_bytes()
            }
            MediaType::Protobuf => mesos::convert::evolve_to_bytes::<A, B>(event),
        };
        Ok(self.writer.write(recordio::encode(&record))?)
    }

    /// Writes one event as a record.
    ///
    /// # Errors
    ///
    /// Tells when the client is gone or has too much unread.
    pub fn write<E: MessageFull>(&self, event: &E) -> Result<(), WriteError> {
        let record = match self.media_type {
            MediaType::Json => mesos::json::try_to_string(event)
                .map_err(|error| WriteError::Encode(error.to_string()))?
                .into_bytes(),
            MediaType::Protobuf => event
                .write_to_bytes()
                .map_err(|error| WriteError::Encode(error.to_string()))?,
        };
        Ok(self.writer.write(recordio::encode(&record))?)
    }
}
