//! Carries out the lines of a scenario against a master.

use std::io;
use std::net::SocketAddr;

use serde_json::Value;
use thiserror::Error;

use super::file::Scenario;
use super::json::NameError;
use super::resources::ResourceError;
use super::step::Line;
use super::world::World;
use crate::http::Answer;
use crate::process::ProgramError;

/// Why a line does not hold.
#[derive(Debug, Error)]
pub enum Failure {
    /// A name that was never given.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No resource.
    #[error(transparent)]
    Resource(#[from] ResourceError),
    /// A program that does not do what it is told.
    #[error(transparent)]
    Control(#[from] ProgramError),
    /// As above, in words.
    #[error("{0}")]
    Program(String),
    /// No connection.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// A field that this operation has not.
    #[error("no field '{0}' here")]
    NoField(String),
    /// An agent that was never started.
    #[error("there is no agent '{0}'")]
    NoAgent(String),
    /// A framework that was not described.
    #[error("there is no framework '{0}'")]
    NoFramework(String),
    /// A task that nobody launched.
    #[error("nobody launched or asked about a task '{0}'")]
    NoTask(String),
    /// Something that only a framework with a stream can do.
    #[error("the framework is not subscribed")]
    NotSubscribed,
    /// Needs power over the programs.
    #[error("this needs power over the cluster's programs")]
    NoControl,
    /// Did not come.
    #[error("{what} did not come; {backlog}")]
    Missing {
        /// What was waited for.
        what: String,
        /// What came.
        backlog: String,
    },
    /// Can not come any more.
    #[error("the stream ended before {what} came; {backlog}")]
    Closed {
        /// What was waited for.
        what: String,
        /// What came.
        backlog: String,
    },
    /// Is not what it should be.
    #[error("{what}: wanted {wanted}, found {found}")]
    Other {
        /// What was looked at.
        what: String,
        /// What would be right.
        wanted: String,
        /// What it is.
        found: String,
    },
}

impl Failure {
    /// Another status than the right one.
    pub(super) fn status(wanted: u16, answer: &Answer) -> Self {
        Self::Other {
            what: "status of the answer".to_owned(),
            wanted: wanted.to_string(),
            found: format!("{} {}", answer.status, shortened(&answer.text())),
        }
    }

    /// Another value than the right one.
    pub(super) fn value(what: &str, wanted: &Value, found: &Value) -> Self {
        Self::Other {
            what: what.to_owned(),
            wanted: wanted.to_string(),
            found: shortened(&found.to_string()),
        }
    }
}

/// The beginning of a text that may be a whole cluster's state.
pub(super) fn shortened(text: &str) -> String {
    const LONGEST: usize = 3000;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    let start: String = text.chars().take(LONGEST).collect();
    format!("{start}…")
}

/// A line that does not hold.
#[derive(Debug, Error)]
#[error("line {number}: {text}\n    {failure}")]
pub struct FailedLine {
    /// Number of the line.
    pub number: usize,
    /// The line.
    pub text: String,
    /// Why.
    pub failure: Failure,
}

/// What a scenario runs against.
#[derive(Debug)]
pub enum Target<'a> {
    /// Any master.
    Master(SocketAddr),
    /// A cluster of which the scenario may do anything to the programs.
    Own(&'a mut super::control::Site),
    /// A cluster that others use at the same time.
    Shared(&'a super::control::Site),
}

/// Runs a scenario; the lines after its end are carried out in any case.
///
/// # Errors
///
/// Tells the first line that does not hold, and what was found.
pub fn run(scenario: &Scenario, target: Target<'_>) -> Result<(), FailedLine> {
    let mut world = World::new(target);
    let held = lines(&mut world, &scenario.lines);
    let cleaned = lines(&mut world, &scenario.afterwards);
    world.tear_down();
    held.and(cleaned)
}

fn lines(world: &mut World<'_>, lines: &[Line]) -> Result<(), FailedLine> {
    for line in lines {
        world.carry_out(&line.step).map_err(|failure| FailedLine {
            number: line.number,
            text: line.text.clone(),
            failure,
        })?;
    }
    Ok(())
}
