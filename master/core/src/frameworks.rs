//! Frameworks as a whole: they come, change, lose their scheduler and end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use libprocess_types::Upid;
use mesos::capabilities::FrameworkCapabilities;
use mesos::ids::{AgentId, ExecutorId, FrameworkId, TaskId};
use mesos::validation::framework::roles_of;
use mesos_allocator::api::Activation;
use mesos_proto::internal::wire::messages::{ShutdownFrameworkMessage, UpdateFrameworkMessage};
use mesos_proto::v0::mesos::task_status::Reason;
use mesos_proto::v0::mesos::{FrameworkInfo, TaskState};

use crate::Resources;
use crate::effect::{Change, Effect};
use crate::input::{MasterTimer, StreamId};
use crate::master::Master;
use crate::model::{Bounded, Connection, Framework, FrameworkCounters, FrameworkState, RecentIds};
use crate::notify::Notice;
use crate::status::{self, Subject, Verdict};
use crate::subscribe::Subscription;

/// Message of the status that ends a task with its framework; dashboards look for it.
const TERMINATED: &str = "Framework terminated";

impl Master {
    pub(crate) fn next_framework_id(&mut self) -> FrameworkId {
        let id = FrameworkId::numbered(&self.id, self.next_framework);
        self.next_framework += 1;
        id
    }

    pub(crate) fn is_completed(&self, id: &FrameworkId) -> bool {
        self.completed_frameworks.iter().any(|framework| framework.id == *id)
    }

    /// Adds a framework to the model and to the allocator.
    pub(crate) fn add_framework(&mut self, id: &FrameworkId, subscription: Subscription, state: FrameworkState) {
        let roles = roles_of(&subscription.info);
        let upid = match &state {
            FrameworkState::Active(Connection::Process(upid)) => Some(upid.clone()),
            _ => None,
        };
        let activation = match state {
            FrameworkState::Active(_) => Activation::Active,
            _ => Activation::Inactive,
        };
        let allocator_info = subscription.for_allocator();
        let operations = self.adopt_operations(id);
        let used = self.used_by(id);
        self.allocator
            .add_framework(self.now, id, allocator_info, &used, activation);
        let framework = Framework {
            id: id.clone(),
            capabilities: FrameworkCapabilities::from_proto(&subscription.info.capabilities),
            info: Arc::new(subscription.info),
            roles,
            suppressed_roles: subscription.suppressed_roles,
            offer_constraints: subscription.offer_constraints,
            state,
            upid,
            registered_time: self.now,
            reregistered_time: None,
            unregistered_time: None,
            tasks: BTreeMap::new(),
            unreachable_tasks: RecentIds::new(self.config.max_unreachable_tasks_per_framework),
            completed_tasks: Bounded::new(self.config.max_completed_tasks_per_framework),
            offers: BTreeSet::new(),
            counters: FrameworkCounters::default(),
            operations: BTreeMap::new(),
            operation_ids: BTreeMap::new(),
        };
        if let Some(upid) = framework.upid.clone() {
            self.note_scheduler(&upid, framework.info.principal.as_deref());
        }
        self.frameworks.insert(id.clone(), framework);
        self.index_operations(id, operations);
    }

    fn used_by(&self, id: &FrameworkId) -> BTreeMap<AgentId, Resources> {
        let used = self
            .agents
            .iter()
            .filter_map(|(agent_id, agent)| Some((agent_id.clone(), agent.used.get(id)?.clone())));
        used.collect()
    }

    /// Adds a framework that this master has not met: known from an agent, or from its own scheduler that comes back
    /// after failover of the master. It is not connected and no timer runs for it.
    pub(crate) fn recover_framework(&mut self, info: &FrameworkInfo) {
        let id = FrameworkId::from(&*info.id);
        tracing::info!(framework_id = %id, "framework recovered");
        let subscription = Subscription {
            info: info.clone(),
            suppressed_roles: BTreeSet::new(),
            offer_constraints: None,
            compiled_constraints: None,
            force: false,
        };
        self.add_framework(&id, subscription, FrameworkState::Recovered);
        self.publish(Change::FrameworkAdded(id));
    }

