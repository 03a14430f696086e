//! What can be wrong with flags.

use crate::bytes::BytesError;
use crate::duration::DurationError;

/// Why a value does not fit its flag.
#[derive(Debug, thiserror::Error)]
pub enum BadValue {
    /// It is no truth value.
    #[error("expected true, false, 1 or 0")]
    Bool,
    /// It is no whole number.
    #[error("expected a whole number{range}")]
    Integer {
        /// What range is accepted, as words that follow.
        range: &'static str,
    },
    /// It is no number.
    #[error("expected a finite number")]
    Float,
    /// It is no duration.
    #[error(transparent)]
    Duration(#[from] DurationError),
    /// It is no size.
    #[error(transparent)]
    Bytes(#[from] BytesError),
    /// It is no JSON.
    #[error("expected JSON, file://PATH or an absolute path of a file with JSON: {detail}")]
    Json {
        /// What the reader found.
        detail: String,
    },
    /// It is none of the possible texts.
    #[error("expected {accepted}")]
    OutOfBounds {
        /// What is accepted, in words.
        accepted: String,
    },
    /// A check of its own refuses it.
    #[error("expected {accepted}: {detail}")]
    Refused {
        /// What is accepted, in words.
        accepted: &'static str,
        /// What the check found.
        detail: String,
    },
}

/// Why a program does not start.
#[derive(Debug, thiserror::Error)]
pub enum FlagsError {
    /// There is no such flag.
    #[error("there is no flag --{flag}{}", suggestion(.closest.as_deref()))]
    Unknown {
        /// The name as given.
        flag: String,
        /// The closest name there is.
        closest: Option<String>,
    },
    /// Something on the command line is no flag.
    #[error("`{argument}` is no flag; flags begin with two dashes")]
    NotAFlag {
        /// The argument.
        argument: String,
    },
    /// An argument is not UTF-8.
    #[error("an argument is not valid UTF-8: {argument}")]
    NotUtf8 {
        /// The argument, as far as it can be shown.
        argument: String,
    },
    /// A flag that needs a value has none.
    #[error("--{flag} needs a value, as in --{flag}=VALUE")]
    NoValue {
        /// The flag.
        flag: String,
    },
    /// `--no-flag` with a value, or with a flag that is not true or false.
    #[error("--no-{flag} is not possible; only flags that are true or false can be negated, and without a value")]
    NotNegatable {
        /// The flag.
        flag: String,
    },
    /// A flag is given more than once, perhaps under its older name.
    #[error("--{flag} is given more than once")]
    Repeated {
        /// The flag.
        flag: String,
    },
    /// A value does not fit.
    #[error("{place} has the value `{found}`, which does not fit")]
    BadValue {
        /// The flag or variable as it was written.
        place: String,
        /// The value.
        found: String,
        /// What is wrong with it.
        source: BadValue,
    },
    /// The file that a value names cannot be read.
    #[error("{place} names the file `{path}`, which cannot be read")]
    File {
        /// The flag or variable as it was written.
        place: String,
        /// Path of the file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A flag must be given.
    #[error("--{flag} must be given: {help}")]
    Required {
        /// The flag.
        flag: &'static str,
        /// What it does.
        help: &'static str,
    },
    /// Two flags exclude each other.
    #[error("--{first} and --{second} cannot be given together")]
    NotTogether {
        /// One flag.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// One of two flags must be given.
    #[error("one of --{first} and --{second} must be given")]
    NeitherGiven {
        /// One flag.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// Two flags must have one value.
    #[error("--{first} and --{second} must have the same value")]
    Different {
        /// One flag.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// The feature behind a flag is not there.
    #[error("{place} has the value `{found}`, which this version cannot do: {because}; {accepted}")]
    NotSupported {
        /// The flag or variable as it was written.
        place: String,
        /// The value.
        found: String,
        /// Why.
        because: &'static str,
        /// What would be accepted, in words.
        accepted: String,
    },
}

impl FlagsError {
    /// The whole sentence for people: the error and everything behind it.
    #[must_use]
    pub fn describe(&self) -> String {
        let causes = std::iter::successors(std::error::Error::source(self), |cause| cause.source());
        causes.fold(self.to_string(), |text, cause| format!("{text}: {cause}"))
    }
}

fn suggestion(closest: Option<&str>) -> String {
    closest.map_or_else(
        || "; --help lists all".to_owned(),
        |name| format!("; the closest is --{name}"),
    )
}
