//! State of the driver and the rules of being subscribed.
//!
//! Source: shared facts, `messages_flow.tsv` (retry of SUBSCRIBE, older messages) and `pitfalls.md` (D4, D10, D11).

use std::collections::BTreeMap;
use std::time::Duration;

use libprocess_types::{Time, Upid};
use mesos::Message;
use mesos_proto::v0::mesos::{ExecutorID, FrameworkID, FrameworkInfo, MasterInfo, Offer, OfferID, SlaveID, TaskStatus};
use mesos_proto::v0::scheduler::{Call, call};
use protobuf::MessageField;

use super::calls::ApiCall;

/// Longest bound of the random delay between two SUBSCRIBE attempts.
const SUBSCRIBE_RETRY_MAX: Duration = Duration::from_secs(60);

/// What the driver is told at its start.
#[derive(Clone, Debug)]
pub struct DriverConfig {
    /// The framework; with an id when it fails over.
    pub framework: FrameworkInfo,
    /// Roles that want no offers at first.
    pub suppressed_roles: Vec<String>,
    /// Whether the driver acknowledges each update after the callback.
    pub implicit_acknowledgements: bool,
    /// `registration_backoff_factor`, 2 s by default.
    pub registration_backoff_factor: Duration,
    /// Seed of the random delays.
    pub seed: u64,
}

impl DriverConfig {
    /// Defaults of the facts for one framework: implicit acknowledgements, 2 s back-off.
    #[must_use]
    pub fn new(framework: FrameworkInfo) -> Self {
        Self {
            framework,
            suppressed_roles: Vec::new(),
            implicit_acknowledgements: true,
            registration_backoff_factor: Duration::from_secs(2),
            seed: 1,
        }
    }
}

/// Timers of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Send SUBSCRIBE again unless this connection number is old or subscribed.
    Subscribe(u64),
}

/// What can happen to the driver.
#[derive(Clone, Debug)]
pub enum Input {
    /// A master was found, or none is known.
    MasterDetected(Option<Upid>),
    /// A message arrived.
    MessageReceived {
        /// Sender as the header gave it.
        from: Upid,
        /// The message.
        message: Message,
    },
    /// A linked process went away.
    Exited(Upid),
    /// A timer passed.
    TimerElapsed(Timer),
    /// The framework asked for something.
    Called(ApiCall),
}

/// What the framework is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Callback {
    /// First subscription.
    Registered(FrameworkID, MasterInfo),
    /// Subscription of a framework that the master knew.
    Reregistered(MasterInfo),
    /// The master is gone; another subscription follows by itself.
    Disconnected,
    /// New offers.
    ResourceOffers(Vec<Offer>),
    /// An offer was withdrawn.
    OfferRescinded(OfferID),
    /// A task changed.
    StatusUpdate(Box<TaskStatus>),
    /// An executor sent bytes.
    FrameworkMessage(ExecutorID, SlaveID, Vec<u8>),
    /// An agent was lost.
    AgentLost(SlaveID),
    /// An executor ended with a wait status.
    ExecutorLost(ExecutorID, SlaveID, i32),
    /// The master refused the framework; the driver is aborted.
    Error(String),
}

/// What the driver wants done, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send a message.
    Send {
        /// Receiver.
        to: Upid,
        /// The message.
        message: Message,
    },
    /// Hear of the end of this process; a broken connection is made anew.
    Link(Upid),
    /// Arm a timer.
    SetTimer {
        /// Handed back when it passes.
        timer: Timer,
        /// When.
        after: Duration,
    },
    /// Call the framework.
    Tell(Callback),
    /// Acknowledge after the callback before it returned, unless that callback aborted the driver.
    AcknowledgeImplicitly {
        /// Master to tell.
        to: Upid,
        /// The acknowledgement.
        message: Message,
    },
}

/// The driver's rules.
#[derive(Debug)]
pub struct Core {
    pub(super) config: DriverConfig,
    pub(super) master: Option<Upid>,
    pub(super) connected: bool,
    pub(super) aborted: bool,
    /// Whether the next SUBSCRIBE takes the framework over from another instance.
    failover: bool,
    /// Whether SUBSCRIBE was sent since the driver was last disconnected.
    subscribing: bool,
    connection: u64,
    retry_bound: Duration,
    random_state: u64,
    /// Addresses of agents, by offer: the direct way for framework messages once a task runs there.
    pub(super) offered_agents: BTreeMap<String, (SlaveID, Upid)>,
    pub(super) known_agents: BTreeMap<String, Upid>,
}

impl Core {
    /// Builds the rules; nothing happens before a master is detected.
    #[must_use]
    pub fn new(config: DriverConfig) -> Self {
        let failover = config.framework.id.as_ref().is_some_and(|id| !id.value().is_empty());
        Self {
            random_state: config.seed | 1,
            retry_bound: config.registration_backoff_factor,
            config,
            master: None,
            connected: false,
            aborted: false,
            failover,
            subscribing: false,
            connection: 0,
            offered_agents: BTreeMap::new(),
            known_agents: BTreeMap::new(),
        }
    }

    /// Id that the master gave the framework; absent before the first registration.
    #[must_use]
    pub fn framework_id(&self) -> Option<&FrameworkID> {
        self.config.framework.id.as_ref()
    }

    /// Whether the driver ended by an error or an abort.
    #[must_use]
    pub const fn is_aborted(&self) -> bool {
        self.aborted
    }

