//! Rules for descriptions of frameworks.

use std::collections::{BTreeMap, BTreeSet};

use mesos_proto::v0::mesos::framework_info::capability::Type as Capability;
use mesos_proto::v0::mesos::{FrameworkInfo, OfferFilters};

use crate::duration;
use crate::ids::{IdError, validate_id};
use crate::roles::{self, RoleError};

/// Why a description of a framework is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FrameworkError {
    /// The id is malformed.
    #[error("the framework id `{id}` is invalid")]
    Id {
        /// The id.
        id: String,
        /// What is wrong.
        source: IdError,
    },
    /// `roles` is set by a framework that cannot have several.
    #[error("`roles` is set, but the framework lacks the capability MULTI_ROLE; use `role`")]
    RolesWithoutCapability,
    /// `role` is set by a framework that names its roles in `roles`.
    #[error("`role` is `{role}`, but a framework with the capability MULTI_ROLE names its roles in `roles`")]
    RoleWithCapability {
        /// The role.
        role: String,
    },
    /// A role is malformed.
    #[error("the role `{role}` of the framework is invalid")]
    Role {
        /// The role.
        role: String,
        /// What is wrong.
        source: RoleError,
    },
    /// A role stands there twice.
    #[error("the role `{role}` stands in `roles` twice")]
    DuplicateRole {
        /// The role.
        role: String,
    },
    /// The failover timeout is no duration.
    #[error("`failover_timeout` is {seconds}; it must be a number of seconds from 0 to 9223372036")]
    FailoverTimeout {
        /// The value.
        seconds: f64,
    },
    /// The principal does not match that of the connection.
    #[error("the framework names the principal `{named}`, but its scheduler is authenticated as `{authenticated}`")]
    Principal {
        /// The principal in the description.
        named: String,
        /// The principal of the connection.
        authenticated: String,
    },
    /// A suppressed role is not one of the framework's.
    #[error("the suppressed role `{role}` is not one of the framework's roles")]
    SuppressedRole {
        /// The role.
        role: String,
    },
    /// An alternative of a filter has no quantities.
    #[error("`offer_filters` of the role `{role}` has an alternative without quantities")]
    EmptyFilter {
        /// The role.
        role: String,
    },
    /// A quantity of a filter is none.
    #[error(
        "`offer_filters` of the role `{role}` has `{name}` at {value}; a finite number of at least zero is possible"
    )]
    FilterQuantity {
        /// The role.
        role: String,
        /// Name of the resource.
        name: String,
        /// The value.
        value: f64,
    },
    /// The principal changed. The text, which the scheduler is told, does not give the former one away.
    #[error("`principal` changes to `{new}`, but it must stay the one that the framework first subscribed with")]
    PrincipalChanged {
        /// What it was.
        old: String,
        /// What it should become.
        new: String,
    },
    /// Something changed that cannot.
    #[error("`{field}` changes from `{old}` to `{new}`, but it must stay")]
    Changed {
        /// The field.
        field: &'static str,
        /// What it was.
        old: String,
        /// What it should become.
        new: String,
    },
}

/// Whether a framework has a capability.
#[must_use]
pub fn has_capability(info: &FrameworkInfo, capability: Capability) -> bool {
    info.capabilities
        .iter()
        .any(|own| own.type_.is_some_and(|kind| kind.enum_value() == Ok(capability)))
}

/// The roles of a framework: `roles` with the capability MULTI_ROLE, otherwise `role`.
#[must_use]
pub fn roles_of(info: &FrameworkInfo) -> BTreeSet<String> {
    if has_capability(info, Capability::MULTI_ROLE) {
        info.roles.iter().cloned().collect()
    } else {
        BTreeSet::from([info.role().to_owned()])
    }
}

/// Checks a description of a framework by itself.
///
/// # Errors
///
/// Names the first field that breaks a rule.
pub fn validate_framework(info: &FrameworkInfo) -> Result<(), FrameworkError> {
    let id = info.id.value();
    if !id.is_empty() {
        validate_id(id).map_err(|source| FrameworkError::Id {
            id: id.to_owned(),
            source,
        })?;
    }
    if has_capability(info, Capability::MULTI_ROLE) {
        if info.has_role() {
            return Err(FrameworkError::RoleWithCapability {
                role: info.role().to_owned(),
            });
        }
        let mut seen = BTreeSet::new();
        if let Some(role) = info.roles.iter().find(|role| !seen.insert(role.as_str())) {
            return Err(FrameworkError::DuplicateRole { role: role.clone() });
        }
    } else if !info.roles.is_empty() {
        return Err(FrameworkError::RolesWithoutCapability);
    }
    let own = roles_of(info);
    for role in &own {
        roles::validate(role).map_err(|source| FrameworkError::Role {
            role: role.clone(),
            source,
        })?;
    }
    if duration::from_seconds(info.failover_timeout()).is_none() {
        return Err(FrameworkError::FailoverTimeout {
            seconds: info.failover_timeout(),
        });
    }
    // Sorted, so that of several mistakes always the same one is told. Roles of others are left to the allocator, which
    // never asks for them.
    let filters: BTreeMap<_, _> = info.offer_filters.iter().collect();
    filters
        .into_iter()
        .try_for_each(|(role, filters)| validate_filters(role, filters))
}

fn validate_filters(role: &str, filters: &OfferFilters) -> Result<(), FrameworkError> {
    for alternative in &filters.min_allocatable_resources.quantities {
        if alternative.quantities.is_empty() {
            return Err(FrameworkError::EmptyFilter { role: role.to_owned() });
        }
        let quantities: BTreeMap<_, _> = alternative.quantities.iter().collect();
        for (name, quantity) in quantities {
            let value = quantity.value();
            if !value.is_finite() || value < 0.0 || value.is_subnormal() {
                return Err(FrameworkError::FilterQuantity {
                    role: role.to_owned(),
                    name: name.clone(),
                    value,
                });
            }
        }
    }
    Ok(())
}

/// Checks that a framework that names a principal has the one of its connection.
///
/// # Errors
///
/// Names both.
pub fn validate_principal(info: &FrameworkInfo, authenticated: Option<&str>) -> Result<(), FrameworkError> {
    match (info.principal.as_deref(), authenticated) {
        (Some(named), Some(authenticated)) if named != authenticated => Err(FrameworkError::Principal {
            named: named.to_owned(),
            authenticated: authenticated.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Checks that only roles of the framework are suppressed.
///
/// # Errors
///
/// Names the first that is not.
pub fn validate_suppressed_roles(info: &FrameworkInfo, suppressed: &[String]) -> Result<(), FrameworkError> {
    let own = roles_of(info);
    match suppressed.iter().find(|role| !own.contains(*role)) {
        Some(role) => Err(FrameworkError::SuppressedRole { role: role.clone() }),
        None => Ok(()),
    }
}

/// Checks that an update leaves alone what cannot change.
///
/// # Errors
///
/// Names the field with both values.
pub fn validate_update(old: &FrameworkInfo, new: &FrameworkInfo) -> Result<(), FrameworkError> {
    if old.principal != new.principal {
        return Err(FrameworkError::PrincipalChanged {
            old: old.principal().to_owned(),
            new: new.principal().to_owned(),
        });
    }
    let fields = [
        ("user", old.user().to_owned(), new.user().to_owned()),
        ("checkpoint", old.checkpoint().to_string(), new.checkpoint().to_string()),
    ];
    match fields.into_iter().find(|(_, old, new)| old != new) {
        Some((field, old, new)) => Err(FrameworkError::Changed { field, old, new }),
        None => Ok(()),
    }
}
