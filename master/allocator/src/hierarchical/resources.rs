//! What frameworks hold: given back, used, converted.

use std::sync::Arc;

use libprocess_types::Time;
use mesos::ids::{AgentId, FrameworkId};
use mesos::resources::{Conversion, Resources};
use tracing::debug;

use super::HierarchicalAllocator;
use crate::api::{AllocatorError, Hold, OfferFilters};
use crate::tree::ClientIndex;

impl HierarchicalAllocator {
    /// Makes what a framework holds of an agent exactly `resources`.
    pub(super) fn set_holdings(&mut self, agent: u32, framework: u32, resources: &Resources) {
        let held = self.agents.at(agent).holdings.iter().map(|holding| holding.client);
        let clients: Vec<ClientIndex> = held
            .filter(|client| self.tree.client(*client).framework == framework)
            .collect();
        for client in clients {
            self.change_holding(agent, client, |held| *held = Resources::new());
        }
        self.add_holdings(agent, framework, resources);
    }

    /// Adds to what a framework holds of an agent.
    pub(super) fn add_holdings(&mut self, agent: u32, framework: u32, resources: &Resources) {
        for (role, resources) in self.by_role(framework, resources) {
            let client = self.ensure_client(framework, &role);
            self.change_holding(agent, client, |held| *held += &resources);
        }
        self.agents.at_mut(agent).recount();
    }

    /// Changes a holding and the standing of its client; what is free is for the caller to adjust.
    fn change_holding(&mut self, agent: u32, client: ClientIndex, change: impl FnOnce(&mut Resources)) {
        let agent = self.agents.at_mut(agent);
        let difference = self.ledger.change_holding(&mut self.tree, agent, client, change);
        if !difference.all.is_zero() {
            self.tree.adjust(client, &difference.all);
        }
        self.clamp_offered(client);
    }

    /// Keeps what roles are offered within what they are charged.
    fn clamp_offered(&mut self, client: ClientIndex) {
        let role = self.tree.client(client).role;
        self.tree.charge(role, |node| {
            for (place, charged) in node.charged.iter() {
                if node.offered.get(place) > charged {
                    node.offered.set(place, charged.max(0));
                }
            }
        });
    }

    /// Resources by the role that they are allocated to, without allocation. What carries none belongs to the
    /// framework's only role.
    fn by_role(&self, framework: u32, resources: &Resources) -> Vec<(String, Resources)> {
        let mut parts: Vec<(String, Resources)> = Vec::new();
        for (role, part) in resources.allocations() {
            parts.push((role.to_string(), part.unallocate()));
        }
        let loose = resources.filter(|resource| resource.allocation_role().is_none());
        if let (Some(role), false) = (self.frameworks.at(framework).only_role(), loose.is_empty()) {
            match parts.iter_mut().find(|(other, _)| other == role) {
                Some((_, part)) => *part += loose,
                None => parts.push((role.clone(), loose)),
            }
        }
        parts
    }

    pub(super) fn take_back(
        &mut self,
        now: Time,
        framework: &FrameworkId,
        agent_id: &AgentId,
        resources: &Resources,
        filters: Option<OfferFilters>,
        hold: Hold,
    ) {
        let (Some(slot), Some(agent)) = (self.framework_slot(framework), self.agent_slot(agent_id)) else {
            debug!(framework_id = %framework, agent_id = %agent_id, "resources of an unknown pair came back");
            return;
        };
        for (role, part) in self.by_role(slot, resources) {
            let Some(client) = self.frameworks.at(slot).clients.get(&role).copied() else {
                continue;
            };
            self.release(agent, client, &part, hold);
            let wanted = filters.filter(|filters| !filters.refuse.is_zero());
            if let (Some(filters), true) = (wanted, self.frameworks.at(slot).info.roles.contains(&role)) {
                let lasts = filters.refuse.max(self.options.allocation_interval);
                self.agents.at_mut(agent).filters.add(client, &part, now + lasts);
                self.tree.client_mut(client).filters += 1;
            }
        }
        if hold == Hold::Allocated {
            self.mark_changed(agent);
        }
        if self.has_empty_leftovers(slot) {
            self.settle_clients(slot);
            self.drop_if_unused(slot);
        }
    }

    /// Whether some role that the framework left has nothing held any more.
    fn has_empty_leftovers(&self, slot: u32) -> bool {
        let framework = self.frameworks.at(slot);
        let mut clients = framework.clients.iter();
        clients.any(|(role, client)| !framework.info.roles.contains(role) && self.tree.client(*client).holdings == 0)
    }

