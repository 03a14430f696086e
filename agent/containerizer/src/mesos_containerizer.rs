//! The mesos containerizer for plain processes: interface and bookkeeping. The life of one container is in
//! `life.rs`, taking up earlier ones in `recovery.rs`.
//!
//! All work happens on a small runtime of its own, so that callers may await its futures anywhere and a slow disk
//! never holds up an actor.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use mesos::ids::ContainerId;
use mesos_proto::v0::mesos::network_info::IPAddress;
use mesos_proto::v0::mesos::{ContainerStatus, NetworkInfo, Resource, ResourceStatistics};
use nix::sys::signal::Signal;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{OwnedMutexGuard, oneshot, watch};
use tokio::task::JoinHandle;

use crate::checkpoint;
use crate::containerizer::{
    Config, ContainerKind, Containerizer, ContainerizerFuture, LaunchRequest, Launched, RecoverableContainer, Recovered,
};
use crate::error::ContainerizerError;
use crate::isolators::{self, Isolated, Isolation, IsolatorSettings};
use crate::paths;
use crate::process_tree::{self, TreeRoot};
use crate::registry::{Live, Registry};
use crate::termination::Termination;
use crate::{life, recovery, removal};

/// Threads that drive containers; blocking work has threads of its own.
const WORKER_THREADS: usize = 1;

/// Bytes in one unit of the resource `mem`.
const MEM_UNIT_BYTES: f64 = 1_048_576.0;

/// Runs containers as sessions of plain processes.
///
/// Dropping it leaves the containers running: a later agent recovers them.
pub struct MesosContainerizer {
    inner: Arc<Inner>,
    runtime: Option<Runtime>,
}

/// What the tasks of all containers share.
pub(crate) struct Inner {
    pub config: Config,
    pub isolation: Isolation,
    registry: Mutex<Registry>,
}

impl MesosContainerizer {
    /// Makes the containerizer and its threads.
    ///
    /// # Errors
    ///
    /// Names the isolator that is unknown or not supported; says when threads cannot be started.
    pub fn new(config: Config) -> Result<Self, ContainerizerError> {
        let isolation = isolators::create(IsolatorSettings {
            isolation: &config.isolation,
            work_dir: &config.work_dir,
            enforce_disk_quota: config.enforce_container_disk_quota,
            disk_watch_interval: config.container_disk_watch_interval,
        })?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKER_THREADS)
            .thread_name("containerizer")
            .enable_all()
            .build()
            .map_err(ContainerizerError::Runtime)?;
        let inner = Arc::new(Inner {
            config,
            isolation,
            registry: Mutex::default(),
        });
        Ok(Self {
            inner,
            runtime: Some(runtime),
        })
    }

    fn handle(&self) -> Option<&Handle> {
        self.runtime.as_ref().map(Runtime::handle)
    }

    /// Starts work now; the future only waits for it.
    fn start<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, ContainerizerError>> + Send + 'static,
    ) -> ContainerizerFuture<Result<T, ContainerizerError>> {
        let task = self.handle().map(|handle| handle.spawn(work));
        Box::pin(finished(task))
    }
}

async fn finished<T>(task: Option<JoinHandle<Result<T, ContainerizerError>>>) -> Result<T, ContainerizerError> {
    match task {
        Some(task) => task.await.map_err(|_| ContainerizerError::Stopped)?,
        None => Err(ContainerizerError::Stopped),
    }
}

impl Drop for MesosContainerizer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // The owner may be an async task itself, where waiting for threads is not allowed.
            runtime.shutdown_background();
        }
    }
}

