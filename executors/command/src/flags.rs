//! Flags of `mesos-executor`, as agents pass them.

use thiserror::Error;

/// Flags that agents of Apache Mesos pass only for containers with their own root file system or capabilities.
const NOT_YET: [&str; 9] = [
    "rootfs",
    "sandbox_directory",
    "working_directory",
    "user",
    "task_command",
    "effective_capabilities",
    "bounding_capabilities",
    "tty_slave_path",
    "task_launch_info",
];

/// The flags of one executor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Folder of the helper programs; nothing is started from there.
    pub launcher_dir: Option<String>,
    /// JSON of the variables that isolators want the task to have.
    pub task_environment: Option<String>,
}

/// Why the flags are refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FlagError {
    /// The flag is known, what it does is not there.
    #[error("flag --{0} is not supported yet: tasks with an own root file system, account or capabilities are refused")]
    NotYet(String),
    /// Nobody knows the flag.
    #[error("unknown argument '{0}'; known flags: --launcher_dir=DIR, --task_environment=JSON")]
    Unknown(String),
}

impl Flags {
    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    ///
    /// Names the first flag that is unknown or not supported.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, FlagError> {
        let mut flags = Self::default();
        for argument in arguments {
            let flag = argument.strip_prefix("--").and_then(|flag| flag.split_once('='));
            match flag {
                Some(("launcher_dir", value)) => flags.launcher_dir = Some(value.to_owned()),
                Some(("task_environment", value)) => flags.task_environment = Some(value.to_owned()),
                Some((name, _)) if NOT_YET.contains(&name) => return Err(FlagError::NotYet(name.to_owned())),
                _ => return Err(FlagError::Unknown(argument)),
            }
        }
        Ok(flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Flags, FlagError> {
        Flags::parse(arguments.iter().map(|argument| (*argument).to_owned()))
    }

    #[test]
    fn an_agents_flags_are_read_and_others_named() {
        let flags = parse(&["--launcher_dir=/usr/libexec/mesos"]).expect("known");
        assert_eq!(flags.launcher_dir.as_deref(), Some("/usr/libexec/mesos"));
        assert_eq!(parse(&["--rootfs=/x"]), Err(FlagError::NotYet("rootfs".to_owned())));
        assert_eq!(parse(&["--what=/x"]), Err(FlagError::Unknown("--what=/x".to_owned())));
        assert_eq!(parse(&["x"]), Err(FlagError::Unknown("x".to_owned())));
    }
}
