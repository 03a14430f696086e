//! One outgoing connection: a queue of bytes and the task that writes it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddrV4;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::encode::SendQueue;

/// Bytes that may wait for a peer that does not read. More breaks the connection, so that linkers hear of it.
const QUEUE_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Slices given to the system in one write.
const SLICES_MAX: usize = 64;
/// Answers thrown away by one read.
const ANSWERS_BYTES: usize = 64 * 1024;
/// How long a connection that has sent everything waits for the peer to close as well. Closing at once would make the
/// system reset the connection when answers are unread, and the peer lose what it has not read yet.
const LINGER: Duration = Duration::from_secs(1);

/// How long a connection lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Until it breaks; links depend on it.
    Persistent,
    /// Until nothing is left to send.
    Temporary,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It could not be made, failed, or the peer closed it.
    Broken,
    /// All was sent and nobody needs it any more.
    Drained,
    /// A newer connection took its place.
    Replaced,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// Send what waits, then end.
    Finishing,
    /// End now.
    Replaced,
    Closed,
}

struct State {
    queue: SendQueue,
    phase: Phase,
    /// The task, while it waits for something to send.
    idle: Option<Waker>,
    /// The task, while it waits for the socket: more to send need not wake it, a new phase must.
    busy: Option<Waker>,
}

/// One connection to another node.
pub(crate) struct Channel {
    address: SocketAddrV4,
    host: String,
    kind: Kind,
    state: Mutex<State>,
    ended: watch::Sender<bool>,
}

impl Channel {
    pub(crate) fn new(address: SocketAddrV4, kind: Kind, queue: SendQueue) -> Self {
        let state = State {
            queue,
            phase: Phase::Open,
            idle: None,
            busy: None,
        };
        let ended = watch::Sender::new(false);
        Self {
            address,
            host: address.to_string(),
            kind,
            state: Mutex::new(state),
            ended,
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// The peer's address as the `Host` header names it.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `fill` add to the queue; false when the connection is over.
    pub(crate) fn push(&self, fill: impl FnOnce(&mut SendQueue)) -> bool {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return false;
        }
        fill(&mut state.queue);
        let idle = state.idle.take();
        drop(state);
        if let Some(idle) = idle {
            idle.wake();
        }
        true
    }

    fn wake(mut state: MutexGuard<'_, State>) {
        let wakers = [state.idle.take(), state.busy.take()];
        drop(state);
        for waker in wakers.into_iter().flatten() {
            waker.wake();
        }
    }

    /// Ends the connection without a signal and gives back what its task had not taken yet.
    pub(crate) fn replace(&self) -> SendQueue {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return SendQueue::default();
        }
        state.phase = Phase::Replaced;
        let queue = std::mem::take(&mut state.queue);
        Self::wake(state);
        queue
    }

    /// Ends the connection once everything was sent.
    pub(crate) fn finish(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Finishing;
        }
        Self::wake(state);
    }

    /// Completes when the task is over.
    pub(crate) fn wait_ended(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut ended = self.ended.subscribe();
        async move {
            // An error means that the channel itself is gone.
            let _ = ended.wait_for(|ended| *ended).await;
        }
    }

    /// Connects, writes until the end, and says why it ended. No signal is raised here.
    pub(crate) async fn run(&self) -> End {
        let end = match self.connect().await {
            Ok(stream) => {
                let mut writer = Writer {
                    channel: self,
                    stream: &stream,
                    taken: VecDeque::new(),
                };
                let end = poll_fn(|task| writer.poll(task)).await;
                self.close();
                if end == End::Drained {
                    linger(stream).await;
                }
                end
            }
            Err(end) => end,
        };
        self.close();
        end
    }

    /// Tells those who wait for the end; the task calls this last.
    pub(crate) fn set_ended(&self) {
        self.ended.send_replace(true);
    }

    fn close(&self) {
        let mut state = self.lock();
        state.phase = Phase::Closed;
        state.queue = SendQueue::default();
    }

    async fn connect(&self) -> Result<TcpStream, End> {
        let connected = async {
            let stream = TcpStream::connect(self.address).await.map_err(|error| {
                tracing::debug!(address = %self.address, %error, "connect failed");
                End::Broken
            })?;
            // Without it the connection works as well, only slower.
            let _ = stream.set_nodelay(true);
            Ok(stream)
        };
        let replaced = poll_fn(|task| {
            let mut state = self.lock();
            if state.phase == Phase::Replaced {
                return Poll::Ready(());
            }
            state.busy = Some(task.waker().clone());
            Poll::Pending
        });
        tokio::select! {
            connected = connected => connected,
            () = replaced => Err(End::Replaced),
        }
    }
}

