//! A framework as one agent knows it.

use std::collections::VecDeque;

use indexmap::IndexMap;
use libprocess_types::Upid;
use mesos_proto::v0::mesos as pb;

use crate::executor::{Executor, ExecutorState};
use mesos::ids::{ExecutorId, FrameworkId, TaskId};

/// The framework tells lost tasks apart: it knows TASK_DROPPED, TASK_GONE and their like, and not only TASK_LOST.
pub(crate) fn is_partition_aware(info: &pb::FrameworkInfo) -> bool {
    let aware = pb::framework_info::capability::Type::PARTITION_AWARE;
    info.capabilities.iter().any(|capability| capability.type_() == aware)
}

/// Life of a framework on an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameworkState {
    /// Accepts tasks.
    Running,
    /// Its executors are being shut down.
    Terminating,
}

/// A framework with work on the agent, or one that is remembered.
#[derive(Clone, Debug)]
pub struct Framework {
    pub(crate) id: FrameworkId,
    pub(crate) info: pb::FrameworkInfo,
    pub(crate) pid: Option<Upid>,
    pub(crate) state: FrameworkState,
    pub(crate) executors: IndexMap<ExecutorId, Executor>,
    pub(crate) completed_executors: VecDeque<Executor>,
}

impl Framework {
    pub(crate) fn new(id: FrameworkId, info: pb::FrameworkInfo, pid: Option<Upid>) -> Self {
        Self {
            id,
            info,
            pid,
            state: FrameworkState::Running,
            executors: IndexMap::new(),
            completed_executors: VecDeque::new(),
        }
    }

    /// Its identifier.
    #[must_use]
    pub fn id(&self) -> &FrameworkId {
        &self.id
    }

    /// Its description, as last told by the master.
    #[must_use]
    pub fn info(&self) -> &pb::FrameworkInfo {
        &self.info
    }

    /// Address of its libprocess scheduler driver; unset for schedulers that use HTTP.
    #[must_use]
    pub fn pid(&self) -> Option<&Upid> {
        self.pid.as_ref()
    }

    /// Whether it accepts tasks.
    #[must_use]
    pub fn state(&self) -> FrameworkState {
        self.state
    }

    /// Its executors that have not ended, or still have unacknowledged updates, in the order of their launch.
    pub fn executors(&self) -> impl DoubleEndedIterator<Item = &Executor> {
        self.executors.values()
    }

    /// One of [`Self::executors`].
    #[must_use]
    pub fn executor(&self, id: &ExecutorId) -> Option<&Executor> {
        self.executors.get(id)
    }

    /// Its executors that ended, oldest first, bounded by the configuration.
    pub fn completed_executors(&self) -> impl DoubleEndedIterator<Item = &Executor> {
        self.completed_executors.iter()
    }

    /// Its work is written to disk and outlives the agent process.
    #[must_use]
    pub fn checkpoints(&self) -> bool {
        self.info.checkpoint()
    }

    /// It has the capability.
    #[must_use]
    pub fn has_capability(&self, capability: pb::framework_info::capability::Type) -> bool {
        self.info.capabilities.iter().any(|known| known.type_() == capability)
    }

    /// Some executor holds the task as queued, launched or terminated.
    #[must_use]
    pub fn has_task(&self, task: &TaskId) -> bool {
        self.executor_of(task).is_some()
    }

    /// What a task is told that was never launched.
    pub(crate) fn dropped_state(&self) -> pb::TaskState {
        if is_partition_aware(&self.info) {
            pb::TaskState::TASK_DROPPED
        } else {
            pb::TaskState::TASK_LOST
        }
    }

    /// What a task is told that ran and is no more, through no fault of its own.
    pub(crate) fn gone_state(&self) -> pb::TaskState {
        if is_partition_aware(&self.info) {
            pb::TaskState::TASK_GONE
        } else {
            pb::TaskState::TASK_LOST
        }
    }

    pub(crate) fn executor_of(&self, task: &TaskId) -> Option<&Executor> {
        self.executors.values().find(|executor| executor.has_task(task))
    }

    pub(crate) fn executor_of_mut(&mut self, task: &TaskId) -> Option<&mut Executor> {
        self.executors.values_mut().find(|executor| executor.has_task(task))
    }

    /// The record of a launched or terminated task.
    pub(crate) fn task_mut(&mut self, task: &TaskId) -> Option<&mut pb::Task> {
        let executor = self.executor_of_mut(task)?;
        if executor.launched.contains_key(task) {
            executor.launched.get_mut(task)
        } else {
            executor.terminated.get_mut(task)
        }
    }

    /// Whether a task ended here and is done with, as far as the history goes.
    #[must_use]
    pub fn has_completed_task(&self, task: &TaskId) -> bool {
        self.executors
            .values()
            .chain(&self.completed_executors)
            .any(|executor| executor.has_completed_task(task))
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.executors.is_empty()
    }

    /// Resources used by its executors and their tasks, with allocation roles.
    #[must_use]
    pub fn used_resources(&self) -> Vec<pb::Resource> {
        let running = self
            .executors
            .values()
            .filter(|executor| executor.state() != ExecutorState::Terminated);
        running.flat_map(Executor::used_resources).collect()
    }
}
