//! What a framework asks of its driver.

use libprocess_types::Time;
use mesos_proto::internal::wire::messages::FrameworkToExecutorMessage;
use mesos_proto::v0::mesos::{
    ExecutorID, Filters, OfferID, Request, SlaveID, TaskID, TaskInfo, TaskState, TaskStatus, offer, task_status,
};
use mesos_proto::v0::scheduler::{Call, call};
use protobuf::MessageField;

use super::core::{Callback, Core, Effect};

/// A call of the driver's interface.
#[derive(Clone, Debug, PartialEq)]
pub enum ApiCall {
    /// Use offers for operations; the rest is declined with the filters.
    AcceptOffers(Vec<OfferID>, Vec<offer::Operation>, Filters),
    /// Use offers for tasks.
    LaunchTasks(Vec<OfferID>, Vec<TaskInfo>, Filters),
    /// Give an offer back.
    DeclineOffer(OfferID, Filters),
    /// Clear filters, for all roles or for some.
    ReviveOffers(Vec<String>),
    /// Want no offers, for all roles or for some.
    SuppressOffers(Vec<String>),
    /// End a task.
    KillTask(TaskID),
    /// Acknowledge an update; only for drivers with explicit acknowledgements.
    AcknowledgeStatusUpdate(Box<TaskStatus>),
    /// Send bytes to an executor, directly to its agent when its address is known.
    SendFrameworkMessage(ExecutorID, SlaveID, Vec<u8>),
    /// Ask for the states of tasks; none means all.
    ReconcileTasks(Vec<TaskStatus>),
    /// Tell the allocator a wish.
    RequestResources(Vec<Request>),
    /// End the driver; without failover the framework is torn down.
    Stop {
        /// Whether another instance will take over.
        failover: bool,
    },
    /// End the driver after a problem of the framework; tasks go on.
    Abort,
}

impl Core {
    pub(super) fn called(&mut self, now: Time, call: ApiCall) -> Vec<Effect> {
        match call {
            ApiCall::AcceptOffers(offers, operations, filters) => self.accept(now, offers, operations, filters),
            ApiCall::LaunchTasks(offers, tasks, filters) => {
                let mut operation = offer::Operation::new();
                operation.set_type(offer::operation::Type::LAUNCH);
                operation.launch.mut_or_insert_default().task_infos = tasks;
                self.accept(now, offers, vec![operation], filters)
            }
            ApiCall::DeclineOffer(offer, filters) => {
                self.offered_agents.remove(offer.value());
                let mut call = self.call(call::Type::DECLINE);
                let decline = call.decline.mut_or_insert_default();
                decline.offer_ids.push(offer);
                decline.filters = MessageField::some(filters);
                self.send(call)
            }
            ApiCall::ReviveOffers(roles) => {
                let mut call = self.call(call::Type::REVIVE);
                self.config
                    .suppressed_roles
                    .retain(|role| !roles.is_empty() && !roles.contains(role));
                call.revive.mut_or_insert_default().roles = roles;
                self.send(call)
            }
            ApiCall::SuppressOffers(roles) => {
                let mut call = self.call(call::Type::SUPPRESS);
                self.remember_suppressed(&roles);
                call.suppress.mut_or_insert_default().roles = roles;
                self.send(call)
            }
            ApiCall::KillTask(task) => {
                let mut call = self.call(call::Type::KILL);
                call.kill.mut_or_insert_default().task_id = MessageField::some(task);
                self.send(call)
            }
            ApiCall::AcknowledgeStatusUpdate(status) => self
                .acknowledgement(&status)
                .map(|(to, message)| Effect::Send { to, message })
                .into_iter()
                .collect(),
            ApiCall::SendFrameworkMessage(executor, agent, data) => self.framework_message(executor, agent, data),
            ApiCall::ReconcileTasks(statuses) => self.reconcile(statuses),
            ApiCall::RequestResources(requests) => {
                let mut call = self.call(call::Type::REQUEST);
                call.request.mut_or_insert_default().requests = requests;
                self.send(call)
            }
            ApiCall::Stop { failover } => self.stop(failover),
            ApiCall::Abort => {
                let effects = self.deactivate();
                self.aborted = true;
                effects
            }
        }
    }

    fn send(&self, call: Call) -> Vec<Effect> {
        match (&self.master, self.connected) {
            (Some(master), true) => vec![Effect::Send {
                to: master.clone(),
                message: call.into(),
            }],
            _ => Vec::new(),
        }
    }

