//! Operations in an ACCEPT: each one is checked against what the ones before it left, and carried out or refused as a
//! whole.

use mesos::ids::{AgentId, FrameworkId, OfferId, OperationId};
use mesos::resources::{Conversion, Resources};
use mesos_proto::v0::mesos::OperationState;
use mesos_proto::v0::mesos::offer::Operation;
use mesos_proto::v0::mesos::offer::operation::Type;

use super::kind::{consumed, is_speculative, provider_of};
use super::refusal::Refusal;
use super::status::{Subject, status};
use super::validate::{Circumstances, Requester, validate, validate_sent};
use crate::accept::Accepted;
use crate::error_text::with_causes;
use crate::master::Master;
use crate::model::{Agent, Connection, Framework};
use crate::notify::Notice;

impl Master {
    /// Whether the resources that an operation came with can be read at all.
    pub(crate) fn check_sent_operation(operation: &Operation) -> Result<(), String> {
        validate_sent(operation).map_err(|refusal| with_causes(&refusal))
    }

    /// Carries out one operation that is no launch, on resources of accepted offers.
    pub(crate) fn operate(&mut self, accepted: &mut Accepted, operation: Operation) {
        let framework_id = accepted.framework_id.clone();
        let (Some(framework), Some(agent)) = (self.frameworks.get(&framework_id), self.agents.get(&accepted.agent_id))
        else {
            return;
        };
        let used = check(&operation, framework, agent).and_then(|conversions| {
            self.use_offered(accepted, &operation, &conversions)?;
            Ok(conversions)
        });
        match used {
            Ok(conversions) => {
                let agent_id = accepted.agent_id.clone();
                self.apply_operation(&agent_id, Some(framework_id), operation, &conversions);
            }
            Err(refusal) => self.drop_operation(&framework_id, &operation, &with_causes(&refusal)),
        }
    }

    /// Moves resources of the accepted offers. Nothing has changed when it fails.
    fn use_offered(
        &mut self,
        accepted: &mut Accepted,
        operation: &Operation,
        conversions: &[Conversion],
    ) -> Result<(), Refusal> {
        let kind = operation.type_();
        let consumed = consumed(conversions);
        if !is_speculative(kind) {
            accepted.remaining.try_subtract(&consumed)?;
            accepted.launched += &consumed;
            return Ok(());
        }
        // What was resized cannot be used in the same call: frameworks are told so, as it may need the agent's answer
        // one day.
        let resizes = matches!(kind, Type::GROW_VOLUME | Type::SHRINK_VOLUME);
        let mut remaining = accepted.remaining.clone();
        if resizes {
            remaining.try_subtract(&consumed)?;
        } else {
            for conversion in conversions {
                remaining.convert(conversion)?;
            }
        }
        if kind == Type::DESTROY {
            if let Some(volume) = consumed.iter().find(|volume| remaining.contains_resource(volume)) {
                return Err(Refusal::MoreCopies(volume.to_string()));
            }
            self.rescind_offers_with(accepted, &consumed);
        }
        self.allocator
            .update_allocation(&accepted.framework_id, &accepted.agent_id, conversions)?;
        let produced: Resources = conversions.iter().map(|conversion| &conversion.converted).sum();
        accepted.remaining = remaining;
        accepted.shared -= &consumed.shared();
        accepted.shared += &produced.shared();
        if resizes {
            accepted.resized += produced;
        }
        Ok(())
    }

    /// Copies of a shared volume that others are offered go before the volume does.
    fn rescind_offers_with(&mut self, accepted: &Accepted, volumes: &Resources) {
        let volumes = volumes.unallocate();
        for id in self.offers_with(&accepted.agent_id, &volumes) {
            self.rescind_offer(&id);
        }
    }

    /// Offers of an agent that contain some of `wanted`, which is allocated to nobody.
    pub(super) fn offers_with(&self, agent_id: &AgentId, wanted: &Resources) -> Vec<OfferId> {
        let offers = self.agents.get(agent_id).into_iter().flat_map(|agent| &agent.offers);
        let holds = |id: &&OfferId| {
            self.offers.get(*id).is_some_and(|offer| {
                let offered = offer.resources.unallocate();
                (wanted - &offered) != *wanted
            })
        };
        offers.filter(holds).cloned().collect()
    }

    /// Tells that an operation is not carried out: as a status when it has an id and the scheduler can get one. A
    /// driver that asks for feedback is told to stop, as it would wait for ever.
    pub(crate) fn drop_operation(&mut self, framework_id: &FrameworkId, operation: &Operation, reason: &str) {
        tracing::warn!(%framework_id, operation = ?operation.type_(), error = reason, "operation not carried out");
        let state = OperationState::OPERATION_ERROR;
        self.operation_counts.reached(operation.type_(), state);
        let framework = self.frameworks.get(framework_id);
        let connection = framework.and_then(Framework::connection);
        let Some(id) = operation.id.as_ref().map(OperationId::from) else {
            return;
        };
        match connection {
            Some(Connection::Stream(_)) => {
                let subject = Subject {
                    id: Some(&id),
                    ..Subject::default()
                };
                let status = status(subject, state, reason);
                self.notify(framework_id, Notice::Operation(Box::new(status)));
            }
            Some(Connection::Process(_)) => {
                let text = with_causes(&Refusal::FeedbackForDriver(id));
                self.notify(framework_id, Notice::Error(text));
            }
            None => {}
        }
    }
}

fn check(operation: &Operation, framework: &Framework, agent: &Agent) -> Result<Vec<Conversion>, Refusal> {
    if let Some(id) = operation.id.as_ref() {
        check_feedback(&OperationId::from(id), operation, framework, agent)?;
    }
    let requester = Requester::Framework(framework);
    validate(operation, &Circumstances { agent, requester })
}

/// Feedback needs a scheduler that can be told and an agent that tells.
fn check_feedback(
    id: &OperationId,
    operation: &Operation,
    framework: &Framework,
    agent: &Agent,
) -> Result<(), Refusal> {
    if !matches!(framework.connection(), Some(Connection::Stream(_))) {
        return Err(Refusal::FeedbackForDriver(id.clone()));
    }
    if framework.operation_ids.contains_key(id) {
        return Err(Refusal::DuplicateId(id.clone()));
    }
    let capability = if !agent.capabilities.resource_provider {
        "RESOURCE_PROVIDER"
    } else if provider_of(operation).is_none() && !agent.capabilities.agent_operation_feedback {
        "AGENT_OPERATION_FEEDBACK"
    } else {
        return Ok(());
    };
    Err(Refusal::NoFeedback {
        id: id.clone(),
        agent: agent.id.clone(),
        capability,
    })
}
