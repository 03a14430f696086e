//! An agent that dies after any of its writes, with a torn last one, comes back to a state that it and its master
//! agree on: an operation is done whole or not at all, and its end is told until it is acknowledged.

mod support;

use std::path::Path;

use mesos_agent_core::{AgentConfig, AgentTimer, CheckpointWrite, Effect, Input};
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::mesos as pb;
use pb::OperationState;
use support::build::{reserved, volume};
use support::{Bench, Disk, build, master, operation_statuses};

const FOLDER: &str = "/w/volumes/roles/ops/v";

/// One step of the history, and whether the volume is there after it.
struct Step {
    uuid: u8,
    operation: String,
    volume_after: bool,
}

fn steps() -> Vec<Step> {
    let step = |uuid, operation: String, volume_after| Step {
        uuid,
        operation,
        volume_after,
    };
    let (disk, volume) = (reserved("disk", 60), volume("v", 60, ""));
    vec![
        step(
            1,
            format!(r#"{{"type":"RESERVE","reserve":{{"resources":[{disk}]}}}}"#),
            false,
        ),
        step(
            2,
            format!(r#"{{"type":"CREATE","create":{{"volumes":[{volume}]}}}}"#),
            true,
        ),
        step(
            3,
            format!(r#"{{"type":"DESTROY","destroy":{{"volumes":[{volume}]}}}}"#),
            false,
        ),
        step(
            4,
            format!(r#"{{"type":"UNRESERVE","unreserve":{{"resources":[{disk}]}}}}"#),
            false,
        ),
    ]
}

fn config(seed: u128) -> AgentConfig {
    AgentConfig {
        seed,
        ..build::config_with_disks()
    }
}

fn apply(bench: &mut Bench, step: &Step) -> Vec<Effect> {
    let message = build::apply_operation(bench, step.uuid, &step.operation);
    bench.receive(&master(), message)
}

/// Another life of the agent on a disk, registered again; gives what it told the master.
fn restart(disk: Disk, seed: u128) -> (Bench, Vec<internal::UpdateOperationStatusMessage>) {
    let mut bench = Bench::new(config(seed));
    bench.disk = disk;
    let state = bench.disk.read();
    bench.step(Input::Recovered(Box::new(state)));
    bench.step(Input::MasterDetected(Some(master())));
    bench.fire(&AgentTimer::Registration);
    let effects = bench.receive(&master(), build::reregistered());
    let told = operation_statuses(&effects).into_iter().cloned().collect();
    (bench, told)
}

/// Does what a master does after a registration: acknowledges ends, and asks after an operation that is not told of.
fn settle(bench: &mut Bench, told: &[internal::UpdateOperationStatusMessage], step: &Step) -> bool {
    let mut done = false;
    for update in told {
        assert_eq!(update.status.state(), OperationState::OPERATION_FINISHED);
        done |= update.operation_uuid.value() == [step.uuid; 16];
        bench.receive(&master(), build::acknowledge_operation(update));
    }
    if !done {
        let mut message = internal::ReconcileOperationsMessage::new();
        let mut asked = internal::reconcile_operations_message::Operation::new();
        asked
            .operation_uuid
            .mut_or_insert_default()
            .set_value(vec![step.uuid; 16]);
        message.operations.push(asked);
        let effects = bench.receive(&master(), message);
        assert_eq!(
            operation_statuses(&effects)[0].status.state(),
            OperationState::OPERATION_DROPPED
        );
    }
    assert_eq!(bench.agent.operations().count(), 0);
    done
}

fn is_consistent(bench: &Bench) {
    let kept = bench.agent.checkpointed_resources();
    let has_volume = kept.iter().any(mesos::resources::Resource::is_persistent_volume);
    assert_eq!(bench.disk.volumes.contains_key(Path::new(FOLDER)), has_volume);
    assert_eq!(bench.agent.total_resources().checkpointed(), *kept);
    let state = bench.disk.read();
    assert_eq!(state.target, None, "nothing is left half done");
    assert!(state.operations.is_empty());
    assert!(state.agent.is_none_or(|agent| agent.operation_logs.is_empty()));
}

#[test]
fn an_agent_may_die_after_each_write_of_an_operation() {
    let mut before = Bench::registered_with(config(1));
    for (number, step) in steps().iter().enumerate() {
        let disk = before.disk.clone();
        before.writes.clear();
        let effects = apply(&mut before, step);
        let update = operation_statuses(&effects)[0].clone();
        let until_told = before.writes.len();
        before.receive(&master(), build::acknowledge_operation(&update));
        let writes = before.writes.clone();
        for died_after in 0..=writes.len() {
            let mut torn = disk.clone();
            writes[..died_after].iter().cloned().for_each(|write| torn.apply(write));
            let (mut bench, told) = restart(torn, 100 + number as u128);
            // What was told once is told again until it is acknowledged.
            assert!(died_after != until_told || !told.is_empty());
            let acknowledged = died_after > until_told;
            let done = if acknowledged {
                assert!(told.is_empty(), "acknowledged before: {told:?}");
                true
            } else {
                settle(&mut bench, &told, step)
            };
            assert!(done || died_after < until_told, "told before, and lost");
            is_consistent(&bench);
            let volume_before = disk.volumes.contains_key(Path::new(FOLDER));
            let expected = if done { step.volume_after } else { volume_before };
            assert_eq!(bench.disk.volumes.contains_key(Path::new(FOLDER)), expected);
        }
        is_consistent(&before);
    }
}

#[test]
fn an_agent_may_die_while_it_recovers() {
    let mut before = Bench::registered_with(config(1));
    let steps = steps();
    apply(&mut before, &steps[0]);
    let disk = before.disk.clone();
    before.writes.clear();
    apply(&mut before, &steps[1]);
    let writes = before.writes.clone();
    for first in 0..=writes.len() {
        let mut once = disk.clone();
        writes[..first].iter().cloned().for_each(|write| once.apply(write));
        let (bench, _) = restart(once.clone(), 7);
        for second in 0..=bench.writes.len() {
            let mut twice = once.clone();
            bench.writes[..second]
                .iter()
                .cloned()
                .for_each(|write| twice.apply(write));
            let (mut bench, told) = restart(twice, 8);
            settle(&mut bench, &told, &steps[1]);
            is_consistent(&bench);
        }
    }
}

#[test]
fn a_torn_record_counts_as_not_written() {
    let mut before = Bench::registered_with(config(1));
    apply(&mut before, &steps()[0]);
    let appended = before.writes.iter().rev().find_map(|write| match write {
        CheckpointWrite::Append { path, bytes, .. } => Some((path.clone(), bytes.clone())),
        _ => None,
    });
    let (path, record) = appended.expect("a record");
    for length in 0..record.len() {
        let mut disk = before.disk.clone();
        // The reader cuts torn tails off.
        let (whole, good): (Vec<internal::UpdateOperationStatusRecord>, _) =
            mesos_agent_core::checkpoint::read_log(&record[..length]);
        assert!(whole.is_empty());
        disk.files.insert(path.clone(), record[..good].to_vec());
        let (mut bench, told) = restart(disk, 2);
        assert!(settle(&mut bench, &told, &steps()[0]));
        is_consistent(&bench);
    }
}

#[test]
fn reservations_that_no_longer_fit_end_the_agent_with_a_sentence() {
    let mut before = Bench::registered_with(config(1));
    apply(&mut before, &steps()[0]);
    let mut small = build::config();
    small.info.resources.retain(|resource| resource.name() != "disk");
    let mut bench = Bench::new(small);
    bench.disk = before.disk.clone();
    let mut state = bench.disk.read();
    state.agent = None;
    let effects = bench.step(Input::Recovered(Box::new(state)));
    let Some(Effect::Shutdown { reason }) = effects.last() else {
        panic!("{effects:?}")
    };
    assert!(format!("{reason:?}").contains("have no room for"), "{reason:?}");
}

#[test]
fn a_list_of_an_older_agent_is_taken_over() {
    let mut disk = Disk::default();
    let resource = build::resource(&reserved("cpus", 1));
    disk.files.insert(
        "/w/meta/resources/resources.info".into(),
        mesos_agent_core::checkpoint::frame(&resource),
    );
    let (bench, told) = restart_without_agent(disk);
    assert!(told.is_empty());
    assert_eq!(bench.agent.checkpointed_resources().len(), 1);
    assert_eq!(
        bench
            .agent
            .total_resources()
            .reserved("ops")
            .get_scalar("cpus")
            .to_f64(),
        1.0
    );
}

fn restart_without_agent(disk: Disk) -> (Bench, Vec<internal::UpdateOperationStatusMessage>) {
    let mut bench = Bench::new(config(3));
    bench.disk = disk;
    let state = bench.disk.read();
    bench.step(Input::Recovered(Box::new(state)));
    bench.register();
    (bench, Vec::new())
}
