//! The interface between the master's core and an allocator.
//!
//! The core tells the allocator every change of frameworks, agents, quota and weights, and every change of what is
//! offered or in use. It asks for offers in two ways: [`Allocator::allocate_changed`] at the end of a step in which
//! [`Allocator::has_changes`] is true (the event-driven cycle, over the agents that changed), and
//! [`Allocator::allocate`] once per allocation interval (the batch cycle, over all agents). Resources in an answer
//! count as offered from then on, until they come back through [`Allocator::recover_resources`].
//!
//! All resources are in the post-refinement form. Resources that belong to a framework carry `allocation_info` when
//! they are handed in (used, recovered, converted); agents' totals do not. Names of things that are unknown here are
//! a late message, not an error: such calls change nothing.
//!
//! Source: shared facts, `pitfalls.md` D1, D2, D22, D27, `constants.tsv`, `flags_master.tsv`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use libprocess_types::Time;
use mesos::capabilities::{AgentCapabilities, FrameworkCapabilities};
use mesos::ids::{AgentId, FrameworkId};
use mesos::resources::{Conversion, Resources};
use mesos::values::Scalar;
use mesos_proto::v0::mesos as proto;

use crate::constraints::OfferConstraints;
use crate::explain::Explanation;

/// Filter length that a framework gets when it names none, or one that is no sensible number.
pub const REFUSE_DEFAULT: Duration = Duration::from_secs(5);

/// Longest filter; longer ones are cut to it.
pub const REFUSE_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Scalar quantities by resource name.
pub type Quantities = BTreeMap<String, Scalar>;

/// Decides who is offered what. See the module's text for how the core drives it.
///
/// Implementations are deterministic: the same calls with the same times and the same seed give the same answers.
pub trait Allocator: Send {
    /// Prepares for agents that were registered before this master was elected.
    ///
    /// Quota is taken over at once. When some role has quota and agents are expected, no cycle offers anything until
    /// the configured share of them is back or the recovery timeout has passed. Called at most once, first.
    fn recover(&mut self, now: Time, expected_agents: usize, quotas: BTreeMap<String, Quota>);

    /// Adds a framework, or gives a description to one that so far was known only from agents' used resources.
    ///
    /// `used` is what it holds on each agent and replaces what was known of that pair; agents that are not there yet
    /// are skipped, they bring their own account. Roles in `info.suppressed_roles` get no offers until revived.
    fn add_framework(
        &mut self,
        now: Time,
        id: &FrameworkId,
        info: FrameworkInfo,
        used: &BTreeMap<AgentId, Resources>,
        state: Activation,
    );

    /// Forgets a framework; everything that it still holds becomes available. Filters go with it.
    fn remove_framework(&mut self, now: Time, id: &FrameworkId);

    /// Lets a framework get offers again; suppressed roles stay suppressed.
    fn activate_framework(&mut self, now: Time, id: &FrameworkId);

    /// Stops offers to a framework (it disconnected). Its offer and inverse offer filters are dropped, its
    /// allocations stay; offers are for the core to rescind and recover.
    fn deactivate_framework(&mut self, now: Time, id: &FrameworkId);

    /// Takes over a changed description: roles, suppressed roles, capabilities, filters and constraints.
    ///
    /// A role that leaves the suppressed set is revived, filters of that role are dropped; one that enters it is
    /// suppressed. Roles that are gone keep their accounts until the framework's resources there come back.
    fn update_framework(&mut self, now: Time, id: &FrameworkId, info: FrameworkInfo);

    /// Adds an active agent with its total resources and what frameworks hold of it (with `allocation_info`).
    ///
    /// Frameworks in `used` that are not known yet are remembered, so that their share counts as taken.
    fn add_agent(
        &mut self,
        now: Time,
        id: &AgentId,
        info: AgentInfo,
        total: &Resources,
        used: &BTreeMap<FrameworkId, Resources>,
    );

    /// Forgets an agent and everything held or filtered on it.
    fn remove_agent(&mut self, now: Time, id: &AgentId);

    /// Takes over a changed description or total (new total of the agent, oversubscription, resource providers).
    ///
    /// A total smaller than what is held is accepted: nothing is available until enough has come back. Filters on
    /// the agent are dropped when the total changes.
    fn update_agent(&mut self, now: Time, id: &AgentId, info: AgentInfo, total: Option<&Resources>);

