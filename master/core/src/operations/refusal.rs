//! Why an operation is refused: one variant a rule.

use mesos::ids::{AgentId, OperationId, ResourceProviderId};
use mesos::resources::{ApplyError, NotContained, Resource, ResourceError};
use mesos::validation::disk::DiskError;
use mesos::validation::operation::OperationError;
use mesos_allocator::api::AllocatorError;
use thiserror::Error;

/// Why an operation is refused. The text goes to the framework or to the operator.
#[derive(Clone, Debug, PartialEq, Error)]
pub(crate) enum Refusal {
    #[error("a resource of the operation is invalid")]
    Resource(#[from] ResourceError),
    #[error(transparent)]
    Shape(#[from] OperationError),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("some resources have a resource provider and others have none, or another one")]
    MixedProviders,
    #[error("resource provider {0} is not known on the agent")]
    UnknownProvider(ResourceProviderId),
    #[error("agent {0} has not told the version of its resources")]
    NoResourceVersion(AgentId),
    #[error("agent {agent} lacks the capability {capability}, which {resource} needs")]
    AgentLacks {
        agent: AgentId,
        capability: &'static str,
        resource: String,
    },
    #[error("the operation has the id '{id}', but agent {agent} lacks the capability {capability} that feedback needs")]
    NoFeedback {
        id: OperationId,
        agent: AgentId,
        capability: &'static str,
    },
    #[error("operation feedback needs the HTTP scheduler API; leave 'id' unset ('{0}')")]
    FeedbackForDriver(OperationId),
    #[error("the operation id '{0}' is in use by another operation of the framework")]
    DuplicateId(OperationId),
    #[error("resource {0} is not allocated to a role")]
    NotAllocated(String),
    #[error("resource {0} is allocated, but operators can only work on what nobody is offered or uses")]
    Allocated(String),
    #[error("the resources are allocated to both '{first}' and '{second}'; one role is possible")]
    MixedRoles { first: String, second: String },
    #[error("resource {resource} is reserved for '{reserved}', but allocated to '{allocated}'; both must be one role")]
    OtherRole {
        resource: String,
        reserved: String,
        allocated: String,
    },
    #[error("role '{role}' is none of the framework's roles: {roles}")]
    ForeignRole { role: String, roles: String },
    #[error("resource {resource} has no {field}; principal '{principal}' must stand there")]
    PrincipalMissing {
        resource: String,
        field: &'static str,
        principal: String,
    },
    #[error("resource {resource} has the {field} '{found}', but principal '{principal}' asks")]
    OtherPrincipal {
        resource: String,
        field: &'static str,
        found: String,
        principal: String,
    },
    #[error("'{field}' mixes resources with different reservations; all must have the same")]
    MixedReservations { field: &'static str },
    #[error("volume {0} must be destroyed before it can be unreserved")]
    VolumeReserved(String),
    #[error("volume {0} is read-only; volumes are created with the mode RW")]
    ReadOnlyVolume(String),
    #[error("the persistence id '{id}' is in use by another volume of role '{role}' on the agent")]
    DuplicateVolume { id: String, role: String },
    #[error("volume {0} is shared, but the framework lacks the capability SHARED_RESOURCES")]
    SharedVolume(String),
    #[error("volume {0} is not on the agent")]
    UnknownVolume(String),
    #[error("volume {0} is in use")]
    VolumeInUse(String),
    #[error("volume {0} cannot be destroyed while there are more copies of it in the offers")]
    MoreCopies(String),
    #[error("volume {volume} is of a resource provider; {operation} works on the agent's own volumes only")]
    ProviderVolume { operation: &'static str, volume: String },
    #[error("'addition' is {0}; it must be above zero")]
    EmptyAddition(String),
    #[error("disk {0} is not managed by a resource provider")]
    NoProvider(String),
    #[error("disk {0} has a profile already: 'target_profile' must not be set")]
    ProfileTwice(String),
    #[error("disk {0} has no profile: 'target_profile' must be set")]
    NoProfile(String),
    #[error("disk {0} has no id: no volume of a storage plugin stands behind it")]
    NoBackingVolume(String),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error(transparent)]
    NotContained(#[from] NotContained),
    #[error(transparent)]
    Accounts(#[from] AllocatorError),
}

impl Refusal {
    pub(super) fn unknown_volume(volume: &Resource) -> Self {
        Self::UnknownVolume(volume.to_string())
    }
}