impl Inner {
    /// The containers; a panic elsewhere leaves them as they were.
    pub fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a container that is to be launched and fills in what follows from its place; gives the channels of its
    /// life. A nested container is launched once; others may be launched again under the same id.
    fn enter(&self, container_id: &ContainerId, request: &mut LaunchRequest) -> Result<Channels, ContainerizerError> {
        let mut registry = self.registry();
        let ended = container_id.is_nested() && registry.termination(container_id).is_some();
        if registry.live.contains_key(container_id) || ended {
            return Err(ContainerizerError::AlreadyLaunched(container_id.clone()));
        }
        if let Some(parent) = container_id.parent() {
            let ready = |live: &&Live| live.root.is_some() && !*live.destroy.borrow();
            let around = registry.live.get(parent).filter(ready);
            let around = around.ok_or_else(|| ContainerizerError::ParentNotRunning {
                container_id: container_id.clone(),
            })?;
            request.sandbox = paths::nested_sandbox(&around.sandbox, container_id);
            request.user = request.user.take().or_else(|| around.user.clone());
        } else if request.kind == ContainerKind::Standalone {
            request.sandbox = paths::standalone_sandbox(&self.config.work_dir, container_id);
        }
        Ok(Self::add(&mut registry, container_id, request))
    }

    /// Enters a container of an earlier life of the agent.
    pub fn enter_again(&self, container_id: &ContainerId, request: &LaunchRequest) -> Channels {
        Self::add(&mut self.registry(), container_id, request)
    }

    fn add(registry: &mut Registry, container_id: &ContainerId, request: &LaunchRequest) -> Channels {
        let (destroy, destroyed) = watch::channel(false);
        let (publish, done) = watch::channel(None);
        let live = Live {
            sandbox: request.sandbox.clone(),
            user: request.user.clone(),
            resources: request.resources.clone(),
            limits: request.limits.clone(),
            root: None,
            changing: Arc::default(),
            destroy,
            done,
        };
        registry.live.insert(container_id.clone(), live);
        Channels { destroyed, publish }
    }

    /// Remembers a container's init.
    pub fn set_root(&self, container_id: &ContainerId, root: TreeRoot) {
        if let Some(live) = self.registry().live.get_mut(container_id) {
            live.root = Some(root);
        }
    }

    /// Sandbox of the outermost container around one, or of itself. `None`: there is no such container.
    pub fn outermost_sandbox(&self, container_id: &ContainerId) -> Option<PathBuf> {
        let registry = self.registry();
        registry.live.get(container_id.root()).map(|live| live.sandbox.clone())
    }

    /// Asks a container to end; gives where its end will be told. A container that has ended already gives that.
    fn ask_to_end(&self, container_id: &ContainerId) -> Option<watch::Receiver<Option<Termination>>> {
        let registry = self.registry();
        if let Some(live) = registry.live.get(container_id) {
            live.destroy.send_replace(true);
            return Some(live.done.clone());
        }
        registry
            .termination(container_id)
            .map(|termination| watch::channel(Some(termination.clone())).1)
    }

    fn kill(&self, container_id: &ContainerId, signal: i32) -> Result<bool, ContainerizerError> {
        let signal = Signal::try_from(signal).map_err(|_| ContainerizerError::BadSignal(signal))?;
        let Some(root) = self.registry().live.get(container_id).map(|live| live.root) else {
            return Ok(false);
        };
        tracing::info!(%container_id, %signal, "signalling a container");
        match root {
            Some(root) => process_tree::signal_root(root, signal),
            None => drop(self.ask_to_end(container_id)),
        }
        Ok(true)
    }

    /// Ends the containers nested in one, and waits for that.
    pub async fn destroy_nested(&self, container_id: &ContainerId) {
        let nested = self.registry().nested_in(container_id);
        let ends: Vec<_> = nested.iter().filter_map(|nested| self.ask_to_end(nested)).collect();
        for end in ends {
            told(end).await;
        }
    }

    /// Waits for the turn to change the sandbox of the outermost container around one: turns come in the order of the
    /// calls. `None`: there is no such container.
    pub async fn turn_to_change(&self, container_id: &ContainerId) -> Option<OwnedMutexGuard<()>> {
        let changing = self.registry().changing(container_id)?;
        Some(changing.lock_owned().await)
    }

