//! Rules for checks and health checks of tasks.

use mesos_proto::v0::mesos::{CheckInfo, CommandInfo, HealthCheck, check_info, health_check};

use super::command::{CommandError, validate_command};

/// Why a check cannot be done.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CheckError {
    /// The type is missing or not known here.
    #[error("`type` is missing or unknown; COMMAND, HTTP and TCP are possible")]
    UnknownType,
    /// The field that belongs to the type is not there.
    #[error("a check of the type {kind} lacks `{field}`")]
    Missing {
        /// The type.
        kind: &'static str,
        /// The field.
        field: &'static str,
    },
    /// The command has nothing to run.
    #[error("the command of a check lacks `value`: {}", if *.shell { "the shell text" } else { "the program" })]
    NothingToRun {
        /// Whether it is a shell command.
        shell: bool,
    },
    /// The command breaks a rule.
    #[error("the command of a check is invalid")]
    Command(#[from] CommandError),
    /// The path of an HTTP check is relative.
    #[error("the path `{path}` of an HTTP check does not begin with a slash")]
    RelativePath {
        /// The path.
        path: String,
    },
    /// The scheme of an HTTP check is not known here.
    #[error("the scheme `{scheme}` of an HTTP check is unknown; http and https are possible")]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// The port does not exist.
    #[error("the port {port} of a check is not one from 0 to 65535")]
    Port {
        /// The port.
        port: u32,
    },
    /// A time is negative or not a number.
    #[error("`{field}` of a check is {value}; it must be a number of at least zero")]
    Time {
        /// The field.
        field: &'static str,
        /// The value.
        value: f64,
    },
}

/// What a check of any sort says, by field.
struct Fields<'a> {
    command: Option<&'a CommandInfo>,
    http: bool,
    tcp: bool,
}

#[derive(Clone, Copy)]
enum Sort {
    Command,
    Http,
    Tcp,
}

/// Checks a check.
///
/// # Errors
///
/// Names the field that breaks a rule.
pub fn validate_check(check: &CheckInfo) -> Result<(), CheckError> {
    let sort = match check.type_.and_then(|kind| kind.enum_value().ok()) {
        Some(check_info::Type::COMMAND) => Sort::Command,
        Some(check_info::Type::HTTP) => Sort::Http,
        Some(check_info::Type::TCP) => Sort::Tcp,
        Some(check_info::Type::UNKNOWN) | None => return Err(CheckError::UnknownType),
    };
    let command = check.command.as_ref().map(|command| command.command.get_or_default());
    let fields = Fields {
        command,
        http: check.http.is_some(),
        tcp: check.tcp.is_some(),
    };
    validate_fields(sort, &fields)?;
    validate_path(check.http.path.as_deref())?;
    validate_port(check.http.port())?;
    validate_port(check.tcp.port())?;
    validate_times(&[
        ("delay_seconds", check.delay_seconds()),
        ("interval_seconds", check.interval_seconds()),
        ("timeout_seconds", check.timeout_seconds()),
    ])
}

/// Checks a health check.
///
/// # Errors
///
/// Names the field that breaks a rule.
pub fn validate_health_check(check: &HealthCheck) -> Result<(), CheckError> {
    let sort = match check.type_.and_then(|kind| kind.enum_value().ok()) {
        Some(health_check::Type::COMMAND) => Sort::Command,
        Some(health_check::Type::HTTP) => Sort::Http,
        Some(health_check::Type::TCP) => Sort::Tcp,
        Some(health_check::Type::UNKNOWN) | None => return Err(CheckError::UnknownType),
    };
    let fields = Fields {
        command: check.command.as_ref(),
        http: check.http.is_some(),
        tcp: check.tcp.is_some(),
    };
    validate_fields(sort, &fields)?;
    if let Some(scheme) = check
        .http
        .scheme
        .as_deref()
        .filter(|scheme| !matches!(*scheme, "http" | "https"))
    {
        return Err(CheckError::Scheme {
            scheme: scheme.to_owned(),
        });
    }
    validate_path(check.http.path.as_deref())?;
    validate_port(check.http.port())?;
    validate_port(check.tcp.port())?;
    validate_times(&[
        ("delay_seconds", check.delay_seconds()),
        ("interval_seconds", check.interval_seconds()),
        ("timeout_seconds", check.timeout_seconds()),
        ("grace_period_seconds", check.grace_period_seconds()),
    ])
}

fn validate_fields(sort: Sort, fields: &Fields<'_>) -> Result<(), CheckError> {
    // Fields of other types than its own are nobody's business; frameworks fill them in for older masters.
    let (kind, field, present) = match sort {
        Sort::Command => ("COMMAND", "command", fields.command.is_some()),
        Sort::Http => ("HTTP", "http", fields.http),
        Sort::Tcp => ("TCP", "tcp", fields.tcp),
    };
    if !present {
        return Err(CheckError::Missing { kind, field });
    }
    let (Sort::Command, Some(command)) = (sort, fields.command) else {
        return Ok(());
    };
    if !command.has_value() {
        return Err(CheckError::NothingToRun { shell: command.shell() });
    }
    Ok(validate_command(command)?)
}

fn validate_path(path: Option<&str>) -> Result<(), CheckError> {
    match path {
        Some(path) if !path.starts_with('/') => Err(CheckError::RelativePath { path: path.to_owned() }),
        Some(_) | None => Ok(()),
    }
}

fn validate_port(port: u32) -> Result<(), CheckError> {
    if u16::try_from(port).is_ok() {
        Ok(())
    } else {
        Err(CheckError::Port { port })
    }
}

fn validate_times(fields: &[(&'static str, f64)]) -> Result<(), CheckError> {
    // What is not a number is refused too: it is not at least zero.
    match fields.iter().find(|(_, value)| value.is_nan() || *value < 0.0) {
        Some((field, value)) => Err(CheckError::Time { field, value: *value }),
        None => Ok(()),
    }
}
