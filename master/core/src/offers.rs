//! Offers: made from what the allocator gives, withdrawn, declined, expired.
//!
//! Source: shared facts, `pitfalls.md` D1, D2, D18, `libprocess_wire.md` section 8.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesos::ids::{FrameworkId, OfferId};
use mesos::resources::format::HasResources;
use mesos_allocator::api::{Allocations, Hold, OfferFilters, OfferableAllocation};
use mesos_proto::v0::mesos as proto;
use mesos_proto::v0::scheduler::call;
use protobuf::MessageField;

use crate::effect::{Change, Effect};
use crate::input::MasterTimer;
use crate::master::{Master, Phase};
use crate::model::{Agent, Framework, Offer};
use crate::notify::Notice;

/// Resource that an isolator keeps for itself; never shown in offers.
const EPHEMERAL_PORTS: &str = "ephemeral_ports";

impl Master {
    /// The periodic round over all agents.
    pub(crate) fn allocation_round(&mut self) {
        let allocations = self.allocator.allocate(self.now);
        self.make_offers(allocations);
        self.set_timer(MasterTimer::AllocationRound, self.config.allocation_interval);
    }

    /// The round over what changed in this step.
    pub(crate) fn allocate_changed(&mut self) {
        if self.phase == Phase::Leading && self.allocator.has_changes() {
            let allocations = self.allocator.allocate_changed(self.now);
            self.make_offers(allocations);
        }
    }

    fn make_offers(&mut self, allocations: Allocations) {
        self.make_inverse_offers(allocations.inverse_offers);
        let mut by_framework: BTreeMap<FrameworkId, Vec<OfferableAllocation>> = BTreeMap::new();
        for allocation in allocations.offers {
            by_framework
                .entry(allocation.framework.clone())
                .or_default()
                .push(allocation);
        }
        for (framework_id, allocations) in by_framework {
            self.offer_to(&framework_id, allocations);
        }
    }

    fn offer_to(&mut self, framework_id: &FrameworkId, allocations: Vec<OfferableAllocation>) {
        let active = self.frameworks.get(framework_id).is_some_and(Framework::is_active);
        let mut offers = Vec::with_capacity(allocations.len());
        let mut pids = Vec::with_capacity(allocations.len());
        for allocation in allocations {
            let usable = active && self.agents.get(&allocation.agent).is_some_and(Agent::is_active);
            if !usable {
                let OfferableAllocation { agent, resources, .. } = &allocation;
                self.allocator
                    .recover_resources(self.now, framework_id, agent, resources, None, Hold::Offered);
                continue;
            }
            if let Some((offer, pid)) = self.add_offer(allocation) {
                offers.push(offer);
                pids.push(pid);
            }
        }
        if !offers.is_empty() {
            tracing::debug!(%framework_id, count = offers.len(), "offers sent");
            if let Some(framework) = self.frameworks.get_mut(framework_id) {
                framework.counters.offers_sent += offers.len() as u64;
            }
            self.notify(framework_id, Notice::Offers(offers, pids));
        }
    }

    /// Adds an offer to the model; gives it as its framework sees it, with the address of its agent.
    fn add_offer(&mut self, allocation: OfferableAllocation) -> Option<(proto::Offer, String)> {
        let id = OfferId::numbered(&self.id, self.next_offer);
        let agent = self.agents.get_mut(&allocation.agent)?;
        let framework = self.frameworks.get_mut(&allocation.framework)?;
        self.next_offer += 1;
        let mut message = offer_message(&id, framework, agent, &allocation);
        message.unavailability = self.machines.unavailability(agent).cloned().into();
        let shown = shown_to(framework, message.clone());
        framework.offers.insert(id.clone());
        agent.offers.insert(id.clone());
        let pid = agent.upid.to_string();
        let offer = Offer {
            id: id.clone(),
            framework_id: allocation.framework,
            agent_id: allocation.agent,
            role: allocation.role,
            resources: allocation.resources,
            message: Arc::new(message),
        };
        self.offers.insert(id.clone(), offer);
        if let Some(timeout) = self.config.offer_timeout {
            self.set_timer(MasterTimer::OfferExpiry(id.clone()), timeout);
        }
        self.publish(Change::OfferAdded(id));
        Some((shown, pid))
    }

    /// Takes an offer out of the model; what becomes of its resources is for the caller.
    pub(crate) fn take_offer(&mut self, id: &OfferId) -> Option<Offer> {
        let offer = self.offers.remove(id)?;
        if let Some(framework) = self.frameworks.get_mut(&offer.framework_id) {
            framework.offers.remove(id);
        }
        if let Some(agent) = self.agents.get_mut(&offer.agent_id) {
            agent.offers.remove(id);
        }
        if self.config.offer_timeout.is_some() {
            self.effects
                .push(Effect::CancelTimer(MasterTimer::OfferExpiry(id.clone())));
        }
        self.publish(Change::OfferRemoved(id.clone()));
        Some(offer)
    }

