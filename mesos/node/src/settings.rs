//! Values of flags that have the right form and still cannot be used.

use mesos::flags::{Flags, checks};
use mesos_proto::v0::mesos::DomainInfo;
use thiserror::Error;

/// A flag whose value cannot be used although it has the right form.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("flag --{flag}='{value}': {reason}")]
pub struct SettingsError {
    /// Name of the flag.
    pub flag: &'static str,
    /// Value as it was given.
    pub value: String,
    /// What is wrong and what is accepted.
    pub reason: String,
}

impl SettingsError {
    /// Says what is wrong with the value of a flag and what is accepted.
    #[must_use]
    pub fn new(flag: &'static str, value: &str, reason: impl Into<String>) -> Self {
        Self {
            flag,
            value: value.to_owned(),
            reason: reason.into(),
        }
    }
}

/// The fault domain that the flag names, if any.
///
/// # Errors
///
/// Says what of the domain is missing.
pub fn domain(flags: &Flags) -> Result<Option<DomainInfo>, SettingsError> {
    let Some(json) = flags.json("domain") else {
        return Ok(None);
    };
    let text = json.to_string();
    let domain = checks::parse_domain(&text).map_err(|reason| SettingsError::new("domain", &text, reason))?;
    Ok(Some(domain))
}
