//! What the agent counts, for its metrics.
//!
//! Source: shared facts, `metrics.tsv`, keys `slave/...`.

use mesos_proto::v0::mesos as pb;

/// Counters since the agent was made; none ever falls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// `slave/recovery_errors`
    pub recovery_errors: u64,
    /// `slave/valid_status_updates`
    pub valid_status_updates: u64,
    /// `slave/invalid_status_updates`
    pub invalid_status_updates: u64,
    /// `slave/valid_framework_messages`
    pub valid_framework_messages: u64,
    /// `slave/invalid_framework_messages`
    pub invalid_framework_messages: u64,
    /// `slave/executors_terminated`
    pub executors_terminated: u64,
    /// `slave/executors_preempted`
    pub executors_preempted: u64,
    /// `slave/container_launch_errors`
    pub container_launch_errors: u64,
    /// `slave/tasks_finished`
    pub tasks_finished: u64,
    /// `slave/tasks_failed`
    pub tasks_failed: u64,
    /// `slave/tasks_killed`
    pub tasks_killed: u64,
    /// `slave/tasks_lost`
    pub tasks_lost: u64,
    /// `slave/tasks_gone`
    pub tasks_gone: u64,
}

impl Counters {
    pub(crate) fn count_terminal(&mut self, state: pb::TaskState) {
        match state {
            pb::TaskState::TASK_FINISHED => self.tasks_finished += 1,
            pb::TaskState::TASK_FAILED => self.tasks_failed += 1,
            pb::TaskState::TASK_KILLED => self.tasks_killed += 1,
            pb::TaskState::TASK_LOST => self.tasks_lost += 1,
            pb::TaskState::TASK_GONE => self.tasks_gone += 1,
            _ => {}
        }
    }
}
