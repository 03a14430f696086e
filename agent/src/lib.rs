//! The Mesos agent: the shell around `mesos-agent-core`.
//!
//! [`AgentProcess`] is the process `slave(1)`; [`start`] puts it on a node, [`run`] is the program.

mod checkpoint;
mod http;
mod process;
mod recovery;

pub use process::{AgentProcess, Ended, Parts};
