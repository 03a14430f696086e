//! Operations of agents that come back, report what they have, or leave.

use std::collections::{BTreeMap, BTreeSet};

use mesos::ids::{AgentId, FrameworkId, ResourceProviderId};
use mesos::resources::{Resource, ResourceError, Resources, conversions};
use mesos_proto::internal::wire::messages::ReconcileOperationsMessage;
use mesos_proto::internal::wire::messages::reconcile_operations_message::Operation as Missing;
use mesos_proto::v0::mesos as proto;
use mesos_proto::v0::mesos::{OperationState, UUID};

use super::kind::{consumed, is_speculative, provider_of};
use super::state::is_terminal;
use super::status::{Subject, status};
use crate::master::Master;
use crate::model::{Agent, Claim, Operation, OperationUuid};
use crate::registration::{AgentDescription, with_checkpointed};
use crate::unreachable::Departure;

impl Master {
    /// Compares the operations that an agent reports with those that are known: the agent is asked about those that it
    /// lacks, and says that they were dropped if it never got them.
    pub(crate) fn compare_operations(&mut self, agent_id: &AgentId, reported: Vec<proto::Operation>) {
        let uuids = reported.iter().map(|operation| OperationUuid::from(&*operation.uuid));
        let uuids: BTreeSet<OperationUuid> = uuids.collect();
        let Some(agent) = self.agents.get(agent_id) else { return };
        let mut message = ReconcileOperationsMessage::new();
        for operation in agent.operations.values() {
            if uuids.contains(&operation.uuid) {
                continue;
            }
            let mut missing = Missing::new();
            missing.operation_uuid = Some(operation.uuid.to_proto()).into();
            missing.resource_provider_id = operation.provider_id.as_ref().map(ResourceProviderId::to_proto).into();
            message.operations.push(missing);
        }
        if !message.operations.is_empty() {
            let count = message.operations.len();
            tracing::warn!(%agent_id, count, "agent lacks operations, reconciling");
            let upid = agent.upid.clone();
            self.send(&upid, message);
        }
        for operation in reported {
            self.adopt_operation(agent_id, operation);
        }
    }

    /// Takes over an operation that only the agent knows, as after failover of the master.
    fn adopt_operation(&mut self, agent_id: &AgentId, message: proto::Operation) {
        let uuid = OperationUuid::from(&*message.uuid);
        let Some(agent) = self.agents.get(agent_id) else { return };
        if agent.operations.contains_key(&uuid) || agent.acknowledged_operations.contains(&uuid) {
            return;
        }
        let provider_id = provider_of(&message.info);
        if let Some(provider) = provider_id
            .as_ref()
            .filter(|id| !agent.resource_providers.contains_key(*id))
        {
            tracing::warn!(
                %agent_id, operation = %uuid, %provider,
                "operation of an unknown resource provider not taken"
            );
            return;
        }
        let framework_id = message.framework_id.as_ref().map(FrameworkId::from);
        let open = !is_speculative(message.info.type_()) && !is_terminal(message.latest_status.state());
        let held = match open.then(|| conversions(&message.info)).transpose() {
            Ok(held) => held.map(|conversions| consumed(&conversions)),
            Err(error) => {
                tracing::warn!(%agent_id, operation = %uuid, %error, "invalid operation not taken");
                return;
            }
        };
        tracing::info!(
            %agent_id, operation = %uuid, framework_id = ?framework_id,
            "operation of an earlier master taken over"
        );
        self.operation_counts.begun(message.info.type_());
        let owner = framework_id.clone().filter(|id| self.frameworks.contains_key(id));
        let claim = match (held, owner) {
            (None, _) => Claim::Nothing,
            (Some(resources), Some(owner)) => {
                self.hold_anew(agent_id, &owner, &resources);
                Claim::Held(resources)
            }
            (Some(resources), None) => {
                self.withhold_anew(agent_id, &resources);
                Claim::Withheld(resources)
            }
        };
        self.add_operation(Operation {
            uuid,
            framework_id,
            agent_id: agent_id.clone(),
            provider_id,
            claim,
            message: Box::new(message),
        });
    }

