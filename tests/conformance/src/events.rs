//! A stream of JSON events: the records of an answer, read by a thread, so that a wait for one can end.

use std::io::{self, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http::Answer;
use crate::stream::Records;

/// Why there is no next event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoEvent {
    /// The stream has ended, in whatever way.
    Closed,
    /// None came in the time that was given.
    InTime,
}

/// An open stream; cut when it is dropped.
#[derive(Debug)]
pub struct EventStream {
    socket: TcpStream,
    answer: Answer,
    incoming: Receiver<Value>,
}

impl EventStream {
    /// Sends a request and reads the head of its answer, or all of the answer when it is no stream.
    ///
    /// # Errors
    ///
    /// Gives what the socket said.
    pub fn open(address: SocketAddr, request: &[u8], patience: Duration) -> io::Result<Self> {
        let mut socket = TcpStream::connect_timeout(&address, patience)?;
        socket.write_all(request)?;
        let (answer, mut records) = Records::open(socket.try_clone()?, patience)?;
        let (sender, incoming) = channel();
        if answer.status == 200 {
            std::thread::spawn(move || {
                while let Some(record) = records.next_record() {
                    let event = serde_json::from_slice(&record)
                        .unwrap_or_else(|error| serde_json::json!({"type": format!("no JSON: {error}")}));
                    if sender.send(event).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Self {
            socket,
            answer,
            incoming,
        })
    }

    /// Subscribes to the event stream of operators.
    ///
    /// # Errors
    ///
    /// Gives what the socket said.
    pub fn watch(master: SocketAddr, patience: Duration) -> io::Result<Self> {
        let body = r#"{"type":"SUBSCRIBE"}"#;
        let request = format!(
            "POST /api/v1 HTTP/1.1\r\nHost: {master}\r\nContent-Type: application/json\r\nAccept: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Self::open(master, request.as_bytes(), patience)
    }

    /// Passes over events up to the first that `pick` takes.
    ///
    /// # Panics
    ///
    /// Panics when none comes in a minute.
    pub fn wait_for<T>(&self, what: &str, mut pick: impl FnMut(&Value) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let event = self.next(deadline.saturating_duration_since(Instant::now()));
            let event = event.unwrap_or_else(|error| panic!("no {what}: {error:?}"));
            if let Some(picked) = pick(&event) {
                return picked;
            }
        }
    }

    /// The answer, without the events.
    #[must_use]
    pub const fn answer(&self) -> &Answer {
        &self.answer
    }

    /// Waits for the next event.
    ///
    /// # Errors
    ///
    /// Says why there is none.
    pub fn next(&self, patience: Duration) -> Result<Value, NoEvent> {
        self.incoming.recv_timeout(patience).map_err(|error| match error {
            RecvTimeoutError::Disconnected => NoEvent::Closed,
            RecvTimeoutError::Timeout => NoEvent::InTime,
        })
    }

    /// Ends the connection, as a client that crashes.
    pub fn cut(&self) {
        // The server may have closed it first.
        drop(self.socket.shutdown(Shutdown::Both));
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.cut();
    }
}
