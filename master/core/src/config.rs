//! What the master is told at its start.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesos_allocator::constraints::ExpressionLimits;
use mesos_proto::v0::mesos::MasterInfo;

use crate::rate_limits::RateLimits;

/// Settings of the rules, from flags. Defaults are those of `facts/flags_master.tsv` and `constants.tsv`.
#[derive(Clone, Debug)]
pub struct MasterConfig {
    /// How this master presents itself: id (a fresh random UUID), address, host name, version, capabilities.
    pub info: MasterInfo,
    /// Start of the sequence from which ids inside the core are drawn.
    pub seed: u64,
    /// Time that an agent has to answer a ping (`--agent_ping_timeout`).
    pub agent_ping_timeout: Duration,
    /// Missed pings that make an agent unreachable (`--max_agent_ping_timeouts`).
    pub max_agent_ping_timeouts: u32,
    /// Time that agents have to come back after failover (`--agent_reregister_timeout`).
    pub agent_reregister_timeout: Duration,
    /// Share of the registry's agents, in percent, that may be given up after failover
    /// (`--recovery_agent_removal_limit`); more end the master.
    pub recovery_agent_removal_limit: f64,
    /// Time between two agents that are given up (`--agent_removal_rate_limit`); `None` limits nothing.
    pub agent_removal_interval: Option<Duration>,
    /// How often the frameworks of a principal may send messages (`--rate_limits`).
    pub rate_limits: RateLimits,
    /// Bounds of regular expressions in offer constraints (`--offer_constraints_re2_*`).
    pub expression_limits: ExpressionLimits,
    /// Life of an unused offer (`--offer_timeout`).
    pub offer_timeout: Option<Duration>,
    /// Time between allocation rounds (`--allocation_interval`).
    pub allocation_interval: Duration,
    /// Time between heartbeats of scheduler streams.
    pub heartbeat_interval: Duration,
    /// Ended frameworks remembered (`--max_completed_frameworks`).
    pub max_completed_frameworks: usize,
    /// Ended tasks remembered per framework (`--max_completed_tasks_per_framework`).
    pub max_completed_tasks_per_framework: usize,
    /// Unreachable tasks remembered per framework (`--max_unreachable_tasks_per_framework`).
    pub max_unreachable_tasks_per_framework: usize,
    /// Ids of removed agents remembered.
    pub max_removed_agents: usize,
    /// Time between looks for old registry entries (`--registry_gc_interval`).
    pub registry_gc_interval: Duration,
    /// Age at which such entries may go (`--registry_max_agent_age`).
    pub registry_max_agent_age: Duration,
    /// Entries kept at most (`--registry_max_agent_count`).
    pub registry_max_agent_count: usize,
    /// Whether frameworks may run as root (`--root_submissions`).
    pub root_submissions: bool,
    /// The roles that frameworks may use (`--roles`); `None` allows any.
    pub role_whitelist: Option<BTreeSet<String>>,
    /// Weights of roles while the registry has none (`--weights`).
    pub weights: BTreeMap<String, f64>,
    /// Whether agents without a fault domain are refused (`--require_agent_domain`).
    pub require_agent_domain: bool,
}

impl MasterConfig {
    /// Defaults of all flags for a master that presents itself so.
    #[must_use]
    pub const fn new(info: MasterInfo, seed: u64) -> Self {
        const MINUTE: u64 = 60;
        const WEEK: u64 = 7 * 24 * 60 * MINUTE;
        Self {
            info,
            seed,
            agent_ping_timeout: Duration::from_secs(15),
            max_agent_ping_timeouts: 5,
            agent_reregister_timeout: Duration::from_secs(10 * MINUTE),
            recovery_agent_removal_limit: 100.0,
            agent_removal_interval: None,
            rate_limits: RateLimits::none(),
            expression_limits: ExpressionLimits::DEFAULT,
            offer_timeout: None,
            allocation_interval: Duration::from_secs(1),
            heartbeat_interval: Duration::from_secs(15),
            max_completed_frameworks: 50,
            max_completed_tasks_per_framework: 1000,
            max_unreachable_tasks_per_framework: 1000,
            max_removed_agents: 100_000,
            registry_gc_interval: Duration::from_secs(15 * MINUTE),
            registry_max_agent_age: Duration::from_secs(2 * WEEK),
            registry_max_agent_count: 102_400,
            root_submissions: true,
            role_whitelist: None,
            weights: BTreeMap::new(),
            require_agent_domain: false,
        }
    }

    /// Time without an answer after which an agent is given up; told to agents when they register.
    #[must_use]
    pub fn total_ping_timeout(&self) -> Duration {
        self.agent_ping_timeout.saturating_mul(self.max_agent_ping_timeouts)
    }
}
