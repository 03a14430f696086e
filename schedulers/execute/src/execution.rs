//! The rules of running one task: which offer is taken, what is told, when it is over.

use std::time::Duration;

use mesos::resources::{Reservation, Resources};
use mesos_proto::v1::mesos::{Offer, TaskState, TaskStatus, offer};
use mesos_proto::v1::scheduler::{Call, call, event};
use mesos_scheduler_driver::v1::Notice;
use protobuf::MessageField;

use crate::request::Request;

/// What the program does next.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Make a call.
    Call(Box<Call>),
    /// Print a line.
    Print(String),
    /// Kill the task when this time has passed.
    KillAfter(Duration),
    /// It is over: with success, or with what to tell.
    End(Result<(), String>),
}

/// One task on its way.
#[derive(Debug)]
pub struct Execution {
    request: Request,
    launched: bool,
    subscribed: bool,
    kill_is_set: bool,
    /// The last problem that was told: attempts repeat quickly, the same sentence need not.
    problem: Option<String>,
}

impl Execution {
    /// Nothing has happened yet.
    #[must_use]
    pub const fn new(request: Request) -> Self {
        Self {
            request,
            launched: false,
            subscribed: false,
            kill_is_set: false,
            problem: None,
        }
    }

    /// Takes what the client tells.
    pub fn notice(&mut self, notice: &Notice) -> Vec<Action> {
        match notice {
            Notice::Event(event) => match event.type_() {
                event::Type::SUBSCRIBED => self.subscribed(event.subscribed.framework_id.value()),
                event::Type::OFFERS => event
                    .offers
                    .offers
                    .iter()
                    .flat_map(|offer| self.offered(offer))
                    .collect(),
                event::Type::UPDATE => self.updated(&event.update.status),
                event::Type::ERROR => {
                    vec![Action::End(Err(format!(
                        "the master refused: {}",
                        event.error.message()
                    )))]
                }
                event::Type::UNKNOWN
                | event::Type::HEARTBEAT
                | event::Type::RESCIND
                | event::Type::INVERSE_OFFERS
                | event::Type::RESCIND_INVERSE_OFFER
                | event::Type::UPDATE_OPERATION_STATUS
                | event::Type::MESSAGE
                | event::Type::FAILURE => Vec::new(),
            },
            Notice::Disconnected(problem) => self.disconnected(problem.to_string()),
            Notice::Refused(problem) => vec![Action::End(Err(problem.to_string()))],
            Notice::CallFailed { call, reason } => {
                vec![Action::Print(format!("Call {:?} failed: {reason}", call.type_()))]
            }
        }
    }

    /// The call that kills the task.
    #[must_use]
    pub fn kill(&self) -> Option<Call> {
        if !self.launched {
            return None;
        }
        let mut call = self.call(call::Type::KILL);
        call.kill.mut_or_insert_default().task_id = self.request.task.task_id.clone();
        Some(call)
    }

    /// The call that ends the framework, when it is known to a master.
    #[must_use]
    pub fn teardown(&self) -> Option<Call> {
        self.subscribed.then(|| self.call(call::Type::TEARDOWN))
    }

    fn call(&self, kind: call::Type) -> Call {
        let mut call = Call::new();
        call.set_type(kind);
        call.framework_id = self.request.framework.id.clone();
        call
    }

    fn disconnected(&mut self, problem: String) -> Vec<Action> {
        if self.problem.as_ref() == Some(&problem) {
            return Vec::new();
        }
        let line = format!("Disconnected: {problem}; trying again");
        self.problem = Some(problem);
        vec![Action::Print(line)]
    }

    fn subscribed(&mut self, id: &str) -> Vec<Action> {
        self.problem = None;
        let again = std::mem::replace(&mut self.subscribed, true);
        self.request
            .framework
            .id
            .mut_or_insert_default()
            .set_value(id.to_owned());
        let mut actions = vec![Action::Print(format!("Subscribed with ID {id}"))];
        if again && self.launched {
            // What happened meanwhile is asked for, so that no end is missed.
            let mut call = self.call(call::Type::RECONCILE);
            let mut task = call::reconcile::Task::new();
            task.task_id = self.request.task.task_id.clone();
            call.reconcile.mut_or_insert_default().tasks.push(task);
            actions.push(Action::Call(Box::new(call)));
        }
        actions
    }

