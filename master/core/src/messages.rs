//! Messages that arrive: which rule each one belongs to, and whether its sender may say it.
//!
//! Source: shared facts, `messages_flow.tsv`.

use libprocess_types::Upid;
use mesos::Message;
use mesos::ids::{AgentId, FrameworkId};
use mesos_proto::internal::wire::messages as wire;
use mesos_proto::v0::authentication::AuthenticationErrorMessage;
use mesos_proto::v0::mesos::FrameworkInfo;
use mesos_proto::v0::mesos::offer::Operation;
use mesos_proto::v0::mesos::offer::operation::Type as OperationType;
use mesos_proto::v0::scheduler::call;
use mesos_proto::v0::scheduler::call::reconcile::Task as ReconcileTask;

use crate::master::Master;
use crate::model::Connection;
use crate::notify::Notice;
use crate::reported::Reregistration;

impl Master {
    /// Hands a message to its rule. Messages that no master receives are counted and dropped.
    pub(crate) fn receive(&mut self, from: &Upid, message: Message) {
        match message {
            Message::RegisterSlave(message) => self.register_agent(from, *message),
            Message::ReregisterSlave(message) => {
                self.reregister_agent(from, Reregistration::from_message(*message));
            }
            Message::UnregisterSlave(message) => self.unregister_agent(from, &message),
            Message::UpdateSlave(message) => {
                let id = AgentId::from(&*message.slave_id);
                self.update_agent(*message);
                self.plans.touch(&id);
            }
            Message::PongSlave(_) => self.pong(from),
            Message::StatusUpdate(message) => self.status_update(from, *message),
            Message::UpdateOperationStatus(message) => self.operation_status(from, *message),
            Message::ExitedExecutor(message) => self.executor_exited(*message),
            Message::ExecutorToFramework(message) => self.message_to_framework(from, *message),
            Message::SchedulerCall(call) => self.process_call(from, *call),
            other => self.receive_from_driver(from, other),
        }
    }

    /// The older single messages of scheduler drivers.
    fn receive_from_driver(&mut self, from: &Upid, message: Message) {
        match message {
            Message::RegisterFramework(message) => self.register_framework(from, message.framework.unwrap_or_default()),
            Message::ReregisterFramework(message) => self.reregister_framework(from, *message),
            Message::UnregisterFramework(message) => {
                if let Some(id) = self.sent_by(from, &message.framework_id, "UnregisterFramework") {
                    self.teardown(&id);
                }
            }
            Message::DeactivateFramework(message) => {
                self.count("master/messages_deactivate_framework");
                if let Some(id) = self.sent_by(from, &message.framework_id, "DeactivateFramework") {
                    self.deactivate_framework(&id);
                }
            }
            Message::ResourceRequest(message) => {
                if self.sent_by(from, &message.framework_id, "ResourceRequest").is_some() {
                    self.count("master/messages_resource_request");
                }
            }
            Message::LaunchTasks(message) => self.launch_tasks(from, *message),
            Message::ReviveOffers(message) => {
                if let Some(id) = self.sent_by(from, &message.framework_id, "ReviveOffers") {
                    self.revive(&id, &message.roles);
                }
            }
            Message::ReconcileTasks(message) => self.reconcile_tasks(from, *message),
            Message::SubmitSchedulerRequest(_) => {
                let mut answer = wire::SubmitSchedulerResponse::new();
                answer.set_okay(false);
                self.send(from, answer);
            }
            Message::Authenticate(message) => {
                // The client asks again later; without an answer it would wait until its own limit.
                tracing::warn!(upid = %from, client = message.pid(), "authentication asked for, none is there");
                let mut answer = AuthenticationErrorMessage::new();
                answer.set_error("this master has no authenticator yet".to_owned());
                self.send(from, answer);
            }
            other => self.receive_about_task(from, other),
        }
    }