    fn usage(&self, container_id: &ContainerId) -> Result<ResourceStatistics, ContainerizerError> {
        let unknown = || ContainerizerError::UnknownContainer(container_id.clone());
        let (root, resources, limits) = {
            let registry = self.registry();
            let live = registry.live.get(container_id).ok_or_else(unknown)?;
            (live.root, live.resources.clone(), live.limits.clone())
        };
        let mut statistics = ResourceStatistics::new();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        statistics.set_timestamp(now.as_secs_f64());
        if let Some(root) = root {
            let processes = process_tree::processes().map_err(|source| ContainerizerError::File {
                action: "read the processes of the host from",
                path: "/proc".into(),
                source,
            })?;
            let members = process_tree::members(&processes, root);
            for isolator in &self.isolation.isolators {
                isolator.usage(container_id, &members, &mut statistics);
            }
        }
        add_limits(&mut statistics, &resources, &limits);
        Ok(statistics)
    }

    fn update(
        &self,
        container_id: &ContainerId,
        resources: &[Resource],
        limits: &BTreeMap<String, f64>,
    ) -> Result<(), ContainerizerError> {
        let sandbox = {
            let mut registry = self.registry();
            let unknown = || ContainerizerError::UnknownContainer(container_id.clone());
            let live = registry.live.get_mut(container_id).ok_or_else(unknown)?;
            live.resources = resources.to_vec();
            live.limits.clone_from(limits);
            live.sandbox.clone()
        };
        let container = Isolated {
            container_id,
            sandbox: &sandbox,
            parent_sandbox: life::parent_sandbox(container_id, &sandbox),
            resources,
            limits,
            container_info: None,
        };
        for isolator in &self.isolation.isolators {
            isolator.update(container)?;
        }
        Ok(())
    }

    fn status(&self, container_id: &ContainerId) -> Result<ContainerStatus, ContainerizerError> {
        let registry = self.registry();
        let unknown = || ContainerizerError::UnknownContainer(container_id.clone());
        let live = registry.live.get(container_id).ok_or_else(unknown)?;
        let mut status = ContainerStatus::new();
        status.container_id = Some(container_id.to_proto()).into();
        status.executor_pid = live.root.and_then(|root| u32::try_from(root.pid).ok());
        if let Some(ip) = self.config.ip {
            let mut address = IPAddress::new();
            address.set_ip_address(ip.to_string());
            let mut network = NetworkInfo::new();
            network.ip_addresses.push(address);
            status.network_infos.push(network);
        }
        Ok(status)
    }
}

/// The two ends of a container's life that its task holds.
pub(crate) struct Channels {
    /// Turns true when the container shall end.
    pub destroyed: watch::Receiver<bool>,
    /// Takes the container's end.
    pub publish: watch::Sender<Option<Termination>>,
}

async fn told(mut end: watch::Receiver<Option<Termination>>) -> Option<Termination> {
    end.wait_for(Option::is_some)
        .await
        .ok()
        .and_then(|termination| termination.clone())
}

fn add_limits(statistics: &mut ResourceStatistics, resources: &[Resource], limits: &BTreeMap<String, f64>) {
    let requested = |name: &str| {
        let mut scalars = resources.iter().filter(|resource| resource.name() == name).peekable();
        scalars.peek()?;
        Some(scalars.map(|resource| resource.scalar.value()).sum::<f64>())
    };
    let host_cpus = || std::thread::available_parallelism().map_or(1.0, |cpus| cpus.get() as f64);
    statistics.cpus_soft_limit = requested("cpus");
    statistics.cpus_limit = limits
        .get("cpus")
        .map(|cpus| if cpus.is_finite() { *cpus } else { host_cpus() });
    statistics.mem_soft_limit_bytes = requested("mem").map(bytes_of_mem);
    statistics.mem_limit_bytes = match limits.get("mem") {
        Some(mem) if mem.is_finite() => Some(bytes_of_mem(*mem)),
        Some(_) => host_memory_bytes(),
        None => statistics.mem_soft_limit_bytes,
    };
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion saturates at both ends"
)]
fn bytes_of_mem(mem: f64) -> u64 {
    (mem * MEM_UNIT_BYTES) as u64
}

