//! The agent: what it knows, and the one door through which everything reaches it.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;
use libprocess_types::{Time, Upid};
use mesos::Message;
use mesos::ids::{AgentId, ContainerId, ExecutorId, FrameworkId, TaskId};
use mesos::random::Random;
use mesos::resources::Resources;
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::mesos as pb;
use tracing::error;

use crate::collection::Collections;
use crate::config::AgentConfig;
use crate::counters::Counters;
use crate::effect::{CheckpointWrite, Effect, ShutdownReason};
use crate::executor::{Executor, ExecutorKey};
use crate::framework::Framework;
use crate::input::{AgentTimer, Input};
use crate::operations::{Operations, checked_resources};
use crate::outbox::{Outbox, When};
use crate::paths::Paths;
use crate::resource_format::upgrade;
use crate::status_update_stream::{StatusUpdateStreams, StreamKey};

/// Life of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentState {
    /// Reads checkpoints, adopts executors.
    Recovering,
    /// Knows no master that knows it.
    Disconnected,
    /// Registered.
    Running,
    /// Stops.
    Terminating,
}

/// The rules of an agent.
///
/// No input makes it panic; inputs that do not apply are ignored with a log line.
#[derive(Clone, Debug)]
pub struct Agent {
    pub(crate) config: AgentConfig,
    pub(crate) paths: Paths,
    pub(crate) random: Random,
    pub(crate) now: Time,
    pub(crate) started: Time,
    pub(crate) state: AgentState,
    pub(crate) info: pb::SlaveInfo,
    pub(crate) id: Option<AgentId>,
    pub(crate) master: Option<Upid>,
    pub(crate) registration_bound: Duration,
    pub(crate) ping_timeout: Duration,
    pub(crate) resource_version: [u8; 16],
    /// What it has, dynamic reservations and volumes included.
    pub(crate) total: Resources,
    /// What of it stands in the committed checkpoint.
    pub(crate) checkpointed_resources: Resources,
    pub(crate) operations: Operations,
    /// What the master was told last of revocable resources.
    pub(crate) oversubscribed: Option<Resources>,
    pub(crate) frameworks: IndexMap<FrameworkId, Framework>,
    pub(crate) completed_frameworks: VecDeque<Framework>,
    pub(crate) streams: StatusUpdateStreams,
    pub(crate) collections: Collections,
    /// During recovery, when folders changed last.
    pub(crate) folder_times: BTreeMap<PathBuf, Time>,
    /// It has more than in its earlier life, which its checkpoint does not say yet.
    pub(crate) info_changed: bool,
    pub(crate) drain_config: Option<pb::DrainConfig>,
    /// Checkpoints are read, executors are awaited.
    pub(crate) reconnecting: bool,
    pub(crate) shutdown_message: Option<String>,
    pub(crate) counters: Counters,
    pub(crate) out: Outbox,
}

impl Agent {
    /// An agent that waits for [`Input::Recovered`].
    #[must_use]
    pub fn new(config: AgentConfig, now: Time) -> Self {
        let mut random = Random::new(config.seed);
        let mut info = config.info.clone();
        upgrade(&mut info.resources);
        info.set_checkpoint(true);
        info.id.clear();
        Self {
            paths: Paths::new(config.work_dir.clone()),
            resource_version: random.uuid().into_bytes(),
            random,
            now,
            started: now,
            state: AgentState::Recovering,
            id: None,
            master: None,
            registration_bound: config.registration_backoff_factor * 2,
            ping_timeout: Duration::from_secs(75),
            total: checked_resources(&info.resources),
            info,
            checkpointed_resources: Resources::new(),
            operations: Operations::default(),
            oversubscribed: None,
            frameworks: IndexMap::new(),
            completed_frameworks: VecDeque::new(),
            streams: StatusUpdateStreams::default(),
            collections: Collections::new(config.gc_delay, config.gc_disk_headroom),
            folder_times: BTreeMap::new(),
            info_changed: false,
            drain_config: None,
            reconnecting: false,
            shutdown_message: None,
            counters: Counters::default(),
            out: Outbox::default(),
            config,
        }
    }

    /// Takes one input and tells what is to be done about it, in order.
    pub fn step(&mut self, now: Time, input: Input) -> Vec<Effect> {
        self.now = now;
        self.handle(input);
        self.finish_recovery_if_all_are_back();
        self.out.take()
    }

    fn handle(&mut self, input: Input) {
        match input {
            Input::Recovered(state) => self.recover(*state),
            Input::MasterDetected(master) => self.master_detected(master),
            Input::Message { from, message } => self.handle_message(&from, message),
            Input::Exited { upid } => self.process_exited(&upid),
            Input::Timer(timer) => self.timer_elapsed(timer),
            Input::ExecutorCall { request, stream, call } => self.executor_call(request, stream, *call),
            Input::ExecutorStreamClosed { stream } => self.executor_stream_closed(stream),
            Input::LaunchFinished { container_id, result } => self.launch_finished(&container_id, result),
            Input::ContainerTerminated {
                container_id,
                termination,
            } => {
                self.container_terminated(&container_id, &termination);
            }
            Input::NestedContainerRunning { container_id, status } => {
                self.nested_container_running(container_id, *status);
            }
            Input::NestedContainerEnded { container_id } => self.nested_container_ended(&container_id),
            Input::ContainerUpdated { container_id } => self.container_updated(&container_id),
            Input::ContainerUpdateFailed { container_id, error } => {
                self.container_update_failed(&container_id, &error);
            }
            Input::CheckpointFailed { path, error } => {
                error!(path = %path.display(), error, "a checkpoint could not be written");
                let message = format!("'{}' could not be written: {error}", path.display());
                self.emit(Effect::Shutdown {
                    reason: ShutdownReason::Failed { message },
                });
            }
            Input::FolderCollected { path, result } => self.folder_collected(&path, &result),
            Input::LoadMeasured(load) => self.load_measured(load),
            Input::DiskMeasured(usage) => self.disk_measured(usage),
            Input::UnregisterRequested { by } => self.unregister(&by),
        }
    }

