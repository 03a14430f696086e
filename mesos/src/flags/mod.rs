//! Command-line flags of the programs: one table a program, one reader for all.
//!
//! A [`FlagSet`] names a program and its tables of [`FlagSpec`]s. [`FlagSet::read`] takes the arguments and the
//! environment, in that order of precedence, and gives checked [`Flags`]. A flag whose feature is not there yet is in
//! the tables all the same: start-up fails with a sentence that says so, unless the value asks for nothing.
//!
//! - [`spec`]: what the tables say about a flag
//! - [`master`], [`agent`], [`logging`]: the tables of the programs
//! - [`environment`]: variables that are read by the runtime and the drivers, and what of them is refused
//!
//! Source: shared facts, `flags_master.tsv`, `flags_agent.tsv`, `flags_logging_libprocess.tsv`, `pitfalls.md` D25.

pub mod agent;
mod agent_containers;
pub mod checks;
pub mod environment;
mod error;
pub mod execute;
mod help;
pub mod logging;
pub mod master;
pub mod modules;
mod read;
pub mod spec;
#[cfg(test)]
mod tests;
pub mod up;
mod value;

pub use error::{BadValue, FlagsError};
pub use read::{FlagSet, Flags, Outcome};
pub use spec::FlagSpec;
pub use value::FlagValue;
