//! Quota of roles: asked for, stored, enforced.
//!
//! Source: shared facts, `operator_calls.tsv`, `endpoints.tsv`, `pitfalls.md` D27; golden `mutations/*quota*`.

use std::collections::BTreeSet;

use mesos::ids::{AgentId, OfferId};
use mesos::resources::ResourceQuantities;
use mesos::roles::is_strict_subrole_of;
use mesos::values::Scalar;
use mesos_allocator::api::Quota;
use mesos_proto::v0::quota::{QuotaConfig, QuotaRequest};
use mesos_registrar::Operation;

use crate::Resources;
use crate::effect::{Effect, Reply};
use crate::input::RequestId;
use crate::master::{Master, Pending};
use crate::model::{Agent, Framework};
use crate::quota_rules::{self, Quotas};

impl Master {
    /// An operator sets guarantees and limits of roles, all or none.
    pub(crate) fn ask_quota(&mut self, request: RequestId, configs: &[QuotaConfig], force: bool) {
        let changes = self.quota_changes(configs, force);
        self.store_quota(request, changes);
    }

    /// An operator sets quota of a role that has none, in the older form.
    pub(crate) fn ask_first_quota(&mut self, request: RequestId, asked: &QuotaRequest) {
        let changes = self.first_quota(asked);
        self.store_quota(request, changes);
    }

    /// An operator takes a role's quota away.
    pub(crate) fn ask_no_quota(&mut self, request: RequestId, role: &str) {
        let changes = self.no_quota(role);
        self.store_quota(request, changes);
    }

    fn quota_changes(&self, configs: &[QuotaConfig], force: bool) -> Result<Quotas, Reply> {
        let mut changes = Quotas::new();
        for config in configs {
            let role = config.role();
            let quota = quota_rules::from_config(config).map_err(|reason| Reply::text(400, reason))?;
            self.check_usable_role(role)?;
            if changes.insert(role.to_owned(), quota).is_some() {
                return Err(Reply::text(400, format!("role '{role}' is named twice")));
            }
        }
        let planned = self.plan_quota(&changes)?;
        if force {
            return Ok(changes);
        }
        self.check_capacity(&planned)
            .map_err(|reason| Reply::text(400, reason))?;
        Ok(changes)
    }

    fn first_quota(&self, asked: &QuotaRequest) -> Result<Quotas, Reply> {
        let role = asked.role();
        let quota = quota_rules::from_request(asked).map_err(|reason| Reply::text(400, reason))?;
        self.check_usable_role(role)?;
        if self.planned_quotas.contains_key(role) {
            return Err(Reply::text(400, format!("role '{role}' already has quota")));
        }
        let changes = Quotas::from([(role.to_owned(), quota)]);
        let planned = self.plan_quota(&changes)?;
        if !asked.force() {
            self.check_capacity(&planned)
                .map_err(|reason| Reply::text(409, reason))?;
        }
        Ok(changes)
    }

    fn no_quota(&self, role: &str) -> Result<Quotas, Reply> {
        self.check_usable_role(role)?;
        if !self.planned_quotas.contains_key(role) {
            return Err(Reply::text(400, format!("role '{role}' has no quota")));
        }
        let changes = Quotas::from([(role.to_owned(), Quota::default())]);
        self.plan_quota(&changes)?;
        Ok(changes)
    }

    /// All quota as it will be with these changes and those that are being stored.
    fn plan_quota(&self, changes: &Quotas) -> Result<Quotas, Reply> {
        let mut planned = self.planned_quotas.clone();
        quota_rules::replace(&mut planned, changes);
        quota_rules::check_hierarchy(&planned).map_err(|reason| Reply::text(400, reason))?;
        Ok(planned)
    }

    /// Compares what is guaranteed with what the registered agents have, connected or not.
    fn check_capacity(&self, planned: &Quotas) -> Result<(), String> {
        let total = quota_rules::total_guarantees(planned);
        let mut capacity = ResourceQuantities::new();
        for agent in self.agents.values() {
            capacity += &agent.total.nonrevocable().scalar_quantities();
        }
        if capacity.contains(&total) {
            return Ok(());
        }
        Err(format!(
            "guarantees of all roles together, '{total}', are more than the agents have, '{capacity}'; 'force' sets \
             them anyway"
        ))
    }

    fn store_quota(&mut self, request: RequestId, changes: Result<Quotas, Reply>) {
        match changes {
            Ok(changes) => {
                quota_rules::replace(&mut self.planned_quotas, &changes);
                let configs = changes.iter().map(|(role, quota)| quota_rules::to_config(role, quota));
                let operation = Operation::UpdateQuota(configs.collect());
                self.store(vec![operation], Pending::Quota { changes, request });
            }
            Err(reply) => self.effects.push(Effect::Reply { request, reply }),
        }
    }

