//! Cycles over clusters of many sizes, in the shapes of the field's known allocator benchmarks.
//!
//! `cargo bench -p mesos-allocator` walks the whole grid and takes long, because setting up a shape takes longer than
//! measuring it; a filter such as `-- full_cycle/10000x1000` picks one. Each figure is the processor time of a whole
//! cycle with its offers, unless the group says otherwise.

#[path = "support/processor_time.rs"]
mod processor_time;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkGroup, Criterion, criterion_group, criterion_main};
use mesos::capabilities::AgentCapabilities;
use mesos_allocator::api::{AgentInfo, Allocations, Hold};
use mesos_allocator::{Allocator, HierarchicalAllocator};
use processor_time::CpuTime;
use support::{Kind, START, agent_id, agent_total, cluster, decline, framework_id};

/// Agents and frameworks: the grid, and the pair that Apache Mesos published a figure for.
const SHAPES: [(usize, usize); 13] = [
    (1_000, 1),
    (1_000, 50),
    (1_000, 200),
    (1_000, 1_000),
    (10_000, 1),
    (10_000, 50),
    (10_000, 200),
    (10_000, 1_000),
    (20_000, 2_000),
    (50_000, 1),
    (50_000, 50),
    (50_000, 200),
    (50_000, 1_000),
];

fn group<'a>(criterion: &'a mut Criterion<CpuTime>, name: &str) -> BenchmarkGroup<'a, CpuTime> {
    let mut group = criterion.benchmark_group(name);
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_secs(1));
    group
}

/// Measures first cycles, in which all agents are free and all is offered, on clusters that `prepare` makes.
fn first_cycles(
    criterion: &mut Criterion<CpuTime>,
    name: &str,
    prepare: impl Fn(usize, usize) -> HierarchicalAllocator,
) {
    let mut group = group(criterion, name);
    for (agents, frameworks) in SHAPES {
        let shape = format!("{agents}x{frameworks}");
        let mut prepared = None;
        group.bench_function(shape, |bencher| {
            let prepared = prepared.get_or_insert_with(|| prepare(agents, frameworks));
            bencher.iter_batched_ref(
                || prepared.clone(),
                |allocator| black_box(allocator.allocate(START)),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

/// All frameworks in one role; what is offered is accepted.
fn full_cycle(criterion: &mut Criterion<CpuTime>) {
    first_cycles(criterion, "full_cycle", |agents, frameworks| {
        cluster(agents, frameworks, Kind::PLAIN)
    });
}

/// As many roles as hundreds of frameworks allow, with quota on every second one and without: the price of quota.
fn quota_cycle(criterion: &mut Criterion<CpuTime>) {
    for (name, quota) in [("roles_cycle", false), ("quota_cycle", true)] {
        first_cycles(criterion, name, |agents, frameworks| {
            let roles = frameworks.min(100);
            let kind = Kind {
                quota,
                ..Kind::of_roles(roles)
            };
            cluster(agents, frameworks, kind)
        });
    }
}

/// A reservation with five labels on every agent.
fn labels_cycle(criterion: &mut Criterion<CpuTime>) {
    first_cycles(criterion, "labels_cycle", |agents, frameworks| {
        let kind = Kind {
            labels: 5,
            ..Kind::PLAIN
        };
        cluster(agents, frameworks, kind)
    });
}

/// Nine of ten frameworks are suppressed.
fn suppressed_cycle(criterion: &mut Criterion<CpuTime>) {
    first_cycles(criterion, "suppressed_cycle", |agents, frameworks| {
        let mut allocator = cluster(agents, frameworks, Kind::PLAIN);
        for number in (0..frameworks).filter(|number| number % 10 != 0) {
            allocator.suppress_roles(START, &framework_id(number), &BTreeSet::new());
        }
        allocator
    });
}

/// Everything offered is declined with a long filter, again and again: filters pile up, and each cycle passes over
/// those who declined. A figure is one cycle and the declining of all its offers.
fn declined_cycle(criterion: &mut Criterion<CpuTime>) {
    let mut group = group(criterion, "declined_cycle");
    for (agents, frameworks) in SHAPES {
        let mut kept = None;
        group.bench_function(format!("{agents}x{frameworks}"), |bencher| {
            let allocator = kept.get_or_insert_with(|| cluster(agents, frameworks, Kind::PLAIN));
            bencher.iter_custom(|rounds| {
                let start = processor_time::now();
                for _ in 0..rounds {
                    let found: Allocations = allocator.allocate(START);
                    decline(allocator, START, &found, Some(Duration::from_secs(3600)));
                }
                processor_time::now().saturating_sub(start)
            });
        });
    }
    group.finish();
}

/// One task ends and its agent is offered again.
fn event(criterion: &mut Criterion<CpuTime>) {
    let mut group = group(criterion, "event");
    for (agents, frameworks) in SHAPES {
        let mut kept = None;
        group.bench_function(format!("{agents}x{frameworks}"), |bencher| {
            let (allocator, offers, next) = kept.get_or_insert_with(|| {
                let mut allocator = cluster(agents, frameworks, Kind::PLAIN);
                let offers = allocator.allocate(START).offers;
                (allocator, offers, 0_usize)
            });
            bencher.iter(|| {
                let ended = offers[*next % agents].clone();
                let (framework, agent) = (&ended.framework, &ended.agent);
                allocator.recover_resources(START, framework, agent, &ended.resources, None, Hold::Allocated);
                let found = allocator.allocate_changed(START);
                offers[*next % agents] = found.offers.into_iter().next().expect("an offer");
                *next += 7;
            });
        });
    }
    group.finish();
}

/// Agents register one by one with a cluster whose agents are all held, each with its own event-driven cycle. A figure
/// is a thousand of them.
fn add_agents(criterion: &mut Criterion<CpuTime>) {
    let mut group = group(criterion, "add_agents");
    let total = agent_total(0);
    for (agents, frameworks) in SHAPES {
        let mut prepared = None;
        group.bench_function(format!("{agents}x{frameworks}"), |bencher| {
            let prepared = prepared.get_or_insert_with(|| {
                let mut allocator = cluster(agents, frameworks, Kind::PLAIN);
                allocator.allocate(START);
                allocator
            });
            bencher.iter_batched_ref(
                || prepared.clone(),
                |allocator| {
                    for number in agents..agents + 1_000 {
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
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = full_cycle, quota_cycle, labels_cycle, suppressed_cycle, declined_cycle, event, add_agents
}
criterion_main!(benches);
