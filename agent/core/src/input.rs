//! Everything that can happen to an agent.
//!
//! The shell decodes bytes into these values and hands them to [`crate::Agent::step`] one at a time. Late, repeated and
//! foreign inputs are normal: the rules ignore what no longer applies.

use std::fmt;
use std::path::PathBuf;

use libprocess_types::Upid;
use mesos::Message;
use mesos_proto::v0::executor;
use mesos_proto::v0::mesos as pb;
use uuid::Uuid;

use crate::collection::Collected;
use crate::oversubscription::LoadAverage;
use crate::recovery::RecoveredState;
use mesos::ids::{ContainerId, FrameworkId, TaskId};

/// Names one answer that an HTTP client waits for. The shell hands it out; the core gives it back once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Names one open or opening stream of events to a v1 executor. The shell gives each SUBSCRIBE request a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExecutorStreamId(pub u64);

impl fmt::Display for ExecutorStreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "executor stream {}", self.0)
    }
}

/// Names a timer. Setting a timer whose name is already set replaces it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AgentTimer {
    /// The next attempt to register with the master is due.
    Registration,
    /// The master sent no ping for too long.
    PingTimeout,
    /// An executor had its time to register.
    ExecutorRegistration {
        /// The executor's container: timers of earlier runs are told apart by it.
        container_id: ContainerId,
    },
    /// An executor had its time to shut down.
    ExecutorShutdown {
        /// The executor's container.
        container_id: ContainerId,
    },
    /// A v1 executor is due a HEARTBEAT.
    ExecutorHeartbeat {
        /// The stream it goes to.
        stream: ExecutorStreamId,
    },
    /// Recovered executors had their time to come back.
    ExecutorReregistration,
    /// Recovered libprocess executors are asked again to come back.
    ExecutorReconnectRetry,
    /// Some folder of finished work has reached its age.
    Collection,
    /// It is to be estimated how much may be lent.
    Oversubscription,
    /// It is to be seen whether lent resources must be taken back.
    QosCorrection,
    /// The disk's usage is to be measured.
    DiskWatch,
    /// The status of an operation was not acknowledged in time.
    OperationStatusRetry {
        /// The operation.
        operation_uuid: Uuid,
    },
    /// A status update was not acknowledged in time.
    StatusUpdateRetry {
        /// The task's framework.
        framework_id: FrameworkId,
        /// The task.
        task_id: TaskId,
    },
}

/// How a container ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerTermination {
    /// Wait status of the executor's process as `waitpid` gives it, when it could be reaped.
    pub status: Option<i32>,
    /// Task state asked for by whoever ended the container (a limit that was broken, say).
    pub state: Option<pb::TaskState>,
    /// Reason told with that state.
    pub reason: Option<pb::task_status::Reason>,
    /// What happened, for people.
    pub message: Option<String>,
    /// Resources whose limit was broken.
    pub limited_resources: Vec<pb::Resource>,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// The checkpoints were read. The first input of every agent; an agent without checkpoints gets the default state.
    Recovered(Box<RecoveredState>),
    /// A leading master was found, or lost.
    MasterDetected(Option<Upid>),
    /// A libprocess message came in, from master, executor or scheduler.
    Message {
        /// The sender.
        from: Upid,
        /// What it says.
        message: Message,
    },
    /// A linked process or its node went away.
    Exited {
        /// The process.
        upid: Upid,
    },
    /// A timer elapsed.
    Timer(AgentTimer),
    /// An executor made a call over the v1 API. Authentication and the JSON or protobuf form are the shell's affair.
    ExecutorCall {
        /// Answers go here, once.
        request: RequestId,
        /// The stream that a SUBSCRIBE would open. Other calls ignore it.
        stream: ExecutorStreamId,
        /// The call in unversioned form.
        call: Box<executor::Call>,
    },
    /// A stream to a v1 executor broke or was closed by the executor.
    ExecutorStreamClosed {
        /// The stream.
        stream: ExecutorStreamId,
    },
    /// A launch asked for by [`crate::Effect::LaunchContainer`] ended.
    LaunchFinished {
        /// The container.
        container_id: ContainerId,
        /// On success what is known of the container (its `executor_pid`, networks, cgroups); on failure why, for
        /// people. A failed launch needs no [`Input::ContainerTerminated`]; one that comes is ignored.
        result: Result<Box<pb::ContainerStatus>, String>,
    },
    /// A container ended. Sent once for each launched or recovered container, asked for or not.
    ContainerTerminated {
        /// The container.
        container_id: ContainerId,
        /// How it ended.
        termination: ContainerTermination,
    },
    /// A container runs inside that of an executor: it was launched through the agent's API, or is there again after a
    /// restart.
    NestedContainerRunning {
        /// The container.
        container_id: ContainerId,
        /// What is known of it; told with updates of the task in it.
        status: Box<pb::ContainerStatus>,
    },
    /// A container inside that of an executor ended.
    NestedContainerEnded {
        /// The container.
        container_id: ContainerId,
    },
    /// Resources of a running container were changed as [`crate::Effect::UpdateContainer`] asked.
    ContainerUpdated {
        /// The container.
        container_id: ContainerId,
    },
    /// Resources of a running container could not be changed as [`crate::Effect::UpdateContainer`] asked.
    ContainerUpdateFailed {
        /// The container.
        container_id: ContainerId,
        /// Why, for people.
        error: String,
    },
    /// A checkpoint could not be written. An agent that cannot keep its promises stops.
    CheckpointFailed {
        /// The path that was to be written.
        path: PathBuf,
        /// Why, for people.
        error: String,
    },
    /// A folder that was to be removed is gone, or is not.
    FolderCollected {
        /// The folder, as in [`crate::Effect::CollectFolders`].
        path: PathBuf,
        /// What became of it.
        result: Collected,
    },
    /// The load of the machine was measured, or why it could not be.
    LoadMeasured(Result<LoadAverage, String>),
    /// The disk was measured: which share of the work directory's file system is used, from 0 to 1, or why that is not
    /// known.
    DiskMeasured(Result<f64, String>),
    /// The operator asked the agent to unregister and stop (SIGUSR1).
    UnregisterRequested {
        /// Who asked, for the log.
        by: String,
    },
}
