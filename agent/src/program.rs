//! The program `mesos-agent`, and the same agent as part of another program.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use libprocess::{Node, NodeConfig, NodeError, ProcessId, ProcessRef, Upid};
use mesos::detector::{MasterLocation, MasterLocationError};
use mesos::flags::Flags;
use mesos_agent_core::{Agent, Input};
use mesos_containerizer::{Containerizer, ContainerizerError, MesosContainerizer};
use mesos_node::{SettingsError, Started, describe};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::checkpoint::CheckpointWriter;
use crate::http;
use crate::http::state::Identity;
use crate::process::{AgentProcess, Ended, Parts};
use crate::settings::{self, Folders};

/// Programs that an agent starts from its launcher folder.
const LAUNCHER_PROGRAMS: &[&str] = &[
    "mesos-containerizer",
    "mesos-default-executor",
    "mesos-executor",
    "mesos-fetcher",
];

/// Why an agent could not be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// A flag's value cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The master's location cannot be followed.
    #[error("flag --master: {0}")]
    Master(#[from] MasterLocationError),
    /// The master's host is unknown.
    #[error("flag --master: cannot resolve the host of '{0}'")]
    Resolve(String),
    /// The address cannot be had, or the environment of the runtime is wrong.
    #[error("cannot listen")]
    Node(#[from] NodeError),
    /// The containerizer cannot work as it was asked to.
    #[error("cannot set the containerizer up")]
    Containerizer(#[from] ContainerizerError),
    /// A folder or thread cannot be had.
    #[error("cannot prepare {what}")]
    Prepare {
        /// What was to be prepared.
        what: String,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// What happens to running containers when an agent is stopped from inside its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMode {
    /// They go on; the next agent on the same work folder adopts them.
    LeaveContainers,
    /// They are destroyed first.
    DestroyContainers,
}

/// An agent that runs in this program.
pub struct RunningAgent {
    node: Node,
    process: ProcessRef<AgentProcess>,
    containerizer: Arc<dyn Containerizer>,
    ended: watch::Receiver<Ended>,
}

impl RunningAgent {
    /// The node it lives in.
    #[must_use]
    pub const fn node(&self) -> &Node {
        &self.node
    }

    /// Its address.
    #[must_use]
    pub fn pid(&self) -> &Upid {
        self.process.pid()
    }

    /// The process, for tests that look inside.
    #[must_use]
    pub const fn process(&self) -> &ProcessRef<AgentProcess> {
        &self.process
    }

    /// Waits until the agent ends by itself.
    pub async fn ended(&self) -> Ended {
        let mut ended = self.ended.clone();
        let ended = ended
            .wait_for(|ended| *ended != Ended::Running)
            .await
            .ok()
            .map(|ended| ended.clone());
        ended.unwrap_or_else(|| Ended::Failed("the agent's process is gone".to_owned()))
    }

    /// Asks the agent to unregister from its master, end its executors and end.
    pub fn unregister(&self, by: &str) {
        let by = by.to_owned();
        self.process
            .dispatch(move |agent, context| agent.apply(Input::UnregisterRequested { by }, context));
    }

    /// Ends the agent and frees its address.
    pub async fn stop(self, mode: StopMode) {
        self.process.terminate();
        self.process.wait().await;
        if mode == StopMode::DestroyContainers {
            for container in self.containerizer.containers() {
                self.containerizer.destroy(container).await;
            }
        }
        self.node.stop().await;
    }
}

/// Starts an agent with these flags on a node of its own.
///
/// # Errors
///
/// Tells which flag is wrong or what cannot be had.
pub async fn start(flags: &Flags, node: NodeConfig) -> Result<RunningAgent, StartError> {
    let master = locate_master(flags).await?;
    let mut config = mesos_node::node_config(flags, node)?;
    config.readonly_realm = Some(http::READONLY_REALM.to_owned());
    config.readwrite_realm = Some(http::READWRITE_REALM.to_owned());
    let node = Node::start(config).await?;
    match spawn(flags, master, &node) {
        Ok(agent) => {
            agent.process.ready().await;
            Ok(agent)
        }
        Err(error) => {
            node.stop().await;
            Err(error)
        }
    }
}

async fn locate_master(flags: &Flags) -> Result<Upid, StartError> {
    let text = flags.string("master");
    let MasterLocation::Address { host, port } = MasterLocation::parse(text)?;
    let upid = libprocess::resolve_upid(&format!("master@{host}:{port}")).await;
    upid.map_err(|_| StartError::Resolve(text.to_owned()))
}

fn spawn(flags: &Flags, master: Upid, node: &Node) -> Result<RunningAgent, StartError> {
    // One agent a node: the first numbered id.
    let pid = node.pid("slave(1)");
    let folders = Folders::prepare(flags)?;
    let launcher_dir = launcher_dir(flags, &folders.work_dir)?;
    let config = settings::agent_config(flags, &pid, &folders, launcher_dir.clone())?;
    let containerizer = settings::containerizer_config(flags, &pid, &folders, &launcher_dir);
    let containerizer: Arc<dyn Containerizer> = Arc::new(MesosContainerizer::new(containerizer)?);
    let prepare = |what: &str| {
        let what = what.to_owned();
        move |source| StartError::Prepare { what, source }
    };
    let writer = CheckpointWriter::start().map_err(prepare("the thread of checkpoints"))?;
    let shown: BTreeMap<String, String> = flags
        .as_json()
        .into_iter()
        .map(|(name, value)| (name, value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    let identity = Identity {
        flags: shown,
        version: node.config().version.clone(),
    };
    let (sender, ended) = watch::channel(Ended::Running);
    node.set_delegate("slave(1)");
    let given = Arc::clone(&containerizer);
    let files = mesos_node::files::spawn(node);
    let stream_heartbeat = flags.duration("http_heartbeat_interval");
    let now = node.clock().now();
    let process = node.spawn(ProcessId::Numbered("slave"), move || {
        let core = Agent::new(config, now);
        AgentProcess::new(Parts {
            core,
            containerizer: given,
            writer,
            master,
            identity,
            files,
            stream_heartbeat,
            ended: sender,
        })
    });
    Ok(RunningAgent {
        node: node.clone(),
        process,
        containerizer,
        ended,
    })
}

/// Folder of the helper programs: the flag, the folder of this executable when they lie there, or a folder of links to
/// this executable, which is every program.
fn launcher_dir(flags: &Flags, work_dir: &Path) -> Result<PathBuf, StartError> {
    if flags.is_given("launcher_dir") {
        return Ok(PathBuf::from(flags.string("launcher_dir")));
    }
    let prepare = |what: String| move |source| StartError::Prepare { what, source };
    let executable = std::env::current_exe().map_err(prepare("the path of this executable".to_owned()))?;
    let beside = executable.parent().map(Path::to_owned).unwrap_or_default();
    if LAUNCHER_PROGRAMS.iter().all(|program| beside.join(program).is_file()) {
        return Ok(beside);
    }
    let folder = work_dir.join("libexec");
    std::fs::create_dir_all(&folder).map_err(prepare(folder.display().to_string()))?;
    for program in LAUNCHER_PROGRAMS {
        let link = folder.join(program);
        match std::fs::remove_file(&link) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(prepare(link.display().to_string())(error));
            }
            _ => {}
        }
        std::os::unix::fs::symlink(&executable, &link).map_err(prepare(link.display().to_string()))?;
    }
    Ok(folder.canonicalize().unwrap_or(folder))
}

/// Runs the program with all its arguments, its name first.
#[must_use]
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    match mesos_node::flags_or_exit("mesos-agent", &mesos::flags::agent::FLAGS, arguments) {
        Started::Run(flags) => mesos_node::main("mesos-agent", serve(*flags)),
        Started::End(code) => code,
    }
}

async fn serve(flags: Flags) -> Result<(), String> {
    let node = NodeConfig::from_env().map_err(|error| describe(&error))?;
    let agent = start(&flags, node).await.map_err(|error| describe(&error))?;
    tracing::info!(upid = %agent.pid(), "agent started");
    let cannot_wait = |error: std::io::Error| format!("cannot wait for signals: {error}");
    let mut unregister = signal(SignalKind::user_defined1()).map_err(cannot_wait)?;
    let failure = loop {
        tokio::select! {
            ended = agent.ended() => break match ended {
                Ended::Failed(reason) => Some(reason),
                Ended::Asked(_) | Ended::Running => None,
            },
            asked = mesos_node::asked_to_end() => break asked.err().map(|error| error.to_string()),
            _ = unregister.recv() => agent.unregister("SIGUSR1"),
        }
    };
    agent.stop(StopMode::LeaveContainers).await;
    failure.map_or(Ok(()), Err)
}
