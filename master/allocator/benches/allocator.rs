//! Cycles over large clusters, in the shapes of the field's known allocator benchmarks.
//!
//! `cargo bench -p mesos-allocator`; a filter such as `-- full_cycle/10000x1000` picks one shape. Setting up a shape
//! takes longer than measuring it.

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};
use libprocess_types::Time;
use mesos::capabilities::{AgentCapabilities, FrameworkCapabilities};
use mesos::ids::{AgentId, FrameworkId};
use mesos::resources::{Reservation, Resources};
use mesos::values::Scalar;
use mesos_allocator::api::{
    Activation, AgentInfo, Allocations, AllocatorOptions, FrameworkInfo, Hold, OfferFilters, Quota,
};
use mesos_allocator::{Allocator, HierarchicalAllocator};

const START: Time = Time::from_nanos(1_000_000_000_000_000);

/// Agents and frameworks.
const SHAPES: [(usize, usize); 4] = [(1_000, 200), (10_000, 1_000), (20_000, 2_000), (50_000, 1_000)];

/// What differs between clusters.
#[derive(Clone, Copy, Default)]
struct Kind {
    roles: usize,
    /// Every second role has a limit and a guarantee.
    quota: bool,
    /// Labels of a reservation on every agent.
    labels: usize,
}

fn agent_total(labels: usize) -> Resources {
    let mut total = Resources::parse("cpus:24;mem:32768;disk:1048576;ports:[31000-32000]", "*").expect("valid");
    if labels > 0 {
        let mut reservation = Reservation::dynamic("role-0", Some("principal"));
        let mut list = mesos_proto::v0::mesos::Labels::new();
        for number in 0..labels {
            let mut label = mesos_proto::v0::mesos::Label::new();
            label.set_key(format!("key-{number}"));
            label.set_value("value".to_owned());
            list.labels.push(label);
        }
        reservation.labels = Some(list);
        let reserved = Resources::parse("cpus:4;mem:4096", "*").expect("valid");
        for resource in reserved.iter() {
            total.add_resource(resource.with_reservations(vec![reservation.clone()]));
        }
    }
    total
}

fn framework_id(number: usize) -> FrameworkId {
    FrameworkId::new(format!("8b6a9c2e-0f5d-4a53-9a40-2f9d3d1c5e11-{number:04}"))
}

fn agent_id(number: usize) -> AgentId {
    AgentId::new(format!("8b6a9c2e-0f5d-4a53-9a40-2f9d3d1c5e11-S{number}"))
}

fn cluster(agents: usize, frameworks: usize, kind: Kind) -> HierarchicalAllocator {
    let mut allocator = HierarchicalAllocator::new(AllocatorOptions::default());
    for number in 0..frameworks {
        let capabilities = FrameworkCapabilities {
            multi_role: true,
            ..FrameworkCapabilities::none()
        };
        let roles = BTreeSet::from([format!("role-{}", number % kind.roles.max(1))]);
        let info = FrameworkInfo {
            roles,
            capabilities,
            ..FrameworkInfo::default()
        };
        allocator.add_framework(START, &framework_id(number), info, &BTreeMap::new(), Activation::Active);
    }
    let total = agent_total(kind.labels);
    for number in 0..agents {
        let info = AgentInfo {
            hostname: format!("host-{number}"),
            capabilities: AgentCapabilities::all(),
            ..AgentInfo::default()
        };
        allocator.add_agent(START, &agent_id(number), info, &total, &BTreeMap::new());
    }
    if kind.quota {
        for role in (0..kind.roles).step_by(2) {
            let quota = Quota {
                guarantees: BTreeMap::from([("cpus".to_owned(), Scalar::from_whole(24))]),
                limits: BTreeMap::from([("cpus".to_owned(), Scalar::from_whole(1_000_000))]),
            };
            allocator
                .update_quota(START, &format!("role-{role}"), quota)
                .expect("supported");
        }
    }
    allocator
}

fn decline(allocator: &mut HierarchicalAllocator, now: Time, found: &Allocations, refuse: Option<Duration>) {
    for offer in &found.offers {
        let filters = refuse.map(|refuse| OfferFilters { refuse });
        allocator.recover_resources(
            now,
            &offer.framework,
            &offer.agent,
            &offer.resources,
            filters,
            Hold::Offered,
        );
    }
}

fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(2));
    group
}

