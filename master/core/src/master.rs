//! The master as a whole: its state, its door, its read accessors.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use libprocess_types::{Time, Upid};
use mesos::ids::{AgentId, FrameworkId, MasterId, OfferId, TaskId};
use mesos::random::Random;
use mesos_allocator::Allocator;
use mesos_allocator::api::Quota;
use mesos_proto::internal::wire::messages::RegisterSlaveMessage;
use mesos_proto::v0::mesos::{DrainConfig, MasterInfo, SlaveInfo, TimeInfo};
use mesos_registrar::{Registry, WriteId};
use thiserror::Error;

use crate::config::MasterConfig;
use crate::effect::Effect;
use crate::input::{ObserverId, RequestId};
use crate::inverse_offers::InverseOffers;
use crate::maintenance::{MaintenanceChange, MaintenanceQueue};
use crate::model::{Agent, Bounded, Framework, Machines, Offer, Plans, RecentIds};
use crate::operations::OperationCounts;
use crate::quota_rules::Quotas;
use crate::rate_limits::Throttles;
use crate::removal::Removals;
use crate::reported::{KnownResources, Reregistration};
use crate::weights::Weights;

/// How far a master is on its way to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The registry was not read yet, or does not name this master yet: nobody is served.
    Recovering,
    /// The master leads.
    Leading,
}

/// Two parts of the master's state contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the master's state contradicts itself: {0}")]
pub struct InvariantError(pub String);

/// The master: who is here, what runs, what is offered.
pub struct Master {
    pub(crate) config: MasterConfig,
    pub(crate) allocator: Box<dyn Allocator>,
    pub(crate) phase: Phase,
    pub(crate) now: Time,
    pub(crate) elected: Option<Time>,
    pub(crate) frameworks: BTreeMap<FrameworkId, Framework>,
    pub(crate) completed_frameworks: Bounded<Framework>,
    pub(crate) agents: BTreeMap<AgentId, Agent>,
    pub(crate) agent_upids: BTreeMap<Upid, AgentId>,
    pub(crate) recovered_agents: BTreeMap<AgentId, Arc<SlaveInfo>>,
    pub(crate) unreachable_agents: RecentIds<AgentId, TimeInfo>,
    pub(crate) gone_agents: RecentIds<AgentId, TimeInfo>,
    pub(crate) removed_agents: RecentIds<AgentId, ()>,
    pub(crate) offers: BTreeMap<OfferId, Offer>,
    pub(crate) counters: BTreeMap<&'static str, u64>,
    pub(crate) effects: Vec<Effect>,
    /// Id of this master: the beginning of all ids that it gives.
    pub(crate) id: MasterId,
    pub(crate) next_framework: u64,
    pub(crate) next_agent: u64,
    pub(crate) next_offer: u64,
    pub(crate) next_observer: u64,
    pub(crate) next_write: u64,
    /// Where uuids of operations are drawn from.
    pub(crate) random: Random,
    pub(crate) operation_counts: OperationCounts,
    /// What happens when a registry write is stored.
    pub(crate) pending: BTreeMap<WriteId, Pending>,
    /// Addresses of agents whose first registration is being stored.
    pub(crate) registering: BTreeSet<Upid>,
    /// Agents whose return is being stored.
    pub(crate) reregistering: BTreeMap<AgentId, WriteId>,
    /// Agents whose removal, in whatever way, is being stored.
    pub(crate) leaving: BTreeSet<AgentId>,
    pub(crate) observers: BTreeMap<ObserverId, AgentId>,
    /// Weights of roles that were ever set.
    pub(crate) weights: Weights,
    /// Quota of roles, as stored.
    pub(crate) quotas: Quotas,
    /// Quota of roles as it will be when all that is asked is stored.
    pub(crate) planned_quotas: Quotas,
    /// Resources that agents described when they came back.
    pub(crate) known_resources: KnownResources,
    pub(crate) unreachable_tasks: BTreeMap<AgentId, BTreeMap<FrameworkId, Vec<TaskId>>>,
    /// Drains and deactivations.
    pub(crate) plans: Plans,
    /// The maintenance schedule.
    pub(crate) machines: Machines,
    /// Changes of the schedule that wait.
    pub(crate) maintenance: MaintenanceQueue,
    pub(crate) inverse_offers: InverseOffers,
    /// Agents that wait to be given up, when removals are limited.
    pub(crate) removals: Option<Removals>,
    /// Schedulers that speak libprocess, and those of their messages that wait.
    pub(crate) throttles: Throttles,
}

