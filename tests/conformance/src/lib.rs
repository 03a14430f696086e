//! What the conformance tests stand on: a cluster of real programs, a Python with the real clients, raw HTTP.
//!
//! The tests are compiled with the package `mesos-cli`, which knows where the executables are; their sources lie in
//! `programs/` here. Nothing in this crate links the code under test.

mod cluster;
mod events;
mod gate;
mod http;
mod process;
mod python;
pub mod scenario;
mod scheduler;
mod stream;

pub use cluster::Cluster;
pub use events::{EventStream, NoEvent};
pub use gate::Gate;
pub use http::{Answer, exchange, get, post_json};
pub use process::{Program, ProgramError, end_everything_in};
pub use python::{Python, PythonError};
pub use scheduler::{Scheduler, command_task, framework, offers_of, scalars, user};
pub use stream::Records;
