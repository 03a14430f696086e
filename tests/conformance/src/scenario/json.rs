//! Values that a scenario has given a name to, their use in later lines, and patterns over JSON.

use std::collections::BTreeMap;

use serde_json::Value;
use thiserror::Error;

/// A use of something that has no name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nobody gave this name.
    #[error("nothing is called '{0}' yet")]
    Unknown(String),
    /// The named value has no such part.
    #[error("'{name}' has no part '{part}': {value}")]
    NoPart {
        /// The whole use.
        name: String,
        /// The part that is not there.
        part: String,
        /// What was looked into.
        value: String,
    },
    /// `${` without `}`.
    #[error("no '}}' after '{0}'")]
    Open(String),
}

/// Values by name.
pub type Names = BTreeMap<String, Value>;

/// Looks `name.part.part` up; parts of arrays are numbers.
///
/// # Errors
///
/// Names what is not there.
pub fn look_up<'a>(names: &'a Names, path: &str) -> Result<&'a Value, NameError> {
    let mut parts = path.split('.');
    let first = parts.next().unwrap_or_default();
    let mut value = names.get(first).ok_or_else(|| NameError::Unknown(first.to_owned()))?;
    for part in parts {
        let next = step(value, part);
        value = next.ok_or_else(|| NameError::NoPart {
            name: path.to_owned(),
            part: part.to_owned(),
            value: value.to_string(),
        })?;
    }
    Ok(value)
}

fn step<'a>(value: &'a Value, part: &str) -> Option<&'a Value> {
    match value {
        Value::Object(fields) => fields.get(part),
        Value::Array(elements) => elements.get(part.parse::<usize>().ok()?),
        _ => None,
    }
}

/// The part of a value that a path of field names leads to.
#[must_use]
pub fn part<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, step)
}

/// Replaces each `${name.part}` in a text. Ids, which are objects with a `value`, stand for that value.
///
/// # Errors
///
/// Names what is not there.
pub fn fill_text(names: &Names, text: &str) -> Result<String, NameError> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        filled.push_str(&rest[..start]);
        let inner = &rest[start + 2..];
        let end = inner
            .find('}')
            .ok_or_else(|| NameError::Open(rest[start..].to_owned()))?;
        let value = look_up(names, &inner[..end])?;
        match value.get("value").unwrap_or(value) {
            Value::String(text) => filled.push_str(text),
            other => filled.push_str(&other.to_string()),
        }
        rest = &inner[end + 1..];
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Replaces names in every text of a value; a text that is nothing but one name becomes that value as it is.
///
/// # Errors
///
/// Names what is not there.
pub fn fill(names: &Names, value: &Value) -> Result<Value, NameError> {
    Ok(match value {
        Value::String(text) => match whole(text) {
            Some(path) => look_up(names, path)?.clone(),
            None => Value::String(fill_text(names, text)?),
        },
        Value::Array(elements) => elements
            .iter()
            .map(|element| fill(names, element))
            .collect::<Result<_, _>>()?,
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| Ok((fill_text(names, key)?, fill(names, value)?)))
            .collect::<Result<_, NameError>>()?,
        other => other.clone(),
    })
}

fn whole(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("${")?.strip_suffix('}')?;
    (!inner.contains('}')).then_some(inner)
}

/// Merges `more` into a value, field by field; arrays and plain values are replaced.
pub fn merge(value: &mut Value, more: &Value) {
    match (value, more) {
        (Value::Object(fields), Value::Object(more)) => {
            for (key, more) in more {
                merge(fields.entry(key.clone()).or_insert(Value::Null), more);
            }
        }
        (value, more) => *value = more.clone(),
    }
}

/// Whether a value fits a pattern: every field of a pattern's object is there and fits, every element of a pattern's
/// array fits an element of its own, numbers are equal as quantities are (three digits). The text `"*"` fits
/// everything that is there, `"~x"` every text that contains x, `null` and `[]` what is empty or not there at all.
#[must_use]
pub fn fits(value: &Value, pattern: &Value) -> bool {
    match pattern {
        Value::Null => is_nothing(value),
        Value::Object(fields) if fields.is_empty() => value.is_object(),
        Value::Object(fields) => fields
            .iter()
            .all(|(key, pattern)| fits(value.get(key).unwrap_or(&Value::Null), pattern)),
        Value::Array(patterns) if patterns.is_empty() => is_nothing(value),
        Value::Array(patterns) => value
            .as_array()
            .is_some_and(|elements| elements_fit(elements, patterns)),
        Value::String(text) if text == "*" => !value.is_null(),
        Value::String(text) => match (text.strip_prefix('~'), value) {
            (Some(part), Value::String(value)) => value.contains(part),
            (None, Value::String(value)) => value == text,
            _ => false,
        },
        Value::Number(_) => match (value.as_f64(), pattern.as_f64()) {
            (Some(value), Some(pattern)) => same(value, pattern),
            _ => false,
        },
        Value::Bool(_) => value == pattern,
    }
}

/// Equal in the three digits that quantities have.
#[must_use]
pub fn same(left: f64, right: f64) -> bool {
    (left - right).abs() < 0.000_5
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(elements) => elements.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// Gives each pattern the first element that fits and is not taken.
fn elements_fit(elements: &[Value], patterns: &[Value]) -> bool {
    let mut taken = vec![false; elements.len()];
    patterns.iter().all(|pattern| {
        let free = (0..elements.len()).find(|&index| !taken[index] && fits(&elements[index], pattern));
        free.is_some_and(|index| {
            taken[index] = true;
            true
        })
    })
}
