//! An executor and its tasks as the agent knows them.

use std::collections::VecDeque;

use indexmap::IndexMap;
use libprocess_types::Upid;
use mesos_proto::v0::mesos as pb;

use crate::input::ExecutorStreamId;
use crate::paths::RunPaths;
use mesos::ids::{ContainerId, ExecutorId, FrameworkId, TaskId};

/// Life of an executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutorState {
    /// Launched or recovered; has not (yet, or again) registered.
    Registering,
    /// Registered: gets its tasks.
    Running,
    /// Told to shut down, or being destroyed.
    Terminating,
    /// Its container is gone; kept while updates of its tasks are unacknowledged.
    Terminated,
}

/// How to reach an executor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecutorConnection {
    /// It never registered.
    Unknown,
    /// Through libprocess messages.
    Libprocess(Upid),
    /// Through the v1 API; the stream is missing while it is disconnected.
    Http(Option<ExecutorStreamId>),
}

/// Why the agent ends an executor: what its tasks are told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PendingTermination {
    pub(crate) state: Option<pb::TaskState>,
    pub(crate) reason: Option<pb::task_status::Reason>,
    pub(crate) message: Option<String>,
}

/// An executor: one run of it, in one container.
#[derive(Clone, Debug)]
pub struct Executor {
    pub(crate) id: ExecutorId,
    pub(crate) framework_id: FrameworkId,
    pub(crate) info: pb::ExecutorInfo,
    pub(crate) container_id: ContainerId,
    pub(crate) paths: RunPaths,
    pub(crate) checkpoint: bool,
    pub(crate) generated_for_command_task: bool,
    pub(crate) user: Option<String>,
    pub(crate) state: ExecutorState,
    pub(crate) connection: ExecutorConnection,
    pub(crate) queued: IndexMap<TaskId, pb::TaskInfo>,
    pub(crate) queued_groups: Vec<pb::TaskGroupInfo>,
    pub(crate) launched: IndexMap<TaskId, pb::Task>,
    pub(crate) terminated: IndexMap<TaskId, pb::Task>,
    pub(crate) completed: VecDeque<pb::Task>,
    pub(crate) container_status: Option<pb::ContainerStatus>,
    pub(crate) pending_termination: Option<PendingTermination>,
    pub(crate) ever_sent_task: bool,
}

impl Executor {
    /// Its identifier.
    #[must_use]
    pub fn id(&self) -> &ExecutorId {
        &self.id
    }

    /// The framework it works for.
    #[must_use]
    pub fn framework_id(&self) -> &FrameworkId {
        &self.framework_id
    }

    /// Its description; made by the agent for command tasks.
    #[must_use]
    pub fn info(&self) -> &pb::ExecutorInfo {
        &self.info
    }

    /// The container of this run.
    #[must_use]
    pub fn container_id(&self) -> &ContainerId {
        &self.container_id
    }

    /// The sandbox and the checkpoints of this run.
    #[must_use]
    pub fn paths(&self) -> &RunPaths {
        &self.paths
    }

    /// The user it runs as; the agent's own when unset.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// How far it is.
    #[must_use]
    pub fn state(&self) -> ExecutorState {
        self.state
    }

    /// How to reach it.
    #[must_use]
    pub fn connection(&self) -> &ExecutorConnection {
        &self.connection
    }

    /// The agent made it for one command task.
    #[must_use]
    pub fn is_generated_for_command_task(&self) -> bool {
        self.generated_for_command_task
    }

    /// Tasks that wait until it has registered, in the order of their arrival.
    pub fn queued_tasks(&self) -> impl DoubleEndedIterator<Item = &pb::TaskInfo> {
        self.queued.values()
    }

    /// Tasks that were handed to it and have not ended.
    pub fn launched_tasks(&self) -> impl DoubleEndedIterator<Item = &pb::Task> {
        self.launched.values()
    }

    /// Tasks that ended and whose last update is unacknowledged.
    pub fn terminated_tasks(&self) -> impl DoubleEndedIterator<Item = &pb::Task> {
        self.terminated.values()
    }

    /// Tasks that ended and are done with, oldest first, bounded by the configuration.
    pub fn completed_tasks(&self) -> impl DoubleEndedIterator<Item = &pb::Task> {
        self.completed.iter()
    }

    /// What the containerizer told of its container.
    #[must_use]
    pub fn container_status(&self) -> Option<&pb::ContainerStatus> {
        self.container_status.as_ref()
    }

    pub(crate) fn has_task(&self, task: &TaskId) -> bool {
        self.queued.contains_key(task) || self.launched.contains_key(task) || self.terminated.contains_key(task)
    }

    pub(crate) fn has_incomplete_tasks(&self) -> bool {
        !self.queued.is_empty() || !self.launched.is_empty() || !self.terminated.is_empty()
    }

    /// Resources of the executor and of its queued and launched tasks.
    #[must_use]
    pub fn used_resources(&self) -> Vec<pb::Resource> {
        let queued = self.queued.values().flat_map(|task| task.resources.iter());
        let launched = self.launched.values().flat_map(|task| task.resources.iter());
        self.info
            .resources
            .iter()
            .chain(queued)
            .chain(launched)
            .cloned()
            .collect()
    }
}
