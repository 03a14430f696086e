//! The body of the answer whose turn it is, from where it is produced into the bytes for the client.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_http::body::{BoxBody, MessageBody};
use bytes::{Bytes, BytesMut};

use super::encode::{self, Framing};

/// Unsent bytes above which no more of an answer is prepared.
pub(super) const UNSENT_BYTES_HIGH: usize = 64 * 1024;

/// The body that is being written.
pub(super) enum Sending {
    /// All of it is there; it is copied piece by piece.
    Full { rest: Bytes, close_after: bool },
    /// A producer gives it piece by piece.
    Streamed {
        body: BoxBody,
        framing: Framing,
        close_after: bool,
    },
}

/// What came of preparing more.
pub(super) enum Step {
    /// There may be more at once.
    More(Sending),
    /// The producer has nothing at the moment and wakes the task later.
    Waiting(Sending),
    /// The body is complete; `close` says whether the connection is, too.
    Done { close: bool },
}

impl Sending {
    pub(super) fn new(body: BoxBody, framing: Framing, close_after: bool) -> Self {
        match body.try_into_bytes() {
            Ok(rest) => Self::Full { rest, close_after },
            Err(body) => Self::Streamed {
                body,
                framing,
                close_after,
            },
        }
    }

    /// Adds a piece of the body to `outgoing`.
    pub(super) fn prepare(self, task: &mut Context<'_>, outgoing: &mut BytesMut) -> Step {
        match self {
            Self::Full { mut rest, close_after } => {
                let piece = rest.split_to(rest.len().min(UNSENT_BYTES_HIGH));
                outgoing.extend_from_slice(&piece);
                if rest.is_empty() {
                    Step::Done { close: close_after }
                } else {
                    Step::More(Self::Full { rest, close_after })
                }
            }
            Self::Streamed {
                body,
                framing,
                close_after,
            } => stream(task, outgoing, body, framing, close_after),
        }
    }
}

fn stream(
    task: &mut Context<'_>,
    outgoing: &mut BytesMut,
    mut body: BoxBody,
    framing: Framing,
    close_after: bool,
) -> Step {
    match Pin::new(&mut body).poll_next(task) {
        Poll::Ready(Some(Ok(bytes))) => {
            if framing != Framing::Chunked {
                outgoing.extend_from_slice(&bytes);
            } else if !bytes.is_empty() {
                encode::chunk(outgoing, &bytes);
            }
            Step::More(Sending::Streamed {
                body,
                framing,
                close_after,
            })
        }
        Poll::Ready(None) => {
            if framing == Framing::Chunked {
                encode::last_chunk(outgoing);
            }
            Step::Done { close: close_after }
        }
        Poll::Ready(Some(Err(error))) => {
            // Without its end the client sees that the body is not complete.
            tracing::debug!(%error, "body of an answer broke off");
            Step::Done { close: true }
        }
        Poll::Pending => Step::Waiting(Sending::Streamed {
            body,
            framing,
            close_after,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn full_bodies_are_copied_in_pieces() {
        let body = vec![7; UNSENT_BYTES_HIGH * 2 + 1];
        let mut sending = Sending::new(BoxBody::new(body.clone()), Framing::Length(body.len()), true);
        let mut task = Context::from_waker(Waker::noop());
        let mut sent = Vec::new();
        loop {
            let mut outgoing = BytesMut::new();
            let step = sending.prepare(&mut task, &mut outgoing);
            assert!(outgoing.len() <= UNSENT_BYTES_HIGH);
            sent.extend_from_slice(&outgoing);
            match step {
                Step::More(more) => sending = more,
                Step::Done { close } => break assert!(close),
                Step::Waiting(_) => panic!("a full body does not wait"),
            }
        }
        assert_eq!(sent, body);
    }
}
