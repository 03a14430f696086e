//! What can be wrong with a JSON text that is to become a message, or a message that is to become JSON.

use std::fmt;

/// Why a JSON text is not the message it should be, or why a message cannot be written as JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The text is no JSON at all.
    #[error("not JSON: {0}")]
    Syntax(String),
    /// Arrays and objects are nested too deeply.
    #[error("JSON nested deeper than {limit} levels")]
    TooDeep {
        /// Levels allowed.
        limit: usize,
    },
    /// A value cannot be what its field wants.
    #[error("{}{problem}", prefix(.path))]
    Field {
        /// Where the value stands, for example `subscribe.framework_info.user`; empty for the whole text.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Required fields are absent.
    #[error("missing required {}: {}", plural(.paths), .paths.join(", "))]
    Missing {
        /// Where the fields should stand.
        paths: Vec<String>,
    },
}

impl JsonError {
    /// Where the mistake stands; of several missing fields the first. `None` when it has no place in the message.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Syntax(_) | Self::TooDeep { .. } => None,
            Self::Field { path, .. } => Some(path),
            Self::Missing { paths } => paths.first().map(String::as_str),
        }
    }

    pub(super) fn field(path: impl fmt::Display, problem: impl Into<String>) -> Self {
        Self::Field {
            path: path.to_string(),
            problem: problem.into(),
        }
    }
}

fn prefix(path: &str) -> String {
    if path.is_empty() {
        String::new()
    } else {
        format!("{path}: ")
    }
}

fn plural(paths: &[String]) -> &'static str {
    if paths.len() == 1 { "field" } else { "fields" }
}

/// A place in a message, for error texts.
#[derive(Clone, Debug, Default)]
pub(super) struct Path<'a> {
    steps: Vec<Step<'a>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'a> {
    Field(&'a str),
    Index(usize),
    Key(&'a str),
}

impl<'a> Path<'a> {
    pub(super) fn push(&mut self, step: Step<'a>) {
        self.steps.push(step);
    }

    pub(super) fn pop(&mut self) {
        self.steps.pop();
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            match step {
                Step::Field(name) if index == 0 => formatter.write_str(name)?,
                Step::Field(name) => write!(formatter, ".{name}")?,
                Step::Index(index) => write!(formatter, "[{index}]")?,
                Step::Key(key) => write!(formatter, "[{key:?}]")?,
            }
        }
        Ok(())
    }
}
