//! The hierarchical allocator: the state behind the interface and the calls that change it.
//!
//! `frameworks.rs`, `agents.rs` and `resources.rs` hold the calls by what they concern, `allocation.rs` the cycles,
//! `inspect.rs` what only looks.

mod agents;
mod allocation;
mod frameworks;
mod inspect;
mod resources;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use libprocess_types::Time;
use mesos::ids::{AgentId, FrameworkId};
use mesos::resources::{Conversion, Resources};

use crate::agent::Agent;
use crate::api::{
    Activation, AgentAccounts, AgentInfo, Allocations, Allocator, AllocatorError, AllocatorMetrics, AllocatorOptions,
    FrameworkInfo, Hold, InvariantError, InverseOfferAnswer, InverseOfferStatus, OfferFilters, Quota, Unavailability,
};
use crate::cycle::Scratch;
use crate::explain::Explanation;
use crate::framework::Framework;
use crate::ledger::Ledger;
use crate::random::Random;
use crate::rules::Rules;
use crate::slab::Slab;
use crate::tree::RoleTree;

/// Hierarchical dominant resource fairness with weights, quota, filters and all rules of the interface.
#[derive(Clone, Debug)]
pub struct HierarchicalAllocator {
    options: AllocatorOptions,
    rules: Rules,
    tree: RoleTree,
    ledger: Ledger,
    frameworks: Slab<Framework>,
    framework_slots: HashMap<FrameworkId, u32>,
    agents: Slab<Agent>,
    agent_slots: HashMap<AgentId, u32>,
    /// Quota by role, as it was set.
    quotas: BTreeMap<String, Quota>,
    random: Random,
    /// Agents for the next event-driven cycle.
    changed: Vec<u32>,
    /// Whether the next event-driven cycle has to look at all agents.
    all_changed: bool,
    /// Changes with everything beside agents that lets somebody be offered more than before.
    epoch: u64,
    /// Changes with what frameworks may see.
    tastes_epoch: u64,
    /// Clients with minimums of their own.
    minimums: usize,
    agents_added: u64,
    runs: u64,
    recovery: Option<Recovery>,
    scratch: Scratch,
}

/// Waiting for agents after a failover.
#[derive(Clone, Copy, Debug)]
struct Recovery {
    agents_needed: usize,
    until: Time,
}

impl HierarchicalAllocator {
    /// An allocator without frameworks and agents.
    #[must_use]
    pub fn new(options: AllocatorOptions) -> Self {
        let mut ledger = Ledger::new();
        let excluded = options
            .fair_sharing_excluded
            .iter()
            .map(|name| ledger.places.place_of_text(name))
            .collect();
        Self {
            rules: Rules::new(&options, &mut ledger.places),
            tree: RoleTree::new(options.role_sorter, options.framework_sorter, excluded),
            ledger,
            frameworks: Slab::default(),
            framework_slots: HashMap::new(),
            agents: Slab::default(),
            agent_slots: HashMap::new(),
            quotas: BTreeMap::new(),
            random: Random::new(options.seed),
            changed: Vec::new(),
            all_changed: false,
            epoch: 0,
            tastes_epoch: 0,
            minimums: 0,
            agents_added: 0,
            runs: 0,
            recovery: None,
            scratch: Scratch::default(),
            options,
        }
    }

    /// Marks an agent for the event-driven cycle.
    fn mark_changed(&mut self, slot: u32) {
        let agent = self.agents.at_mut(slot);
        agent.touch();
        if !agent.changed {
            agent.changed = true;
            self.changed.push(slot);
        }
    }

    /// Marks all agents for the event-driven cycle: somebody may be offered more than before.
    const fn mark_all_changed(&mut self) {
        self.all_changed = true;
        self.epoch += 1;
    }

    fn agent_slot(&self, id: &AgentId) -> Option<u32> {
        self.agent_slots.get(id).copied()
    }

    fn framework_slot(&self, id: &FrameworkId) -> Option<u32> {
        self.framework_slots.get(id).copied()
    }
}

impl Allocator for HierarchicalAllocator {
    fn recover(&mut self, now: Time, expected_agents: usize, quotas: BTreeMap<String, Quota>) {
        self.start_recovery(now, expected_agents, quotas);
    }

    fn add_framework(
        &mut self,
        _now: Time,
        id: &FrameworkId,
        info: FrameworkInfo,
        used: &BTreeMap<AgentId, Resources>,
        state: Activation,
    ) {
        self.insert_framework(id, info, used, state);
    }

    fn remove_framework(&mut self, _now: Time, id: &FrameworkId) {
        self.forget_framework(id);
    }

    fn activate_framework(&mut self, _now: Time, id: &FrameworkId) {
        self.set_framework_active(id, true);
    }

    fn deactivate_framework(&mut self, _now: Time, id: &FrameworkId) {
        self.set_framework_active(id, false);
    }

