//! Reconciliation of operations: the master tells what it knows, without uuid, so that nobody acknowledges it.
//!
//! Explicit answers, first row that fits:
//!
//! | the operation, or the named agent | answer |
//! |---|---|
//! | operation is known | the status last told, or the latest one while none was |
//! | agent has not come back since failover | RECOVERING |
//! | agent is registered, gives feedback, and does not host the named resource provider | the agent's own answer |
//! | agent is registered | UNKNOWN |
//! | agent is unreachable | UNREACHABLE |
//! | agent is gone | GONE_BY_OPERATOR |
//! | anything else | UNKNOWN |
//!
//! Source: shared facts, `scheduler_calls.tsv` (RECONCILE_OPERATIONS), `messages_flow.tsv`
//! (ReconcileOperationsMessage).

use std::collections::BTreeMap;

use mesos::ids::{AgentId, FrameworkId, OperationId, ResourceProviderId};
use mesos_proto::internal::wire::messages::ReconcileOperationsMessage;
use mesos_proto::internal::wire::messages::reconcile_operations_message::Operation as Forwarded;
use mesos_proto::v0::mesos::{OperationState, OperationStatus};
use mesos_proto::v0::scheduler::call::ReconcileOperations;
use mesos_proto::v0::scheduler::call::reconcile_operations::Operation as Asked;
use protobuf::MessageField;

use super::status::{Subject, status};
use crate::master::Master;
use crate::model::{Operation, OperationUuid};

/// How one question is answered.
enum Answer {
    /// By the master, now.
    Status(Box<OperationStatus>),
    /// By the agent.
    Forward(AgentId, Forwarded),
}

impl Master {
    /// Answers a reconciliation: of the named operations, or of all when none is named.
    pub(crate) fn reconcile_operations(&mut self, framework_id: &FrameworkId, call: &ReconcileOperations) {
        self.count("master/messages_reconcile_operations");
        if call.operations.is_empty() {
            return self.reconcile_all_operations(framework_id);
        }
        let mut forwarded: BTreeMap<AgentId, ReconcileOperationsMessage> = BTreeMap::new();
        for asked in &call.operations {
            match self.answer_about(framework_id, asked) {
                Answer::Status(status) => self.forward_status(Some(framework_id), *status),
                Answer::Forward(agent_id, operation) => {
                    let message = forwarded.entry(agent_id).or_default();
                    message.framework_id = MessageField::some(framework_id.to_proto());
                    message.operations.push(operation);
                }
            }
        }
        for (agent_id, message) in forwarded {
            if let Some(upid) = self.agents.get(&agent_id).map(|agent| agent.upid.clone()) {
                self.send(&upid, message);
            }
        }
    }

    fn reconcile_all_operations(&mut self, framework_id: &FrameworkId) {
        let Some(framework) = self.frameworks.get(framework_id) else {
            return;
        };
        let known = framework.operations.iter();
        let statuses: Vec<OperationStatus> = known
            .filter_map(|(uuid, agent_id)| self.operation(agent_id, uuid))
            .map(told_status)
            .collect();
        for status in statuses {
            self.forward_status(Some(framework_id), status);
        }
    }

    fn operation(&self, agent_id: &AgentId, uuid: &OperationUuid) -> Option<&Operation> {
        self.agents.get(agent_id)?.operations.get(uuid)
    }

    fn answer_about(&self, framework_id: &FrameworkId, asked: &Asked) -> Answer {
        let id = OperationId::from(&*asked.operation_id);
        if let Some(operation) = self.named_operation(framework_id, &id) {
            return Answer::Status(Box::new(told_status(operation)));
        }
        let agent_id = asked.slave_id.as_ref().map(AgentId::from);
        let provider_id = asked.resource_provider_id.as_ref().map(ResourceProviderId::from);
        if let (Some(agent_id), Some(provider_id)) = (&agent_id, &provider_id)
            && let Some(agent) = self.agents.get(agent_id)
            && agent.capabilities.agent_operation_feedback
            && !agent.resource_providers.contains_key(provider_id)
        {
            let mut operation = Forwarded::new();
            operation.operation_id = asked.operation_id.clone();
            operation.resource_provider_id = asked.resource_provider_id.clone();
            return Answer::Forward(agent_id.clone(), operation);
        }
        let (state, message) = self.state_of_unknown_operation(agent_id.as_ref());
        let subject = Subject {
            id: Some(&id),
            agent_id: agent_id.as_ref(),
            provider_id: provider_id.as_ref(),
        };
        Answer::Status(Box::new(status(subject, state, message)))
    }

    fn named_operation(&self, framework_id: &FrameworkId, id: &OperationId) -> Option<&Operation> {
        let framework = self.frameworks.get(framework_id)?;
        let uuid = framework.operation_ids.get(id)?;
        self.operation(framework.operations.get(uuid)?, uuid)
    }

    /// What can be said of an operation that the master does not have, from the agent that it is said to be on.
    fn state_of_unknown_operation(&self, agent_id: Option<&AgentId>) -> (OperationState, &'static str) {
        let Some(id) = agent_id else {
            let message = "reconciliation: the operation is not known, and no agent is named";
            return (OperationState::OPERATION_UNKNOWN, message);
        };
        if self.recovered_agents.contains_key(id) {
            let message = "reconciliation: the agent has not come back yet";
            (OperationState::OPERATION_RECOVERING, message)
        } else if self.agents.contains_key(id) {
            let message = "reconciliation: the operation is not known";
            (OperationState::OPERATION_UNKNOWN, message)
        } else if self.unreachable_agents.contains(id) {
            let message = "reconciliation: the operation's agent is unreachable";
            (OperationState::OPERATION_UNREACHABLE, message)
        } else if self.gone_agents.contains(id) {
            let message = "reconciliation: the operation's agent is gone";
            (OperationState::OPERATION_GONE_BY_OPERATOR, message)
        } else {
            let message = "reconciliation: neither the operation nor its agent is known";
            (OperationState::OPERATION_UNKNOWN, message)
        }
    }
}

/// The status that its framework was told last, or the latest one before any was told.
fn told_status(operation: &Operation) -> OperationStatus {
    let told = operation.message.statuses.last();
    let mut status = told.unwrap_or(&operation.message.latest_status).clone();
    status.uuid = MessageField::none();
    status
}
