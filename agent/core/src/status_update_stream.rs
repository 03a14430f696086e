//! Status updates on their way to the framework: one stream a task, each update sent until it is acknowledged, in
//! order, and never again after that.
//!
//! This is a small machine of its own. It knows nothing of frameworks and executors; the agent feeds it and carries
//! its decisions out. A stream closes when its terminal update is acknowledged. Closed streams and the UUIDs of their
//! updates are remembered for a while after that (a bounded number of them), because executors repeat updates that
//! they believe unrecorded, and masters repeat what they asked for.
//!
//! Source: shared facts, `messages_flow.tsv` (StatusUpdateMessage) and `pitfalls.md` D4.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use mesos::ids::{FrameworkId, TaskId};
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::mesos as pb;

/// First pause before an update is sent again.
pub const RETRY_MIN: Duration = Duration::from_secs(10);
/// Longest pause before an update is sent again.
pub const RETRY_MAX: Duration = Duration::from_secs(600);
/// Updates that are remembered after their stream closed, and as many streams.
const REMEMBERED: usize = 20_000;

/// Whether no further update of a task can follow the state.
#[must_use]
pub fn is_terminal(state: pb::TaskState) -> bool {
    use pb::TaskState as S;
    match state {
        S::TASK_FINISHED
        | S::TASK_FAILED
        | S::TASK_KILLED
        | S::TASK_ERROR
        | S::TASK_LOST
        | S::TASK_DROPPED
        | S::TASK_GONE
        | S::TASK_GONE_BY_OPERATOR => true,
        S::TASK_STAGING
        | S::TASK_STARTING
        | S::TASK_RUNNING
        | S::TASK_KILLING
        | S::TASK_UNREACHABLE
        | S::TASK_UNKNOWN => false,
    }
}

/// Names a stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamKey {
    /// The task's framework.
    pub framework_id: FrameworkId,
    /// The task.
    pub task_id: TaskId,
}

/// What becomes of an update that came in.
#[derive(Clone, Debug, PartialEq)]
pub enum Received {
    /// It is new: append a record to the log, if there is one, then send the update if told so.
    New {
        /// The task's update log, when the task is checkpointed.
        log: Option<PathBuf>,
        /// Send it now and set the retry timer to [`RETRY_MIN`].
        send: bool,
    },
    /// It is known, or comes after the task's terminal update: there is nothing to do but to tell the executor so.
    Duplicate,
}

/// What becomes of an acknowledgement.
#[derive(Clone, Debug, PartialEq)]
pub struct Acknowledged {
    /// The task's update log, which gets an acknowledgement record.
    pub log: Option<PathBuf>,
    /// Send this next, and set the retry timer to [`RETRY_MIN`]. When unset, cancel the timer.
    pub next: Option<internal::StatusUpdate>,
    /// The terminal update was acknowledged: the stream is gone.
    pub closed: bool,
}

/// Why an acknowledgement changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcknowledgementError {
    /// The task has no open stream.
    #[error("the task has no update that waits for an acknowledgement")]
    UnknownStream,
    /// The update was acknowledged before.
    #[error("the update was acknowledged before")]
    Duplicate,
    /// The update is not the one that was sent last.
    #[error("another update waits for its acknowledgement")]
    Unexpected,
}

#[derive(Clone, Debug, Default)]
struct Stream {
    log: Option<PathBuf>,
    received: BTreeSet<Vec<u8>>,
    acknowledged: BTreeSet<Vec<u8>>,
    pending: VecDeque<internal::StatusUpdate>,
    retry: Duration,
    has_terminal: bool,
}

/// All streams of an agent.
#[derive(Clone, Debug)]
pub struct StatusUpdateStreams {
    paused: bool,
    streams: BTreeMap<StreamKey, Stream>,
    remembered: Memory<Vec<u8>>,
    ended: Memory<StreamKey>,
}

/// A bounded set that forgets its oldest members.
#[derive(Clone, Debug)]
struct Memory<T> {
    members: BTreeSet<T>,
    order: VecDeque<T>,
}

impl<T: Clone + Ord> Memory<T> {
    const fn new() -> Self {
        Self {
            members: BTreeSet::new(),
            order: VecDeque::new(),
        }
    }

    fn insert(&mut self, member: T) {
        if self.members.insert(member.clone()) {
            self.order.push_back(member);
        }
        while self.order.len() > REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.members.remove(&oldest);
            }
        }
    }

    fn contains<Q: Ord + ?Sized>(&self, member: &Q) -> bool
    where
        T: std::borrow::Borrow<Q>,
    {
        self.members.contains(member)
    }
}

impl Default for StatusUpdateStreams {
    fn default() -> Self {
        Self {
            paused: true,
            streams: BTreeMap::new(),
            remembered: Memory::new(),
            ended: Memory::new(),
        }
    }
}