/// What waits for a registry write.
#[derive(Clone, Debug)]
pub(crate) enum Pending {
    /// This master leads from then on.
    Lead { registry: Box<Registry> },
    /// An agent registers for the first time.
    Admit {
        upid: Upid,
        message: Box<RegisterSlaveMessage>,
    },
    /// An agent registers again.
    Readmit { upid: Upid, report: Box<Reregistration> },
    /// An agent is given up and may come back.
    Unreachable {
        agent_id: AgentId,
        since: Box<TimeInfo>,
        cause: String,
    },
    /// An agent is given up for good.
    Gone {
        agent_id: AgentId,
        since: Box<TimeInfo>,
        /// Who is answered; nobody when a drain ends so.
        request: Option<RequestId>,
    },
    /// An agent is forgotten.
    Remove {
        agent_id: AgentId,
        cause: String,
        counter: Option<&'static str>,
    },
    /// Old entries are forgotten.
    Prune {
        unreachable: Vec<AgentId>,
        gone: Vec<AgentId>,
    },
    /// Roles get other weights.
    Weights { weights: Weights, request: RequestId },
    /// An agent is drained from now on.
    Drain {
        agent_id: AgentId,
        config: Box<DrainConfig>,
        request: RequestId,
    },
    /// A draining agent is drained.
    Drained { agent_id: AgentId },
    /// An agent is taken out of offers.
    Deactivate { agent_id: AgentId, request: RequestId },
    /// An agent is offered again.
    Reactivate { agent_id: AgentId, request: RequestId },
    /// The maintenance schedule or its machines change.
    Maintenance {
        change: MaintenanceChange,
        request: RequestId,
    },
    /// Roles get other quota.
    Quota { changes: Quotas, request: RequestId },
}

impl Master {
    /// A master that has not read its registry yet.
    #[must_use]
    pub fn new(config: MasterConfig, allocator: Box<dyn Allocator>) -> Self {
        Self {
            allocator,
            phase: Phase::Recovering,
            now: Time::EPOCH,
            elected: None,
            frameworks: BTreeMap::new(),
            completed_frameworks: Bounded::new(config.max_completed_frameworks),
            agents: BTreeMap::new(),
            agent_upids: BTreeMap::new(),
            recovered_agents: BTreeMap::new(),
            unreachable_agents: RecentIds::new(usize::MAX),
            gone_agents: RecentIds::new(usize::MAX),
            removed_agents: RecentIds::new(config.max_removed_agents),
            offers: BTreeMap::new(),
            counters: BTreeMap::new(),
            effects: Vec::new(),
            id: MasterId::new(config.info.id()),
            next_framework: 0,
            next_agent: 0,
            next_offer: 0,
            next_observer: 0,
            next_write: 0,
            random: random_for(&config),
            operation_counts: OperationCounts::default(),
            pending: BTreeMap::new(),
            registering: BTreeSet::new(),
            reregistering: BTreeMap::new(),
            leaving: BTreeSet::new(),
            observers: BTreeMap::new(),
            weights: Weights::new(),
            quotas: Quotas::new(),
            planned_quotas: Quotas::new(),
            known_resources: KnownResources::default(),
            unreachable_tasks: BTreeMap::new(),
            plans: Plans::default(),
            machines: Machines::default(),
            maintenance: MaintenanceQueue::default(),
            inverse_offers: InverseOffers::default(),
            removals: config.agent_removal_interval.map(Removals::new),
            throttles: Throttles::new(&config.rate_limits),
            config,
        }
    }

