//! The world as the simulated processes use it: messages with faults, alarms, and hosts whose inside is reliable.
//!
//! Processes of one host (an agent and its executors) have addresses that differ in the port only. What they send each
//! other arrives in order and is never lost while both live; everything else travels through [`World`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use libprocess::sim::{Faults, World};
use libprocess::{Random, SeededRandom, Time, TimerId, Upid};
use mesos::Message;
use mesos::ids::{ContainerId, TaskId};
use mesos_agent_core::{AgentTimer, ContainerTermination};
use mesos_executor_driver::v0::core::DriverTimer;
use mesos_master_core::MasterTimer;
use mesos_proto::v0::mesos::{TaskState, TaskStatus};
use mesos_registrar::Batch;
use mesos_scheduler_driver::v0::Timer as SchedulerTimer;

use crate::faults::Fate;

/// Time that a message needs inside one host.
const SAME_HOST_DELAY: Duration = Duration::from_micros(50);

/// What a process asked to be reminded of.
#[derive(Clone, Debug)]
pub enum Alarm {
    /// A message from a process of the same host.
    SameHost {
        /// Who sent it.
        from: Upid,
        /// The message.
        message: Arc<Message>,
    },
    /// A timer of the master's rules.
    Master(MasterTimer),
    /// A batch of the registry's changes is stored.
    RegistryStored(Box<Batch>),
    /// An agent is told who leads.
    MasterDetected,
    /// A timer of an agent's rules.
    Agent(AgentTimer),
    /// The first checkpoint that waits is written.
    CheckpointWritten,
    /// A container has started, or could not be.
    ContainerLaunched(ContainerId),
    /// What a container may use was changed.
    ContainerUpdated(ContainerId),
    /// A container has ended.
    ContainerEnded(ContainerId, Box<ContainerTermination>),
    /// A timer of an executor's driver.
    Executor(DriverTimer),
    /// An executor does something of its own accord.
    Work(Work),
    /// A timer of a scheduler's driver.
    Scheduler(SchedulerTimer),
    /// A framework does something of its own accord.
    Habit(Habit),
    /// Something goes wrong, or is repaired.
    Fate(Fate),
}

/// What executors do of their own accord.
#[derive(Clone, Debug)]
pub enum Work {
    /// A task begins.
    Begin(TaskId),
    /// A task comes to its end.
    End(TaskId, TaskState),
    /// The process ends by itself.
    Leave,
    /// The process ends by itself unless it got work meanwhile.
    LeaveIfIdle,
    /// The process dies.
    Crash,
}

/// What frameworks do of their own accord.
#[derive(Clone, Debug)]
pub enum Habit {
    /// Ends a task early.
    Kill,
    /// Asks for the states of its tasks.
    Reconcile,
    /// Acknowledges an update, some time after it came.
    Acknowledge(Box<TaskStatus>),
}

/// The network and the clock.
pub struct Net {
    /// What lies beneath.
    pub world: World,
    alarms: BTreeMap<u64, Alarm>,
    alarm_next: u64,
    random: SeededRandom,
    duplicate_per_million: u32,
    faults: Faults,
    fate: Upid,
}

impl Net {
    /// A net over `world`; `random` decides about duplicates. The process `fate` owns what is to happen to others.
    #[must_use]
    pub fn new(mut world: World, fate: Upid, random: SeededRandom) -> Self {
        world.spawn(&fate);
        Self {
            world,
            fate,
            alarms: BTreeMap::new(),
            alarm_next: 0,
            random,
            duplicate_per_million: 0,
            faults: Faults::default(),
        }
    }

    /// The present.
    #[must_use]
    pub fn now(&self) -> Time {
        self.world.now()
    }

    /// Messages of a million that arrive twice, the copy right behind the original.
    pub fn set_duplicates(&mut self, per_million: u32) {
        self.duplicate_per_million = per_million;
    }

    /// Sends a message.
    pub fn send(&mut self, from: &Upid, to: &Upid, message: &Message) {
        if from.address().ip() == to.address().ip() {
            let alarm = Alarm::SameHost {
                from: from.clone(),
                message: Arc::new(message.clone()),
            };
            self.set(to, SAME_HOST_DELAY, alarm);
            return;
        }
        // The runtime makes a lasting connection at the first message to a node, and a new one after a break.
        let carrier = Upid::new("connection", from.address());
        self.world.link(&carrier, to);
        let body = Bytes::from(message.encode());
        if may_be_doubled(message) && self.random.chance(self.duplicate_per_million) {
            self.world.send(from, to, message.name(), body.clone());
        }
        if may_be_lost(message) {
            self.world.send(from, to, message.name(), body);
            return;
        }
        let faults = self.faults;
        self.world.set_faults(Faults {
            drop_per_million: 0,
            ..faults
        });
        self.world.send(from, to, message.name(), body);
        self.world.set_faults(faults);
    }

    /// What goes wrong with messages from now on.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
        self.world.set_faults(faults);
    }

    /// Sets an alarm; it is gone with its owner's node.
    pub fn set(&mut self, owner: &Upid, after: Duration, alarm: Alarm) -> TimerId {
        self.alarm_next += 1;
        self.alarms.insert(self.alarm_next, alarm);
        self.world.set_timer(owner, after, self.alarm_next)
    }

    /// Lets something happen to a process, whether it lives then or not.
    pub fn later(&mut self, after: Duration, fate: Fate) {
        let owner = self.fate.clone();
        self.set(&owner, after, Alarm::Fate(fate));
    }

    /// Takes the alarm that rang.
    pub fn take(&mut self, token: u64) -> Option<Alarm> {
        self.alarms.remove(&token)
    }
}

/// The master applies operations before the agent has them, and later messages build on earlier ones. A connection
/// loses nothing but its last messages, so that agents never see the later ones alone.
const fn may_be_lost(message: &Message) -> bool {
    !matches!(message, Message::ApplyOperation(_) | Message::CheckpointResources(_))
}

/// A repeated ACCEPT is answered as one with an offer that is gone, for tasks that run: no connection of libprocess
/// repeats messages, and frameworks could not tell that answer from a real one.
fn may_be_doubled(message: &Message) -> bool {
    match message {
        Message::SchedulerCall(call) => call.type_() != mesos_proto::v0::scheduler::call::Type::ACCEPT,
        _ => true,
    }
}
