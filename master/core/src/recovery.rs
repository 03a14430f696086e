//! Taking over from the registry, and keeping it small.
//!
//! Source: shared facts, `constants.tsv`, `pitfalls.md` D28, D30.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use libprocess_types::Time;
use mesos::ids::AgentId;
use mesos_proto::internal::master::stored_registry::registry::MinimumCapability;
use mesos_proto::v0::mesos::TimeInfo;
use mesos_registrar::{Operation, Registry};

use crate::effect::Effect;
use crate::input::MasterTimer;
use crate::master::{Master, Pending, Phase};
use crate::model::RecentIds;
use crate::removal::Silence;
use crate::{quota_rules, weights};

/// What a registry may ask of the master that leads with it.
const CAPABILITIES: [&str; 3] = ["AGENT_UPDATE", "AGENT_DRAINING", "QUOTA_V2"];

impl Master {
    /// The registry was read. Before anybody is served it must name this master: a storage that cannot be written is
    /// found out now, and the former leader's writes fail from here on.
    pub(crate) fn recovered(&mut self, registry: Box<Registry>) {
        let begun = self
            .pending
            .values()
            .any(|pending| matches!(pending, Pending::Lead { .. }));
        if begun || self.phase == Phase::Leading {
            tracing::warn!("the registry was recovered before, ignored");
            return;
        }
        if let Some(missing) = missing_capability(&registry) {
            self.effects.push(Effect::Abort(format!(
                "the registry was written by a master with the capability {missing}, which this one does not have"
            )));
            return;
        }
        let mut operations = vec![Operation::SetMaster(Box::new(self.config.info.clone()))];
        if registry.weights.is_empty() && !self.config.weights.is_empty() {
            operations.push(Operation::UpdateWeights(weights::to_infos(&self.config.weights)));
        }
        self.store(operations, Pending::Lead { registry });
    }

    /// The registry names this master: it leads from here on.
    pub(crate) fn lead(&mut self, registry: &Registry) {
        for slave in &registry.slaves.slaves {
            let id = AgentId::from(&*slave.info.id);
            self.plans.recover(&id, slave.drain_info.as_ref(), slave.deactivated());
            self.recovered_agents.insert(id, Arc::new((*slave.info).clone()));
        }
        for entry in &registry.unreachable.slaves {
            let id = AgentId::from(&*entry.id);
            self.plans.recover(&id, entry.drain_info.as_ref(), entry.deactivated());
            self.unreachable_agents.insert(id, (*entry.timestamp).clone());
        }
        for entry in &registry.gone.slaves {
            self.gone_agents
                .insert(AgentId::from(&*entry.id), (*entry.timestamp).clone());
        }
        self.phase = Phase::Leading;
        self.elected = Some(self.now);
        let expected = self.recovered_agents.len();
        tracing::info!(agents = expected, "registry recovered, leading");
        self.quotas = quota_rules::from_registry(registry);
        self.planned_quotas.clone_from(&self.quotas);
        self.allocator.recover(self.now, expected, self.quotas.clone());
        self.recover_weights(registry);
        self.recover_maintenance(registry);
        self.set_timer(MasterTimer::AllocationRound, self.config.allocation_interval);
        self.set_timer(MasterTimer::RegistryCleanup, self.config.registry_gc_interval);
        if expected > 0 {
            self.set_timer(MasterTimer::AgentReregistration, self.config.agent_reregister_timeout);
        }
    }

    /// Agents of the former leader that did not come back in time are unreachable. Too many of them are a sign that
    /// something else is wrong: the master ends, so that an operator looks.
    pub(crate) fn recovered_agents_timed_out(&mut self) {
        let lost: Vec<AgentId> = self
            .recovered_agents
            .keys()
            .filter(|id| !self.is_leaving(id) && !self.reregistering.contains_key(*id))
            .cloned()
            .collect();
        let all = self.recovered_agents.len() + self.agents.len();
        if all > 0 {
            #[expect(clippy::cast_precision_loss, reason = "numbers of agents are far below 2^52")]
            let share = 100.0 * lost.len() as f64 / all as f64;
            if share > self.config.recovery_agent_removal_limit {
                let limit = self.config.recovery_agent_removal_limit;
                self.effects.push(Effect::Abort(format!(
                    "{} of {all} agents did not come back after failover: {share:.1}% is above the limit of {limit}% \
                     (--recovery_agent_removal_limit)",
                    lost.len()
                )));
                return;
            }
        }
        for id in lost {
            self.schedule_removal(&id, Silence::Failover);
        }
    }

    /// Forgets unreachable and gone agents that are too old or too many.
    pub(crate) fn clean_registry(&mut self) {
        self.set_timer(MasterTimer::RegistryCleanup, self.config.registry_gc_interval);
        let unreachable = self.dispensable(&self.unreachable_agents);
        let gone = self.dispensable(&self.gone_agents);
        if unreachable.is_empty() && gone.is_empty() {
            return;
        }
        let operation = Operation::Prune {
            unreachable: unreachable.clone(),
            gone: gone.clone(),
        };
        self.store(vec![operation], Pending::Prune { unreachable, gone });
    }

    fn dispensable(&self, agents: &RecentIds<AgentId, TimeInfo>) -> Vec<AgentId> {
        let mut by_age: Vec<(i64, &AgentId)> = agents.iter().map(|(id, since)| (since.nanoseconds(), id)).collect();
        by_age.sort();
        let surplus = by_age.len().saturating_sub(self.config.registry_max_agent_count);
        let old = by_age.iter().enumerate().filter(|(index, (since, _))| {
            *index < surplus || self.now.saturating_since(time_of(*since)) > self.config.registry_max_agent_age
        });
        old.map(|(_, (_, id))| (*id).clone()).collect()
    }

    pub(crate) fn registry_cleaned(&mut self, unreachable: &[AgentId], gone: &[AgentId]) {
        let returning: BTreeSet<&AgentId> = self.reregistering.keys().collect();
        for id in unreachable.iter().filter(|id| !returning.contains(id)) {
            self.unreachable_agents.remove(id);
            self.unreachable_tasks.remove(id);
            self.plans.forget(id);
        }
        for id in gone {
            self.gone_agents.remove(id);
        }
    }
}

fn missing_capability(registry: &Registry) -> Option<&str> {
    let mut needed = registry.minimum_capabilities.iter().map(MinimumCapability::capability);
    needed.find(|name| !CAPABILITIES.contains(name))
}

fn time_of(nanoseconds: i64) -> Time {
    Time::EPOCH + Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0))
}
