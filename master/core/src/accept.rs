//! Accepting offers: check the offers, carry the operations out one after the other, give back what is left.
//!
//! Source: shared facts, `scheduler_calls.tsv` (ACCEPT), `pitfalls.md` D1, D2, D18.

use std::collections::BTreeSet;

use mesos::ids::{AgentId, FrameworkId, OfferId};
use mesos::resources::format::HasResources;
use mesos::resources::inject_allocation_into_operation;
use mesos_allocator::api::{Hold, OfferFilters};
use mesos_proto::v0::mesos::offer::Operation;
use mesos_proto::v0::mesos::offer::operation::Type as OperationType;
use mesos_proto::v0::mesos::task_status::Reason;
use mesos_proto::v0::mesos::{TaskInfo, TaskState};
use mesos_proto::v0::scheduler::call;
use thiserror::Error;

use crate::Resources;
use crate::master::Master;
use crate::offers::filters_of;
use crate::status::{self, Subject, Verdict};

/// Why the offers of a call cannot be accepted together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum OfferError {
    #[error("no offers are named")]
    None,
    #[error("offer {0} is named twice")]
    Duplicate(OfferId),
    #[error("offer {0} is no longer valid")]
    Gone(OfferId),
    #[error("offer {offer} was made to framework {owner}")]
    OtherFramework { offer: OfferId, owner: FrameworkId },
    #[error("offers of different roles cannot be accepted together: '{first}' and '{second}'")]
    MixedRoles { first: String, second: String },
    #[error("offers of different agents cannot be accepted together: {first} and {second}")]
    MixedAgents { first: AgentId, second: AgentId },
}

/// Offers accepted together, taken out of the model: what operations may use.
pub(crate) struct Accepted {
    pub(crate) framework_id: FrameworkId,
    pub(crate) agent_id: AgentId,
    pub(crate) role: String,
    /// What no operation has used yet.
    pub(crate) remaining: Resources,
    /// What launches, and operations that wait for the agent, use.
    pub(crate) launched: Resources,
    /// The shared volumes: launches do not take them away, so that several tasks can use the one that was offered.
    pub(crate) shared: Resources,
    /// What resizing made of volumes; no later operation of the call may use it.
    pub(crate) resized: Resources,
}

impl Master {
    /// A scheduler uses offers.
    pub(crate) fn accept(&mut self, framework_id: &FrameworkId, accept: call::Accept) {
        for operation in &accept.operations {
            if operation.type_() == OperationType::LAUNCH {
                let empty = operation.launch.task_infos.is_empty();
                self.count(if empty {
                    "master/messages_decline_offers"
                } else {
                    "master/messages_launch_tasks"
                });
            }
        }
        let offer_ids: Vec<OfferId> = accept.offer_ids.iter().map(OfferId::from).collect();
        let filters = filters_of(&accept.filters);
        match self.check_offers(framework_id, &offer_ids) {
            Ok(()) => {
                if let Some(accepted) = self.take_offers(framework_id, &offer_ids) {
                    self.carry_out(accepted, accept.operations, filters);
                }
            }
            Err(error) => self.refuse_offers(framework_id, &offer_ids, accept.operations, &error),
        }
    }

    fn check_offers(&self, framework_id: &FrameworkId, offer_ids: &[OfferId]) -> Result<(), OfferError> {
        let mut seen = BTreeSet::new();
        if let Some(id) = offer_ids.iter().find(|id| !seen.insert(*id)) {
            return Err(OfferError::Duplicate(id.clone()));
        }
        let mut offers = Vec::with_capacity(offer_ids.len());
        for id in offer_ids {
            offers.push(self.offers.get(id).ok_or_else(|| OfferError::Gone(id.clone()))?);
        }
        let first = *offers.first().ok_or(OfferError::None)?;
        for offer in offers {
            if offer.framework_id != *framework_id {
                return Err(OfferError::OtherFramework {
                    offer: offer.id.clone(),
                    owner: offer.framework_id.clone(),
                });
            }
            if offer.role != first.role {
                let (first, second) = (first.role.to_string(), offer.role.to_string());
                return Err(OfferError::MixedRoles { first, second });
            }
            if offer.agent_id != first.agent_id {
                let (first, second) = (first.agent_id.clone(), offer.agent_id.clone());
                return Err(OfferError::MixedAgents { first, second });
            }
        }
        Ok(())
    }

    /// Offers that cannot be accepted come back at once; nothing of the call happens, and every part of it is told so.
    fn refuse_offers(
        &mut self,
        framework_id: &FrameworkId,
        offer_ids: &[OfferId],
        operations: Vec<Operation>,
        error: &OfferError,
    ) {
        tracing::warn!(%framework_id, %error, "accept of invalid offers");
        for id in offer_ids {
            let own = self
                .offers
                .get(id)
                .is_some_and(|offer| offer.framework_id == *framework_id);
            if own {
                self.discard_offer(id, None);
            }
        }
        let aware = self
            .frameworks
            .get(framework_id)
            .is_some_and(|framework| framework.capabilities.partition_aware);
        let verdict = Verdict::new(
            status::for_capability(aware, TaskState::TASK_DROPPED),
            Reason::REASON_INVALID_OFFERS,
            format!("the task was launched with invalid offers: {error}"),
        );
        for operation in operations {
            match operation.type_() {
                OperationType::LAUNCH | OperationType::LAUNCH_GROUP => {
                    self.refuse_tasks(framework_id, tasks_of(&operation), &verdict);
                }
                _ => self.drop_operation(framework_id, &operation, &format!("invalid offers: {error}")),
            }
        }
    }

