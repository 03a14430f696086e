//! The rules of a v1 executor client: when to connect, subscribe, send again and give up.
//!
//! ```text
//!             connected            subscribed
//! Connecting ----------> Subscribing --------> Subscribed
//!     ^  \                    |                    |
//!     |   \ fails (first) \   | disconnected       | disconnected
//!     |    `---------------\--+--------------------+--> without checkpoint: Ended
//!     `------- backoff -----`-'                     with checkpoint: Connecting, until the recovery timeout: Ended
//! ```
//!
//! Updates and tasks are kept until the agent acknowledges them, and go with every subscription.
//!
//! Source: shared facts, `executor_calls.tsv`.

use std::time::Duration;

use libprocess_types::Time;
use mesos::ids::{ExecutorId, FrameworkId};
use mesos_proto::v1::executor::{Call, Event, call, event};
use mesos_proto::v1::mesos::{TaskInfo, TaskStatus, task_status};

/// Pause before a refused subscription is tried again.
pub const SUBSCRIBE_RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Pause between heartbeats to the agent.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(30 * 60);

/// Longest wait for a connection.
pub(super) const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// Longest text of a refusal that is read.
pub(super) const REFUSAL_BYTES_MAX: usize = 64 * 1024;

/// Shortest pause between connection attempts: a random one may be as good as nothing.
const BACKOFF_MIN: Duration = Duration::from_millis(50);

/// Names one attempt to be connected; what an older attempt still reports is ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// Timers that the core asks for; there is at most one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClientTimer {
    /// Connect again.
    Reconnect,
    /// Subscribe again on the same connection.
    Resubscribe,
    /// The agent has been away for too long.
    Recovery,
    /// Tell the agent that this executor lives.
    Heartbeat,
    /// The executor had its time to end by itself.
    ShutdownGrace,
}

/// Everything that can happen to the client.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The client begins.
    Started,
    /// Connections to the agent stand.
    Connected(ConnectionId),
    /// Connections to the agent broke, or could not be made.
    Disconnected(ConnectionId, String),
    /// The agent answered a call with an error.
    Rejected {
        /// On which connections.
        connection: ConnectionId,
        /// The call.
        call: call::Type,
        /// The status code.
        status: u16,
        /// The answer's text.
        message: String,
    },
    /// The agent sent an event.
    Received(ConnectionId, Box<Event>),
    /// The executor reports a state of a task; uuid and source are set.
    UpdateSent(Box<TaskStatus>),
    /// The executor sends bytes to its scheduler.
    MessageSent(Vec<u8>),
    /// A timer elapsed.
    Elapsed(ClientTimer),
}

/// Everything the client may want.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Open connections to the agent, dropping older ones.
    Connect(ConnectionId),
    /// Close the connections.
    Disconnect,
    /// Send a call. `SUBSCRIBE` goes over the connection whose answer is the event stream.
    SendCall(ConnectionId, Box<Call>),
    /// Set a timer, replacing one of the same name.
    SetTimer(ClientTimer, Duration),
    /// Drop a timer.
    CancelTimer(ClientTimer),
    /// Tell the executor that the agent is reached.
    NotifyConnected,
    /// Tell the executor that the agent is not reached.
    NotifyDisconnected,
    /// Hand an event to the executor; `SHUTDOWN` may also come from these rules.
    DeliverEvent(Box<Event>),
    /// The time to end is over: the executor must be ended with everything it started.
    ForceExit,
}

/// Settings of the rules.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The framework.
    pub framework_id: FrameworkId,
    /// The executor.
    pub executor_id: ExecutorId,
    /// How long to wait for an agent that went away; `None` without checkpointing: not at all.
    pub recovery_timeout: Option<Duration>,
    /// Longest pause between connection attempts.
    pub backoff_max: Duration,
    /// How long the executor has to end.
    pub shutdown_grace_period: Duration,
    /// Start of the pauses' random sequence.
    pub seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not reached yet, or not any more.
    Connecting { ever_connected: bool },
    /// Reached, and asked for the event stream.
    Subscribing,
    /// The stream is open and greeted.
    Subscribed,
    /// Told to end; nothing is sent any more once the agent is gone.
    Ended,
}

/// The state of a v1 executor client.
#[derive(Clone, Debug)]
pub struct ClientCore {
    config: ClientConfig,
    state: State,
    connection: ConnectionId,
    recovering: bool,
    shutting_down: bool,
    updates: Vec<TaskStatus>,
    tasks: Vec<TaskInfo>,
    random: u64,
}

impl ClientCore {
    /// A client that has not begun.
    #[must_use]
    pub fn new(config: ClientConfig) -> Self {
        let random = config.seed | 1;
        Self {
            config,
            state: State::Connecting { ever_connected: false },
            connection: ConnectionId::default(),
            recovering: false,
            shutting_down: false,
            updates: Vec::new(),
            tasks: Vec::new(),
            random,
        }
    }

