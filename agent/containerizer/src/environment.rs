//! Environments of commands, secrets among their variables.

use std::collections::BTreeMap;

use mesos_proto::v0::mesos::environment::variable::Type as VariableType;
use mesos_proto::v0::mesos::{CommandInfo, secret};
use thiserror::Error;

/// Why a secret variable has no value here.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SecretError {
    /// It would have to be fetched from somewhere.
    #[error("environment variable '{0}' names a secret by reference; only secrets of the type VALUE can be resolved")]
    NotValue(String),
    /// The bytes are no text.
    #[error("the secret of the environment variable '{0}' is no UTF-8 text")]
    NotText(String),
}

/// Lays a command's own variables over an environment; secrets that carry their value count as what they carry.
///
/// # Errors
///
/// Names the first secret that cannot be resolved; the environment is half done then.
pub fn overlay_environment(
    environment: &mut BTreeMap<String, String>,
    command: &CommandInfo,
) -> Result<(), SecretError> {
    for variable in &command.environment.variables {
        let name = variable.name();
        let value = if variable.type_() == VariableType::SECRET {
            let secret = &variable.secret;
            if secret.type_() != secret::Type::VALUE {
                return Err(SecretError::NotValue(name.to_owned()));
            }
            let text = std::str::from_utf8(secret.value.data());
            text.map_err(|_| SecretError::NotText(name.to_owned()))?
        } else {
            variable.value()
        };
        environment.insert(name.to_owned(), value.to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use mesos_proto::v0::mesos::Secret;
    use mesos_proto::v0::mesos::environment::Variable;

    use super::*;

    fn secret_variable(kind: secret::Type, data: &[u8]) -> CommandInfo {
        let mut secret = Secret::new();
        secret.set_type(kind);
        secret.value.mut_or_insert_default().set_data(data.to_vec());
        let mut variable = Variable::new();
        variable.set_name("S".to_owned());
        variable.set_type(VariableType::SECRET);
        variable.secret = Some(secret).into();
        let mut command = CommandInfo::new();
        command.environment.mut_or_insert_default().variables.push(variable);
        command
    }

    #[test]
    fn secrets_with_a_value_are_resolved_and_others_refused_by_name() {
        let overlaid = |command: &CommandInfo| {
            let mut environment = BTreeMap::from([("S".to_owned(), "old".to_owned())]);
            overlay_environment(&mut environment, command).map(|()| environment["S"].clone())
        };
        let hidden = secret_variable(secret::Type::VALUE, b"hidden");
        assert_eq!(overlaid(&hidden).as_deref(), Ok("hidden"));
        let named = secret_variable(secret::Type::REFERENCE, b"");
        assert_eq!(overlaid(&named), Err(SecretError::NotValue("S".to_owned())));
        let bytes = secret_variable(secret::Type::VALUE, &[0xff]);
        assert_eq!(overlaid(&bytes), Err(SecretError::NotText("S".to_owned())));
    }
}
