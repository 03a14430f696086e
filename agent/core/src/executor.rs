//! An executor and its tasks as the agent knows them.

use std::collections::{BTreeMap, VecDeque};

use indexmap::IndexMap;
use libprocess_types::Upid;
use mesos_proto::v0::mesos as pb;

use crate::input::ExecutorStreamId;
use crate::paths::RunPaths;
use crate::status_update_stream::is_terminal;
use crate::tasks::task_from_info;
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

/// Names an executor on the agent, whatever its run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExecutorKey {
    /// Its framework.
    pub framework_id: FrameworkId,
    /// The executor.
    pub executor_id: ExecutorId,
}

/// Why a status update does not change a task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskUpdateError {
    /// The executor has no such task.
    #[error("the executor has no such task")]
    Unknown,
    /// The task ended before.
    #[error("the task has ended before, in state {0:?}")]
    Terminated(pb::TaskState),
    /// The task was never handed to the executor.
    #[error("the task was not delivered yet, only a terminal state is possible")]
    Undelivered,
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
    /// The containers that run inside its own.
    pub(crate) nested: BTreeMap<ContainerId, pb::ContainerStatus>,
    pub(crate) pending_termination: Option<PendingTermination>,
    /// Kills asked for while a v1 executor was disconnected.
    pub(crate) waiting_kills: IndexMap<TaskId, Option<pb::KillPolicy>>,
    pub(crate) ever_sent_task: bool,
    /// Changes of its container that are asked for and not answered: tasks wait for what they are to find there.
    pub(crate) updates_awaited: u32,
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

    pub(crate) fn new(
        framework_id: FrameworkId,
        info: pb::ExecutorInfo,
        container_id: ContainerId,
        paths: RunPaths,
    ) -> Self {
        Self {
            id: ExecutorId::from(&*info.executor_id),
            framework_id,
            info,
            container_id,
            paths,
            checkpoint: false,
            generated_for_command_task: false,
            user: None,
            state: ExecutorState::Registering,
            connection: ExecutorConnection::Unknown,
            queued: IndexMap::new(),
            queued_groups: Vec::new(),
            launched: IndexMap::new(),
            terminated: IndexMap::new(),
            completed: VecDeque::new(),
            container_status: None,
            nested: BTreeMap::new(),
            pending_termination: None,
            waiting_kills: IndexMap::new(),
            ever_sent_task: false,
            updates_awaited: 0,
        }
    }

    /// Registered, and with somewhere to send messages to.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        let reachable = matches!(
            self.connection,
            ExecutorConnection::Libprocess(_) | ExecutorConnection::Http(Some(_))
        );
        self.state == ExecutorState::Running && reachable
    }

    pub(crate) fn has_task(&self, task: &TaskId) -> bool {
        self.queued.contains_key(task) || self.launched.contains_key(task) || self.terminated.contains_key(task)
    }

    pub(crate) fn has_incomplete_tasks(&self) -> bool {
        !self.queued.is_empty() || !self.launched.is_empty() || !self.terminated.is_empty()
    }

    /// Names the executor.
    #[must_use]
    pub fn key(&self) -> ExecutorKey {
        ExecutorKey {
            framework_id: self.framework_id.clone(),
            executor_id: self.id.clone(),
        }
    }

    /// Whether a task ended here and is done with.
    pub(crate) fn has_completed_task(&self, task: &TaskId) -> bool {
        self.completed
            .iter()
            .any(|completed| completed.task_id.value() == task.as_str())
    }

    /// The group that a queued task belongs to.
    pub(crate) fn queued_group(&self, task: &TaskId) -> Option<&pb::TaskGroupInfo> {
        self.queued_groups
            .iter()
            .find(|group| group.tasks.iter().any(|member| member.task_id.value() == task.as_str()))
    }

    fn dequeue(&mut self, task: &TaskId) -> Option<pb::TaskInfo> {
        let info = self.queued.shift_remove(task)?;
        let queued = &self.queued;
        // A group goes when its last member does: it is delivered or killed as a whole.
        self.queued_groups.retain(|group| {
            group
                .tasks
                .iter()
                .any(|member| queued.contains_key(member.task_id.value()))
        });
        Some(info)
    }

    /// Moves a queued task to the launched ones; gives its description for delivery.
    pub(crate) fn launch_task(&mut self, task: &TaskId) -> Option<pb::TaskInfo> {
        let info = self.dequeue(task)?;
        self.launched
            .insert(task.clone(), task_from_info(&info, &self.framework_id));
        self.ever_sent_task = true;
        Some(info)
    }

    /// Brings a task's record up to date.
    pub(crate) fn update_task(&mut self, task_id: &TaskId, status: &pb::TaskStatus) -> Result<(), TaskUpdateError> {
        let terminal = is_terminal(status.state());
        let mut task = if self.queued.contains_key(task_id) {
            if !terminal {
                return Err(TaskUpdateError::Undelivered);
            }
            let info = self.dequeue(task_id).ok_or(TaskUpdateError::Unknown)?;
            task_from_info(&info, &self.framework_id)
        } else if let Some(task) = self.launched.get_mut(task_id) {
            if !terminal {
                note_status(task, status);
                return Ok(());
            }
            self.launched.shift_remove(task_id).ok_or(TaskUpdateError::Unknown)?
        } else if let Some(task) = self.terminated.get(task_id) {
            return Err(TaskUpdateError::Terminated(task.state()));
        } else {
            return Err(TaskUpdateError::Unknown);
        };
        note_status(&mut task, status);
        self.terminated.insert(task_id.clone(), task);
        Ok(())
    }

    /// Moves a terminated task to the completed ones and forgets the oldest beyond `limit`.
    pub(crate) fn complete_task(&mut self, task_id: &TaskId, limit: usize) {
        if let Some(task) = self.terminated.shift_remove(task_id) {
            self.completed.push_back(task);
        }
        while self.completed.len() > limit {
            self.completed.pop_front();
        }
    }

    /// Moves what was launched to the terminated tasks as it is; nobody waits for their last state.
    pub(crate) fn abandon_launched_tasks(&mut self) {
        self.terminated.extend(std::mem::take(&mut self.launched));
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

/// Adds a status to a task's history; repetitions of a state replace each other.
fn note_status(task: &mut pb::Task, status: &pb::TaskStatus) {
    if task.statuses.last().is_some_and(|last| last.state() == status.state()) {
        task.statuses.pop();
    }
    task.statuses.push(status.clone());
    task.set_state(status.state());
}
