//! Looking without changing: explanations, metrics, the check of all accounts.

use std::collections::BTreeMap;

use libprocess_types::Time;
use mesos::ids::{AgentId, FrameworkId};
use mesos::resources::Resources;
use mesos::values::Scalar;

use super::HierarchicalAllocator;
use crate::agent::Agent;
use crate::api::{AgentAccounts, AllocatorMetrics, InvariantError, QuotaMetrics};
use crate::explain::Explanation;
use crate::framework::Framework;
use crate::quantities::Vector;
use crate::quota::{fair_caps, limit_caps};
use crate::tree::{ClientIndex, RoleIndex};

impl HierarchicalAllocator {
    pub(super) fn find_reason(&self, now: Time, framework: &FrameworkId, role: &str, agent: &AgentId) -> Explanation {
        let Some(framework) = self.framework_slot(framework).map(|slot| self.frameworks.at(slot)) else {
            return Explanation::UnknownFramework;
        };
        let Some(agent) = self.agent_slot(agent).map(|slot| self.agents.at(slot)) else {
            return Explanation::UnknownAgent;
        };
        let client = framework
            .clients
            .get(role)
            .filter(|_| framework.info.roles.contains(role));
        let Some(client) = client else {
            return Explanation::NotSubscribed;
        };
        let withheld = if !framework.active {
            Some(Explanation::FrameworkInactive)
        } else if framework.suppressed.contains(role) {
            Some(Explanation::Suppressed)
        } else if self.waits_at(now) {
            Some(Explanation::Recovering)
        } else {
            self.rules
                .refuses_agent(agent)
                .or_else(|| self.rules.refuses_pair(framework, role, agent))
        };
        withheld.unwrap_or_else(|| self.find_reason_in_resources(now, framework, *client, agent))
    }

    fn find_reason_in_resources(
        &self,
        now: Time,
        framework: &Framework,
        client: ClientIndex,
        agent: &Agent,
    ) -> Explanation {
        let role = self.tree.client(client).role;
        let view = framework.tastes.view(&agent.free, &self.tree.role(role).path);
        if view.iter().all(mesos::resources::Resource::is_shared) {
            return Explanation::NothingAvailable;
        }
        let mut ledger = self.ledger.clone();
        let is_worth = |quantities: &Vector| self.rules.is_worth(quantities, framework, client);
        let within = ledger.places.vector(&view);
        if !is_worth(&within) {
            return Explanation::BelowMinimum;
        }
        let mut offer = view;
        if !self.quotas.is_empty() {
            let limited = limit_caps(&self.tree, role, &within).chop(&offer, &ledger.places);
            if !is_worth(&ledger.places.vector(&limited)) {
                return self.find_limit(role);
            }
            let kept = fair_caps(&self.tree, &ledger, role, &within).chop(&offer, &ledger.places);
            if !is_worth(&ledger.places.vector(&kept)) {
                return Explanation::HeldForGuarantees;
            }
            offer = kept;
        }
        match agent.filters.refused_until(client, &offer).filter(|until| *until > now) {
            Some(until) => Explanation::Filtered {
                remaining: until.saturating_since(now),
            },
            None => Explanation::Offerable,
        }
    }

    /// The tightest limit of a role or of those above it.
    fn find_limit(&self, role: RoleIndex) -> Explanation {
        let mut tightest: Option<(i64, Explanation)> = None;
        for node in self.tree.path_up(role).map(|index| self.tree.role(index)) {
            for (place, limit) in &node.limits {
                let left = (limit - node.consumed().get(*place)).max(0);
                if tightest.as_ref().is_none_or(|(other, _)| left < *other) {
                    let explanation = Explanation::QuotaLimit {
                        role: node.path.to_string(),
                        resource: self.ledger.places.name(*place).to_owned(),
                        left: Scalar::from_thousandths(left),
                    };
                    tightest = Some((left, explanation));
                }
            }
        }
        tightest.map_or(Explanation::BelowMinimum, |(_, explanation)| explanation)
    }

