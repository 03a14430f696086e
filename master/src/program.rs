//! The program `mesos-master`, and the same master as part of another program.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libprocess::{Node, NodeConfig, NodeError, ProcessId, ProcessRef, Upid};
use mesos::flags::Flags;
use mesos_allocator::HierarchicalAllocator;
use mesos_master_core::Master;
use mesos_node::{SettingsError, Started, describe};
use mesos_registrar::{DiskStorage, MemoryStorage, Storage};
use thiserror::Error;
use tokio::sync::watch;

use crate::http::companions::{ConstraintsPage, RegistryPage};
use crate::http::render::Identity;
use crate::process::MasterProcess;
use crate::registry::{Patience, RegistryKeeper};
use crate::registry_files::FolderFiles;
use crate::settings;
use crate::whitelist::{self, WhitelistWatcher};

/// Folder of the registry inside the master's work folder.
const REGISTRY_FOLDER: &str = "registry";

/// Why a master could not be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// A flag's value cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// There is no folder for the registry.
    #[error(
        "--registry=disk needs --work_dir to keep the registry in; --registry=in_memory needs none and keeps nothing"
    )]
    NoFolder,
    /// The folder of the registry cannot be used.
    #[error("cannot use {folder} for the registry")]
    Registry {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The address cannot be had, or the environment of the runtime is wrong.
    #[error("cannot listen")]
    Node(#[from] NodeError),
}

/// A master that runs in this program.
pub struct RunningMaster {
    node: Node,
    process: ProcessRef<MasterProcess>,
    failure: watch::Receiver<Option<String>>,
}

impl RunningMaster {
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
    pub const fn process(&self) -> &ProcessRef<MasterProcess> {
        &self.process
    }

    /// Waits until the master ends by itself and tells why.
    pub async fn failed(&self) -> String {
        let mut failure = self.failure.clone();
        let reason = failure
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|reason| reason.clone());
        reason.unwrap_or_else(|| "the master's process is gone".to_owned())
    }

    /// Ends the master and frees its address.
    pub async fn stop(self) {
        self.process.terminate();
        self.process.wait().await;
        self.node.stop().await;
    }
}

/// Starts a master with these flags on a node of its own.
///
/// # Errors
///
/// Tells which flag is wrong or why the address cannot be had.
pub async fn start(flags: &Flags, node: NodeConfig) -> Result<RunningMaster, StartError> {
    let storage = storage(flags)?;
    start_with(flags, node, storage).await
}

/// Starts a master whose registry is kept in this storage.
pub(crate) async fn start_with(
    flags: &Flags,
    node: NodeConfig,
    storage: Box<dyn Storage>,
) -> Result<RunningMaster, StartError> {
    let node = Node::start(mesos_node::node_config(flags, node)?).await?;
    match spawn(flags, &node, storage) {
        Ok((process, failure)) => {
            process.ready().await;
            Ok(RunningMaster { node, process, failure })
        }
        Err(error) => {
            node.stop().await;
            Err(error)
        }
    }
}

type Spawned = (ProcessRef<MasterProcess>, watch::Receiver<Option<String>>);

fn spawn(flags: &Flags, node: &Node, storage: Box<dyn Storage>) -> Result<Spawned, StartError> {
    let seed = uuid::Uuid::new_v4().as_u64_pair().0;
    let info = settings::master_info(flags, &node.pid("master"))?;
    let config = settings::master_config(flags, info, seed)?;
    let allocator = HierarchicalAllocator::new(settings::allocator_options(flags, seed)?);
    let shown: BTreeMap<String, String> = flags
        .as_json()
        .into_iter()
        .map(|(name, value)| (name, value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    let identity = Identity {
        started: node.clock().now(),
        flags: shown,
        version: node.config().version.clone(),
    };
    let patience = Patience {
        fetch: flags.duration("registry_fetch_timeout"),
        store: flags.duration("registry_store_timeout"),
    };
    let registry = RegistryKeeper::new(storage, patience);
    let files = mesos_node::files::spawn(node);
    let (sender, failure) = watch::channel(None);
    node.set_delegate("master");
    let process = node.spawn(ProcessId::Exact("master"), move || {
        let core = Master::new(config, Box::new(allocator));
        MasterProcess::new(core, registry, identity, files, sender)
    });
    if let Some(path) = flags.text("whitelist").and_then(whitelist::path_of) {
        let watcher = WhitelistWatcher::new(path, process.clone());
        node.spawn(ProcessId::Numbered("whitelist"), move || watcher);
    }
    let page = RegistryPage::new(process.clone());
    node.spawn(ProcessId::Exact("registrar(1)"), move || page);
    let page = ConstraintsPage::new(process.clone());
    node.spawn(ProcessId::Exact("allocator"), move || page);
    Ok((process, failure))
}

/// Where the registry is kept (`--registry`).
fn storage(flags: &Flags) -> Result<Box<dyn Storage>, StartError> {
    if flags.string("registry") == "in_memory" {
        return Ok(Box::new(MemoryStorage::new()));
    }
    let Some(work_dir) = flags.text("work_dir") else {
        return Err(StartError::NoFolder);
    };
    let folder = Path::new(work_dir).join(REGISTRY_FOLDER);
    match FolderFiles::open(&folder) {
        Ok(files) => Ok(Box::new(DiskStorage::new(files))),
        Err(source) => Err(StartError::Registry { folder, source }),
    }
}

/// Runs the program with all its arguments, its name first.
#[must_use]
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    match mesos_node::flags_or_exit("mesos-master", &mesos::flags::master::FLAGS, arguments) {
        Started::Run(flags) => mesos_node::main("mesos-master", serve(*flags)),
        Started::End(code) => code,
    }
}

async fn serve(flags: Flags) -> Result<(), String> {
    let node = NodeConfig::from_env().map_err(|error| describe(&error))?;
    let master = start(&flags, node).await.map_err(|error| describe(&error))?;
    tracing::info!(upid = %master.pid(), "master started");
    let failure = tokio::select! {
        reason = master.failed() => Some(reason),
        asked = mesos_node::asked_to_end() => asked.err().map(|error| error.to_string()),
    };
    master.stop().await;
    failure.map_or(Ok(()), Err)
}
