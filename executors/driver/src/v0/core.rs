//! The rules of the v0 executor driver.
//!
//! ```text
//! Registering --registered--> Registered --agent exits, checkpointing--> Recovering --reconnect, re-registered--,
//!     |                          ^  |                                      |                                   |
//!     |                          '--|--------------------------------------|-----------------------------------'
//!     '--agent exits--> Stopped <---'--shutdown, agent exits without checkpointing, recovery timeout, stop, abort
//! ```
//!
//! After a shutdown nothing new reaches the executor, but its last updates still go out and are acknowledged.
//!
//! Updates and tasks are kept until the agent acknowledges them (not the scheduler), and go with a re-registration.
//!
//! Source: shared facts, `messages_flow.tsv` (executor rows), `environment.tsv`, recorded exchanges `w2` and `w8`.

use std::time::Duration;

use libprocess_types::{Time, Upid};
use mesos::Message;
use mesos::ids::{AgentId, ExecutorId, FrameworkId};
use mesos_proto::internal::wire::messages::{
    ExecutorToFrameworkMessage, RegisterExecutorMessage, ReregisterExecutorMessage, StatusUpdate,
    StatusUpdateAcknowledgementMessage, StatusUpdateMessage,
};
use mesos_proto::v0::mesos::{
    ExecutorInfo, FrameworkInfo, KillPolicy, SlaveInfo, TaskID, TaskInfo, TaskState, TaskStatus,
};

/// Timers that the core asks for; there is at most one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DriverTimer {
    /// The agent has been away for too long.
    Recovery,
    /// The executor had its time to end by itself.
    ShutdownGrace,
}

/// Everything that can happen to the driver.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The driver begins, at this address.
    Started(Upid),
    /// A message came.
    Received {
        /// Who sent it.
        from: Upid,
        /// What it says.
        message: Message,
    },
    /// The connection to a linked process broke.
    Exited(Upid),
    /// The executor reports a task's state.
    UpdateSent {
        /// The state; time, ids of agent and update are overwritten.
        status: Box<TaskStatus>,
        /// 16 fresh bytes.
        uuid: Vec<u8>,
    },
    /// The executor sends bytes to its scheduler.
    MessageSent(Vec<u8>),
    /// A timer elapsed.
    Elapsed(DriverTimer),
    /// The executor ends the driver.
    Stopped,
    /// The executor gives up: nothing reaches it any more.
    Aborted,
}

/// What the executor is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Callback {
    /// The agent has taken the executor.
    Registered {
        /// The executor.
        executor: Box<ExecutorInfo>,
        /// Its framework.
        framework: Box<FrameworkInfo>,
        /// Its agent.
        agent: Box<SlaveInfo>,
    },
    /// A restarted agent has taken the executor again.
    Reregistered(Box<SlaveInfo>),
    /// The agent is away; it may come back.
    Disconnected,
    /// Run a task.
    LaunchTask(Box<TaskInfo>),
    /// End a task.
    KillTask {
        /// Which.
        task_id: TaskID,
        /// How, when the scheduler said it with the kill.
        policy: Option<Box<KillPolicy>>,
    },
    /// The agent has recorded an update; it is not sent again.
    Acknowledged {
        /// Its task.
        task_id: TaskID,
        /// Its 16 bytes.
        uuid: Vec<u8>,
    },
    /// The scheduler sent bytes.
    FrameworkMessage(Vec<u8>),
    /// End all tasks and go.
    Shutdown,
    /// The driver was used wrongly and has stopped.
    Error(String),
}

/// Everything the driver may want.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send a message.
    Send(Upid, Message),
    /// Watch the connection to a process.
    Link(Upid),
    /// Set a timer, replacing one of the same name.
    SetTimer(DriverTimer, Duration),
    /// Drop a timer.
    CancelTimer(DriverTimer),
    /// Tell the executor.
    Call(Callback),
    /// The driver has ended; whoever waits for that may go on.
    Finish(DriverStatus),
    /// The time to end is over: the executor must be ended with everything it started.
    ForceExit,
}

/// How the driver stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverStatus {
    /// It works.
    Running,
    /// It was stopped.
    Stopped,
    /// It was aborted, or told to shut down.
    Aborted,
}

/// Settings of the rules.
#[derive(Clone, Debug)]
pub struct DriverConfig {
    /// The framework.
    pub framework_id: FrameworkId,
    /// The executor.
    pub executor_id: ExecutorId,
    /// The agent.
    pub agent_id: AgentId,
    /// The agent's address.
    pub agent: Upid,
    /// How long to wait for an agent that went away; `None` without checkpointing: not at all.
    pub recovery_timeout: Option<Duration>,
    /// How long the executor has to end.
    pub shutdown_grace_period: Duration,
    /// Whether agent and executor share a process, which must not be ended.
    pub local: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The agent has not answered yet.
    Registering,
    /// The agent has taken the executor.
    Registered,
    /// The agent went away after that.
    Recovering,
    /// Told to shut down. What the executor has left to tell still goes out, and is acknowledged.
    ShuttingDown,
    /// Ended; nothing is heard any more.
    Ended(DriverStatus),
}

