//! JSON of the older endpoints: pure functions from the core's state to text, shared by several endpoints.
//!
//! Source: shared facts, `legacy_json_keys.tsv` (keys and their order).

pub mod agent;
pub mod framework;
pub mod resources;
pub mod task;

use std::collections::BTreeMap;

use libprocess::Time;
use libprocess::builtin::VersionInfo;
use mesos::ids::{AgentId, FrameworkId};
use mesos_master_core::{Master, Offer, Resources};
use mesos_proto::v0::mesos::ExecutorInfo;
use protobuf::MessageFull;

/// What a master tells about itself that the core does not know.
#[derive(Clone, Debug)]
pub struct Identity {
    /// When the process began.
    pub started: Time,
    /// The flags as they are shown to operators.
    pub flags: BTreeMap<String, String>,
    /// Version and build of the program.
    pub version: VersionInfo,
}

impl Identity {
    /// Most streams of events for operators (`--max_operator_event_stream_subscribers`).
    #[must_use]
    pub fn subscribers_max(&self) -> usize {
        let flag = self.flags.get("max_operator_event_stream_subscribers");
        flag.and_then(|value| value.parse().ok()).unwrap_or(1000)
    }
}

/// The core's state with what several renderers need sorted out by framework, once for each request.
pub struct View<'a> {
    /// The state.
    pub core: &'a Master,
    used: BTreeMap<&'a FrameworkId, Resources>,
    executors: BTreeMap<&'a FrameworkId, Vec<(&'a AgentId, &'a ExecutorInfo)>>,
    offers: BTreeMap<&'a FrameworkId, Vec<&'a Offer>>,
}

impl<'a> View<'a> {
    /// Looks at the state as it is now.
    #[must_use]
    pub fn new(core: &'a Master) -> Self {
        let mut view = Self {
            core,
            used: BTreeMap::new(),
            executors: BTreeMap::new(),
            offers: BTreeMap::new(),
        };
        for agent in core.agents().values() {
            for (framework, used) in agent.used() {
                *view.used.entry(framework).or_default() += used;
            }
            for (framework, executors) in agent.executors() {
                let listed = view.executors.entry(framework).or_default();
                listed.extend(executors.values().map(|executor| (agent.id(), &**executor)));
            }
        }
        for offer in core.offers().values() {
            view.offers.entry(offer.framework_id()).or_default().push(offer);
        }
        view
    }

    /// What a framework's tasks and executors hold.
    #[must_use]
    pub fn used(&self, framework: &FrameworkId) -> Resources {
        self.used.get(framework).cloned().unwrap_or_default()
    }

    /// What a framework is offered.
    #[must_use]
    pub fn offered(&self, framework: &FrameworkId) -> Resources {
        self.offers(framework).iter().map(|offer| offer.resources()).sum()
    }

    /// Offers that a framework holds.
    #[must_use]
    pub fn offers(&self, framework: &FrameworkId) -> &[&'a Offer] {
        self.offers.get(framework).map_or(&[], Vec::as_slice)
    }

    /// Custom executors of a framework with their agents.
    #[must_use]
    pub fn executors(&self, framework: &FrameworkId) -> &[(&'a AgentId, &'a ExecutorInfo)] {
        self.executors.get(framework).map_or(&[], Vec::as_slice)
    }

    /// All custom executors with their agents.
    pub fn all_executors(&self) -> impl Iterator<Item = (&'a AgentId, &'a ExecutorInfo)> + '_ {
        self.executors.values().flatten().copied()
    }

    /// What is offered of an agent.
    #[must_use]
    pub fn offered_of(&self, agent: &mesos_master_core::Agent) -> Resources {
        let offers = agent.offers().iter().filter_map(|id| self.core.offers().get(id));
        offers.map(Offer::resources).sum()
    }
}

/// A message as JSON with the keys of every object in the order of the alphabet: so the older endpoints write messages.
#[must_use]
pub fn sorted_json(message: &impl MessageFull) -> String {
    let text = mesos::json::to_string(message);
    let sorted = serde_json::from_str::<serde_json::Value>(&text);
    sorted.map_or(text, |value| value.to_string())
}
