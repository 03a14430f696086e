//! Status updates inside the agent: from an executor, or made by the agent itself, into the task's record and its
//! stream, on to the master, and the acknowledgements back.
//!
//! Order on the disk: an update is recorded in the task's log before it is forwarded and before the executor is told
//! that it need not keep it.
//!
//! Source: shared facts, `messages_flow.tsv`, `executor_calls.tsv`, `task_reasons.tsv`, and the recorded exchanges
//! `w2` to `w4`.

use std::path::PathBuf;

use libprocess_types::Upid;
use mesos::ids::{ContainerId, ExecutorId, FrameworkId, TaskId};
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::executor;
use mesos_proto::v0::mesos as pb;
use pb::task_status::{Reason, Source};
use protobuf::{Message as _, MessageField};
use tracing::{debug, info, warn};

use crate::agent::{Agent, AgentState};
use crate::checkpoint::record;
use crate::effect::Effect;
use crate::executor::{Executor, ExecutorConnection, ExecutorKey, ExecutorState};
use crate::framework::{FrameworkState, is_partition_aware};
use crate::input::AgentTimer;
use crate::outbox::When;
use crate::status_update_stream::{RETRY_MIN, StreamKey, is_terminal};
use crate::update_streams::Received;

/// Who reports a task's state, and thus who is to be told that the report is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UpdateOrigin {
    /// The agent itself.
    Agent,
    /// An executor that speaks libprocess.
    Libprocess(Upid),
    /// An executor that uses the v1 API.
    Http(ExecutorKey),
}

/// What the agent itself has to say of a task.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TaskReport {
    pub(crate) state: pb::TaskState,
    pub(crate) reason: Reason,
    pub(crate) message: String,
}

impl Agent {
    /// An update that the agent makes.
    pub(crate) fn agent_update(
        &mut self,
        framework: &FrameworkId,
        task: &TaskId,
        executor: Option<&ExecutorId>,
        report: &TaskReport,
    ) -> internal::StatusUpdate {
        let agent = self.id.as_ref().map(mesos::ids::AgentId::to_proto);
        let uuid = self.random.uuid().into_bytes().to_vec();
        let mut update = internal::StatusUpdate::new();
        update.framework_id = MessageField::some(framework.to_proto());
        update.executor_id = executor.map(ExecutorId::to_proto).into();
        update.slave_id = agent.clone().into();
        update.set_timestamp(self.now.as_secs_f64());
        update.set_uuid(uuid.clone());
        let status = update.status.mut_or_insert_default();
        status.task_id = MessageField::some(task.to_proto());
        status.slave_id = agent.into();
        status.set_state(report.state);
        status.set_source(Source::SOURCE_SLAVE);
        status.set_reason(report.reason);
        status.set_message(report.message.clone());
        status.set_timestamp(self.now.as_secs_f64());
        status.set_uuid(uuid);
        update
    }

    /// Makes an update and takes it in.
    pub(crate) fn report_task(
        &mut self,
        framework: &FrameworkId,
        task: &TaskId,
        executor: Option<&ExecutorId>,
        report: &TaskReport,
    ) {
        let update = self.agent_update(framework, task, executor, report);
        self.status_update(update, &UpdateOrigin::Agent);
    }

    /// An executor reports over libprocess.
    pub(crate) fn status_update_message(&mut self, from: &Upid, message: internal::StatusUpdateMessage) {
        let named = message.pid.as_deref().and_then(|pid| pid.parse::<Upid>().ok());
        let executor = named.filter(|pid| !pid.is_anonymous()).unwrap_or_else(|| from.clone());
        self.status_update(message.update.unwrap_or_default(), &UpdateOrigin::Libprocess(executor));
    }

    /// An executor reports over the v1 API.
    pub(crate) fn status_update_call(&mut self, key: &ExecutorKey, mut status: pb::TaskStatus) {
        let agent = self.id.as_ref().map(mesos::ids::AgentId::to_proto);
        let mut update = internal::StatusUpdate::new();
        update.framework_id = MessageField::some(key.framework_id.to_proto());
        update.executor_id = MessageField::some(key.executor_id.to_proto());
        update.slave_id = agent.clone().into();
        update.set_timestamp(status.timestamp.unwrap_or_else(|| self.now.as_secs_f64()));
        update.uuid.clone_from(&status.uuid);
        if status.slave_id.is_none() {
            status.slave_id = agent.into();
        }
        update.status = MessageField::some(status);
        self.status_update(update, &UpdateOrigin::Http(key.clone()));
    }