/// The state of a v0 executor driver.
#[derive(Clone, Debug)]
pub struct DriverCore {
    config: DriverConfig,
    state: State,
    own: Upid,
    agent: Upid,
    updates: Vec<StatusUpdate>,
    tasks: Vec<TaskInfo>,
}

impl DriverCore {
    /// A driver that has not begun.
    #[must_use]
    pub fn new(config: DriverConfig) -> Self {
        let agent = config.agent.clone();
        let state = State::Registering;
        Self {
            config,
            state,
            own: Upid::anonymous(),
            agent,
            updates: Vec::new(),
            tasks: Vec::new(),
        }
    }

    /// How the driver stands.
    #[must_use]
    pub fn status(&self) -> DriverStatus {
        match self.state {
            State::Registering | State::Registered | State::Recovering => DriverStatus::Running,
            State::ShuttingDown => DriverStatus::Aborted,
            State::Ended(status) => status,
        }
    }

    /// Applies one thing that happened.
    pub fn step(&mut self, now: Time, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            // The grace period outlives the driver itself: it guards against executors that do not end.
            Input::Elapsed(DriverTimer::ShutdownGrace) => effects.push(Effect::ForceExit),
            Input::UpdateSent { status, uuid } if self.state == State::ShuttingDown => {
                self.update(now, *status, uuid, &mut effects);
            }
            Input::Received {
                message: Message::StatusUpdateAcknowledgement(acknowledged),
                ..
            } if self.state == State::ShuttingDown => self.acknowledged(*acknowledged, &mut effects),
            _ if matches!(self.state, State::ShuttingDown | State::Ended(_)) => {
                tracing::debug!("the driver has ended: input is ignored");
            }
            Input::Started(own) => self.start(own, &mut effects),
            Input::Received { from, message } => self.received(&from, message, &mut effects),
            Input::Exited(upid) => self.exited(&upid, &mut effects),
            Input::UpdateSent { status, uuid } => self.update(now, *status, uuid, &mut effects),
            Input::MessageSent(data) => self.message(data, &mut effects),
            Input::Elapsed(DriverTimer::Recovery) => {
                if self.state == State::Recovering {
                    tracing::info!("the agent did not come back in time");
                    self.shut_down(&mut effects);
                }
            }
            Input::Stopped => self.end(DriverStatus::Stopped, &mut effects),
            Input::Aborted => self.end(DriverStatus::Aborted, &mut effects),
        }
        effects
    }

    fn start(&mut self, own: Upid, effects: &mut Vec<Effect>) {
        self.own = own;
        let mut register = RegisterExecutorMessage::new();
        register.framework_id = Some(self.config.framework_id.to_proto()).into();
        register.executor_id = Some(self.config.executor_id.to_proto()).into();
        effects.push(Effect::Link(self.agent.clone()));
        effects.push(Effect::Send(self.agent.clone(), register.into()));
    }

    fn received(&mut self, from: &Upid, message: Message, effects: &mut Vec<Effect>) {
        match message {
            Message::ExecutorRegistered(registered) => {
                self.state = State::Registered;
                effects.push(Effect::Call(Callback::Registered {
                    executor: Box::new(registered.executor_info.unwrap_or_default()),
                    framework: Box::new(registered.framework_info.unwrap_or_default()),
                    agent: Box::new(registered.slave_info.unwrap_or_default()),
                }));
            }
            Message::ExecutorReregistered(reregistered) => {
                self.state = State::Registered;
                effects.push(Effect::CancelTimer(DriverTimer::Recovery));
                let agent = Box::new(reregistered.slave_info.unwrap_or_default());
                effects.push(Effect::Call(Callback::Reregistered(agent)));
            }
            Message::ReconnectExecutor(_) => self.reconnect(from, effects),
            Message::RunTask(run) => {
                let task = run.task.unwrap_or_default();
                if self.tasks.iter().any(|known| known.task_id == task.task_id) {
                    tracing::warn!(task_id = task.task_id.value(), "task was launched already");
                    return;
                }
                self.tasks.push(task.clone());
                effects.push(Effect::Call(Callback::LaunchTask(Box::new(task))));
            }
            Message::KillTask(kill) => {
                effects.push(Effect::Call(Callback::KillTask {
                    task_id: kill.task_id.unwrap_or_default(),
                    policy: kill.kill_policy.into_option().map(Box::new),
                }));
            }
            Message::StatusUpdateAcknowledgement(acknowledged) => self.acknowledged(*acknowledged, effects),
            Message::FrameworkToExecutor(message) => {
                effects.push(Effect::Call(Callback::FrameworkMessage(message.data().to_vec())));
            }
            Message::ShutdownExecutor(_) => self.shut_down(effects),
            other => tracing::warn!(name = other.name(), "message is not for executors"),
        }
    }

    /// A restarted agent asks who is there.
    fn reconnect(&mut self, from: &Upid, effects: &mut Vec<Effect>) {
        self.agent = from.clone();
        effects.push(Effect::Link(self.agent.clone()));
        let mut reregister = ReregisterExecutorMessage::new();
        reregister.framework_id = Some(self.config.framework_id.to_proto()).into();
        reregister.executor_id = Some(self.config.executor_id.to_proto()).into();
        reregister.tasks.clone_from(&self.tasks);
        reregister.updates.clone_from(&self.updates);
        effects.push(Effect::Send(self.agent.clone(), reregister.into()));
    }

    fn acknowledged(&mut self, acknowledged: StatusUpdateAcknowledgementMessage, effects: &mut Vec<Effect>) {
        let before = self.updates.len();
        self.updates.retain(|update| update.uuid() != acknowledged.uuid());
        let task_id = acknowledged.task_id.unwrap_or_default();
        self.tasks.retain(|task| task.task_id.value() != task_id.value());
        if self.updates.len() == before {
            tracing::warn!(task_id = task_id.value(), "acknowledgement of an unknown update");
            return;
        }
        let uuid = acknowledged.uuid.unwrap_or_default();
        effects.push(Effect::Call(Callback::Acknowledged { task_id, uuid }));
    }

    fn exited(&mut self, upid: &Upid, effects: &mut Vec<Effect>) {
        if *upid != self.agent {
            return;
        }
        match (self.state, self.config.recovery_timeout) {
            (State::Registered, Some(timeout)) => {
                tracing::info!(?timeout, "the agent went away; waiting for it");
                self.state = State::Recovering;
                effects.push(Effect::SetTimer(DriverTimer::Recovery, timeout));
                effects.push(Effect::Call(Callback::Disconnected));
            }
            // The connection of a restarted agent may break before it has answered; the time runs on.
            (State::Recovering, Some(_)) => {}
            (State::Registering, _) | (State::Registered | State::Recovering, None) => {
                tracing::info!("the agent went away and will not be waited for");
                self.shut_down(effects);
            }
            (State::ShuttingDown | State::Ended(_), _) => {}
        }
    }

    fn shut_down(&mut self, effects: &mut Vec<Effect>) {
        if !self.config.local {
            effects.push(Effect::SetTimer(
                DriverTimer::ShutdownGrace,
                self.config.shutdown_grace_period,
            ));
        }
        effects.push(Effect::Call(Callback::Shutdown));
        self.end(DriverStatus::Aborted, effects);
        self.state = State::ShuttingDown;
    }

    fn end(&mut self, status: DriverStatus, effects: &mut Vec<Effect>) {
        self.state = State::Ended(status);
        effects.push(Effect::CancelTimer(DriverTimer::Recovery));
        effects.push(Effect::Finish(status));
    }

    fn update(&mut self, now: Time, mut status: TaskStatus, uuid: Vec<u8>, effects: &mut Vec<Effect>) {
        if status.state() == TaskState::TASK_STAGING {
            let message = "executors must not send TASK_STAGING: it is the agent's alone";
            tracing::error!(task_id = status.task_id.value(), message);
            effects.push(Effect::Call(Callback::Error(message.to_owned())));
            self.end(DriverStatus::Aborted, effects);
            return;
        }
        status.slave_id = Some(self.config.agent_id.to_proto()).into();
        status.set_timestamp(now.as_secs_f64());
        status.set_uuid(uuid.clone());
        let mut update = StatusUpdate::new();
        update.framework_id = Some(self.config.framework_id.to_proto()).into();
        update.executor_id = Some(self.config.executor_id.to_proto()).into();
        update.slave_id = Some(self.config.agent_id.to_proto()).into();
        update.set_timestamp(status.timestamp());
        update.set_uuid(uuid);
        update.status = Some(status).into();
        self.updates.push(update.clone());
        let mut message = StatusUpdateMessage::new();
        message.update = Some(update).into();
        message.set_pid(self.own.to_string());
        effects.push(Effect::Send(self.agent.clone(), message.into()));
    }

    fn message(&mut self, data: Vec<u8>, effects: &mut Vec<Effect>) {
        let mut message = ExecutorToFrameworkMessage::new();
        message.slave_id = Some(self.config.agent_id.to_proto()).into();
        message.framework_id = Some(self.config.framework_id.to_proto()).into();
        message.executor_id = Some(self.config.executor_id.to_proto()).into();
        message.set_data(data);
        effects.push(Effect::Send(self.agent.clone(), message.into()));
    }
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