    /// Tells a verdict on tasks that never come to be.
    pub(crate) fn refuse_tasks(&mut self, framework_id: &FrameworkId, tasks: &[TaskInfo], verdict: &Verdict) {
        for task in tasks {
            let update = status::update(self.now, &Subject::described(framework_id, task), verdict);
            tracing::info!(%framework_id, task_id = task.task_id.value(), error = %verdict.message, "task refused");
            self.count_end(verdict.state);
            self.forward_own(framework_id, update);
        }
    }

    pub(crate) fn take_offers(&mut self, framework_id: &FrameworkId, offer_ids: &[OfferId]) -> Option<Accepted> {
        let mut accepted: Option<Accepted> = None;
        for id in offer_ids {
            let offer = self.take_offer(id)?;
            let accepted = accepted.get_or_insert_with(|| Accepted {
                framework_id: framework_id.clone(),
                agent_id: offer.agent_id.clone(),
                role: offer.role.to_string(),
                remaining: Resources::new(),
                launched: Resources::new(),
                shared: Resources::new(),
                resized: Resources::new(),
            });
            accepted.remaining += &offer.resources;
            accepted.shared += &offer.resources.shared();
        }
        if let Some(framework) = self.frameworks.get_mut(framework_id) {
            framework.counters.offers_accepted += offer_ids.len() as u64;
        }
        accepted
    }

    pub(crate) fn carry_out(&mut self, mut accepted: Accepted, operations: Vec<Operation>, filters: OfferFilters) {
        if let Some(departure) = self.departure_of(&accepted.agent_id) {
            return self.refuse_departed(&accepted, &operations, departure);
        }
        let only_launches = operations.iter().all(is_launch);
        let offered = (!only_launches).then(|| accepted.remaining.clone());
        for operation in operations {
            self.carry_out_one(&mut accepted, operation);
        }
        let Accepted {
            framework_id,
            agent_id,
            remaining,
            launched,
            resized,
            ..
        } = accepted;
        if !launched.is_empty() {
            self.allocator
                .transition_offered_to_allocated(&framework_id, &agent_id, &launched);
        }
        // What operations made was not declined: it comes back without a filter.
        let (made, declined) = match offered {
            None => (resized, remaining),
            Some(offered) => {
                let declined = &remaining - &(&remaining - &offered);
                (&(&remaining - &declined) + &resized, declined)
            }
        };
        for (returned, filters) in [(made, None), (declined, Some(filters))] {
            if !returned.is_empty() {
                let now = self.now;
                self.allocator
                    .recover_resources(now, &framework_id, &agent_id, &returned, filters, Hold::Offered);
            }
        }
    }

    fn carry_out_one(&mut self, accepted: &mut Accepted, mut operation: Operation) {
        let checked = Self::check_sent_operation(&operation);
        operation.upgrade_resources();
        inject_allocation_into_operation(&mut operation, &accepted.role);
        if let Some(framework) = self.frameworks.get_mut(&accepted.framework_id) {
            framework.counters.operation(operation.type_());
        }
        match (operation.type_(), checked) {
            (OperationType::LAUNCH, Ok(())) => self.launch(accepted, operation),
            (OperationType::LAUNCH_GROUP, Ok(())) => self.launch_group(accepted, operation),
            (OperationType::LAUNCH, Err(text)) => {
                let verdict = Verdict::new(TaskState::TASK_ERROR, Reason::REASON_TASK_INVALID, text);
                self.refuse_tasks(&accepted.framework_id, tasks_of(&operation), &verdict);
            }
            (OperationType::LAUNCH_GROUP, Err(text)) => {
                let verdict = Verdict::new(TaskState::TASK_ERROR, Reason::REASON_TASK_GROUP_INVALID, text);
                self.refuse_tasks(&accepted.framework_id, tasks_of(&operation), &verdict);
            }
            (OperationType::UNKNOWN, _) => {
                tracing::warn!(framework_id = %accepted.framework_id, "operation of unknown type ignored");
            }
            (_, Err(reason)) => self.drop_operation(&accepted.framework_id, &operation, &reason),
            (_, Ok(())) => self.operate(accepted, operation),
        }
    }
}

/// Whether an operation makes nothing of the resources that it leaves.
fn is_launch(operation: &Operation) -> bool {
    matches!(operation.type_(), OperationType::LAUNCH | OperationType::LAUNCH_GROUP)
}

/// The tasks that a launch operation describes.
pub(crate) fn tasks_of(operation: &Operation) -> &[TaskInfo] {
    match operation.type_() {
        OperationType::LAUNCH => &operation.launch.task_infos,
        OperationType::LAUNCH_GROUP => &operation.launch_group.task_group.tasks,
        _ => &[],
    }
}
