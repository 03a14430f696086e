//! The agent and its master: detection, registration with back-off, pings, and what both tell each other of the agent
//! itself.
//!
//! Source: shared facts, `messages_flow.tsv` (RegisterSlave, ReregisterSlave, PingSlave) and the recorded exchanges
//! `w1`, `w8` and `w11`.

use std::time::Duration;

use libprocess_types::Upid;
use mesos::ids::AgentId;
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::mesos as pb;
use protobuf::MessageField;
use tracing::{debug, info, warn};

use crate::agent::{Agent, AgentState};
use crate::checkpoint::message_file;
use crate::effect::{CheckpointWrite, Effect};
use crate::executor::ExecutorState;
use crate::framework::Framework;
use crate::input::AgentTimer;
use crate::outbox::When;
use crate::resource_format::{downgrade, downgraded_agent, downgraded_executor, downgraded_task};
use crate::status_updates::{TaskReport, UpdateOrigin};
use crate::tasks::task_from_info;

/// Longest pause between two attempts to register.
const REGISTER_RETRY_MAX: Duration = Duration::from_secs(60);
/// How long a master may stay silent when it did not say so itself.
const PING_TIMEOUT_DEFAULT: Duration = Duration::from_secs(75);

impl Agent {
    /// A leading master was found or lost.
    pub(crate) fn master_detected(&mut self, master: Option<Upid>) {
        match &master {
            Some(master) => info!(upid = %master, "new master detected"),
            None => info!("lost the leading master"),
        }
        self.master = master;
        match self.state {
            AgentState::Recovering | AgentState::Terminating => {}
            AgentState::Disconnected | AgentState::Running => self.start_registration(),
        }
    }

    /// Begins anew with the master that is known, if one is.
    pub(crate) fn start_registration(&mut self) {
        self.disconnect();
        if self.master.is_none() {
            return;
        }
        // What a master sent before this may still be on its way, behind an answer to an earlier attempt. A new version
        // keeps a launch or an operation out that the master has given up meanwhile, and told its framework so.
        self.resource_version = self.random.uuid().into_bytes();
        let factor = self.config.registration_backoff_factor;
        self.registration_bound = factor * 2;
        let after = self.random.duration_below(factor);
        self.set_timer(AgentTimer::Registration, after);
    }

    fn disconnect(&mut self) {
        self.state = AgentState::Disconnected;
        self.cancel_timer(AgentTimer::Registration);
        self.cancel_timer(AgentTimer::PingTimeout);
        self.pause_status_updates();
        self.pause_operation_statuses();
    }

    /// Asks for the leading master anew: the known one does not know this agent any more.
    fn redetect(&mut self) {
        self.disconnect();
        self.master = None;
        self.emit(Effect::Redetect);
    }

    /// A linked process is gone. When it is the master, its successor, or its next life, is looked for at once: the
    /// pings that would tell the same are many seconds away.
    pub(crate) fn process_exited(&mut self, upid: &Upid) {
        if self.master.as_ref() == Some(upid) && self.state == AgentState::Running {
            warn!(%upid, "the connection to the master broke; registering again");
            self.redetect();
        } else {
            debug!(%upid, "a linked process went away");
        }
    }

    /// Sends a registration and plans the next attempt.
    pub(crate) fn attempt_registration(&mut self) {
        let Some(master) = self.master.clone() else { return };
        if self.state != AgentState::Disconnected {
            return;
        }
        self.emit(Effect::Link(master.clone()));
        if self.id.is_some() {
            let message = self.reregister_message();
            self.send(When::Now, &master, message);
        } else {
            let message = self.register_message();
            self.send(When::Now, &master, message);
        }
        let bound = self.registration_bound.min(REGISTER_RETRY_MAX);
        let after = self.random.duration_below(bound);
        self.set_timer(AgentTimer::Registration, after);
        self.registration_bound = (bound * 2).min(REGISTER_RETRY_MAX);
    }

    fn register_message(&self) -> internal::RegisterSlaveMessage {
        let mut message = internal::RegisterSlaveMessage::new();
        message.slave = MessageField::some(downgraded_agent(&self.info));
        message.checkpointed_resources = self.checkpointed_resources.to_protobuf();
        downgrade(&mut message.checkpointed_resources);
        message.set_version(self.config.version.clone());
        message.agent_capabilities = self.capabilities();
        message.resource_version_uuid = MessageField::some(self.resource_version_uuid());
        message
    }