    fn release(&mut self, slot: u32, client: ClientIndex, part: &Resources, hold: Hold) {
        let agent = self.agents.at_mut(slot);
        let intact = agent.holding(client).is_some_and(|held| held.contains(part)) && agent.is_intact;
        let difference = self
            .ledger
            .change_holding(&mut self.tree, agent, client, |held| *held -= part);
        if intact {
            agent.free += &part.nonshared();
            agent.touch();
        } else {
            // More came back than was held, or the agent lost what was held: count anew.
            agent.recount();
        }
        let negative = difference.all;
        if !negative.is_zero() {
            self.tree.adjust(client, &negative);
        }
        if hold == Hold::Offered {
            let role = self.tree.client(client).role;
            self.tree.charge(role, |node| node.offered.add(&difference.charged));
        }
        self.clamp_offered(client);
    }

    pub(super) fn count_as_allocated(&mut self, framework: &FrameworkId, agent: &AgentId, resources: &Resources) {
        let (Some(slot), Some(_)) = (self.framework_slot(framework), self.agent_slot(agent)) else {
            return;
        };
        for (role, part) in self.by_role(slot, resources) {
            let Some(node) = self.tree.find(&role) else { continue };
            let charged = self.ledger.measure(&part).charged;
            self.tree.charge(node, |node| {
                node.offered.subtract(&charged);
                node.offered = std::mem::take(&mut node.offered).clamped();
            });
        }
    }

    pub(super) fn convert_held(
        &mut self,
        framework: &FrameworkId,
        agent: &AgentId,
        conversions: &[Conversion],
    ) -> Result<(), AllocatorError> {
        let slot = self
            .agent_slot(agent)
            .ok_or_else(|| AllocatorError::UnknownAgent(agent.clone()))?;
        let framework = self
            .framework_slot(framework)
            .ok_or_else(|| AllocatorError::UnknownFramework(framework.clone()))?;
        let mut total = self.agents.at(slot).total.clone();
        let mut held: Vec<(Arc<str>, Resources)> = Vec::new();
        for (role, client) in &self.frameworks.at(framework).clients {
            if let Some(resources) = self.agents.at(slot).holding(*client) {
                held.push((Arc::from(role.as_str()), resources.clone()));
            }
        }
        for conversion in conversions {
            let missing = || AllocatorError::Insufficient {
                agent: agent.clone(),
                missing: conversion.consumed.to_string(),
            };
            for (role, part) in self.by_role(framework, &conversion.consumed) {
                let (_, resources) = held
                    .iter_mut()
                    .find(|(other, _)| **other == *role)
                    .ok_or_else(missing)?;
                resources.try_subtract(&part).map_err(|_| missing())?;
                total.try_subtract(&part).map_err(|_| missing())?;
            }
            for (role, part) in self.by_role(framework, &conversion.converted) {
                match held.iter_mut().find(|(other, _)| **other == *role) {
                    Some((_, resources)) => *resources += &part,
                    None => held.push((Arc::from(role.as_str()), part.clone())),
                }
                total += &new_to(&total, &part);
            }
        }
        for (role, resources) in held {
            let client = self.ensure_client(framework, &role);
            self.change_holding(slot, client, |held| *held = resources);
        }
        self.ledger
            .change_total(&mut self.tree, self.agents.at_mut(slot), total);
        Ok(())
    }

    pub(super) fn convert_free(&mut self, agent: &AgentId, conversions: &[Conversion]) -> Result<(), AllocatorError> {
        let slot = self
            .agent_slot(agent)
            .ok_or_else(|| AllocatorError::UnknownAgent(agent.clone()))?;
        let target = self.agents.at(slot);
        let (mut total, mut free) = (target.total.clone(), target.free.clone());
        // A shared resource that somebody uses is not free to vanish.
        for holding in &target.holdings {
            free -= &holding.resources.shared();
        }
        for conversion in conversions {
            let consumed = conversion.consumed.unallocate();
            let taken = free
                .try_subtract(&consumed)
                .and_then(|()| total.try_subtract(&consumed));
            taken.map_err(|_| AllocatorError::Insufficient {
                agent: agent.clone(),
                missing: consumed.to_string(),
            })?;
            let converted = conversion.converted.unallocate();
            free += &converted;
            total += &converted;
        }
        self.ledger
            .change_total(&mut self.tree, self.agents.at_mut(slot), total);
        self.mark_changed(slot);
        Ok(())
    }
}

/// The part of converted resources that an agent's total gains: all but copies of what it shares already.
fn new_to(total: &Resources, converted: &Resources) -> Resources {
    converted.filter(|resource| !resource.is_shared() || !total.contains_resource(resource))
}
