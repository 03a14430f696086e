//! A node full of agents and frameworks, pointed at one master.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use libprocess::http::Method;
use libprocess::http::client::{Client, ClientLimits};
use libprocess::{Node, NodeConfig, NodeError, ProcessId, ProcessRef, Upid};
use mesos_proto::v0::mesos::FrameworkInfo;
use thiserror::Error;
use tokio::task::JoinSet;

use crate::agent::{AgentCore, AgentInput, AgentKind, AgentProcess};
use crate::framework::{FrameworkCore, FrameworkInput, FrameworkProcess, HttpFramework, Policy};
use crate::record::Recorder;

/// Pause between two looks for a master that is not there yet.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// Name of agents' processes.
const AGENT_PREFIX: &str = "slave";
/// Name of frameworks' processes.
const FRAMEWORK_PREFIX: &str = "scheduler";

/// Why no load can be made.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The node does not start.
    #[error("the generator's node cannot be started")]
    Node(#[from] NodeError),
    /// Nobody answers.
    #[error("no leading master answered at {address} within {patience:?}")]
    NoMaster {
        /// Where it was looked for.
        address: SocketAddrV4,
        /// How long.
        patience: Duration,
    },
}

/// Emulated agents and frameworks. Call [`Load::stop`] when done.
pub struct Load {
    node: Node,
    master: Upid,
    seed: u64,
    recorder: Arc<Recorder>,
    agents: Vec<ProcessRef<AgentProcess>>,
    frameworks: Vec<ProcessRef<FrameworkProcess>>,
    http_frameworks: u64,
    tasks: JoinSet<()>,
}

impl Load {
    /// Starts a node at `ip` for load on the master at `master`.
    ///
    /// # Errors
    ///
    /// Fails when the node cannot be started.
    pub async fn start(master: SocketAddrV4, ip: Ipv4Addr, seed: u64) -> Result<Self, LoadError> {
        let config = NodeConfig {
            ip: Some(ip),
            // One thread for all processes: they share the machine with the master that they measure.
            worker_threads: 1,
            io_threads: 1,
            ..NodeConfig::default()
        };
        Ok(Self {
            node: Node::start(config).await?,
            master: Upid::new("master", master),
            seed,
            recorder: Arc::default(),
            agents: Vec::new(),
            frameworks: Vec::new(),
            http_frameworks: 0,
            tasks: JoinSet::new(),
        })
    }

    /// What was seen so far.
    #[must_use]
    pub const fn recorder(&self) -> &Arc<Recorder> {
        &self.recorder
    }

    /// The master's address.
    #[must_use]
    pub const fn master(&self) -> SocketAddrV4 {
        self.master.address()
    }

    /// How many agents there are.
    #[must_use]
    pub const fn agents(&self) -> usize {
        self.agents.len()
    }

    /// Adds agents; they do nothing before [`Load::master_found`].
    pub fn add_agents(&mut self, kind: &Arc<AgentKind>, count: usize) {
        for _ in 0..count {
            let number = self.agents.len() as u64 + 1;
            let pid = self.node.pid(&format!("{AGENT_PREFIX}({number})"));
            let (kind, seed) = (Arc::clone(kind), self.seed);
            let (master, recorder) = (self.master.clone(), Arc::clone(&self.recorder));
            self.agents
                .push(self.node.spawn(ProcessId::Numbered(AGENT_PREFIX), move || {
                    AgentProcess::new(AgentCore::new(kind, pid, number, seed), master, recorder)
                }));
        }
    }

    /// Adds a framework over the v1 API, which makes its calls over so many connections; it subscribes at once and
    /// again whenever its stream breaks.
    pub fn add_http_framework(&mut self, info: FrameworkInfo, policy: Policy, connections: usize) {
        self.http_frameworks += 1;
        let prefix = format!("h{}", self.http_frameworks);
        HttpFramework::start(
            FrameworkCore::new(info, policy, &prefix),
            self.master.address().to_string(),
            connections,
            Arc::clone(self.node.clock()),
            Arc::clone(&self.recorder),
            &mut self.tasks,
        );
    }

    /// Adds a framework over libprocess messages; it does nothing before [`Load::master_found`].
    pub fn add_libprocess_framework(&mut self, info: FrameworkInfo, policy: Policy) {
        let core = FrameworkCore::new(info, policy, &format!("p{}", self.frameworks.len() + 1));
        let (master, recorder) = (self.master.clone(), Arc::clone(&self.recorder));
        self.frameworks
            .push(self.node.spawn(ProcessId::Numbered(FRAMEWORK_PREFIX), move || {
                FrameworkProcess::new(core, master, recorder)
            }));
    }

    /// Waits until a master answers at the address and leads.
    ///
    /// # Errors
    ///
    /// Fails when that takes longer than `patience`.
    pub async fn wait_for_master(&self, patience: Duration) -> Result<(), LoadError> {
        let address = self.master.address();
        let limits = ClientLimits {
            connect_patience: patience,
            answer_patience: Some(patience),
            ..ClientLimits::default()
        };
        let leading = async {
            loop {
                let mut client = Client::with_limits(address, limits);
                // The redirect to the leader needs a leader; the original answers 503 before there is one.
                let answer = client
                    .request(Method::GET, "/master/redirect", &[], bytes::Bytes::new())
                    .await;
                if answer.is_ok_and(|answer| answer.status.is_redirection()) {
                    return;
                }
                tokio::time::sleep(LOOK_PAUSE).await;
            }
        };
        tokio::time::timeout(patience, leading)
            .await
            .map_err(|_| LoadError::NoMaster { address, patience })
    }

    /// Tells agents and frameworks that there is a master, all at once, as an election would; begins a new wave of
    /// registrations in the [`Recorder`].
    pub fn master_found(&self) {
        self.recorder.begin_wave();
        for framework in &self.frameworks {
            framework.dispatch(|framework, context| framework.apply(FrameworkInput::MasterFound, context));
        }
        for agent in &self.agents {
            agent.dispatch(|agent, context| agent.apply(AgentInput::MasterFound, context));
        }
    }

    /// Waits until all agents are registered.
    pub async fn all_registered(&self) {
        let agents = self.agents.len() as u64;
        self.recorder.wait(|numbers| numbers.agents_registered >= agents).await;
    }

    /// Waits until all agents know that their master is gone.
    pub async fn all_lost(&self) {
        self.recorder.wait(|numbers| numbers.agents_registered == 0).await;
    }

    /// Ends everything.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
        self.node.stop().await;
    }
}
