//! The real allocator against the plain one, over random histories of small clusters; and the properties that must
//! hold whatever happens.

#[path = "support/naive.rs"]
mod naive;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use libprocess_types::Time;
use mesos::capabilities::{AgentCapabilities, FrameworkCapabilities};
use mesos::ids::{AgentId, FrameworkId};
use mesos::resources::{Conversion, Reservation, Resources};
use mesos_allocator::api::{
    Activation, AgentInfo, AgentOrder, Allocations, AllocatorOptions, FrameworkInfo, Hold, OfferFilters, Quantities,
    Quota,
};
use mesos_allocator::{Allocator, HierarchicalAllocator};
use naive::Naive;
use support::{print, quantities, resources};

const ROLES: [&str; 5] = ["a", "a/x", "a/y", "b", "c"];

/// Draws small numbers from a seed.
struct Lots(u64);

impl Lots {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % bound as u64).expect("small")
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }

    fn roles(&mut self) -> BTreeSet<String> {
        (0..=self.below(3)).map(|_| self.pick(&ROLES).to_owned()).collect()
    }
}

struct Pair {
    real: HierarchicalAllocator,
    naive: Naive,
    lots: Lots,
    now: Time,
    with_quota: bool,
    frameworks: BTreeSet<String>,
    agents: BTreeSet<String>,
    made: usize,
    log: Vec<String>,
}

