//! Do all parts of the state agree? Slow; meant for tests and simulation, after every step.

use std::collections::{BTreeMap, BTreeSet};

use mesos::ids::{AgentId, FrameworkId};
use mesos::values::Scalar;

use crate::Resources;
use crate::executors::executor_resources;
use crate::master::{InvariantError, Master, Pending};
use crate::model::{Agent, Framework, is_terminal};
use crate::operations::once;

macro_rules! require {
    ($condition:expr, $($text:tt)*) => {
        if !$condition {
            return Err(InvariantError(format!($($text)*)));
        }
    };
}

impl Master {
    /// Checks that all parts of the state agree. Slow: meant for tests and simulation.
    ///
    /// Each agent's used and offered resources are those of its tasks, executors and offers and fit its total; every
    /// live task stands on a registered agent that knows it, every unreachable one on an agent that is not registered;
    /// every offer is known to its framework and its agent; the allocator's accounts agree with themselves and, in
    /// total, with the master's.
    ///
    /// # Errors
    ///
    /// Describes the first contradiction.
    pub fn check_invariants(&self) -> Result<(), InvariantError> {
        self.allocator
            .check_invariants()
            .map_err(|error| InvariantError(error.to_string()))?;
        for agent in self.agents.values() {
            self.check_agent(agent)?;
        }
        for framework in self.frameworks.values() {
            self.check_framework(framework)?;
        }
        self.check_offers_known()?;
        self.check_operations()?;
        self.check_inverse_offers().map_err(InvariantError)?;
        self.check_allocator_sums()?;
        self.check_conservation()?;
        require!(
            self.agent_upids
                .iter()
                .all(|(upid, id)| self.agents.get(id).is_some_and(|agent| agent.upid == *upid)),
            "an address leads to an agent that is not there"
        );
        let planned = |id: &AgentId| {
            self.agents.contains_key(id)
                || self.recovered_agents.contains_key(id)
                || self.unreachable_agents.contains(id)
        };
        require!(
            self.plans.agents().all(planned),
            "something is planned for an agent that is not known"
        );
        let schedulers = self.frameworks.values().filter_map(|framework| framework.upid.as_ref());
        let mut schedulers: Vec<_> = schedulers.collect();
        schedulers.sort_unstable();
        require!(
            self.throttles.addresses().eq(schedulers),
            "the addresses of frameworks are not those whose messages are limited"
        );
        require!(
            self.observers.len() == self.agents.len(),
            "observers and agents differ in number"
        );
        Ok(())
    }

    fn check_agent(&self, agent: &Agent) -> Result<(), InvariantError> {
        let id = &agent.id;
        let used = self.used_by_users(agent)?;
        require!(
            used == agent.used,
            "agent {id} accounts for {:?}, tasks and executors for {used:?}",
            agent.used
        );
        self.check_room(agent)?;
        require!(
            agent.is_active() || agent.offers.is_empty(),
            "inactive agent {id} has offers"
        );
        require!(
            agent.is_connected() || !agent.is_active(),
            "disconnected agent {id} is active"
        );
        require!(
            agent.is_active() == (agent.is_connected() && !self.plans.is_deactivated(id)),
            "agent {id} is active or not against what is planned for it"
        );
        require!(
            !self.recovered_agents.contains_key(id),
            "agent {id} is registered and awaited"
        );
        require!(
            !self.unreachable_agents.contains(id),
            "agent {id} is registered and unreachable"
        );
        Ok(())
    }

    /// What tasks, executors and operations of an agent use, by framework.
    fn used_by_users(&self, agent: &Agent) -> Result<BTreeMap<FrameworkId, Resources>, InvariantError> {
        let id = &agent.id;
        let mut used: BTreeMap<FrameworkId, Resources> = BTreeMap::new();
        for (framework_id, task_ids) in &agent.tasks {
            for task_id in task_ids {
                let Some(task) = self.task(framework_id, task_id) else {
                    return Err(InvariantError(format!(
                        "agent {id} has unknown task {task_id} of {framework_id}"
                    )));
                };
                require!(
                    task.agent_id == *id,
                    "task {task_id} is on agent {}, not on {id}",
                    task.agent_id
                );
                if !is_terminal(task.state()) {
                    *used.entry(framework_id.clone()).or_default() += task.resources();
                }
            }
        }
        for (framework_id, executors) in &agent.executors {
            require!(
                self.frameworks.contains_key(framework_id),
                "executors of unknown framework {framework_id}"
            );
            for info in executors.values() {
                *used.entry(framework_id.clone()).or_default() += &executor_resources(info);
            }
        }
        for (framework_id, resources) in agent.held_by_operations() {
            *used.entry(framework_id.clone()).or_default() += resources;
        }
        used.retain(|_, resources| !resources.is_empty());
        Ok(used)
    }

