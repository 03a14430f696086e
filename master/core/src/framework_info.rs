//! Rules for descriptions of frameworks.
//!
//! Source: shared facts, `scheduler_calls.tsv`, `pitfalls.md` D10, D22, `libprocess_wire.md` section 12.

use std::collections::BTreeSet;

use mesos::capabilities::FrameworkCapabilities;
use mesos::ids::{FrameworkId, IdError};
use mesos::roles::{self, RoleError};
use mesos_proto::v0::mesos::FrameworkInfo;
use mesos_proto::v0::scheduler::OfferConstraints;
use thiserror::Error;

use crate::config::MasterConfig;

/// What a framework is told whose id belongs to one that ended; clients look for this text.
pub(crate) const REMOVED: &str = "Framework has been removed";

/// What the older of two schedulers of one framework is told; clients look for this text.
pub(crate) const FAILED_OVER: &str = "Framework failed over";

/// Why a description of a framework is refused.
#[derive(Clone, Debug, PartialEq, Error)]
pub(crate) enum FrameworkInfoError {
    #[error("'FrameworkInfo.role' must not be set together with the MULTI_ROLE capability; use 'roles'")]
    RoleWithMultiRole,
    #[error("'FrameworkInfo.roles' needs the MULTI_ROLE capability; without it set 'role'")]
    RolesWithoutMultiRole,
    #[error("'FrameworkInfo.roles' names role '{0}' more than once")]
    DuplicateRole(String),
    #[error("role '{role}' of the framework is invalid: {error}")]
    InvalidRole { role: String, error: RoleError },
    #[error("role '{0}' is not among the roles that this master allows (--roles)")]
    RoleNotAllowed(String),
    #[error("'FrameworkInfo.id' is invalid: {0}")]
    InvalidId(IdError),
    #[error("'FrameworkInfo.failover_timeout' is {0}, which is not a usable number of seconds")]
    InvalidFailoverTimeout(f64),
    #[error("'FrameworkInfo.offer_filters' names role '{0}', to which the framework is not subscribed")]
    FilterForOtherRole(String),
    #[error("user 'root' may not run frameworks here (--no-root_submissions)")]
    RootNotAllowed,
    #[error("suppressed role '{0}' is not one of the framework's roles")]
    SuppressedOtherRole(String),
    #[error("offer constraints name role '{0}', which is not one of the framework's roles")]
    ConstraintForOtherRole(String),
    #[error("offer constraints are not supported yet: send none")]
    ConstraintsUnsupported,
    #[error("{REMOVED}")]
    Removed,
    #[error("the principal of a framework cannot change (from {old:?} to {new:?})")]
    PrincipalChanged { old: Option<String>, new: Option<String> },
    #[error("'FrameworkInfo.user' cannot be updated (from '{old}' to '{new}')")]
    UserChanged { old: String, new: String },
    #[error("'FrameworkInfo.checkpoint' cannot be updated (from {old} to {new})")]
    CheckpointChanged { old: bool, new: bool },
}

/// Longest failover timeout that fits a duration in nanoseconds, in seconds.
const FAILOVER_TIMEOUT_MAX: f64 = 9_223_372_036.0;

/// The roles that a framework subscribes to.
pub(crate) fn roles_of(info: &FrameworkInfo) -> BTreeSet<String> {
    if FrameworkCapabilities::from_proto(&info.capabilities).multi_role {
        info.roles.iter().cloned().collect()
    } else {
        BTreeSet::from([info.role().to_owned()])
    }
}

/// Checks a description by itself and against the master's settings.
pub(crate) fn validate(info: &FrameworkInfo, config: &MasterConfig) -> Result<(), FrameworkInfoError> {
    validate_roles(info, config)?;
    if let Some(id) = info.id.as_ref().filter(|id| !id.value().is_empty()) {
        FrameworkId::from(id)
            .validate()
            .map_err(FrameworkInfoError::InvalidId)?;
    }
    let timeout = info.failover_timeout();
    if !timeout.is_finite() || timeout.abs() > FAILOVER_TIMEOUT_MAX {
        return Err(FrameworkInfoError::InvalidFailoverTimeout(timeout));
    }
    let roles = roles_of(info);
    if let Some(role) = info.offer_filters.keys().find(|role| !roles.contains(*role)) {
        return Err(FrameworkInfoError::FilterForOtherRole(role.clone()));
    }
    if info.user() == "root" && !config.root_submissions {
        return Err(FrameworkInfoError::RootNotAllowed);
    }
    Ok(())
}

