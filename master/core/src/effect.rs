//! Everything the master may want done.

use std::sync::Arc;
use std::time::Duration;

use libprocess_types::Upid;
use mesos::Message;
use mesos::ids::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
use mesos_proto::v0::mesos::{FrameworkInfo, TaskState, TaskStatus};
use mesos_proto::v0::scheduler;
use mesos_registrar::{Operation, WriteId};

use crate::input::{MasterTimer, ObserverId, RequestId, StreamId};

/// One thing to do. The shell carries effects out in the order in which a step gave them.
///
/// What depends on a registry write does not exist before the write is stored: the core keeps it back and gives its
/// effects in the step that takes [`crate::Input::RegistryStored`], so no shell can send early.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Sends a message.
    Send {
        /// Whose address stands as the sender.
        sender: Sender,
        /// The receiver.
        to: Upid,
        /// The message.
        message: Message,
    },
    /// Watches the process; a break comes back as [`crate::Input::Exited`].
    Link(Upid),
    /// Starts the process `slave-observer(N)`. Messages that reach it come in as [`crate::Input::Message`].
    StartObserver(ObserverId),
    /// Ends the process `slave-observer(N)`.
    StopObserver(ObserverId),
    /// Answers a SUBSCRIBE with status 200, the stream's id as header and an open body.
    OpenStream {
        /// The request that is answered by it.
        request: RequestId,
        /// Name of the stream.
        stream: StreamId,
    },
    /// Writes one event to a stream, as RecordIO in the stream's media type. Unknown streams are ignored.
    StreamEvent {
        /// The stream.
        stream: StreamId,
        /// The event in the unversioned form; the shell evolves it.
        event: Box<scheduler::Event>,
    },
    /// Ends a stream after what was written to it.
    CloseStream(StreamId),
    /// Answers a request.
    Reply {
        /// The request.
        request: RequestId,
        /// The answer.
        reply: Reply,
    },
    /// Sets a timer, replacing a pending one of the same value.
    SetTimer {
        /// Which timer.
        timer: MasterTimer,
        /// When it runs out, counted from this step.
        after: Duration,
    },
    /// Drops a pending timer, if there is one.
    CancelTimer(MasterTimer),
    /// Hands changes to the registrar; the answer comes back as [`crate::Input::RegistryStored`] with this id.
    StoreRegistry {
        /// Names the write.
        write: WriteId,
        /// The changes, in order.
        operations: Vec<Operation>,
    },
    /// Tells subscribers and views what changed. Details are read from the master after the step.
    Publish(Change),
    /// Ends the process: the master can no longer lead.
    Abort(String),
}

/// Which process of the master's node is the sender of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sender {
    /// The master itself.
    Master,
    /// The process that pings one agent.
    Observer(ObserverId),
}

/// An answer over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Body, `text/plain; charset=utf-8`; empty for an answer without one.
    pub body: String,
}

impl Reply {
    /// An answer without a body.
    #[must_use]
    pub const fn empty(status: u16) -> Self {
        Self {
            status,
            body: String::new(),
        }
    }

    /// An answer with a text.
    #[must_use]
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            body: body.into(),
        }
    }
}

/// What changed in a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A framework is known now that was not, or is back after failover of the master.
    FrameworkAdded(FrameworkId),
    /// A framework changed its description or its connection.
    FrameworkUpdated(FrameworkId),
    /// A framework ended.
    FrameworkRemoved(Arc<FrameworkInfo>),
    /// An agent was admitted or came back.
    AgentAdded(AgentId),
    /// An agent's resources or connection changed.
    AgentUpdated(AgentId),
    /// An agent is no longer registered.
    AgentRemoved(AgentId),
    /// A task was launched or reported by its agent.
    TaskAdded(FrameworkId, TaskId),
    /// A task's state changed.
    TaskUpdated {
        /// Owner of the task.
        framework_id: FrameworkId,
        /// The status that was taken over.
        status: Box<TaskStatus>,
        /// The task's latest known state.
        state: TaskState,
    },
    /// A task is no longer among its framework's live ones.
    TaskRemoved(FrameworkId, TaskId),
    /// An executor is known now on an agent.
    ExecutorAdded(AgentId, FrameworkId, ExecutorId),
    /// An executor is no longer on an agent.
    ExecutorRemoved(AgentId, FrameworkId, ExecutorId),
    /// An offer went out.
    OfferAdded(OfferId),
    /// An offer was used, declined or withdrawn.
    OfferRemoved(OfferId),
}
