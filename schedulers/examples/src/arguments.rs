//! The command line of both frameworks.

use std::ffi::OsString;

use clap::{Arg, Command, value_parser};
use thiserror::Error;

/// Processors of one task.
pub(crate) const TASK_CPUS: f64 = 0.1;
/// Memory of one task, in MB.
pub(crate) const TASK_MEM_MB: f64 = 32.0;

/// Why an example ended without success.
#[derive(Debug, Error)]
pub enum ExampleError {
    /// The command line is wrong, or help was asked for.
    #[error(transparent)]
    Arguments(#[from] clap::Error),
    /// The master's address cannot be used.
    #[error("--master: {0}")]
    Master(String),
    /// The master does not want this framework.
    #[error("the master refused: {0}")]
    Refused(String),
    /// A task ended otherwise than it should.
    #[error("task {task} ended as {state}: {message}")]
    Task {
        /// Its id.
        task: String,
        /// Its last state.
        state: String,
        /// What was told with it.
        message: String,
    },
    /// This program cannot work here.
    #[error("{0}")]
    Environment(String),
}

/// What a framework is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where the master is: `host:port`.
    pub master: String,
    /// How many tasks to run.
    pub tasks: usize,
    /// The command that each task, or the executor, is.
    pub command: String,
}

impl Options {
    /// Reads the arguments, the program's name first.
    ///
    /// # Errors
    ///
    /// Tells what is wrong with them, or gives the help text.
    pub fn parse(
        name: &'static str,
        command_help: &'static str,
        arguments: Vec<OsString>,
    ) -> Result<Self, ExampleError> {
        let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).help(help).required(true);
        let matches = Command::new(name)
            .arg(flag("master", "Address of the master, HOST:PORT"))
            .arg(flag("command", command_help))
            .arg(
                Arg::new("tasks")
                    .long("tasks")
                    .help("How many tasks to run")
                    .default_value("5")
                    .value_parser(value_parser!(u16).range(1..)),
            )
            .try_get_matches_from(arguments)?;
        let text = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
        Ok(Self {
            master: text("master"),
            tasks: usize::from(matches.get_one::<u16>("tasks").copied().unwrap_or(1)),
            command: text("command"),
        })
    }
}

/// Name of the user who runs this: tasks run as the same.
pub(crate) fn user() -> Result<String, ExampleError> {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid());
    let user = user.map_err(|error| ExampleError::Environment(error.to_string()))?;
    user.map(|user| user.name)
        .ok_or_else(|| ExampleError::Environment("this user has no name".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, ExampleError> {
        let all = ["example"].iter().chain(arguments).map(OsString::from).collect();
        Options::parse("example", "What to run", all)
    }

    #[test]
    fn tasks_have_a_default_and_the_rest_is_needed() {
        let read = parse(&["--master=h:1", "--command=true"]).expect("valid");
        assert_eq!(
            (read.master.as_str(), read.command.as_str(), read.tasks),
            ("h:1", "true", 5)
        );
        for wrong in [&["--master=h:1"][..], &["--master=h:1", "--command=x", "--tasks=0"]] {
            assert!(matches!(parse(wrong), Err(ExampleError::Arguments(_))), "{wrong:?}");
        }
    }
}
