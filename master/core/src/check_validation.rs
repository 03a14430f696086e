//! Rules for commands, checks and health checks of tasks.

use mesos_proto::v0::mesos::{CheckInfo, CommandInfo, Environment, HealthCheck, check_info, environment, health_check};
use thiserror::Error;

/// Why a command cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum CommandError {
    #[error("environment variable '{0}' of type VALUE must have 'value' and no 'secret'")]
    Value(String),
    #[error("environment variable '{0}' of type SECRET must have 'secret' and no 'value'")]
    Secret(String),
    #[error("environment variable '{0}' has a NUL character")]
    Nul(String),
    #[error("environment variable '{0}' has an unknown type")]
    UnknownType(String),
}

/// Why a check or health check cannot be done.
#[derive(Clone, Debug, PartialEq, Error)]
pub(crate) enum CheckError {
    #[error("'type' is missing or unknown")]
    NoType,
    #[error("'{field}' must be set for the type {kind}")]
    Missing { kind: &'static str, field: &'static str },
    #[error("'{field}' must not be set for the type {kind}")]
    Extra { kind: &'static str, field: &'static str },
    #[error("'command.value' must be set")]
    NoCommandValue,
    #[error("{0}")]
    Command(CommandError),
    #[error("the path '{0}' must begin with '/'")]
    RelativePath(String),
    #[error("the scheme '{0}' is unknown; 'http' and 'https' can be used")]
    Scheme(String),
    #[error("'{field}' is {value}; it must not be negative")]
    Negative { field: &'static str, value: f64 },
}

/// Checks the environment of a command.
pub(crate) fn validate_command(command: &CommandInfo) -> Result<(), CommandError> {
    command.environment.as_ref().map_or(Ok(()), validate_environment)
}

fn validate_environment(environment: &Environment) -> Result<(), CommandError> {
    for variable in &environment.variables {
        let name = || variable.name().to_owned();
        match variable.type_() {
            environment::variable::Type::VALUE => {
                if !variable.has_value() || variable.secret.is_some() {
                    return Err(CommandError::Value(name()));
                }
                if variable.value().contains('\0') || variable.name().contains('\0') {
                    return Err(CommandError::Nul(name()));
                }
            }
            environment::variable::Type::SECRET => {
                if variable.secret.is_none() || variable.has_value() {
                    return Err(CommandError::Secret(name()));
                }
            }
            environment::variable::Type::UNKNOWN => return Err(CommandError::UnknownType(name())),
        }
    }
    Ok(())
}

fn validate_path(path: Option<&String>) -> Result<(), CheckError> {
    match path {
        Some(path) if !path.starts_with('/') => Err(CheckError::RelativePath(path.clone())),
        Some(_) | None => Ok(()),
    }
}

fn validate_seconds(fields: &[(&'static str, f64)]) -> Result<(), CheckError> {
    match fields.iter().find(|(_, value)| value.is_nan() || *value < 0.0) {
        Some((field, value)) => Err(CheckError::Negative { field, value: *value }),
        None => Ok(()),
    }
}

fn exactly(kind: &'static str, wanted: &'static str, fields: &[(&'static str, bool)]) -> Result<(), CheckError> {
    for (field, present) in fields {
        match (*field == wanted, *present) {
            (true, false) => return Err(CheckError::Missing { kind, field }),
            (false, true) => return Err(CheckError::Extra { kind, field }),
            (true, true) | (false, false) => {}
        }
    }
    Ok(())
}

/// Checks a check.
pub(crate) fn validate_check(check: &CheckInfo) -> Result<(), CheckError> {
    let fields = [
        ("command", check.command.is_some()),
        ("http", check.http.is_some()),
        ("tcp", check.tcp.is_some()),
    ];
    match check.type_() {
        check_info::Type::UNKNOWN => return Err(CheckError::NoType),
        check_info::Type::COMMAND => {
            exactly("COMMAND", "command", &fields)?;
            validate_check_command(&check.command.command)?;
        }
        check_info::Type::HTTP => {
            exactly("HTTP", "http", &fields)?;
            validate_path(check.http.path.as_ref())?;
        }
        check_info::Type::TCP => exactly("TCP", "tcp", &fields)?,
    }
    validate_seconds(&[
        ("delay_seconds", check.delay_seconds()),
        ("interval_seconds", check.interval_seconds()),
        ("timeout_seconds", check.timeout_seconds()),
    ])
}

fn validate_check_command(command: &CommandInfo) -> Result<(), CheckError> {
    if !command.has_value() {
        return Err(CheckError::NoCommandValue);
    }
    validate_command(command).map_err(CheckError::Command)
}

/// Checks a health check.
pub(crate) fn validate_health_check(check: &HealthCheck) -> Result<(), CheckError> {
    let fields = [
        ("command", check.command.is_some()),
        ("http", check.http.is_some()),
        ("tcp", check.tcp.is_some()),
    ];
    match check.type_() {
        health_check::Type::UNKNOWN => return Err(CheckError::NoType),
        health_check::Type::COMMAND => {
            exactly("COMMAND", "command", &fields)?;
            validate_check_command(&check.command)?;
        }
        health_check::Type::HTTP => {
            exactly("HTTP", "http", &fields)?;
            if check.http.has_scheme() && !matches!(check.http.scheme(), "http" | "https") {
                return Err(CheckError::Scheme(check.http.scheme().to_owned()));
            }
            validate_path(check.http.path.as_ref())?;
        }
        health_check::Type::TCP => exactly("TCP", "tcp", &fields)?,
    }
    validate_seconds(&[
        ("delay_seconds", check.delay_seconds()),
        ("interval_seconds", check.interval_seconds()),
        ("timeout_seconds", check.timeout_seconds()),
        ("grace_period_seconds", check.grace_period_seconds()),
    ])
}
