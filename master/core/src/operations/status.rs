//! Statuses of operations that the master makes. They carry no uuid: nobody acknowledges them.

use mesos::ids::{AgentId, OperationId, ResourceProviderId};
use mesos_proto::v0::mesos::{OperationState, OperationStatus};

/// Which operation a status is about.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Subject<'a> {
    pub(super) id: Option<&'a OperationId>,
    pub(super) agent_id: Option<&'a AgentId>,
    pub(super) provider_id: Option<&'a ResourceProviderId>,
}

/// A status made by the master; an empty `message` is left out.
pub(super) fn status(subject: Subject<'_>, state: OperationState, message: &str) -> OperationStatus {
    let mut status = OperationStatus::new();
    status.operation_id = subject.id.map(OperationId::to_proto).into();
    status.set_state(state);
    if !message.is_empty() {
        status.set_message(message.to_owned());
    }
    status.slave_id = subject.agent_id.map(AgentId::to_proto).into();
    status.resource_provider_id = subject.provider_id.map(ResourceProviderId::to_proto).into();
    status
}