    /// The settings.
    #[must_use]
    pub const fn config(&self) -> &MasterConfig {
        &self.config
    }

    /// How this master presents itself.
    #[must_use]
    pub const fn info(&self) -> &MasterInfo {
        &self.config.info
    }

    /// Whether the master leads already.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Time of the last step.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.now
    }

    /// When this master began to lead.
    #[must_use]
    pub const fn elected_time(&self) -> Option<Time> {
        self.elected
    }

    /// Frameworks that have not ended.
    #[must_use]
    pub const fn frameworks(&self) -> &BTreeMap<FrameworkId, Framework> {
        &self.frameworks
    }

    /// Frameworks that ended, oldest first.
    #[must_use]
    pub const fn completed_frameworks(&self) -> &Bounded<Framework> {
        &self.completed_frameworks
    }

    /// Registered agents.
    #[must_use]
    pub const fn agents(&self) -> &BTreeMap<AgentId, Agent> {
        &self.agents
    }

    /// Agents of the registry that have not come back to this master yet.
    #[must_use]
    pub const fn recovered_agents(&self) -> &BTreeMap<AgentId, Arc<SlaveInfo>> {
        &self.recovered_agents
    }

    /// Agents that were given up and may come back, with the time.
    #[must_use]
    pub const fn unreachable_agents(&self) -> &RecentIds<AgentId, TimeInfo> {
        &self.unreachable_agents
    }

    /// Agents that never come back, with the time.
    #[must_use]
    pub const fn gone_agents(&self) -> &RecentIds<AgentId, TimeInfo> {
        &self.gone_agents
    }

    /// Offers that are out.
    #[must_use]
    pub const fn offers(&self) -> &BTreeMap<OfferId, Offer> {
        &self.offers
    }

    /// Drains and deactivations of agents.
    #[must_use]
    pub const fn plans(&self) -> &Plans {
        &self.plans
    }

    /// The maintenance schedule and its machines.
    #[must_use]
    pub const fn machines(&self) -> &Machines {
        &self.machines
    }

    /// Inverse offers that are out.
    #[must_use]
    pub const fn inverse_offers(&self) -> &InverseOffers {
        &self.inverse_offers
    }

    /// Weights of the roles for which one was set; all others weigh 1.
    #[must_use]
    pub const fn weights(&self) -> &BTreeMap<String, f64> {
        &self.weights
    }

    /// Quota of the roles that have some.
    #[must_use]
    pub const fn quotas(&self) -> &BTreeMap<String, Quota> {
        &self.quotas
    }

    /// Roles that some framework is subscribed to.
    #[must_use]
    pub fn roles(&self) -> BTreeSet<&str> {
        self.frameworks
            .values()
            .flat_map(|framework| framework.roles.iter().map(String::as_str))
            .collect()
    }

    /// The allocator, for its metrics and explanations.
    #[must_use]
    pub fn allocator(&self) -> &dyn Allocator {
        &*self.allocator
    }

    /// What was counted of operations since the start.
    #[must_use]
    pub const fn operation_counts(&self) -> &OperationCounts {
        &self.operation_counts
    }

    /// What was counted since the start, by the metric's key (`master/…`).
    #[must_use]
    pub const fn counters(&self) -> &BTreeMap<&'static str, u64> {
        &self.counters
    }
}

/// A sequence of this life of the master alone: its id is new at every start.
fn random_for(config: &MasterConfig) -> Random {
    let mixed = config.info.id().bytes().fold(u128::from(config.seed), |mixed, byte| {
        mixed
            .rotate_left(7)
            .wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
            ^ u128::from(byte)
    });
    Random::new(mixed)
}
