//! Operations on the resources of agents.

use std::fmt;
use std::sync::Arc;

use mesos::ids::{AgentId, FrameworkId, OperationId, ResourceProviderId};
use mesos::resources::Conversion;
use mesos_proto::v0::mesos as proto;
use mesos_proto::v0::mesos::OperationState;

use crate::Resources;

/// Names an operation between master and agent: 16 random bytes that the master gives.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationUuid(Arc<[u8]>);

impl OperationUuid {
    /// Takes the bytes as they are.
    #[must_use]
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The UUID as a message.
    #[must_use]
    pub fn to_proto(&self) -> proto::UUID {
        let mut message = proto::UUID::new();
        message.set_value(self.0.to_vec());
        message
    }
}

impl From<&proto::UUID> for OperationUuid {
    fn from(message: &proto::UUID) -> Self {
        Self::new(message.value())
    }
}

impl fmt::Display for OperationUuid {
    /// Prints the bytes as hexadecimal digits.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for OperationUuid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "OperationUuid({self})")
    }
}

/// What the accounts hold for an operation until it ends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Claim {
    /// Nothing: it has ended, or the agent's own report has its outcome.
    Nothing,
    /// Its outcome stands in the agent's total on trust; the agent has not confirmed it.
    Speculated(Vec<Conversion>),
    /// What it consumes counts as used by its framework.
    Held(Resources),
    /// It has no framework here: what it consumes is missing from the agent's total.
    Withheld(Resources),
}

/// An operation that an agent was asked for, or reported.
#[derive(Clone, Debug)]
pub struct Operation {
    pub(crate) uuid: OperationUuid,
    pub(crate) framework_id: Option<FrameworkId>,
    pub(crate) agent_id: AgentId,
    pub(crate) provider_id: Option<ResourceProviderId>,
    pub(crate) claim: Claim,
    pub(crate) message: Box<proto::Operation>,
}

impl Operation {
    /// How master and agent name it.
    #[must_use]
    pub const fn uuid(&self) -> &OperationUuid {
        &self.uuid
    }

    /// How its framework names it; only then the framework is told of it.
    #[must_use]
    pub fn id(&self) -> Option<OperationId> {
        self.message.info.id.as_ref().map(OperationId::from)
    }

    /// Who asked for it; nobody for operators' operations.
    #[must_use]
    pub const fn framework_id(&self) -> Option<&FrameworkId> {
        self.framework_id.as_ref()
    }

    /// Where it is carried out.
    #[must_use]
    pub const fn agent_id(&self) -> &AgentId {
        &self.agent_id
    }

    /// The resource provider whose resources it works on; `None` for the agent's own.
    #[must_use]
    pub const fn provider_id(&self) -> Option<&ResourceProviderId> {
        self.provider_id.as_ref()
    }

    /// The latest state that is known.
    #[must_use]
    pub fn state(&self) -> OperationState {
        self.message.latest_status.state()
    }

    /// The operation as a message, with the statuses that were told, oldest first.
    #[must_use]
    pub fn message(&self) -> &proto::Operation {
        &self.message
    }
}

/// A resource provider that an agent hosts.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceProvider {
    pub(crate) id: ResourceProviderId,
    pub(crate) info: proto::ResourceProviderInfo,
    pub(crate) total: Resources,
    pub(crate) resource_version: proto::UUID,
}

impl ResourceProvider {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &ResourceProviderId {
        &self.id
    }

    /// Its description.
    #[must_use]
    pub const fn info(&self) -> &proto::ResourceProviderInfo {
        &self.info
    }

    /// What it provides; part of the agent's total.
    #[must_use]
    pub const fn total(&self) -> &Resources {
        &self.total
    }
}
