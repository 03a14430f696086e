//! Values of flags that have the right form and still cannot be used.

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