    /// Adds a resource provider's resources to an agent's total, with what frameworks hold of them.
    fn add_resource_provider(
        &mut self,
        now: Time,
        agent: &AgentId,
        total: &Resources,
        used: &BTreeMap<FrameworkId, Resources>,
    );

    /// Lets an agent's resources be offered again.
    fn activate_agent(&mut self, now: Time, id: &AgentId);

    /// Stops offers of an agent (disconnected, draining, deactivated); accounts stay.
    fn deactivate_agent(&mut self, now: Time, id: &AgentId);

    /// Restricts offers to agents with these host names; `None` lifts the restriction.
    fn update_whitelist(&mut self, now: Time, hostnames: Option<BTreeSet<String>>);

    /// Takes resources back from a framework: declined, unused, rescinded or freed by an ended task.
    ///
    /// Filters, when given, keep resources that are a subset of the returned ones from this framework, role and
    /// agent, for [`OfferFilters::refuse`] and at least one allocation interval; a zero duration makes no filter.
    /// Ended allocations ([`Hold::Allocated`]) mark the agent for the event-driven cycle; returned offers wait for
    /// the batch cycle, so that a framework that declines without a filter cannot drive the master in a circle.
    fn recover_resources(
        &mut self,
        now: Time,
        framework: &FrameworkId,
        agent: &AgentId,
        resources: &Resources,
        filters: Option<OfferFilters>,
        hold: Hold,
    );

    /// Tells that offered resources are now used (an offer was accepted). Only quota consumption regards it.
    fn transition_offered_to_allocated(&mut self, framework: &FrameworkId, agent: &AgentId, resources: &Resources);

    /// Applies operations to resources that a framework holds (from an accepted offer): each conversion takes
    /// `consumed` from the framework's holding and from the agent's total and puts `converted` there.
    ///
    /// Copies of a shared resource that the agent already has change the holding only: a conversion that consumes
    /// nothing gives the framework one more copy per listed one.
    ///
    /// # Errors
    ///
    /// When a `consumed` is not held; nothing is changed then.
    fn update_allocation(
        &mut self,
        framework: &FrameworkId,
        agent: &AgentId,
        conversions: &[Conversion],
    ) -> Result<(), AllocatorError>;

    /// Applies operator operations to resources of an agent that nobody is offered or uses.
    ///
    /// # Errors
    ///
    /// When a `consumed` is not available (the core then rescinds offers and tries again); nothing is changed then.
    fn update_available(
        &mut self,
        now: Time,
        agent: &AgentId,
        conversions: &[Conversion],
    ) -> Result<(), AllocatorError>;

    /// Sets or lifts the planned unavailability of an agent; inverse offers, their answers and filters start anew.
    fn update_unavailability(&mut self, now: Time, agent: &AgentId, unavailability: Option<Unavailability>);

    /// Takes a framework's answer to an inverse offer, or its withdrawal (`answer` is `None`), with filters.
    fn update_inverse_offer(
        &mut self,
        now: Time,
        agent: &AgentId,
        framework: &FrameworkId,
        answer: Option<InverseOfferAnswer>,
        filters: Option<OfferFilters>,
    );

    /// The latest answers to inverse offers, by agent and framework.
    fn inverse_offer_statuses(&self) -> BTreeMap<AgentId, BTreeMap<FrameworkId, InverseOfferStatus>>;

    /// Stops offers to a framework for these roles; none named means all of its roles.
    fn suppress_roles(&mut self, now: Time, framework: &FrameworkId, roles: &BTreeSet<String>);

    /// Lifts suppression and drops the offer filters of a framework for these roles; none named means all.
    fn revive_roles(&mut self, now: Time, framework: &FrameworkId, roles: &BTreeSet<String>);

    /// Sets the weights of roles; later cycles rank by them.
    fn update_weights(&mut self, now: Time, weights: &BTreeMap<String, f64>);

    /// Sets a role's guarantees and limits; [`Quota::default`] removes them.
    ///
    /// # Errors
    ///
    /// When this allocator cannot enforce what is asked; nothing is changed then.
    fn update_quota(&mut self, now: Time, role: &str, quota: Quota) -> Result<(), AllocatorError>;

