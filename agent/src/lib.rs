//! The Mesos agent: the shell around `mesos-agent-core`.
//!
//! [`AgentProcess`] is the process `slave(1)`; [`start`] puts it on a node, [`run`] is the program.

mod checkpoint;
mod collection;
mod containers;
mod folder_times;
mod http;
mod machine;
mod metrics;
mod modules;
mod nested;
mod pending;
mod process;
mod program;
mod recovery;
mod sandboxes;
mod sessions;
mod settings;

pub use process::{AgentProcess, Ended, Parts};
pub use program::{RunningAgent, StartError, StopMode, run, start};
