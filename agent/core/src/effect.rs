//! Everything that an agent may want done.
//!
//! The shell carries out the effects of a step in their order. A checkpoint holds the effects that may only follow it;
//! effects behind a checkpoint in the list do not wait for it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use libprocess_types::Upid;
use mesos::Message;
use mesos_proto::v0::executor;
use mesos_proto::v0::mesos as pb;

use crate::input::{AgentTimer, ExecutorStreamId, RequestId};
use mesos::ids::{ContainerId, ExecutorId, FrameworkId};

/// Whether a file must be on the disk, and not only with the kernel, before the write counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// `write` and `rename` are enough; survives the agent, not the host.
    Written,
    /// `fsync` too.
    Synced,
}

/// One change on the disk. Parent directories are made as needed, with mode 0755.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckpointWrite {
    /// Replaces a file atomically: temporary file beside it, then rename. The bytes are complete, framing included.
    File {
        /// The file.
        path: PathBuf,
        /// Its content.
        bytes: Vec<u8>,
        /// When the write counts as done.
        durability: Durability,
    },
    /// Appends one framed record to a log, which is created when missing.
    Append {
        /// The log.
        path: PathBuf,
        /// The record, framing included.
        bytes: Vec<u8>,
        /// When the write counts as done.
        durability: Durability,
    },
    /// Makes a symbolic link, replacing an older one.
    Symlink {
        /// Where the link stands.
        link: PathBuf,
        /// What it points at, absolute.
        target: PathBuf,
    },
    /// Renames a file over another.
    Rename {
        /// The old name.
        from: PathBuf,
        /// The new name.
        to: PathBuf,
    },
    /// Removes a file, link or directory tree; one that is missing is no error.
    Remove {
        /// What goes.
        path: PathBuf,
    },
    /// Makes the folder of a persistent volume, mode 0755; one that is there keeps its content.
    MakeVolume {
        /// The folder.
        path: PathBuf,
    },
    /// Removes all data of a persistent volume; a folder that is missing is no error.
    RemoveVolume {
        /// The folder.
        path: PathBuf,
        /// The folder itself stays: it is where a disk is mounted.
        is_mount: bool,
    },
    /// Makes a sandbox: mode 0750, owned by `user` when given.
    Sandbox {
        /// The directory.
        path: PathBuf,
        /// Its owner; unknown users are an error.
        user: Option<String>,
    },
}

impl CheckpointWrite {
    /// The path that changes.
    #[must_use]
    pub fn path(&self) -> &PathBuf {
        match self {
            Self::File { path, .. }
            | Self::Append { path, .. }
            | Self::Remove { path }
            | Self::MakeVolume { path }
            | Self::RemoveVolume { path, .. }
            | Self::Sandbox { path, .. } => path,
            Self::Symlink { link, .. } => link,
            Self::Rename { to, .. } => to,
        }
    }
}

/// Everything a containerizer needs to launch an executor.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerLaunch {
    /// The new container.
    pub container_id: ContainerId,
    /// The framework it belongs to.
    pub framework_id: FrameworkId,
    /// The executor it runs.
    pub executor_id: ExecutorId,
    /// The executor, with its command. `resources` are the executor's own.
    pub executor_info: pb::ExecutorInfo,
    /// The task of a command executor; its container image and volumes apply to the container.
    pub task: Option<pb::TaskInfo>,
    /// What the container may use: executor and queued tasks together.
    pub resources: Vec<pb::Resource>,
    /// Ceilings by resource name, where tasks set any; infinity lifts the ceiling.
    pub limits: BTreeMap<String, f64>,
    /// The sandbox on the host; it exists when the effect is carried out.
    pub directory: PathBuf,
    /// The user to run as; the agent's own when unset.
    pub user: Option<String>,
    /// Variables that the agent sets for the executor, over whatever the containerizer starts from. The variables of
    /// the executor's command come on top.
    pub environment: Vec<(String, String)>,
    /// Where the process id of the first process is checkpointed, for frameworks that checkpoint.
    pub forked_pid_path: Option<PathBuf>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Sends a libprocess message from the agent's own process.
    Send {
        /// The receiver.
        to: Upid,
        /// The message.
        message: Message,
    },
    /// Links to a process: its end comes back as [`crate::Input::Exited`].
    Link(Upid),
    /// Answers a SUBSCRIBE with 200 and opens its stream.
    OpenStream {
        /// The request to answer.
        request: RequestId,
        /// The stream that opens.
        stream: ExecutorStreamId,
    },
    /// Sends an event to a v1 executor; the shell turns it into v1 and encodes it. Streams that are gone swallow it.
    StreamEvent {
        /// The stream.
        stream: ExecutorStreamId,
        /// The event in unversioned form.
        event: Box<executor::Event>,
    },
    /// Closes a stream; no [`crate::Input::ExecutorStreamClosed`] is needed for it.
    CloseStream(ExecutorStreamId),
    /// Answers an HTTP request other than a successful SUBSCRIBE.
    Reply {
        /// The request.
        request: RequestId,
        /// HTTP status.
        status: u16,
        /// Plain text; empty for none.
        body: String,
    },
    /// Changes the disk, in order, then carries out the held effects. Checkpoints are carried out one after another in
    /// the order they were asked for, over all steps: one without writes is a barrier that waits for earlier ones.
    /// When a write fails, the held effects and all later checkpoints are dropped and
    /// [`crate::Input::CheckpointFailed`] is the answer.
    Checkpoint {
        /// The changes.
        writes: Vec<CheckpointWrite>,
        /// What may only happen once they are done.
        then: Vec<Effect>,
    },
    /// Launches a container; [`crate::Input::LaunchFinished`] is the answer.
    LaunchContainer(Box<ContainerLaunch>),
    /// Kills everything in a container and cleans up. Unknown containers are ignored.
    DestroyContainer {
        /// The container.
        container_id: ContainerId,
    },
    /// Changes what a running container may use; [`crate::Input::ContainerUpdated`] or
    /// [`crate::Input::ContainerUpdateFailed`] is the answer, one for each.
    UpdateContainer {
        /// The container.
        container_id: ContainerId,
        /// Its resources from now on.
        resources: Vec<pb::Resource>,
        /// Its ceilings from now on, as in [`ContainerLaunch::limits`].
        limits: BTreeMap<String, f64>,
    },
    /// Sets a timer, replacing an earlier one of the same name.
    SetTimer {
        /// Its name.
        timer: AgentTimer,
        /// From now.
        after: Duration,
    },
    /// Drops a timer; one that is not set is no error.
    CancelTimer(AgentTimer),
    /// Removes folders of finished work. Each is out of the way before any later checkpoint is written; deleting it may
    /// take its time. [`crate::Input::FolderCollected`] is the answer for each. Failures stop nothing.
    CollectFolders {
        /// The folders, not links.
        paths: Vec<PathBuf>,
    },
    /// Measures the load averages of the machine; [`crate::Input::LoadMeasured`] is the answer.
    MeasureLoad,
    /// Measures the file system of the work directory; [`crate::Input::DiskMeasured`] is the answer.
    MeasureDisk,
    /// Asks the detector for the leading master anew; the answer is [`crate::Input::MasterDetected`].
    Redetect,
    /// Stops the agent process, after every earlier effect was carried out.
    Shutdown {
        /// Why.
        reason: ShutdownReason,
    },
}

/// Why an agent stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShutdownReason {
    /// It was told to: by the master, an operator, or after a cleanup.
    Asked {
        /// For people.
        message: String,
    },
    /// It cannot go on without breaking a promise; the exit status is not zero.
    Failed {
        /// For people.
        message: String,
    },
}
