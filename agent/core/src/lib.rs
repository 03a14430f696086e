//! The rules of the Mesos agent, pure: one plain struct, [`Agent`], that is told what happened ([`Input`]) and says
//! what is to be done ([`Effect`]). It owns frameworks, executors, tasks and status-update streams. It reads no clock,
//! draws no random number that was not seeded, and touches no disk, process or socket: the agent program and the
//! simulation do that, each in its own way.

mod adoption;
pub mod agent;
pub mod checkpoint;
pub mod collection;
mod command_executor;
pub mod config;
mod counters;
pub mod effect;
mod environment;
pub mod executor;
mod executor_lifecycle;
mod executor_registration;
pub mod framework;
mod frameworks;
pub mod input;
mod invariants;
mod kill;
mod limits;
mod messages;
mod nested;
mod operations;
mod outbox;
pub mod oversubscription;
pub mod paths;
mod reconfiguration;
pub mod recovery;
mod registration;
mod resource_format;
mod run_task;
pub mod status_update_stream;
mod status_updates;
pub mod tasks;
mod termination;
pub mod update_streams;

pub use agent::{Agent, AgentState};
pub use collection::{Collected, Collections};
pub use config::{AgentConfig, RecoverMode, Strictness};
pub use counters::Counters;
pub use effect::{CheckpointWrite, ContainerLaunch, Durability, Effect, ShutdownReason};
pub use executor::{Executor, ExecutorConnection, ExecutorKey, ExecutorState};
pub use framework::{Framework, FrameworkState};
pub use input::{AgentTimer, ContainerTermination, ExecutorStreamId, Input, RequestId};
pub use limits::unenforced;
pub use oversubscription::{LoadAverage, QosController, ResourceEstimator};
pub use reconfiguration::ReconfigurationPolicy;