    /// Takes over a changed description: offers in roles that are gone are withdrawn.
    pub(crate) fn update_framework_info(&mut self, id: &FrameworkId, subscription: Subscription) {
        let roles = roles_of(&subscription.info);
        let allocator_info = subscription.for_allocator();
        self.allocator.update_framework(self.now, id, allocator_info);
        let stale = self.frameworks.get(id).map(|framework| {
            let offers = framework.offers.iter().filter_map(|offer_id| self.offers.get(offer_id));
            offers
                .filter(|offer| !roles.contains(&*offer.role))
                .map(|offer| offer.id.clone())
                .collect::<Vec<_>>()
        });
        for offer_id in stale.unwrap_or_default() {
            self.rescind_offer(&offer_id);
        }
        if let Some(framework) = self.frameworks.get_mut(id) {
            framework.capabilities = FrameworkCapabilities::from_proto(&subscription.info.capabilities);
            framework.info = Arc::new(subscription.info);
            framework.roles = roles;
            framework.suppressed_roles = subscription.suppressed_roles;
            framework.offer_constraints = subscription.offer_constraints;
        }
    }

    /// Tells all agents the framework's current description and address: executors may run where no task does.
    pub(crate) fn tell_agents_of_framework(&mut self, id: &FrameworkId) {
        let agents: Vec<Upid> = self.agents.values().map(|agent| agent.upid.clone()).collect();
        if let Some(message) = self.framework_update(id) {
            for upid in agents {
                self.send(&upid, message.clone());
            }
        }
        self.publish(Change::FrameworkUpdated(id.clone()));
    }

    pub(crate) fn framework_update(&self, id: &FrameworkId) -> Option<UpdateFrameworkMessage> {
        let framework = self.frameworks.get(id)?;
        let mut message = UpdateFrameworkMessage::new();
        message.framework_id = Some(id.to_proto()).into();
        message.framework_info = Some((*framework.info).clone()).into();
        message.set_pid(pid_text(framework.upid.as_ref()));
        Some(message)
    }

    /// The process of a scheduler is gone.
    pub(crate) fn scheduler_exited(&mut self, id: &FrameworkId) {
        self.notify(id, Notice::Error("Framework disconnected".to_owned()));
        self.disconnect_framework(id);
    }

    /// A stream ended. Streams that were taken over or refused belong to nobody any more.
    pub(crate) fn stream_closed(&mut self, stream: &StreamId) {
        self.cancel_timer(MasterTimer::Heartbeat(stream.clone()));
        let closed = Connection::Stream(stream.clone());
        let owner = self
            .frameworks
            .values()
            .find(|framework| framework.connection() == Some(&closed));
        match owner.map(|framework| framework.id.clone()) {
            Some(id) => self.disconnect_framework(&id),
            None => tracing::debug!(%stream, "a stream without a framework ended"),
        }
    }

    fn disconnect_framework(&mut self, id: &FrameworkId) {
        let Some(framework) = self.frameworks.get(id) else {
            return;
        };
        if !framework.is_connected() {
            return;
        }
        let timeout = Duration::try_from_secs_f64(framework.info.failover_timeout()).unwrap_or(Duration::ZERO);
        tracing::info!(framework_id = %id, ?timeout, "framework disconnected");
        self.deactivate_framework(id);
        let now = self.now;
        if let Some(framework) = self.frameworks.get_mut(id) {
            framework.state = FrameworkState::Disconnected;
            framework.unregistered_time = Some(now);
        }
        self.set_timer(MasterTimer::FrameworkFailover(id.clone()), timeout);
        self.publish(Change::FrameworkUpdated(id.clone()));
    }

    /// No more offers until it subscribes again; those that are out are withdrawn.
    pub(crate) fn deactivate_framework(&mut self, id: &FrameworkId) {
        let Some(framework) = self.frameworks.get_mut(id) else {
            return;
        };
        if let FrameworkState::Active(connection) = &framework.state {
            framework.state = FrameworkState::Inactive(connection.clone());
            self.allocator.deactivate_framework(self.now, id);
        }
        self.rescind_offers_of_framework(id);
    }

    /// The failover timeout passed without the scheduler.
    pub(crate) fn framework_timed_out(&mut self, id: &FrameworkId) {
        let away = self
            .frameworks
            .get(id)
            .is_some_and(|framework| framework.state == FrameworkState::Disconnected);
        if away {
            tracing::info!(framework_id = %id, "framework did not come back in time");
            self.remove_framework(id);
        }
    }

    /// Ends a framework on request of its scheduler or an operator.
    pub(crate) fn teardown(&mut self, id: &FrameworkId) {
        self.count("master/messages_unregister_framework");
        self.remove_framework(id);
    }