    /// Those of them that are about one task or its executor.
    fn receive_about_task(&mut self, from: &Upid, message: Message) {
        match message {
            Message::KillTask(message) => {
                if let Some(id) = self.sent_by(from, &message.framework_id, "KillTask") {
                    let mut kill = call::Kill::new();
                    kill.task_id = message.task_id;
                    kill.kill_policy = message.kill_policy;
                    self.kill(&id, kill);
                }
            }
            Message::StatusUpdateAcknowledgement(message) => {
                if let Some(id) = self.sent_by(from, &message.framework_id, "StatusUpdateAcknowledgement") {
                    let mut acknowledge = call::Acknowledge::new();
                    acknowledge.slave_id = message.slave_id;
                    acknowledge.task_id = message.task_id;
                    acknowledge.uuid = message.uuid;
                    self.acknowledge(&id, acknowledge);
                }
            }
            Message::FrameworkToExecutor(message) => {
                if let Some(id) = self.sent_by(from, &message.framework_id, "FrameworkToExecutor") {
                    let mut data = call::Message::new();
                    data.slave_id = message.slave_id;
                    data.executor_id = message.executor_id;
                    data.data = message.data;
                    self.message_to_executor(&id, data);
                }
            }
            other => {
                tracing::warn!(upid = %from, name = other.name(), "message that masters do not receive, dropped");
                self.count("master/dropped_messages");
            }
        }
    }

    /// The framework that a driver's message names, when the driver is its own.
    pub(crate) fn sent_by(
        &mut self,
        from: &Upid,
        id: &mesos_proto::v0::mesos::FrameworkID,
        name: &'static str,
    ) -> Option<FrameworkId> {
        let id = FrameworkId::from(id);
        let own = self
            .frameworks
            .get(&id)
            .is_some_and(|framework| framework.upid.as_ref() == Some(from));
        if own {
            return Some(id);
        }
        tracing::warn!(
            framework_id = %id, upid = %from, message = name,
            "not sent by the framework's scheduler, dropped"
        );
        self.count("master/dropped_messages");
        None
    }

    fn register_framework(&mut self, from: &Upid, info: FrameworkInfo) {
        if info.id.as_ref().is_some_and(|id| !id.value().is_empty()) {
            return self.refuse_driver(
                from,
                "a framework that registers for the first time must not have an id",
            );
        }
        let mut subscribe = call::Subscribe::new();
        subscribe.framework_info = Some(info).into();
        self.subscribe_process(from, subscribe);
    }

    fn reregister_framework(&mut self, from: &Upid, message: wire::ReregisterFrameworkMessage) {
        let failover = message.failover();
        let info = message.framework.unwrap_or_default();
        if info.id.as_ref().is_none_or(|id| id.value().is_empty()) {
            return self.refuse_driver(from, "a framework that registers again must have an id");
        }
        let mut subscribe = call::Subscribe::new();
        subscribe.framework_info = Some(info).into();
        subscribe.force = Some(failover);
        self.subscribe_process(from, subscribe);
    }

    fn refuse_driver(&mut self, from: &Upid, reason: &str) {
        let connection = Connection::Process(from.clone());
        self.deliver(&connection, &FrameworkId::new(""), Notice::Error(reason.to_owned()));
    }

    /// A launch of the older kind; without tasks it declines.
    fn launch_tasks(&mut self, from: &Upid, message: wire::LaunchTasksMessage) {
        let Some(id) = self.sent_by(from, &message.framework_id, "LaunchTasks") else {
            return;
        };
        if message.tasks.is_empty() {
            let mut decline = call::Decline::new();
            decline.offer_ids = message.offer_ids;
            decline.filters = message.filters;
            return self.decline(&id, &decline);
        }
        let mut operation = Operation::new();
        operation.set_type(OperationType::LAUNCH);
        operation.launch.mut_or_insert_default().task_infos = message.tasks;
        let mut accept = call::Accept::new();
        accept.offer_ids = message.offer_ids;
        accept.filters = message.filters;
        accept.operations.push(operation);
        self.accept(&id, accept);
    }

    fn reconcile_tasks(&mut self, from: &Upid, message: wire::ReconcileTasksMessage) {
        let Some(id) = self.sent_by(from, &message.framework_id, "ReconcileTasks") else {
            return;
        };
        let mut reconcile = call::Reconcile::new();
        for status in message.statuses {
            let mut task = ReconcileTask::new();
            task.task_id = status.task_id;
            task.slave_id = status.slave_id;
            reconcile.tasks.push(task);
        }
        self.reconcile(&id, &reconcile);
    }

    /// A link broke: it was a scheduler's, an agent's, or one that nobody needs any more.
    pub(crate) fn exited(&mut self, upid: &Upid) {
        let framework = self
            .frameworks
            .values()
            .find(|framework| framework.upid.as_ref() == Some(upid));
        if let Some(id) = framework.map(|framework| framework.id.clone()) {
            return self.scheduler_exited(&id);
        }
        if let Some(id) = self.agent_upids.get(upid).cloned() {
            return self.agent_exited(&id);
        }
        tracing::debug!(%upid, "a process without role here exited");
    }
}
