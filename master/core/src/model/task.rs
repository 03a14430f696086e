//! Tasks.

use mesos::ids::{AgentId, ExecutorId, FrameworkId, TaskId};
use mesos_proto::v0::mesos as proto;
use mesos_proto::v0::mesos::TaskState;

use crate::Resources;

/// Whether a task in this state has ended for good.
///
/// Source: shared facts, `task_states.tsv`.
#[must_use]
pub const fn is_terminal(state: TaskState) -> bool {
    match state {
        TaskState::TASK_FINISHED
        | TaskState::TASK_FAILED
        | TaskState::TASK_KILLED
        | TaskState::TASK_ERROR
        | TaskState::TASK_LOST
        | TaskState::TASK_DROPPED
        | TaskState::TASK_GONE
        | TaskState::TASK_GONE_BY_OPERATOR => true,
        TaskState::TASK_STAGING
        | TaskState::TASK_STARTING
        | TaskState::TASK_RUNNING
        | TaskState::TASK_KILLING
        | TaskState::TASK_UNREACHABLE
        | TaskState::TASK_UNKNOWN => false,
    }
}

/// A task that the master knows.
#[derive(Clone, Debug)]
pub struct Task {
    pub(crate) id: TaskId,
    pub(crate) framework_id: FrameworkId,
    pub(crate) agent_id: AgentId,
    pub(crate) executor_id: Option<ExecutorId>,
    pub(crate) resources: Resources,
    pub(crate) message: Box<proto::Task>,
}

impl Task {
    /// Its id; unique among its framework's live tasks.
    #[must_use]
    pub const fn id(&self) -> &TaskId {
        &self.id
    }

    /// Its owner.
    #[must_use]
    pub const fn framework_id(&self) -> &FrameworkId {
        &self.framework_id
    }

    /// Where it runs.
    #[must_use]
    pub const fn agent_id(&self) -> &AgentId {
        &self.agent_id
    }

    /// The custom executor that runs it; `None` for command tasks.
    #[must_use]
    pub const fn executor_id(&self) -> Option<&ExecutorId> {
        self.executor_id.as_ref()
    }

    /// The latest state that the agent knows, which may be ahead of what the framework was told.
    #[must_use]
    pub fn state(&self) -> TaskState {
        self.message.state()
    }

    /// Whether the task has ended, acknowledged or not.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        is_terminal(self.state())
    }

    /// What it was given, post-refinement, with `allocation_info`. Held until the task ends.
    #[must_use]
    pub const fn resources(&self) -> &Resources {
        &self.resources
    }

    /// The task as a message, with its recent statuses, the last update's state and uuid.
    #[must_use]
    pub fn message(&self) -> &proto::Task {
        &self.message
    }
}
