//! The default executor: runs groups of tasks, each task in a container nested in its own.
//!
//! The agent starts it as `mesos-default-executor` for executors of type DEFAULT. It speaks the v1 executor API and,
//! for the containers of its tasks, the agent's own v1 API. [`core`] holds the rules, `shell` carries them out,
//! `agent_api` makes calls, `nested_check` runs the commands of checks inside the containers of tasks.

mod agent_api;
pub mod core;
mod flags;
mod nested_check;
mod shell;

pub use flags::{FlagError, Flags};
pub use shell::run;
