//! Schedulers acknowledge statuses of operations; the acknowledgement of the last one ends the operation.

use mesos::ids::{AgentId, FrameworkId, OperationId, ResourceProviderId};
use mesos_proto::v0::mesos::UUID;
use mesos_proto::v0::scheduler::call::AcknowledgeOperationStatus;

use super::state::is_terminal;
use crate::master::Master;
use crate::model::OperationUuid;

impl Master {
    /// A scheduler has handled the status of an operation.
    pub(crate) fn acknowledge_operation(&mut self, framework_id: &FrameworkId, call: &AcknowledgeOperationStatus) {
        self.count("master/messages_operation_status_update_acknowledgement");
        match self.find_acknowledged(framework_id, call) {
            Ok((agent_id, uuid, last)) => {
                self.count("master/valid_operation_status_update_acknowledgements");
                let mut status_uuid = UUID::new();
                status_uuid.set_value(call.uuid().to_vec());
                let provider = call.resource_provider_id.as_ref().map(ResourceProviderId::from);
                if last {
                    self.end_operation(&agent_id, &uuid, status_uuid.clone());
                }
                self.send_acknowledgement(&agent_id, &uuid, &status_uuid, provider.as_ref());
            }
            Err(reason) => {
                let operation_id = call.operation_id.value();
                tracing::warn!(%framework_id, operation_id, reason, "acknowledgement of an operation's status dropped");
                self.count("master/invalid_operation_status_update_acknowledgements");
            }
        }
    }

    /// The operation whose status is acknowledged, and whether that ends it.
    fn find_acknowledged(
        &self,
        framework_id: &FrameworkId,
        call: &AcknowledgeOperationStatus,
    ) -> Result<(AgentId, OperationUuid, bool), &'static str> {
        let agent_id = AgentId::from(&*call.slave_id);
        let agent = self.agents.get(&agent_id).ok_or("the agent is not registered")?;
        if !agent.is_connected() {
            return Err("the agent is disconnected");
        }
        match call.resource_provider_id.is_some() {
            true if !agent.capabilities.resource_provider => return Err("the agent has no resource providers"),
            false if !agent.capabilities.agent_operation_feedback => return Err("the agent gives no feedback"),
            true | false => {}
        }
        let framework = self.frameworks.get(framework_id);
        let id = OperationId::from(&*call.operation_id);
        let uuid = framework.and_then(|framework| framework.operation_ids.get(&id));
        let operation = uuid.and_then(|uuid| agent.operations.get(uuid));
        let operation = operation.ok_or("the operation is not known on the agent")?;
        let mut statuses = operation.message.statuses.iter();
        let status = statuses.find(|status| status.uuid.is_some() && status.uuid.value() == call.uuid());
        let status = status.ok_or("the status is not known")?;
        Ok((agent_id, operation.uuid.clone(), is_terminal(status.state())))
    }
}
