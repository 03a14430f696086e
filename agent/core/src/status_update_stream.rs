//! Streams of task status updates: [`UpdateStreams`] in the words of tasks.
//!
//! Source: shared facts, `messages_flow.tsv` (StatusUpdateMessage) and `disk_layout.md` section 2 (`task.updates`).

use mesos::ids::{FrameworkId, TaskId};
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::mesos as pb;

use crate::update_streams::{LogRecord, StreamedUpdate, UpdateStreams};

pub use crate::update_streams::{RETRY_MAX, RETRY_MIN};

/// Whether no further update of a task can follow the state.
#[must_use]
pub fn is_terminal(state: pb::TaskState) -> bool {
    use pb::TaskState as S;
    match state {
        S::TASK_FINISHED
        | S::TASK_FAILED
        | S::TASK_KILLED
        | S::TASK_ERROR
        | S::TASK_LOST
        | S::TASK_DROPPED
        | S::TASK_GONE
        | S::TASK_GONE_BY_OPERATOR => true,
        S::TASK_STAGING
        | S::TASK_STARTING
        | S::TASK_RUNNING
        | S::TASK_KILLING
        | S::TASK_UNREACHABLE
        | S::TASK_UNKNOWN => false,
    }
}

/// Names a stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamKey {
    /// The task's framework.
    pub framework_id: FrameworkId,
    /// The task.
    pub task_id: TaskId,
}

/// All streams of task status updates of an agent.
pub type StatusUpdateStreams = UpdateStreams<StreamKey, internal::StatusUpdate>;

impl StreamedUpdate for internal::StatusUpdate {
    fn uuid(&self) -> &[u8] {
        Self::uuid(self)
    }

    fn is_terminal(&self) -> bool {
        is_terminal(self.status.state())
    }
}

/// The records of a `task.updates` file.
pub(crate) fn log_records(records: &[internal::StatusUpdateRecord]) -> Vec<LogRecord<internal::StatusUpdate>> {
    use internal::status_update_record::Type;
    let read = records.iter().filter_map(|record| match record.type_() {
        Type::UPDATE => record.update.clone().into_option().map(LogRecord::Update),
        Type::ACK => Some(LogRecord::Acknowledgement(record.uuid().to_vec())),
    });
    read.collect()
}