    /// Takes in an update: checks it, brings the task's record up to date, hands it to the stream.
    pub(crate) fn status_update(&mut self, mut update: internal::StatusUpdate, origin: &UpdateOrigin) {
        if !self.is_acceptable(&update) {
            self.counters.invalid_status_updates += 1;
            return;
        }
        let framework_id = FrameworkId::from(&*update.framework_id);
        let task_id = TaskId::from(&*update.status.task_id);
        self.complete_update(&mut update, origin, &framework_id);
        self.counters.valid_status_updates += 1;

        let framework = self.frameworks.get(&framework_id);
        let executor = framework.and_then(|framework| framework.executor_of(&task_id));
        let Some(executor) = executor else {
            if self.has_ended(&framework_id, &task_id) && *origin != UpdateOrigin::Agent {
                debug!(%task_id, %framework_id, "the task has ended before; its update is only acknowledged");
                self.acknowledge_to_executor(origin, &update);
            } else {
                warn!(%task_id, %framework_id, "an update for a task without an executor");
                self.stream_update(&update, None, origin);
            }
            return;
        };
        let key = executor.key();
        let from_executor = *origin != UpdateOrigin::Agent;
        if from_executor && update.status.state() == pb::TaskState::TASK_STAGING {
            warn!(%task_id, %framework_id, "an executor reports TASK_STAGING; shutting it down");
            self.shut_down_executor(&key);
            return;
        }
        fill_container_status(
            executor,
            self.config.pid.address().ip(),
            update.status.mut_or_insert_default(),
        );
        self.apply_update(&key, &task_id, &update, origin);
    }

    /// Whether a task ended here and its end is acknowledged, as far as memory goes.
    pub(crate) fn has_ended(&self, framework_id: &FrameworkId, task_id: &TaskId) -> bool {
        let framework = self.frameworks.get(framework_id);
        let key = StreamKey {
            framework_id: framework_id.clone(),
            task_id: task_id.clone(),
        };
        framework.is_some_and(|framework| framework.has_completed_task(task_id)) || self.streams.has_ended(&key)
    }

    fn apply_update(
        &mut self,
        key: &ExecutorKey,
        task_id: &TaskId,
        update: &internal::StatusUpdate,
        origin: &UpdateOrigin,
    ) {
        let Some(executor) = self.executor_mut(key) else { return };
        let log = executor.checkpoint.then(|| executor.paths.task_updates(task_id));
        if let Err(error) = executor.update_task(task_id, &update.status) {
            // The executor may forget it all the same: it would change nothing.
            warn!(%task_id, framework_id = %key.framework_id, %error, "dropping an update");
            self.acknowledge_to_executor(origin, update);
            return;
        }
        info!(%task_id, framework_id = %key.framework_id, state = ?update.status.state(), "task changed its state");
        if is_terminal(update.status.state()) {
            self.counters.count_terminal(update.status.state());
            self.update_container(key);
        }
        self.stream_update(update, log, origin);
    }

    fn is_acceptable(&self, update: &internal::StatusUpdate) -> bool {
        let id = self.id.as_ref().map_or("", mesos::ids::AgentId::as_str);
        let framework_id = update.framework_id.value();
        let refusal = if update.uuid().len() != 16 {
            "it has no UUID"
        } else if update.slave_id.value() != id || update.status.slave_id.value() != id {
            "it is for another agent"
        } else {
            match self.frameworks.get(framework_id).map(|framework| framework.state) {
                Some(FrameworkState::Running) => return true,
                Some(FrameworkState::Terminating) => "its framework is being shut down",
                None => "its framework is unknown",
            }
        };
        warn!(
            framework_id,
            task_id = update.status.task_id.value(),
            refusal,
            "ignoring a status update"
        );
        false
    }

    /// Sets what the sender of an update does not decide.
    fn complete_update(&self, update: &mut internal::StatusUpdate, origin: &UpdateOrigin, framework: &FrameworkId) {
        let uuid = update.uuid().to_vec();
        let executor_id = update.executor_id.clone();
        let status = update.status.mut_or_insert_default();
        status.set_uuid(uuid);
        let from_agent = *origin == UpdateOrigin::Agent;
        status.set_source(if from_agent {
            Source::SOURCE_SLAVE
        } else {
            Source::SOURCE_EXECUTOR
        });
        if executor_id.is_some() {
            status.executor_id = executor_id;
        }
        let killed = matches!(status.state(), pb::TaskState::TASK_KILLING | pb::TaskState::TASK_KILLED);
        if let Some(drain) = self.drain_config.as_ref().filter(|_| killed) {
            status.set_reason(Reason::REASON_SLAVE_DRAINING);
            let aware = self
                .frameworks
                .get(framework)
                .is_some_and(|framework| is_partition_aware(&framework.info));
            if drain.mark_gone() && aware {
                status.set_state(pb::TaskState::TASK_GONE_BY_OPERATOR);
            }
        }
    }

