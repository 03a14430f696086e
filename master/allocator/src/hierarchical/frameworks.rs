//! Frameworks: description, connection, suppression.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mesos::ids::{AgentId, FrameworkId};
use mesos::resources::Resources;
use tracing::debug;

use super::HierarchicalAllocator;
use crate::api::{Activation, FrameworkInfo};
use crate::framework::{Framework, Tastes};
use crate::quantities::Vector;
use crate::tree::ClientIndex;

impl HierarchicalAllocator {
    /// The slot of a framework, made if need be.
    pub(super) fn ensure_framework(&mut self, id: &FrameworkId) -> u32 {
        if let Some(slot) = self.framework_slot(id) {
            return slot;
        }
        let slot = self.frameworks.insert(Framework::unknown(id.clone()));
        self.framework_slots.insert(id.clone(), slot);
        slot
    }

    /// The client of a framework in a role, made if need be.
    pub(super) fn ensure_client(&mut self, slot: u32, role: &str) -> ClientIndex {
        let framework = self.frameworks.at_mut(slot);
        if let Some(client) = framework.clients.get(role) {
            return *client;
        }
        let name: Arc<str> = Arc::from(framework.id.as_str());
        let node = self.tree.ensure_role(role);
        let client = self.tree.add_client(node, slot, name);
        framework.clients.insert(role.to_owned(), client);
        client
    }

    pub(super) fn insert_framework(
        &mut self,
        id: &FrameworkId,
        info: FrameworkInfo,
        used: &BTreeMap<AgentId, Resources>,
        state: Activation,
    ) {
        let slot = self.ensure_framework(id);
        self.frameworks.at_mut(slot).active = state == Activation::Active;
        self.take_over_info(slot, info);
        for (agent, resources) in used {
            if let Some(agent) = self.agent_slot(agent) {
                self.set_holdings(agent, slot, resources);
            }
        }
        self.settle_clients(slot);
        self.mark_all_changed();
        debug!(framework_id = %id, "framework added");
    }

    pub(super) fn forget_framework(&mut self, id: &FrameworkId) {
        let Some(slot) = self.framework_slot(id) else { return };
        self.drop_filters(slot, |_| true);
        let empty = Resources::new();
        let agents: Vec<u32> = self.agents.iter().map(|(agent, _)| agent).collect();
        for agent in agents {
            self.set_holdings(agent, slot, &empty);
            if let Some(maintenance) = &mut self.agents.at_mut(agent).maintenance {
                maintenance.forget(slot);
            }
        }
        let framework = self.frameworks.at_mut(slot);
        framework.active = false;
        self.take_over_info(slot, FrameworkInfo::default());
        self.settle_clients(slot);
        self.drop_if_unused(slot);
        debug!(framework_id = %id, "framework removed");
    }

    pub(super) fn set_framework_active(&mut self, id: &FrameworkId, active: bool) {
        let Some(slot) = self.framework_slot(id) else { return };
        self.frameworks.at_mut(slot).active = active;
        if active {
            self.mark_all_changed();
        } else {
            self.drop_filters(slot, |_| true);
            for (_, agent) in self.agents.iter_mut() {
                if let Some(maintenance) = &mut agent.maintenance {
                    maintenance.asked.remove(&slot);
                    maintenance.filters.remove(&slot);
                }
            }
        }
        self.settle_clients(slot);
    }

    pub(super) fn replace_framework_info(&mut self, id: &FrameworkId, info: FrameworkInfo) {
        let Some(slot) = self.framework_slot(id) else { return };
        let suppressed_before = self.frameworks.at(slot).suppressed.clone();
        self.take_over_info(slot, info);
        let framework = self.frameworks.at(slot);
        let revived: BTreeSet<String> = suppressed_before.difference(&framework.suppressed).cloned().collect();
        self.drop_filters(slot, |role| revived.contains(role));
        self.settle_clients(slot);
        self.mark_all_changed();
    }

