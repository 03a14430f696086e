//! Launching, watching and ending containers.
//!
//! [`Containerizer`] is what the agent sees. [`MesosContainerizer`] implements it for plain processes: each container
//! is a session led by a launch helper ([`program::run`]), watched by the operating system, measured through `/proc`
//! and killed as a whole tree. [`fetcher`] fills sandboxes before commands start.
//!
//! This crate holds no rule about frameworks, executors or tasks, and knows nothing of the actor runtime.

mod birth;
mod checkpoint;
pub mod children;
mod containerizer;
mod environment;
mod error;
pub mod fetcher;
pub mod helper;
pub mod isolators;
mod launcher;
mod life;
mod mesos_containerizer;
pub mod paths;
pub mod process_tree;
pub mod program;
pub mod reaper;
mod recovery;
mod registry;
mod removal;
mod runtime_scan;
mod termination;
mod watching;

pub use containerizer::{
    Config, ContainerKind, ContainerOutput, Containerizer, ContainerizerFuture, HelperCommand, LaunchRequest, Launched,
    RecoverableContainer, Recovered,
};
pub use environment::{SecretError, overlay_environment};
pub use error::ContainerizerError;
pub use launcher::program_of;
pub use mesos_containerizer::MesosContainerizer;
pub use termination::{Termination, WaitStatus};