    /// Ends a framework: its executors are shut down everywhere, its tasks count as killed.
    pub(crate) fn remove_framework(&mut self, id: &FrameworkId) {
        let Some(framework) = self.frameworks.get(id) else {
            return;
        };
        tracing::info!(framework_id = %id, "framework removed");
        let connection = framework.connection().cloned();
        if framework.is_active() {
            self.allocator.deactivate_framework(self.now, id);
        }
        self.discard_offers_of_framework(id);
        self.shut_framework_down_on_agents(id);
        self.end_tasks_of_framework(id);
        self.forget_executors_of_framework(id);
        self.cancel_timer(MasterTimer::FrameworkFailover(id.clone()));
        if let Some(Connection::Stream(stream)) = connection {
            self.cancel_timer(MasterTimer::Heartbeat(stream.clone()));
            self.effects.push(Effect::CloseStream(stream));
        }
        let orphaned = self.orphan_operations(id);
        self.allocator.remove_framework(self.now, id);
        for agent_id in orphaned {
            self.tell_allocator_total(&agent_id);
        }
        if let Some(mut framework) = self.frameworks.remove(id) {
            framework.state = FrameworkState::Disconnected;
            framework.unregistered_time = Some(self.now);
            if let Some(upid) = framework.upid.clone() {
                self.forget_scheduler(&upid);
            }
            self.publish(Change::FrameworkRemoved(framework.info.clone()));
            self.completed_frameworks.push(framework);
        }
    }

    fn shut_framework_down_on_agents(&mut self, id: &FrameworkId) {
        let mut message = ShutdownFrameworkMessage::new();
        message.framework_id = Some(id.to_proto()).into();
        let agents: Vec<Upid> = self.agents.values().map(|agent| agent.upid.clone()).collect();
        for upid in agents {
            self.send(&upid, message.clone());
        }
    }

    fn end_tasks_of_framework(&mut self, id: &FrameworkId) {
        let Some(framework) = self.frameworks.get(id) else {
            return;
        };
        let tasks: Vec<TaskId> = framework.tasks.keys().cloned().collect();
        let verdict = Verdict::new(TaskState::TASK_KILLED, Reason::REASON_FRAMEWORK_REMOVED, TERMINATED);
        for task_id in tasks {
            let subject = self
                .frameworks
                .get(id)
                .and_then(|framework| framework.tasks.get(&task_id))
                .map(Subject::known);
            if let Some(subject) = subject {
                let update = status::update(self.now, &subject, &verdict);
                self.update_task(id, &task_id, &update);
                self.remove_task(id, &task_id);
            }
        }
        self.end_unreachable_tasks(id, &verdict);
    }

    /// Unreachable tasks of a framework that ends hold nothing; they only move to the ended ones.
    fn end_unreachable_tasks(&mut self, id: &FrameworkId, verdict: &Verdict) {
        let now = self.now;
        let Some(framework) = self.frameworks.get_mut(id) else {
            return;
        };
        let task_ids: Vec<TaskId> = framework
            .unreachable_tasks
            .iter()
            .map(|(task_id, _)| task_id.clone())
            .collect();
        for task_id in task_ids {
            if let Some(mut task) = framework.unreachable_tasks.remove(&task_id) {
                let mut update = status::update(now, &Subject::known(&task), verdict);
                if !task.is_terminal() {
                    task.set_state(verdict.state);
                }
                task.push_status(&update.status.take().unwrap_or_default());
                framework.completed_tasks.push(Arc::new(task));
            }
        }
        for frameworks in self.unreachable_tasks.values_mut() {
            frameworks.remove(id);
        }
    }

    fn forget_executors_of_framework(&mut self, id: &FrameworkId) {
        let executors: Vec<(AgentId, ExecutorId)> = self
            .agents
            .values()
            .flat_map(|agent| {
                let executors = agent.executors.get(id).into_iter().flat_map(BTreeMap::keys);
                executors.map(|executor_id| (agent.id.clone(), executor_id.clone()))
            })
            .collect();
        for (agent_id, executor_id) in executors {
            self.remove_executor(&agent_id, id, &executor_id);
        }
    }
}

/// Text of an optional address as messages to agents carry it: the empty address for HTTP schedulers.
pub(crate) fn pid_text(upid: Option<&Upid>) -> String {
    upid.map_or_else(|| Upid::anonymous().to_string(), Upid::to_string)
}
