//! Rules for descriptions of frameworks that need the master's settings or the current description. What can be said
//! of a description alone stands in [`mesos::validation::framework`].
//!
//! Source: shared facts, `scheduler_calls.tsv`, `pitfalls.md` D10, D22.

use std::sync::Arc;

use mesos::validation::framework::{self as rules, FrameworkError, roles_of};
use mesos_allocator::constraints::{ConstraintError, OfferConstraints as CompiledConstraints};
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
    #[error(transparent)]
    Description(#[from] FrameworkError),
    #[error("role '{0}' is not among the roles that this master allows (--roles)")]
    RoleNotAllowed(String),
    #[error("user 'root' may not run frameworks here (--no-root_submissions)")]
    RootNotAllowed,
    #[error(transparent)]
    Constraints(#[from] ConstraintError),
    #[error("{REMOVED}")]
    Removed,
}

/// Checks a description by itself and against the master's settings.
pub(crate) fn validate(info: &FrameworkInfo, config: &MasterConfig) -> Result<(), FrameworkInfoError> {
    rules::validate_framework(info)?;
    if let Some(allowed) = &config.role_whitelist {
        let mut roles = roles_of(info).into_iter();
        if let Some(role) = roles.find(|role| role != mesos::roles::DEFAULT_ROLE && !allowed.contains(role)) {
            return Err(FrameworkInfoError::RoleNotAllowed(role));
        }
    }
    if info.user() == "root" && !config.root_submissions {
        return Err(FrameworkInfoError::RootNotAllowed);
    }
    Ok(())
}

/// Checks what comes beside a description: suppressed roles and constraints must name roles of the framework. Gives the
/// constraints in the form that the allocator asks.
pub(crate) fn validate_options(
    info: &FrameworkInfo,
    suppressed_roles: &[String],
    constraints: Option<&OfferConstraints>,
    config: &MasterConfig,
) -> Result<Option<Arc<CompiledConstraints>>, FrameworkInfoError> {
    rules::validate_suppressed_roles(info, suppressed_roles)?;
    let Some(constraints) = constraints.filter(|constraints| !constraints.role_constraints.is_empty()) else {
        return Ok(None);
    };
    let compiled = CompiledConstraints::compile(constraints, &roles_of(info), config.expression_limits)?;
    Ok(Some(Arc::new(compiled)))
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
    rules::validate_update(old, &new)?;
    Ok(new)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use mesos_proto::v0::mesos::MasterInfo;
    use mesos_proto::v0::mesos::framework_info::{Capability, capability};
    use mesos_proto::v0::scheduler::offer_constraints::RoleConstraints;

    use super::*;

    fn info(roles: &[&str]) -> FrameworkInfo {
        let mut info = FrameworkInfo::new();
        info.set_user("root".to_owned());
        info.set_name("test".to_owned());
        info.roles = roles.iter().map(|role| (*role).to_owned()).collect();
        let mut capability = Capability::new();
        capability.set_type(capability::Type::MULTI_ROLE);
        info.capabilities.push(capability);
        info
    }

    #[test]
    fn settings_of_the_master_are_regarded() {
        let mut config = MasterConfig::new(MasterInfo::new(), 0);
        config.role_whitelist = Some(BTreeSet::from(["a".to_owned()]));
        assert_eq!(validate(&info(&["a", "*"]), &config), Ok(()));
        let refused = validate(&info(&["b"]), &config);
        assert_eq!(refused, Err(FrameworkInfoError::RoleNotAllowed("b".to_owned())));
        config.root_submissions = false;
        assert_eq!(validate(&info(&[]), &config), Err(FrameworkInfoError::RootNotAllowed));
    }

    #[test]
    fn options_name_roles_of_the_framework() {
        let config = MasterConfig::new(MasterInfo::new(), 0);
        let checked = |roles: &[&str], suppressed: &[&str], constraints: Option<&OfferConstraints>| {
            let suppressed: Vec<String> = suppressed.iter().map(|role| (*role).to_owned()).collect();
            validate_options(&info(roles), &suppressed, constraints, &config)
        };
        let mut constraints = OfferConstraints::new();
        assert_eq!(checked(&["a"], &[], Some(&constraints)), Ok(None));
        assert_eq!(checked(&["a"], &["a"], None), Ok(None));
        assert!(checked(&["a"], &["b"], None).is_err());
        constraints
            .role_constraints
            .insert("b".to_owned(), RoleConstraints::new());
        let foreign = ConstraintError::ForeignRole("b".to_owned());
        let other = checked(&["a"], &[], Some(&constraints));
        assert_eq!(other, Err(FrameworkInfoError::Constraints(foreign)));
        let empty = ConstraintError::NoGroups("b".to_owned());
        let own = checked(&["b"], &[], Some(&constraints));
        assert_eq!(own, Err(FrameworkInfoError::Constraints(empty)));
    }

    #[test]
    fn a_framework_that_comes_back_keeps_user_and_checkpointing() {
        let mut old = info(&[]);
        old.set_checkpoint(true);
        let mut new = info(&[]);
        new.set_user("nobody".to_owned());
        let merged = merge_resubscription(&old, new.clone()).expect("allowed");
        assert_eq!((merged.user(), merged.checkpoint()), ("root", true));
        new.set_principal("other".to_owned());
        assert!(merge_resubscription(&old, new).is_err());
    }
}
