//! An emulated agent: registers, answers pings, runs tasks that exist only as states.

mod core;
#[cfg(test)]
mod core_tests;
mod messages;
mod process;
mod task;

pub use core::{AgentCore, AgentInput, AgentTimer, Effect};
pub use messages::TaskShape;
pub use process::AgentProcess;
pub use task::{Outcome, Task, TaskEvent};

use std::sync::Arc;
use std::time::Duration;

use mesos_proto::v0::mesos::{FrameworkInfo, Resource};

/// How long tasks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunTime {
    /// Until they are killed.
    Forever,
    /// A time between these two, drawn for each task.
    Between(Duration, Duration),
}

/// Tasks that an agent has from the start, as after the failover of a master.
#[derive(Clone, Debug)]
pub struct Preload {
    /// The framework that owns them, with its id.
    pub framework: Arc<FrameworkInfo>,
    /// What they all look like.
    pub shape: Arc<TaskShape>,
    /// How many an agent has.
    pub tasks: u32,
    /// Begin of the ids that agents got from the earlier master; their number follows.
    pub agent_id_prefix: String,
}

/// What agents have in common.
#[derive(Clone, Debug)]
pub struct AgentKind {
    /// What each has to offer.
    pub resources: Vec<Resource>,
    /// How long its tasks run.
    pub run_time: RunTime,
    /// First wait for an answer to a registration; doubled for each try up to [`AgentKind::registration_wait_max`].
    pub registration_wait: Duration,
    /// Longest wait for an answer to a registration.
    pub registration_wait_max: Duration,
    /// First wait for the acknowledgement of an update; doubled for each try up to [`AgentKind::update_wait_max`].
    pub update_wait: Duration,
    /// Longest wait for the acknowledgement of an update.
    pub update_wait_max: Duration,
    /// Tasks that are there from the start.
    pub preload: Option<Preload>,
}

impl Default for AgentKind {
    /// The waits of the original agent, nothing to offer, tasks of one second.
    fn default() -> Self {
        Self {
            resources: Vec::new(),
            run_time: RunTime::Between(Duration::from_secs(1), Duration::from_secs(1)),
            registration_wait: Duration::from_secs(1),
            registration_wait_max: Duration::from_secs(60),
            update_wait: Duration::from_secs(10),
            update_wait_max: Duration::from_secs(600),
            preload: None,
        }
    }
}
