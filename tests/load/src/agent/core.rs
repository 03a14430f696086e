//! The rules of an emulated agent.
//!
//! ```text
//! lost ──master found──▶ asking ──answered──▶ registered
//!  ▲                      │  ▲                  │  │
//!  └──────master lost─────┘  └─ping: not known──┘  │
//!  ▲                                               │
//!  └──────────────────master lost──────────────────┘
//! any ──told to shut down──▶ down
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use libprocess::{Random, SeededRandom};
use libprocess_types::{Time, Upid};
use mesos::Message;
use mesos_proto::internal::wire::messages::{
    PongSlaveMessage, ReconcileTasksMessage, RunTaskMessage, StatusUpdateAcknowledgementMessage,
};
use mesos_proto::v0::mesos::FrameworkInfo;

use super::messages::{self, ReportedTask};
use super::task::UpdateId;
use super::{AgentKind, Outcome, RunTime, Task, TaskEvent, TaskShape};
use crate::record::Note;

/// Names a task of an agent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskKey {
    /// Id of the framework.
    pub framework_id: Arc<str>,
    /// Id of the task.
    pub task_id: Arc<str>,
}

/// Timers of an agent; at most one of each value is pending, setting it again replaces it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AgentTimer {
    /// The master has had its time to answer.
    Registration,
    /// The task has run long enough.
    TaskEnd(TaskKey),
    /// The master has had its time to acknowledge the task's update.
    Acknowledgement(TaskKey),
}

/// Everything that can happen to an agent.
#[derive(Clone, Debug)]
pub enum AgentInput {
    /// A master leads.
    MasterFound,
    /// The link to the master broke.
    MasterLost,
    /// A message arrived.
    Message {
        /// Who sent it.
        from: Upid,
        /// What was sent.
        message: Message,
    },
    /// A timer ran out.
    Timer(AgentTimer),
}

/// Everything that an agent wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Watches the master.
    LinkMaster,
    /// Sends a message to the master.
    Send(Message),
    /// Sends a serialized `ReregisterSlaveMessage` to the master.
    SendReregistration(Bytes),
    /// Answers the sender of the message.
    Reply(Upid, Message),
    /// Sets a timer.
    SetTimer(AgentTimer, Duration),
    /// Drops a timer.
    CancelTimer(AgentTimer),
    /// Counts something.
    Note(Note),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Lost,
    Asking { since: Time, attempts: u32 },
    Registered,
    Down,
}

/// An emulated agent.
#[derive(Debug)]
pub struct AgentCore {
    kind: Arc<AgentKind>,
    pid: Upid,
    hostname: String,
    id: Option<Arc<str>>,
    standing: Standing,
    frameworks: BTreeMap<Arc<str>, Arc<FrameworkInfo>>,
    tasks: BTreeMap<TaskKey, Task>,
    random: SeededRandom,
    effects: Vec<Effect>,
}

impl AgentCore {
    /// An agent at `pid` that has no master yet; `number` names it among its kind and seeds its choices.
    #[must_use]
    pub fn new(kind: Arc<AgentKind>, pid: Upid, number: u64, seed: u64) -> Self {
        let mut agent = Self {
            pid,
            hostname: format!("agent-{number}.load"),
            id: None,
            standing: Standing::Lost,
            frameworks: BTreeMap::new(),
            tasks: BTreeMap::new(),
            random: SeededRandom::new(seed ^ number.rotate_left(32)),
            effects: Vec::new(),
            kind,
        };
        agent.preload(number);
        agent
    }

    fn preload(&mut self, number: u64) {
        let Some(preload) = &self.kind.preload else { return };
        let framework_id: Arc<str> = preload.framework.id.value().into();
        self.id = Some(format!("{}{number}", preload.agent_id_prefix).into());
        for task in 0..preload.tasks {
            let key = TaskKey {
                framework_id: Arc::clone(&framework_id),
                task_id: format!("t{number}-{task}").into(),
            };
            self.tasks.insert(key, Task::running(Arc::clone(&preload.shape)));
        }
        self.frameworks.insert(framework_id, Arc::clone(&preload.framework));
    }

    /// The id that a master gave it.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Its tasks, also ended ones whose updates are not all acknowledged.
    #[must_use]
    pub const fn tasks(&self) -> &BTreeMap<TaskKey, Task> {
        &self.tasks
    }

