//! Building status updates that the master itself makes. They carry no uuid: nobody acknowledges them.

use libprocess_types::Time;
use mesos::ids::{AgentId, ExecutorId, FrameworkId, TaskId};
use mesos_proto::internal::wire::messages::StatusUpdate;
use mesos_proto::v0::mesos::task_status::{Reason, Source};
use mesos_proto::v0::mesos::{TaskInfo, TaskState, TaskStatus, TimeInfo};

use crate::model::Task;

/// What the master has to say about a task.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) state: TaskState,
    pub(crate) reason: Reason,
    pub(crate) message: String,
}

impl Verdict {
    pub(crate) fn new(state: TaskState, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            state,
            reason,
            message: message.into(),
        }
    }
}

/// Which task an update is about.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) framework_id: FrameworkId,
    pub(crate) task_id: TaskId,
    pub(crate) agent_id: Option<AgentId>,
    pub(crate) executor_id: Option<ExecutorId>,
}

impl Subject {
    /// A task that was described but does not exist for the master.
    pub(crate) fn described(framework_id: &FrameworkId, info: &TaskInfo) -> Self {
        Self {
            framework_id: framework_id.clone(),
            task_id: TaskId::from(&*info.task_id),
            agent_id: Some(AgentId::from(&*info.slave_id)),
            executor_id: None,
        }
    }

    /// A task of the model.
    pub(crate) fn known(task: &Task) -> Self {
        Self {
            framework_id: task.framework_id.clone(),
            task_id: task.id.clone(),
            agent_id: Some(task.agent_id.clone()),
            executor_id: task.executor_id.clone(),
        }
    }
}

/// An update made by the master.
pub(crate) fn update(now: Time, subject: &Subject, verdict: &Verdict) -> StatusUpdate {
    let mut status = TaskStatus::new();
    status.task_id = Some(subject.task_id.to_proto()).into();
    status.slave_id = subject.agent_id.as_ref().map(AgentId::to_proto).into();
    status.executor_id = subject.executor_id.as_ref().map(ExecutorId::to_proto).into();
    status.set_state(verdict.state);
    status.set_source(Source::SOURCE_MASTER);
    status.set_reason(verdict.reason);
    status.set_message(verdict.message.clone());
    status.set_timestamp(now.as_secs_f64());
    let mut update = StatusUpdate::new();
    update.framework_id = Some(subject.framework_id.to_proto()).into();
    update.slave_id = status.slave_id.clone();
    update.executor_id = status.executor_id.clone();
    update.set_timestamp(now.as_secs_f64());
    update.status = Some(status).into();
    update
}

/// Adds what the task's last status said of health, checks and container.
pub(crate) fn with_latest_details(mut update: StatusUpdate, task: &Task) -> StatusUpdate {
    if let (Some(last), Some(status)) = (task.last_status(), update.status.as_mut()) {
        status.healthy = last.healthy;
        status.check_status = last.check_status;
        status.container_status = last.container_status;
    }
    update
}

/// Adds since when the task's agent is unreachable.
pub(crate) fn with_unreachable_time(mut update: StatusUpdate, since: &TimeInfo) -> StatusUpdate {
    if let Some(status) = update.status.as_mut() {
        status.unreachable_time = Some(since.clone()).into();
    }
    update
}

/// The state that frameworks are told: the last forwarded one, or the current one before any was forwarded.
pub(crate) fn told_state(task: &Task) -> TaskState {
    task.told_state().unwrap_or_else(|| task.state())
}

/// A point in time as a message.
pub(crate) fn time_info(time: Time) -> TimeInfo {
    let mut info = TimeInfo::new();
    info.set_nanoseconds(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
    info
}

/// The state for frameworks that know the partition states, or the one word that older ones have for all of them.
pub(crate) const fn for_capability(partition_aware: bool, state: TaskState) -> TaskState {
    if partition_aware { state } else { TaskState::TASK_LOST }
}
