//! Inverse offers: frameworks are asked to leave agents that will be unavailable.
//!
//! One is out until it is answered, withdrawn, or expired with `--offer_timeout`. Answers tell operators whether a
//! framework will leave in time; nothing is taken from a framework that does not. Ids are drawn from the same sequence
//! as those of offers.
//!
//! Source: shared facts, `scheduler_calls.tsv` (ACCEPT_INVERSE_OFFERS, DECLINE_INVERSE_OFFERS), `messages_flow.tsv`.

use std::collections::{BTreeMap, BTreeSet};

use mesos::ids::{AgentId, FrameworkId, OfferId};
use mesos_allocator::api::{InverseOfferAnswer, InverseOfferRequest, OfferFilters};
use mesos_proto::v0::mesos as proto;

use crate::input::MasterTimer;
use crate::master::Master;
use crate::model::{Agent, Framework};
use crate::notify::Notice;
use crate::offers::agent_url;

/// An inverse offer that is out.
#[derive(Clone, Debug)]
pub struct InverseOffer {
    framework_id: FrameworkId,
    agent_id: AgentId,
    message: proto::InverseOffer,
}

impl InverseOffer {
    /// Who is asked.
    #[must_use]
    pub const fn framework_id(&self) -> &FrameworkId {
        &self.framework_id
    }

    /// Which agent will be unavailable.
    #[must_use]
    pub const fn agent_id(&self) -> &AgentId {
        &self.agent_id
    }

    /// The inverse offer as a message.
    #[must_use]
    pub const fn message(&self) -> &proto::InverseOffer {
        &self.message
    }
}

/// Inverse offers that are out.
#[derive(Clone, Debug, Default)]
pub struct InverseOffers {
    by_id: BTreeMap<OfferId, InverseOffer>,
    by_agent: BTreeMap<AgentId, BTreeSet<OfferId>>,
    by_framework: BTreeMap<FrameworkId, BTreeSet<OfferId>>,
}

impl InverseOffers {
    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&OfferId, &InverseOffer)> {
        self.by_id.iter()
    }

    /// Those that a framework has.
    pub fn of_framework(&self, id: &FrameworkId) -> impl Iterator<Item = &InverseOffer> {
        let ids = self.by_framework.get(id).into_iter().flatten();
        ids.filter_map(|id| self.by_id.get(id))
    }

    fn insert(&mut self, id: OfferId, offer: InverseOffer) {
        let agent = self.by_agent.entry(offer.agent_id.clone()).or_default();
        agent.insert(id.clone());
        let framework = self.by_framework.entry(offer.framework_id.clone()).or_default();
        framework.insert(id.clone());
        self.by_id.insert(id, offer);
    }

    fn remove(&mut self, id: &OfferId) -> Option<InverseOffer> {
        let offer = self.by_id.remove(id)?;
        take(&mut self.by_agent, &offer.agent_id, id);
        take(&mut self.by_framework, &offer.framework_id, id);
        Some(offer)
    }
}