    /// The registry has the new quota. The allocator knows it before offers come back, so that none of them goes out
    /// again against it.
    pub(crate) fn quota_stored(&mut self, changes: &Quotas, request: RequestId) {
        for (role, quota) in changes {
            if let Err(error) = self.allocator.update_quota(self.now, role, quota.clone()) {
                tracing::error!(role, %error, "the allocator refuses stored quota");
                self.effects.push(Effect::Abort(error.to_string()));
                return;
            }
        }
        let earlier = self.quotas.clone();
        quota_rules::replace(&mut self.quotas, changes);
        for (role, quota) in changes {
            self.rescind_over_limits(role, quota);
            let guaranteed = quota_rules::guarantees_of(quota);
            let before = earlier.get(role).map(quota_rules::guarantees_of).unwrap_or_default();
            if !before.contains(&guaranteed) {
                self.rescind_for_guarantees(role, &guaranteed);
            }
        }
        tracing::info!(roles = ?changes.keys().collect::<Vec<_>>(), "quota updated");
        let reply = Reply::empty(200);
        self.effects.push(Effect::Reply { request, reply });
    }

    /// Withdraws offers of a role and those below it, newest first, until no limit of the role is exceeded or no offer
    /// would help.
    fn rescind_over_limits(&mut self, role: &str, quota: &Quota) {
        let mut excess: Vec<(&String, Scalar)> = quota
            .limits
            .iter()
            .map(|(name, limit)| (name, self.quota_consumption(role, name).saturating_sub(*limit)))
            .filter(|(_, excess)| excess.is_positive())
            .collect();
        let offered: Vec<OfferId> = self.offers.keys().rev().cloned().collect();
        for id in offered {
            if excess.is_empty() {
                return;
            }
            let Some(offer) = self.offers.get(&id).filter(|offer| is_within(&offer.role, role)) else {
                continue;
            };
            let charged = charged(&offer.resources);
            if excess.iter().all(|(name, _)| charged.get_scalar(name).is_zero()) {
                continue;
            }
            for (name, left) in &mut excess {
                *left = left.saturating_sub(charged.get_scalar(name));
            }
            excess.retain(|(_, left)| left.is_positive());
            self.rescind_offer(&id);
        }
    }

    /// What counts against a role's limit of a resource: reservations, and what else it is offered or uses.
    fn quota_consumption(&self, role: &str, name: &str) -> Scalar {
        let mut sum = Scalar::ZERO;
        for agent in self.agents.values() {
            for (reserved_for, resources) in agent.total.reservations() {
                if is_within(&reserved_for, role) {
                    sum += resources.get_scalar(name);
                }
            }
            for (user, resources) in agent.used.values().flat_map(Resources::allocations) {
                if is_within(&user, role) {
                    sum += charged(&resources).get_scalar(name);
                }
            }
        }
        for offer in self.offers.values().filter(|offer| is_within(&offer.role, role)) {
            sum += charged(&offer.resources).get_scalar(name);
        }
        sum
    }

    /// Withdraws all offers of one agent after the other, until enough is free for the guarantees on enough agents for
    /// each framework of the role to get some.
    fn rescind_for_guarantees(&mut self, role: &str, guaranteed: &ResourceQuantities) {
        let frameworks = self.frameworks.values().filter(|framework| framework.is_active());
        let takers = frameworks.filter(|framework| plays(framework, role)).count();
        let holders: Vec<AgentId> = self
            .agents
            .values()
            .filter(|agent| agent.is_active() && !agent.offers.is_empty())
            .map(|agent: &Agent| agent.id.clone())
            .collect();
        let mut freed = ResourceQuantities::new();
        for (visited, agent_id) in holders.iter().enumerate() {
            if freed.contains(guaranteed) && visited >= takers {
                return;
            }
            let offers: BTreeSet<OfferId> = self
                .agents
                .get(agent_id)
                .map(|agent| agent.offers.clone())
                .unwrap_or_default();
            for id in offers {
                if let Some(offer) = self.offers.get(&id) {
                    freed += &offer.resources.scalar_quantities();
                }
                self.rescind_offer(&id);
            }
        }
    }

    /// Whether frameworks may use a role at all (`--roles`).
    pub(crate) fn check_usable_role(&self, role: &str) -> Result<(), Reply> {
        let listed = |allowed: &BTreeSet<String>| role == mesos::roles::DEFAULT_ROLE || allowed.contains(role);
        if self.config.role_whitelist.as_ref().is_none_or(listed) {
            Ok(())
        } else {
            Err(Reply::text(
                400,
                format!("role '{role}' is not among those of the flag --roles"),
            ))
        }
    }
}

/// Whether a framework is subscribed to a role or to one below it.
pub(crate) fn plays(framework: &Framework, role: &str) -> bool {
    framework.roles.iter().any(|own| is_within(own, role))
}

/// What counts against quota besides reservations.
fn charged(resources: &Resources) -> Resources {
    resources.unreserved().nonrevocable()
}

fn is_within(role: &str, top: &str) -> bool {
    role == top || is_strict_subrole_of(role, top)
}