/// All agents are free and all is offered.
fn full_cycle(criterion: &mut Criterion) {
    let one_role = Kind {
        roles: 1,
        ..Kind::default()
    };
    let mut group = group(criterion, "full_cycle");
    for (agents, frameworks) in SHAPES {
        let prepared = cluster(agents, frameworks, one_role);
        group.bench_function(
            BenchmarkId::from_parameter(format!("{agents}x{frameworks}")),
            |bencher| {
                bencher.iter_batched_ref(
                    || prepared.clone(),
                    |allocator| black_box(allocator.allocate(START)),
                    BatchSize::LargeInput,
                );
            },
        );
    }
    for (name, kind) in [
        (
            "10000x1000 in 100 roles",
            Kind {
                roles: 100,
                ..Kind::default()
            },
        ),
        (
            "10000x1000 in 100 roles, quota on half",
            Kind {
                roles: 100,
                quota: true,
                labels: 0,
            },
        ),
        (
            "10000x1000, reservations with 5 labels",
            Kind {
                roles: 1,
                quota: false,
                labels: 5,
            },
        ),
    ] {
        let prepared = cluster(10_000, 1_000, kind);
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter_batched_ref(
                || prepared.clone(),
                |allocator| black_box(allocator.allocate(START)),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

/// Every framework has declined every agent for long, or is suppressed.
fn idle_cycle(criterion: &mut Criterion) {
    let mut group = group(criterion, "idle_cycle");
    let mut filtered = cluster(
        10_000,
        50,
        Kind {
            roles: 1,
            ..Kind::default()
        },
    );
    let mut cycles = 0;
    loop {
        let found = filtered.allocate(START);
        if found.offers.is_empty() {
            break;
        }
        cycles += 1;
        decline(&mut filtered, START, &found, Some(Duration::from_secs(3600)));
    }
    group.bench_function(format!("10000x50 all filtered after {cycles} cycles"), |bencher| {
        bencher.iter(|| black_box(filtered.allocate(START)));
    });
    let mut suppressed = cluster(
        10_000,
        1_000,
        Kind {
            roles: 1,
            ..Kind::default()
        },
    );
    for number in (0..1_000).filter(|number| number % 10 != 0) {
        suppressed.suppress_roles(START, &framework_id(number), &BTreeSet::new());
    }
    group.bench_function("10000x1000 with 90 % suppressed", |bencher| {
        bencher.iter_batched_ref(
            || suppressed.clone(),
            |allocator| black_box(allocator.allocate(START)),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

/// A cycle in which every framework but the last in the ranking is filtered on every agent.
fn filtered_cycle(criterion: &mut Criterion) {
    let mut group = group(criterion, "filtered_cycle");
    let (agents, frameworks) = (10_000, 1_000);
    let mut prepared = cluster(
        agents,
        frameworks,
        Kind {
            roles: 1,
            ..Kind::default()
        },
    );
    let empty = agent_total(0);
    for agent in 0..agents {
        for framework in 0..frameworks - 1 {
            let (framework, agent) = (framework_id(framework), agent_id(agent));
            let filters = Some(OfferFilters {
                refuse: Duration::from_secs(3600),
            });
            let declined = empty.allocate("role-0");
            prepared.recover_resources(START, &framework, &agent, &declined, filters, Hold::Offered);
        }
    }
    let last = framework_id(frameworks - 1);
    group.bench_function(format!("{agents}x{frameworks} one not filtered"), |bencher| {
        bencher.iter(|| {
            let found = prepared.allocate(START);
            assert!(found.offers.iter().all(|offer| offer.framework == last));
            decline(&mut prepared, START, &found, None);
        });
    });
    group.finish();
}

/// One task ends and its agent is offered again.
fn event(criterion: &mut Criterion) {
    let mut group = group(criterion, "event");
    for (agents, frameworks) in SHAPES {
        let mut allocator = cluster(
            agents,
            frameworks,
            Kind {
                roles: 1,
                ..Kind::default()
            },
        );
        let mut offers = allocator.allocate(START).offers;
        let mut next = 0;
        group.bench_function(
            BenchmarkId::from_parameter(format!("{agents}x{frameworks}")),
            |bencher| {
                bencher.iter(|| {
                    let ended = offers[next % agents].clone();
                    let (framework, agent) = (&ended.framework, &ended.agent);
                    allocator.recover_resources(START, framework, agent, &ended.resources, None, Hold::Allocated);
                    let found = allocator.allocate_changed(START);
                    offers[next % agents] = found.offers.into_iter().next().expect("an offer");
                    next += 7;
                });
            },
        );
    }
    group.finish();
}

/// Agents register one by one, each with its own event-driven cycle.
fn add_agents(criterion: &mut Criterion) {
    let mut group = group(criterion, "add_agents");
    let total = agent_total(0);
    let prepared = cluster(
        0,
        1_000,
        Kind {
            roles: 1,
            ..Kind::default()
        },
    );
    group.bench_function("1000 agents, 1000 frameworks, a cycle each", |bencher| {
        bencher.iter_batched_ref(
            || prepared.clone(),
            |allocator| {
                for number in 0..1_000 {
                    let capabilities = AgentCapabilities::all();
                    let info = AgentInfo {
                        capabilities,
                        ..AgentInfo::default()
                    };
                    allocator.add_agent(START, &agent_id(number), info, &total, &BTreeMap::new());
                    black_box(allocator.allocate_changed(START));
                }
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, full_cycle, idle_cycle, filtered_cycle, event, add_agents);
criterion_main!(benches);
