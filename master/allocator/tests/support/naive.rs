//! The allocator once more, as plainly as possible: nothing is indexed, cached or kept up to date; every question is
//! answered by going through everything that is held. It exists to disagree with the real one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use libprocess_types::Time;
use mesos::resources::{Resource, ResourceValue, Resources};
use mesos::values::Scalar;
use mesos_allocator::api::{AgentInfo, FrameworkInfo, Quantities, Quota};

/// What somebody holds.
#[derive(Clone, Debug)]
pub struct Held {
    pub framework: String,
    pub role: String,
    pub agent: String,
    pub resources: Resources,
}

#[derive(Clone, Debug)]
struct NaiveAgent {
    id: String,
    info: AgentInfo,
    active: bool,
    total: Resources,
}

#[derive(Clone, Debug)]
struct NaiveFramework {
    info: FrameworkInfo,
    suppressed: BTreeSet<String>,
    active: bool,
}

#[derive(Clone, Debug)]
struct NaiveFilter {
    framework: String,
    role: String,
    agent: String,
    declined: Resources,
    until: Time,
}

/// The plain allocator.
#[derive(Clone, Debug, Default)]
pub struct Naive {
    minimums: Vec<Quantities>,
    interval: Duration,
    agents: Vec<NaiveAgent>,
    frameworks: BTreeMap<String, NaiveFramework>,
    pub held: Vec<Held>,
    filters: Vec<NaiveFilter>,
    weights: BTreeMap<String, f64>,
    quotas: BTreeMap<String, Quota>,
    /// Allocations so far, by framework and role.
    client_counts: BTreeMap<(String, String), u64>,
    /// Allocations so far in a role and below it, and in the role alone.
    role_counts: BTreeMap<String, (u64, u64)>,
    changed: BTreeSet<String>,
    all_changed: bool,
}

/// Framework, role, agent and resources of an offer.
pub type Offer = (String, String, String, Resources);

