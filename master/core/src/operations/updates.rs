//! What agents say about operations.
//!
//! A status is handed on to the framework that named the operation, which then acknowledges it. Nobody else would, so
//! the master acknowledges the others itself.

use std::time::Duration;

use libprocess_types::Upid;
use mesos::ids::{AgentId, FrameworkId, ResourceProviderId};
use mesos::resources::format::HasResources;
use mesos::resources::{Conversion, Resources};
use mesos_allocator::api::Hold;
use mesos_proto::internal::wire::messages::{AcknowledgeOperationStatusMessage, UpdateOperationStatusMessage};
use mesos_proto::v0::mesos as proto;
use mesos_proto::v0::mesos::OperationStatus;
use protobuf::MessageField;

use super::kind::unallocated;
use super::state::{Step, is_terminal, step};
use crate::master::Master;
use crate::model::{Agent, Claim, Framework, OperationUuid};
use crate::notify::Notice;

/// How many operations of an agent are remembered whose last acknowledgement it may have missed.
pub(crate) const REMEMBERED_ACKNOWLEDGEMENTS: usize = 1000;

/// Time after an agent's return in which the framework of an operation may still come back to be told of it.
///
/// Source: shared facts, `constants.tsv` (`min_wait_before_orphan_operation_adoption`).
const MIN_WAIT_BEFORE_ORPHAN_OPERATION_ADOPTION: Duration = Duration::from_secs(10 * 60);

/// Who acknowledges a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Acknowledger {
    /// The framework that named the operation.
    Framework,
    /// Nobody as long as the framework may come back.
    Later,
    /// The master: nobody else is told.
    Master,
}

impl Master {
    /// An agent tells the status of an operation.
    pub(crate) fn operation_status(&mut self, from: &Upid, mut message: UpdateOperationStatusMessage) {
        self.count("master/messages_operation_status_update");
        message.upgrade_resources();
        let framework_id = message.framework_id.as_ref().map(FrameworkId::from);
        let Some(uuid) = message.operation_uuid.as_ref().map(OperationUuid::from) else {
            // An answer to a reconciliation that was handed on: only the framework knows what it asked for.
            self.forward_status(framework_id.as_ref(), message.status.unwrap_or_default());
            return;
        };
        let agent_id = AgentId::from(&*message.slave_id);
        let Some(agent) = self.agents.get(&agent_id) else {
            tracing::warn!(
                %agent_id, upid = %from, operation = %uuid,
                "status of an operation of an unknown agent dropped"
            );
            return self.count("master/invalid_operation_status_updates");
        };
        let Some(id) = agent
            .operations
            .get(&uuid)
            .map(|operation| operation.message.info.id.clone())
        else {
            return self.unknown_operation_status(&agent_id, &uuid, framework_id.as_ref(), message);
        };
        self.count("master/valid_operation_status_updates");
        let mut status = message.status.unwrap_or_default();
        status.operation_id = id;
        let latest = message.latest_status.into_option();
        let latest = latest.unwrap_or_else(|| status.clone());
        self.take_status(&agent_id, &uuid, latest, Some(status.clone()));
        self.pass_on(&agent_id, &uuid, status);
    }

    /// A status of an operation that is over here. The agent repeats it when it missed the acknowledgement; otherwise
    /// the operation was part of a reconciliation.
    fn unknown_operation_status(
        &mut self,
        agent_id: &AgentId,
        uuid: &OperationUuid,
        framework_id: Option<&FrameworkId>,
        message: UpdateOperationStatusMessage,
    ) {
        self.count("master/invalid_operation_status_updates");
        let status = message.status.unwrap_or_default();
        let acknowledged = self
            .agents
            .get(agent_id)
            .and_then(|agent| agent.acknowledged_operations.get(uuid));
        if let (Some(acknowledged), Some(told)) = (acknowledged, status.uuid.as_ref())
            && acknowledged == told
        {
            let provider = status.resource_provider_id.as_ref().map(ResourceProviderId::from);
            let told = told.clone();
            return self.send_acknowledgement(agent_id, uuid, &told, provider.as_ref());
        }
        if framework_id.is_some() {
            self.forward_status(framework_id, status);
        }
    }