    fn reregister_message(&self) -> internal::ReregisterSlaveMessage {
        let mut message = internal::ReregisterSlaveMessage::new();
        message.slave = MessageField::some(downgraded_agent(&self.info));
        message.checkpointed_resources = self.checkpointed_resources.to_protobuf();
        downgrade(&mut message.checkpointed_resources);
        message.set_version(self.config.version.clone());
        message.agent_capabilities = self.capabilities();
        message.resource_version_uuid = MessageField::some(self.resource_version_uuid());
        for framework in self.frameworks.values() {
            message.frameworks.push(framework.info.clone());
            for executor in framework.executors.values() {
                message.tasks.extend(executor.launched.values().map(downgraded_task));
                message.tasks.extend(executor.terminated.values().map(downgraded_task));
                let queued = executor.queued.values();
                message
                    .tasks
                    .extend(queued.map(|task| downgraded_task(&task_from_info(task, &framework.id))));
                // Masters do not know the executors that agents make for command tasks.
                if !executor.generated_for_command_task && executor.state != ExecutorState::Terminated {
                    message.executor_infos.push(downgraded_executor(&executor.info));
                }
            }
        }
        message.completed_frameworks = self.completed_frameworks.iter().map(archived).collect();
        message
    }

    fn capabilities(&self) -> Vec<pb::slave_info::Capability> {
        let announced = self.config.capabilities.iter().map(|kind| {
            let mut capability = pb::slave_info::Capability::new();
            capability.set_type(*kind);
            capability
        });
        announced.collect()
    }

    fn resource_version_uuid(&self) -> pb::UUID {
        let mut uuid = pb::UUID::new();
        uuid.set_value(self.resource_version.to_vec());
        uuid
    }

    /// The master admitted this agent.
    pub(crate) fn registered(&mut self, from: &Upid, message: &internal::SlaveRegisteredMessage) {
        if !self.is_master(from, "registration") {
            return;
        }
        let given = AgentId::from(&*message.slave_id);
        if self.id.as_ref().is_some_and(|known| *known != given) || given.validate().is_err() {
            warn!(agent_id = %given, "ignoring a registration for another agent id");
            return;
        }
        match self.state {
            AgentState::Disconnected => {
                info!(agent_id = %given, upid = %from, "registered");
                if self.id.is_none() {
                    self.adopt_id(&given);
                }
                self.connect(message.connection.as_ref());
            }
            AgentState::Running => {
                debug!("registered already");
                self.send_agent_update();
            }
            AgentState::Recovering | AgentState::Terminating => {}
        }
    }

    fn adopt_id(&mut self, id: &AgentId) {
        self.id = Some(id.clone());
        self.info.id = MessageField::some(id.to_proto());
        let info = downgraded_agent(&self.info);
        self.write(message_file(self.paths.agent_info(id), &info));
        let target = self.paths.agent_meta(id);
        self.write(CheckpointWrite::Symlink {
            link: self.paths.latest_agent(),
            target,
        });
    }

    /// The master took the agent as it is now: it may come back as that.
    fn checkpoint_changed_info(&mut self) {
        if let (true, Some(id)) = (std::mem::take(&mut self.info_changed), self.id.clone()) {
            let info = downgraded_agent(&self.info);
            self.write(message_file(self.paths.agent_info(&id), &info));
        }
    }

    /// The master knows this agent again.
    pub(crate) fn reregistered(&mut self, from: &Upid, message: &internal::SlaveReregisteredMessage) {
        if !self.is_master(from, "re-registration") {
            return;
        }
        if self.id.as_ref() != Some(&AgentId::from(&*message.slave_id)) {
            warn!(
                agent_id = message.slave_id.value(),
                "ignoring a re-registration for another agent id"
            );
            return;
        }
        match self.state {
            AgentState::Disconnected => {
                info!(upid = %from, "re-registered");
                self.checkpoint_changed_info();
                self.connect(message.connection.as_ref());
            }
            AgentState::Running => {
                debug!("re-registered already");
                self.send_agent_update();
            }
            AgentState::Recovering | AgentState::Terminating => return,
        }
        for reconciliation in &message.reconciliations {
            self.reconcile_tasks(reconciliation);
        }
    }