fn is_below_or_same(role: &str, above: &str) -> bool {
    role == above || role.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

fn chain(role: &str) -> Vec<String> {
    let mut chain = vec![role.to_owned()];
    chain.extend(mesos::roles::ancestors(role).map(str::to_owned));
    chain
}

fn scalars(resources: &Resources, keep: impl Fn(&Resource) -> bool) -> Quantities {
    let mut sums = Quantities::new();
    for resource in resources.iter().filter(|resource| keep(resource)) {
        if let Some(scalar) = resource.scalar_value() {
            *sums.entry(resource.name().to_string()).or_insert(Scalar::ZERO) += scalar;
        }
    }
    sums
}

fn is_charged(resource: &Resource) -> bool {
    resource.is_unreserved() && !resource.is_revocable()
}

fn at(quantities: &Quantities, name: &str) -> i64 {
    quantities.get(name).map_or(0, |scalar| scalar.thousandths())
}

fn add(sums: &mut BTreeMap<String, i64>, quantities: &Quantities) {
    for (name, scalar) in quantities {
        *sums.entry(name.clone()).or_insert(0) += scalar.thousandths();
    }
}

impl Naive {
    pub fn new(minimums: Vec<Quantities>, interval: Duration) -> Self {
        Self {
            minimums,
            interval,
            ..Self::default()
        }
    }

    pub fn add_framework(&mut self, id: &str, info: FrameworkInfo) {
        let suppressed = info.suppressed_roles.intersection(&info.roles).cloned().collect();
        self.frameworks.insert(
            id.to_owned(),
            NaiveFramework {
                info,
                suppressed,
                active: true,
            },
        );
        self.all_changed = true;
    }

    pub fn update_framework(&mut self, id: &str, info: &FrameworkInfo) {
        let Some(framework) = self.frameworks.get_mut(id) else {
            return;
        };
        let suppressed: BTreeSet<String> = info.suppressed_roles.intersection(&info.roles).cloned().collect();
        let before = std::mem::replace(&mut framework.suppressed, suppressed.clone());
        framework.info = info.clone();
        self.filters.retain(|filter| {
            let revived = before.contains(&filter.role) && !suppressed.contains(&filter.role);
            filter.framework != id || (!revived && info.roles.contains(&filter.role))
        });
        self.all_changed = true;
        self.prune();
    }

    pub fn remove_framework(&mut self, id: &str) {
        self.frameworks.remove(id);
        self.held.retain(|held| held.framework != id);
        self.filters.retain(|filter| filter.framework != id);
        self.prune();
    }

    pub fn set_framework_active(&mut self, id: &str, active: bool) {
        let Some(framework) = self.frameworks.get_mut(id) else {
            return;
        };
        framework.active = active;
        if active {
            self.all_changed = true;
        } else {
            self.filters.retain(|filter| filter.framework != id);
        }
    }

    pub fn suppress(&mut self, id: &str, roles: &BTreeSet<String>) {
        let Some(framework) = self.frameworks.get_mut(id) else {
            return;
        };
        let own = &framework.info.roles;
        framework.suppressed.extend(
            own.iter()
                .filter(|role| roles.is_empty() || roles.contains(*role))
                .cloned(),
        );
    }

    pub fn revive(&mut self, id: &str, roles: &BTreeSet<String>) {
        let Some(framework) = self.frameworks.get_mut(id) else {
            return;
        };
        let named = |role: &String| roles.is_empty() || roles.contains(role);
        framework.suppressed.retain(|role| !named(role));
        self.filters
            .retain(|filter| filter.framework != id || !named(&filter.role));
        self.all_changed = true;
    }

    pub fn add_agent(&mut self, id: &str, info: AgentInfo, total: Resources) {
        self.agents.push(NaiveAgent {
            id: id.to_owned(),
            info,
            active: true,
            total,
        });
        self.changed.insert(id.to_owned());
    }

    pub fn remove_agent(&mut self, id: &str) {
        self.agents.retain(|agent| agent.id != id);
        self.held.retain(|held| held.agent != id);
        self.filters.retain(|filter| filter.agent != id);
        self.changed.remove(id);
        self.prune();
    }

    pub fn set_agent_active(&mut self, id: &str, active: bool) {
        let Some(agent) = self.agents.iter_mut().find(|agent| agent.id == id) else {
            return;
        };
        agent.active = active;
        if active {
            self.changed.insert(id.to_owned());
        }
    }

    pub fn set_weight(&mut self, role: &str, weight: f64) {
        self.weights.insert(role.to_owned(), weight);
        self.prune();
    }

    pub fn set_quota(&mut self, role: &str, quota: Quota) {
        self.quotas.insert(role.to_owned(), quota);
        self.prune();
    }

    pub fn take_back(&mut self, index: usize, part: &Resources, refuse: Option<Duration>, ended: bool, now: Time) {
        let held = &mut self.held[index];
        held.resources.try_subtract(part).expect("held");
        let held = held.clone();
        let framework = &self.frameworks[&held.framework];
        if let (Some(refuse), true) = (
            refuse.filter(|refuse| !refuse.is_zero()),
            framework.info.roles.contains(&held.role),
        ) {
            self.filters.push(NaiveFilter {
                framework: held.framework.clone(),
                role: held.role.clone(),
                agent: held.agent.clone(),
                declined: part.clone(),
                until: now + refuse.max(self.interval),
            });
        }
        if ended {
            self.changed.insert(held.agent.clone());
        }
        self.prune();
    }

    pub fn convert(&mut self, index: usize, consumed: &Resources, converted: &Resources) {
        let held = &mut self.held[index];
        held.resources.try_subtract(consumed).expect("held");
        held.resources += converted;
        let agent = self
            .agents
            .iter_mut()
            .find(|agent| agent.id == held.agent)
            .expect("known");
        agent.total.try_subtract(consumed).expect("there");
        agent.total += converted;
        self.prune();
    }

    /// Forgets counts of clients and roles that nothing needs any more.
    fn prune(&mut self) {
        self.held.retain(|held| !held.resources.is_empty());
        let lives = |framework: &str, role: &str| {
            self.frameworks
                .get(framework)
                .is_some_and(|framework| framework.info.roles.contains(role))
                || self
                    .held
                    .iter()
                    .any(|held| held.framework == framework && held.role == role)
        };
        self.client_counts.retain(|(framework, role), _| lives(framework, role));
        let mut needed: BTreeSet<String> = BTreeSet::new();
        needed.extend(
            self.frameworks
                .values()
                .flat_map(|framework| framework.info.roles.clone()),
        );
        needed.extend(self.held.iter().map(|held| held.role.clone()));
        needed.extend(
            self.weights
                .iter()
                .filter(|(_, weight)| **weight != 1.0)
                .map(|(role, _)| role.clone()),
        );
        needed.extend(
            self.quotas
                .iter()
                .filter(|(_, quota)| !quota.is_default())
                .map(|(role, _)| role.clone()),
        );
        for agent in &self.agents {
            needed.extend(agent.total.reservations().keys().map(ToString::to_string));
        }
        self.role_counts
            .retain(|role, _| needed.iter().any(|other| is_below_or_same(other, role)));
    }

    fn held_where(&self, keep: impl Fn(&Held) -> bool) -> BTreeMap<String, i64> {
        let mut sums = BTreeMap::new();
        for held in self.held.iter().filter(|held| keep(held)) {
            add(&mut sums, &scalars(&held.resources, |_| true));
        }
        sums
    }

    fn share(&self, held: &BTreeMap<String, i64>) -> f64 {
        let mut total = BTreeMap::new();
        for agent in &self.agents {
            add(&mut total, &scalars(&agent.total, |_| true));
        }
        let shares = held.iter().filter_map(|(name, quantity)| {
            let total = *total.get(name)?;
            (total > 0 && *quantity > 0).then(|| *quantity as f64 / total as f64)
        });
        shares.fold(0.0, f64::max)
    }

    fn active_clients(&self, role: &str) -> Vec<String> {
        let wants = |framework: &NaiveFramework| {
            framework.active && framework.info.roles.contains(role) && !framework.suppressed.contains(role)
        };
        let mut ranked: Vec<(f64, u64, String)> = Vec::new();
        for (id, _) in self.frameworks.iter().filter(|(_, framework)| wants(framework)) {
            let share = self.share(&self.held_where(|held| held.framework == *id && held.role == role));
            let count = self
                .client_counts
                .get(&(id.clone(), role.to_owned()))
                .copied()
                .unwrap_or(0);
            ranked.push((share, count, id.clone()));
        }
        ranked.sort_by(|left, right| left.partial_cmp(right).expect("no NaN"));
        ranked.into_iter().map(|(_, _, id)| id).collect()
    }

    /// All roles with active clients in the subtree of `above`, ranked; `None` is the root.
    fn ranked_roles(&self, above: Option<&str>) -> Vec<String> {
        let roles: BTreeSet<String> = self
            .frameworks
            .values()
            .flat_map(|framework| framework.info.roles.clone())
            .collect();
        let active: Vec<String> = roles
            .into_iter()
            .filter(|role| !self.active_clients(role).is_empty())
            .collect();
        let mut entries: BTreeSet<String> = BTreeSet::new();
        for role in &active {
            let on_path = chain(role);
            entries.extend(on_path.into_iter().filter(|role| mesos::roles::parent(role) == above));
        }
        let mut ranked: Vec<(f64, u64, String, Option<String>)> = Vec::new();
        for entry in entries {
            let share = self.share(&self.held_where(|held| is_below_or_same(&held.role, &entry)));
            let weight = self.weights.get(&entry).copied().unwrap_or(1.0);
            let name = entry.rsplit('/').next().expect("a name").to_owned();
            let count = self.role_counts.get(&entry).map_or(0, |counts| counts.0);
            ranked.push((share / weight, count, name, Some(entry)));
        }
        if let Some(above) = above.filter(|above| active.iter().any(|role| role == above)) {
            let share = self.share(&self.held_where(|held| held.role == above));
            let count = self.role_counts.get(above).map_or(0, |counts| counts.1);
            ranked.push((share, count, ".".to_owned(), None));
        }
        ranked.sort_by(|left, right| left.partial_cmp(right).expect("no NaN"));
        let mut order = Vec::new();
        for (_, _, _, entry) in ranked {
            match entry {
                Some(entry) => order.extend(self.ranked_roles(Some(&entry))),
                None => order.push(above.expect("only roles stand for themselves").to_owned()),
            }
        }
        order
    }

    fn consumed(&self, role: &str, name: &str) -> i64 {
        let mut sum = 0;
        for agent in &self.agents {
            sum += at(
                &scalars(&agent.total, |resource| {
                    resource
                        .reservation_role()
                        .is_some_and(|reserved| is_below_or_same(reserved, role))
                }),
                name,
            );
        }
        for held in self.held.iter().filter(|held| is_below_or_same(&held.role, role)) {
            sum += at(&scalars(&held.resources, is_charged), name);
        }
        sum
    }

    /// Guarantees not consumed yet in the subtree of a role.
    fn outstanding(&self, role: &str, name: &str) -> i64 {
        let roles: BTreeSet<String> = self.quotas.keys().flat_map(|role| chain(role)).collect();
        let below = roles.iter().filter(|other| mesos::roles::parent(other) == Some(role));
        let below: i64 = below.map(|child| self.outstanding(child, name)).sum();
        let guaranteed = self.quotas.get(role).map_or(0, |quota| at(&quota.guarantees, name));
        if guaranteed == 0 {
            below
        } else {
            below.max(guaranteed - self.consumed(role, name))
        }
    }

    fn required(&self, name: &str) -> i64 {
        let roles: BTreeSet<String> = self.quotas.keys().flat_map(|role| chain(role)).collect();
        let tops = roles.iter().filter(|role| mesos::roles::parent(role).is_none());
        tops.map(|role| self.outstanding(role, name)).sum()
    }

    fn surplus(&self, name: &str) -> i64 {
        let pool: i64 = self
            .agents
            .iter()
            .map(|agent| at(&scalars(&agent.total, is_charged), name))
            .sum();
        let used: i64 = self
            .held
            .iter()
            .map(|held| at(&scalars(&held.resources, is_charged), name))
            .sum();
        pool - used - self.required(name)
    }

    fn names(&self) -> BTreeSet<String> {
        let agents = self
            .agents
            .iter()
            .flat_map(|agent| scalars(&agent.total, |_| true).into_keys());
        agents
            .chain(self.quotas.values().flat_map(|quota| quota.guarantees.keys().cloned()))
            .collect()
    }

    fn needed(&self, role: &str, name: &str) -> Option<i64> {
        let guarantees = chain(role).into_iter().filter_map(|role| {
            let guaranteed = at(&self.quotas.get(&role)?.guarantees, name);
            (guaranteed > 0).then(|| guaranteed - self.consumed(&role, name))
        });
        guarantees.max().map(|needed| needed.max(0))
    }

    /// The most that a role may get of an unreserved, not revocable resource now.
    fn bound(&self, role: &str, name: &str, for_guarantees: bool) -> i64 {
        let mut bound = i64::MAX;
        for above in chain(role) {
            if let Some(limit) = self.quotas.get(&above).and_then(|quota| quota.limits.get(name)) {
                bound = bound.min(limit.thousandths() - self.consumed(&above, name));
            }
        }
        let needed = if for_guarantees { self.needed(role, name) } else { None };
        match needed {
            Some(needed) => bound = bound.min(needed),
            None if self.required(name) > 0 => bound = bound.min(self.surplus(name)),
            None => {}
        }
        bound.max(0)
    }

    fn chopped(&self, offer: &Resources, role: &str, for_guarantees: bool) -> Resources {
        let mut used: BTreeMap<String, i64> = BTreeMap::new();
        let mut chopped = Resources::new();
        for resource in offer.iter() {
            let (Some(scalar), true) = (resource.scalar_value(), is_charged(resource)) else {
                chopped.add_resource(resource.clone());
                continue;
            };
            let name = resource.name().to_string();
            let used = used.entry(name.clone()).or_insert(0);
            let left = self.bound(role, &name, for_guarantees) - *used;
            let amount = scalar.thousandths().min(left);
            if amount <= 0 || (amount < scalar.thousandths() && resource.is_indivisible()) {
                continue;
            }
            *used += amount;
            let value = ResourceValue::Scalar(Scalar::from_thousandths(amount));
            chopped.add_resource(resource.with_value(value));
        }
        chopped
    }

    fn free(&self, agent: &NaiveAgent, given: &[Offer]) -> Resources {
        let mut free = agent.total.clone();
        for held in self.held.iter().filter(|held| held.agent == agent.id) {
            free -= &held.resources.nonshared();
        }
        for (_, _, _, resources) in given.iter().filter(|offer| offer.2 == agent.id) {
            free -= &resources.shared();
        }
        free
    }

    fn may_get(&self, framework: &NaiveFramework, role: &str, agent: &NaiveAgent) -> bool {
        let can = framework.info.capabilities;
        let has_gpus = agent.total.iter().any(|resource| resource.name().as_str() == "gpus");
        (can.gpu_resources || !has_gpus)
            && (agent.info.capabilities.hierarchical_role || !role.contains('/'))
            && (agent.info.capabilities.multi_role || !can.multi_role)
    }

    fn offer(
        &self,
        id: &str,
        role: &str,
        agent: &NaiveAgent,
        given: &[Offer],
        for_guarantees: bool,
    ) -> Option<Resources> {
        let framework = &self.frameworks[id];
        if !self.may_get(framework, role, agent) {
            return None;
        }
        let can = framework.info.capabilities;
        let visible = self.free(agent, given).filter(|resource| {
            resource.is_allocatable_to(role)
                && (can.revocable_resources || !resource.is_revocable())
                && (can.shared_resources || !resource.is_shared())
                && (can.reservation_refinement || !resource.has_refined_reservations())
        });
        let offer = self.chopped(&visible, role, for_guarantees);
        let quantities = scalars(&offer, |_| true);
        let minimums = framework.info.min_allocatable.get(role).unwrap_or(&self.minimums);
        let reaches = |minimum: &Quantities| {
            minimum
                .iter()
                .all(|(name, scalar)| at(&quantities, name) >= scalar.thousandths())
        };
        if offer.iter().all(Resource::is_shared) || !(minimums.is_empty() || minimums.iter().any(reaches)) {
            return None;
        }
        let brings = |resource: &Resource| {
            is_charged(resource)
                && self
                    .needed(role, resource.name().as_str())
                    .is_some_and(|needed| needed > 0)
        };
        if for_guarantees && !offer.iter().any(brings) {
            return None;
        }
        let refused = self.filters.iter().any(|filter| {
            filter.framework == id
                && filter.role == role
                && filter.agent == agent.id
                && filter.declined.contains(&offer)
        });
        (!refused).then_some(offer)
    }

    fn is_required(&self) -> bool {
        self.names().iter().any(|name| self.required(name) > 0)
    }

    fn turn(&mut self, agent: &NaiveAgent, given: &mut Vec<Offer>, for_guarantees: bool) {
        // The ranking at the beginning holds for the whole turn.
        let frozen = self.clone();
        let mut counted: Vec<(String, String)> = Vec::new();
        for role in frozen.ranked_roles(None) {
            for id in frozen.active_clients(&role) {
                let wants = |naive: &Self| {
                    naive
                        .names()
                        .iter()
                        .any(|name| naive.needed(&role, name).unwrap_or(0) > 0)
                };
                if for_guarantees && !wants(self) {
                    break;
                }
                if let Some(resources) = self.offer(&id, &role, agent, given, for_guarantees) {
                    self.hold(&id, &role, &agent.id, &resources);
                    counted.push((id.clone(), role.clone()));
                    given.push((id, role.clone(), agent.id.clone(), resources));
                }
            }
        }
        for (id, role) in counted {
            for above in chain(&role) {
                self.role_counts.entry(above).or_default().0 += 1;
            }
            self.role_counts.entry(role.clone()).or_default().1 += 1;
            *self.client_counts.entry((id, role)).or_default() += 1;
        }
    }

    fn hold(&mut self, framework: &str, role: &str, agent: &str, resources: &Resources) {
        let same = |held: &&mut Held| held.framework == framework && held.role == role && held.agent == agent;
        match self.held.iter_mut().find(same) {
            Some(held) => held.resources += resources,
            None => self.held.push(Held {
                framework: framework.to_owned(),
                role: role.to_owned(),
                agent: agent.to_owned(),
                resources: resources.clone(),
            }),
        }
    }

    /// A cycle over all agents or over the changed ones; one entry per framework, role and agent.
    pub fn allocate(&mut self, now: Time, only_changed: bool) -> BTreeMap<(String, String, String), Resources> {
        let all = !only_changed || self.all_changed;
        let changed = std::mem::take(&mut self.changed);
        self.all_changed = false;
        let agents: Vec<NaiveAgent> = self
            .agents
            .iter()
            .filter(|agent| agent.active && (all || changed.contains(&agent.id)))
            .cloned()
            .collect();
        self.filters.retain(|filter| filter.until > now);
        let mut given = Vec::new();
        for agent in &agents {
            if !self.is_required() {
                break;
            }
            self.turn(agent, &mut given, true);
        }
        for agent in &agents {
            self.turn(agent, &mut given, false);
        }
        let mut offers: BTreeMap<(String, String, String), Resources> = BTreeMap::new();
        for (framework, role, agent, resources) in given {
            *offers.entry((framework, role, agent)).or_default() += resources;
        }
        offers
    }
}
