//! A node: one listening address, some threads, and the processes that live behind it.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::{Arbiter, System};
use actix_rt::ArbiterHandle;
use bytes::Bytes;
use libprocess_types::Upid;

use crate::clock::{Clock, SystemClock};
use crate::config::NodeConfig;
use crate::error::NodeError;
use crate::host::Host;
use crate::http::auth::AccessRules;
use crate::http::{Request, Responder};
use crate::links::{LinkMode, Links};
use crate::mailbox::{Mailbox, MailboxHandle, QueuedEvents, Stage};
use crate::metrics::Metrics;
use crate::process::{Process, ProcessId, ProcessRef};
use crate::registry::{Registry, RouteInfo, RouteTarget};
use crate::resolve::first_ipv4;
use crate::wire::Outbound;

/// How long [`Node::stop`] waits for processes to finish and for messages to leave.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// The threads of a node.
struct Threads {
    workers: Vec<ArbiterHandle>,
    io: Vec<ArbiterHandle>,
    system: System,
    main: Mutex<Option<std::thread::JoinHandle<()>>>,
}

struct NodeInner {
    config: NodeConfig,
    address: SocketAddrV4,
    bound: SocketAddrV4,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    access: AccessRules,
    registry: Registry,
    links: Arc<Links>,
    outbound: Outbound,
    numbers: Mutex<HashMap<String, u64>>,
    next_worker: AtomicUsize,
    threads: Threads,
}

/// A running node. Clones share it. Call [`Node::stop`] when done: dropping the last clone leaves its threads running.
#[derive(Clone)]
pub struct Node(Arc<NodeInner>);

impl Node {
    /// Binds the address, starts the threads, spawns the built-in processes and begins to accept connections.
    ///
    /// May be called from any asynchronous runtime; the node runs on threads of its own.
    ///
    /// # Errors
    ///
    /// Fails when the address cannot be bound, none can be advertised, or threads cannot be started.
    pub async fn start(config: NodeConfig) -> Result<Self, NodeError> {
        let listener = crate::wire::listen(SocketAddrV4::new(
            config.ip.unwrap_or(Ipv4Addr::UNSPECIFIED),
            config.port,
        ))?;
        let bound = match listener.local_addr() {
            Ok(SocketAddr::V4(bound)) => bound,
            Ok(SocketAddr::V6(_)) => return Err(NodeError::NoAddress),
            Err(error) => return Err(NodeError::Thread(error)),
        };
        let address = advertised_address(&config, bound).await?;
        let clock: Arc<dyn Clock> = match &config.clock {
            Some(clock) => Arc::clone(clock),
            None => Arc::new(SystemClock::new()?),
        };
        let threads = start_threads(&config).await?;
        let links = Arc::new(Links::default());
        let outbound = Outbound::new(address, threads.io.clone(), Arc::clone(&links));
        let node = Self(Arc::new(NodeInner {
            address,
            bound,
            clock,
            metrics: Metrics::default(),
            access: AccessRules::default(),
            registry: Registry::default(),
            links,
            outbound,
            numbers: Mutex::default(),
            next_worker: AtomicUsize::new(0),
            threads,
            config,
        }));
        crate::builtin::spawn_all(&node);
        crate::wire::accept(&node, listener);
        Ok(node)
    }

    /// The address in the pids of this node.
    #[must_use]
    pub fn address(&self) -> SocketAddrV4 {
        self.0.address
    }

    /// The address that the node listens on.
    #[must_use]
    pub fn bound_address(&self) -> SocketAddrV4 {
        self.0.bound
    }

