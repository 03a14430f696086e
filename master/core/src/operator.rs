//! What operators may change.

use crate::effect::{Effect, Reply};
use crate::input::{OperatorCall, OperatorRequest};
use crate::master::{Master, Phase};

impl Master {
    /// Carries an operator's call out. Authorisation was the shell's business.
    pub(crate) fn operator(&mut self, request: OperatorRequest) {
        let OperatorRequest {
            request,
            principal,
            call,
        } = request;
        if self.phase == Phase::Recovering {
            let reply = Reply::text(503, "the master has not finished recovery");
            self.effects.push(Effect::Reply { request, reply });
            return;
        }
        tracing::info!(?call, ?principal, "operator call");
        match call {
            OperatorCall::Teardown(id) => {
                let reply = if self.frameworks.contains_key(&id) {
                    self.teardown(&id);
                    Reply::empty(200)
                } else {
                    Reply::text(400, format!("no framework {id} is known"))
                };
                self.effects.push(Effect::Reply { request, reply });
            }
            OperatorCall::Operate { agent_id, operation } => {
                let reply = self.operate_for_operator(principal.as_deref(), &agent_id, *operation);
                self.effects.push(Effect::Reply { request, reply });
            }
            OperatorCall::MarkAgentGone(id) => self.mark_gone(request, &id),
            OperatorCall::DrainAgent { agent_id, config } => self.ask_drain(request, &agent_id, config),
            OperatorCall::DeactivateAgent(id) => self.ask_deactivation(request, &id),
            OperatorCall::ReactivateAgent(id) => self.ask_reactivation(request, &id),
            OperatorCall::Maintenance(change) => self.ask_maintenance(request, change),
            OperatorCall::UpdateWeights(weights) => self.ask_weights(request, &weights),
            OperatorCall::UpdateQuota { configs, force } => self.ask_quota(request, &configs, force),
            OperatorCall::SetQuota(asked) => self.ask_first_quota(request, &asked),
            OperatorCall::RemoveQuota(role) => self.ask_no_quota(request, &role),
        }
    }
}
