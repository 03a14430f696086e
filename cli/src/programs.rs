//! Which program a name or a first argument stands for.

use std::ffi::OsStr;
use std::path::Path;

/// What the executable can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `mesos-master`
    Master,
    /// `mesos-agent`, `mesos-slave`
    Agent,
    /// `mesos-execute`
    Execute,
    /// `mesos-executor`, the executor of single commands
    CommandExecutor,
    /// `mesos-default-executor`, the executor of task groups
    DefaultExecutor,
    /// `mesos-fetcher`
    Fetcher,
    /// `mesos-containerizer`
    Containerizer,
    /// `mesos up`, `mesos-local`: a cluster on this machine
    Up,
    /// `mesos help`
    Help,
    /// `mesos version`
    Version,
    /// A program of Apache Mesos whose work is not done here yet.
    NotYet {
        /// Its name.
        name: &'static str,
        /// What it would serve.
        purpose: &'static str,
    },
}

/// Programs by the name that they are called under; `mesos NAME` drops the prefix.
const PROGRAMS: &[(&str, Program)] = &[
    ("mesos-master", Program::Master),
    ("mesos-agent", Program::Agent),
    ("mesos-slave", Program::Agent),
    ("mesos-execute", Program::Execute),
    ("mesos-executor", Program::CommandExecutor),
    ("mesos-default-executor", Program::DefaultExecutor),
    ("mesos-fetcher", Program::Fetcher),
    ("mesos-containerizer", Program::Containerizer),
    ("mesos-local", Program::Up),
    ("mesos-up", Program::Up),
    ("mesos-help", Program::Help),
    ("mesos-version", Program::Version),
    (
        "mesos-docker-executor",
        Program::NotYet {
            name: "mesos-docker-executor",
            purpose: "docker containers",
        },
    ),
    (
        "mesos-io-switchboard",
        Program::NotYet {
            name: "mesos-io-switchboard",
            purpose: "attaching to containers",
        },
    ),
    (
        "mesos-log",
        Program::NotYet {
            name: "mesos-log",
            purpose: "the replicated log",
        },
    ),
    (
        "mesos-usage",
        Program::NotYet {
            name: "mesos-usage",
            purpose: "usage statistics of one process",
        },
    ),
    (
        "mesos-tcp-connect",
        Program::NotYet {
            name: "mesos-tcp-connect",
            purpose: "TCP checks",
        },
    ),
    (
        "mesos-logrotate-logger",
        Program::NotYet {
            name: "mesos-logrotate-logger",
            purpose: "rotated logs",
        },
    ),
];

/// Options that stand for a program.
const OPTIONS: &[(&str, Program)] = &[
    ("--help", Program::Help),
    ("-h", Program::Help),
    ("--version", Program::Version),
    ("-V", Program::Version),
];

/// The program for a name as in the process list: the last part of a path.
#[must_use]
pub fn by_name(name: &OsStr) -> Option<Program> {
    let name = Path::new(name).file_name()?.to_str()?;
    find(PROGRAMS, name)
}

/// The program for the first argument of `mesos`.
#[must_use]
pub fn by_argument(argument: &OsStr) -> Option<Program> {
    let argument = argument.to_str()?;
    find(OPTIONS, argument).or_else(|| find(PROGRAMS, &format!("mesos-{argument}")))
}

fn find(table: &[(&str, Program)], name: &str) -> Option<Program> {
    table
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, program)| *program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_arguments_lead_to_the_same_programs() {
        assert_eq!(by_name(OsStr::new("/usr/sbin/mesos-slave")), Some(Program::Agent));
        assert_eq!(by_name(OsStr::new("mesos-master")), Some(Program::Master));
        assert_eq!(by_argument(OsStr::new("agent")), Some(Program::Agent));
        assert_eq!(by_argument(OsStr::new("up")), Some(Program::Up));
        assert_eq!(by_argument(OsStr::new("--version")), Some(Program::Version));
    }

    #[test]
    fn the_executable_itself_is_no_program_and_strangers_are_unknown() {
        assert_eq!(by_name(OsStr::new("/usr/bin/mesos")), None);
        assert_eq!(by_argument(OsStr::new("mesos-master-of-puppets")), None);
    }
}