/// Memory of the host, from `/proc/meminfo`.
fn host_memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

impl Containerizer for MesosContainerizer {
    fn recover(&self, known: Vec<RecoverableContainer>) -> ContainerizerFuture<Result<Recovered, ContainerizerError>> {
        let inner = Arc::clone(&self.inner);
        self.start(recovery::recover(inner, known))
    }

    fn launch(
        &self,
        container_id: ContainerId,
        mut request: LaunchRequest,
    ) -> ContainerizerFuture<Result<Launched, ContainerizerError>> {
        let channels = match self.inner.enter(&container_id, &mut request) {
            Ok(channels) => channels,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        let (answer, launched) = oneshot::channel();
        if let Some(handle) = self.handle() {
            handle.spawn(life::run(
                Arc::clone(&self.inner),
                container_id,
                request,
                channels,
                answer,
            ));
        }
        Box::pin(async move { launched.await.unwrap_or(Err(ContainerizerError::Stopped)) })
    }

    fn wait(&self, container_id: ContainerId) -> ContainerizerFuture<Option<Termination>> {
        let registry = self.inner.registry();
        if let Some(live) = registry.live.get(&container_id) {
            return Box::pin(told(live.done.clone()));
        }
        let ended = registry.termination(&container_id).cloned();
        if ended.is_some() || !container_id.is_nested() {
            return Box::pin(std::future::ready(ended));
        }
        // It may have ended in an earlier life of the agent.
        let folder = paths::container_dir(&self.inner.config.runtime_dir, &container_id);
        let recorded = self.start(blocking(move || {
            let path = paths::termination(&folder);
            checkpoint::read_message(&path).map_err(|source| ContainerizerError::File {
                action: "read",
                path,
                source,
            })
        }));
        Box::pin(async move { recorded.await.ok().flatten().as_ref().map(Termination::from_proto) })
    }

    fn update(
        &self,
        container_id: ContainerId,
        resources: Vec<Resource>,
        limits: BTreeMap<String, f64>,
    ) -> ContainerizerFuture<Result<(), ContainerizerError>> {
        let inner = Arc::clone(&self.inner);
        self.start(async move {
            let _turn = inner.turn_to_change(&container_id).await;
            blocking(move || inner.update(&container_id, &resources, &limits)).await
        })
    }

    fn usage(&self, container_id: ContainerId) -> ContainerizerFuture<Result<ResourceStatistics, ContainerizerError>> {
        let inner = Arc::clone(&self.inner);
        self.start(blocking(move || inner.usage(&container_id)))
    }

    fn status(&self, container_id: ContainerId) -> ContainerizerFuture<Result<ContainerStatus, ContainerizerError>> {
        Box::pin(std::future::ready(self.inner.status(&container_id)))
    }

    fn destroy(&self, container_id: ContainerId) -> ContainerizerFuture<Option<Termination>> {
        match self.inner.ask_to_end(&container_id) {
            Some(end) => Box::pin(told(end)),
            None => Box::pin(std::future::ready(None)),
        }
    }

    fn kill(&self, container_id: ContainerId, signal: i32) -> ContainerizerFuture<Result<bool, ContainerizerError>> {
        Box::pin(std::future::ready(self.inner.kill(&container_id, signal)))
    }

    fn remove(&self, container_id: ContainerId) -> ContainerizerFuture<Result<(), ContainerizerError>> {
        let inner = Arc::clone(&self.inner);
        self.start(blocking(move || removal::remove(&inner, &container_id)))
    }

    fn containers(&self) -> Vec<ContainerId> {
        self.inner.registry().live.keys().cloned().collect()
    }
}

/// Runs work that may block on a thread made for that.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ContainerizerError> + Send + 'static,
) -> Result<T, ContainerizerError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| ContainerizerError::Stopped)?
}
