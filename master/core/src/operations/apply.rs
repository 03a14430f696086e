//! The way of an operation to its agent.

use mesos::ids::{AgentId, FrameworkId, OperationId, ResourceProviderId};
use mesos::resources::format::HasResources;
use mesos::resources::{Conversion, Resource};
use mesos_proto::internal::wire::messages::ApplyOperationMessage;
use mesos_proto::v0::mesos as proto;
use mesos_proto::v0::mesos::OperationState;
use mesos_proto::v0::mesos::offer::Operation as OperationInfo;

use super::kind::{consumed, converted, is_speculative, provider_of, unallocated};
use super::status::{Subject, status};
use crate::master::Master;
use crate::model::{Agent, Claim, Operation, OperationUuid};

impl Master {
    /// Sends a checked operation to its agent. What it consumes was taken from offers, or from what was free.
    pub(super) fn apply_operation(
        &mut self,
        agent_id: &AgentId,
        framework_id: Option<FrameworkId>,
        info: OperationInfo,
        conversions: &[Conversion],
    ) {
        let kind = info.type_();
        self.operation_counts.begun(kind);
        tracing::info!(%agent_id, framework_id = ?framework_id, ?kind, "operation sent");
        let claim = if is_speculative(kind) {
            let conversions = unallocated(conversions);
            self.convert_agent(agent_id, &conversions);
            Claim::Speculated(conversions)
        } else {
            Claim::Held(consumed(conversions))
        };
        let Some(agent) = self.agents.get(agent_id) else { return };
        if !agent.capabilities.resource_provider {
            return self.restore_checkpoint(agent_id);
        }
        let uuid = OperationUuid::new(*self.random.uuid().as_bytes());
        let Some(operation) = pending_operation(agent, uuid, framework_id, info, claim) else {
            return;
        };
        let message = apply_message(agent, &operation);
        let upid = agent.upid.clone();
        self.add_operation(operation);
        self.send(&upid, message);
    }

    /// Replaces parts of an agent's own resources; the caller made sure that they are there.
    pub(super) fn convert_agent(&mut self, agent_id: &AgentId, conversions: &[Conversion]) {
        let Some(agent) = self.agents.get_mut(agent_id) else {
            return;
        };
        let Some(total) = converted(&agent.total, conversions) else {
            tracing::error!(%agent_id, ?conversions, "the agent does not have what an operation converts");
            return;
        };
        agent.total = total;
        agent.checkpointed = agent.total.filter(needs_checkpoint);
        for conversion in conversions {
            let provider = conversion.consumed.iter().find_map(Resource::provider_id);
            let provider = provider.and_then(|id| agent.resource_providers.get_mut(&ResourceProviderId::new(id)));
            if let Some(provider) = provider
                && let Err(error) = provider.total.convert(conversion)
            {
                tracing::error!(%agent_id, %error, "a resource provider does not have what an operation converts");
            }
        }
    }

    /// Adds an operation to its agent and its framework; what it holds counts as used.
    pub(super) fn add_operation(&mut self, operation: Operation) {
        let Some(agent) = self.agents.get_mut(&operation.agent_id) else {
            return;
        };
        if let Some(framework_id) = &operation.framework_id {
            if let Claim::Held(resources) = &operation.claim {
                agent.hold(framework_id, resources);
            }
            if let Some(framework) = self.frameworks.get_mut(framework_id) {
                let agent_id = operation.agent_id.clone();
                framework.operations.insert(operation.uuid.clone(), agent_id);
                if let Some(id) = operation.id() {
                    framework.operation_ids.insert(id, operation.uuid.clone());
                }
            }
        }
        agent.operations.insert(operation.uuid.clone(), operation);
    }

    /// Forgets an operation. What it still holds is for the caller.
    pub(super) fn forget_operation(&mut self, agent_id: &AgentId, uuid: &OperationUuid) -> Option<Operation> {
        let operation = self.agents.get_mut(agent_id)?.operations.remove(uuid)?;
        self.plans.touch(agent_id);
        let framework = operation.framework_id.as_ref();
        if let Some(framework) = framework.and_then(|id| self.frameworks.get_mut(id)) {
            framework.operations.remove(uuid);
            framework.operation_ids.retain(|_, own| own != uuid);
        }
        Some(operation)
    }
}

/// Whether an agent keeps a resource over restarts because of an operation.
fn needs_checkpoint(resource: &Resource) -> bool {
    resource.provider_id().is_none() && (resource.is_dynamically_reserved() || resource.is_persistent_volume())
}

/// An operation as it begins; nothing when the agent has told no version of the resources that it works on.
fn pending_operation(
    agent: &Agent,
    uuid: OperationUuid,
    framework_id: Option<FrameworkId>,
    info: OperationInfo,
    claim: Claim,
) -> Option<Operation> {
    let provider_id = provider_of(&info);
    version_of(agent, provider_id.as_ref())?;
    let id = info.id.as_ref().map(OperationId::from);
    let subject = Subject {
        id: id.as_ref(),
        agent_id: Some(&agent.id),
        provider_id: provider_id.as_ref(),
    };
    let mut message = proto::Operation::new();
    message.framework_id = framework_id.as_ref().map(FrameworkId::to_proto).into();
    message.slave_id = Some(agent.id.to_proto()).into();
    message.latest_status = Some(status(subject, OperationState::OPERATION_PENDING, "")).into();
    message.uuid = Some(uuid.to_proto()).into();
    message.info = Some(info).into();
    Some(Operation {
        uuid,
        framework_id,
        agent_id: agent.id.clone(),
        provider_id,
        claim,
        message: Box::new(message),
    })
}

/// The version of the resources that operations on them must name.
fn version_of<'a>(agent: &'a Agent, provider: Option<&ResourceProviderId>) -> Option<&'a proto::UUID> {
    match provider {
        Some(id) => agent
            .resource_providers
            .get(id)
            .map(|provider| &provider.resource_version),
        None => agent.resource_version.as_ref(),
    }
}

fn apply_message(agent: &Agent, operation: &Operation) -> ApplyOperationMessage {
    let mut message = ApplyOperationMessage::new();
    message.framework_id = operation.message.framework_id.clone();
    message.operation_info = operation.message.info.clone();
    message.operation_uuid = Some(operation.uuid.to_proto()).into();
    let version = message.resource_version_uuid.mut_or_insert_default();
    version.resource_provider_id = operation.provider_id.as_ref().map(ResourceProviderId::to_proto).into();
    version.uuid = version_of(agent, operation.provider_id.as_ref()).cloned().into();
    if !agent.capabilities.reservation_refinement
        && let Err(error) = message.downgrade_resources()
    {
        tracing::error!(agent_id = %agent.id, %error, "operation is not expressible for its agent");
    }
    message
}
