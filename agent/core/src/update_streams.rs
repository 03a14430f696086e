//! Updates on their way to those who wait for them: one stream a task or operation, each update sent until it is
//! acknowledged, in order, and never again after that.
//!
//! This is a small machine of its own. It knows nothing of frameworks, executors and operations; the agent feeds it and
//! carries its decisions out. A stream closes when its terminal update is acknowledged. Closed streams and the UUIDs of
//! their updates are remembered for a while after that (a bounded number of them), because senders repeat updates that
//! they believe unrecorded, and masters repeat what they asked for.
//!
//! Source: shared facts, `messages_flow.tsv` (StatusUpdateMessage, UpdateOperationStatusMessage) and `pitfalls.md` D4.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

/// First pause before an update is sent again.
pub const RETRY_MIN: Duration = Duration::from_secs(10);
/// Longest pause before an update is sent again.
pub const RETRY_MAX: Duration = Duration::from_secs(600);
/// Updates that are remembered after their stream closed, and as many streams.
const REMEMBERED: usize = 20_000;

/// An update that is sent until it is acknowledged.
pub trait StreamedUpdate: Clone {
    /// Names the update in its acknowledgement.
    fn uuid(&self) -> &[u8];

    /// Nothing can follow it.
    fn is_terminal(&self) -> bool;
}

/// An entry of a stream's log.
#[derive(Clone, Debug, PartialEq)]
pub enum LogRecord<U> {
    /// An update that was taken in.
    Update(U),
    /// The UUID of an update that was acknowledged.
    Acknowledgement(Vec<u8>),
}

/// What becomes of an update that came in.
#[derive(Clone, Debug, PartialEq)]
pub enum Received {
    /// It is new: append a record to the log, if there is one, then send the update if told so.
    New {
        /// The stream's log, when it is checkpointed.
        log: Option<PathBuf>,
        /// Send it now and set the retry timer to [`RETRY_MIN`].
        send: bool,
    },
    /// It is known, or comes after the terminal update: there is nothing to do but to tell the sender so.
    Duplicate,
}

/// What becomes of an acknowledgement.
#[derive(Clone, Debug, PartialEq)]
pub struct Acknowledged<U> {
    /// The stream's log, which gets an acknowledgement record.
    pub log: Option<PathBuf>,
    /// Send this next, and set the retry timer to [`RETRY_MIN`]. When unset, cancel the timer.
    pub next: Option<U>,
    /// The terminal update was acknowledged: the stream is gone.
    pub closed: bool,
}

/// Why an acknowledgement changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcknowledgementError {
    /// There is no open stream.
    #[error("no update waits for an acknowledgement")]
    UnknownStream,
    /// The update was acknowledged before.
    #[error("the update was acknowledged before")]
    Duplicate,
    /// The update is not the one that was sent last.
    #[error("another update waits for its acknowledgement")]
    Unexpected,
}

#[derive(Clone, Debug)]
struct Stream<U> {
    log: Option<PathBuf>,
    received: BTreeSet<Vec<u8>>,
    acknowledged: BTreeSet<Vec<u8>>,
    pending: VecDeque<U>,
    retry: Duration,
    has_terminal: bool,
}

impl<U> Stream<U> {
    const fn new(log: Option<PathBuf>) -> Self {
        Self {
            log,
            received: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            pending: VecDeque::new(),
            retry: RETRY_MIN,
            has_terminal: false,
        }
    }
}

/// All streams of one kind.
#[derive(Clone, Debug)]
pub struct UpdateStreams<K, U> {
    paused: bool,
    streams: BTreeMap<K, Stream<U>>,
    remembered: Memory<Vec<u8>>,
    ended: Memory<K>,
}

/// A bounded set that forgets its oldest members.
#[derive(Clone, Debug)]
pub(crate) struct Memory<T> {
    members: BTreeSet<T>,
    order: VecDeque<T>,
}

impl<T> Default for Memory<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Memory<T> {
    const fn new() -> Self {
        Self {
            members: BTreeSet::new(),
            order: VecDeque::new(),
        }
    }
}

impl<T: Clone + Ord> Memory<T> {
    pub(crate) fn insert(&mut self, member: T) {
        if self.members.insert(member.clone()) {
            self.order.push_back(member);
        }
        while self.order.len() > REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.members.remove(&oldest);
            }
        }
    }

    pub(crate) fn contains<Q: Ord + ?Sized>(&self, member: &Q) -> bool
    where
        T: std::borrow::Borrow<Q>,
    {
        self.members.contains(member)
    }
}

impl<K, U> Default for UpdateStreams<K, U> {
    fn default() -> Self {
        Self {
            paused: true,
            streams: BTreeMap::new(),
            remembered: Memory::new(),
            ended: Memory::new(),
        }
    }
}

impl<K: Clone + Ord, U: StreamedUpdate> UpdateStreams<K, U> {
    /// Takes in an update. `log` is used when the update opens its stream.
    pub fn receive(&mut self, key: &K, update: U, log: Option<PathBuf>) -> Received {
        let uuid = update.uuid().to_vec();
        if self.remembered.contains(&uuid) {
            return Received::Duplicate;
        }
        let stream = self.streams.entry(key.clone()).or_insert_with(|| Stream::new(log));
        if stream.has_terminal || !stream.received.insert(uuid) {
            return Received::Duplicate;
        }
        stream.has_terminal = update.is_terminal();
        stream.pending.push_back(update);
        let send = !self.paused && stream.pending.len() == 1;
        if send {
            stream.retry = RETRY_MIN;
        }
        Received::New {
            log: stream.log.clone(),
            send,
        }
    }

