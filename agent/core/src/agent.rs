//! The agent: what it knows, and the one door through which everything reaches it.

use std::collections::VecDeque;
use std::time::Duration;

use indexmap::IndexMap;
use libprocess_types::{Time, Upid};
use mesos_proto::v0::mesos as pb;

use crate::config::AgentConfig;
use crate::effect::Effect;
use crate::executor::Executor;
use crate::framework::Framework;
use crate::input::Input;
use crate::paths::Paths;
use crate::random::Random;
use mesos::ids::{AgentId, ContainerId, ExecutorId, FrameworkId};

/// Life of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentState {
    /// Reads checkpoints, adopts executors.
    Recovering,
    /// Knows no master that knows it.
    Disconnected,
    /// Registered.
    Running,
    /// Stops.
    Terminating,
}

/// The rules of an agent.
///
/// No input makes it panic; inputs that do not apply are ignored with a log line.
#[derive(Clone, Debug)]
pub struct Agent {
    pub(crate) config: AgentConfig,
    pub(crate) paths: Paths,
    pub(crate) random: Random,
    pub(crate) now: Time,
    pub(crate) started: Time,
    pub(crate) state: AgentState,
    pub(crate) info: pb::SlaveInfo,
    pub(crate) id: Option<AgentId>,
    pub(crate) master: Option<Upid>,
    pub(crate) registration_bound: Duration,
    pub(crate) ping_timeout: Duration,
    pub(crate) resource_version: [u8; 16],
    pub(crate) checkpointed_resources: Vec<pb::Resource>,
    pub(crate) frameworks: IndexMap<FrameworkId, Framework>,
    pub(crate) completed_frameworks: VecDeque<Framework>,
    pub(crate) out: Vec<Effect>,
}

impl Agent {
    /// An agent that waits for [`Input::Recovered`].
    #[must_use]
    pub fn new(config: AgentConfig, now: Time) -> Self {
        let mut random = Random::new(config.seed);
        Self {
            paths: Paths::new(config.work_dir.clone()),
            resource_version: random.uuid().into_bytes(),
            random,
            now,
            started: now,
            state: AgentState::Recovering,
            info: config.info.clone(),
            id: None,
            master: None,
            registration_bound: config.registration_backoff_factor * 2,
            ping_timeout: Duration::from_secs(75),
            checkpointed_resources: Vec::new(),
            frameworks: IndexMap::new(),
            completed_frameworks: VecDeque::new(),
            out: Vec::new(),
            config,
        }
    }

    /// Takes one input and tells what is to be done about it, in order.
    pub fn step(&mut self, now: Time, input: Input) -> Vec<Effect> {
        self.now = now;
        self.handle(input);
        std::mem::take(&mut self.out)
    }

    fn handle(&mut self, input: Input) {
        drop(input);
    }

    /// What it was configured with.
    #[must_use]
    pub fn config(&self) -> &AgentConfig {
        &self.config
    }

    /// The paths of its work directory.
    #[must_use]
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// How far it is.
    #[must_use]
    pub fn state(&self) -> AgentState {
        self.state
    }

    /// When it was made.
    #[must_use]
    pub fn started(&self) -> Time {
        self.started
    }

    /// Its description: with id once registered, resources in the post-refinement form.
    #[must_use]
    pub fn info(&self) -> &pb::SlaveInfo {
        &self.info
    }

    /// Its identifier, once known.
    #[must_use]
    pub fn id(&self) -> Option<&AgentId> {
        self.id.as_ref()
    }

    /// The leading master, when one is known.
    #[must_use]
    pub fn master(&self) -> Option<&Upid> {
        self.master.as_ref()
    }

    /// Version of its resources, 16 raw bytes.
    #[must_use]
    pub fn resource_version(&self) -> &[u8; 16] {
        &self.resource_version
    }

    /// Dynamic reservations and persistent volumes.
    #[must_use]
    pub fn checkpointed_resources(&self) -> &[pb::Resource] {
        &self.checkpointed_resources
    }

    /// Frameworks with work here, in the order of their arrival.
    pub fn frameworks(&self) -> impl DoubleEndedIterator<Item = &Framework> {
        self.frameworks.values()
    }

    /// One of [`Self::frameworks`].
    #[must_use]
    pub fn framework(&self, id: &FrameworkId) -> Option<&Framework> {
        self.frameworks.get(id)
    }

    /// Frameworks whose work here ended, oldest first, bounded by the configuration.
    pub fn completed_frameworks(&self) -> impl DoubleEndedIterator<Item = &Framework> {
        self.completed_frameworks.iter()
    }

    /// An executor of a framework with work here.
    #[must_use]
    pub fn executor(&self, framework: &FrameworkId, executor: &ExecutorId) -> Option<&Executor> {
        self.frameworks.get(framework)?.executors.get(executor)
    }

    /// The executor that runs, or ran last, in a container.
    #[must_use]
    pub fn executor_in(&self, container: &ContainerId) -> Option<&Executor> {
        self.frameworks
            .values()
            .flat_map(|framework| framework.executors.values())
            .find(|executor| executor.container_id == *container)
    }
}