    /// What is used and offered of an agent is there.
    fn check_room(&self, agent: &Agent) -> Result<(), InvariantError> {
        let id = &agent.id;
        let offered: Resources = agent
            .offers
            .iter()
            .filter_map(|id| self.offers.get(id))
            .map(|offer| &offer.resources)
            .sum();
        let mut free = agent.total.clone();
        for used in agent.used.values().map(Resources::unallocate) {
            require!(
                free.contains(&once(&used)) || agent.reregistered_time.is_some(),
                "agent {id} has only {free} left of {}, but {used} are used",
                agent.total
            );
            free -= &used.nonshared();
        }
        require!(
            free.contains(&once(&offered.unallocate())),
            "agent {id} has only {free} left of {}, but {offered} are offered",
            agent.total
        );
        Ok(())
    }

    fn check_framework(&self, framework: &Framework) -> Result<(), InvariantError> {
        let id = &framework.id;
        for (task_id, task) in &framework.tasks {
            let agent = self.agents.get(&task.agent_id);
            let known = agent
                .and_then(|agent| agent.tasks.get(id))
                .is_some_and(|tasks| tasks.contains(task_id));
            require!(
                known,
                "task {task_id} of {id} is not known to its agent {}",
                task.agent_id
            );
            require!(
                !framework.unreachable_tasks.contains(task_id),
                "task {task_id} of {id} is live and unreachable"
            );
        }
        for (task_id, task) in framework.unreachable_tasks.iter() {
            let registered = self.agents.contains_key(&task.agent_id);
            require!(
                !registered,
                "unreachable task {task_id} of {id} is on the registered agent {}",
                task.agent_id
            );
        }
        require!(
            framework.is_active() || framework.offers.is_empty(),
            "framework {id} is not active and has offers"
        );
        require!(!self.is_completed(id), "framework {id} is live and completed");
        Ok(())
    }

    fn check_offers_known(&self) -> Result<(), InvariantError> {
        for (id, offer) in &self.offers {
            let framework = self
                .frameworks
                .get(&offer.framework_id)
                .is_some_and(|framework| framework.offers.contains(id));
            let agent = self
                .agents
                .get(&offer.agent_id)
                .is_some_and(|agent| agent.offers.contains(id));
            require!(framework && agent, "offer {id} is not known to its framework or agent");
        }
        let held: BTreeSet<_> = self
            .frameworks
            .values()
            .flat_map(|framework| &framework.offers)
            .collect();
        require!(
            held.len() == self.offers.len(),
            "frameworks hold offers that are not there"
        );
        Ok(())
    }

    /// What the allocator believes to be offered or in use, by scalar name, is what the master says.
    fn check_allocator_sums(&self) -> Result<(), InvariantError> {
        let metrics = self.allocator.metrics(self.now);
        let enforced = metrics.quotas.iter().map(|(role, told)| (role, &told.quota));
        require!(
            enforced.eq(self.quotas.iter()),
            "the allocator enforces other quota than {:?}",
            self.quotas
        );
        let storing = |pending: &Pending| matches!(pending, Pending::Quota { .. });
        require!(
            self.quotas == self.planned_quotas || self.pending.values().any(storing),
            "quota is planned that is not being stored"
        );
        for name in ["cpus", "mem", "disk", "gpus"] {
            let own: Scalar = self.agents.values().map(|agent| self.taken(agent, name)).sum();
            let told = metrics.offered_or_allocated.get(name).copied().unwrap_or_default();
            require!(
                own == told,
                "{name}: the master accounts for {own}, the allocator for {told}"
            );
        }
        Ok(())
    }

    /// What is used or offered of an agent; of copies of a shared volume each holder, a framework in a role, counts
    /// one.
    fn taken(&self, agent: &Agent, name: &str) -> Scalar {
        let mut holders: BTreeMap<&FrameworkId, Resources> = BTreeMap::new();
        for (framework_id, used) in &agent.used {
            *holders.entry(framework_id).or_default() += used;
        }
        for offer in agent.offers.iter().filter_map(|id| self.offers.get(id)) {
            *holders.entry(&offer.framework_id).or_default() += &offer.resources;
        }
        holders.values().map(|held| held.get_scalar(name)).sum()
    }
}
