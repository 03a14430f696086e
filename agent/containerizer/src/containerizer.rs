//! The containerizer interface: what an agent asks for, and what it gets back.
//!
//! Every call returns a future that needs no particular runtime and borrows nothing, so that an actor can hand it to
//! its own executor and take the result as an input. All calls may be made again: launching a known container is an
//! error, destroying an unknown one answers `None`.

use std::collections::BTreeMap;
use std::future::Future;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use mesos::ids::ContainerId;
use mesos_proto::v0::mesos::{
    CommandInfo, ContainerInfo, ContainerStatus, ExecutorInfo, Resource, ResourceStatistics, TaskInfo,
};

use crate::error::ContainerizerError;
use crate::termination::Termination;

/// A future of the containerizer: owns what it needs, runs on any executor.
pub type ContainerizerFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// What a container is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContainerKind {
    /// It runs an executor, or inside another container a task. An agent that comes back takes it up when it knows
    /// the outermost container.
    #[default]
    Managed,
    /// An outermost container without an executor: its sandbox is `containers/ID` below the work directory, and the
    /// runtime directory alone tells a later agent of it.
    Standalone,
    /// A look into the container around it: environment and working directory are that one's. An agent that comes
    /// back ends it.
    Debug,
}

/// Where the output of a container goes.
#[derive(Clone, Debug, Default)]
pub enum ContainerOutput {
    /// To the files `stdout` and `stderr` of the sandbox.
    #[default]
    Sandbox,
    /// To pipes whose other ends the caller holds. They end with the container.
    Pipes {
        /// Takes standard output.
        stdout: Arc<OwnedFd>,
        /// Takes standard error.
        stderr: Arc<OwnedFd>,
    },
}

/// How a container is to be started.
///
/// Ids and sandbox are taken as they are; the caller has validated them.
#[derive(Clone, Debug, Default)]
pub struct LaunchRequest {
    /// What to run. Its URIs are fetched into the sandbox first; its environment variables are laid over
    /// [`LaunchRequest::environment`]; secrets must carry their value.
    pub command: CommandInfo,
    /// What the container is for.
    pub kind: ContainerKind,
    /// Host path of the sandbox. Made (mode 0750) when it is missing; given to `user` when one is named. Containers
    /// inside others and standalone ones have theirs at fixed places: what stands here is not looked at.
    pub sandbox: PathBuf,
    /// Where its output goes.
    pub output: ContainerOutput,
    /// The whole environment of the process. The containerizer adds `MESOS_SANDBOX`, and the command's own variables;
    /// nothing of the agent's environment leaks in.
    pub environment: BTreeMap<String, String>,
    /// Account to run as; needs an agent that runs as root. `None` keeps the agent's account, or in a nested
    /// container that of its parent.
    pub user: Option<String>,
    /// Resources that the container may count on (requests).
    pub resources: Vec<Resource>,
    /// Ceilings by resource name where they differ from the requests; infinity lifts the ceiling.
    pub limits: BTreeMap<String, f64>,
    /// Container settings: resource limits of processes and volumes of type SANDBOX_PATH are read from it; images and
    /// other volumes are refused.
    pub container_info: Option<ContainerInfo>,
    /// The executor that this container belongs to; only recorded.
    pub executor_info: Option<ExecutorInfo>,
    /// The command task that the container was made for; only recorded.
    pub task_info: Option<TaskInfo>,
    /// Where to write the pid of the container's first process (`pids/forked.pid`) before it may run anything.
    pub pid_checkpoint: Option<PathBuf>,
    /// Folder that relative URIs start from (the flag `frameworks_home`).
    pub frameworks_home: Option<PathBuf>,
}

/// A container that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launched {
    /// Process id of the container's init.
    pub pid: u32,
}

/// A container that a restarted agent knows from its checkpoints.
#[derive(Clone, Debug)]
pub struct RecoverableContainer {
    /// The container.
    pub container_id: ContainerId,
    /// Process id of its init, from `pids/forked.pid`.
    pub pid: u32,
    /// Host path of the sandbox.
    pub sandbox: PathBuf,
    /// Its resources, for statistics.
    pub resources: Vec<Resource>,
    /// Its ceilings, for statistics.
    pub limits: BTreeMap<String, f64>,
}

/// What recovery found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Containers that are watched again; each is answered by [`Containerizer::wait`], also when it has ended since.
    pub containers: Vec<ContainerId>,
    /// Containers found in the runtime directory that no checkpoint names; they are being destroyed.
    pub orphans: Vec<ContainerId>,
}