    fn offered(&mut self, offer: &Offer) -> Vec<Action> {
        match self.take(offer) {
            Some(resources) if !self.launched => self.launch(offer, &resources),
            _ => {
                let mut decline = self.call(call::Type::DECLINE);
                decline
                    .decline
                    .mut_or_insert_default()
                    .offer_ids
                    .extend(offer.id.clone().into_option());
                let mut actions = vec![Action::Call(Box::new(decline))];
                if self.launched {
                    actions.push(Action::Call(Box::new(self.call(call::Type::SUPPRESS))));
                }
                actions
            }
        }
    }

    /// What the task would use of the offer: from the role's reservations first, then from what is unreserved.
    fn take(&self, offer: &Offer) -> Option<Resources> {
        let offered: Vec<mesos_proto::v0::mesos::Resource> =
            offer.resources.iter().map(mesos::convert::devolve).collect();
        let offered = Resources::from_protobuf(&offered).ok()?.unallocate();
        let wanted = &self.request.resources;
        if !offered.to_unreserved().contains(wanted) {
            return None;
        }
        match self.request.framework.role() {
            "*" => offered.find(wanted),
            role => offered.find(&wanted.push_reservation(&Reservation::fixed(role)).ok()?),
        }
    }

    fn launch(&mut self, offer: &Offer, resources: &Resources) -> Vec<Action> {
        self.launched = true;
        let mut task = self.request.task.clone();
        task.agent_id = offer.agent_id.clone();
        task.resources = resources.to_protobuf().iter().map(mesos::convert::evolve).collect();
        let line = format!("Submitted task '{}' to agent '{}'", task.name(), offer.agent_id.value());
        let mut call = self.call(call::Type::ACCEPT);
        let accept = call.accept.mut_or_insert_default();
        accept.offer_ids.extend(offer.id.clone().into_option());
        let mut operation = offer::Operation::new();
        operation.set_type(offer::operation::Type::LAUNCH);
        operation.launch = MessageField::some(offer::operation::Launch {
            task_infos: vec![task],
            ..Default::default()
        });
        accept.operations.push(operation);
        vec![Action::Call(Box::new(call)), Action::Print(line)]
    }

    fn updated(&mut self, status: &TaskStatus) -> Vec<Action> {
        let mut actions: Vec<Action> = describe(status).into_iter().map(Action::Print).collect();
        if status.has_uuid() {
            let mut call = self.call(call::Type::ACKNOWLEDGE);
            let acknowledge = call.acknowledge.mut_or_insert_default();
            acknowledge.agent_id = status.agent_id.clone();
            acknowledge.task_id = status.task_id.clone();
            acknowledge.set_uuid(status.uuid().to_vec());
            actions.push(Action::Call(Box::new(call)));
        }
        match status.state() {
            TaskState::TASK_RUNNING => {
                if let (Some(after), false) = (self.request.kill_after, self.kill_is_set) {
                    self.kill_is_set = true;
                    actions.push(Action::KillAfter(after));
                }
            }
            TaskState::TASK_FINISHED => actions.push(Action::End(Ok(()))),
            TaskState::TASK_FAILED
            | TaskState::TASK_KILLED
            | TaskState::TASK_ERROR
            | TaskState::TASK_LOST
            | TaskState::TASK_DROPPED
            | TaskState::TASK_GONE
            | TaskState::TASK_GONE_BY_OPERATOR => {
                let reason = format!("task '{}' ended as {:?}", status.task_id.value(), status.state());
                actions.push(Action::End(Err(reason)));
            }
            TaskState::TASK_STAGING
            | TaskState::TASK_STARTING
            | TaskState::TASK_KILLING
            | TaskState::TASK_UNREACHABLE
            | TaskState::TASK_UNKNOWN => {}
        }
        actions
    }
}

fn describe(status: &TaskStatus) -> Vec<String> {
    let mut lines = vec![format!(
        "Received status update {:?} for task '{}'",
        status.state(),
        status.task_id.value()
    )];
    if status.has_message() {
        lines.push(format!("  message: '{}'", status.message()));
    }
    if let Some(source) = status.source {
        lines.push(format!("  source: {source:?}"));
    }
    if let Some(reason) = status.reason {
        lines.push(format!("  reason: {reason:?}"));
    }
    if status.has_healthy() {
        lines.push(format!("  healthy?: {}", status.healthy()));
    }
    lines
}

#[cfg(test)]
mod tests;
