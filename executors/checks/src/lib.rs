//! Checks (`CheckInfo`) and health checks (`HealthCheck`) of tasks, for every executor that comes with the project.
//!
//! [`core`] holds the rules under time that is handed in: when a task is looked at, what a result means, what is told
//! and when the task must be killed. [`Checks`] carries them out: it asks web servers and ports itself and runs
//! commands through a [`CommandRunner`], because where a command runs depends on the executor: a process beside the
//! task ([`runner::ProcessRunner`]) or a container nested in the task's.
//!
//! Updates of tasks, kills and capabilities are the executor's.
//!
//! Source: shared facts, `task_reasons.tsv`, the defaults in `protobuf/mesos/mesos.tsv`.

pub mod core;
pub mod plan;
pub mod result;
pub mod runner;
mod shell;

pub use plan::{CheckKind, Plan, Probe};
pub use result::{Found, HealthReport, Report, unknown_status};
pub use runner::{CommandAttempt, CommandRunner, RunFuture};
pub use shell::Checks;
