//! Flags of `mesos-default-executor`, as agents pass them.

use thiserror::Error;

/// The flags of one executor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Folder of the helper programs; nothing is started from there.
    pub launcher_dir: Option<String>,
}

/// Why the flags are refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FlagError {
    /// Nobody knows the flag.
    #[error("unknown argument '{0}'; known flags: --launcher_dir=DIR")]
    Unknown(String),
}

impl Flags {
    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    ///
    /// Names the first flag that is unknown.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, FlagError> {
        let mut flags = Self::default();
        for argument in arguments {
            match argument.strip_prefix("--launcher_dir=") {
                Some(value) => flags.launcher_dir = Some(value.to_owned()),
                None => return Err(FlagError::Unknown(argument)),
            }
        }
        Ok(flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_flags_are_read_and_others_named() {
        let parse = |argument: &str| Flags::parse([argument.to_owned()]);
        let flags = parse("--launcher_dir=/usr/libexec/mesos").expect("known");
        assert_eq!(flags.launcher_dir.as_deref(), Some("/usr/libexec/mesos"));
        assert_eq!(parse("--what=/x"), Err(FlagError::Unknown("--what=/x".to_owned())));
    }
}
