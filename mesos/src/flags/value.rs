//! Values of flags: read from text by kind, printed as `/flags` shows them.

use std::time::Duration;

use super::error::BadValue;
use super::spec::{Bounds, FlagSpec, Kind};
use crate::{bytes, duration};

/// The value of a flag.
#[derive(Clone, Debug, PartialEq)]
pub enum FlagValue {
    /// Of [`Kind::Bool`].
    Bool(bool),
    /// Of [`Kind::Int`].
    Int(i64),
    /// Of [`Kind::Uint`] and [`Kind::Uint16`].
    Uint(u64),
    /// Of [`Kind::Float`].
    Float(f64),
    /// Of [`Kind::Duration`].
    Duration(Duration),
    /// Of [`Kind::Bytes`].
    Bytes(u64),
    /// Of [`Kind::Text`], [`Kind::TextOrFile`], [`Kind::Path`], [`Kind::List`] and [`Kind::UintList`].
    Text(String),
    /// Of [`Kind::Json`].
    Json(serde_json::Value),
}

impl FlagValue {
    /// Reads and checks a value. What stands in a file has been read before.
    pub(super) fn read(spec: &FlagSpec, text: &str) -> Result<Self, BadValue> {
        let value = Self::read_kind(spec.kind, text)?;
        check_bounds(spec.bounds, text, &value)?;
        Ok(value)
    }

    fn read_kind(kind: Kind, text: &str) -> Result<Self, BadValue> {
        Ok(match kind {
            Kind::Bool => match text {
                "true" | "1" => Self::Bool(true),
                "false" | "0" => Self::Bool(false),
                _ => return Err(BadValue::Bool),
            },
            Kind::Int => Self::Int(text.parse().map_err(|_| BadValue::Integer { range: "" })?),
            Kind::Uint => Self::Uint(text.parse().map_err(|_| BadValue::Integer {
                range: " of at least 0",
            })?),
            Kind::Uint16 => {
                let port: u16 = text.parse().map_err(|_| BadValue::Integer {
                    range: " from 0 to 65535",
                })?;
                Self::Uint(port.into())
            }
            Kind::Float => {
                let number: f64 = text.parse().map_err(|_| BadValue::Float)?;
                if !number.is_finite() {
                    return Err(BadValue::Float);
                }
                Self::Float(number)
            }
            Kind::Duration => Self::Duration(duration::parse(text)?),
            Kind::Bytes => Self::Bytes(bytes::parse(text)?),
            Kind::Text | Kind::TextOrFile | Kind::Path | Kind::List => Self::Text(text.to_owned()),
            Kind::UintList => {
                let numbers = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                if numbers.clone().any(|item| item.parse::<u64>().is_err()) {
                    return Err(BadValue::Integer {
                        range: "s of at least 0, separated by commas",
                    });
                }
                Self::Text(text.to_owned())
            }
            Kind::Json => match serde_json::from_str(text) {
                Ok(json) => Self::Json(json),
                Err(error) => {
                    return Err(BadValue::Json {
                        detail: error.to_string(),
                    });
                }
            },
        })
    }

    /// The text that `/flags` shows: durations and sizes in their largest whole unit.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Uint(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Duration(value) => duration::to_text(*value),
            Self::Bytes(value) => bytes::to_text(*value),
            Self::Text(value) => value.clone(),
            Self::Json(value) => value.to_string(),
        }
    }
}

fn check_bounds(bounds: Bounds, text: &str, value: &FlagValue) -> Result<(), BadValue> {
    let (fits, accepted) = match (bounds, value) {
        (Bounds::Any, _) => return Ok(()),
        (Bounds::OneOf(texts), _) => (texts.contains(&text), format!("one of {}", texts.join(", "))),
        (Bounds::AtLeast(least), FlagValue::Duration(found)) => {
            (*found >= table_duration(least), format!("at least {least}"))
        }
        (Bounds::AtMost(most), FlagValue::Duration(found)) => {
            (*found <= table_duration(most), format!("at most {most}"))
        }
        (Bounds::Between(least, most), FlagValue::Duration(found)) => {
            let range = table_duration(least)..=table_duration(most);
            (range.contains(found), format!("{least} to {most}"))
        }
        (Bounds::AboveZero, FlagValue::Duration(found)) => (!found.is_zero(), "a duration above zero".to_owned()),
        (Bounds::Within(least, most), FlagValue::Float(found)) => {
            ((least..=most).contains(found), format!("{least} to {most}"))
        }
        (Bounds::Within(least, most), FlagValue::Int(_) | FlagValue::Uint(_)) => {
            let fits = text.parse::<f64>().is_ok_and(|found| (least..=most).contains(&found));
            let upper = if most.is_finite() {
                format!("{least} to {most}")
            } else {
                format!("at least {least}")
            };
            (fits, upper)
        }
        (Bounds::Checked(check, accepted), _) => {
            return check(text).map_err(|detail| BadValue::Refused { accepted, detail });
        }
        // A bound on a flag of another kind is a slip in a table; the tests of the tables find it.
        _ => (false, "a value of the kind that the bound is for".to_owned()),
    };
    if fits {
        Ok(())
    } else {
        Err(BadValue::OutOfBounds { accepted })
    }
}

/// A duration that stands in a table.
fn table_duration(text: &str) -> Duration {
    duration::parse(text).expect("the durations in the tables are well formed, as a test checks")
}
