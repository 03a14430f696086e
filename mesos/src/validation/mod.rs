//! Rules about descriptions and calls that hold whoever receives them: master, agent or a driver.
//!
//! Everything is pure: a message goes in, the first broken rule comes out as its own error, naming field and value.
//! What depends on the state of a cluster (is the offer there, is the id in use) comes in through small context
//! structs or stays with the caller.
//!
//! - [`framework`]: descriptions of frameworks, and what may change in them
//! - [`task`], [`executor`]: descriptions of tasks, task groups and executors
//! - [`command`], [`check`], [`container`]: their parts
//! - [`disk`]: volumes, disks and reservations of single resources
//! - [`usage`]: resources that belong to one user
//! - [`agent`]: what agents tell when they register
//! - [`operation`]: the shapes of offer operations
//! - [`calls`]: the shapes of scheduler and executor calls
//!
//! Source: shared facts, `scheduler_calls.tsv`, `executor_calls.tsv`, `task_reasons.tsv`, `libprocess_wire.md`
//! sections 8 and 12, `pitfalls.md` D2, D10, D17.

pub mod agent;
pub mod calls;
pub mod check;
pub mod command;
pub mod container;
pub mod disk;
pub mod executor;
pub mod framework;
pub mod operation;
#[cfg(test)]
mod table;
pub mod task;
#[cfg(test)]
mod tests;
pub mod usage;

pub use calls::{CallError, validate_executor_call, validate_scheduler_call};
