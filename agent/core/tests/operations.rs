//! Operations on the agent's own resources: what they do, what is refused, how the master hears of it.

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use mesos::Message;
use mesos::resources::Resources;
use mesos_agent_core::{AgentState, AgentTimer, CheckpointWrite, Effect};
use mesos_proto::internal::slave::state::ResourceState;
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::mesos as pb;
use pb::OperationState;
use support::build::{reserved, volume};
use support::{Bench, build, master, names, operation_statuses, sends};

const MOUNT: &str = r#""source":{"type":"MOUNT","mount":{"root":"/mnt/one"}},"#;
const PATH: &str = r#""source":{"type":"PATH","path":{"root":"/data"}},"#;

fn reserve(resource: &str) -> String {
    format!(r#"{{"type":"RESERVE","id":{{"value":"op"}},"reserve":{{"resources":[{resource}]}}}}"#)
}

fn unreserve(resource: &str) -> String {
    format!(r#"{{"type":"UNRESERVE","unreserve":{{"resources":[{resource}]}}}}"#)
}

fn create(volume: &str) -> String {
    format!(r#"{{"type":"CREATE","create":{{"volumes":[{volume}]}}}}"#)
}

fn destroy(volume: &str) -> String {
    format!(r#"{{"type":"DESTROY","destroy":{{"volumes":[{volume}]}}}}"#)
}

fn without_volume(volume: &str) -> String {
    let mut resource = build::resource(volume);
    let source = resource.disk.source.clone();
    resource.disk.take();
    if source.is_some() {
        resource.disk.mut_or_insert_default().source = source;
    }
    mesos::json::to_string(&resource)
}

fn apply(bench: &mut Bench, uuid: u8, operation: &str) -> Vec<Effect> {
    let message = build::apply_operation(bench, uuid, operation);
    bench.receive(&master(), message)
}

/// Applies an operation and acknowledges its end.
fn finish(bench: &mut Bench, uuid: u8, operation: &str) {
    let effects = apply(bench, uuid, operation);
    let [update] = operation_statuses(&effects)[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(update.status.state(), OperationState::OPERATION_FINISHED, "{operation}");
    bench.receive(&master(), build::acknowledge_operation(update));
    assert_eq!(bench.agent.operations().count(), 0);
}

fn amount(resources: &Resources, name: &str) -> f64 {
    resources.get_scalar(name).to_f64()
}

fn bench() -> Bench {
    Bench::registered_with(build::config_with_disks())
}

#[test]
fn each_operation_changes_what_the_agent_has() {
    let mut bench = bench();
    finish(&mut bench, 1, &reserve(&reserved("disk", 100)));
    assert_eq!(amount(&bench.agent.total_resources().reserved("ops"), "disk"), 100.0);
    finish(&mut bench, 2, &create(&volume("v", 60, "")));
    let folder = PathBuf::from("/w/volumes/roles/ops/v");
    assert!(bench.disk.volumes.contains_key(&folder));
    bench.disk.volumes.insert(folder.clone(), b"data".to_vec());
    finish(
        &mut bench,
        3,
        &format!(
            r#"{{"type":"GROW_VOLUME","grow_volume":{{"volume":{},"addition":{}}}}}"#,
            volume("v", 60, ""),
            reserved("disk", 20)
        ),
    );
    finish(
        &mut bench,
        4,
        &format!(
            r#"{{"type":"SHRINK_VOLUME","shrink_volume":{{"volume":{},"subtract":{{"value":50}}}}}}"#,
            volume("v", 80, "")
        ),
    );
    let checkpointed = bench.agent.checkpointed_resources();
    let sizes: Vec<f64> = checkpointed
        .iter()
        .filter(|resource| resource.is_persistent_volume())
        .filter_map(|volume| volume.scalar_value().map(mesos::values::Scalar::to_f64))
        .collect();
    assert_eq!(sizes, [30.0]);
    assert_eq!(
        bench.disk.volumes[&folder], b"data",
        "the data stays while the size changes"
    );
    finish(&mut bench, 5, &destroy(&volume("v", 30, "")));
    assert!(!bench.disk.volumes.contains_key(&folder));
    finish(&mut bench, 6, &unreserve(&reserved("disk", 100)));
    assert!(bench.agent.checkpointed_resources().is_empty());
    assert_eq!(amount(&bench.agent.total_resources().unreserved(), "disk"), 1900.0);
    assert!(bench.disk.read().resources.is_empty());
    let is_log = |path: &&PathBuf| path.ends_with("operation.updates");
    assert_eq!(bench.disk.files.keys().find(is_log), None);
}

#[test]
fn volumes_on_other_disks_stand_under_their_roots() {
    for (source, folder, is_mount, size) in [
        (PATH, "/data/volumes/roles/ops/v", false, 100),
        (MOUNT, "/mnt/one", true, 200),
    ] {
        let mut bench = bench();
        let volume = volume("v", size, source);
        finish(&mut bench, 1, &reserve(&without_volume(&volume)));
        finish(&mut bench, 2, &create(&volume));
        assert!(bench.disk.volumes.contains_key(Path::new(folder)));
        finish(&mut bench, 3, &destroy(&volume));
        let path = PathBuf::from(folder);
        assert!(bench.writes.contains(&CheckpointWrite::RemoveVolume { path, is_mount }));
    }
}

#[test]
fn what_is_wanted_is_written_before_volumes_change_and_committed_after() {
    let mut bench = bench();
    finish(&mut bench, 1, &reserve(&reserved("disk", 100)));
    bench.writes.clear();
    apply(&mut bench, 2, &create(&volume("v", 60, "")));
    let steps: Vec<String> = bench
        .writes
        .iter()
        .map(|write| {
            let name = write.path().file_name().expect("a name").to_string_lossy().into_owned();
            let kind = match write {
                CheckpointWrite::File { .. } => "write",
                CheckpointWrite::Append { .. } => "append",
                CheckpointWrite::Rename { .. } => "rename to",
                CheckpointWrite::MakeVolume { .. } => "make",
                other => panic!("{other:?}"),
            };
            format!("{kind} {name}")
        })
        .collect();
    assert_eq!(
        steps,
        [
            // The operation is begun ...
            "write resources_and_operations.target",
            "rename to resources_and_operations.state",
            // ... carried out ...
            "write resources_and_operations.target",
            "write resources.target",
            "make v",
            "rename to resources.info",
            "rename to resources_and_operations.state",
            // ... and told.
            "append operation.updates",
        ]
    );
}

#[test]
fn statuses_are_sent_until_they_are_acknowledged() {
    let mut bench = bench();
    let effects = apply(&mut bench, 1, &reserve(&reserved("cpus", 1)));
    let [first] = operation_statuses(&effects)[..] else {
        panic!("{effects:?}")
    };
    let first = first.clone();
    assert_eq!(first.status.uuid.value().len(), 16);
    assert_eq!(first.latest_status, first.status);
    assert_eq!(first.status.operation_id.value(), "op");
    assert_eq!(first.slave_id.value(), support::AGENT);
    let timer = AgentTimer::OperationStatusRetry {
        operation_uuid: uuid::Uuid::from_bytes([1; 16]),
    };
    for pause in [10, 20, 40, 80, 160, 320, 600, 600] {
        assert_eq!(bench.pause_of(&timer), Some(Duration::from_secs(pause)));
        assert_eq!(operation_statuses(&bench.fire(&timer)), [&first]);
    }
    // A wrong acknowledgement changes nothing.
    let mut wrong = build::acknowledge_operation(&first);
    wrong.status_uuid.mut_or_insert_default().set_value(vec![9; 16]);
    assert_eq!(bench.receive(&master(), wrong), []);
    // Nothing is sent while there is no master; the new one hears it at once.
    bench.step(mesos_agent_core::Input::MasterDetected(None));
    assert!(bench.pause_of(&timer).is_none());
    bench.step(mesos_agent_core::Input::MasterDetected(Some(master())));
    let effects = bench.fire(&AgentTimer::Registration);
    assert!(operation_statuses(&effects).is_empty());
    let effects = bench.receive(&master(), build::reregistered());
    assert_eq!(names(&effects), ["UpdateSlaveMessage", "UpdateOperationStatusMessage"]);
    let [(_, Message::UpdateSlave(update)), _] = sends(&effects)[..] else {
        panic!("{effects:?}")
    };
    let [known] = &update.operations.operations[..] else {
        panic!("{update:?}")
    };
    assert_eq!(known.latest_status.state(), OperationState::OPERATION_FINISHED);
    assert_eq!(known.statuses.len(), 1);
    bench.receive(&master(), build::acknowledge_operation(&first));
    assert!(bench.pause_of(&timer).is_none());
    assert_eq!(bench.agent.operations().count(), 0);
    // Repetitions change nothing.
    assert_eq!(bench.receive(&master(), build::acknowledge_operation(&first)), []);
    assert_eq!(apply(&mut bench, 1, &reserve(&reserved("cpus", 1))), []);
    assert_eq!(amount(&bench.agent.total_resources().reserved("ops"), "cpus"), 1.0);
}

#[test]
fn operations_that_do_not_fit_are_refused_and_the_master_is_told_what_is_true() {
    let disk = r#"{"name":"disk","type":"SCALAR","scalar":{"value":10},"disk":{"source":{"type":"RAW"}}}"#;
    let rows = [
        (
            reserve(&reserved("cpus", 100)),
            "RESERVE wants resources that are not there",
            true,
        ),
        (
            unreserve(&reserved("cpus", 1)),
            "UNRESERVE wants resources that are not there",
            true,
        ),
        (
            destroy(&volume("v", 10, "")),
            "DESTROY wants resources that are not there",
            true,
        ),
        (
            format!(r#"{{"type":"CREATE_DISK","create_disk":{{"source":{disk},"target_type":"MOUNT"}}}}"#),
            "CREATE_DISK works on disks of resource providers",
            false,
        ),
        (
            format!(r#"{{"type":"DESTROY_DISK","destroy_disk":{{"source":{disk}}}}}"#),
            "DESTROY_DISK works on disks of resource providers",
            false,
        ),
    ];
    for (operation, message, registers_again) in rows {
        let mut bench = bench();
        let before = bench.agent.total_resources().clone();
        let effects = apply(&mut bench, 1, &operation);
        let [update] = operation_statuses(&effects)[..] else {
            panic!("{effects:?}")
        };
        assert_eq!(update.status.state(), OperationState::OPERATION_ERROR, "{operation}");
        assert!(update.status.message().contains(message), "{}", update.status.message());
        assert_eq!(*bench.agent.total_resources(), before);
        assert_eq!(
            bench.agent.state() == AgentState::Disconnected,
            registers_again,
            "{operation}"
        );
        // The refusal is told until it is acknowledged.
        assert_eq!(bench.disk.read().operations.len(), 1);
    }
}

#[test]
fn a_volume_whose_name_would_lead_elsewhere_is_refused() {
    let mut bench = bench();
    finish(&mut bench, 1, &reserve(&reserved("disk", 100)));
    let effects = apply(&mut bench, 2, &create(&volume("../../etc", 60, "")));
    let [update] = operation_statuses(&effects)[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(update.status.state(), OperationState::OPERATION_ERROR);
    assert!(bench.disk.volumes.is_empty());
}

#[test]
fn operations_for_another_state_of_the_agent_are_dropped() {
    let reservation = reserve(&reserved("cpus", 1));
    let provided = reservation.replace(r#""name":"cpus","#, r#""name":"cpus","provider_id":{"value":"p"},"#);
    for (operation, version, reason) in [
        (&reservation, Some([7; 16]), "older state"),
        (&provided, None, "no resource providers"),
    ] {
        let mut bench = bench();
        let mut message = build::apply_operation(&bench, 1, operation);
        if let Some(version) = version {
            let own = message.resource_version_uuid.mut_or_insert_default();
            own.uuid.mut_or_insert_default().set_value(version.to_vec());
        }
        let effects = bench.receive(&master(), message);
        let [update] = operation_statuses(&effects)[..] else {
            panic!("{effects:?}")
        };
        assert_eq!(update.status.state(), OperationState::OPERATION_DROPPED);
        assert!(update.status.message().contains(reason), "{}", update.status.message());
        assert!(update.status.uuid.is_none(), "nobody has to acknowledge it");
        assert_eq!(bench.agent.operations().count(), 0);
        // Once dropped it stays dropped, also when it comes again as it should have.
        let effects = apply(&mut bench, 1, &reservation);
        assert_eq!(
            operation_statuses(&effects)[0].status.state(),
            OperationState::OPERATION_DROPPED
        );
    }
}

fn asked(uuid: Option<u8>, id: Option<&str>) -> internal::reconcile_operations_message::Operation {
    let mut asked = internal::reconcile_operations_message::Operation::new();
    if let Some(uuid) = uuid {
        asked.operation_uuid.mut_or_insert_default().set_value(vec![uuid; 16]);
    }
    if let Some(id) = id {
        asked.operation_id.mut_or_insert_default().set_value(id.to_owned());
    }
    asked
}

#[test]
fn unknown_operations_of_the_master_are_dropped_for_good() {
    let mut bench = bench();
    apply(&mut bench, 1, &reserve(&reserved("cpus", 1)));
    let mut message = internal::ReconcileOperationsMessage::new();
    message.operations = vec![asked(Some(1), None), asked(Some(2), None)];
    let effects = bench.receive(&master(), message);
    let [update] = operation_statuses(&effects)[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(update.operation_uuid.value(), [2; 16]);
    assert_eq!(update.status.state(), OperationState::OPERATION_DROPPED);
    // It was on its way all the time: what the framework was told holds.
    let effects = apply(&mut bench, 2, &reserve(&reserved("cpus", 1)));
    assert_eq!(
        operation_statuses(&effects)[0].status.state(),
        OperationState::OPERATION_DROPPED
    );
    assert_eq!(amount(&bench.agent.total_resources().reserved("ops"), "cpus"), 1.0);
}

#[test]
fn frameworks_hear_the_latest_status_when_they_ask() {
    let mut bench = bench();
    apply(&mut bench, 1, &reserve(&reserved("cpus", 1)));
    let mut message = internal::ReconcileOperationsMessage::new();
    message.framework_id = build::framework_id();
    message.operations = vec![asked(None, Some("op")), asked(None, Some("other"))];
    let effects = bench.receive(&master(), message);
    let states: Vec<_> = operation_statuses(&effects)
        .iter()
        .map(|update| {
            (
                update.status.operation_id.value(),
                update.status.state(),
                update.status.uuid.is_some(),
            )
        })
        .collect();
    assert_eq!(
        states,
        [
            ("op", OperationState::OPERATION_FINISHED, false),
            ("other", OperationState::OPERATION_UNKNOWN, false),
        ]
    );
}

#[test]
fn an_older_master_tells_all_resources_at_once() {
    let mut bench = bench();
    let mut message = internal::CheckpointResourcesMessage::new();
    message.resources = vec![
        build::resource(&reserved("cpus", 1)),
        build::resource(&volume("v", 60, "")),
    ];
    bench.receive(&master(), message.clone());
    assert_eq!(bench.agent.checkpointed_resources().len(), 2);
    assert!(bench.disk.volumes.contains_key(Path::new("/w/volumes/roles/ops/v")));
    let paths = bench.agent.paths();
    // The list is in the older form, the state in the newer.
    let list: Vec<pb::Resource> = bench.disk.records(&paths.resources_info());
    assert!(
        list.iter()
            .all(|resource| resource.role() == "ops" && resource.reservations.is_empty())
    );
    let state: ResourceState = bench.disk.message(&paths.resource_state()).expect("a state");
    assert_eq!(state.resources, message.resources);
    bench.writes.clear();
    bench.receive(&master(), message.clone());
    assert!(bench.writes.is_empty(), "the same again");
    message.resources = vec![build::resource(&reserved("cpus", 100))];
    bench.receive(&master(), message.clone());
    assert_eq!(
        bench.agent.checkpointed_resources().len(),
        2,
        "there is no room for that"
    );
    assert_eq!(bench.agent.state(), AgentState::Disconnected);
    bench.register_again();
    message.resources.clear();
    bench.receive(&master(), message);
    assert!(bench.agent.checkpointed_resources().is_empty());
    assert!(bench.disk.volumes.is_empty());
}

/// A task that holds a volume of 60 MB.
fn task_with_volume(id: &str) -> internal::RunTaskMessage {
    let mut message = build::run_task(id, Some("e1"), true);
    let mut volume = build::resource(&volume("v", 60, ""));
    volume
        .allocation_info
        .mut_or_insert_default()
        .set_role("ops".to_owned());
    message.task.mut_or_insert_default().resources.push(volume);
    message
}

#[test]
fn tasks_run_only_with_volumes_that_are_there_and_keep_them() {
    let mut bench = bench();
    let effects = bench.receive(&master(), task_with_volume("t1"));
    let [update] = support::forwarded(&effects)[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(update.status.state(), pb::TaskState::TASK_DROPPED);
    assert_eq!(
        update.status.reason(),
        pb::task_status::Reason::REASON_RESOURCES_UNKNOWN
    );
    let mut bench = self::bench();
    finish(&mut bench, 1, &reserve(&reserved("disk", 100)));
    finish(&mut bench, 2, &create(&volume("v", 60, "")));
    bench.receive(&master(), task_with_volume("t1"));
    assert_eq!(bench.launches.len(), 1);
    for operation in [destroy(&volume("v", 60, "")), destroy(&volume("v", 60, ""))] {
        let effects = apply(&mut bench, 3, &operation);
        if let [update] = operation_statuses(&effects)[..] {
            assert_eq!(update.status.state(), OperationState::OPERATION_ERROR);
            assert!(update.status.message().contains("use"), "{}", update.status.message());
        }
    }
    assert!(bench.disk.volumes.contains_key(Path::new("/w/volumes/roles/ops/v")));
}

#[test]
fn a_task_is_delivered_once_its_volume_is_in_the_sandbox() {
    let mut bench = bench();
    finish(&mut bench, 1, &reserve(&reserved("disk", 100)));
    finish(&mut bench, 2, &create(&volume("v", 60, "")));
    let address = bench.running_task("t1", "e1");
    bench.holds_updates = true;
    let mut message = task_with_volume("t2");
    message.set_launch_executor(false);
    let effects = bench.receive(&master(), message.clone());
    let [Effect::UpdateContainer { resources, .. }] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert!(resources.iter().any(|resource| resource.disk.persistence.is_some()));
    // A kill in between ends the task before its executor hears of it.
    let effects = bench.receive(&master(), build::kill_task("t2"));
    assert_eq!(names(&effects), ["StatusUpdateMessage"]);
    bench.updates.clear();
    message.task.mut_or_insert_default().task_id = build::task_id("t3");
    bench.receive(&master(), message);
    let container_id = bench.launches[0].container_id.clone();
    let mut delivered = Vec::new();
    for _ in 0..4 {
        let container_id = container_id.clone();
        let effects = bench.step(mesos_agent_core::Input::ContainerUpdated { container_id });
        delivered.extend(
            sends(&effects)
                .iter()
                .map(|(to, message)| ((*to).clone(), message.name())),
        );
    }
    assert_eq!(delivered, [(address, "mesos.internal.RunTaskMessage")]);
}

/// The recorded agent had a reservation with labels, a plain one and a volume.
#[test]
fn the_files_are_as_long_as_those_of_the_original() {
    let labels = r#""labels":{"labels":[{"key":"k","value":"v"}]}"#;
    let reservation =
        |more: &str| format!(r#""reservations":[{{"type":"DYNAMIC","role":"ops","principal":"op"{more}}}]"#);
    let disk = format!(
        r#"{{"name":"disk","type":"SCALAR","scalar":{{"value":128}},{}}}"#,
        reservation(&format!(",{labels}"))
    );
    let cpus = format!(
        r#"{{"name":"cpus","type":"SCALAR","scalar":{{"value":0.5}},{}}}"#,
        reservation("")
    );
    let volume = format!(
        r#"{{"name":"disk","type":"SCALAR","scalar":{{"value":128}},{},
        "disk":{{"persistence":{{"id":"vol-1","principal":"op"}},"volume":{{"mode":"RW","container_path":"data"}}}}}}"#,
        reservation(&format!(",{labels}"))
    );
    let mut bench = bench();
    let mut message = internal::CheckpointResourcesMessage::new();
    message.resources = [disk, cpus, volume].iter().map(|json| build::resource(json)).collect();
    bench.receive(&master(), message);
    let paths = bench.agent.paths();
    // `agent_workdir` among the recordings.
    assert_eq!(bench.disk.files[&paths.resources_info()].len(), 147);
    assert_eq!(bench.disk.files[&paths.resource_state()].len(), 151);
}
