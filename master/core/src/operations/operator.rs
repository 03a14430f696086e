//! Operations that operators ask for, on what nobody is offered or uses. Offers are withdrawn until enough is free;
//! when even all of them would not do, none is.

use mesos::ids::AgentId;
use mesos::resources::Conversion;
use mesos::resources::format::HasResources;
use mesos_allocator::api::AllocatorError;
use mesos_proto::v0::mesos::offer::Operation;

use super::kind::consumed;
use super::refusal::Refusal;
use super::validate::{Circumstances, Requester, validate, validate_sent};
use crate::effect::Reply;
use crate::error_text::with_causes;
use crate::master::Master;
use crate::model::Agent;

impl Master {
    /// Carries out an operator's operation; 202 means that the agent was told.
    pub(crate) fn operate_for_operator(
        &mut self,
        principal: Option<&str>,
        agent_id: &AgentId,
        mut operation: Operation,
    ) -> Reply {
        let Some(agent) = self.agents.get(agent_id) else {
            return Reply::text(400, format!("no agent {agent_id} is registered"));
        };
        let requester = Requester::Operator(principal);
        let checked = validate_sent(&operation).and_then(|()| {
            operation.upgrade_resources();
            validate(&operation, &Circumstances { agent, requester })
        });
        let conversions = match checked {
            Ok(conversions) => conversions,
            Err(refusal) => {
                let kind = operation.type_();
                let text = format!(
                    "invalid {kind:?} operation on agent {agent_id}: {}",
                    with_causes(&refusal)
                );
                return Reply::text(400, text);
            }
        };
        match self.convert_available(agent_id, &conversions) {
            Ok(()) => {
                self.apply_operation(agent_id, None, operation, &conversions);
                Reply::empty(202)
            }
            Err(refusal) => Reply::text(409, with_causes(&refusal)),
        }
    }

    fn convert_available(&mut self, agent_id: &AgentId, conversions: &[Conversion]) -> Result<(), Refusal> {
        if let Some(agent) = self.agents.get(agent_id) {
            check_reachable(agent, conversions)?;
        }
        let mut offers = self.offers_with(agent_id, &consumed(conversions)).into_iter();
        loop {
            let result = self.allocator.update_available(self.now, agent_id, conversions);
            match (result, offers.next()) {
                (Err(AllocatorError::Insufficient { .. }), Some(offer)) => self.rescind_offer(&offer),
                (result, _) => return Ok(result?),
            }
        }
    }
}

/// Whether the conversions fit when everything that is offered were free.
fn check_reachable(agent: &Agent, conversions: &[Conversion]) -> Result<(), Refusal> {
    let mut free = agent.unused();
    for conversion in conversions {
        free.convert(conversion)?;
    }
    Ok(())
}