    pub(super) fn gather_metrics(&self, now: Time) -> AllocatorMetrics {
        let places = &self.ledger.places;
        let mut metrics = AllocatorMetrics {
            allocation_runs: self.runs,
            total: places.quantities(self.tree.total()),
            offered_or_allocated: places.quantities(&self.ledger.held),
            ..AllocatorMetrics::default()
        };
        for (_, agent) in self.agents.iter() {
            for client in agent.filters.clients(now) {
                let role = &self.tree.role(self.tree.client(client).role).path;
                *metrics.offer_filters_active.entry(role.to_string()).or_default() += 1;
            }
        }
        for (role, quota) in &self.quotas {
            let Some(node) = self.tree.find(role).map(|index| self.tree.role(index)) else {
                continue;
            };
            let mut consumed = node.consumed();
            consumed.subtract(&node.offered);
            let figures = QuotaMetrics {
                quota: quota.clone(),
                consumed: places.quantities(&consumed.clamped()),
                offered_or_allocated: places.quantities(&node.standing.allocated),
            };
            metrics.quotas.insert(role.clone(), figures);
        }
        metrics
    }

    pub(super) fn read_accounts(&self, id: &AgentId) -> Option<AgentAccounts> {
        let agent = self.agents.at(self.agent_slot(id)?);
        let mut held: BTreeMap<FrameworkId, Resources> = BTreeMap::new();
        for holding in &agent.holdings {
            let framework = self.frameworks.at(self.tree.client(holding.client).framework);
            *held.entry(framework.id.clone()).or_default() += &holding.resources;
        }
        Some(AgentAccounts {
            total: agent.total.clone(),
            free: agent.free.clone(),
            held,
            is_intact: agent.is_intact,
        })
    }

    pub(super) fn check_accounts(&self) -> Result<(), InvariantError> {
        let mut ledger = self.ledger.clone();
        let mut held_by_client: BTreeMap<ClientIndex, (Vector, u32)> = BTreeMap::new();
        let (mut total, mut pool, mut held, mut pool_held) = (
            Vector::default(),
            Vector::default(),
            Vector::default(),
            Vector::default(),
        );
        for (_, agent) in self.agents.iter() {
            check_agent(agent)?;
            let measure = ledger.measure(&agent.total);
            total.add(&measure.all);
            pool.add(&measure.charged);
            for holding in &agent.holdings {
                let measure = ledger.measure(&holding.resources);
                held.add(&measure.all);
                pool_held.add(&measure.charged);
                let entry = held_by_client.entry(holding.client).or_default();
                entry.0.add(&measure.all);
                entry.1 += 1;
            }
        }
        check("total", &total, self.tree.total())?;
        check("unreserved total", &pool, &self.ledger.pool)?;
        check("held", &held, &self.ledger.held)?;
        check("unreserved held", &pool_held, &self.ledger.pool_held)?;
        check(
            "required for guarantees",
            &self.tree.count_required(),
            self.tree.required(),
        )?;
        let mut charged = Vector::default();
        for (index, client) in self.tree.clients() {
            let (expected, holdings) = held_by_client.remove(&index).unwrap_or_default();
            check(
                &format!("account of client {index}"),
                &expected,
                &client.standing.allocated,
            )?;
            if holdings != client.holdings {
                return Err(InvariantError(format!(
                    "client {index} counts {} holdings",
                    client.holdings
                )));
            }
            let framework = self.frameworks.get(client.framework);
            let Some(framework) = framework else {
                return Err(InvariantError(format!("client {index} has no framework")));
            };
            if client.active != framework.wants(&self.tree.role(client.role).path) {
                return Err(InvariantError(format!(
                    "client {index} of {} is active wrongly",
                    framework.id
                )));
            }
        }
        for top in self.tree.children(crate::tree::ROOT) {
            charged.add(&self.tree.role(*top).charged);
        }
        check("charged to roles", &pool_held, &charged)
    }
}

fn check(what: &str, expected: &Vector, found: &Vector) -> Result<(), InvariantError> {
    if expected == found {
        return Ok(());
    }
    Err(InvariantError(format!(
        "{what}: agents say {expected:?}, the sum says {found:?}"
    )))
}

fn check_agent(agent: &Agent) -> Result<(), InvariantError> {
    let held: Resources = agent.holdings.iter().map(|holding| holding.resources.nonshared()).sum();
    if !agent.is_intact {
        return Ok(());
    }
    let expected = &agent.total - &held;
    if !agent.total.contains(&held) {
        return Err(InvariantError(format!(
            "agent {} has {} but {held} is held",
            agent.id, agent.total
        )));
    }
    if expected != agent.free {
        return Err(InvariantError(format!(
            "agent {} has {expected} free, not {}",
            agent.id, agent.free
        )));
    }
    Ok(())
}
