//! The command executor: runs the one command of a task that brings no executor of its own.
//!
//! The agent starts it as `mesos-executor` in the task's container and under the task's account. It speaks the v1
//! executor API or libprocess messages, as the agent says. [`core`] holds the rules, `shell` carries them out,
//! `command` deals with the task's processes.

mod command;
pub mod core;
mod flags;
mod link;
mod shell;

pub use flags::{FlagError, Flags};
pub use shell::run;
