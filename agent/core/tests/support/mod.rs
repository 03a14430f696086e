//! A bench for an agent core: time, disk, timers and a containerizer that only take notes.

#![allow(dead_code, reason = "each test program uses a part of the bench")]

pub mod build;
pub mod disk;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use libprocess_types::{Time, Upid};
use mesos::Message;
use mesos::ids::{ContainerId, ExecutorId, FrameworkId, TaskId};
use mesos_agent_core::{
    Agent, AgentConfig, AgentState, AgentTimer, CheckpointWrite, ContainerLaunch, ContainerTermination, Effect,
    Executor, ExecutorStreamId, Input, RequestId,
};
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::executor;
use mesos_proto::v0::mesos as pb;

pub use disk::Disk;

pub const AGENT: &str = "M-S0";
pub const FRAMEWORK: &str = "M-0000";

pub fn upid(text: &str) -> Upid {
    text.parse().expect("an address")
}

pub fn master() -> Upid {
    upid("master@127.0.0.1:5050")
}

pub fn observer() -> Upid {
    upid("slave-observer(1)@127.0.0.1:5050")
}

pub struct Bench {
    pub agent: Agent,
    pub now: Time,
    pub disk: Disk,
    pub timers: BTreeMap<AgentTimer, Time>,
    pub launches: Vec<ContainerLaunch>,
    /// Changes of containers that are to be answered; at once, unless `holds_updates`.
    pub updates: VecDeque<ContainerId>,
    pub holds_updates: bool,
    /// Everything that was written in this life, in order.
    pub writes: Vec<CheckpointWrite>,
    next_request: u64,
}

impl Bench {
    /// An agent that has just been made.
    pub fn new(config: AgentConfig) -> Self {
        let now = Time::from_secs_f64(1_700_000_000.0);
        Self {
            agent: Agent::new(config, now),
            now,
            disk: Disk::default(),
            timers: BTreeMap::new(),
            launches: Vec::new(),
            updates: VecDeque::new(),
            holds_updates: false,
            writes: Vec::new(),
            next_request: 0,
        }
    }

    /// An agent that is registered.
    pub fn registered() -> Self {
        Self::registered_with(build::config())
    }

    /// An agent with these settings that is registered.
    pub fn registered_with(config: AgentConfig) -> Self {
        let mut bench = Self::new(config);
        bench.step(Input::Recovered(Box::default()));
        bench.register();
        bench
    }

    pub fn register(&mut self) {
        self.step(Input::MasterDetected(Some(master())));
        self.fire(&AgentTimer::Registration);
        self.receive(&master(), build::registered(AGENT));
        assert_eq!(self.agent.state(), AgentState::Running);
    }

    /// Comes back to the master with the id it has.
    pub fn register_again(&mut self) {
        self.step(Input::MasterDetected(Some(master())));
        self.fire(&AgentTimer::Registration);
        self.receive(&master(), build::reregistered());
        assert_eq!(self.agent.state(), AgentState::Running);
    }

    /// Takes an input and carries the effects out; gives them flat, in order, without the writes.
    pub fn step(&mut self, input: Input) -> Vec<Effect> {
        let mut flat = self.step_once(input);
        while !self.holds_updates
            && let Some(container_id) = self.updates.pop_front()
        {
            flat.extend(self.step_once(Input::ContainerUpdated { container_id }));
        }
        flat
    }

    fn step_once(&mut self, input: Input) -> Vec<Effect> {
        let effects = self.agent.step(self.now, input);
        let mut flat = Vec::new();
        for effect in effects {
            self.carry_out(effect, &mut flat);
        }
        if let Err(what) = self.agent.check_invariants() {
            panic!("{what}");
        }
        flat
    }

    fn carry_out(&mut self, effect: Effect, flat: &mut Vec<Effect>) {
        match &effect {
            Effect::Checkpoint { .. } => {
                let Effect::Checkpoint { writes, then } = effect else {
                    return;
                };
                for write in writes {
                    self.writes.push(write.clone());
                    self.disk.apply(write);
                }
                for held in then {
                    self.carry_out(held, flat);
                }
                return;
            }
            Effect::SetTimer { timer, after } => {
                self.timers.insert(timer.clone(), self.now + *after);
            }
            Effect::CancelTimer(timer) => {
                self.timers.remove(timer);
            }
            Effect::UpdateContainer { container_id, .. } => self.updates.push_back(container_id.clone()),
            Effect::LaunchContainer(launch) => self.launches.push((**launch).clone()),
            _ => {}
        }
        flat.push(effect);
    }

