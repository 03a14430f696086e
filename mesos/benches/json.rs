//! How fast messages become JSON and JSON becomes messages: the recorded state of a small cluster, and one call.

use std::fs;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mesos::{convert, json};
use mesos_proto::{v0, v1};

const STATE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../shared/golden/operator/master/GET_STATE.http"
);

const ACCEPT: &str = r#"{"framework_id":{"value":"61c9738b-d8b0-4ca3-a255-e8ec28be8bba-0005"},"type":"ACCEPT","accept":{"offer_ids":[{"value":"61c9738b-d8b0-4ca3-a255-e8ec28be8bba-O12"}],"operations":[{"type":"LAUNCH","launch":{"task_infos":[{"name":"task","task_id":{"value":"task-1"},"agent_id":{"value":"61c9738b-d8b0-4ca3-a255-e8ec28be8bba-S0"},"resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":0.1}},{"name":"mem","type":"SCALAR","scalar":{"value":32.0}}],"command":{"value":"sleep 1"}}]}}],"filters":{"refuse_seconds":5.0}}}"#;

/// The body of a recorded answer: one line that is a JSON object.
fn recorded_state() -> String {
    let recording = fs::read_to_string(STATE).unwrap_or_else(|error| panic!("{STATE}: {error}"));
    let answer = recording.lines().rfind(|line| line.starts_with('{'));
    answer.expect("the recording ends with its body").to_owned()
}

fn benches(criterion: &mut Criterion) {
    let text = recorded_state();
    let state: v1::master::Response = json::from_str(&text).expect("a recorded answer");
    let unversioned: v0::master::Response = convert::devolve_master_response(&state);
    let mut group = criterion.benchmark_group("state");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("write", |bencher| bencher.iter(|| json::to_string(black_box(&state))));
    group.bench_function("write unversioned as v1", |bencher| {
        bencher.iter(|| {
            let mut out = String::new();
            convert::evolve_to_json::<_, v1::master::Response>(black_box(&unversioned), &mut out);
            out
        });
    });
    group.bench_function("evolve", |bencher| {
        bencher.iter(|| convert::evolve_master_response(black_box(&unversioned)));
    });
    group.bench_function("read", |bencher| {
        bencher.iter(|| json::from_str::<v1::master::Response>(black_box(&text)).expect("valid"));
    });
    group.finish();

    let mut group = criterion.benchmark_group("accept");
    group.throughput(Throughput::Elements(1));
    group.bench_function("read and devolve", |bencher| {
        bencher.iter(|| {
            let call: v1::scheduler::Call = json::from_str(black_box(ACCEPT)).expect("valid");
            convert::devolve_scheduler_call(&call)
        });
    });
    group.finish();
}

criterion_group!(json_benches, benches);
criterion_main!(json_benches);
