//! Texts of flags that have a grammar of their own, with their readers.

use std::time::Duration;

use mesos_proto::v0::mesos::DomainInfo;

use crate::attributes::Attributes;
use crate::duration;
use crate::resources::{ResourceQuantities, parse_command_line};
use crate::roles::{self, DEFAULT_ROLE};

/// Reads `100%` and gives the share, from 0 to 1.
///
/// # Errors
///
/// Says what is expected.
pub fn parse_percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').ok_or("the percent sign is missing")?;
    let number: f64 = number.trim().parse().map_err(|_| format!("`{number}` is no number"))?;
    if (0.0..=100.0).contains(&number) {
        Ok(number / 100.0)
    } else {
        Err(format!("{number} is outside 0 to 100"))
    }
}

/// Reads `N/DURATION`, such as `1/10mins`: so many events in so much time.
///
/// # Errors
///
/// Says what is expected.
pub fn parse_rate(text: &str) -> Result<(f64, Duration), String> {
    let (count, time) = text.split_once('/').ok_or("the slash is missing")?;
    let count: f64 = count.trim().parse().map_err(|_| format!("`{count}` is no number"))?;
    if !count.is_finite() || count <= 0.0 {
        return Err(format!("`{count}` is not above zero"));
    }
    let time = duration::parse(time).map_err(|error| error.to_string())?;
    if time.is_zero() {
        Err("the duration is zero".to_owned())
    } else {
        Ok((count, time))
    }
}

/// Reads `role=weight,role=weight`.
///
/// # Errors
///
/// Roles must be well formed and given once; weights must be above zero.
pub fn parse_weights(text: &str) -> Result<Vec<(String, f64)>, String> {
    let mut weights: Vec<(String, f64)> = Vec::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let (role, weight) = entry
            .split_once('=')
            .ok_or_else(|| format!("`{entry}` is not of the form role=weight"))?;
        roles::validate(role).map_err(|error| error.to_string())?;
        let value: f64 = weight.parse().map_err(|_| format!("`{weight}` is no number"))?;
        if !value.is_finite() || value <= 0.0 {
            return Err(format!("the weight {weight} of role `{role}` is not above zero"));
        }
        if weights.iter().any(|(own, _)| own == role) {
            return Err(format!("role `{role}` is given twice"));
        }
        weights.push((role.to_owned(), value));
    }
    Ok(weights)
}

/// Reads the alternatives of `--min_allocatable_resources`, such as `cpus:0.01|mem:32`. No alternative means that any
/// offer is worth making.
///
/// # Errors
///
/// Names the entry that is malformed.
pub fn parse_min_allocatable(text: &str) -> Result<Vec<ResourceQuantities>, String> {
    let alternatives = text
        .split('|')
        .map(str::trim)
        .filter(|alternative| !alternative.is_empty());
    alternatives
        .map(|alternative| ResourceQuantities::parse(alternative).map_err(|error| error.to_string()))
        .collect()
}

pub(super) fn percent(text: &str) -> Result<(), String> {
    parse_percent(text).map(drop)
}

pub(super) fn rate(text: &str) -> Result<(), String> {
    parse_rate(text).map(drop)
}

pub(super) fn weights(text: &str) -> Result<(), String> {
    parse_weights(text).map(drop)
}

pub(super) fn min_allocatable(text: &str) -> Result<(), String> {
    parse_min_allocatable(text).map(drop)
}

pub(super) fn role_list(text: &str) -> Result<(), String> {
    roles::parse_list(text).map(drop).map_err(|error| error.to_string())
}

pub(super) fn role(text: &str) -> Result<(), String> {
    roles::validate(text).map_err(|error| error.to_string())
}

pub(super) fn resources(text: &str) -> Result<(), String> {
    parse_command_line(text, DEFAULT_ROLE)
        .map(drop)
        .map_err(|error| with_cause(&error))
}

pub(super) fn attributes(text: &str) -> Result<(), String> {
    Attributes::parse(text).map(drop).map_err(|error| with_cause(&error))
}

pub(super) fn string_map(text: &str) -> Result<(), String> {
    let json: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let map = json.as_object().ok_or("it is no object")?;
    match map.iter().find(|(_, value)| !value.is_string()) {
        Some((name, _)) => Err(format!("the value of `{name}` is no string")),
        None => Ok(()),
    }
}

/// Reads a domain in the JSON form of its message: a fault domain with the names of its region and its zone.
///
/// # Errors
///
/// Names the field that is missing or empty.
pub fn parse_domain(text: &str) -> Result<DomainInfo, String> {
    let domain: DomainInfo = crate::json::from_str(text).map_err(|error| error.to_string())?;
    let fault = domain.fault_domain.as_ref().ok_or("`fault_domain` is missing")?;
    for (field, name) in [("region", fault.region.name()), ("zone", fault.zone.name())] {
        if name.is_empty() {
            return Err(format!("`fault_domain.{field}.name` is empty"));
        }
    }
    Ok(domain)
}

pub(super) fn domain(text: &str) -> Result<(), String> {
    parse_domain(text).map(drop)
}

pub(super) fn not_true(text: &str) -> Result<(), String> {
    if matches!(text, "true" | "1") {
        Err("the feature behind it is gone".to_owned())
    } else {
        Ok(())
    }
}

pub(super) fn socket_path(text: &str) -> Result<(), String> {
    if text.len() < 108 {
        Ok(())
    } else {
        Err(format!("it has {} characters", text.len()))
    }
}

pub(super) fn port(text: &str) -> Result<(), String> {
    text.parse::<u16>()
        .map(drop)
        .map_err(|_| format!("`{text}` is no port"))
}

pub(super) fn ipv4(text: &str) -> Result<(), String> {
    text.parse::<std::net::Ipv4Addr>()
        .map(drop)
        .map_err(|_| format!("`{text}` is no IPv4 address"))
}

fn with_cause(error: &dyn std::error::Error) -> String {
    error
        .source()
        .map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
