//! Messages between processes of one node.

#![allow(
    missing_docs,
    reason = "the macros of criterion define functions without documentation"
)]

#[allow(dead_code, reason = "each bench uses a part")]
mod load;

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use libprocess::ProcessId;
use load::{Blaster, Counter, Echo, Pinger};

fn one_way_pairs(criterion: &mut Criterion, name: &str, pairs: u64) {
    let runtime = load::runtime();
    let mut group = criterion.benchmark_group("local");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(1))
        .measurement_time(Duration::from_secs(2));
    group.bench_function(name, |bencher| {
        let node = runtime.block_on(load::node(2));
        let grant_every = load::window(0) / 2;
        let made: Vec<_> = (0..pairs)
            .map(|_| {
                let counter = node.spawn(ProcessId::Numbered("counter"), move || Counter::new(grant_every));
                let to = counter.pid().clone();
                (
                    node.spawn(ProcessId::Numbered("blaster"), move || Blaster::new(to, 0)),
                    counter,
                )
            })
            .collect();
        bencher.iter_custom(|iterations| {
            let each = iterations.div_ceil(pairs);
            runtime.block_on(async {
                let started = Instant::now();
                let waits: Vec<_> = made
                    .iter()
                    .map(|(blaster, counter)| {
                        let (blaster, counter) = (blaster.clone(), counter.clone());
                        tokio::spawn(async move {
                            let done = Counter::wait_for(&counter, each);
                            Blaster::start(&blaster, each);
                            done.await;
                        })
                    })
                    .collect();
                for wait in waits {
                    wait.await.expect("no panic");
                }
                started.elapsed().mul_f64(iterations as f64 / (each * pairs) as f64)
            })
        });
        runtime.block_on(node.stop());
    });
}

fn one_pair(criterion: &mut Criterion) {
    one_way_pairs(criterion, "one_pair", 1);
}

fn pair_per_core(criterion: &mut Criterion) {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get) as u64;
    one_way_pairs(criterion, "pair_per_core", cores);
}

fn in_flight(criterion: &mut Criterion) {
    let runtime = load::runtime();
    let mut group = criterion.benchmark_group("local");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(1))
        .measurement_time(Duration::from_secs(2));
    group.bench_function("thousand_in_flight", |bencher| {
        let node = runtime.block_on(load::node(2));
        let echo = node.spawn(ProcessId::Exact("echo"), || Echo);
        let to = echo.pid().clone();
        let pinger = node.spawn(ProcessId::Exact("pinger"), move || Pinger::new(to));
        bencher.iter_custom(|iterations| {
            runtime.block_on(async {
                let started = Instant::now();
                // A round is two messages.
                Pinger::play(&pinger, iterations.div_ceil(2), 1000, 0).await;
                started.elapsed()
            })
        });
        runtime.block_on(node.stop());
    });
}

criterion_group!(benches, one_pair, pair_per_core, in_flight);
criterion_main!(benches);