/// Launches, watches and ends containers.
pub trait Containerizer: Send + Sync + 'static {
    /// Takes up the containers of an earlier life of the agent: those that it names, those nested in them, and
    /// standalone ones. All others are destroyed.
    fn recover(&self, known: Vec<RecoverableContainer>) -> ContainerizerFuture<Result<Recovered, ContainerizerError>>;

    /// Prepares, isolates, fetches and starts a container. Ready once the command may run. After an error nothing of
    /// the container is left.
    fn launch(
        &self,
        container_id: ContainerId,
        request: LaunchRequest,
    ) -> ContainerizerFuture<Result<Launched, ContainerizerError>>;

    /// Waits until the container and every process in it has ended. `None`: no such container. The end of a nested
    /// container is known until it is removed or its outermost container ends.
    fn wait(&self, container_id: ContainerId) -> ContainerizerFuture<Option<Termination>>;

    /// Changes the container's resources.
    fn update(
        &self,
        container_id: ContainerId,
        resources: Vec<Resource>,
        limits: BTreeMap<String, f64>,
    ) -> ContainerizerFuture<Result<(), ContainerizerError>>;

    /// Measures the container.
    fn usage(&self, container_id: ContainerId) -> ContainerizerFuture<Result<ResourceStatistics, ContainerizerError>>;

    /// Tells the container's first process and network.
    fn status(&self, container_id: ContainerId) -> ContainerizerFuture<Result<ContainerStatus, ContainerizerError>>;

    /// Kills every process of the container (nested containers first) and cleans up. Answers when that is done;
    /// `None`: no such container. A second call waits for the first.
    fn destroy(&self, container_id: ContainerId) -> ContainerizerFuture<Option<Termination>>;

    /// Sends a signal to the container's first process, which passes it on to its command; `KILL` ends the container.
    /// A container without a process yet is destroyed. Answers false when there is no such container.
    fn kill(&self, container_id: ContainerId, signal: i32) -> ContainerizerFuture<Result<bool, ContainerizerError>>;

    /// Removes what an ended container left: its sandbox and the memory of its end. Only for nested and standalone
    /// containers; the sandboxes of executors have their own time.
    fn remove(&self, container_id: ContainerId) -> ContainerizerFuture<Result<(), ContainerizerError>>;

    /// The containers that run or are being started or ended.
    fn containers(&self) -> Vec<ContainerId>;
}

/// How the program that starts containers is called.
///
/// It must end up in [`crate::program::run`] with the arguments after those named here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelperCommand {
    /// Executable file.
    pub program: PathBuf,
    /// What the program is told its own name is (`argv[0]`); multi-call executables go by it.
    pub name: String,
    /// Arguments before the containerizer's own.
    pub arguments: Vec<String>,
}

impl HelperCommand {
    /// The program `mesos-containerizer` in `launcher_dir`.
    #[must_use]
    pub fn in_launcher_dir(launcher_dir: impl Into<PathBuf>) -> Self {
        let program = launcher_dir.into().join("mesos-containerizer");
        Self {
            program,
            name: "mesos-containerizer".to_owned(),
            arguments: Vec::new(),
        }
    }

    /// The running executable itself, called as `mesos-containerizer`. It stays the same one when the file is
    /// replaced by another version.
    #[must_use]
    pub fn current_executable() -> Self {
        let program = PathBuf::from("/proc/self/exe");
        Self {
            program,
            name: "mesos-containerizer".to_owned(),
            arguments: Vec::new(),
        }
    }
}

/// Settings of the containerizer.
#[derive(Clone, Debug)]
pub struct Config {
    /// The agent's `work_dir`: persistent volumes stand there.
    pub work_dir: PathBuf,
    /// The agent's `runtime_dir`.
    pub runtime_dir: PathBuf,
    /// How the launch helper is called.
    pub helper: HelperCommand,
    /// Isolator names as in the flag `isolation`.
    pub isolation: String,
    /// Whether containers that keep more on disk than they asked for are ended (the isolator `disk/du`).
    pub enforce_container_disk_quota: bool,
    /// Time between looks at what containers keep on disk.
    pub container_disk_watch_interval: Duration,
    /// Whether containers run as the user of their request (the flag `switch_user`).
    pub switch_user: bool,
    /// Longest stall of a download (the flag `fetcher_stall_timeout`).
    pub fetcher_stall_timeout: Duration,
    /// Address to report as the container's network address.
    pub ip: Option<std::net::IpAddr>,
}
