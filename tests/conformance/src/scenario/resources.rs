//! Resources as an operator writes them: `cpus=0.5`, `mem(web)=64`, `ports=[31000-31005]`.

use serde_json::{Value, json};
use thiserror::Error;

use super::json::same;
use super::token::{Pair, Relation};

/// Names that stand for resources where resources and other fields are mixed.
const NAMES: &[&str] = &["cpus", "mem", "disk", "gpus", "ports"];

/// Something that is no resource.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ResourceError {
    /// Neither a number nor ranges.
    #[error("resource '{name}' wants a number or ranges as [1-5,7-9], not {value}")]
    Value {
        /// Name of the resource.
        name: String,
        /// What was written.
        value: String,
    },
}

/// Whether a pair speaks of a resource.
#[must_use]
pub fn is_resource(pair: &Pair) -> bool {
    NAMES.contains(&split(&pair.key).0)
}

/// `cpus(web)` in its name and what is in the parentheses.
fn split(key: &str) -> (&str, Option<&str>) {
    match key.split_once('(') {
        Some((name, roles)) => (name, Some(roles.trim_end_matches(')'))),
        None => (key, None),
    }
}

/// The resources that pairs describe, in the format with `reservations`. In the parentheses stand the roles of
/// the reservations, the outermost first: `(static:eng,eng/dev)` is a dynamic one within a static one; `*` is none.
///
/// # Errors
///
/// Names a pair that is no resource.
pub fn resources(pairs: &[&Pair]) -> Result<Value, ResourceError> {
    pairs.iter().map(|pair| resource(pair)).collect()
}

fn resource(pair: &Pair) -> Result<Value, ResourceError> {
    let (name, roles) = split(&pair.key);
    let mut resource = match &pair.value {
        Value::Number(number) => json!({"name": name, "type": "SCALAR", "scalar": {"value": number}}),
        Value::String(text) => json!({"name": name, "type": "RANGES", "ranges": {"range": ranges(name, text)?}}),
        other => return Err(wrong(name, other)),
    };
    let roles: Vec<&str> = roles
        .into_iter()
        .flat_map(|roles| roles.split(','))
        .filter(|role| *role != "*")
        .collect();
    if !roles.is_empty() {
        resource["reservations"] = roles
            .iter()
            .map(|role| match role.strip_prefix("static:") {
                Some(role) => json!({"type": "STATIC", "role": role}),
                None => json!({"type": "DYNAMIC", "role": role}),
            })
            .collect();
    }
    Ok(resource)
}

fn ranges(name: &str, text: &str) -> Result<Value, ResourceError> {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let ranges: Option<Vec<Value>> = inner.and_then(|inner| {
        let range = |range: &str| {
            let (begin, end) = range.split_once('-')?;
            Some(json!({"begin": begin.parse::<u64>().ok()?, "end": end.parse::<u64>().ok()?}))
        };
        inner.split(',').map(range).collect()
    });
    ranges
        .map(Value::Array)
        .ok_or_else(|| wrong(name, &Value::String(text.to_owned())))
}

fn wrong(name: &str, value: &Value) -> ResourceError {
    ResourceError::Value {
        name: name.to_owned(),
        value: value.to_string(),
    }
}

/// How much of a resource is in a list: all of it, or what is reserved for the role in the parentheses (the innermost
/// one), or with `(*)` what is not reserved. Both formats of reservations are understood. For ranges it is the count.
#[must_use]
pub fn amount(list: &Value, key: &str) -> f64 {
    let (name, role) = split(key);
    list.as_array()
        .into_iter()
        .flatten()
        .filter(|resource| resource["name"] == name)
        .filter(|resource| role.is_none_or(|role| reserved_for(resource) == role))
        .map(quantity)
        .sum()
}

fn reserved_for(resource: &Value) -> &str {
    let innermost = resource["reservations"].as_array().and_then(|stack| stack.last());
    innermost
        .map_or(&resource["role"], |reservation| &reservation["role"])
        .as_str()
        .unwrap_or("*")
}

fn quantity(resource: &Value) -> f64 {
    if let Some(value) = resource["scalar"]["value"].as_f64() {
        return value;
    }
    let ranges = resource["ranges"]["range"].as_array().into_iter().flatten();
    ranges
        .filter_map(|range| Some(range["end"].as_f64()? - range["begin"].as_f64()? + 1.0))
        .sum()
}

/// Whether a list has as much of a resource as a pair says.
#[must_use]
pub fn enough(list: &Value, pair: &Pair) -> bool {
    let Some(wanted) = pair.value.as_f64() else {
        return false;
    };
    let found = amount(list, &pair.key);
    match pair.relation {
        Relation::Is => same(found, wanted),
        Relation::AtLeast => found >= wanted || same(found, wanted),
        Relation::AtMost => found <= wanted || same(found, wanted),
        Relation::Contains => false,
    }
}
