//! Cycles: which agents they look at, and what they answer; quota and recovery, which bound them.

use std::collections::BTreeMap;
use std::sync::Arc;

use libprocess_types::Time;

use super::{HierarchicalAllocator, Recovery};
use crate::api::{AgentOrder, Allocations, Allocator, InverseOfferRequest, OfferableAllocation, Quota};
use crate::cycle::{Cycle, Grant};

impl HierarchicalAllocator {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a count of agents, clamped by the conversion"
    )]
    pub(super) fn start_recovery(&mut self, now: Time, expected_agents: usize, quotas: BTreeMap<String, Quota>) {
        let agents_needed = (expected_agents as f64 * self.options.agent_recovery_factor).floor() as usize;
        for (role, quota) in quotas {
            self.set_quota(&role, quota);
        }
        if !self.quotas.is_empty() && agents_needed > 0 {
            self.recovery = Some(Recovery {
                agents_needed,
                until: now + self.options.recovery_timeout,
            });
        }
    }

    pub(super) fn set_quota(&mut self, role: &str, quota: Quota) {
        let guarantees = self.ledger.places.vector_of(&quota.guarantees).clamped();
        let places = &mut self.ledger.places;
        let limits = quota
            .limits
            .iter()
            .map(|(name, limit)| (places.place_of_text(name), limit.thousandths()));
        self.tree.set_quota(role, guarantees, limits.collect());
        if quota.is_default() {
            self.quotas.remove(role);
        } else {
            self.quotas.insert(role.to_owned(), quota);
        }
        self.epoch += 1;
    }

    /// Whether cycles wait for agents after a failover; ends the wait when it is over.
    fn is_recovering(&mut self, now: Time) -> bool {
        if self
            .recovery
            .is_some_and(|recovery| !recovery.is_over(now, self.agents.len()))
        {
            return true;
        }
        if self.recovery.take().is_some() {
            self.all_changed = true;
        }
        false
    }

    /// Whether cycles wait at a time.
    pub(super) fn waits_at(&self, now: Time) -> bool {
        self.recovery
            .is_some_and(|recovery| !recovery.is_over(now, self.agents.len()))
    }

    pub(super) fn cycle_over_changed(&mut self, now: Time) -> Allocations {
        if self.is_recovering(now) || !self.has_changes() {
            return Allocations::default();
        }
        if self.all_changed {
            return self.cycle_over_all(now);
        }
        let slots = std::mem::take(&mut self.changed);
        self.cycle(now, slots)
    }

    pub(super) fn cycle_over_all(&mut self, now: Time) -> Allocations {
        if self.is_recovering(now) {
            return Allocations::default();
        }
        self.all_changed = false;
        self.changed.clear();
        let slots = self.agents.iter().map(|(slot, _)| slot).collect();
        self.cycle(now, slots)
    }

    fn cycle(&mut self, now: Time, mut slots: Vec<u32>) -> Allocations {
        self.runs += 1;
        for slot in &slots {
            self.agents.at_mut(*slot).changed = false;
        }
        slots.retain(|slot| self.rules.refuses_agent(self.agents.at(*slot)).is_none());
        match self.options.agent_order {
            AgentOrder::Shuffled => self.random.shuffle(&mut slots),
            AgentOrder::Added => slots.sort_by_key(|slot| self.agents.at(*slot).serial),
        }
        let mut cycle = Cycle {
            has_quota: !self.quotas.is_empty(),
            tree: &mut self.tree,
            ledger: &mut self.ledger,
            frameworks: &self.frameworks,
            rules: &self.rules,
            random: &mut self.random,
            now,
            epoch: self.epoch,
            tastes_epoch: self.tastes_epoch,
            has_minimums: self.minimums > 0,
            granted: Vec::new(),
            scratch: std::mem::take(&mut self.scratch),
        };
        cycle.run(&slots, &mut self.agents);
        let granted = std::mem::take(&mut cycle.granted);
        self.scratch = cycle.scratch;
        Allocations {
            offers: self.offers(granted),
            inverse_offers: self.inverse_offers(now, &slots),
        }
    }

    /// Groups grants by framework and merges those of the same client on the same agent.
    fn offers(&self, mut granted: Vec<Grant>) -> Vec<OfferableAllocation> {
        granted.sort_by_key(|grant| (self.tree.client(grant.client).framework, grant.client, grant.agent));
        granted.dedup_by(|later, earlier| {
            let same = later.client == earlier.client && later.agent == earlier.agent;
            if same {
                earlier.resources += &later.resources;
            }
            same
        });
        let offer = |grant: Grant| {
            let client = self.tree.client(grant.client);
            let role: Arc<str> = self.tree.role(client.role).path.clone();
            OfferableAllocation {
                framework: self.frameworks.at(client.framework).id.clone(),
                agent: self.agents.at(grant.agent).id.clone(),
                resources: grant.resources.allocate(&role),
                role,
            }
        };
        granted.into_iter().map(offer).collect()
    }

    /// Asks active frameworks to leave the agents of a cycle that will become unavailable.
    fn inverse_offers(&mut self, now: Time, slots: &[u32]) -> Vec<InverseOfferRequest> {
        let mut asked = Vec::new();
        for slot in slots {
            if self.agents.at(*slot).maintenance.is_none() {
                continue;
            }
            for holder in self.holders(*slot) {
                let framework = self.frameworks.at(holder);
                let agent = self.agents.at_mut(*slot);
                let Some(maintenance) = &mut agent.maintenance else {
                    continue;
                };
                if framework.active && maintenance.ask(holder, now) {
                    asked.push(InverseOfferRequest {
                        framework: framework.id.clone(),
                        agent: agent.id.clone(),
                        unavailability: maintenance.unavailability,
                    });
                }
            }
        }
        asked.sort_by(|left, right| (&left.framework, &left.agent).cmp(&(&right.framework, &right.agent)));
        asked
    }
}

impl Recovery {
    fn is_over(&self, now: Time, agents: usize) -> bool {
        agents >= self.agents_needed || now >= self.until
    }
}