    /// Whether some change asks for an event-driven cycle.
    fn has_changes(&self) -> bool;

    /// The event-driven cycle: looks only at the agents that changed since the last cycle.
    fn allocate_changed(&mut self, now: Time) -> Allocations;

    /// The batch cycle: looks at all agents. Due once per allocation interval; filters end here.
    fn allocate(&mut self, now: Time) -> Allocations;

    /// Tells why a framework is or is not offered an agent's resources in one of its roles.
    fn explain(&self, now: Time, framework: &FrameworkId, role: &str, agent: &AgentId) -> Explanation;

    /// Figures for the metrics endpoint.
    fn metrics(&self, now: Time) -> AllocatorMetrics;

    /// What one agent's accounts say; `None` for an agent that was not added. Meant for tests and simulation.
    fn accounts(&self, agent: &AgentId) -> Option<AgentAccounts>;

    /// Checks that all accounts agree with each other. Slow: meant for tests and simulation.
    ///
    /// # Errors
    ///
    /// Describes the first contradiction.
    fn check_invariants(&self) -> Result<(), InvariantError>;
}

/// The accounts of one agent, without allocation. Unless it shrank below what is held, what is free and what is held
/// make its total; a shared resource is free while it is held, and counts once for each use.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentAccounts {
    /// All that it has.
    pub total: Resources,
    /// What nobody holds, reserved or not.
    pub free: Resources,
    /// What frameworks hold, offered or in use.
    pub held: BTreeMap<FrameworkId, Resources>,
    /// Whether it has all that is held of it.
    pub is_intact: bool,
}

/// How an allocator ranks and what it withholds; fixed for its lifetime.
#[derive(Clone, Debug)]
pub struct AllocatorOptions {
    /// Time between batch cycles (`--allocation_interval`); filters last at least this long.
    pub allocation_interval: Duration,
    /// How roles are ranked (`--role_sorter`).
    pub role_sorter: SorterKind,
    /// How frameworks are ranked inside a role (`--framework_sorter`).
    pub framework_sorter: SorterKind,
    /// Resources that shares disregard (`--fair_sharing_excluded_resource_names`).
    pub fair_sharing_excluded: BTreeSet<String>,
    /// Keeps agents with GPUs from frameworks without the capability (`--filter_gpu_resources`).
    pub filter_gpu_resources: bool,
    /// Smallest offers worth making (`--min_allocatable_resources`): one of the alternatives must be reached; no
    /// alternative means no bound.
    pub min_allocatable: Vec<Quantities>,
    /// The master's own region, when it has a domain (`--domain`).
    pub region: Option<String>,
    /// Share of expected agents that ends the hold after recovery (`--allocator_agent_recovery_factor`).
    pub agent_recovery_factor: f64,
    /// Longest hold after recovery (`--allocator_recovery_timeout`).
    pub recovery_timeout: Duration,
    /// The order in which a cycle visits agents.
    pub agent_order: AgentOrder,
    /// Start of the random sequence behind shuffling and the random sorter.
    pub seed: u64,
}

impl Default for AllocatorOptions {
    /// The defaults of the master's flags, with seed 0.
    fn default() -> Self {
        let quantity = |name: &str, thousandths| (name.to_owned(), Scalar::from_thousandths(thousandths));
        Self {
            allocation_interval: Duration::from_secs(1),
            role_sorter: SorterKind::Drf,
            framework_sorter: SorterKind::Drf,
            fair_sharing_excluded: BTreeSet::new(),
            filter_gpu_resources: true,
            min_allocatable: vec![
                BTreeMap::from([quantity("cpus", 10)]),
                BTreeMap::from([quantity("mem", 32_000)]),
            ],
            region: None,
            agent_recovery_factor: 0.8,
            recovery_timeout: Duration::from_secs(10 * 60),
            agent_order: AgentOrder::Shuffled,
            seed: 0,
        }
    }
}

/// How a level of the hierarchy is ranked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SorterKind {
    /// Dominant resource fairness: smallest weighted dominant share first.
    #[default]
    Drf,
    /// A fresh weighted lottery each time.
    Random,
}