    /// Whether a master has it.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        self.standing == Standing::Registered
    }

    /// Takes one input and gives what is to be done, in order.
    pub fn step(&mut self, now: Time, input: AgentInput) -> Vec<Effect> {
        if self.standing != Standing::Down {
            match input {
                AgentInput::MasterFound => self.ask(now),
                AgentInput::MasterLost => self.lose_master(),
                AgentInput::Message { from, message } => self.receive(now, from, message),
                AgentInput::Timer(timer) => self.timer(now, timer),
            }
        }
        std::mem::take(&mut self.effects)
    }

    fn note(&mut self, note: Note) {
        self.effects.push(Effect::Note(note));
    }

    fn ask(&mut self, now: Time) {
        if self.is_registered() {
            self.note(Note::AgentLost);
        }
        self.standing = Standing::Asking {
            since: now,
            attempts: 0,
        };
        self.note(Note::Asked);
        self.effects.push(Effect::LinkMaster);
        self.send_registration(0);
    }

    fn lose_master(&mut self) {
        if self.is_registered() {
            self.note(Note::AgentLost);
        }
        self.standing = Standing::Lost;
        self.effects.push(Effect::CancelTimer(AgentTimer::Registration));
    }

    fn send_registration(&mut self, attempts: u32) {
        let port = self.pid.address().port();
        let info = messages::agent_info(&self.hostname, port, &self.kind.resources, self.id.as_deref());
        self.effects.push(if self.id.is_some() {
            let frameworks = self.frameworks.values().map(|info| (**info).clone()).collect();
            let tasks = self.tasks.iter().map(|(key, task)| ReportedTask {
                framework_id: &key.framework_id,
                task_id: &key.task_id,
                state: task.state(),
                shape: task.shape(),
            });
            Effect::SendReregistration(messages::reregistration(info, frameworks, tasks))
        } else {
            Effect::Send(messages::registration(info).into())
        });
        let wait = back_off(self.kind.registration_wait, self.kind.registration_wait_max, attempts);
        self.effects.push(Effect::SetTimer(AgentTimer::Registration, wait));
    }

    fn timer(&mut self, now: Time, timer: AgentTimer) {
        match timer {
            AgentTimer::Registration => {
                if let Standing::Asking { attempts, .. } = &mut self.standing {
                    *attempts += 1;
                    let attempts = *attempts;
                    self.note(Note::AskedAgain);
                    self.send_registration(attempts);
                }
            }
            AgentTimer::TaskEnd(key) => {
                let uuid = self.draw_uuid();
                self.task_event(now, &key, TaskEvent::RanOut(uuid));
            }
            AgentTimer::Acknowledgement(key) => self.task_event(now, &key, TaskEvent::AcknowledgementDue),
        }
    }

    fn receive(&mut self, now: Time, from: Upid, message: Message) {
        match message {
            Message::SlaveRegistered(answer) => self.answered(now, answer.slave_id.value()),
            Message::SlaveReregistered(answer) => {
                self.answered(now, answer.slave_id.value());
                for reconciliation in &answer.reconciliations {
                    self.reconcile(reconciliation);
                }
            }
            Message::PingSlave(ping) => {
                self.effects.push(Effect::Reply(from, PongSlaveMessage::new().into()));
                self.note(Note::PingAnswered);
                if !ping.connected() && self.is_registered() {
                    self.ask(now);
                }
            }
            Message::RunTask(message) => self.launch(now, *message),
            Message::StatusUpdateAcknowledgement(message) => self.acknowledged(now, &message),
            Message::KillTask(message) => {
                let key = self.key(message.framework_id.value(), message.task_id.value());
                let uuid = self.draw_uuid();
                self.task_event(now, &key, TaskEvent::Killed(uuid));
            }
            Message::ShutdownFramework(message) => self.forget_framework(message.framework_id.value()),
            Message::Shutdown(message) => {
                self.standing = Standing::Down;
                self.note(Note::Problem(format!("an agent was shut down: {}", message.message())));
            }
            // Nothing here depends on them.
            Message::UpdateFramework(_) | Message::CheckpointResources(_) => {}
            other => self.note(Note::Problem(format!("agents got a {}", other.name()))),
        }
    }

    /// The master has the agent now. What was not acknowledged goes out again.
    fn answered(&mut self, now: Time, id: &str) {
        let Standing::Asking { since, .. } = self.standing else {
            return;
        };
        if self.id.as_deref().is_some_and(|own| own != id) {
            return self.note(Note::Problem("an agent was given another agent's id".to_owned()));
        }
        self.id.get_or_insert_with(|| id.into());
        self.standing = Standing::Registered;
        self.note(Note::Answered(now.saturating_since(since)));
        self.effects.push(Effect::CancelTimer(AgentTimer::Registration));
        let waiting: Vec<TaskKey> = self
            .tasks
            .iter()
            .filter(|(_, task)| task.update().is_some())
            .map(|(key, _)| key.clone())
            .collect();
        for key in waiting {
            self.task_event(now, &key, TaskEvent::MasterFound);
        }
    }

    /// The master believes in tasks that may not be here. Agents report these as lost; here nothing is ever lost, so
    /// the disagreement itself is worth telling.
    fn reconcile(&mut self, reconciliation: &ReconcileTasksMessage) {
        for status in &reconciliation.statuses {
            let key = self.key(reconciliation.framework_id.value(), status.task_id.value());
            if !self.tasks.contains_key(&key) {
                self.note(Note::Problem("the master expects a task that no agent has".to_owned()));
            }
        }
    }

    fn launch(&mut self, now: Time, message: RunTaskMessage) {
        let framework = message.framework.unwrap_or_default();
        let info = message.task.unwrap_or_default();
        let key = self.key(framework.id.value(), info.task_id.value());
        if self.tasks.contains_key(&key) {
            return self.note(Note::Problem("a task was launched twice".to_owned()));
        }
        self.frameworks
            .insert(Arc::clone(&key.framework_id), Arc::new(framework));
        let shape = TaskShape::new(info.name(), &info.resources, info.labels.as_ref());
        self.tasks.insert(key.clone(), Task::new(Arc::new(shape)));
        self.note(Note::TaskStarted);
        if let RunTime::Between(low, high) = self.kind.run_time {
            let after = self.random.duration(low, high);
            self.effects
                .push(Effect::SetTimer(AgentTimer::TaskEnd(key.clone()), after));
        }
        let uuid = self.draw_uuid();
        self.task_event(now, &key, TaskEvent::Launched(uuid));
    }

    fn acknowledged(&mut self, now: Time, message: &StatusUpdateAcknowledgementMessage) {
        let key = self.key(message.framework_id.value(), message.task_id.value());
        if let Ok(uuid) = UpdateId::try_from(message.uuid()) {
            self.task_event(now, &key, TaskEvent::Acknowledged(uuid));
        }
    }

    fn task_event(&mut self, now: Time, key: &TaskKey, event: TaskEvent) {
        let registered = self.is_registered();
        let Some(task) = self.tasks.get_mut(key) else { return };
        let Outcome {
            send,
            repeated,
            acknowledged,
            over,
        } = task.step(now, event);
        if let Some(after) = acknowledged {
            self.effects.push(Effect::Note(Note::UpdateAcknowledged(after)));
            self.effects
                .push(Effect::CancelTimer(AgentTimer::Acknowledgement(key.clone())));
        }
        if over {
            self.tasks.remove(key);
        } else if send && registered {
            self.send_update(now, key, repeated);
        }
    }

    fn send_update(&mut self, now: Time, key: &TaskKey, repeated: bool) {
        let (Some(task), Some(id)) = (self.tasks.get_mut(key), &self.id) else {
            return;
        };
        let attempts = task.attempts();
        task.sent(now);
        let Some(update) = task.update() else { return };
        let pid = self.pid.to_string();
        let message = messages::status_update(id, &pid, &key.framework_id, &key.task_id, update, task.state());
        self.effects.push(Effect::Send(message.into()));
        let wait = back_off(self.kind.update_wait, self.kind.update_wait_max, attempts);
        self.effects
            .push(Effect::SetTimer(AgentTimer::Acknowledgement(key.clone()), wait));
        if repeated {
            self.note(Note::UpdateRepeated);
        }
    }

    fn forget_framework(&mut self, framework_id: &str) {
        self.frameworks.remove(framework_id);
        self.tasks.retain(|key, _| &*key.framework_id != framework_id);
    }

    /// A key that shares the framework's id with all others of the framework.
    fn key(&self, framework_id: &str, task_id: &str) -> TaskKey {
        let known = self.frameworks.get_key_value(framework_id);
        TaskKey {
            framework_id: known.map_or_else(|| framework_id.into(), |(id, _)| Arc::clone(id)),
            task_id: task_id.into(),
        }
    }

    fn draw_uuid(&mut self) -> UpdateId {
        let bits = u128::from(self.random.next_u64()) << 64 | u128::from(self.random.next_u64());
        bits.to_be_bytes()
    }
}

/// The wait after so many vain attempts: doubled each time, up to a bound.
fn back_off(first: Duration, longest: Duration, attempts: u32) -> Duration {
    first.saturating_mul(1 << attempts.min(16)).min(longest)
}
