//! Frameworks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use libprocess_types::{Time, Upid};
use mesos::capabilities::FrameworkCapabilities;
use mesos::ids::{AgentId, FrameworkId, OfferId, OperationId, TaskId};
use mesos_proto::v0::mesos::FrameworkInfo;
use mesos_proto::v0::scheduler::OfferConstraints;

use super::{Bounded, FrameworkCounters, OperationUuid, RecentIds, Task};
use crate::input::StreamId;

/// How events reach a scheduler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// As records of an HTTP stream.
    Stream(StreamId),
    /// As libprocess messages.
    Process(Upid),
}

/// Where a framework stands.
///
/// ```text
/// recovered ──subscribe──▶ active ◀──subscribe── inactive
///                            │  ▲                  ▲
///                            │  └─subscribe─┐      │deactivate
///                            └──exited──▶ disconnected
/// any ──teardown or failover timeout──▶ (removed, completed)
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrameworkState {
    /// Known only from what agents reported after failover of the master; no timer runs for it.
    Recovered,
    /// Its scheduler is away; torn down when the failover timeout passes.
    Disconnected,
    /// Connected, but asked for no more offers (driver abort).
    Inactive(Connection),
    /// Connected and offered resources.
    Active(Connection),
}

/// A framework that has not ended.
#[derive(Clone, Debug)]
pub struct Framework {
    pub(crate) id: FrameworkId,
    pub(crate) info: Arc<FrameworkInfo>,
    pub(crate) capabilities: FrameworkCapabilities,
    pub(crate) roles: BTreeSet<String>,
    pub(crate) suppressed_roles: BTreeSet<String>,
    pub(crate) offer_constraints: Option<OfferConstraints>,
    pub(crate) state: FrameworkState,
    /// Address of the scheduler, also after it went away; none for HTTP schedulers.
    pub(crate) upid: Option<Upid>,
    pub(crate) registered_time: Time,
    pub(crate) reregistered_time: Option<Time>,
    pub(crate) unregistered_time: Option<Time>,
    pub(crate) tasks: BTreeMap<TaskId, Task>,
    pub(crate) unreachable_tasks: RecentIds<TaskId, Task>,
    pub(crate) completed_tasks: Bounded<Arc<Task>>,
    pub(crate) offers: BTreeSet<OfferId>,
    pub(crate) counters: FrameworkCounters,
    /// Its operations, with the agents that have them.
    pub(crate) operations: BTreeMap<OperationUuid, AgentId>,
    /// Those of its operations that it has named.
    pub(crate) operation_ids: BTreeMap<OperationId, OperationUuid>,
}

impl Framework {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &FrameworkId {
        &self.id
    }

    /// Its description, with the id.
    #[must_use]
    pub fn info(&self) -> &FrameworkInfo {
        &self.info
    }

    /// What it understands.
    #[must_use]
    pub const fn capabilities(&self) -> FrameworkCapabilities {
        self.capabilities
    }

    /// Roles that it is subscribed to.
    #[must_use]
    pub const fn roles(&self) -> &BTreeSet<String> {
        &self.roles
    }

    /// Roles that get no offers for now.
    #[must_use]
    pub const fn suppressed_roles(&self) -> &BTreeSet<String> {
        &self.suppressed_roles
    }

    /// Which agents it wants to see.
    #[must_use]
    pub const fn offer_constraints(&self) -> Option<&OfferConstraints> {
        self.offer_constraints.as_ref()
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> &FrameworkState {
        &self.state
    }

    /// How events reach it, while it is connected.
    #[must_use]
    pub const fn connection(&self) -> Option<&Connection> {
        match &self.state {
            FrameworkState::Active(connection) | FrameworkState::Inactive(connection) => Some(connection),
            FrameworkState::Recovered | FrameworkState::Disconnected => None,
        }
    }

    /// Whether it is connected.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.connection().is_some()
    }

    /// Whether it is connected and offered resources.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        matches!(self.state, FrameworkState::Active(_))
    }

    /// Whether it is known only from agents' reports.
    #[must_use]
    pub const fn is_recovered(&self) -> bool {
        matches!(self.state, FrameworkState::Recovered)
    }

    /// Address of a scheduler that speaks libprocess, also while it is away.
    #[must_use]
    pub const fn upid(&self) -> Option<&Upid> {
        self.upid.as_ref()
    }

    /// When it subscribed to this master first, or was reported by an agent.
    #[must_use]
    pub const fn registered_time(&self) -> Time {
        self.registered_time
    }

    /// When it last subscribed again.
    #[must_use]
    pub const fn reregistered_time(&self) -> Option<Time> {
        self.reregistered_time
    }

    /// When it ended or disconnected.
    #[must_use]
    pub const fn unregistered_time(&self) -> Option<Time> {
        self.unregistered_time
    }

    /// Live tasks, and ended ones whose last update is not acknowledged.
    #[must_use]
    pub const fn tasks(&self) -> &BTreeMap<TaskId, Task> {
        &self.tasks
    }

    /// Tasks on agents that are unreachable.
    #[must_use]
    pub const fn unreachable_tasks(&self) -> &RecentIds<TaskId, Task> {
        &self.unreachable_tasks
    }

    /// Ended tasks, oldest first.
    #[must_use]
    pub const fn completed_tasks(&self) -> &Bounded<Arc<Task>> {
        &self.completed_tasks
    }

    /// What was counted of it.
    #[must_use]
    pub const fn counters(&self) -> &FrameworkCounters {
        &self.counters
    }

    /// Its operations, with the agents that have them.
    #[must_use]
    pub const fn operations(&self) -> &BTreeMap<OperationUuid, AgentId> {
        &self.operations
    }

    /// Offers that it holds.
    #[must_use]
    pub const fn offers(&self) -> &BTreeSet<OfferId> {
        &self.offers
    }
}
