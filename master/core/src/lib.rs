//! The rules of the Mesos master: frameworks, agents, tasks and offers.
//!
//! [`Master`] is a plain struct with one door, [`Master::step`]: it takes the time and an [`Input`], changes its state
//! and gives the [`Effect`]s to carry out. It performs no I/O, reads no clock and draws no random number that was not
//! handed in. Readers use its accessors between steps.

mod config;
mod effect;
mod input;
mod master;
mod model;

pub use config::MasterConfig;
pub use effect::{Change, Effect, Reply, Sender};
pub use input::{Input, MasterTimer, ObserverId, OperatorCall, OperatorRequest, RequestId, SchedulerCall, StreamId};
pub use master::{InvariantError, Master, Phase};
pub use model::{
    Agent, AgentConnection, Bounded, Connection, Framework, FrameworkState, Offer, RecentIds, Task, is_terminal,
};

pub use mesos_allocator::Resources;