    fn accept(
        &mut self,
        now: Time,
        offers: Vec<OfferID>,
        operations: Vec<offer::Operation>,
        filters: Filters,
    ) -> Vec<Effect> {
        if !self.connected {
            return self.lost_while_disconnected(now, &operations);
        }
        let launched: Vec<&TaskInfo> = operations
            .iter()
            .flat_map(|operation| {
                operation
                    .launch
                    .task_infos
                    .iter()
                    .chain(&operation.launch_group.task_group.tasks)
            })
            .collect();
        for offer in &offers {
            let Some((agent_id, agent)) = self.offered_agents.remove(offer.value()) else {
                continue;
            };
            if launched.iter().any(|task| task.slave_id.value() == agent_id.value()) {
                self.known_agents.insert(agent_id.value().to_owned(), agent);
            }
        }
        let mut call = self.call(call::Type::ACCEPT);
        let accept = call.accept.mut_or_insert_default();
        accept.offer_ids = offers;
        accept.operations = operations;
        accept.filters = MessageField::some(filters);
        self.send(call)
    }

    /// A launch that cannot reach a master is answered by the driver itself, so that no task is waited for in vain.
    fn lost_while_disconnected(&self, now: Time, operations: &[offer::Operation]) -> Vec<Effect> {
        use mesos_proto::v0::mesos::framework_info::capability::Type::PARTITION_AWARE;
        let aware = self
            .config
            .framework
            .capabilities
            .iter()
            .any(|capability| capability.type_() == PARTITION_AWARE);
        let state = if aware {
            TaskState::TASK_DROPPED
        } else {
            TaskState::TASK_LOST
        };
        let tasks = operations.iter().flat_map(|operation| {
            operation
                .launch
                .task_infos
                .iter()
                .chain(&operation.launch_group.task_group.tasks)
        });
        tasks
            .map(|task| {
                let mut status = TaskStatus::new();
                status.task_id = task.task_id.clone();
                status.slave_id = task.slave_id.clone();
                status.set_state(state);
                status.set_source(task_status::Source::SOURCE_MASTER);
                status.set_reason(task_status::Reason::REASON_MASTER_DISCONNECTED);
                status.set_message("the driver is not connected to a master".to_owned());
                status.set_timestamp(now.as_secs_f64());
                Effect::Tell(Callback::StatusUpdate(Box::new(status)))
            })
            .collect()
    }

    fn remember_suppressed(&mut self, roles: &[String]) {
        let all: Vec<String> = if roles.is_empty() {
            let framework = &self.config.framework;
            if framework.roles.is_empty() {
                vec![framework.role().to_owned()]
            } else {
                framework.roles.clone()
            }
        } else {
            roles.to_vec()
        };
        for role in all {
            if !self.config.suppressed_roles.contains(&role) {
                self.config.suppressed_roles.push(role);
            }
        }
    }

    fn framework_message(&self, executor: ExecutorID, agent: SlaveID, data: Vec<u8>) -> Vec<Effect> {
        if !self.connected {
            return Vec::new();
        }
        if let Some(upid) = self.known_agents.get(agent.value()) {
            let mut message = FrameworkToExecutorMessage::new();
            message.framework_id = self.config.framework.id.clone();
            message.slave_id = MessageField::some(agent);
            message.executor_id = MessageField::some(executor);
            message.set_data(data);
            return vec![Effect::Send {
                to: upid.clone(),
                message: message.into(),
            }];
        }
        let mut call = self.call(call::Type::MESSAGE);
        let message = call.message.mut_or_insert_default();
        message.slave_id = MessageField::some(agent);
        message.executor_id = MessageField::some(executor);
        message.set_data(data);
        self.send(call)
    }

    fn reconcile(&self, statuses: Vec<TaskStatus>) -> Vec<Effect> {
        let mut call = self.call(call::Type::RECONCILE);
        let reconcile = call.reconcile.mut_or_insert_default();
        for mut status in statuses {
            let mut task = call::reconcile::Task::new();
            task.task_id = MessageField(status.task_id.0.take());
            task.slave_id = MessageField(status.slave_id.0.take());
            reconcile.tasks.push(task);
        }
        self.send(call)
    }

    fn stop(&mut self, failover: bool) -> Vec<Effect> {
        let effects = if failover {
            Vec::new()
        } else {
            self.send(self.call(call::Type::TEARDOWN))
        };
        self.connected = false;
        self.master = None;
        effects
    }
}

#[cfg(test)]
mod tests;