    /// Hands an update to its stream and carries out what the stream says.
    pub(crate) fn stream_update(
        &mut self,
        update: &internal::StatusUpdate,
        log: Option<PathBuf>,
        origin: &UpdateOrigin,
    ) {
        let key = stream_key(update);
        match self.streams.receive(&key, update.clone(), log) {
            Received::New { log, send } => {
                if let Some(log) = log {
                    let mut entry = internal::StatusUpdateRecord::new();
                    entry.set_type(internal::status_update_record::Type::UPDATE);
                    entry.update = MessageField::some(update.clone());
                    self.write(record(log, &entry));
                }
                if send {
                    self.forward(&key, update.clone());
                    self.set_timer(retry_timer(&key), RETRY_MIN);
                }
            }
            Received::Duplicate => {
                debug!(task_id = %key.task_id, framework_id = %key.framework_id, "a status update came again");
            }
        }
        self.acknowledge_to_executor(origin, update);
    }

    fn acknowledge_to_executor(&mut self, origin: &UpdateOrigin, update: &internal::StatusUpdate) {
        let when = self.when_of(update.framework_id.value());
        match origin {
            UpdateOrigin::Agent => {}
            UpdateOrigin::Libprocess(upid) => {
                let mut message = internal::StatusUpdateAcknowledgementMessage::new();
                message.slave_id.clone_from(&update.slave_id);
                message.framework_id.clone_from(&update.framework_id);
                message.task_id.clone_from(&update.status.task_id);
                message.uuid.clone_from(&update.uuid);
                self.send(when, upid, message);
            }
            UpdateOrigin::Http(key) => {
                let stream = match self.executor_by(key).map(|executor| &executor.connection) {
                    Some(ExecutorConnection::Http(Some(stream))) => *stream,
                    _ => return,
                };
                let mut event = executor::Event::new();
                event.set_type(executor::event::Type::ACKNOWLEDGED);
                let acknowledged = event.acknowledged.mut_or_insert_default();
                acknowledged.task_id.clone_from(&update.status.task_id);
                acknowledged.uuid.clone_from(&update.uuid);
                self.out.push(
                    when,
                    Effect::StreamEvent {
                        stream,
                        event: Box::new(event),
                    },
                );
            }
        }
    }

    /// Sends an update to the master.
    fn forward(&mut self, key: &StreamKey, mut update: internal::StatusUpdate) {
        let Some(master) = self.master.clone().filter(|_| self.state == AgentState::Running) else {
            return;
        };
        let framework = self.frameworks.get_mut(&key.framework_id);
        let task = framework.and_then(|framework| framework.task_mut(&key.task_id));
        if let Some(task) = task {
            task.set_status_update_state(update.status.state());
            task.set_status_update_uuid(update.uuid().to_vec());
            update.set_latest_state(task.state());
        }
        let mut message = internal::StatusUpdateMessage::new();
        message.update = MessageField::some(update);
        message.set_pid(self.config.pid.to_string());
        let when = self.when_of(key.framework_id.as_str());
        self.send(when, &master, message);
    }

    fn when_of(&self, framework: &str) -> When {
        When::held_if(
            self.frameworks
                .get(framework)
                .is_some_and(crate::framework::Framework::checkpoints),
        )
    }

    pub(crate) fn pause_status_updates(&mut self) {
        for key in self.streams.pause() {
            self.cancel_timer(retry_timer(&key));
        }
    }

    pub(crate) fn resume_status_updates(&mut self) {
        let heads = self.streams.resume();
        self.send_heads(heads);
    }

    /// The master may have dropped updates while the framework was away.
    pub(crate) fn resend_status_updates(&mut self, framework: &FrameworkId) {
        let heads = self.streams.resend_where(|key| key.framework_id == *framework);
        self.send_heads(heads);
    }

    fn send_heads(&mut self, heads: Vec<(StreamKey, internal::StatusUpdate)>) {
        for (key, update) in heads {
            self.forward(&key, update);
            self.set_timer(retry_timer(&key), RETRY_MIN);
        }
    }

    /// The scheduler was silent about an update for too long.
    pub(crate) fn status_update_unacknowledged(&mut self, framework_id: FrameworkId, task_id: TaskId) {
        let key = StreamKey { framework_id, task_id };
        if let Some((update, pause)) = self.streams.retry(&key) {
            info!(task_id = %key.task_id, framework_id = %key.framework_id, "sending a status update again");
            self.forward(&key, update);
            self.set_timer(retry_timer(&key), pause);
        }
    }

