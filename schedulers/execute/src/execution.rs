//! The rules of running one task or one group: which offer is taken, what is told, when it is over.

use std::collections::BTreeSet;
use std::time::Duration;

use mesos::resources::{Reservation, Resources};
use mesos_proto::v1::mesos::{ExecutorInfo, Offer, TaskInfo, TaskState, TaskStatus, executor_info, offer};
use mesos_proto::v1::scheduler::{Call, call, event};
use mesos_scheduler_driver::v1::Notice;
use protobuf::MessageField;

use crate::request::{Request, Togetherness};

/// The executor of a group, and what it takes beside its tasks.
///
/// Source: the recorded exchange `w5`.
const GROUP_EXECUTOR: &str = "default-executor";
const GROUP_EXECUTOR_RESOURCES: &str = "cpus:0.1;mem:32;disk:32";

/// What the program does next.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Make a call.
    Call(Box<Call>),
    /// Print a line.
    Print(String),
    /// Kill the tasks when this time has passed.
    KillAfter(Duration),
    /// It is over: with success, or with what to tell.
    End(Result<(), String>),
}

/// One task, or one group, on its way.
#[derive(Debug)]
pub struct Execution {
    request: Request,
    launched: bool,
    subscribed: bool,
    kill_is_set: bool,
    /// Tasks that have ended.
    ended: BTreeSet<String>,
    /// The first end that was not a good one.
    failure: Option<String>,
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
            ended: BTreeSet::new(),
            failure: None,
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

    /// The calls that kill what runs.
    #[must_use]
    pub fn kill(&self) -> Vec<Call> {
        let running = self
            .request
            .tasks
            .iter()
            .filter(|task| !self.ended.contains(task.task_id.value()));
        let kill = |task: &TaskInfo| {
            let mut call = self.call(call::Type::KILL);
            call.kill.mut_or_insert_default().task_id = task.task_id.clone();
            call
        };
        running.filter(|_| self.launched).map(kill).collect()
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
            let unfinished = self.request.tasks.iter().map(|described| {
                let mut task = call::reconcile::Task::new();
                task.task_id = described.task_id.clone();
                task
            });
            call.reconcile.mut_or_insert_default().tasks = unfinished.collect();
            actions.push(Action::Call(Box::new(call)));
        }
        actions
    }

    fn offered(&mut self, offer: &Offer) -> Vec<Action> {
        match self.take(offer) {
            Some(resources) if !self.launched => self.launch(offer, resources),
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

    /// What each task would use of the offer, and at last the executor of a group: from the role's reservations first,
    /// then from what is unreserved.
    fn take(&self, offer: &Offer) -> Option<Vec<Resources>> {
        let offered: Vec<mesos_proto::v0::mesos::Resource> =
            offer.resources.iter().map(mesos::convert::devolve).collect();
        let mut left = Resources::from_protobuf(&offered).ok()?.unallocate();
        let mut wanted = self.request.resources.clone();
        if self.request.together == Togetherness::Group {
            wanted.push(Resources::parse(GROUP_EXECUTOR_RESOURCES, "*").ok()?);
        }
        let mut taken = Vec::new();
        for wanted in &wanted {
            if !left.to_unreserved().contains(wanted) {
                return None;
            }
            let found = match self.request.framework.role() {
                "*" => left.find(wanted),
                role => left.find(&wanted.push_reservation(&Reservation::fixed(role)).ok()?),
            };
            let found = found?;
            left -= &found;
            taken.push(found);
        }
        Some(taken)
    }

    fn launch(&mut self, offer: &Offer, mut resources: Vec<Resources>) -> Vec<Action> {
        self.launched = true;
        let own = resources.split_off(self.request.tasks.len()).pop();
        let mut tasks = self.request.tasks.clone();
        for (task, resources) in tasks.iter_mut().zip(&resources) {
            task.agent_id = offer.agent_id.clone();
            task.resources = to_v1(resources);
        }
        let names: Vec<&str> = tasks.iter().map(TaskInfo::name).collect();
        let line = match self.request.together {
            Togetherness::Single => format!("Submitted task '{}'", names.join("', '")),
            Togetherness::Group => format!("Submitted task group with tasks '{}'", names.join("', '")),
        };
        let line = format!("{line} to agent '{}'", offer.agent_id.value());
        let mut call = self.call(call::Type::ACCEPT);
        let accept = call.accept.mut_or_insert_default();
        accept.offer_ids.extend(offer.id.clone().into_option());
        accept.operations.push(match self.request.together {
            Togetherness::Single => launch_operation(tasks),
            Togetherness::Group => {
                let mut executor = ExecutorInfo::new();
                executor.set_type(executor_info::Type::DEFAULT);
                executor
                    .executor_id
                    .mut_or_insert_default()
                    .set_value(GROUP_EXECUTOR.to_owned());
                executor.framework_id = self.request.framework.id.clone();
                executor.resources = own.as_ref().map(to_v1).unwrap_or_default();
                launch_group_operation(executor, tasks)
            }
        });
        vec![Action::Call(Box::new(call)), Action::Print(line)]
    }

    /// It is over when the last task has ended: well when all of them did.
    fn task_ended(&mut self, status: &TaskStatus, failure: Option<String>) -> Option<Action> {
        self.ended.insert(status.task_id.value().to_owned());
        self.failure = self.failure.take().or(failure);
        let all = self
            .request
            .tasks
            .iter()
            .all(|task| self.ended.contains(task.task_id.value()));
        all.then(|| Action::End(self.failure.take().map_or(Ok(()), Err)))
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
            TaskState::TASK_FINISHED => actions.extend(self.task_ended(status, None)),
            TaskState::TASK_FAILED
            | TaskState::TASK_KILLED
            | TaskState::TASK_ERROR
            | TaskState::TASK_LOST
            | TaskState::TASK_DROPPED
            | TaskState::TASK_GONE
            | TaskState::TASK_GONE_BY_OPERATOR => {
                let reason = format!("task '{}' ended as {:?}", status.task_id.value(), status.state());
                actions.extend(self.task_ended(status, Some(reason)));
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

fn to_v1(resources: &Resources) -> Vec<mesos_proto::v1::mesos::Resource> {
    resources.to_protobuf().iter().map(mesos::convert::evolve).collect()
}

fn launch_operation(tasks: Vec<TaskInfo>) -> offer::Operation {
    let mut operation = offer::Operation::new();
    operation.set_type(offer::operation::Type::LAUNCH);
    operation.launch.mut_or_insert_default().task_infos = tasks;
    operation
}

fn launch_group_operation(executor: ExecutorInfo, tasks: Vec<TaskInfo>) -> offer::Operation {
    let mut operation = offer::Operation::new();
    operation.set_type(offer::operation::Type::LAUNCH_GROUP);
    let launch = operation.launch_group.mut_or_insert_default();
    launch.executor = MessageField::some(executor);
    launch.task_group.mut_or_insert_default().tasks = tasks;
    operation
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
