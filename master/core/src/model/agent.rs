//! Registered agents.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use libprocess_types::{Time, Upid};
use mesos::capabilities::AgentCapabilities;
use mesos::ids::{AgentId, ExecutorId, FrameworkId, OfferId, ResourceProviderId, TaskId};
use mesos::resources::Conversion;
use mesos_proto::v0::mesos::{ExecutorInfo, SlaveInfo, UUID};

use super::{Operation, OperationUuid, RecentIds, ResourceProvider};
use crate::Resources;
use crate::input::ObserverId;

/// Whether messages reach an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentConnection {
    /// Linked, as far as the master knows.
    Connected,
    /// The link broke; the agent is pinged on until it returns or is given up.
    Disconnected,
}

/// An agent that is registered with this master.
#[derive(Clone, Debug)]
pub struct Agent {
    pub(crate) id: AgentId,
    pub(crate) info: SlaveInfo,
    pub(crate) upid: Upid,
    pub(crate) version: String,
    pub(crate) capabilities: AgentCapabilities,
    pub(crate) connection: AgentConnection,
    /// Whether the agent's resources may be offered: connected and not deactivated by an operator.
    pub(crate) active: bool,
    pub(crate) registered_time: Time,
    pub(crate) reregistered_time: Option<Time>,
    pub(crate) total: Resources,
    pub(crate) checkpointed: Resources,
    pub(crate) oversubscribed: Resources,
    pub(crate) resource_version: Option<UUID>,
    pub(crate) used: BTreeMap<FrameworkId, Resources>,
    pub(crate) tasks: BTreeMap<FrameworkId, BTreeSet<TaskId>>,
    pub(crate) executors: BTreeMap<FrameworkId, BTreeMap<ExecutorId, Arc<ExecutorInfo>>>,
    /// Executors that the agent did not report when it came back, with the open tasks of theirs that it did not either.
    pub(crate) doubtful_executors: BTreeMap<(FrameworkId, ExecutorId), BTreeSet<TaskId>>,
    pub(crate) offers: BTreeSet<OfferId>,
    /// Tasks whose kill was asked and that have not ended: asked again when the agent comes back.
    pub(crate) killed_tasks: BTreeMap<FrameworkId, BTreeSet<TaskId>>,
    /// Operations that have not ended, and ended ones whose last status is not acknowledged.
    pub(crate) operations: BTreeMap<OperationUuid, Operation>,
    /// Operations that are over, with the uuid of the status whose acknowledgement ended them: the agent may not have
    /// got it.
    pub(crate) acknowledged_operations: RecentIds<OperationUuid, UUID>,
    /// Speculations to undo whose outcome is in use.
    pub(crate) undone: Vec<Conversion>,
    pub(crate) resource_providers: BTreeMap<ResourceProviderId, ResourceProvider>,
    pub(crate) observer: ObserverId,
    pub(crate) missed_pings: u32,
    /// The last ping is not answered yet.
    pub(crate) awaits_pong: bool,
}

impl Agent {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &AgentId {
        &self.id
    }

    /// Its description as registered, with the id.
    #[must_use]
    pub const fn info(&self) -> &SlaveInfo {
        &self.info
    }

    /// Its address.
    #[must_use]
    pub const fn upid(&self) -> &Upid {
        &self.upid
    }

    /// The version that it told; `X.Y.Z` with an optional suffix.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What it understands.
    #[must_use]
    pub const fn capabilities(&self) -> AgentCapabilities {
        self.capabilities
    }

    /// Whether messages reach it.
    #[must_use]
    pub const fn connection(&self) -> AgentConnection {
        self.connection
    }

    /// Whether messages reach it.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connection == AgentConnection::Connected
    }

    /// Whether its resources may be offered.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.active
    }

    /// When this master registered it first.
    #[must_use]
    pub const fn registered_time(&self) -> Time {
        self.registered_time
    }

    /// When it last registered again.
    #[must_use]
    pub const fn reregistered_time(&self) -> Option<Time> {
        self.reregistered_time
    }

    /// All its resources, post-refinement, oversubscribed ones included.
    #[must_use]
    pub const fn total(&self) -> &Resources {
        &self.total
    }

    /// Dynamic reservations and volumes that the agent has checkpointed.
    #[must_use]
    pub const fn checkpointed_resources(&self) -> &Resources {
        &self.checkpointed
    }

    /// What live tasks and executors of each framework hold, with `allocation_info`.
    #[must_use]
    pub const fn used(&self) -> &BTreeMap<FrameworkId, Resources> {
        &self.used
    }

    /// Live tasks, by framework.
    #[must_use]
    pub const fn tasks(&self) -> &BTreeMap<FrameworkId, BTreeSet<TaskId>> {
        &self.tasks
    }

    /// Custom executors, by framework.
    #[must_use]
    pub const fn executors(&self) -> &BTreeMap<FrameworkId, BTreeMap<ExecutorId, Arc<ExecutorInfo>>> {
        &self.executors
    }

    /// Offers of its resources that are out.
    #[must_use]
    pub const fn offers(&self) -> &BTreeSet<OfferId> {
        &self.offers
    }

    /// The version of its resources that operations refer to.
    #[must_use]
    pub const fn resource_version(&self) -> Option<&UUID> {
        self.resource_version.as_ref()
    }

    /// Operations that have not ended, and ended ones whose last status is not acknowledged.
    #[must_use]
    pub const fn operations(&self) -> &BTreeMap<OperationUuid, Operation> {
        &self.operations
    }

    /// Resource providers that it hosts.
    #[must_use]
    pub const fn resource_providers(&self) -> &BTreeMap<ResourceProviderId, ResourceProvider> {
        &self.resource_providers
    }

    /// The process that pings it.
    #[must_use]
    pub const fn observer(&self) -> ObserverId {
        self.observer
    }

    pub(crate) fn has_executor(&self, framework_id: &FrameworkId, executor_id: &ExecutorId) -> bool {
        self.executors
            .get(framework_id)
            .is_some_and(|executors| executors.contains_key(executor_id))
    }
}