    /// The scheduler has handled an update.
    pub(crate) fn status_update_acknowledged(
        &mut self,
        from: &Upid,
        message: &internal::StatusUpdateAcknowledgementMessage,
    ) {
        // Old schedulers acknowledge to the agent themselves; a master that does not lead must not.
        let from_a_master = from.id().starts_with("master");
        if from_a_master && (self.state != AgentState::Running || !self.is_master(from, "acknowledgement")) {
            return;
        }
        let key = StreamKey {
            framework_id: FrameworkId::from(&*message.framework_id),
            task_id: TaskId::from(&*message.task_id),
        };
        let acknowledged = match self.streams.acknowledge(&key, message.uuid()) {
            Ok(acknowledged) => acknowledged,
            Err(error) => {
                debug!(task_id = %key.task_id, framework_id = %key.framework_id, %error, "ignoring an acknowledgement");
                return;
            }
        };
        if let Some(log) = acknowledged.log {
            let mut entry = internal::StatusUpdateRecord::new();
            entry.set_type(internal::status_update_record::Type::ACK);
            entry.set_uuid(message.uuid().to_vec());
            self.write(record(log, &entry));
        }
        match acknowledged.next {
            Some(next) => {
                self.forward(&key, next);
                self.set_timer(retry_timer(&key), RETRY_MIN);
            }
            None => self.cancel_timer(retry_timer(&key)),
        }
        if acknowledged.closed {
            self.task_completed(&key);
        }
    }

    /// The last update of a task is acknowledged: nothing more can come of it.
    fn task_completed(&mut self, key: &StreamKey) {
        let limit = self.config.max_completed_tasks_per_executor;
        let Some(framework) = self.frameworks.get_mut(&key.framework_id) else {
            return;
        };
        let Some(executor) = framework.executor_of_mut(&key.task_id) else {
            return;
        };
        executor.complete_task(&key.task_id, limit);
        let (key_of_executor, checkpoint) = (executor.key(), executor.checkpoint);
        let done = executor.state == ExecutorState::Terminated && !executor.has_incomplete_tasks();
        let task_path = executor.paths.task(&key.task_id);
        if checkpoint {
            self.schedule_gc(task_path);
        }
        if done {
            self.remove_executor(&key_of_executor);
        }
        self.remove_framework_if_idle(&key.framework_id);
    }
}

fn stream_key(update: &internal::StatusUpdate) -> StreamKey {
    StreamKey {
        framework_id: FrameworkId::from(&*update.framework_id),
        task_id: TaskId::from(&*update.status.task_id),
    }
}

pub(crate) fn retry_timer(key: &StreamKey) -> AgentTimer {
    AgentTimer::StatusUpdateRetry {
        framework_id: key.framework_id.clone(),
        task_id: key.task_id.clone(),
    }
}

/// Adds what the agent knows of the container to an update of a task that was handed to its executor.
fn fill_container_status(executor: &Executor, ip: &std::net::Ipv4Addr, status: &mut pb::TaskStatus) {
    let task_id = TaskId::from(&*status.task_id);
    let undelivered = executor.queued.contains_key(&task_id);
    let agent_drops = matches!(status.state(), pb::TaskState::TASK_DROPPED | pb::TaskState::TASK_LOST)
        && status.source() == Source::SOURCE_SLAVE;
    if undelivered || agent_drops || executor.state == ExecutorState::Terminated {
        return;
    }
    let container_status = status.container_status.mut_or_insert_default();
    let own = container_status
        .container_id
        .as_ref()
        .map(ContainerId::from)
        .filter(ContainerId::is_nested);
    if let Some(nested) = own {
        // The task has a container of its own, of which nothing is known before its launch and after its end.
        if let Some(known) = executor.nested.get(&nested) {
            merge_status(container_status, known);
        }
        return;
    }
    if let Some(known) = executor.container_status.as_ref() {
        merge_status(container_status, known);
    }
    if container_status.container_id.is_none() {
        container_status.container_id = MessageField::some(executor.container_id.to_proto());
    }
    if container_status.network_infos.is_empty() {
        let mut address = pb::network_info::IPAddress::new();
        address.set_ip_address(ip.to_string());
        let mut network = pb::NetworkInfo::new();
        network.ip_addresses.push(address);
        container_status.network_infos.push(network);
    }
}

fn merge_status(status: &mut pb::ContainerStatus, known: &pb::ContainerStatus) {
    let bytes = known.write_to_bytes().unwrap_or_default();
    if let Err(error) = status.merge_from_bytes(&bytes) {
        warn!(%error, container_id = known.container_id.value(), "container status cannot be merged");
    }
}