fn take<K: Ord>(index: &mut BTreeMap<K, BTreeSet<OfferId>>, key: &K, id: &OfferId) {
    if let Some(ids) = index.get_mut(key) {
        ids.remove(id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}

impl Master {
    /// Asks frameworks as the allocator wants it.
    pub(crate) fn make_inverse_offers(&mut self, requests: Vec<InverseOfferRequest>) {
        let mut by_framework: BTreeMap<FrameworkId, Vec<AgentId>> = BTreeMap::new();
        for request in requests {
            by_framework.entry(request.framework).or_default().push(request.agent);
        }
        for (framework_id, agents) in by_framework {
            let mut messages = Vec::with_capacity(agents.len());
            let mut pids = Vec::with_capacity(agents.len());
            for agent_id in agents {
                match self.add_inverse_offer(&framework_id, &agent_id) {
                    Some((message, pid)) => {
                        messages.push(message);
                        pids.push(pid);
                    }
                    // The allocator asks again when it may be asked.
                    None => self
                        .allocator
                        .update_inverse_offer(self.now, &agent_id, &framework_id, None, None),
                }
            }
            if !messages.is_empty() {
                tracing::debug!(%framework_id, count = messages.len(), "inverse offers sent");
                self.notify(&framework_id, Notice::InverseOffers(messages, pids));
            }
        }
    }

    fn add_inverse_offer(
        &mut self,
        framework_id: &FrameworkId,
        agent_id: &AgentId,
    ) -> Option<(proto::InverseOffer, String)> {
        self.frameworks
            .get(framework_id)
            .filter(|framework| framework.is_active())?;
        let agent = self.agents.get(agent_id).filter(|agent| agent.is_active())?;
        let unavailability = self.machines.unavailability(agent)?.clone();
        let id = OfferId::numbered(&self.id, self.next_offer);
        self.next_offer += 1;
        let mut message = proto::InverseOffer::new();
        message.id = Some(id.to_proto()).into();
        message.url = Some(agent_url(agent)).into();
        message.framework_id = Some(framework_id.to_proto()).into();
        message.slave_id = Some(agent_id.to_proto()).into();
        message.unavailability = Some(unavailability).into();
        let pid = agent.upid.to_string();
        let offer = InverseOffer {
            framework_id: framework_id.clone(),
            agent_id: agent_id.clone(),
            message: message.clone(),
        };
        self.inverse_offers.insert(id.clone(), offer);
        if let Some(timeout) = self.config.offer_timeout {
            self.set_timer(MasterTimer::OfferExpiry(id), timeout);
        }
        Some((message, pid))
    }

    fn take_inverse_offer(&mut self, id: &OfferId) -> Option<InverseOffer> {
        let offer = self.inverse_offers.remove(id)?;
        if self.config.offer_timeout.is_some() {
            self.cancel_timer(MasterTimer::OfferExpiry(id.clone()));
        }
        Some(offer)
    }

    /// A framework says whether it will leave agents in time. Inverse offers that are gone or are not its own are
    /// skipped.
    pub(crate) fn answer_inverse_offers(
        &mut self,
        framework_id: &FrameworkId,
        ids: &[proto::OfferID],
        answer: InverseOfferAnswer,
        filters: OfferFilters,
    ) {
        for id in ids {
            let id = OfferId::from(id);
            let own = self
                .inverse_offers
                .by_id
                .get(&id)
                .is_some_and(|offer| offer.framework_id == *framework_id);
            let Some(offer) = own.then(|| self.take_inverse_offer(&id)).flatten() else {
                tracing::warn!(%framework_id, offer_id = %id, ?answer, "answer to an inverse offer that is not valid");
                continue;
            };
            self.allocator
                .update_inverse_offer(self.now, &offer.agent_id, framework_id, Some(answer), Some(filters));
        }
    }

    /// An offer or inverse offer was not used in time.
    pub(crate) fn offer_expired(&mut self, id: &OfferId) {
        if self.inverse_offers.by_id.contains_key(id) {
            self.rescind_inverse_offer(id);
        } else {
            self.rescind_offer(id);
        }
    }

    /// Withdraws an inverse offer.
    fn rescind_inverse_offer(&mut self, id: &OfferId) {
        if let Some(offer) = self.discard_inverse_offer(id) {
            self.notify(&offer.framework_id, Notice::RescindInverse(id.clone()));
        }
    }

    fn discard_inverse_offer(&mut self, id: &OfferId) -> Option<InverseOffer> {
        let offer = self.take_inverse_offer(id)?;
        self.allocator
            .update_inverse_offer(self.now, &offer.agent_id, &offer.framework_id, None, None);
        Some(offer)
    }

    pub(crate) fn rescind_inverse_offers_of_agent(&mut self, id: &AgentId) {
        let ids = self.inverse_offers.by_agent.get(id).cloned().unwrap_or_default();
        for id in ids {
            self.rescind_inverse_offer(&id);
        }
    }

    pub(crate) fn rescind_inverse_offers_of_framework(&mut self, id: &FrameworkId) {
        for id in self.inverse_offers_of(id) {
            self.rescind_inverse_offer(&id);
        }
    }

    /// Takes a framework's inverse offers back without telling it.
    pub(crate) fn discard_inverse_offers_of_framework(&mut self, id: &FrameworkId) {
        for id in self.inverse_offers_of(id) {
            self.discard_inverse_offer(&id);
        }
    }

    fn inverse_offers_of(&self, id: &FrameworkId) -> BTreeSet<OfferId> {
        let ids = self.inverse_offers.by_framework.get(id);
        ids.cloned().unwrap_or_default()
    }

    /// Whether every inverse offer stands between an active framework and an active agent that will be unavailable.
    pub(crate) fn check_inverse_offers(&self) -> Result<(), String> {
        for (id, offer) in self.inverse_offers.iter() {
            let framework = self
                .frameworks
                .get(&offer.framework_id)
                .is_some_and(Framework::is_active);
            let agent = self.agents.get(&offer.agent_id).filter(|agent| Agent::is_active(agent));
            let planned = agent.is_some_and(|agent| self.machines.unavailability(agent).is_some());
            if !framework || !planned {
                return Err(format!(
                    "inverse offer {id} has no active framework or no agent to leave"
                ));
            }
        }
        Ok(())
    }
}
