//! Everything that can happen to the master.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use libprocess_types::Upid;
use mesos::Message;
use mesos::ids::{AgentId, FrameworkId, OfferId};
use mesos_proto::v0::mesos::offer::Operation;
use mesos_proto::v0::mesos::{DrainConfig, WeightInfo};
use mesos_proto::v0::quota::{QuotaConfig, QuotaRequest};
use mesos_proto::v0::scheduler;
use mesos_registrar::{Answer, Registry, StoreError};

use crate::maintenance::MaintenanceChange;
use crate::reported::Reregistration;

/// Names a request that waits for its answer; chosen by the shell, never used twice while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Text of a `Mesos-Stream-Id` header: names one subscription stream. The shell draws a fresh random UUID for each.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(Arc<str>);

impl StreamId {
    /// Takes the text of the header.
    #[must_use]
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text of the header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "StreamId({})", self.0)
    }
}

/// Numbers the processes `slave-observer(N)` that ping agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObserverId(pub u64);

impl fmt::Display for ObserverId {
    /// Prints the id of the process.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "slave-observer({})", self.0)
    }
}

/// One thing that happened. Until the master leads, messages are dropped and calls are answered with 503.
#[derive(Clone, Debug)]
pub enum Input {
    /// This master was elected and its registry was read. Comes once, first. The master leads when the registry write
    /// with which it answers is stored.
    Recovered(Box<Registry>),
    /// A protobuf message arrived, at the master's own address or at one of its observers' (pongs).
    Message {
        /// Who sent it, as the wire says.
        from: Upid,
        /// What was sent.
        message: Message,
    },
    /// A `ReregisterSlaveMessage` arrived, read with [`Reregistration::decode`]. The same as a [`Input::Message`], but
    /// cheaper: these messages come from all agents at once, with all tasks.
    AgentReturned {
        /// Who sent it, as the wire says.
        from: Upid,
        /// What was sent.
        report: Box<Reregistration>,
    },
    /// A link broke: the process at this address is gone or cannot be reached.
    Exited(Upid),
    /// A call to the scheduler API arrived over HTTP.
    SchedulerCall(Box<SchedulerCall>),
    /// The connection that carried this stream is gone. Also comes for streams that the core closed itself.
    SchedulerStreamClosed(StreamId),
    /// An operator asks for a change.
    Operator(Box<OperatorRequest>),
    /// A registry write is stored; see [`crate::Effect::StoreRegistry`].
    RegistryStored(Answer),
    /// The registry cannot be stored: the core answers with [`crate::Effect::Abort`].
    RegistryFailed(StoreError),
    /// The file that lists the agents which may be offered was read (`--whitelist`); `None` allows all.
    Whitelist(Option<BTreeSet<String>>),
    /// A timer ran out.
    Timer(MasterTimer),
}

/// One call to `/api/v1/scheduler`, decoded, in the unversioned form.
///
/// The shell has checked method, content type, `Accept` and authentication, and has parsed the body. The core checks
/// the call itself, the framework, its connection and the stream id, in the order in which Mesos reports failures.
#[derive(Clone, Debug)]
pub struct SchedulerCall {
    /// Where the answer goes.
    pub request: RequestId,
    /// The call.
    pub call: scheduler::Call,
    /// Principal of the authenticated client.
    pub principal: Option<String>,
    /// The `Mesos-Stream-Id` header as sent.
    pub stream_header: Option<StreamId>,
    /// A fresh id, used when the call is SUBSCRIBE.
    pub new_stream: StreamId,
}

/// A change that an operator asks for, authorised by the shell.
#[derive(Clone, Debug)]
pub struct OperatorRequest {
    /// Where the answer goes.
    pub request: RequestId,
    /// Principal of the authenticated operator.
    pub principal: Option<String>,
    /// What is asked.
    pub call: OperatorCall,
}

/// Changes that operators may ask for. Questions are not here: they are answered from the read accessors.
#[derive(Clone, Debug, PartialEq)]
pub enum OperatorCall {
    /// Ends a framework (`TEARDOWN`, `/teardown`).
    Teardown(FrameworkId),
    /// Declares that an agent never comes back (`MARK_AGENT_GONE`).
    MarkAgentGone(AgentId),
    /// Reserves or unreserves an agent's resources, makes, resizes or destroys volumes on it (`RESERVE_RESOURCES` and
    /// the like, `/reserve` and the like). Answered with 202 when the agent was told, 409 when it lacks the resources.
    Operate {
        /// The agent.
        agent_id: AgentId,
        /// The operation, with resources in any form, allocated to nobody.
        operation: Box<Operation>,
    },
    /// Drains an agent (`DRAIN_AGENT`): kills what runs on it, within the longest grace period when one is given, and
    /// marks it gone afterwards when that is asked.
    DrainAgent {
        /// The agent.
        agent_id: AgentId,
        /// How.
        config: DrainConfig,
    },
    /// Takes an agent out of offers (`DEACTIVATE_AGENT`).
    DeactivateAgent(AgentId),
    /// Lets a deactivated or drained agent be offered again (`REACTIVATE_AGENT`).
    ReactivateAgent(AgentId),
    /// Changes the maintenance schedule or machines of it.
    Maintenance(MaintenanceChange),
    /// Sets weights of roles (`UPDATE_WEIGHTS`, `PUT /weights`).
    UpdateWeights(Vec<WeightInfo>),
    /// Sets guarantees and limits of roles, all or none (`UPDATE_QUOTA`).
    UpdateQuota {
        /// One for each role; one that guarantees and limits nothing takes the role's quota away.
        configs: Vec<QuotaConfig>,
        /// Whether more may be guaranteed than the agents have.
        force: bool,
    },
    /// Sets quota of a role that has none: what is guaranteed is the limit too (`SET_QUOTA`, `POST /quota`).
    SetQuota(Box<QuotaRequest>),
    /// Takes a role's quota away (`REMOVE_QUOTA`, `DELETE /quota/ROLE`).
    RemoveQuota(String),
}

/// Timers of the master. At most one of each value is pending: setting it again replaces it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MasterTimer {
    /// The next round of the allocator is due.
    AllocationRound,
    /// An agent has had its time to answer the ping of this observer.
    Ping(ObserverId),
    /// A disconnected framework has not come back in time.
    FrameworkFailover(FrameworkId),
    /// The next heartbeat of a scheduler's stream is due.
    Heartbeat(StreamId),
    /// An offer was not used in time.
    OfferExpiry(OfferId),
    /// The next message that waits for a rate limit may be handled: of the frameworks of a principal, or of all that
    /// have no limit of their own.
    RateLimit(Option<String>),
    /// The limit of removals allows the next one.
    AgentRemoval,
    /// Agents of the previous leader have had their time to come back.
    AgentReregistration,
    /// One agent that was disconnected has had its time to register again.
    AgentReturn(AgentId),
    /// Old entries of unreachable and gone agents are due for removal from the registry.
    RegistryCleanup,
}