    /// Takes a state over; resources follow when the operation ends by it.
    pub(super) fn take_status(
        &mut self,
        agent_id: &AgentId,
        uuid: &OperationUuid,
        mut latest: OperationStatus,
        told: Option<OperationStatus>,
    ) {
        let Some(agent) = self.agents.get_mut(agent_id) else {
            return;
        };
        let Some(operation) = agent.operations.get_mut(uuid) else {
            return;
        };
        latest.operation_id = operation.message.info.id.clone();
        let step = step(operation.state(), latest.state());
        tracing::debug!(%agent_id, operation = %uuid, state = ?latest.state(), ?step, "operation updated");
        if let Some(told) = told
            && operation.message.statuses.last() != Some(&told)
        {
            operation.message.statuses.push(told);
        }
        let kind = operation.message.info.type_();
        let (state, outcome) = (latest.state(), latest.converted_resources.clone());
        if step != Step::Late {
            operation.message.latest_status = MessageField::some(latest);
        }
        if matches!(step, Step::Done | Step::Failed) {
            let claim = std::mem::replace(&mut operation.claim, Claim::Nothing);
            let framework_id = operation.framework_id.clone();
            self.operation_counts.reached(kind, state);
            let done = (step == Step::Done).then_some(&*outcome);
            self.settle(agent_id, framework_id.as_ref(), claim, done);
        }
    }

    /// Resources of an operation that has ended: `outcome` is what came of it when it succeeded.
    fn settle(
        &mut self,
        agent_id: &AgentId,
        framework_id: Option<&FrameworkId>,
        claim: Claim,
        outcome: Option<&[proto::Resource]>,
    ) {
        match (claim, outcome) {
            (Claim::Nothing, _) | (Claim::Speculated(_), Some(_)) => {}
            (Claim::Speculated(conversions), None) => self.undo_speculation(agent_id, &conversions),
            (Claim::Held(consumed), outcome) => {
                let Some(framework_id) = framework_id else { return };
                let conversion = outcome.and_then(|outcome| conversion(&consumed, outcome));
                match conversion {
                    Some(conversion) => self.convert_held(agent_id, framework_id, conversion),
                    None => self.release_allocated(agent_id, framework_id, &consumed),
                }
            }
            (Claim::Withheld(consumed), outcome) => {
                let conversion = outcome.and_then(|outcome| conversion(&consumed, outcome));
                if let Some(agent) = self.agents.get_mut(agent_id) {
                    agent.total += consumed.unallocate();
                }
                if let Some(conversion) = conversion {
                    self.convert_agent(agent_id, &unallocated(&[conversion]));
                }
                self.tell_allocator_total(agent_id);
            }
        }
    }

    /// What a framework held is converted, and free from then on.
    fn convert_held(&mut self, agent_id: &AgentId, framework_id: &FrameworkId, conversion: Conversion) {
        let conversions = [conversion];
        if let Err(error) = self.allocator.update_allocation(framework_id, agent_id, &conversions) {
            tracing::error!(%agent_id, %framework_id, %error, "the outcome of an operation is not taken over");
            return self.release_allocated(agent_id, framework_id, &conversions[0].consumed);
        }
        self.convert_agent(agent_id, &unallocated(&conversions));
        if let Some(agent) = self.agents.get_mut(agent_id) {
            agent.release(framework_id, &conversions[0].consumed);
        }
        let converted = &conversions[0].converted;
        self.allocator
            .recover_resources(self.now, framework_id, agent_id, converted, None, Hold::Allocated);
    }