    /// Updates that the agent has not acknowledged, oldest first.
    #[must_use]
    pub fn unacknowledged_updates(&self) -> &[TaskStatus] {
        &self.updates
    }

    /// Applies one thing that happened.
    pub fn step(&mut self, _now: Time, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Started => {
                effects.push(Effect::SetTimer(ClientTimer::Heartbeat, HEARTBEAT_INTERVAL));
                self.connect(&mut effects);
            }
            Input::Connected(connection) if connection == self.connection => self.connected(&mut effects),
            Input::Disconnected(connection, reason) if connection == self.connection => {
                self.disconnected(&reason, &mut effects);
            }
            Input::Received(connection, event) if connection == self.connection => self.received(event, &mut effects),
            Input::Rejected {
                connection,
                call,
                status,
                message,
            } if connection == self.connection => {
                self.rejected(call, status, &message, &mut effects);
            }
            // What connections report that were given up long since.
            Input::Connected(_) | Input::Disconnected(..) | Input::Received(..) | Input::Rejected { .. } => {}
            Input::UpdateSent(status) => self.update(*status, &mut effects),
            Input::MessageSent(data) => self.message(data, &mut effects),
            Input::Elapsed(timer) => self.elapsed(timer, &mut effects),
        }
        effects
    }

    fn connect(&mut self, effects: &mut Vec<Effect>) {
        self.connection = ConnectionId(self.connection.0 + 1);
        effects.push(Effect::Connect(self.connection));
    }

    fn connected(&mut self, effects: &mut Vec<Effect>) {
        if !matches!(self.state, State::Connecting { .. }) {
            return;
        }
        if std::mem::take(&mut self.recovering) {
            effects.push(Effect::CancelTimer(ClientTimer::Recovery));
        }
        effects.push(Effect::NotifyConnected);
        self.subscribe(effects);
    }

    fn subscribe(&mut self, effects: &mut Vec<Effect>) {
        self.state = State::Subscribing;
        let mut call = self.call(call::Type::SUBSCRIBE);
        let subscribe = call.subscribe.mut_or_insert_default();
        subscribe.unacknowledged_tasks.clone_from(&self.tasks);
        for status in &self.updates {
            let mut update = call::Update::new();
            update.status = Some(status.clone()).into();
            subscribe.unacknowledged_updates.push(update);
        }
        effects.push(Effect::SendCall(self.connection, Box::new(call)));
    }

    fn disconnected(&mut self, reason: &str, effects: &mut Vec<Effect>) {
        let was_connected = match self.state {
            State::Subscribing | State::Subscribed => true,
            State::Connecting { .. } => false,
            State::Ended => return,
        };
        let ever_connected = was_connected || self.state == State::Connecting { ever_connected: true };
        if was_connected {
            tracing::info!(framework_id = %self.config.framework_id, reason, "disconnected from the agent");
            effects.extend([
                Effect::Disconnect,
                Effect::CancelTimer(ClientTimer::Resubscribe),
                Effect::NotifyDisconnected,
            ]);
        }
        self.state = State::Connecting { ever_connected };
        let Some(recovery_timeout) = self
            .config
            .recovery_timeout
            .filter(|_| ever_connected && !self.shutting_down)
        else {
            tracing::info!(reason, "the agent is not reached and will not be waited for");
            self.end(effects);
            return;
        };
        if was_connected {
            self.recovering = true;
            effects.push(Effect::SetTimer(ClientTimer::Recovery, recovery_timeout));
        }
        let backoff = self.backoff();
        effects.push(Effect::SetTimer(ClientTimer::Reconnect, backoff));
    }

    /// Ends for want of an agent: the executor is told to shut down as if the agent had said so.
    fn end(&mut self, effects: &mut Vec<Effect>) {
        self.state = State::Ended;
        self.recovering = false;
        for timer in [ClientTimer::Reconnect, ClientTimer::Recovery, ClientTimer::Heartbeat] {
            effects.push(Effect::CancelTimer(timer));
        }
        self.shut_down(effects);
    }

    fn shut_down(&mut self, effects: &mut Vec<Effect>) {
        if std::mem::replace(&mut self.shutting_down, true) {
            return;
        }
        let mut shutdown = Event::new();
        shutdown.set_type(event::Type::SHUTDOWN);
        effects.push(Effect::SetTimer(
            ClientTimer::ShutdownGrace,
            self.config.shutdown_grace_period,
        ));
        effects.push(Effect::DeliverEvent(Box::new(shutdown)));
    }

    fn received(&mut self, event: Box<Event>, effects: &mut Vec<Effect>) {
        match (self.state, event.type_()) {
            (State::Subscribing, event::Type::SUBSCRIBED) => {
                self.state = State::Subscribed;
                effects.push(Effect::CancelTimer(ClientTimer::Resubscribe));
                effects.push(Effect::DeliverEvent(event));
            }
            (State::Connecting { .. } | State::Ended, kind) => {
                tracing::warn!(?kind, "event came without a subscription");
            }
            (State::Subscribing | State::Subscribed, event::Type::SHUTDOWN) => self.shut_down(effects),
            (State::Subscribing | State::Subscribed, event::Type::ACKNOWLEDGED) => {
                if self.acknowledged(&event.acknowledged) {
                    effects.push(Effect::DeliverEvent(event));
                }
            }
            (State::Subscribing | State::Subscribed, kind) => {
                if kind == event::Type::LAUNCH {
                    self.tasks.push(event.launch.task.get_or_default().clone());
                } else if kind == event::Type::LAUNCH_GROUP {
                    self.tasks.extend(event.launch_group.task_group.tasks.iter().cloned());
                }
                effects.push(Effect::DeliverEvent(event));
            }
        }
    }

    /// Forgets what was acknowledged; tells whether there was anything.
    fn acknowledged(&mut self, acknowledged: &event::Acknowledged) -> bool {
        let before = self.updates.len();
        self.updates.retain(|status| status.uuid() != acknowledged.uuid());
        self.tasks
            .retain(|task| task.task_id.value() != acknowledged.task_id.value());
        let known = self.updates.len() < before;
        if !known {
            tracing::warn!(
                task_id = acknowledged.task_id.value(),
                "acknowledgement of an unknown update"
            );
        }
        known
    }

    fn rejected(&mut self, call: call::Type, status: u16, message: &str, effects: &mut Vec<Effect>) {
        tracing::warn!(?call, status, message, "the agent refused a call");
        // The update stays and goes with the next subscription; messages are best effort.
        if call != call::Type::SUBSCRIBE || self.state != State::Subscribing {
            return;
        }
        // 404 and 503: the agent is starting or recovering, and will know this executor later.
        if matches!(status, 404 | 500..=599) {
            effects.push(Effect::SetTimer(ClientTimer::Resubscribe, SUBSCRIBE_RETRY_INTERVAL));
            return;
        }
        let mut error = Event::new();
        error.set_type(event::Type::ERROR);
        error
            .error
            .mut_or_insert_default()
            .set_message(format!("the agent refused the subscription: {status} {message}"));
        effects.push(Effect::DeliverEvent(Box::new(error)));
        effects.push(Effect::Disconnect);
        self.end(effects);
    }

    fn update(&mut self, status: TaskStatus, effects: &mut Vec<Effect>) {
        debug_assert_eq!(status.source(), task_status::Source::SOURCE_EXECUTOR);
        let mut call = self.call(call::Type::UPDATE);
        call.update.mut_or_insert_default().status = Some(status.clone()).into();
        self.updates.push(status);
        if self.state == State::Subscribed {
            effects.push(Effect::SendCall(self.connection, Box::new(call)));
        }
    }

    fn message(&mut self, data: Vec<u8>, effects: &mut Vec<Effect>) {
        if self.state != State::Subscribed {
            tracing::warn!("message to the scheduler is dropped: not subscribed");
            return;
        }
        let mut call = self.call(call::Type::MESSAGE);
        call.message.mut_or_insert_default().set_data(data);
        effects.push(Effect::SendCall(self.connection, Box::new(call)));
    }

    fn elapsed(&mut self, timer: ClientTimer, effects: &mut Vec<Effect>) {
        match timer {
            ClientTimer::Reconnect if matches!(self.state, State::Connecting { .. }) => self.connect(effects),
            ClientTimer::Resubscribe if self.state == State::Subscribing => self.subscribe(effects),
            ClientTimer::Recovery if self.recovering => {
                tracing::info!("the agent did not come back in time");
                self.end(effects);
            }
            ClientTimer::Reconnect | ClientTimer::Resubscribe | ClientTimer::Recovery => {}
            ClientTimer::Heartbeat => {
                if self.state == State::Subscribed {
                    let call = self.call(call::Type::HEARTBEAT);
                    effects.push(Effect::SendCall(self.connection, Box::new(call)));
                }
                effects.push(Effect::SetTimer(ClientTimer::Heartbeat, HEARTBEAT_INTERVAL));
            }
            ClientTimer::ShutdownGrace => effects.push(Effect::ForceExit),
        }
    }

    fn call(&self, kind: call::Type) -> Call {
        let mut call = Call::new();
        call.framework_id = Some(self.config.framework_id.to_v1()).into();
        call.executor_id = Some(self.config.executor_id.to_v1()).into();
        call.set_type(kind);
        call
    }

    /// A random pause up to the largest one.
    fn backoff(&mut self) -> Duration {
        // Xorshift: good enough to keep executors of one agent from coming back in step.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let part = u32::try_from(self.random >> 40).unwrap_or_default();
        let pause = self
            .config
            .backoff_max
            .mul_f64(f64::from(part) / f64::from(1_u32 << 24));
        pause.max(BACKOFF_MIN.min(self.config.backoff_max))
    }
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
