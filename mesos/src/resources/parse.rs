//! The text forms of resources, as the command line of an agent has them.
//!
//! Source: shared facts, `libprocess_wire.md` section 8.

use mesos_proto::v0::mesos;

use super::{Reservation, Resource, ResourceError, ResourceValue, Resources};
use crate::roles::{self, DEFAULT_ROLE};
use crate::values::{self, Value};

impl Resources {
    /// Reads `cpus:4;mem(role):512;ports:[31000-32000]`. Entries without a role get `default_role`; a role other than
    /// `*` becomes a static reservation.
    ///
    /// # Errors
    ///
    /// Names the entry and what is wrong with it.
    pub fn parse(text: &str, default_role: &str) -> Result<Self, ResourceError> {
        let mut resources = Self::new();
        for resource in parse_entries(text, default_role)? {
            resources.add_resource(resource);
        }
        Ok(resources)
    }

    /// Reads the JSON form, an array of `Resource` objects. Entries with neither `role` nor `reservations` get
    /// `default_role`.
    ///
    /// # Errors
    ///
    /// Names the place in the JSON, or the resource and the rule that it breaks.
    pub fn parse_json(text: &str, default_role: &str) -> Result<Self, ResourceError> {
        let messages = parse_messages(text)?;
        let mut resources = Self::new();
        for message in messages {
            resources.add_resource(Resource::from_protobuf(&with_default_role(message, default_role))?);
        }
        Ok(resources)
    }
}

/// Reads resources from the command line: JSON when the text is an array, otherwise text. Names with a quantity of
/// zero are dropped from the bag; whoever fills in what is missing asks [`command_line_names`] first.
///
/// # Errors
///
/// Dynamic reservations, persistence, revocable and shared marks are refused, besides what breaks the grammar.
pub fn parse_command_line(text: &str, default_role: &str) -> Result<Resources, ResourceError> {
    if !is_json(text) {
        return Resources::parse(text, default_role);
    }
    let resources = Resources::parse_json(text, default_role)?;
    for resource in resources.iter() {
        check_command_line(resource)?;
    }
    Ok(resources)
}

/// The names that a command line gives, those with a quantity of zero included: they say that there is none.
///
/// # Errors
///
/// See [`parse_command_line`].
pub fn command_line_names(text: &str, default_role: &str) -> Result<Vec<String>, ResourceError> {
    if is_json(text) {
        return Ok(parse_messages(text)?
            .iter()
            .map(|message| message.name().to_owned())
            .collect());
    }
    Ok(parse_entries(text, default_role)?
        .iter()
        .map(|resource| resource.name().to_string())
        .collect())
}

fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('[')
}

fn check_command_line(resource: &Resource) -> Result<(), ResourceError> {
    let marks = [
        (
            resource
                .reservations()
                .iter()
                .any(|own| own.kind == super::ReservationKind::Dynamic),
            "a dynamic reservation",
        ),
        (resource.is_persistent_volume(), "persistence"),
        (resource.is_revocable(), "the revocable mark"),
        (resource.is_shared(), "the shared mark"),
    ];
    match marks.iter().find(|(found, _)| *found) {
        Some((_, mark)) => Err(ResourceError::ForbiddenOnCommandLine {
            name: resource.name().to_string(),
            mark,
        }),
        None => Ok(()),
    }
}

fn parse_messages(text: &str) -> Result<Vec<mesos::Resource>, ResourceError> {
    let malformed = |detail: String| ResourceError::MalformedJson { detail };
    let json: serde_json::Value = serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
    let serde_json::Value::Array(items) = json else {
        return Err(malformed("it is no array".to_owned()));
    };
    items
        .iter()
        .enumerate()
        .map(|(index, item)| {
            crate::json::from_value(item).map_err(|error| malformed(format!("element {index}: {error}")))
        })
        .collect()
}

fn with_default_role(mut message: mesos::Resource, default_role: &str) -> mesos::Resource {
    if !message.has_role() && message.reservations.is_empty() && default_role != DEFAULT_ROLE {
        message.set_role(default_role.to_owned());
    }
    message
}

fn parse_entries(text: &str, default_role: &str) -> Result<Vec<Resource>, ResourceError> {
    let mut parsed: Vec<Resource> = Vec::new();
    for entry in text.split(';').map(str::trim).filter(|entry| !entry.is_empty()) {
        let resource = parse_entry(entry, default_role)?;
        let mixed = parsed.iter().any(|other| {
            other.name() == resource.name()
                && std::mem::discriminant(other.value()) != std::mem::discriminant(resource.value())
        });
        if mixed {
            return Err(ResourceError::MixedTypes {
                name: resource.name().clone(),
            });
        }
        parsed.push(resource);
    }
    Ok(parsed)
}

fn parse_entry(entry: &str, default_role: &str) -> Result<Resource, ResourceError> {
    let malformed = || ResourceError::MalformedEntry {
        entry: entry.to_owned(),
    };
    let (name, value) = entry.split_once(':').ok_or_else(malformed)?;
    let (name, role) = match name.trim().split_once('(') {
        Some((name, role)) => (name.trim(), role.strip_suffix(')').ok_or_else(malformed)?.trim()),
        None => (name.trim(), default_role),
    };
    if name.is_empty() || name.contains(')') {
        return Err(malformed());
    }
    let owned = || name.to_owned();
    roles::validate(role).map_err(|source| ResourceError::Role { name: owned(), source })?;
    let value = match values::parse(value).map_err(|source| ResourceError::Value { name: owned(), source })? {
        Value::Scalar(scalar) => ResourceValue::Scalar(scalar),
        Value::Ranges(ranges) => ResourceValue::Ranges(ranges),
        Value::Set(set) => ResourceValue::Set(set),
        Value::Text(found) => return Err(ResourceError::TextValue { name: owned(), found }),
    };
    let resource = Resource::new(name, value);
    Ok(if role == DEFAULT_ROLE {
        resource
    } else {
        resource.with_reservations(vec![Reservation::fixed(role)])
    })
}