    /// Hands a status on, and lets the operation go when its last one needs no acknowledgement of the framework.
    fn pass_on(&mut self, agent_id: &AgentId, uuid: &OperationUuid, status: OperationStatus) {
        let Some(agent) = self.agents.get(agent_id) else { return };
        let Some(operation) = agent.operations.get(uuid) else {
            return;
        };
        let (framework_id, provider) = (operation.framework_id.clone(), operation.provider_id.clone());
        let acknowledger = self.acknowledger(agent, framework_id.as_ref(), operation.id().is_some());
        let (last, status_uuid) = (is_terminal(status.state()), status.uuid.clone().into_option());
        match (acknowledger, status_uuid) {
            (Acknowledger::Framework, status_uuid) => {
                self.forward_status(framework_id.as_ref(), status);
                if last && status_uuid.is_none() {
                    self.forget_operation(agent_id, uuid);
                }
            }
            (Acknowledger::Later, Some(_)) => {
                tracing::debug!(
                    %agent_id, operation = %uuid,
                    "the framework of an operation may come back, not acknowledged"
                );
            }
            (Acknowledger::Master, Some(status_uuid)) => {
                self.send_acknowledgement(agent_id, uuid, &status_uuid, provider.as_ref());
                if last {
                    self.end_operation(agent_id, uuid, status_uuid);
                }
            }
            (Acknowledger::Later | Acknowledger::Master, None) => {
                if last {
                    self.forget_operation(agent_id, uuid);
                }
            }
        }
    }

    fn acknowledger(&self, agent: &Agent, framework_id: Option<&FrameworkId>, named: bool) -> Acknowledger {
        match framework_id {
            Some(id) if named && self.frameworks.contains_key(id) => Acknowledger::Framework,
            Some(id) if named && !self.is_completed(id) => {
                let since = agent.reregistered_time.unwrap_or(agent.registered_time);
                if self.now.saturating_since(since) < MIN_WAIT_BEFORE_ORPHAN_OPERATION_ADOPTION {
                    Acknowledger::Later
                } else {
                    Acknowledger::Master
                }
            }
            Some(_) | None => Acknowledger::Master,
        }
    }

    /// The last status is acknowledged: the operation is over.
    pub(super) fn end_operation(&mut self, agent_id: &AgentId, uuid: &OperationUuid, status_uuid: proto::UUID) {
        self.forget_operation(agent_id, uuid);
        if let Some(agent) = self.agents.get_mut(agent_id) {
            agent.acknowledged_operations.insert(uuid.clone(), status_uuid);
        }
    }

    pub(super) fn send_acknowledgement(
        &mut self,
        agent_id: &AgentId,
        uuid: &OperationUuid,
        status_uuid: &proto::UUID,
        provider: Option<&ResourceProviderId>,
    ) {
        let Some(upid) = self.agents.get(agent_id).map(|agent| agent.upid.clone()) else {
            return;
        };
        let mut message = AcknowledgeOperationStatusMessage::new();
        message.status_uuid = Some(status_uuid.clone()).into();
        message.operation_uuid = Some(uuid.to_proto()).into();
        message.resource_provider_id = provider.map(ResourceProviderId::to_proto).into();
        self.send(&upid, message);
    }

    /// Tells a framework the status of one of its operations, in the form that it understands.
    pub(super) fn forward_status(&mut self, framework_id: Option<&FrameworkId>, mut status: OperationStatus) {
        let framework = framework_id.and_then(|id| self.frameworks.get(id));
        let Some(framework) = framework.filter(|framework| framework.is_connected()) else {
            tracing::info!(
                framework_id = ?framework_id,
                "status of an operation not forwarded: framework unknown or away"
            );
            return;
        };
        adapt(framework, &mut status);
        let framework_id = framework.id.clone();
        self.notify(&framework_id, Notice::Operation(Box::new(status)));
    }
}

/// The resources of a status in the form that a framework understands.
fn adapt(framework: &Framework, status: &mut OperationStatus) {
    if !framework.capabilities.multi_role {
        status.strip_allocation();
    }
    if !framework.capabilities.reservation_refinement
        && let Err(error) = status.downgrade_resources()
    {
        tracing::warn!(
            framework_id = %framework.id, %error,
            "outcome of an operation is not expressible for its framework"
        );
    }
}

/// What became of consumed resources, allocated as they were; nothing when the agent's words make no sense.
fn conversion(consumed: &Resources, outcome: &[proto::Resource]) -> Option<Conversion> {
    let converted = Resources::from_protobuf(outcome);
    let converted = converted.inspect_err(|error| tracing::error!(%error, "outcome of an operation is invalid"));
    let converted = converted.ok()?;
    let role = consumed.iter().find_map(|resource| resource.allocation_role());
    let converted = role.map_or_else(|| converted.clone(), |role| converted.allocate(role));
    Some(Conversion {
        consumed: consumed.clone(),
        converted,
    })
}