fn validate_roles(info: &FrameworkInfo, config: &MasterConfig) -> Result<(), FrameworkInfoError> {
    if FrameworkCapabilities::from_proto(&info.capabilities).multi_role {
        if info.has_role() {
            return Err(FrameworkInfoError::RoleWithMultiRole);
        }
        let mut seen = BTreeSet::new();
        if let Some(role) = info.roles.iter().find(|role| !seen.insert(role.as_str())) {
            return Err(FrameworkInfoError::DuplicateRole(role.clone()));
        }
    } else if !info.roles.is_empty() {
        return Err(FrameworkInfoError::RolesWithoutMultiRole);
    }
    for role in roles_of(info) {
        if let Err(error) = roles::validate(&role) {
            return Err(FrameworkInfoError::InvalidRole { role, error });
        }
        if role != roles::DEFAULT_ROLE
            && config
                .role_whitelist
                .as_ref()
                .is_some_and(|allowed| !allowed.contains(&role))
        {
            return Err(FrameworkInfoError::RoleNotAllowed(role));
        }
    }
    Ok(())
}

/// Checks what comes beside a description: suppressed roles and constraints must name roles of the framework.
pub(crate) fn validate_options(
    info: &FrameworkInfo,
    suppressed_roles: &[String],
    constraints: Option<&OfferConstraints>,
) -> Result<(), FrameworkInfoError> {
    let roles = roles_of(info);
    if let Some(role) = suppressed_roles.iter().find(|role| !roles.contains(*role)) {
        return Err(FrameworkInfoError::SuppressedOtherRole(role.clone()));
    }
    let constrained = constraints
        .into_iter()
        .flat_map(|constraints| constraints.role_constraints.keys());
    for role in constrained {
        if !roles.contains(role) {
            return Err(FrameworkInfoError::ConstraintForOtherRole(role.clone()));
        }
    }
    if constraints.is_some_and(|constraints| !constraints.role_constraints.is_empty()) {
        return Err(FrameworkInfoError::ConstraintsUnsupported);
    }
    Ok(())
}

fn validate_principal(old: &FrameworkInfo, new: &FrameworkInfo) -> Result<(), FrameworkInfoError> {
    if old.principal == new.principal {
        return Ok(());
    }
    Err(FrameworkInfoError::PrincipalChanged {
        old: old.principal.clone(),
        new: new.principal.clone(),
    })
}

/// Checks a changed description against the current one.
pub(crate) fn validate_update(old: &FrameworkInfo, new: &FrameworkInfo) -> Result<(), FrameworkInfoError> {
    validate_principal(old, new)?;
    if old.user() != new.user() {
        return Err(FrameworkInfoError::UserChanged {
            old: old.user().to_owned(),
            new: new.user().to_owned(),
        });
    }
    if old.checkpoint() != new.checkpoint() {
        return Err(FrameworkInfoError::CheckpointChanged {
            old: old.checkpoint(),
            new: new.checkpoint(),
        });
    }
    Ok(())
}

/// Adapts the description of a framework that subscribes again: what cannot change keeps its old value silently, as
/// older frameworks rely on it; only a changed principal is refused.
pub(crate) fn merge_resubscription(
    old: &FrameworkInfo,
    mut new: FrameworkInfo,
) -> Result<FrameworkInfo, FrameworkInfoError> {
    if old.user() != new.user() {
        tracing::warn!(
            framework_id = old.id.value(),
            "user of a framework cannot change, keeping the old one"
        );
        new.set_user(old.user().to_owned());
    }
    if old.checkpoint() != new.checkpoint() {
        tracing::warn!(
            framework_id = old.id.value(),
            "checkpointing of a framework cannot change, keeping it"
        );
        new.set_checkpoint(old.checkpoint());
    }
    validate_principal(old, &new)?;
    Ok(new)
}