    /// Applies one input.
    pub fn step(&mut self, now: Time, input: Input) -> Vec<Effect> {
        if self.aborted {
            return match input {
                Input::Called(ApiCall::Stop { .. }) => self.called(now, ApiCall::Stop { failover: true }),
                _ => Vec::new(),
            };
        }
        match input {
            Input::MasterDetected(master) => self.master_detected(master),
            Input::MessageReceived { from, message } => self.message_received(&from, message),
            Input::Exited(upid) => self.exited(&upid),
            Input::TimerElapsed(Timer::Subscribe(connection)) => self.subscribe_again(connection),
            Input::Called(call) => self.called(now, call),
        }
    }

    fn master_detected(&mut self, master: Option<Upid>) -> Vec<Effect> {
        let mut effects = self.disconnect();
        self.master = master;
        if let Some(master) = self.master.clone() {
            effects.push(Effect::Link(master));
            self.retry_bound = self.config.registration_backoff_factor;
            effects.extend(self.subscribe());
        }
        effects
    }

    /// The connection to the master broke: without another detector the same address is tried again.
    fn exited(&mut self, upid: &Upid) -> Vec<Effect> {
        if self.master.as_ref() != Some(upid) {
            self.known_agents.retain(|_, agent| agent != upid);
            return Vec::new();
        }
        let mut effects = self.disconnect();
        self.retry_bound = self.config.registration_backoff_factor;
        effects.push(self.arm_retry());
        effects
    }

    fn disconnect(&mut self) -> Vec<Effect> {
        self.connection += 1;
        self.subscribing = false;
        let was_connected = std::mem::replace(&mut self.connected, false);
        if was_connected {
            vec![Effect::Tell(Callback::Disconnected)]
        } else {
            Vec::new()
        }
    }

    fn subscribe_again(&mut self, connection: u64) -> Vec<Effect> {
        if connection != self.connection || self.connected {
            return Vec::new();
        }
        let Some(master) = self.master.clone() else {
            return Vec::new();
        };
        let mut effects = vec![Effect::Link(master)];
        effects.extend(self.subscribe());
        effects
    }

    fn subscribe(&mut self) -> Vec<Effect> {
        let Some(master) = self.master.clone() else {
            return Vec::new();
        };
        self.subscribing = true;
        let mut call = self.call(call::Type::SUBSCRIBE);
        let subscribe = call.subscribe.mut_or_insert_default();
        subscribe.framework_info = MessageField::some(self.config.framework.clone());
        subscribe.suppressed_roles.clone_from(&self.config.suppressed_roles);
        if self.failover {
            subscribe.set_force(true);
        }
        let retry = self.arm_retry();
        vec![
            Effect::Send {
                to: master,
                message: call.into(),
            },
            retry,
        ]
    }

    fn arm_retry(&mut self) -> Effect {
        let failover_timeout = Duration::try_from_secs_f64(self.config.framework.failover_timeout() / 10.0);
        let cap = match failover_timeout {
            Ok(tenth) if !tenth.is_zero() => tenth.min(SUBSCRIBE_RETRY_MAX),
            _ => SUBSCRIBE_RETRY_MAX,
        };
        self.retry_bound = (self.retry_bound * 2).min(cap);
        let bound = u64::try_from(self.retry_bound.as_nanos()).unwrap_or(u64::MAX).max(1);
        let after = Duration::from_nanos(self.next_random() % bound);
        Effect::SetTimer {
            timer: Timer::Subscribe(self.connection),
            after,
        }
    }

    fn next_random(&mut self) -> u64 {
        self.random_state ^= self.random_state << 13;
        self.random_state ^= self.random_state >> 7;
        self.random_state ^= self.random_state << 17;
        self.random_state
    }

    pub(super) fn registered(&mut self, id: FrameworkID, master: MasterInfo, first: Registration) -> Vec<Effect> {
        if self.connected || !self.subscribing {
            // The answer to a repeated SUBSCRIBE, or to one that a master took before it went away.
            return Vec::new();
        }
        self.connected = true;
        self.failover = false;
        self.connection += 1;
        self.config.framework.id = MessageField::some(id.clone());
        vec![Effect::Tell(match first {
            Registration::First => Callback::Registered(id, master),
            Registration::Again => Callback::Reregistered(master),
        })]
    }

    pub(super) fn refused(&mut self, text: String) -> Vec<Effect> {
        let mut effects = self.deactivate();
        self.aborted = true;
        effects.push(Effect::Tell(Callback::Error(text)));
        effects
    }

    /// Tells the master to send no more offers: an aborted driver answers none.
    pub(super) fn deactivate(&mut self) -> Vec<Effect> {
        let (Some(master), true, Some(id)) = (self.master.clone(), self.connected, self.framework_id()) else {
            return Vec::new();
        };
        let mut message = mesos_proto::internal::wire::messages::DeactivateFrameworkMessage::new();
        message.framework_id = MessageField::some(id.clone());
        vec![Effect::Send {
            to: master,
            message: message.into(),
        }]
    }

    pub(super) fn call(&self, kind: call::Type) -> Call {
        let mut call = Call::new();
        call.set_type(kind);
        call.framework_id = self.config.framework.id.clone();
        call
    }
}

/// Which of the two messages told of the subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// New to the master, or taken over from another instance.
    First,
    /// The master knew this instance.
    Again,
}
