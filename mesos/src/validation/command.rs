//! Rules for commands and their environment.

use mesos_proto::v0::mesos::environment::variable::Type;
use mesos_proto::v0::mesos::{CommandInfo, Environment};

use super::container::{SecretError, validate_secret};

/// Why a command cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// A variable of type VALUE has no value.
    #[error("environment variable `{name}` of type VALUE lacks `value`")]
    ValueMissing {
        /// The variable.
        name: String,
    },
    /// A variable of type VALUE has a secret.
    #[error("environment variable `{name}` of type VALUE cannot have `secret`")]
    SecretWithValue {
        /// The variable.
        name: String,
    },
    /// A variable of type SECRET has no secret.
    #[error("environment variable `{name}` of type SECRET lacks `secret`")]
    SecretMissing {
        /// The variable.
        name: String,
    },
    /// A variable of type SECRET has a value.
    #[error("environment variable `{name}` of type SECRET cannot have `value`")]
    ValueWithSecret {
        /// The variable.
        name: String,
    },
    /// The secret of a variable is malformed.
    #[error("environment variable `{name}` has a bad secret")]
    Secret {
        /// The variable.
        name: String,
        /// What is wrong.
        source: SecretError,
    },
    /// The secret of a variable holds a zero byte, which no environment can carry.
    #[error("environment variable `{name}` has a secret with a zero byte in it")]
    SecretWithNul {
        /// The variable.
        name: String,
    },
    /// The type of a variable is not known here.
    #[error("environment variable `{name}` has the type {found}; VALUE and SECRET are possible")]
    UnknownType {
        /// The variable.
        name: String,
        /// The number of the type.
        found: i32,
    },
    /// Name or value holds a zero byte, which no environment can carry.
    #[error("environment variable {name:?} has a zero byte in its name or value")]
    Nul {
        /// The variable.
        name: String,
    },
}

/// Checks a command. Its URIs are the fetcher's to judge.
///
/// # Errors
///
/// Names the first variable that breaks a rule.
pub fn validate_command(command: &CommandInfo) -> Result<(), CommandError> {
    command.environment.as_ref().map_or(Ok(()), validate_environment)
}

/// Checks an environment: each variable has what its type wants, and nothing that a process cannot receive.
///
/// # Errors
///
/// Names the first variable that breaks a rule.
pub fn validate_environment(environment: &Environment) -> Result<(), CommandError> {
    for variable in &environment.variables {
        let name = || variable.name().to_owned();
        if variable.name().contains('\0') || variable.value().contains('\0') {
            return Err(CommandError::Nul { name: name() });
        }
        // An absent type means VALUE; a number that is not known here comes from a newer peer.
        let number = variable.type_.map_or(Type::VALUE as i32, |kind| kind.value());
        let secret = variable.secret.as_ref();
        match (number, variable.has_value(), secret) {
            (1, false, _) => return Err(CommandError::ValueMissing { name: name() }),
            (1, true, Some(_)) => return Err(CommandError::SecretWithValue { name: name() }),
            (2, _, None) => return Err(CommandError::SecretMissing { name: name() }),
            (2, true, Some(_)) => return Err(CommandError::ValueWithSecret { name: name() }),
            (2, false, Some(secret)) => {
                validate_secret(secret).map_err(|source| CommandError::Secret { name: name(), source })?;
                if secret.value.data().contains(&0) {
                    return Err(CommandError::SecretWithNul { name: name() });
                }
            }
            (1, true, None) => {}
            (found, ..) => return Err(CommandError::UnknownType { name: name(), found }),
        }
    }
    Ok(())
}