    pub(super) fn suppress(&mut self, id: &FrameworkId, roles: &BTreeSet<String>) {
        let Some(slot) = self.framework_slot(id) else { return };
        let framework = self.frameworks.at_mut(slot);
        let roles = if roles.is_empty() {
            framework.info.roles.clone()
        } else {
            roles.clone()
        };
        framework
            .suppressed
            .extend(roles.into_iter().filter(|role| framework.info.roles.contains(role)));
        self.settle_clients(slot);
    }

    pub(super) fn revive(&mut self, id: &FrameworkId, roles: &BTreeSet<String>) {
        let Some(slot) = self.framework_slot(id) else { return };
        self.frameworks
            .at_mut(slot)
            .suppressed
            .retain(|role| !roles.is_empty() && !roles.contains(role));
        self.drop_filters(slot, |role| roles.is_empty() || roles.contains(role));
        self.settle_clients(slot);
        self.mark_all_changed();
    }

    /// Takes over a description; clients are settled later.
    fn take_over_info(&mut self, slot: u32, info: FrameworkInfo) {
        let mut minimums: BTreeMap<ClientIndex, Vec<Vector>> = BTreeMap::new();
        for role in &info.roles {
            let client = self.ensure_client(slot, role);
            if let Some(alternatives) = info.min_allocatable.get(role) {
                let places = &mut self.ledger.places;
                minimums.insert(
                    client,
                    alternatives.iter().map(|minimum| places.vector_of(minimum)).collect(),
                );
            }
        }
        let framework = self.frameworks.at_mut(slot);
        self.minimums = self.minimums + minimums.len() - framework.minimums.len();
        framework.minimums = minimums;
        framework.suppressed = info.suppressed_roles.intersection(&info.roles).cloned().collect();
        let tastes = Tastes::of(&info);
        if framework.tastes != tastes {
            framework.tastes = tastes;
            self.tastes_epoch += 1;
        }
        framework.info = info;
    }

    /// Lets clients take part in ranking or not as the framework's state says, and drops those that neither are
    /// subscribed to nor hold anything.
    pub(super) fn settle_clients(&mut self, slot: u32) {
        let framework = self.frameworks.at(slot);
        let clients: Vec<(String, ClientIndex)> = framework
            .clients
            .iter()
            .map(|(role, client)| (role.clone(), *client))
            .collect();
        for (role, client) in clients {
            let framework = self.frameworks.at(slot);
            if framework.wants(&role) {
                self.tree.activate(client);
                continue;
            }
            self.tree.deactivate(client);
            if !framework.info.roles.contains(&role) {
                self.drop_filters(slot, |other| other == role);
                if self.tree.client(client).holdings == 0 {
                    self.tree.remove_client(client);
                    self.frameworks.at_mut(slot).clients.remove(&role);
                }
            }
        }
    }

    /// Drops a framework that nothing is known of any more.
    pub(super) fn drop_if_unused(&mut self, slot: u32) {
        let framework = self.frameworks.at(slot);
        if framework.clients.is_empty() && framework.info.roles.is_empty() && !framework.active {
            let id = framework.id.clone();
            self.framework_slots.remove(&id);
            self.frameworks.remove(slot);
        }
    }

    /// Drops the offer filters of a framework in the roles chosen.
    fn drop_filters(&mut self, slot: u32, chosen: impl Fn(&str) -> bool) {
        let clients = self.frameworks.at(slot).clients.iter();
        let chosen: Vec<ClientIndex> = clients
            .filter(|(role, _)| chosen(role))
            .map(|(_, client)| *client)
            .collect();
        for client in chosen {
            for (_, agent) in self.agents.iter_mut() {
                if self.tree.client(client).filters == 0 {
                    break;
                }
                let before = self.tree.client(client).filters;
                agent
                    .filters
                    .remove_client(client, |client| self.tree.client_mut(client).filters -= 1);
                if self.tree.client(client).filters != before {
                    agent.touch();
                }
            }
        }
    }
}
