//! The rules of the Mesos agent, pure: one plain struct, [`Agent`], that is told what happened ([`Input`]) and says
//! what is to be done ([`Effect`]). It owns frameworks, executors, tasks and status-update streams. It reads no clock,
//! draws no random number that was not seeded, and touches no disk, process or socket: the agent program and the
//! simulation do that, each in its own way.

pub mod agent;
pub mod config;
pub mod effect;
pub mod executor;
pub mod framework;
pub mod input;
pub mod paths;
mod random;
pub mod recovery;

pub use agent::{Agent, AgentState};
pub use config::{AgentConfig, RecoverMode, Strictness};
pub use effect::{CheckpointWrite, ContainerLaunch, Durability, Effect, ShutdownReason};
pub use executor::{Executor, ExecutorConnection, ExecutorState};
pub use framework::{Framework, FrameworkState};
pub use input::{AgentTimer, ContainerTermination, ExecutorStreamId, Input, RequestId};
pub use random::Random;