    /// How the node was set up.
    #[must_use]
    pub fn config(&self) -> &NodeConfig {
        &self.0.config
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// The metrics.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Who may use the endpoints of this node.
    #[must_use]
    pub fn access(&self) -> &AccessRules {
        &self.0.access
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.0.registry
    }

    pub(crate) fn outbound(&self) -> &Outbound {
        &self.0.outbound
    }

    pub(crate) fn io_threads(&self) -> &[ArbiterHandle] {
        &self.0.threads.io
    }

    /// The pid that a process of the given id has, or would have, in this node.
    #[must_use]
    pub fn pid(&self, id: &str) -> Upid {
        Upid::new(id, self.0.address)
    }

    /// Creates a process on one of the node's threads. It can be sent to at once; what arrives before
    /// [`Process::initialize`] has run waits.
    ///
    /// An id that is taken is a mistake of the caller: it is logged, and the returned handle is gone from the start.
    pub fn spawn<P: Process>(&self, id: ProcessId<'_>, make: impl FnOnce() -> P + Send + 'static) -> ProcessRef<P> {
        let pid = match id {
            ProcessId::Exact(id) => self.pid(id),
            ProcessId::Numbered(prefix) => self.pid(&format!("{prefix}({})", self.next_number(prefix))),
        };
        let mailbox = Arc::new(Mailbox::<P>::new(pid.clone()));
        if !self.0.registry.insert(Arc::clone(&mailbox) as MailboxHandle) {
            tracing::error!(upid = %pid, "process not spawned: its id is taken");
            return ProcessRef::new(Arc::new(Mailbox::closed(pid)));
        }
        let worker = self.0.next_worker.fetch_add(1, Ordering::Relaxed) % self.0.threads.workers.len();
        let (node, host_mailbox) = (self.clone(), Arc::clone(&mailbox));
        if !self.0.threads.workers[worker].spawn_fn(move || Host::start(node, host_mailbox, make)) {
            tracing::error!(upid = %pid, "process not spawned: the node has stopped");
            self.0.registry.remove(pid.id());
            mailbox.close();
        }
        ProcessRef::new(mailbox)
    }

    fn next_number(&self, prefix: &str) -> u64 {
        let mut numbers = self.0.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let number = numbers.entry(prefix.to_owned()).or_insert(0);
        *number += 1;
        *number
    }

    /// Lets a process receive messages at a further id of the node, until the process ends or [`Node::remove_alias`].
    /// Far cheaper than a process that only passes on what it gets. A process of that id goes before, and has to itself
    /// requests, exits and its place in lists.
    pub fn add_alias<P: Process>(&self, id: &str, process: &ProcessRef<P>) {
        self.0.registry.add_alias(id, process.mailbox());
    }

    /// Ends what [`Node::add_alias`] began.
    pub fn remove_alias(&self, id: &str) {
        self.0.registry.remove_alias(id);
    }

    /// Names the process that gets requests whose path names no process.
    pub fn set_delegate(&self, id: &str) {
        self.0.registry.set_delegate(id);
    }

    /// Id of the process that gets requests whose path names no process.
    #[must_use]
    pub fn delegate(&self) -> Option<String> {
        self.0.registry.delegate().map(|id| id.to_string())
    }

    /// Whether a process of this id runs.
    #[must_use]
    pub fn has_process(&self, id: &str) -> bool {
        self.0.registry.get(id).is_some()
    }

    /// Ids of all processes, sorted.
    #[must_use]
    pub fn process_ids(&self) -> Vec<String> {
        self.0
            .registry
            .list()
            .iter()
            .map(|mailbox| mailbox.core().pid().id().to_owned())
            .collect()
    }

    /// How much waits for a process, not counting what it has begun to handle; nothing when there is no such process.
    #[must_use]
    pub fn queued_events(&self, id: &str) -> Option<QueuedEvents> {
        self.0.registry.get(id).map(|mailbox| mailbox.queued_events())
    }

    /// The routes of a process, sorted by name; empty when there is no such process.
    #[must_use]
    pub fn routes(&self, id: &str) -> Vec<Arc<RouteInfo>> {
        self.0
            .registry
            .get(id)
            .map_or_else(Vec::new, |mailbox| mailbox.core().routes().list())
    }

    /// The route that a request's raw path (without query) leads to: the process that the first segment names
    /// (percent-decoded), else the delegate with the whole path; in it the longest route name that fits.
    #[must_use]
    pub fn resolve_route(&self, path: &str) -> Option<RouteTarget> {
        self.0.registry.resolve(path)
    }

    /// Like [`Node::resolve_route`], but waits first until the process in question has registered its routes.
    pub async fn resolve_route_when_ready(&self, path: &str) -> Option<RouteTarget> {
        let (mailbox, _) = self.0.registry.find_process(path)?;
        if mailbox.core().stage() == Stage::Starting {
            let ready = mailbox.core().wait_ready();
            drop(mailbox);
            ready.await;
        }
        self.resolve_route(path)
    }

    /// Hands a request to the process that owns the route. When that process is gone the responder is dropped.
    pub fn deliver_http(&self, target: &RouteTarget, mut request: Request, responder: Responder) {
        target.remainder().clone_into(&mut request.remainder);
        target.mailbox.push_http(target.index, Box::new(request), responder);
    }

    /// Delivers a message that came by a socket to the process with the (decoded) id; false when there is none.
    #[must_use]
    pub fn deliver_message(&self, id: &str, from: &Upid, name: &str, body: Bytes) -> bool {
        self.0
            .registry
            .receiver(id)
            .is_some_and(|mailbox| mailbox.push_named(from, name, body))
    }

    /// Sends a message from outside of any process, with `from` as its sender.
    pub fn send(&self, from: &Upid, to: &Upid, name: &str, body: Bytes) {
        if to.address() == self.0.address {
            let _ = self.deliver_message(to.id(), from, name, body);
        } else {
            self.0.outbound.send(from, to, name, &body);
        }
    }

    pub(crate) fn link(&self, linker: &MailboxHandle, to: &Upid, mode: LinkMode) {
        self.0.links.add(linker, to);
        if to.address() != self.0.address {
            self.0.outbound.link(to.address(), mode);
        } else if self.0.registry.get(to.id()).is_none_or(|mailbox| mailbox.is_closed()) {
            self.0.links.process_exited(to);
        }
    }

    /// Forgets a process that has ended and tells those that linked to it.
    pub(crate) fn process_gone(&self, pid: &Upid) {
        self.0.links.forget_linker(pid);
        self.0.links.process_exited(pid);
        self.0.registry.remove(pid.id());
    }

    /// Terminates all processes, lets messages leave, closes all sockets and ends the node's threads.
    ///
    /// Waits a few seconds at most for processes that do not end.
    pub async fn stop(&self) {
        let all = self.0.registry.list();
        for mailbox in &all {
            mailbox.push_terminate();
        }
        let finished = async {
            for mailbox in &all {
                mailbox.core().wait_gone().await;
            }
            self.0.outbound.finish().await;
        };
        if tokio::time::timeout(STOP_PATIENCE, finished).await.is_err() {
            tracing::warn!(address = %self.0.address, "node stopped with processes or messages left over");
        }
        drop(all);
        self.0.threads.system.stop();
        let main = self
            .0
            .threads
            .main
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(main) = main {
            let joined = tokio::task::spawn_blocking(move || main.join());
            if tokio::time::timeout(STOP_PATIENCE, joined).await.is_err() {
                tracing::warn!(address = %self.0.address, "a thread of the node does not end");
            }
        }
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Node({})", self.0.address)
    }
}

async fn advertised_address(config: &NodeConfig, bound: SocketAddrV4) -> Result<SocketAddrV4, NodeError> {
    let port = config.advertise_port.unwrap_or(bound.port());
    let ip = match config.advertise_ip {
        Some(ip) => ip,
        None if bound.ip().is_unspecified() => host_address().await.ok_or(NodeError::NoAddress)?,
        None => *bound.ip(),
    };
    Ok(SocketAddrV4::new(ip, port))
}

/// An IPv4 address that the host's name resolves to.
async fn host_address() -> Option<Ipv4Addr> {
    let name = nix::unistd::gethostname().ok()?.into_string().ok()?;
    tokio::net::lookup_host((name.as_str(), 0))
        .await
        .ok()
        .and_then(first_ipv4)
}

async fn start_threads(config: &NodeConfig) -> Result<Threads, NodeError> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let (worker_count, io_count) = (config.worker_threads.max(1), config.io_threads.max(1));
    let main = std::thread::Builder::new()
        .name("libprocess".into())
        .spawn(move || {
            let system = System::new();
            let arbiters: Vec<Arbiter> = (0..worker_count + io_count).map(|_| Arbiter::new()).collect();
            let handles: Vec<ArbiterHandle> = arbiters.iter().map(Arbiter::handle).collect();
            if sender.send((System::current(), handles)).is_err() {
                System::current().stop();
            }
            if let Err(error) = system.run() {
                tracing::error!(%error, "the node's event loop failed");
            }
            for arbiter in arbiters {
                arbiter.stop();
                // A panic was reported where it happened.
                drop(arbiter.join());
            }
        })
        .map_err(NodeError::Thread)?;
    let (system, mut workers) = receiver.await.map_err(|_| NodeError::ThreadGone)?;
    let io = workers.split_off(worker_count);
    Ok(Threads {
        workers,
        io,
        system,
        main: Mutex::new(Some(main)),
    })
}
