//! Load for a master: agents and frameworks that exist only on the wire.
//!
//! [`Load`] is a node of the runtime with any number of emulated agents, processes `slave(1)` to `slave(N)`, and
//! frameworks over the v1 API or over libprocess messages. They speak to any master, this project's or the original,
//! and what they see goes into a [`Recorder`]. [`scenario`] composes them into the runs of the program `mesos-load`,
//! each of which ends in one [`report::Report`].
//!
//! Agents and frameworks are written as the rest of the project is: [`agent::AgentCore`], [`agent::Task`] and
//! [`framework::FrameworkCore`] hold the rules and do no input or output; the processes and tasks beside them carry the
//! effects out.

pub mod agent;
pub mod cli;
pub mod framework;
mod load;
pub mod master;
pub mod progress;
pub mod record;
pub mod report;
pub mod samples;
pub mod scenario;
pub mod usage;

pub use load::{Load, LoadError};
pub use record::{Note, Numbers, Recorder};
