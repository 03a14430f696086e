//! What an agent knew before it was restarted, as read back from its checkpoints.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::mesos as pb;

use uuid::Uuid;

use libprocess_types::{Time, Upid};
use mesos::ids::{ContainerId, ExecutorId, TaskId};

/// Everything read back from a work directory. The default is a directory without checkpoints.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecoveredState {
    /// The agent that `meta/slaves/latest` points at. Unset when there is none, or when it must not be adopted (its
    /// info is incompatible with the configuration and the caller chose to start anew).
    pub agent: Option<RecoveredAgent>,
    /// Committed checkpointed resources, in any reservation format.
    pub resources: Vec<pb::Resource>,
    /// What the resources were being changed to when the earlier life ended, if they were.
    pub target: Option<Vec<pb::Resource>>,
    /// Operations that stand with the target, or with the committed resources when there is no target.
    pub operations: Vec<pb::Operation>,
    /// When the folders of agents, frameworks, executors and runs changed last, sandboxes and checkpoints.
    pub folder_times: BTreeMap<PathBuf, Time>,
    /// Folders of agents with other ids, sandboxes and checkpoints.
    pub earlier_agents: Vec<PathBuf>,
    /// The host was started anew since: no executor can run any more. Set when `boot_id` differs.
    pub rebooted: bool,
    /// Errors that were passed over; only when recovery is lenient.
    pub errors: usize,
}

/// A known agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecoveredAgent {
    /// `slave.info`, with the id.
    pub info: pb::SlaveInfo,
    /// Its frameworks.
    pub frameworks: Vec<RecoveredFramework>,
    /// `drain.config`, when there is one.
    pub drain_config: Option<pb::DrainConfig>,
    /// The logs of operations; their operations stand in [`RecoveredState::operations`], or are done.
    pub operation_logs: Vec<RecoveredOperation>,
}

/// The statuses of an operation.
#[derive(Clone, Debug, PartialEq)]
pub struct RecoveredOperation {
    /// The folder's name.
    pub operation_uuid: Uuid,
    /// The records of `operation.updates`, oldest first, without a torn tail; none when the agent died before the
    /// first.
    pub records: Vec<internal::UpdateOperationStatusRecord>,
}

/// A checkpointed framework.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecoveredFramework {
    /// `framework.info`
    pub info: pb::FrameworkInfo,
    /// `framework.pid`; unset for schedulers that use HTTP.
    pub pid: Option<Upid>,
    /// Its executors.
    pub executors: Vec<RecoveredExecutor>,
}

/// A checkpointed executor.
#[derive(Clone, Debug, PartialEq)]
pub struct RecoveredExecutor {
    /// The directory name.
    pub id: ExecutorId,
    /// `executor.info`; unset when the agent died before it was written.
    pub info: Option<pb::ExecutorInfo>,
    /// `executor_generated_for_command_task`
    pub generated_for_command_task: bool,
    /// What `runs/latest` points at.
    pub latest: Option<ContainerId>,
    /// All runs that are still on disk.
    pub runs: Vec<RecoveredRun>,
}

/// One run of an executor.
#[derive(Clone, Debug, PartialEq)]
pub struct RecoveredRun {
    /// Its container.
    pub container_id: ContainerId,
    /// `libprocess.pid`
    pub libprocess_pid: Option<Upid>,
    /// `http.marker` is there.
    pub http: bool,
    /// `forked.pid`
    pub forked_pid: Option<u32>,
    /// `executor.sentinel` is there: the run had ended.
    pub completed: bool,
    /// Its tasks.
    pub tasks: Vec<RecoveredTask>,
}

/// A checkpointed task.
#[derive(Clone, Debug, PartialEq)]
pub struct RecoveredTask {
    /// The directory name.
    pub id: TaskId,
    /// `task.info`; unset when the agent died before it was written.
    pub info: Option<pb::Task>,
    /// The records of `task.updates`, oldest first, without a torn tail.
    pub records: Vec<internal::StatusUpdateRecord>,
}