    pub fn receive(&mut self, from: &Upid, message: impl Into<Message>) -> Vec<Effect> {
        self.step(Input::Message {
            from: from.clone(),
            message: message.into(),
        })
    }

    /// Lets a timer that is set elapse.
    pub fn fire(&mut self, timer: &AgentTimer) -> Vec<Effect> {
        let due = self
            .timers
            .remove(timer)
            .unwrap_or_else(|| panic!("{timer:?} is not set"));
        self.now = self.now.max(due);
        self.step(Input::Timer(timer.clone()))
    }

    pub fn pause_of(&self, timer: &AgentTimer) -> Option<Duration> {
        self.timers.get(timer).map(|due| due.saturating_since(self.now))
    }

    pub fn call(&mut self, stream: u64, call: executor::Call) -> Vec<Effect> {
        self.next_request += 1;
        let request = RequestId(self.next_request);
        self.step(Input::ExecutorCall {
            request,
            stream: ExecutorStreamId(stream),
            call: Box::new(call),
        })
    }

    /// The container of the newest launch runs.
    pub fn launched(&mut self) -> ContainerId {
        let container_id = self.launches.last().expect("a launch").container_id.clone();
        let mut status = pb::ContainerStatus::new();
        status.set_executor_pid(42);
        let result = Ok(Box::new(status));
        self.step(Input::LaunchFinished {
            container_id: container_id.clone(),
            result,
        });
        container_id
    }

    pub fn terminated(&mut self, container_id: &ContainerId, status: i32) -> Vec<Effect> {
        let termination = ContainerTermination {
            status: Some(status),
            ..ContainerTermination::default()
        };
        self.step(Input::ContainerTerminated {
            container_id: container_id.clone(),
            termination,
        })
    }

    /// A v0 executor with a running task; gives the executor's address.
    pub fn running_task(&mut self, task: &str, executor: &str) -> Upid {
        self.receive(&master(), build::run_task(task, Some(executor), true));
        self.launched();
        let address = upid("executor(1)@127.0.0.1:4000");
        self.receive(&address, build::register_executor(executor));
        self.receive(&address, build::update(task, executor, pb::TaskState::TASK_RUNNING, 1));
        self.receive(&master(), build::acknowledge(task, 1));
        address
    }

    pub fn executor(&self, id: &str) -> Option<&Executor> {
        self.agent.executor(&FrameworkId::new(FRAMEWORK), &ExecutorId::new(id))
    }
}

/// The messages among effects, with their receivers.
pub fn sends(effects: &[Effect]) -> Vec<(&Upid, &Message)> {
    let mut sends = Vec::new();
    for effect in effects {
        if let Effect::Send { to, message } = effect {
            sends.push((to, message));
        }
    }
    sends
}

/// The short names of the messages among effects.
pub fn names(effects: &[Effect]) -> Vec<&'static str> {
    sends(effects)
        .iter()
        .map(|(_, message)| message.name().rsplit('.').next().unwrap_or_default())
        .collect()
}

/// The status updates that go to the master.
pub fn forwarded(effects: &[Effect]) -> Vec<&internal::StatusUpdate> {
    let mut updates = Vec::new();
    for (to, message) in sends(effects) {
        if let Message::StatusUpdate(message) = message {
            assert_eq!(*to, master());
            updates.extend(message.update.as_ref());
        }
    }
    updates
}

/// The statuses of operations that go to the master.
pub fn operation_statuses(effects: &[Effect]) -> Vec<&internal::UpdateOperationStatusMessage> {
    let statuses = sends(effects).into_iter().filter_map(|(to, message)| match message {
        Message::UpdateOperationStatus(message) if *to == master() => Some(&**message),
        _ => None,
    });
    statuses.collect()
}

/// The types of the events that go to `stream`.
pub fn events(effects: &[Effect], stream: u64) -> Vec<executor::event::Type> {
    let event = |effect: &Effect| match effect {
        Effect::StreamEvent { stream: to, event } if to.0 == stream => Some(event.type_()),
        _ => None,
    };
    effects.iter().filter_map(event).collect()
}

/// The status of the reply among effects.
pub fn replied(effects: &[Effect]) -> Option<u16> {
    effects.iter().find_map(|effect| match effect {
        Effect::Reply { status, .. } => Some(*status),
        _ => None,
    })
}

pub fn task_id(text: &str) -> TaskId {
    TaskId::new(text)
}

pub fn retry_timer(task: &str) -> AgentTimer {
    AgentTimer::StatusUpdateRetry {
        framework_id: FrameworkId::new(FRAMEWORK),
        task_id: TaskId::new(task),
    }
}
