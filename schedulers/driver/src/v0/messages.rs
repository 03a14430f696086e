//! What the driver makes of messages from masters and agents.

use libprocess_types::Upid;
use mesos::Message;
use mesos_proto::internal::wire::messages as wire;
use mesos_proto::v0::mesos::{Offer, SlaveID, TaskStatus};
use mesos_proto::v0::scheduler::{Event, call, event};

use super::core::{Callback, Core, Effect, Registration};

impl Core {
    pub(super) fn message_received(&mut self, from: &Upid, message: Message) -> Vec<Effect> {
        // Agents send framework messages directly; everything else counts only from the master that is followed.
        if let Message::ExecutorToFramework(message) = message {
            return executor_message(*message);
        }
        if self.master.as_ref() != Some(from) {
            return Vec::new();
        }
        match message {
            Message::FrameworkRegistered(mut message) => {
                let (id, master) = (message.framework_id.take(), message.master_info.take());
                self.registered(id.unwrap_or_default(), master.unwrap_or_default(), Registration::First)
            }
            Message::FrameworkReregistered(mut message) => {
                let (id, master) = (message.framework_id.take(), message.master_info.take());
                self.registered(id.unwrap_or_default(), master.unwrap_or_default(), Registration::Again)
            }
            Message::FrameworkError(message) => self.refused(message.message().to_owned()),
            Message::SchedulerEvent(event) => self.event_received(*event),
            _ if !self.connected => Vec::new(),
            Message::ResourceOffers(message) => self.offers_received(message.offers, &message.pids),
            Message::RescindResourceOffer(mut message) => {
                let id = message.offer_id.take().unwrap_or_default();
                self.offered_agents.remove(id.value());
                vec![Effect::Tell(Callback::OfferRescinded(id))]
            }
            Message::StatusUpdate(message) => self.update_received(*message),
            Message::LostSlave(mut message) => self.agent_lost(message.slave_id.take().unwrap_or_default()),
            Message::ExitedExecutor(mut message) => vec![Effect::Tell(Callback::ExecutorLost(
                message.executor_id.take().unwrap_or_default(),
                message.slave_id.take().unwrap_or_default(),
                message.status(),
            ))],
            _ => Vec::new(),
        }
    }

    fn offers_received(&mut self, offers: Vec<Offer>, pids: &[String]) -> Vec<Effect> {
        for (offer, pid) in offers.iter().zip(pids) {
            if let Ok(agent) = pid.parse::<Upid>() {
                let agent_id = offer.slave_id.as_ref().cloned().unwrap_or_default();
                self.offered_agents
                    .insert(offer.id.value().to_owned(), (agent_id, agent));
            }
        }
        vec![Effect::Tell(Callback::ResourceOffers(offers))]
    }

    fn update_received(&mut self, mut message: wire::StatusUpdateMessage) -> Vec<Effect> {
        let update = message.update.mut_or_insert_default();
        let mut status = update.status.take().unwrap_or_default();
        status.set_timestamp(update.timestamp());
        if status.slave_id.is_none() {
            status.slave_id = update.slave_id.clone();
        }
        if status.executor_id.is_none() {
            status.executor_id = update.executor_id.clone();
        }
        // Updates that a master made carry no uuid and want no acknowledgement.
        status.uuid = update.uuid.take().filter(|uuid| !uuid.is_empty());
        self.tell_update(status)
    }

    fn tell_update(&mut self, status: TaskStatus) -> Vec<Effect> {
        let acknowledgement = if self.config.implicit_acknowledgements {
            self.acknowledgement(&status)
        } else {
            None
        };
        let mut effects = vec![Effect::Tell(Callback::StatusUpdate(Box::new(status)))];
        effects.extend(acknowledgement.map(|(to, message)| Effect::AcknowledgeImplicitly { to, message }));
        effects
    }

    /// The acknowledgement of a status, when it wants one and a master is there to take it.
    pub(super) fn acknowledgement(&self, status: &TaskStatus) -> Option<(Upid, Message)> {
        let uuid = status.uuid.as_ref().filter(|uuid| !uuid.is_empty())?;
        status.slave_id.as_ref()?;
        let master = self.master.clone().filter(|_| self.connected)?;
        let mut call = self.call(call::Type::ACKNOWLEDGE);
        let acknowledge = call.acknowledge.mut_or_insert_default();
        acknowledge.slave_id = status.slave_id.clone();
        acknowledge.task_id = status.task_id.clone();
        acknowledge.set_uuid(uuid.clone());
        Some((master, call.into()))
    }

    fn agent_lost(&mut self, agent_id: SlaveID) -> Vec<Effect> {
        self.known_agents.remove(agent_id.value());
        vec![Effect::Tell(Callback::AgentLost(agent_id))]
    }

    fn event_received(&mut self, mut event: Event) -> Vec<Effect> {
        match event.type_() {
            event::Type::SUBSCRIBED => {
                let subscribed = event.subscribed.mut_or_insert_default();
                let id = subscribed.framework_id.take().unwrap_or_default();
                let known = self.framework_id().is_some_and(|mine| *mine == id);
                let kind = if known {
                    Registration::Again
                } else {
                    Registration::First
                };
                self.registered(id, subscribed.master_info.take().unwrap_or_default(), kind)
            }
            event::Type::ERROR => self.refused(event.error.message().to_owned()),
            _ if !self.connected => Vec::new(),
            event::Type::OFFERS => {
                self.offers_received(std::mem::take(&mut event.offers.mut_or_insert_default().offers), &[])
            }
            event::Type::RESCIND => {
                let id = event
                    .rescind
                    .mut_or_insert_default()
                    .offer_id
                    .take()
                    .unwrap_or_default();
                vec![Effect::Tell(Callback::OfferRescinded(id))]
            }
            event::Type::UPDATE => {
                let status = event.update.mut_or_insert_default().status.take().unwrap_or_default();
                self.tell_update(status)
            }
            event::Type::FAILURE => self.failure(&mut event),
            event::Type::MESSAGE => {
                let message = event.message.mut_or_insert_default();
                vec![Effect::Tell(Callback::FrameworkMessage(
                    message.executor_id.take().unwrap_or_default(),
                    message.slave_id.take().unwrap_or_default(),
                    message.take_data(),
                ))]
            }
            // The v0 interface has no callback for inverse offers, operations and heartbeats.
            event::Type::INVERSE_OFFERS
            | event::Type::RESCIND_INVERSE_OFFER
            | event::Type::UPDATE_OPERATION_STATUS
            | event::Type::HEARTBEAT
            | event::Type::UNKNOWN => Vec::new(),
        }
    }

    fn failure(&mut self, event: &mut Event) -> Vec<Effect> {
        let failure = event.failure.mut_or_insert_default();
        let agent_id = failure.slave_id.take().unwrap_or_default();
        match failure.executor_id.take() {
            Some(executor) => vec![Effect::Tell(Callback::ExecutorLost(
                executor,
                agent_id,
                failure.status(),
            ))],
            None => self.agent_lost(agent_id),
        }
    }
}

fn executor_message(mut message: wire::ExecutorToFrameworkMessage) -> Vec<Effect> {
    vec![Effect::Tell(Callback::FrameworkMessage(
        message.executor_id.take().unwrap_or_default(),
        message.slave_id.take().unwrap_or_default(),
        message.take_data(),
    ))]
}
