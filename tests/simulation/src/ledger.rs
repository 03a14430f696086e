//! What a framework knows of its tasks, and the rule that each ends exactly once.

use std::collections::BTreeMap;

use libprocess::Time;
use mesos_proto::v0::mesos as pb;
use pb::TaskState;
use pb::task_status::{Reason, Source};

use crate::failure::Failure;

/// One launched task.
#[derive(Clone, Debug)]
pub struct TaskRecord {
    /// The task.
    pub task_id: pb::TaskID,
    /// Where it was launched.
    pub agent_id: pb::SlaveID,
    /// All that was told of it: when, state, reason.
    pub history: Vec<(Time, TaskState, Reason)>,
    /// The state that it ended in.
    pub ended: Option<TaskState>,
}

impl TaskRecord {
    /// The task as it is named in a question for its state.
    #[must_use]
    pub fn question(&self) -> pb::TaskStatus {
        let mut status = pb::TaskStatus::new();
        status.task_id = Some(self.task_id.clone()).into();
        status.slave_id = Some(self.agent_id.clone()).into();
        status.set_state(
            self.history
                .last()
                .map_or(TaskState::TASK_STAGING, |(_, state, _)| *state),
        );
        status
    }
}

/// All tasks that a framework launched.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    tasks: BTreeMap<String, TaskRecord>,
}

impl Ledger {
    /// Number of tasks launched so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether nothing was launched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Tasks that have not ended.
    pub fn open(&self) -> impl Iterator<Item = &TaskRecord> {
        self.tasks.values().filter(|record| record.ended.is_none())
    }

    /// States of the tasks that have ended.
    #[must_use]
    pub fn ends(&self) -> BTreeMap<String, TaskState> {
        let ended = self.tasks.iter();
        ended
            .filter_map(|(id, record)| Some((id.clone(), record.ended?)))
            .collect()
    }

    /// A task is about to be launched.
    pub fn launched(&mut self, task: &pb::TaskInfo) {
        self.tasks.insert(
            task.task_id.value().to_owned(),
            TaskRecord {
                task_id: task.task_id.clone().unwrap_or_default(),
                agent_id: task.slave_id.clone().unwrap_or_default(),
                history: Vec::new(),
                ended: None,
            },
        );
    }

    /// Takes a status in.
    ///
    /// # Errors
    ///
    /// Fails for a task that was not launched, and for one that has ended and is said to have ended otherwise. That an
    /// ended task is said to run, or to be out of reach, is old news that was overtaken (README.md, "Late news").
    pub fn note(&mut self, now: Time, status: &pb::TaskStatus) -> Result<(), Failure> {
        let id = status.task_id.value();
        let Some(record) = self.tasks.get_mut(id) else {
            return Err(Failure::new(format!("a status of task {id}, which was not launched")));
        };
        let state = status.state();
        record.history.push((now, state, status.reason()));
        if !is_end(status) {
            return Ok(());
        }
        match record.ended {
            Some(end) if is_forgotten(end) && is_answer(status) => Ok(()),
            Some(end) if end != state => Err(Failure::new(format!(
                "task {id} has ended as {end:?} and is {state:?} now: {:?}; told: {status}",
                record.history
            ))),
            _ => {
                record.ended = Some(state);
                Ok(())
            }
        }
    }
}

/// Whether masters keep no memory of tasks that ended so: they never ran, as far as the master knows.
const fn is_forgotten(end: TaskState) -> bool {
    matches!(
        end,
        TaskState::TASK_DROPPED | TaskState::TASK_ERROR | TaskState::TASK_LOST | TaskState::TASK_GONE
    )
}

/// Whether a status answers a question for the present state of a task.
fn is_answer(status: &pb::TaskStatus) -> bool {
    status.source() == Source::SOURCE_MASTER && status.reason() == Reason::REASON_RECONCILIATION
}

/// Whether a status ends a task for good.
///
/// Two kinds of `TASK_LOST`, both made by the master for frameworks that know no partitions, do not. Mesos documents
/// both, and in both the task may run on and its real state follow:
/// - its agent cannot be reached or was removed; when the agent is back the framework is told what the task does;
/// - the framework asked for the end of a task of such an agent. Drivers do not name the agent when they kill, so the
///   master can only say that it does not know the task.
fn is_end(status: &pb::TaskStatus) -> bool {
    match status.state() {
        TaskState::TASK_FINISHED
        | TaskState::TASK_FAILED
        | TaskState::TASK_KILLED
        | TaskState::TASK_ERROR
        | TaskState::TASK_DROPPED
        | TaskState::TASK_GONE
        | TaskState::TASK_GONE_BY_OPERATOR => true,
        TaskState::TASK_LOST => {
            let out_of_reach = status.unreachable_time.is_some() || status.reason() == Reason::REASON_SLAVE_REMOVED;
            let not_known = status.reason() == Reason::REASON_RECONCILIATION && status.slave_id.is_none();
            status.source() != Source::SOURCE_MASTER || !(out_of_reach || not_known)
        }
        TaskState::TASK_STAGING
        | TaskState::TASK_STARTING
        | TaskState::TASK_RUNNING
        | TaskState::TASK_KILLING
        | TaskState::TASK_UNREACHABLE
        | TaskState::TASK_UNKNOWN => false,
    }
}
