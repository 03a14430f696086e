//! Offers that are out.

use std::sync::Arc;

use mesos::ids::{AgentId, FrameworkId, OfferId};
use mesos_proto::v0::mesos as proto;

use crate::Resources;

/// Resources of one agent, offered to one framework in one role.
#[derive(Clone, Debug)]
pub struct Offer {
    pub(crate) id: OfferId,
    pub(crate) framework_id: FrameworkId,
    pub(crate) agent_id: AgentId,
    pub(crate) role: Arc<str>,
    pub(crate) resources: Resources,
    pub(crate) message: Arc<proto::Offer>,
}

impl Offer {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &OfferId {
        &self.id
    }

    /// Who got it.
    #[must_use]
    pub const fn framework_id(&self) -> &FrameworkId {
        &self.framework_id
    }

    /// Where the resources are.
    #[must_use]
    pub const fn agent_id(&self) -> &AgentId {
        &self.agent_id
    }

    /// The role that the resources are allocated to.
    #[must_use]
    pub fn role(&self) -> &str {
        &self.role
    }

    /// The resources, post-refinement, with `allocation_info`.
    #[must_use]
    pub const fn resources(&self) -> &Resources {
        &self.resources
    }

    /// The offer as a message, with post-refinement resources and `allocation_info`; what a framework without the
    /// capabilities got is derived from it.
    #[must_use]
    pub fn message(&self) -> &proto::Offer {
        &self.message
    }
}
