//! Agents: total resources, what frameworks held before, planned unavailability.

use std::collections::BTreeMap;

use libprocess_types::Time;
use mesos::ids::{AgentId, FrameworkId};
use mesos::resources::Resources;
use tracing::debug;

use super::HierarchicalAllocator;
use crate::agent::Agent;
use crate::api::{AgentInfo, InverseOfferAnswer, InverseOfferStatus, OfferFilters, Unavailability};
use crate::maintenance::Maintenance;

impl HierarchicalAllocator {
    pub(super) fn insert_agent(
        &mut self,
        id: &AgentId,
        info: AgentInfo,
        total: &Resources,
        used: &BTreeMap<FrameworkId, Resources>,
    ) {
        if self.agent_slots.contains_key(id) {
            // A second registration replaces the first.
            self.forget_agent(id);
        }
        let unavailability = info.unavailability;
        self.agents_added += 1;
        let mut agent = Agent::new(id.clone(), self.agents_added, info, total.unallocate());
        agent.maintenance = unavailability.map(Maintenance::new);
        self.ledger.count_total(&mut self.tree, &agent.total, &Resources::new());
        let slot = self.agents.insert(agent);
        self.agent_slots.insert(id.clone(), slot);
        for (framework, resources) in used {
            let framework = self.ensure_framework(framework);
            self.set_holdings(slot, framework, resources);
        }
        self.mark_changed(slot);
        debug!(agent_id = %id, "agent added");
    }

    pub(super) fn forget_agent(&mut self, id: &AgentId) {
        let Some(slot) = self.agent_slots.remove(id) else {
            return;
        };
        let empty = Resources::new();
        for framework in self.holders(slot) {
            self.set_holdings(slot, framework, &empty);
            self.settle_clients(framework);
            self.drop_if_unused(framework);
        }
        self.drop_agent_filters(slot);
        if let Some(agent) = self.agents.remove(slot) {
            self.ledger.count_total(&mut self.tree, &empty, &agent.total);
        }
        self.changed.retain(|other| *other != slot);
        debug!(agent_id = %id, "agent removed");
    }

    pub(super) fn replace_agent_info(&mut self, id: &AgentId, info: AgentInfo, total: Option<&Resources>) {
        let Some(slot) = self.agent_slot(id) else { return };
        let agent = self.agents.at_mut(slot);
        let unavailability = info.unavailability;
        agent.info = info;
        if agent.maintenance.as_ref().map(|maintenance| maintenance.unavailability) != unavailability {
            agent.maintenance = unavailability.map(Maintenance::new);
        }
        if let Some(total) = total.map(Resources::unallocate).filter(|total| *total != agent.total) {
            self.ledger.change_total(&mut self.tree, agent, total);
            self.drop_agent_filters(slot);
        }
        self.mark_changed(slot);
    }

    pub(super) fn extend_agent(&mut self, id: &AgentId, total: &Resources, used: &BTreeMap<FrameworkId, Resources>) {
        let Some(slot) = self.agent_slot(id) else { return };
        let agent = self.agents.at_mut(slot);
        let sum = &agent.total + &total.unallocate();
        self.ledger.change_total(&mut self.tree, agent, sum);
        for (framework, resources) in used {
            let framework = self.ensure_framework(framework);
            self.add_holdings(slot, framework, resources);
        }
        self.mark_changed(slot);
    }

    pub(super) fn set_agent_active(&mut self, id: &AgentId, active: bool) {
        let Some(slot) = self.agent_slot(id) else { return };
        self.agents.at_mut(slot).active = active;
        if active {
            self.mark_changed(slot);
        }
    }

    /// Frameworks that hold something of an agent.
    pub(super) fn holders(&self, slot: u32) -> Vec<u32> {
        let holdings = self.agents.at(slot).holdings.iter();
        let mut holders: Vec<u32> = holdings
            .map(|holding| self.tree.client(holding.client).framework)
            .collect();
        holders.sort_unstable();
        holders.dedup();
        holders
    }

    fn drop_agent_filters(&mut self, slot: u32) {
        let tree = &mut self.tree;
        self.agents
            .at_mut(slot)
            .filters
            .clear(|client| tree.client_mut(client).filters -= 1);
    }

    pub(super) fn set_unavailability(&mut self, id: &AgentId, unavailability: Option<Unavailability>) {
        let Some(slot) = self.agent_slot(id) else { return };
        let agent = self.agents.at_mut(slot);
        agent.info.unavailability = unavailability;
        agent.maintenance = unavailability.map(Maintenance::new);
        self.mark_changed(slot);
    }

    pub(super) fn answer_inverse_offer(
        &mut self,
        now: Time,
        agent: &AgentId,
        framework: &FrameworkId,
        answer: Option<InverseOfferAnswer>,
        filters: Option<OfferFilters>,
    ) {
        let (Some(slot), Some(framework)) = (self.agent_slot(agent), self.framework_slot(framework)) else {
            return;
        };
        let interval = self.options.allocation_interval;
        let Some(maintenance) = &mut self.agents.at_mut(slot).maintenance else {
            return;
        };
        maintenance.asked.remove(&framework);
        if let Some(answer) = answer {
            maintenance
                .statuses
                .insert(framework, InverseOfferStatus { answer, at: now });
        }
        if let Some(filters) = filters.filter(|filters| !filters.refuse.is_zero()) {
            maintenance
                .filters
                .insert(framework, now + filters.refuse.max(interval));
        }
    }

    pub(super) fn list_inverse_offer_statuses(&self) -> BTreeMap<AgentId, BTreeMap<FrameworkId, InverseOfferStatus>> {
        let mut listed: BTreeMap<AgentId, BTreeMap<FrameworkId, InverseOfferStatus>> = BTreeMap::new();
        for (_, agent) in self.agents.iter() {
            let Some(maintenance) = &agent.maintenance else {
                continue;
            };
            for (framework, status) in &maintenance.statuses {
                let framework = self.frameworks.at(*framework).id.clone();
                listed.entry(agent.id.clone()).or_default().insert(framework, *status);
            }
        }
        listed
    }
}
