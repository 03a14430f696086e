//! Messages over loopback between two nodes of one OS process: one way, and there and back.

#![allow(
    missing_docs,
    reason = "the macros of criterion define functions without documentation"
)]

#[allow(dead_code, reason = "each bench uses a part")]
mod load;

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use libprocess::ProcessId;
use load::{Blaster, Counter, Echo, Pinger};

const SENDERS: [u64; 3] = [1, 16, 128];
const SIZES: [usize; 3] = [0, 1024, 64 * 1024];

fn one_way(criterion: &mut Criterion) {
    let runtime = load::runtime();
    let mut group = criterion.benchmark_group("one_way");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    for size in SIZES {
        for senders in SENDERS {
            group.throughput(Throughput::Elements(1));
            group.bench_function(BenchmarkId::new(format!("{size}B"), senders), |bencher| {
                let (here, there) = runtime.block_on(async { (load::node(1).await, load::node(1).await) });
                let grant_every = load::window(size) / 2;
                let counter = there.spawn(ProcessId::Exact("counter"), move || Counter::new(grant_every));
                let to = counter.pid().clone();
                let blasters: Vec<_> = (0..senders)
                    .map(|_| {
                        let to = to.clone();
                        here.spawn(ProcessId::Numbered("blaster"), move || Blaster::new(to, size))
                    })
                    .collect();
                bencher.iter_custom(|iterations| {
                    let each = iterations.div_ceil(senders);
                    runtime.block_on(async {
                        let started = Instant::now();
                        let done = Counter::wait_for(&counter, each * senders);
                        for blaster in &blasters {
                            Blaster::start(blaster, each);
                        }
                        done.await;
                        started.elapsed().mul_f64(iterations as f64 / (each * senders) as f64)
                    })
                });
                runtime.block_on(async { tokio::join!(here.stop(), there.stop()) });
            });
        }
    }
}

fn ping_pong(criterion: &mut Criterion) {
    let runtime = load::runtime();
    let mut group = criterion.benchmark_group("ping_pong");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    for size in SIZES {
        for senders in SENDERS {
            group.throughput(Throughput::Elements(1));
            group.bench_function(BenchmarkId::new(format!("{size}B"), senders), |bencher| {
                let (here, there) = runtime.block_on(async { (load::node(1).await, load::node(1).await) });
                let echo = there.spawn(ProcessId::Exact("echo"), || Echo);
                let to = echo.pid().clone();
                let pinger = here.spawn(ProcessId::Exact("pinger"), move || Pinger::new(to));
                let back = pinger.pid().clone();
                echo.dispatch(move |_, context| context.link(&back));
                bencher.iter_custom(|iterations| {
                    runtime.block_on(async {
                        let started = Instant::now();
                        Pinger::play(&pinger, iterations, senders, size).await;
                        started.elapsed()
                    })
                });
                runtime.block_on(async { tokio::join!(here.stop(), there.stop()) });
            });
        }
    }
}

criterion_group!(benches, one_way, ping_pong);
criterion_main!(benches);
