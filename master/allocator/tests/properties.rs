//! What must hold whatever happens: limits, guarantees, nobody starves, nothing is given twice.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use libprocess_types::Time;
use mesos::capabilities::{AgentCapabilities, FrameworkCapabilities};
use mesos::ids::{AgentId, FrameworkId};
use mesos::values::Scalar;
use mesos_allocator::api::{Activation, AgentInfo, AllocatorOptions, FrameworkInfo, Hold, OfferableAllocation, Quota};
use mesos_allocator::{Allocator, HierarchicalAllocator};
use proptest::prelude::*;
use support::{quantities, resources};

const NOW: Time = Time::from_nanos(1_000_000_000_000);

fn add_framework(allocator: &mut HierarchicalAllocator, id: &str, role: &str) {
    let capabilities = FrameworkCapabilities {
        multi_role: true,
        ..FrameworkCapabilities::none()
    };
    let info = FrameworkInfo {
        roles: BTreeSet::from([role.to_owned()]),
        capabilities,
        ..FrameworkInfo::default()
    };
    allocator.add_framework(NOW, &FrameworkId::new(id), info, &BTreeMap::new(), Activation::Active);
}

fn add_agent(allocator: &mut HierarchicalAllocator, id: &str, total: &str) {
    let info = AgentInfo {
        capabilities: AgentCapabilities::all(),
        ..AgentInfo::default()
    };
    allocator.add_agent(NOW, &AgentId::new(id), info, &resources(total), &BTreeMap::new());
}

fn give_back(allocator: &mut HierarchicalAllocator, offer: &OfferableAllocation) {
    let (framework, agent) = (&offer.framework, &offer.agent);
    allocator.recover_resources(NOW, framework, agent, &offer.resources, None, Hold::Offered);
}

fn held(allocator: &HierarchicalAllocator, role: &str, name: &str) -> Scalar {
    let metrics = allocator.metrics(NOW);
    metrics.quotas[role]
        .offered_or_allocated
        .get(name)
        .copied()
        .unwrap_or(Scalar::ZERO)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// However offers come and go, no role ever has more than its limit or than a limit above it.
    #[test]
    fn limits_hold_at_every_step(
        agents in prop::collection::vec((1_u32..20, 64_u32..2000), 1..8),
        limits in prop::array::uniform3(1_u32..30),
        returned in prop::collection::vec(prop::collection::vec(any::<bool>(), 8), 1..12),
        seed in any::<u64>(),
    ) {
        let mut allocator = HierarchicalAllocator::new(AllocatorOptions { seed, ..AllocatorOptions::default() });
        let roles = ["top", "top/a", "top/b"];
        for (role, limit) in roles.iter().zip(limits) {
            let limits = quantities(&format!("cpus:{limit};mem:{}", limit * 50));
            let quota = Quota { limits, ..Quota::default() };
            prop_assert!(allocator.update_quota(NOW, role, quota).is_ok());
            add_framework(&mut allocator, &format!("f-{role}"), role);
        }
        add_framework(&mut allocator, "free", "other");
        for (number, (cpus, mem)) in agents.iter().enumerate() {
            add_agent(&mut allocator, &format!("a{number}"), &format!("cpus:{cpus};mem:{mem}"));
        }
        let mut outstanding: Vec<OfferableAllocation> = Vec::new();
        for pattern in returned {
            outstanding.extend(allocator.allocate(NOW).offers);
            for (role, limit) in roles.iter().zip(limits) {
                prop_assert!(held(&allocator, role, "cpus") <= Scalar::from_whole(i64::from(limit)));
                prop_assert!(held(&allocator, role, "mem") <= Scalar::from_whole(i64::from(limit) * 50));
            }
            prop_assert_eq!(allocator.check_invariants(), Ok(()));
            let mut number = 0;
            outstanding.retain(|offer| {
                number += 1;
                let kept = pattern[number % pattern.len()];
                if !kept {
                    give_back(&mut allocator, offer);
                }
                kept
            });
        }
    }

    /// A role gets its guarantee at once, although somebody took all that was offered before it came.
    #[test]
    fn guarantees_are_met_when_capacity_allows(
        agents in prop::collection::vec(1_u32..10, 2..10),
        shares in prop::collection::vec(1_u32..100, 1..4),
        seed in any::<u64>(),
    ) {
        let total: u32 = agents.iter().sum();
        let weight: u32 = shares.iter().sum();
        let guarantees: Vec<u32> = shares.iter().map(|share| total * share / weight).collect();
        let mut allocator = HierarchicalAllocator::new(AllocatorOptions { seed, ..AllocatorOptions::default() });
        for (number, guarantee) in guarantees.iter().enumerate() {
            let quota = Quota { guarantees: quantities(&format!("cpus:{guarantee}")), ..Quota::default() };
            let result = allocator.update_quota(NOW, &format!("q{number}"), quota);
            prop_assert_eq!(result, Ok(()));
        }
        add_framework(&mut allocator, "hoarder", "other");
        for (number, cpus) in agents.iter().enumerate() {
            add_agent(&mut allocator, &format!("a{number}"), &format!("cpus:{cpus};mem:1000"));
            allocator.allocate_changed(NOW);
        }
        for number in 0..guarantees.len() {
            add_framework(&mut allocator, &format!("f{number}"), &format!("q{number}"));
            allocator.allocate_changed(NOW);
        }
        for (number, guarantee) in guarantees.iter().enumerate().filter(|(_, guarantee)| **guarantee > 0) {
            let got = held(&allocator, &format!("q{number}"), "cpus");
            prop_assert!(got >= Scalar::from_whole(i64::from(*guarantee)), "role q{number} has {got} of {guarantee}");
        }
        prop_assert_eq!(allocator.check_invariants(), Ok(()));
    }

    /// Every framework is offered something again and again, whatever the others accept, hold or decline.
    #[test]
    fn nobody_starves(
        roles in prop::collection::vec(0_usize..4, 2..12),
        agents in 1_usize..6,
        choices in prop::collection::vec(0_u8..4, 300),
        seed in any::<u64>(),
    ) {
        let mut allocator = HierarchicalAllocator::new(AllocatorOptions { seed, ..AllocatorOptions::default() });
        for (number, role) in roles.iter().enumerate() {
            add_framework(&mut allocator, &format!("f{number}"), ["r", "r/x", "s", "t/u"][*role]);
        }
        for number in 0..agents {
            add_agent(&mut allocator, &format!("a{number}"), "cpus:4;mem:1000");
        }
        let mut waiting: BTreeMap<String, usize> = (0..roles.len()).map(|number| (format!("f{number}"), 0)).collect();
        let mut outstanding: Vec<(u8, OfferableAllocation)> = Vec::new();
        let mut choice = choices.iter().cycle();
        for _ in 0..200 {
            for waited in waiting.values_mut() {
                *waited += 1;
            }
            for offer in allocator.allocate(NOW).offers {
                waiting.insert(offer.framework.to_string(), 0);
                // Declined at once, or held for up to three cycles.
                outstanding.push((*choice.next().expect("endless"), offer));
            }
            outstanding.retain_mut(|(left, offer)| {
                if *left == 0 {
                    give_back(&mut allocator, offer);
                    return false;
                }
                *left -= 1;
                true
            });
            let longest = waiting.values().max().copied().unwrap_or(0);
            prop_assert!(longest <= 16 * roles.len(), "{waiting:?} with roles {roles:?}");
        }
    }
}
