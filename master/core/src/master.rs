//! The master as a whole: its state, its door, its read accessors.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use libprocess_types::{Time, Upid};
use mesos::ids::{AgentId, FrameworkId, OfferId};
use mesos_allocator::Allocator;
use mesos_proto::v0::mesos::{MasterInfo, SlaveInfo, TimeInfo};
use thiserror::Error;

use crate::config::MasterConfig;
use crate::effect::Effect;
use crate::input::Input;
use crate::model::{Agent, Bounded, Framework, Offer, RecentIds};

/// How far a master is on its way to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The registry was not read yet: nobody is served.
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
    pub(crate) started: Option<Time>,
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
}

impl Master {
    /// A master that has not read its registry yet.
    #[must_use]
    pub fn new(config: MasterConfig, allocator: Box<dyn Allocator>) -> Self {
        Self {
            allocator,
            phase: Phase::Recovering,
            now: Time::EPOCH,
            started: None,
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
            config,
        }
    }

    /// Takes one input at a point in time and gives what is to be done, in order. Time never runs backwards.
    pub fn step(&mut self, now: Time, input: Input) -> Vec<Effect> {
        self.now = self.now.max(now);
        let _ = input;
        std::mem::take(&mut self.effects)
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

    /// When the registry was read.
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

    /// What was counted since the start, by the metric's key (`master/…`).
    #[must_use]
    pub const fn counters(&self) -> &BTreeMap<&'static str, u64> {
        &self.counters
    }

    /// Checks that all parts of the state agree. Slow: meant for tests and simulation.
    ///
    /// # Errors
    ///
    /// Describes the first contradiction.
    pub fn check_invariants(&self) -> Result<(), InvariantError> {
        self.allocator
            .check_invariants()
            .map_err(|error| InvariantError(error.to_string()))
    }
}
