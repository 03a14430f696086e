//! HTTP requests for a trivial route, pipelined and one at a time.

#![allow(
    missing_docs,
    reason = "the macros of criterion define functions without documentation"
)]

#[allow(dead_code, reason = "each bench uses a part")]
mod load;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use libprocess::http::StatusCode;
use libprocess::{Context, Process, ProcessId, Response, RouteOptions};

struct Site;

impl Process for Site {
    fn initialize(&mut self, context: &mut Context<Self>) {
        context.route("/hello", RouteOptions::default(), |_, _, responder, _| {
            responder.send(Response::text(StatusCode::OK, "hello"));
        });
    }
}

/// Sends `batch` requests at once, reads as many answers, and so on until `count` were answered.
fn ask(stream: &mut TcpStream, count: u64, batch: u64, answer_bytes: usize) {
    let request = b"GET /site/hello HTTP/1.1\r\nHost: bench\r\n\r\n";
    let mut left = count;
    let mut buffer = vec![0; answer_bytes * usize::try_from(batch).expect("small")];
    while left > 0 {
        let now = left.min(batch);
        let now_usize = usize::try_from(now).expect("small");
        stream.write_all(&request.repeat(now_usize)).expect("the node reads");
        stream
            .read_exact(&mut buffer[..answer_bytes * now_usize])
            .expect("the node answers");
        left -= now;
    }
}

fn answer_bytes(stream: &mut TcpStream) -> usize {
    stream
        .write_all(b"GET /site/hello HTTP/1.1\r\nHost: bench\r\n\r\n")
        .expect("the node reads");
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello") {
        let mut piece = [0; 1024];
        let count = stream.read(&mut piece).expect("the node answers");
        answer.extend_from_slice(&piece[..count]);
    }
    answer.len()
}

fn requests(criterion: &mut Criterion) {
    let runtime = load::runtime();
    let mut group = criterion.benchmark_group("requests");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(1))
        .measurement_time(Duration::from_secs(2));
    let node = runtime.block_on(load::node(1));
    let site = node.spawn(ProcessId::Exact("site"), || Site);
    runtime.block_on(site.ready());
    for batch in [1, 16, 256] {
        let mut stream = TcpStream::connect(node.address()).expect("the node listens");
        stream.set_nodelay(true).expect("a TCP socket");
        let size = answer_bytes(&mut stream);
        group.bench_function(BenchmarkId::new("pipelined", batch), |bencher| {
            bencher.iter_custom(|iterations| {
                let started = Instant::now();
                ask(&mut stream, iterations, batch, size);
                started.elapsed()
            });
        });
    }
    group.finish();
    runtime.block_on(node.stop());
}

criterion_group!(benches, requests);
criterion_main!(benches);
