//! Offer constraints: which agents a framework wants to see at all, by attributes, host name, region and zone.

use crate::api::AgentInfo;

/// Checked and compiled offer constraints of a framework.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OfferConstraints {}

impl OfferConstraints {
    /// Whether the agent is not to be offered in the role.
    pub(crate) fn exclude(&self, _role: &str, _agent: &AgentInfo) -> bool {
        false
    }
}