impl StatusUpdateStreams {
    /// Takes in an update. `log` is used when the update opens its stream.
    pub fn receive(&mut self, key: &StreamKey, update: internal::StatusUpdate, log: Option<PathBuf>) -> Received {
        let uuid = update.uuid().to_vec();
        if self.remembered.contains(&uuid) {
            return Received::Duplicate;
        }
        let stream = self.streams.entry(key.clone()).or_insert_with(|| Stream {
            log,
            ..Stream::default()
        });
        if stream.has_terminal || !stream.received.insert(uuid) {
            return Received::Duplicate;
        }
        stream.has_terminal = is_terminal(update.status.state());
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
    pub fn acknowledge(&mut self, key: &StreamKey, uuid: &[u8]) -> Result<Acknowledged, AcknowledgementError> {
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
        if update.is_some_and(|update| is_terminal(update.status.state())) {
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
    pub fn retry(&mut self, key: &StreamKey) -> Option<(internal::StatusUpdate, Duration)> {
        if self.paused {
            return None;
        }
        let stream = self.streams.get_mut(key)?;
        let update = stream.pending.front()?.clone();
        stream.retry = (stream.retry * 2).clamp(RETRY_MIN, RETRY_MAX);
        Some((update, stream.retry))
    }

    /// Sends nothing until [`Self::resume`]. Gives the streams whose timers are to be cancelled.
    pub fn pause(&mut self) -> Vec<StreamKey> {
        self.paused = true;
        self.waiting(None).map(|(key, _)| key.clone()).collect()
    }

    /// Sends again. Gives the head of each stream that waits, to be sent with the retry timer at [`RETRY_MIN`].
    pub fn resume(&mut self) -> Vec<(StreamKey, internal::StatusUpdate)> {
        self.paused = false;
        self.resend(None)
    }

    /// The heads of one framework's streams, to be sent again with the retry timer at [`RETRY_MIN`].
    pub fn resend_framework(&mut self, framework: &FrameworkId) -> Vec<(StreamKey, internal::StatusUpdate)> {
        if self.paused {
            Vec::new()
        } else {
            self.resend(Some(framework))
        }
    }

    /// Drops the streams of a framework. Gives the streams whose timers are to be cancelled.
    pub fn drop_framework(&mut self, framework: &FrameworkId) -> Vec<StreamKey> {
        let keys: Vec<_> = self
            .streams
            .keys()
            .filter(|key| key.framework_id == *framework)
            .cloned()
            .collect();
        for key in &keys {
            self.streams.remove(key);
        }
        keys
    }

    /// Rebuilds a stream from its log. A stream whose terminal update was acknowledged stays closed.
    pub fn replay(&mut self, key: &StreamKey, records: &[internal::StatusUpdateRecord], log: PathBuf) {
        use internal::status_update_record::Type;
        let mut stream = Stream {
            log: Some(log),
            retry: RETRY_MIN,
            ..Stream::default()
        };
        let acknowledged: BTreeSet<_> = records
            .iter()
            .filter(|record| record.type_() == Type::ACK)
            .map(|record| record.uuid().to_vec())
            .collect();
        let mut closed = false;
        for update in records.iter().filter_map(|record| record.update.as_ref()) {
            let uuid = update.uuid().to_vec();
            if !stream.received.insert(uuid.clone()) {
                continue;
            }
            stream.has_terminal |= is_terminal(update.status.state());
            if acknowledged.contains(&uuid) {
                closed |= is_terminal(update.status.state());
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

    /// Remembers a stream of a run that is over: none of its updates is taken in again.
    pub fn remember(&mut self, key: &StreamKey, records: &[internal::StatusUpdateRecord]) {
        for update in records.iter().filter_map(|record| record.update.as_ref()) {
            self.remembered.insert(update.uuid().to_vec());
        }
        self.ended.insert(key.clone());
    }

    /// Updates that wait for an acknowledgement, oldest first.
    pub fn pending(&self, key: &StreamKey) -> impl Iterator<Item = &internal::StatusUpdate> + use<'_> {
        self.streams
            .get(key)
            .into_iter()
            .flat_map(|stream| stream.pending.iter())
    }

    /// Whether the task's last known stream is closed, as far as the memory goes.
    pub fn has_ended(&self, key: &StreamKey) -> bool {
        self.ended.contains(key) && !self.streams.contains_key(key)
    }

    /// Streams that are open.
    pub fn open(&self) -> impl Iterator<Item = &StreamKey> {
        self.streams.keys()
    }

    fn waiting(&mut self, framework: Option<&FrameworkId>) -> impl Iterator<Item = (&StreamKey, &mut Stream)> {
        self.streams.iter_mut().filter(move |(key, stream)| {
            !stream.pending.is_empty() && framework.is_none_or(|framework| key.framework_id == *framework)
        })
    }

    fn resend(&mut self, framework: Option<&FrameworkId>) -> Vec<(StreamKey, internal::StatusUpdate)> {
        let mut heads = Vec::new();
        for (key, stream) in self.waiting(framework) {
            stream.retry = RETRY_MIN;
            heads.extend(stream.pending.front().map(|update| (key.clone(), update.clone())));
        }
        heads
    }

    fn close(&mut self, key: &StreamKey) {
        let Some(stream) = self.streams.remove(key) else { return };
        for uuid in stream.received {
            self.remembered.insert(uuid);
        }
        self.ended.insert(key.clone());
    }
}

#[cfg(test)]
mod tests;
