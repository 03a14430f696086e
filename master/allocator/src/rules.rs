//! Who may be offered an agent at all, whatever is free on it, and what is worth offering.

use std::collections::BTreeSet;

use crate::agent::Agent;
use crate::api::AllocatorOptions;
use crate::explain::Explanation;
use crate::framework::Framework;
use crate::quantities::{Places, Vector};
use crate::tree::ClientIndex;

/// The rules that options and whitelist set.
#[derive(Clone, Debug)]
pub struct Rules {
    filter_gpu_resources: bool,
    region: Option<String>,
    /// Smallest offers: one of them must be reached, unless there are none.
    minimums: Vec<Vector>,
    /// Host names of agents that may be offered; all when absent.
    pub whitelist: Option<BTreeSet<String>>,
}

impl Rules {
    /// The rules of the options, without whitelist.
    pub fn new(options: &AllocatorOptions, places: &mut Places) -> Self {
        Self {
            filter_gpu_resources: options.filter_gpu_resources,
            region: options.region.clone(),
            minimums: options
                .min_allocatable
                .iter()
                .map(|quantities| places.vector_of(quantities))
                .collect(),
            whitelist: None,
        }
    }

    /// Why nothing of the agent is offered to anybody, if that is so.
    pub fn refuses_agent(&self, agent: &Agent) -> Option<Explanation> {
        if !agent.active {
            return Some(Explanation::AgentInactive);
        }
        let listed = self
            .whitelist
            .as_ref()
            .is_none_or(|names| names.contains(&agent.info.hostname));
        (!listed).then_some(Explanation::NotWhitelisted)
    }

    /// Why nothing of the agent is offered to the framework in the role, if that is so.
    pub fn refuses_pair(&self, framework: &Framework, role: &str, agent: &Agent) -> Option<Explanation> {
        let capabilities = framework.info.capabilities;
        if self.filter_gpu_resources && agent.has_gpus && !capabilities.gpu_resources {
            return Some(Explanation::GpuAgent);
        }
        if !capabilities.region_aware && self.is_remote(agent) {
            return Some(Explanation::RemoteRegion);
        }
        if capabilities.multi_role && !agent.info.capabilities.multi_role {
            return Some(Explanation::AgentLacksMultiRole);
        }
        if !agent.info.capabilities.hierarchical_role && role.contains('/') {
            return Some(Explanation::AgentLacksHierarchicalRoles);
        }
        let constraints = framework.info.offer_constraints.as_ref();
        let excluded = constraints.is_some_and(|constraints| constraints.exclude(role, &agent.info));
        excluded.then_some(Explanation::ExcludedByConstraints)
    }

    /// Whether quantities are worth an offer to a client.
    pub fn is_worth(&self, quantities: &Vector, framework: &Framework, client: ClientIndex) -> bool {
        reaches_one(framework.minimums.get(&client).unwrap_or(&self.minimums), quantities)
    }

    /// Whether quantities are worth an offer to clients without minimum of their own.
    pub fn is_worth_by_default(&self, quantities: &Vector) -> bool {
        reaches_one(&self.minimums, quantities)
    }

    /// Agents without domain count as near.
    fn is_remote(&self, agent: &Agent) -> bool {
        match (&self.region, &agent.info.domain) {
            (Some(own), Some(domain)) => domain.region != *own,
            _ => false,
        }
    }
}

fn reaches_one(minimums: &[Vector], quantities: &Vector) -> bool {
    minimums.is_empty() || minimums.iter().any(|minimum| quantities.reaches(minimum))
}