    fn update_framework(&mut self, _now: Time, id: &FrameworkId, info: FrameworkInfo) {
        self.replace_framework_info(id, info);
    }

    fn add_agent(
        &mut self,
        _now: Time,
        id: &AgentId,
        info: AgentInfo,
        total: &Resources,
        used: &BTreeMap<FrameworkId, Resources>,
    ) {
        self.insert_agent(id, info, total, used);
    }

    fn remove_agent(&mut self, _now: Time, id: &AgentId) {
        self.forget_agent(id);
    }

    fn update_agent(&mut self, _now: Time, id: &AgentId, info: AgentInfo, total: Option<&Resources>) {
        self.replace_agent_info(id, info, total);
    }

    fn add_resource_provider(
        &mut self,
        _now: Time,
        agent: &AgentId,
        total: &Resources,
        used: &BTreeMap<FrameworkId, Resources>,
    ) {
        self.extend_agent(agent, total, used);
    }

    fn activate_agent(&mut self, _now: Time, id: &AgentId) {
        self.set_agent_active(id, true);
    }

    fn deactivate_agent(&mut self, _now: Time, id: &AgentId) {
        self.set_agent_active(id, false);
    }

    fn update_whitelist(&mut self, _now: Time, hostnames: Option<BTreeSet<String>>) {
        self.rules.whitelist = hostnames;
        self.mark_all_changed();
    }

    fn recover_resources(
        &mut self,
        now: Time,
        framework: &FrameworkId,
        agent: &AgentId,
        resources: &Resources,
        filters: Option<OfferFilters>,
        hold: Hold,
    ) {
        self.take_back(now, framework, agent, resources, filters, hold);
    }

    fn transition_offered_to_allocated(&mut self, framework: &FrameworkId, agent: &AgentId, resources: &Resources) {
        self.count_as_allocated(framework, agent, resources);
    }

    fn update_allocation(
        &mut self,
        framework: &FrameworkId,
        agent: &AgentId,
        conversions: &[Conversion],
    ) -> Result<(), AllocatorError> {
        self.convert_held(framework, agent, conversions)
    }

    fn update_available(
        &mut self,
        _now: Time,
        agent: &AgentId,
        conversions: &[Conversion],
    ) -> Result<(), AllocatorError> {
        self.convert_free(agent, conversions)
    }

    fn update_unavailability(&mut self, _now: Time, agent: &AgentId, unavailability: Option<Unavailability>) {
        self.set_unavailability(agent, unavailability);
    }

    fn update_inverse_offer(
        &mut self,
        now: Time,
        agent: &AgentId,
        framework: &FrameworkId,
        answer: Option<InverseOfferAnswer>,
        filters: Option<OfferFilters>,
    ) {
        self.answer_inverse_offer(now, agent, framework, answer, filters);
    }

    fn inverse_offer_statuses(&self) -> BTreeMap<AgentId, BTreeMap<FrameworkId, InverseOfferStatus>> {
        self.list_inverse_offer_statuses()
    }

    fn suppress_roles(&mut self, _now: Time, framework: &FrameworkId, roles: &BTreeSet<String>) {
        self.suppress(framework, roles);
    }

    fn revive_roles(&mut self, _now: Time, framework: &FrameworkId, roles: &BTreeSet<String>) {
        self.revive(framework, roles);
    }

    fn update_weights(&mut self, _now: Time, weights: &BTreeMap<String, f64>) {
        for (role, weight) in weights {
            self.tree.set_weight(role, *weight);
        }
    }

    fn update_quota(&mut self, _now: Time, role: &str, quota: Quota) -> Result<(), AllocatorError> {
        let bound = |name: &String| quota.limits.get(name);
        if quota
            .guarantees
            .iter()
            .any(|(name, guarantee)| bound(name).is_some_and(|limit| guarantee > limit))
        {
            let reason = "a guarantee is above the limit of the same resource";
            return Err(AllocatorError::UnsupportedQuota {
                role: role.to_owned(),
                reason,
            });
        }
        self.set_quota(role, quota);
        Ok(())
    }

    fn has_changes(&self) -> bool {
        self.all_changed || !self.changed.is_empty()
    }

    fn allocate_changed(&mut self, now: Time) -> Allocations {
        self.cycle_over_changed(now)
    }

    fn allocate(&mut self, now: Time) -> Allocations {
        self.cycle_over_all(now)
    }

    fn explain(&self, now: Time, framework: &FrameworkId, role: &str, agent: &AgentId) -> Explanation {
        self.find_reason(now, framework, role, agent)
    }

    fn metrics(&self, now: Time) -> AllocatorMetrics {
        self.gather_metrics(now)
    }

    fn accounts(&self, agent: &AgentId) -> Option<AgentAccounts> {
        self.read_accounts(agent)
    }

    fn check_invariants(&self) -> Result<(), InvariantError> {
        self.check_accounts()
    }
}