/// Writes the queue of a channel to its socket.
struct Writer<'a> {
    channel: &'a Channel,
    stream: &'a TcpStream,
    taken: VecDeque<Bytes>,
}

impl Writer<'_> {
    fn poll(&mut self, task: &mut Context<'_>) -> Poll<End> {
        if let Poll::Ready(end) = self.poll_write(task) {
            return Poll::Ready(end);
        }
        discard_answers(self.stream, task)
    }

    /// Takes what waits; says why the connection ends when nothing does.
    fn refill(&mut self, task: &Context<'_>) -> Poll<Option<End>> {
        let mut state = self.channel.lock();
        if state.phase == Phase::Replaced {
            return Poll::Ready(Some(End::Replaced));
        }
        if state.queue.byte_count() > QUEUE_BYTES_MAX {
            tracing::warn!(address = %self.channel.address, "peer does not read; connection broken");
            return Poll::Ready(Some(End::Broken));
        }
        if self.taken.is_empty() {
            state.queue.take_into(&mut self.taken);
        }
        if !self.taken.is_empty() {
            return Poll::Ready(None);
        }
        if self.channel.kind == Kind::Temporary || state.phase == Phase::Finishing {
            // Under the same lock, so that nothing is queued after the decision.
            state.phase = Phase::Closed;
            return Poll::Ready(Some(End::Drained));
        }
        state.idle = Some(task.waker().clone());
        Poll::Pending
    }

    fn poll_write(&mut self, task: &mut Context<'_>) -> Poll<End> {
        loop {
            if let Some(end) = ready!(self.refill(task)) {
                return Poll::Ready(end);
            }
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let mut count = 0;
            for (slice, bytes) in slices.iter_mut().zip(&self.taken) {
                *slice = IoSlice::new(bytes);
                count += 1;
            }
            match self.stream.try_write_vectored(&slices[..count]) {
                Ok(written) => self.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut state = self.channel.lock();
                    if state.phase == Phase::Replaced {
                        return Poll::Ready(End::Replaced);
                    }
                    state.busy = Some(task.waker().clone());
                    drop(state);
                    if ready!(self.stream.poll_write_ready(task)).is_err() {
                        return Poll::Ready(End::Broken);
                    }
                }
                Err(_) => return Poll::Ready(End::Broken),
            }
        }
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(first) = self.taken.front_mut() {
            if first.len() > written {
                first.advance(written);
                return;
            }
            written -= first.len();
            self.taken.pop_front();
        }
    }
}

/// Reads and throws away what the peer answers; ready when the connection is over.
fn discard_answers(stream: &TcpStream, task: &mut Context<'_>) -> Poll<End> {
    let mut answers = [0_u8; ANSWERS_BYTES];
    loop {
        if ready!(stream.poll_read_ready(task)).is_err() {
            return Poll::Ready(End::Broken);
        }
        match stream.try_read(&mut answers) {
            Ok(0) => return Poll::Ready(End::Broken),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return Poll::Ready(End::Broken),
        }
    }
}

async fn linger(mut stream: TcpStream) {
    let closed = async {
        if tokio::io::AsyncWriteExt::shutdown(&mut stream).await.is_ok() {
            poll_fn(|task| discard_answers(&stream, task)).await;
        }
    };
    // Either way the socket is closed now.
    let _ = tokio::time::timeout(LINGER, closed).await;
}
