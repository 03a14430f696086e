//! The rules of the registry's operations.

pub(crate) mod agents;
pub(crate) mod draining;
pub(crate) mod maintenance;
pub(crate) mod roles;

use crate::Outcome;

pub(crate) fn changed(condition: bool) -> Outcome {
    if condition {
        Outcome::Changed
    } else {
        Outcome::Unchanged
    }
}
