//! One agent's accounts: what it has, who holds what of it, what is free.

use mesos::ids::AgentId;
use mesos::resources::{ResourceName, Resources};

use crate::api::AgentInfo;
use crate::filters::AgentFilters;
use crate::maintenance::Maintenance;
use crate::tree::ClientIndex;

/// What a client holds of an agent, offered or in use, without allocation.
#[derive(Clone, Debug)]
pub struct Holding {
    /// Who holds it.
    pub client: ClientIndex,
    /// What is held; a shared resource counts one copy per use.
    pub resources: Resources,
}

/// An agent.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// Its place in the order in which agents were added.
    pub serial: u64,
    /// Its description.
    pub info: AgentInfo,
    /// Whether its resources may be offered.
    pub active: bool,
    /// All that it has, without allocation.
    pub total: Resources,
    /// What nobody holds, and one copy of everything shared.
    pub free: Resources,
    /// What is held.
    pub holdings: Vec<Holding>,
    /// What clients declined.
    pub filters: AgentFilters,
    /// Planned unavailability, if any.
    pub maintenance: Option<Maintenance>,
    /// Changes with everything that decides whether something of the agent can be offered.
    pub state: u64,
    /// State and allocator epoch in which a cycle found nobody to offer anything to.
    pub fruitless: Option<(u64, u64)>,
    /// Whether the event-driven cycle has to look at it.
    pub changed: bool,
    /// Whether it has all that is held of it; an agent that shrank has not, until enough has come back.
    pub is_intact: bool,
    /// Whether it has GPUs.
    pub has_gpus: bool,
    /// Whether every role and every framework sees the same of `free`.
    pub uniform: bool,
}

impl Agent {
    /// An active agent that nobody holds anything of.
    pub fn new(id: AgentId, serial: u64, info: AgentInfo, total: Resources) -> Self {
        let mut agent = Self {
            id,
            serial,
            info,
            active: true,
            total,
            free: Resources::new(),
            holdings: Vec::new(),
            filters: AgentFilters::default(),
            maintenance: None,
            state: 0,
            fruitless: None,
            changed: false,
            is_intact: true,
            has_gpus: false,
            uniform: true,
        };
        agent.recount();
        agent
    }

    /// Works out from total and holdings what is free.
    pub fn recount(&mut self) {
        let mut free = self.total.clone();
        self.is_intact = true;
        for holding in &self.holdings {
            let held = holding.resources.nonshared();
            self.is_intact &= free.contains(&held);
            free -= &held;
        }
        self.free = free;
        self.has_gpus = self.total.iter().any(|resource| *resource.name() == ResourceName::Gpus);
        let mark = |resource: &mesos::resources::Resource| {
            !resource.is_unreserved() || resource.is_revocable() || resource.is_shared()
        };
        self.uniform = !self.total.iter().any(mark);
        self.touch();
    }

    /// Marks the agent's state as new.
    pub const fn touch(&mut self) {
        self.state += 1;
    }

    /// What a client holds.
    pub fn holding(&self, client: ClientIndex) -> Option<&Resources> {
        self.holdings
            .iter()
            .find(|holding| holding.client == client)
            .map(|holding| &holding.resources)
    }
}