    /// Gives an offer's resources back without telling its framework.
    pub(crate) fn discard_offer(&mut self, id: &OfferId, filters: Option<OfferFilters>) -> Option<Offer> {
        let offer = self.take_offer(id)?;
        let Offer {
            framework_id,
            agent_id,
            resources,
            ..
        } = &offer;
        self.allocator
            .recover_resources(self.now, framework_id, agent_id, resources, filters, Hold::Offered);
        Some(offer)
    }

    /// Withdraws an offer.
    pub(crate) fn rescind_offer(&mut self, id: &OfferId) {
        if let Some(offer) = self.discard_offer(id, None) {
            tracing::debug!(framework_id = %offer.framework_id, offer_id = %id, "offer rescinded");
            if let Some(framework) = self.frameworks.get_mut(&offer.framework_id) {
                framework.counters.offers_rescinded += 1;
            }
            self.notify(&offer.framework_id, Notice::Rescind(id.clone()));
        }
    }

    pub(crate) fn rescind_offers_of_framework(&mut self, id: &FrameworkId) {
        self.rescind_inverse_offers_of_framework(id);
        for offer_id in self.offers_of(id) {
            self.rescind_offer(&offer_id);
        }
    }

    pub(crate) fn discard_offers_of_framework(&mut self, id: &FrameworkId) {
        self.discard_inverse_offers_of_framework(id);
        for offer_id in self.offers_of(id) {
            self.discard_offer(&offer_id, None);
        }
    }

    fn offers_of(&self, id: &FrameworkId) -> Vec<OfferId> {
        self.frameworks
            .get(id)
            .map(|framework| framework.offers.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// A framework does not want offers. Offers that are gone or are not its own are skipped.
    pub(crate) fn decline(&mut self, framework_id: &FrameworkId, decline: &call::Decline) {
        self.count("master/messages_decline_offers");
        let filters = filters_of(&decline.filters);
        for id in &decline.offer_ids {
            let id = OfferId::from(id);
            let own = self
                .offers
                .get(&id)
                .is_some_and(|offer| offer.framework_id == *framework_id);
            if own {
                self.discard_offer(&id, Some(filters));
                if let Some(framework) = self.frameworks.get_mut(framework_id) {
                    framework.counters.offers_declined += 1;
                }
            } else {
                tracing::debug!(%framework_id, offer_id = %id, "declined offer is no longer valid");
            }
        }
    }
}

/// Filters of a call; absent ones are the default ones.
pub(crate) fn filters_of(filters: &MessageField<proto::Filters>) -> OfferFilters {
    OfferFilters::from_refuse_seconds(filters.as_ref().and_then(|filters| filters.refuse_seconds))
}

fn offer_message(id: &OfferId, framework: &Framework, agent: &Agent, allocation: &OfferableAllocation) -> proto::Offer {
    let mut offer = proto::Offer::new();
    offer.id = Some(id.to_proto()).into();
    offer.framework_id = Some(framework.id.to_proto()).into();
    offer.slave_id = Some(agent.id.to_proto()).into();
    offer.set_hostname(agent.info.hostname().to_owned());
    offer.url = Some(agent_url(agent)).into();
    offer.domain = agent.info.domain.clone();
    offer.resources = allocation.resources.to_protobuf();
    offer.attributes = agent.info.attributes.clone();
    let executors = agent.executors.get(&framework.id).into_iter().flat_map(BTreeMap::keys);
    offer.executor_ids = executors.map(mesos::ids::ExecutorId::to_proto).collect();
    offer
        .allocation_info
        .mut_or_insert_default()
        .set_role(allocation.role.to_string());
    offer
}

/// Where an agent is found.
pub(crate) fn agent_url(agent: &Agent) -> proto::URL {
    let mut url = proto::URL::new();
    url.set_scheme("http".to_owned());
    let address = url.address.mut_or_insert_default();
    address.set_hostname(agent.info.hostname().to_owned());
    address.set_ip(agent.upid.address().ip().to_string());
    address.set_port(i32::from(agent.upid.address().port()));
    url.set_path(format!("/{}", agent.upid.id()));
    url
}

/// The offer in the form that the framework understands.
fn shown_to(framework: &Framework, mut offer: proto::Offer) -> proto::Offer {
    offer.resources.retain(|resource| resource.name() != EPHEMERAL_PORTS);
    if !framework.capabilities.multi_role {
        offer.allocation_info = MessageField::none();
        offer.strip_allocation();
    }
    if !framework.capabilities.reservation_refinement
        && let Err(error) = offer.downgrade_resources()
    {
        // The allocator keeps refined reservations from such frameworks.
        tracing::error!(framework_id = %framework.id, %error, "offer is not expressible for its framework");
    }
    offer
}