#[cfg(test)]
mod tests {
    use mesos_proto::v0::mesos::MasterInfo;
    use mesos_proto::v0::mesos::framework_info::{Capability, capability};

    use super::*;

    fn info(role: Option<&str>, roles: &[&str], multi_role: bool) -> FrameworkInfo {
        let mut info = FrameworkInfo::new();
        info.set_user("root".to_owned());
        info.set_name("test".to_owned());
        info.role = role.map(str::to_owned);
        info.roles = roles.iter().map(|role| (*role).to_owned()).collect();
        if multi_role {
            let mut capability = Capability::new();
            capability.set_type(capability::Type::MULTI_ROLE);
            info.capabilities.push(capability);
        }
        info
    }

    #[test]
    fn roles_and_the_capability_must_agree() {
        let config = MasterConfig::new(MasterInfo::new(), 0);
        let check = |info: FrameworkInfo| validate(&info, &config);
        assert_eq!(check(info(None, &[], false)), Ok(()));
        assert_eq!(check(info(Some("a"), &[], false)), Ok(()));
        assert_eq!(check(info(None, &["a", "b/c"], true)), Ok(()));
        assert_eq!(check(info(None, &[], true)), Ok(()));
        assert_eq!(
            check(info(Some("a"), &["a"], true)),
            Err(FrameworkInfoError::RoleWithMultiRole)
        );
        assert_eq!(
            check(info(None, &["a"], false)),
            Err(FrameworkInfoError::RolesWithoutMultiRole)
        );
        assert_eq!(
            check(info(None, &["a", "a"], true)),
            Err(FrameworkInfoError::DuplicateRole("a".to_owned()))
        );
        assert!(matches!(
            check(info(None, &["/bad"], true)),
            Err(FrameworkInfoError::InvalidRole { .. })
        ));
    }

    #[test]
    fn settings_of_the_master_are_regarded() {
        let mut config = MasterConfig::new(MasterInfo::new(), 0);
        config.role_whitelist = Some(BTreeSet::from(["a".to_owned()]));
        assert_eq!(validate(&info(None, &["a", "*"], true), &config), Ok(()));
        let refused = validate(&info(None, &["b"], true), &config);
        assert_eq!(refused, Err(FrameworkInfoError::RoleNotAllowed("b".to_owned())));
        config.root_submissions = false;
        assert_eq!(
            validate(&info(None, &[], false), &config),
            Err(FrameworkInfoError::RootNotAllowed)
        );
    }

    #[test]
    fn unusable_failover_timeouts_are_refused() {
        let config = MasterConfig::new(MasterInfo::new(), 0);
        for (timeout, usable) in [
            (0.0, true),
            (1e9, true),
            (f64::NAN, false),
            (f64::INFINITY, false),
            (1e10, false),
        ] {
            let mut info = info(None, &[], false);
            info.set_failover_timeout(timeout);
            assert_eq!(validate(&info, &config).is_ok(), usable, "{timeout}");
        }
    }

    #[test]
    fn a_framework_that_comes_back_keeps_user_and_checkpointing() {
        let mut old = info(None, &[], false);
        old.set_checkpoint(true);
        let mut new = info(None, &[], false);
        new.set_user("nobody".to_owned());
        let merged = merge_resubscription(&old, new.clone()).expect("allowed");
        assert_eq!((merged.user(), merged.checkpoint()), ("root", true));
        assert!(matches!(
            validate_update(&old, &new),
            Err(FrameworkInfoError::UserChanged { .. })
        ));
        new.set_principal("other".to_owned());
        assert!(matches!(
            merge_resubscription(&old, new),
            Err(FrameworkInfoError::PrincipalChanged { .. })
        ));
    }
}
