//! Telling schedulers: one notice, two forms. HTTP schedulers get events on their stream, libprocess schedulers get
//! the older single messages, as their drivers expect.
//!
//! Source: shared facts, `messages_flow.tsv`, `scheduler_calls.tsv`.

use libprocess_types::Upid;
use mesos::Message;
use mesos::ids::{AgentId, FrameworkId, OfferId};
use mesos_proto::internal::wire::messages as wire;
use mesos_proto::v0::mesos as proto;
use mesos_proto::v0::scheduler::{Event, event};

use crate::effect::{Effect, Sender};
use crate::input::{MasterTimer, StreamId};
use crate::master::Master;
use crate::model::Connection;

/// What a scheduler is told.
#[derive(Clone, Debug)]
pub(crate) enum Notice {
    /// Subscribed: new here, or now at this address.
    Registered,
    /// Subscribed again.
    Reregistered,
    /// Offers with the addresses of their agents.
    Offers(Vec<proto::Offer>, Vec<String>),
    /// An offer is withdrawn.
    Rescind(OfferId),
    /// Requests to leave agents, with the addresses of the agents.
    InverseOffers(Vec<proto::InverseOffer>, Vec<String>),
    /// Such a request is withdrawn.
    RescindInverse(OfferId),
    /// A task's status, and who waits for the acknowledgement.
    Update(Box<wire::StatusUpdate>, Acknowledgee),
    /// Data from an executor.
    Message(Box<wire::ExecutorToFrameworkMessage>),
    /// An executor ended.
    ExecutorExited(Box<wire::ExitedExecutorMessage>),
    /// An agent is lost.
    AgentLost(AgentId),
    /// Status of an operation; drivers take it as an event.
    Operation(Box<proto::OperationStatus>),
    /// The scheduler must stop.
    Error(String),
}

impl Notice {
    /// The event that the notice is, or that its older message stands for.
    const fn kind(&self) -> event::Type {
        match self {
            Self::Registered | Self::Reregistered => event::Type::SUBSCRIBED,
            Self::Offers(..) => event::Type::OFFERS,
            Self::Rescind(_) => event::Type::RESCIND,
            Self::InverseOffers(..) => event::Type::INVERSE_OFFERS,
            Self::RescindInverse(_) => event::Type::RESCIND_INVERSE_OFFER,
            Self::Update(..) => event::Type::UPDATE,
            Self::Message(_) => event::Type::MESSAGE,
            Self::ExecutorExited(_) | Self::AgentLost(_) => event::Type::FAILURE,
            Self::Operation(_) => event::Type::UPDATE_OPERATION_STATUS,
            Self::Error(_) => event::Type::ERROR,
        }
    }
}

/// Who waits for the acknowledgement of an update.
#[derive(Clone, Debug)]
pub(crate) enum Acknowledgee {
    /// The agent at this address.
    Agent(Upid),
    /// Nobody: the master made the update.
    Nobody,
    /// Nobody, and the field stays unset: an answer to reconciliation.
    Unset,
}

impl Master {
    pub(crate) fn send(&mut self, to: &Upid, message: impl Into<Message>) {
        self.effects.push(Effect::Send {
            sender: Sender::Master,
            to: to.clone(),
            message: message.into(),
        });
    }

    /// Tells a framework, if it is there and connected; gives whether it was told.
    pub(crate) fn notify(&mut self, framework_id: &FrameworkId, notice: Notice) -> bool {
        let connection = self
            .frameworks
            .get(framework_id)
            .and_then(|framework| framework.connection().cloned());
        let Some(connection) = connection else {
            tracing::debug!(%framework_id, "scheduler is not connected, not told");
            return false;
        };
        self.deliver(&connection, framework_id, notice);
        true
    }

    /// Writes a notice to a connection, which need not be the framework's own (an older or a refused one).
    pub(crate) fn deliver(&mut self, connection: &Connection, framework_id: &FrameworkId, notice: Notice) {
        self.count_event(framework_id, notice.kind());
        match connection {
            Connection::Stream(stream) => {
                let event = self.event(framework_id, notice);
                self.effects.push(Effect::StreamEvent {
                    stream: stream.clone(),
                    event: Box::new(event),
                });
            }
            Connection::Process(upid) => {
                let message = self.message(framework_id, notice);
                self.effects.push(Effect::Send {
                    sender: Sender::Master,
                    to: upid.clone(),
                    message,
                });
            }
        }
    }

    fn count_event(&mut self, framework_id: &FrameworkId, kind: event::Type) {
        if let Some(framework) = self.frameworks.get_mut(framework_id) {
            framework.counters.event(kind);
        }
    }

    /// The first heartbeat of a stream comes with the subscription, the others periodically.
    pub(crate) fn heartbeat(&mut self, stream: &StreamId) {
        let subscribed = Connection::Stream(stream.clone());
        let owner = self
            .frameworks
            .values_mut()
            .find(|framework| framework.connection() == Some(&subscribed));
        let Some(owner) = owner else { return };
        owner.counters.event(event::Type::HEARTBEAT);
        let event = Box::new(typed(event::Type::HEARTBEAT));
        self.effects.push(Effect::StreamEvent {
            stream: stream.clone(),
            event,
        });
        self.set_timer(MasterTimer::Heartbeat(stream.clone()), self.config.heartbeat_interval);
    }