/// The order in which a cycle visits agents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AgentOrder {
    /// A new random order each cycle, so that no framework keeps getting the same agents.
    #[default]
    Shuffled,
    /// The order in which agents were added: for tests.
    Added,
}

/// Whether a framework starts out with or without offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Connected: gets offers.
    Active,
    /// Known but not connected (recovered after failover).
    Inactive,
}

/// How a framework held the resources that come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// In an outstanding offer.
    Offered,
    /// By a task, executor or operation.
    Allocated,
}

/// What the allocator needs to know of a framework.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FrameworkInfo {
    /// Roles that the framework is subscribed to.
    pub roles: BTreeSet<String>,
    /// Those of them that get no offers for now.
    pub suppressed_roles: BTreeSet<String>,
    /// What the framework understands.
    pub capabilities: FrameworkCapabilities,
    /// Smallest offers worth making, by role, in place of the allocator's own (`FrameworkInfo.offer_filters`).
    pub min_allocatable: BTreeMap<String, Vec<Quantities>>,
    /// Which agents the framework wants to see at all, checked and compiled.
    pub offer_constraints: Option<Arc<OfferConstraints>>,
}

impl FrameworkInfo {
    /// Takes the relevant part of an unversioned description: `roles` with MULTI_ROLE, else the single `role`.
    #[must_use]
    pub fn from_proto(info: &proto::FrameworkInfo, suppressed_roles: BTreeSet<String>) -> Self {
        let capabilities = FrameworkCapabilities::from_proto(&info.capabilities);
        let roles = if capabilities.multi_role {
            info.roles.iter().cloned().collect()
        } else {
            BTreeSet::from([info.role().to_owned()])
        };
        let min_allocatable = info.offer_filters.iter().filter_map(|(role, filters)| {
            let minimum = filters.min_allocatable_resources.as_ref()?;
            let alternatives = minimum.quantities.iter().map(|alternative| {
                let quantities = alternative.quantities.iter();
                quantities
                    .map(|(name, scalar)| (name.clone(), Scalar::from(scalar)))
                    .collect()
            });
            Some((role.clone(), alternatives.collect()))
        });
        Self {
            roles,
            suppressed_roles,
            capabilities,
            min_allocatable: min_allocatable.collect(),
            offer_constraints: None,
        }
    }
}

/// What the allocator needs to know of an agent, besides its resources.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AgentInfo {
    /// Host name, for the whitelist and for offer constraints.
    pub hostname: String,
    /// What the agent understands.
    pub capabilities: AgentCapabilities,
    /// Region and zone of the agent's fault domain.
    pub domain: Option<FaultDomain>,
    /// Attributes, for offer constraints.
    pub attributes: Vec<proto::Attribute>,
    /// Planned unavailability, when the agent stands in the maintenance schedule.
    pub unavailability: Option<Unavailability>,
}

impl AgentInfo {
    /// Takes the relevant part of an unversioned description; capabilities travel beside it in messages.
    #[must_use]
    pub fn from_proto(info: &proto::SlaveInfo, capabilities: AgentCapabilities) -> Self {
        let domain = info
            .domain
            .as_ref()
            .and_then(|domain| domain.fault_domain.as_ref())
            .map(|fault| FaultDomain {
                region: fault.region.name().to_owned(),
                zone: fault.zone.name().to_owned(),
            });
        Self {
            hostname: info.hostname().to_owned(),
            capabilities,
            domain,
            attributes: info.attributes.clone(),
            unavailability: None,
        }
    }
}

/// Region and zone of a fault domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultDomain {
    /// Name of the region.
    pub region: String,
    /// Name of the zone.
    pub zone: String,
}

/// A planned time without an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailability {
    /// When it starts.
    pub start: Time,
    /// How long it lasts; `None` means without end.
    pub duration: Option<Duration>,
}

/// How long a framework does not want to see what it returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfferFilters {
    /// Zero makes no filter; otherwise the filter lasts this long and at least one allocation interval.
    pub refuse: Duration,
}