    fn timer_elapsed(&mut self, timer: AgentTimer) {
        match timer {
            AgentTimer::Registration => self.attempt_registration(),
            AgentTimer::PingTimeout => self.ping_timed_out(),
            AgentTimer::ExecutorRegistration { container_id } => self.executor_registration_timed_out(&container_id),
            AgentTimer::ExecutorShutdown { container_id } => self.executor_shutdown_timed_out(container_id),
            AgentTimer::ExecutorHeartbeat { stream } => self.send_executor_heartbeat(stream),
            AgentTimer::ExecutorReregistration => self.executor_reregistration_timed_out(),
            AgentTimer::ExecutorReconnectRetry => self.reconnect_again(),
            AgentTimer::Collection => self.collect_folders(),
            AgentTimer::Oversubscription => self.estimate_oversubscription(),
            AgentTimer::QosCorrection => self.look_at_load(),
            AgentTimer::DiskWatch => self.watch_disk(),
            AgentTimer::OperationStatusRetry { operation_uuid } => {
                self.operation_status_unacknowledged(&operation_uuid);
            }
            AgentTimer::StatusUpdateRetry { framework_id, task_id } => {
                self.status_update_unacknowledged(framework_id, task_id);
            }
        }
    }

    pub(crate) fn emit(&mut self, effect: Effect) {
        self.out.push(When::Now, effect);
    }

    pub(crate) fn send(&mut self, when: When, to: &Upid, message: impl Into<Message>) {
        self.out.push(
            when,
            Effect::Send {
                to: to.clone(),
                message: message.into(),
            },
        );
    }

    pub(crate) fn write(&mut self, write: CheckpointWrite) {
        self.out.write(write);
    }

    pub(crate) fn set_timer(&mut self, timer: AgentTimer, after: Duration) {
        self.emit(Effect::SetTimer { timer, after });
    }

    pub(crate) fn cancel_timer(&mut self, timer: AgentTimer) {
        self.emit(Effect::CancelTimer(timer));
    }

    pub(crate) fn executor_by(&self, key: &ExecutorKey) -> Option<&Executor> {
        self.executor(&key.framework_id, &key.executor_id)
    }

    pub(crate) fn executor_mut(&mut self, key: &ExecutorKey) -> Option<&mut Executor> {
        self.frameworks
            .get_mut(&key.framework_id)?
            .executors
            .get_mut(&key.executor_id)
    }

    /// What it was configured with.
    #[must_use]
    pub fn config(&self) -> &AgentConfig {
        &self.config
    }

    /// The paths of its work directory.
    #[must_use]
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// How far it is.
    #[must_use]
    pub fn state(&self) -> AgentState {
        self.state
    }

    /// When it was made.
    #[must_use]
    pub fn started(&self) -> Time {
        self.started
    }

    /// Its description: with id once registered, resources in the post-refinement form.
    #[must_use]
    pub fn info(&self) -> &pb::SlaveInfo {
        &self.info
    }

    /// Its identifier, once known.
    #[must_use]
    pub fn id(&self) -> Option<&AgentId> {
        self.id.as_ref()
    }

    /// The leading master, when one is known.
    #[must_use]
    pub fn master(&self) -> Option<&Upid> {
        self.master.as_ref()
    }

    /// Version of its resources, 16 raw bytes.
    #[must_use]
    pub fn resource_version(&self) -> &[u8; 16] {
        &self.resource_version
    }

    /// Dynamic reservations and persistent volumes.
    #[must_use]
    pub const fn checkpointed_resources(&self) -> &Resources {
        &self.checkpointed_resources
    }

    /// The drain that the agent is in, when it is in one.
    #[must_use]
    pub fn drain_config(&self) -> Option<&pb::DrainConfig> {
        self.drain_config.as_ref()
    }

    /// What it counted so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Updates of a task that wait for an acknowledgement, oldest first.
    pub fn pending_updates(
        &self,
        framework: &FrameworkId,
        task: &TaskId,
    ) -> impl Iterator<Item = &internal::StatusUpdate> {
        let key = StreamKey {
            framework_id: framework.clone(),
            task_id: task.clone(),
        };
        self.streams.pending(&key)
    }

    /// Frameworks with work here, in the order of their arrival.
    pub fn frameworks(&self) -> impl DoubleEndedIterator<Item = &Framework> {
        self.frameworks.values()
    }

    /// One of [`Self::frameworks`].
    #[must_use]
    pub fn framework(&self, id: &FrameworkId) -> Option<&Framework> {
        self.frameworks.get(id)
    }

    /// Frameworks whose work here ended, oldest first, bounded by the configuration.
    pub fn completed_frameworks(&self) -> impl DoubleEndedIterator<Item = &Framework> {
        self.completed_frameworks.iter()
    }

    /// An executor of a framework with work here.
    #[must_use]
    pub fn executor(&self, framework: &FrameworkId, executor: &ExecutorId) -> Option<&Executor> {
        self.frameworks.get(framework)?.executors.get(executor)
    }

    /// The executor that runs, or ran last, in a container.
    #[must_use]
    pub fn executor_in(&self, container: &ContainerId) -> Option<&Executor> {
        self.frameworks
            .values()
            .flat_map(|framework| framework.executors.values())
            .find(|executor| executor.container_id == *container)
    }
}
