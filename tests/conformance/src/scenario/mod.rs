//! Scenarios: text files that say what frameworks and operators do and what they see, carried out against a master.
//!
//! A file is read into [`Scenario`]s by [`load`]; [`Suite`] runs them, on clusters of its own or against any master.
//! Nothing here links the code under test: it speaks HTTP and JSON only. The language is described in the README of
//! `tests/conformance`.

mod act;
mod client;
mod control;
mod describe;
mod file;
mod json;
mod operation;
mod parse;
mod resources;
mod run;
mod step;
mod suite;
#[cfg(test)]
mod tests;
mod token;
mod words;
mod world;

pub use control::Site;
pub use file::{FileError, Scenario, Setting, load};
pub use run::{FailedLine, Failure, Target, run};
pub use suite::{Outcome, Report, Suite, table};