impl OfferFilters {
    /// Reads `Filters.refuse_seconds`: absent, negative or not finite gives the default of 5 s, above 365 days is
    /// cut to that.
    #[must_use]
    pub fn from_refuse_seconds(seconds: Option<f64>) -> Self {
        let refuse = match seconds {
            Some(seconds) if seconds > REFUSE_MAX.as_secs_f64() => REFUSE_MAX,
            Some(seconds) => Duration::try_from_secs_f64(seconds).unwrap_or(REFUSE_DEFAULT),
            None => REFUSE_DEFAULT,
        };
        Self { refuse }
    }

    /// Reads an unversioned `Filters` message.
    #[must_use]
    pub fn from_proto(filters: &proto::Filters) -> Self {
        Self::from_refuse_seconds(filters.refuse_seconds)
    }
}

/// A role's quota. Quantities absent from `guarantees` are not guaranteed, those absent from `limits` not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// What the role can always get.
    pub guarantees: Quantities,
    /// What the role never exceeds.
    pub limits: Quantities,
}

impl Quota {
    /// Whether nothing is guaranteed and nothing limited.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.limits.is_empty() && self.guarantees.values().all(|quantity| quantity.is_zero())
    }
}

/// What a cycle found.
#[derive(Clone, Debug, Default)]
pub struct Allocations {
    /// What may be offered now, grouped by framework; at most one entry per framework, role and agent.
    pub offers: Vec<OfferableAllocation>,
    /// Agents that frameworks are asked to leave.
    pub inverse_offers: Vec<InverseOfferRequest>,
}

/// Resources of one agent for one framework in one role.
#[derive(Clone, Debug)]
pub struct OfferableAllocation {
    /// Who may use them.
    pub framework: FrameworkId,
    /// The role that they are allocated to.
    pub role: Arc<str>,
    /// Where they are.
    pub agent: AgentId,
    /// What they are; each carries `allocation_info` with the role.
    pub resources: Resources,
}

/// A request to leave an agent before its planned unavailability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InverseOfferRequest {
    /// Who is asked.
    pub framework: FrameworkId,
    /// Which agent goes away.
    pub agent: AgentId,
    /// When and for how long.
    pub unavailability: Unavailability,
}

/// What a framework answers to an inverse offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InverseOfferAnswer {
    /// It will leave the agent in time.
    Accepted,
    /// It will not.
    Declined,
}

/// An answer to an inverse offer with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InverseOfferStatus {
    /// The answer.
    pub answer: InverseOfferAnswer,
    /// When it was given.
    pub at: Time,
}

/// Figures for the metrics endpoint.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AllocatorMetrics {
    /// Cycles run, event-driven and batch (`allocator/mesos/allocation_runs`).
    pub allocation_runs: u64,
    /// Total quantities of all agents (`allocator/mesos/resources/NAME/total`).
    pub total: Quantities,
    /// Quantities offered or in use (`allocator/mesos/resources/NAME/offered_or_allocated`).
    pub offered_or_allocated: Quantities,
    /// Offer filters in force, by role (`allocator/mesos/offer_filters/roles/ROLE/active`).
    pub offer_filters_active: BTreeMap<String, u64>,
    /// Quota of the roles that have some.
    pub quotas: BTreeMap<String, QuotaMetrics>,
}

/// Quota figures of one role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotaMetrics {
    /// Guarantees and limits.
    pub quota: Quota,
    /// Reservations of the role plus unreserved resources in use.
    pub consumed: Quantities,
    /// Resources of the role in offers or in use.
    pub offered_or_allocated: Quantities,
}

/// Why the allocator refused a change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllocatorError {
    /// The agent is not known.
    #[error("agent {0} is not known to the allocator")]
    UnknownAgent(AgentId),
    /// The framework is not known.
    #[error("framework {0} is not known to the allocator")]
    UnknownFramework(FrameworkId),
    /// Resources that should be converted are not there.
    #[error("agent {agent} does not have the resources to convert: {missing}")]
    Insufficient {
        /// The agent.
        agent: AgentId,
        /// The resources that were to be consumed.
        missing: String,
    },
    /// The allocator cannot enforce a quota.
    #[error("quota of role '{role}' is not supported: {reason}")]
    UnsupportedQuota {
        /// The role.
        role: String,
        /// What is not supported.
        reason: &'static str,
    },
}

/// Two accounts of the allocator contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("allocator accounts contradict: {0}")]
pub struct InvariantError(pub String);