impl Pair {
    fn new(seed: u64) -> Self {
        let options = AllocatorOptions {
            agent_order: AgentOrder::Added,
            ..AllocatorOptions::default()
        };
        let naive = Naive::new(options.min_allocatable.clone(), options.allocation_interval);
        let mut lots = Lots(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let with_quota = lots.one_in(2);
        Self {
            real: HierarchicalAllocator::new(options),
            naive,
            lots,
            now: Time::from_nanos(1_000_000_000_000),
            with_quota,
            frameworks: BTreeSet::new(),
            agents: BTreeSet::new(),
            made: 0,
            log: Vec::new(),
        }
    }

    fn some(&mut self, of: &BTreeSet<String>) -> Option<String> {
        (!of.is_empty()).then(|| of.iter().nth(self.lots.below(of.len())).expect("in range").clone())
    }

    fn framework_info(&mut self) -> FrameworkInfo {
        let roles = self.lots.roles();
        let mut capabilities = FrameworkCapabilities {
            multi_role: true,
            ..FrameworkCapabilities::none()
        };
        capabilities.revocable_resources = self.lots.one_in(3);
        capabilities.shared_resources = self.lots.one_in(2);
        capabilities.reservation_refinement = self.lots.one_in(2);
        capabilities.gpu_resources = self.lots.one_in(2);
        let suppressed_roles = if self.lots.one_in(6) {
            self.lots.roles()
        } else {
            BTreeSet::new()
        };
        let mut min_allocatable = BTreeMap::new();
        if self.lots.one_in(5) {
            let role = self.lots.pick(&ROLES).to_owned();
            let minimum = self.lots.pick(&["cpus:2", "mem:500", "-"]);
            min_allocatable.insert(role, vec![quantities(minimum)]);
        }
        FrameworkInfo {
            roles,
            suppressed_roles,
            capabilities,
            min_allocatable,
            offer_constraints: None,
        }
    }

    fn agent_total(&mut self) -> Resources {
        let mut text = format!("cpus:{};mem:{}", 1 + self.lots.below(8), 100 * (1 + self.lots.below(9)));
        if self.lots.one_in(2) {
            text += &format!(";ports:[1000-10{:02}]", self.lots.below(99));
        }
        if self.lots.one_in(3) {
            text += &format!(";cpus({}):{};disk:100", self.lots.pick(&ROLES), 1 + self.lots.below(3));
        }
        if self.lots.one_in(5) {
            text += ";cpus{rev}:2";
        }
        if self.lots.one_in(6) {
            text += ";mem(a+a/x):64";
        }
        if self.lots.one_in(6) {
            text += ";disk(a)[v]<shared>:32";
        }
        if self.lots.one_in(6) {
            text += ";gpus:1";
        }
        resources(&text)
    }

    fn add_framework(&mut self) {
        self.made += 1;
        let id = format!("f{}", self.made);
        let info = self.framework_info();
        self.log.push(format!("framework {id} {info:?}"));
        let real = FrameworkId::new(id.as_str());
        self.real
            .add_framework(self.now, &real, info.clone(), &BTreeMap::new(), Activation::Active);
        self.naive.add_framework(&id, info);
        self.frameworks.insert(id);
    }

    fn add_agent(&mut self) {
        self.made += 1;
        let id = format!("a{}", self.made);
        let total = self.agent_total();
        let mut capabilities = AgentCapabilities::all();
        capabilities.hierarchical_role = !self.lots.one_in(8);
        let info = AgentInfo {
            hostname: id.clone(),
            capabilities,
            ..AgentInfo::default()
        };
        self.log.push(format!(
            "agent {id} {} {}",
            print(&total),
            info.capabilities.hierarchical_role
        ));
        self.real.add_agent(
            self.now,
            &AgentId::new(id.as_str()),
            info.clone(),
            &total,
            &BTreeMap::new(),
        );
        self.naive.add_agent(&id, info, total);
        self.agents.insert(id);
    }

    fn change_framework(&mut self) {
        let frameworks = self.frameworks.clone();
        let Some(id) = self.some(&frameworks) else { return };
        let real = FrameworkId::new(id.as_str());
        let roles = if self.lots.one_in(2) {
            BTreeSet::new()
        } else {
            self.lots.roles()
        };
        let action = self.lots.below(6);
        self.log.push(format!("change {id} {action} {roles:?}"));
        match action {
            0 => {
                self.real.suppress_roles(self.now, &real, &roles);
                self.naive.suppress(&id, &roles);
            }
            1 | 2 => {
                self.real.revive_roles(self.now, &real, &roles);
                self.naive.revive(&id, &roles);
            }
            3 => {
                self.real.deactivate_framework(self.now, &real);
                self.naive.set_framework_active(&id, false);
            }
            4 => {
                self.real.activate_framework(self.now, &real);
                self.naive.set_framework_active(&id, true);
            }
            _ => {
                let info = self.framework_info();
                self.log.push(format!("update {id} {info:?}"));
                self.real.update_framework(self.now, &real, info.clone());
                self.naive.update_framework(&id, &info);
            }
        }
    }

    fn change_agent(&mut self) {
        let agents = self.agents.clone();
        let Some(id) = self.some(&agents) else { return };
        let real = AgentId::new(id.as_str());
        let action = self.lots.below(4);
        self.log.push(format!("change {id} {action}"));
        match action {
            0 => {
                self.real.remove_agent(self.now, &real);
                self.naive.remove_agent(&id);
                self.agents.remove(&id);
            }
            1 => {
                self.real.deactivate_agent(self.now, &real);
                self.naive.set_agent_active(&id, false);
            }
            _ => {
                self.real.activate_agent(self.now, &real);
                self.naive.set_agent_active(&id, true);
            }
        }
    }

    fn change_role(&mut self) {
        let role = self.lots.pick(&ROLES);
        if !self.with_quota || self.lots.one_in(2) {
            let weight = [0.5, 1.0, 2.0, 3.0][self.lots.below(4)];
            self.log.push(format!("weight {role} {weight}"));
            self.real
                .update_weights(self.now, &BTreeMap::from([(role.to_owned(), weight)]));
            self.naive.set_weight(role, weight);
            return;
        }
        let mut draw = |names: &[&str]| -> Quantities {
            let mut drawn = Quantities::new();
            for name in names {
                if self.lots.one_in(2) {
                    let amount = (1 + self.lots.below(8)) * if *name == "mem" { 100 } else { 1 };
                    drawn.extend(quantities(&format!("{name}:{amount}")));
                }
            }
            drawn
        };
        let (mut guarantees, limits) = (draw(&["cpus", "mem"]), draw(&["cpus", "mem", "disk"]));
        guarantees.retain(|name, guarantee| limits.get(name).is_none_or(|limit| *guarantee <= *limit));
        let quota = Quota { guarantees, limits };
        self.log.push(format!("quota {role} {quota:?}"));
        self.real
            .update_quota(self.now, role, quota.clone())
            .expect("supported");
        self.naive.set_quota(role, quota);
    }

    /// Gives back a part of what somebody holds, as a declined offer or an ended task.
    fn give_back(&mut self) {
        if self.naive.held.is_empty() {
            return;
        }
        let index = self.lots.below(self.naive.held.len());
        let held = self.naive.held[index].clone();
        let part = if self.lots.one_in(2) {
            held.resources.clone()
        } else {
            let lots = &mut self.lots;
            let kept: Vec<bool> = held.resources.iter().map(|_| lots.one_in(2)).collect();
            held.resources
                .iter()
                .zip(kept)
                .filter(|(_, kept)| *kept)
                .map(|(resource, _)| resource.clone())
                .collect()
        };
        let ended = self.lots.one_in(2);
        let refuse = (!ended && self.lots.one_in(2)).then(|| Duration::from_secs(self.lots.below(9) as u64));
        self.log
            .push(format!("back {held:?} {} {refuse:?} {ended}", print(&part)));
        let (framework, agent) = (
            FrameworkId::new(held.framework.as_str()),
            AgentId::new(held.agent.as_str()),
        );
        let hold = if ended { Hold::Allocated } else { Hold::Offered };
        let filters = refuse.map(|refuse| OfferFilters { refuse });
        let allocated = part.allocate(&held.role);
        self.real
            .recover_resources(self.now, &framework, &agent, &allocated, filters, hold);
        self.naive.take_back(index, &part, refuse, ended, self.now);
    }

    /// Reserves or unreserves a processor that somebody holds.
    fn convert(&mut self) {
        let Some(index) = (!self.naive.held.is_empty()).then(|| self.lots.below(self.naive.held.len())) else {
            return;
        };
        let held = self.naive.held[index].clone();
        let plain = resources("cpus:1");
        let resource = plain.iter().next().expect("one").clone();
        let reserved = Resources::from(resource.with_reservations(vec![Reservation::dynamic(&held.role, None)]));
        let (from, to) = if held.resources.contains(&reserved) {
            (reserved, plain)
        } else {
            (plain, reserved)
        };
        let conversion = [Conversion {
            consumed: from.allocate(&held.role),
            converted: to.allocate(&held.role),
        }];
        let (framework, agent) = (
            FrameworkId::new(held.framework.as_str()),
            AgentId::new(held.agent.as_str()),
        );
        let result = self.real.update_allocation(&framework, &agent, &conversion);
        assert_eq!(result.is_ok(), held.resources.contains(&from));
        self.log
            .push(format!("convert {held:?} {} {}", print(&from), print(&to)));
        if result.is_ok() {
            self.naive.convert(index, &from, &to);
        }
    }

    fn cycle(&mut self) {
        let only_changed = self.lots.one_in(2);
        self.log.push(format!("cycle {only_changed}"));
        let found = if only_changed {
            self.real.allocate_changed(self.now)
        } else {
            self.real.allocate(self.now)
        };
        let expected = self.naive.allocate(self.now, only_changed);
        let shown = |key: (&str, &str, &str), resources: &Resources| {
            format!("{} {} {} {}", key.0, key.1, key.2, print(resources))
        };
        let mut found: Vec<String> = offers(&found)
            .iter()
            .map(|(key, resources)| shown((&key.0, &key.1, &key.2), resources))
            .collect();
        found.sort();
        let mut expected: Vec<String> = expected
            .iter()
            .map(|(key, resources)| shown((&key.0, &key.1, &key.2), resources))
            .collect();
        expected.sort();
        assert_eq!(found, expected, "history:\n{}", self.log.join("\n"));
    }

    fn step(&mut self) {
        match self.lots.below(16) {
            0 | 1 => self.add_framework(),
            2 | 3 => self.add_agent(),
            4 => self.change_framework(),
            5 => self.change_agent(),
            6 => self.change_role(),
            7..=10 => self.give_back(),
            11 => self.convert(),
            12 => {
                self.now += Duration::from_secs(1 + self.lots.below(4) as u64);
                self.log.push("tick".to_owned());
            }
            13 if self.lots.one_in(3) => {
                let frameworks = self.frameworks.clone();
                if let Some(id) = self.some(&frameworks) {
                    self.log.push(format!("remove {id}"));
                    self.real.remove_framework(self.now, &FrameworkId::new(id.as_str()));
                    self.naive.remove_framework(&id);
                    self.frameworks.remove(&id);
                }
            }
            _ => self.cycle(),
        }
        if let Err(error) = self.real.check_invariants() {
            panic!("{error}; history:\n{}", self.log.join("\n"));
        }
    }
}

fn offers(found: &Allocations) -> Vec<((String, String, String), Resources)> {
    let offer = |offer: &mesos_allocator::api::OfferableAllocation| {
        assert_eq!(
            offer.resources.allocated_to(&offer.role),
            offer.resources,
            "all of it is allocated to the role"
        );
        let key = (
            offer.framework.to_string(),
            offer.role.to_string(),
            offer.agent.to_string(),
        );
        (key, offer.resources.unallocate())
    };
    found.offers.iter().map(offer).collect()
}

/// How many histories are compared; `ALLOCATOR_SEEDS=10000` is the project's own measure, and takes some minutes.
fn seeds() -> u64 {
    std::env::var("ALLOCATOR_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(600)
}

#[test]
fn the_plain_allocator_agrees_on_random_clusters() {
    for seed in 0..seeds() {
        let run = std::panic::catch_unwind(|| {
            let mut pair = Pair::new(seed);
            for _ in 0..60 {
                pair.step();
            }
        });
        if let Err(panic) = run {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}