    /// Takes in the acknowledgement of an update.
    ///
    /// # Errors
    ///
    /// Says why it changes nothing; late and repeated acknowledgements are normal.
    pub fn acknowledge(&mut self, key: &K, uuid: &[u8]) -> Result<Acknowledged<U>, AcknowledgementError> {
        if self.remembered.contains(uuid) {
            return Err(AcknowledgementError::Duplicate);
        }
        let stream = self.streams.get_mut(key).ok_or(AcknowledgementError::UnknownStream)?;
        if stream.acknowledged.contains(uuid) {
            return Err(AcknowledgementError::Duplicate);
        }
        if stream.pending.front().is_none_or(|update| update.uuid() != uuid) {
            return Err(AcknowledgementError::Unexpected);
        }
        let update = stream.pending.pop_front();
        stream.acknowledged.insert(uuid.to_vec());
        let log = stream.log.clone();
        if update.is_some_and(|update| update.is_terminal()) {
            self.close(key);
            return Ok(Acknowledged {
                log,
                next: None,
                closed: true,
            });
        }
        stream.retry = RETRY_MIN;
        let next = if self.paused {
            None
        } else {
            stream.pending.front().cloned()
        };
        Ok(Acknowledged {
            log,
            next,
            closed: false,
        })
    }

    /// The retry timer of a stream elapsed: gives the update to send again, and the pause after it.
    pub fn retry(&mut self, key: &K) -> Option<(U, Duration)> {
        if self.paused {
            return None;
        }
        let stream = self.streams.get_mut(key)?;
        let update = stream.pending.front()?.clone();
        stream.retry = (stream.retry * 2).clamp(RETRY_MIN, RETRY_MAX);
        Some((update, stream.retry))
    }

    /// Sends nothing until [`Self::resume`]. Gives the streams whose timers are to be cancelled.
    pub fn pause(&mut self) -> Vec<K> {
        self.paused = true;
        self.waiting(|_| true).map(|(key, _)| key.clone()).collect()
    }

    /// Sends again. Gives the head of each stream that waits, to be sent with the retry timer at [`RETRY_MIN`].
    pub fn resume(&mut self) -> Vec<(K, U)> {
        self.paused = false;
        self.resend(|_| true)
    }

    /// The heads of the streams that `wanted` picks, to be sent again with the retry timer at [`RETRY_MIN`].
    pub fn resend_where(&mut self, wanted: impl Fn(&K) -> bool) -> Vec<(K, U)> {
        if self.paused { Vec::new() } else { self.resend(wanted) }
    }

    /// Drops the streams that `dropped` picks. Gives those whose timers are to be cancelled.
    pub fn drop_where(&mut self, dropped: impl Fn(&K) -> bool) -> Vec<K> {
        let keys: Vec<_> = self.streams.keys().filter(|key| dropped(key)).cloned().collect();
        for key in &keys {
            self.streams.remove(key);
        }
        keys
    }

    /// Rebuilds a stream from its log. A stream whose terminal update was acknowledged stays closed.
    pub fn replay(&mut self, key: &K, records: &[LogRecord<U>], log: PathBuf) {
        let mut stream = Stream::new(Some(log));
        let acknowledged: BTreeSet<&[u8]> = records
            .iter()
            .filter_map(|record| match record {
                LogRecord::Acknowledgement(uuid) => Some(uuid.as_slice()),
                LogRecord::Update(_) => None,
            })
            .collect();
        let mut closed = false;
        for record in records {
            let LogRecord::Update(update) = record else { continue };
            let uuid = update.uuid().to_vec();
            if !stream.received.insert(uuid.clone()) {
                continue;
            }
            stream.has_terminal |= update.is_terminal();
            if acknowledged.contains(uuid.as_slice()) {
                closed |= update.is_terminal();
                stream.acknowledged.insert(uuid);
            } else {
                stream.pending.push_back(update.clone());
            }
        }
        if stream.received.is_empty() {
            return;
        }
        self.streams.insert(key.clone(), stream);
        if closed {
            self.close(key);
        }
    }

    /// Remembers a stream that is over: none of its updates is taken in again.
    pub fn remember(&mut self, key: &K, records: &[LogRecord<U>]) {
        for record in records {
            if let LogRecord::Update(update) = record {
                self.remembered.insert(update.uuid().to_vec());
            }
        }
        self.ended.insert(key.clone());
    }

    /// Updates that wait for an acknowledgement, oldest first.
    pub fn pending(&self, key: &K) -> impl Iterator<Item = &U> + use<'_, K, U> {
        self.streams
            .get(key)
            .into_iter()
            .flat_map(|stream| stream.pending.iter())
    }

    /// Whether the last known stream of this key is closed, as far as the memory goes.
    pub fn has_ended(&self, key: &K) -> bool {
        self.ended.contains(key) && !self.streams.contains_key(key)
    }

    /// Streams that are open.
    pub fn open(&self) -> impl Iterator<Item = &K> {
        self.streams.keys()
    }

    fn waiting(&mut self, wanted: impl Fn(&K) -> bool) -> impl Iterator<Item = (&K, &mut Stream<U>)> {
        self.streams
            .iter_mut()
            .filter(move |(key, stream)| !stream.pending.is_empty() && wanted(key))
    }

    fn resend(&mut self, wanted: impl Fn(&K) -> bool) -> Vec<(K, U)> {
        let mut heads = Vec::new();
        for (key, stream) in self.waiting(wanted) {
            stream.retry = RETRY_MIN;
            heads.extend(stream.pending.front().map(|update| (key.clone(), update.clone())));
        }
        heads
    }

    fn close(&mut self, key: &K) {
        let Some(stream) = self.streams.remove(key) else { return };
        for uuid in stream.received {
            self.remembered.insert(uuid);
        }
        self.ended.insert(key.clone());
    }
}

#[cfg(test)]
mod tests;