    fn connect(&mut self, connection: Option<&internal::MasterSlaveConnection>) {
        self.state = AgentState::Running;
        self.cancel_timer(AgentTimer::Registration);
        let seconds = connection.and_then(|connection| connection.total_ping_timeout_seconds);
        let usable = seconds.filter(|seconds| (0.001..=1e9).contains(seconds));
        self.ping_timeout = usable.map_or(PING_TIMEOUT_DEFAULT, Duration::from_secs_f64);
        self.set_timer(AgentTimer::PingTimeout, self.ping_timeout);
        self.send_agent_update();
        self.resume_status_updates();
        self.resume_operation_statuses();
    }

    /// Tells the master what may have changed between recovery and registration.
    pub(crate) fn send_agent_update(&mut self) {
        let (Some(master), Some(id)) = (self.master.clone(), self.id.as_ref()) else {
            return;
        };
        let mut message = internal::UpdateSlaveMessage::new();
        message.slave_id = MessageField::some(id.to_proto());
        self.fill_oversubscription(&mut message);
        message.operations.mut_or_insert_default().operations = self.operations().cloned().collect();
        message.resource_version_uuid = MessageField::some(self.resource_version_uuid());
        message.resource_providers = MessageField::some(internal::update_slave_message::ResourceProviders::new());
        self.send(When::Held, &master, message);
    }

    /// The master names tasks that it believes here: those that are not end in a terminal state.
    fn reconcile_tasks(&mut self, reconciliation: &internal::ReconcileTasksMessage) {
        let framework_id = mesos::ids::FrameworkId::from(&*reconciliation.framework_id);
        let aware = reconciliation
            .framework
            .as_ref()
            .is_some_and(crate::framework::is_partition_aware);
        for status in &reconciliation.statuses {
            let task_id = mesos::ids::TaskId::from(&*status.task_id);
            let framework = self.frameworks.get(&framework_id);
            if framework.is_some_and(|framework| framework.has_task(&task_id)) {
                continue;
            }
            warn!(%task_id, %framework_id, "the master knows a task that is not here");
            let report = TaskReport {
                state: if aware {
                    pb::TaskState::TASK_DROPPED
                } else {
                    pb::TaskState::TASK_LOST
                },
                reason: pb::task_status::Reason::REASON_RECONCILIATION,
                message: "the agent does not know the task".to_owned(),
            };
            let update = self.agent_update(&framework_id, &task_id, None, &report);
            // Not through the framework: it may be unknown here.
            self.stream_update(&update, None, &UpdateOrigin::Agent);
        }
    }

    /// The master, or what stands for it, asks whether the agent is there.
    pub(crate) fn ping(&mut self, from: &Upid, connected: bool) {
        let from_master = self
            .master
            .as_ref()
            .is_some_and(|master| master.address() == from.address());
        self.send(When::Now, from, internal::PongSlaveMessage::new());
        if !from_master || self.state != AgentState::Running {
            return;
        }
        if connected {
            self.set_timer(AgentTimer::PingTimeout, self.ping_timeout);
        } else {
            info!("the master takes this agent for disconnected; registering again");
            self.redetect();
        }
    }

    /// No ping came for too long.
    pub(crate) fn ping_timed_out(&mut self) {
        if self.state == AgentState::Running {
            warn!(timeout = ?self.ping_timeout, "the master sent no ping in time");
            self.redetect();
        }
    }

    /// Whether a message comes from the leading master; says so in the log when not.
    pub(crate) fn is_master(&self, from: &Upid, what: &str) -> bool {
        let expected = self.master.as_ref() == Some(from);
        if !expected {
            warn!(upid = %from, what, "ignoring a message that is not from the leading master");
        }
        expected
    }
}

fn archived(framework: &Framework) -> internal::archive::Framework {
    let mut archived = internal::archive::Framework::new();
    archived.framework_info = MessageField::some(framework.info.clone());
    archived.pid = framework.pid.as_ref().map(ToString::to_string);
    for executor in &framework.completed_executors {
        archived.tasks.extend(executor.terminated.values().map(downgraded_task));
        archived.tasks.extend(executor.completed.iter().map(downgraded_task));
    }
    archived
}