    fn event(&self, framework_id: &FrameworkId, notice: Notice) -> Event {
        match notice {
            Notice::Registered | Notice::Reregistered => {
                let mut event = typed(event::Type::SUBSCRIBED);
                let subscribed = event.subscribed.mut_or_insert_default();
                subscribed.framework_id = Some(framework_id.to_proto()).into();
                subscribed.set_heartbeat_interval_seconds(self.config.heartbeat_interval.as_secs_f64());
                subscribed.master_info = Some(self.config.info.clone()).into();
                event
            }
            Notice::Offers(offers, _) => {
                let mut event = typed(event::Type::OFFERS);
                event.offers.mut_or_insert_default().offers = offers;
                event
            }
            Notice::Rescind(offer_id) => {
                let mut event = typed(event::Type::RESCIND);
                event.rescind.mut_or_insert_default().offer_id = Some(offer_id.to_proto()).into();
                event
            }
            Notice::InverseOffers(offers, _) => {
                let mut event = typed(event::Type::INVERSE_OFFERS);
                event.inverse_offers.mut_or_insert_default().inverse_offers = offers;
                event
            }
            Notice::RescindInverse(offer_id) => {
                let mut event = typed(event::Type::RESCIND_INVERSE_OFFER);
                let rescind = event.rescind_inverse_offer.mut_or_insert_default();
                rescind.inverse_offer_id = Some(offer_id.to_proto()).into();
                event
            }
            Notice::Update(update, _) => update_event(*update),
            Notice::Message(message) => {
                let mut event = typed(event::Type::MESSAGE);
                let body = event.message.mut_or_insert_default();
                body.slave_id = message.slave_id;
                body.executor_id = message.executor_id;
                body.data = message.data;
                event
            }
            Notice::ExecutorExited(exited) => {
                let mut event = typed(event::Type::FAILURE);
                let failure = event.failure.mut_or_insert_default();
                failure.slave_id = exited.slave_id;
                failure.executor_id = exited.executor_id;
                failure.status = exited.status;
                event
            }
            Notice::AgentLost(agent_id) => {
                let mut event = typed(event::Type::FAILURE);
                event.failure.mut_or_insert_default().slave_id = Some(agent_id.to_proto()).into();
                event
            }
            Notice::Operation(status) => operation_event(*status),
            Notice::Error(message) => {
                let mut event = typed(event::Type::ERROR);
                event.error.mut_or_insert_default().set_message(message);
                event
            }
        }
    }

    fn message(&self, framework_id: &FrameworkId, notice: Notice) -> Message {
        match notice {
            Notice::Registered => {
                let mut message = wire::FrameworkRegisteredMessage::new();
                message.framework_id = Some(framework_id.to_proto()).into();
                message.master_info = Some(self.config.info.clone()).into();
                message.into()
            }
            Notice::Reregistered => {
                let mut message = wire::FrameworkReregisteredMessage::new();
                message.framework_id = Some(framework_id.to_proto()).into();
                message.master_info = Some(self.config.info.clone()).into();
                message.into()
            }
            Notice::Offers(offers, pids) => {
                let mut message = wire::ResourceOffersMessage::new();
                message.offers = offers;
                message.pids = pids;
                message.into()
            }
            Notice::Rescind(offer_id) => {
                let mut message = wire::RescindResourceOfferMessage::new();
                message.offer_id = Some(offer_id.to_proto()).into();
                message.into()
            }
            Notice::InverseOffers(offers, pids) => {
                let mut message = wire::InverseOffersMessage::new();
                message.inverse_offers = offers;
                message.pids = pids;
                message.into()
            }
            Notice::RescindInverse(offer_id) => {
                let mut message = wire::RescindInverseOfferMessage::new();
                message.inverse_offer_id = Some(offer_id.to_proto()).into();
                message.into()
            }
            Notice::Update(update, acknowledgee) => {
                let mut message = wire::StatusUpdateMessage::new();
                message.update = Some(*update).into();
                message.pid = match acknowledgee {
                    Acknowledgee::Agent(upid) => Some(upid.to_string()),
                    Acknowledgee::Nobody => Some(Upid::anonymous().to_string()),
                    Acknowledgee::Unset => None,
                };
                message.into()
            }
            Notice::Message(message) => (*message).into(),
            Notice::ExecutorExited(message) => (*message).into(),
            Notice::AgentLost(agent_id) => {
                let mut message = wire::LostSlaveMessage::new();
                message.slave_id = Some(agent_id.to_proto()).into();
                message.into()
            }
            Notice::Operation(status) => operation_event(*status).into(),
            Notice::Error(text) => {
                let mut message = wire::FrameworkErrorMessage::new();
                message.set_message(text);
                message.into()
            }
        }
    }
}

fn typed(kind: event::Type) -> Event {
    let mut event = Event::new();
    event.set_type(kind);
    event
}

fn operation_event(status: proto::OperationStatus) -> Event {
    let mut event = typed(event::Type::UPDATE_OPERATION_STATUS);
    event.update_operation_status.mut_or_insert_default().status = Some(status).into();
    event
}

/// An event carries the status alone: what stands around it in the update is copied in. The uuid is there exactly
/// when somebody waits for the acknowledgement.
fn update_event(update: wire::StatusUpdate) -> Event {
    let mut status = update.status.unwrap_or_default();
    if update.slave_id.is_some() {
        status.slave_id = update.slave_id;
    }
    if update.executor_id.is_some() {
        status.executor_id = update.executor_id;
    }
    status.timestamp = update.timestamp;
    status.uuid = update.uuid.filter(|uuid| !uuid.is_empty());
    let mut event = typed(event::Type::UPDATE);
    event.update.mut_or_insert_default().status = Some(status).into();
    event
}