    /// Takes resources out of what an agent has: offers of them are withdrawn.
    fn withhold_anew(&mut self, agent_id: &AgentId, resources: &Resources) {
        let resources = resources.unallocate();
        for offer in self.offers_with(agent_id, &resources) {
            self.rescind_offer(&offer);
        }
        if let Some(agent) = self.agents.get_mut(agent_id) {
            agent.total -= &resources;
        }
        self.tell_allocator_total(agent_id);
    }

    /// Lets the allocator know that a framework holds resources of an agent; the model hears of it with the operation.
    fn hold_anew(&mut self, agent_id: &AgentId, framework_id: &FrameworkId, resources: &Resources) {
        self.withhold_anew(agent_id, resources);
        let plain = resources.unallocate();
        if let Some(agent) = self.agents.get_mut(agent_id) {
            agent.total += &plain;
        }
        let used = BTreeMap::from([(framework_id.clone(), resources.clone())]);
        self.allocator.add_resource_provider(self.now, agent_id, &plain, &used);
    }

    /// An agent leaves: frameworks are told of the operations that they have named, and all are forgotten. The agent
    /// reports them again should it return.
    pub(crate) fn leave_operations(&mut self, agent_id: &AgentId, departure: &Departure) {
        let Some(agent) = self.agents.get(agent_id) else { return };
        let told = match departure {
            Departure::Unreachable(_) => Some((OperationState::OPERATION_UNREACHABLE, "the agent is unreachable")),
            Departure::Gone => Some((OperationState::OPERATION_GONE_BY_OPERATOR, "the agent was marked gone")),
            Departure::Removed => None,
        };
        let uuids: Vec<OperationUuid> = agent.operations.keys().cloned().collect();
        for uuid in uuids {
            let Some(operation) = self.forget_operation(agent_id, &uuid) else {
                continue;
            };
            let Some((state, message)) = told else { continue };
            if !is_terminal(operation.state()) {
                self.operation_counts.reached(operation.message.info.type_(), state);
            }
            if let Some(id) = operation.id() {
                let subject = Subject {
                    id: Some(&id),
                    agent_id: Some(agent_id),
                    provider_id: operation.provider_id.as_ref(),
                };
                self.forward_status(operation.framework_id.as_ref(), status(subject, state, message));
            }
        }
    }
}

impl Agent {
    /// Takes over what a known agent says of its resources when it registers again.
    ///
    /// An agent that did not restart (its resource version is the same) has nothing but what it was told: operations on
    /// their way count on. After a restart its own record counts, and no operation is speculated any more. Older agents
    /// keep no record of their own: theirs is here.
    pub(crate) fn take_resources(&mut self, description: &AgentDescription) -> Result<(), ResourceError> {
        let tracks = description.capabilities.resource_provider;
        let restarted = description.resource_version.is_none() || description.resource_version != self.resource_version;
        if tracks && !restarted {
            return Ok(());
        }
        let own = if tracks {
            self.checkpointed = description.checkpointed.clone();
            description.total.clone()
        } else {
            let plain = Resources::from_protobuf(&description.info.resources)?;
            with_checkpointed(&plain, &self.checkpointed)
        };
        self.total = own;
        self.total += &self.oversubscribed;
        for provider in self.resource_providers.values() {
            self.total += &provider.total;
        }
        self.undone.clear();
        for operation in self.operations.values_mut() {
            match &operation.claim {
                Claim::Speculated(_) => operation.claim = Claim::Nothing,
                Claim::Withheld(resources) => self.total -= &resources.unallocate(),
                Claim::Nothing | Claim::Held(_) => {}
            }
        }
        self.resource_version = description.resource_version.clone();
        Ok(())
    }

    /// The resource version that a message told, or the one known.
    pub(crate) fn take_version(&mut self, version: Option<UUID>) {
        if version.is_some() {
            self.resource_version = version;
        }
    }
}

/// Whether a resource is of some resource provider.
pub(super) fn is_provided(resource: &Resource) -> bool {
    resource.provider_id().is_some()
}
