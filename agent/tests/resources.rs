//! Reservations, volumes, revocable resources, drains and folders of finished work, over real sockets and disks.

mod support;

use std::path::PathBuf;

use libprocess::Upid;
use mesos::Message;
use mesos_agent::{Ended, RunningAgent, StopMode};
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::mesos as pb;
use pb::OperationState;
use support::cluster::{AGENT, Cluster, EXECUTOR, FRAMEWORK, operator, run_task, update};
use support::http::get;
use support::within;

const VOLUME: &str = r#"{"name":"disk","type":"SCALAR","scalar":{"value":64},
    "reservations":[{"type":"DYNAMIC","role":"ops","principal":"p"}],
    "disk":{"persistence":{"id":"v","principal":"p"},"volume":{"container_path":"data","mode":"RW"}}}"#;
const RESERVED: &str = r#"{"name":"disk","type":"SCALAR","scalar":{"value":64},
    "reservations":[{"type":"DYNAMIC","role":"ops","principal":"p"}]}"#;

/// The resource version that the agent told with its update.
async fn version(cluster: &mut Cluster) -> Vec<u8> {
    let (_, Message::UpdateSlave(message)) = cluster.master.receive("UpdateSlaveMessage").await else {
        panic!("another message of that name")
    };
    message.resource_version_uuid.value().to_vec()
}

fn operation(uuid: u8, version: &[u8], json: &str) -> internal::ApplyOperationMessage {
    let mut message = internal::ApplyOperationMessage::new();
    message
        .framework_id
        .mut_or_insert_default()
        .set_value(FRAMEWORK.to_owned());
    message.operation_info = Some(mesos::json::from_str(json).expect("an operation")).into();
    message.operation_uuid.mut_or_insert_default().set_value(vec![uuid; 16]);
    let known = message.resource_version_uuid.mut_or_insert_default();
    known.uuid.mut_or_insert_default().set_value(version.to_vec());
    message
}

/// Waits for the status of an operation.
async fn status(cluster: &mut Cluster) -> internal::UpdateOperationStatusMessage {
    match cluster.master.receive("UpdateOperationStatusMessage").await {
        (_, Message::UpdateOperationStatus(message)) => *message,
        (_, other) => panic!("{other:?}"),
    }
}

async fn finish(cluster: &mut Cluster, agent: &Upid, message: internal::ApplyOperationMessage) {
    cluster.master.send(agent, message);
    let update = status(cluster).await;
    assert_eq!(update.status.state(), OperationState::OPERATION_FINISHED, "{update:?}");
    let mut acknowledgement = internal::AcknowledgeOperationStatusMessage::new();
    acknowledgement.operation_uuid = update.operation_uuid;
    acknowledgement.status_uuid = update.status.uuid.clone();
    cluster.master.send(agent, acknowledgement);
}

fn volume_folder(cluster: &Cluster) -> PathBuf {
    cluster.work_dir().join("volumes/roles/ops/v")
}

async fn stop(agent: RunningAgent) {
    within("the agent's end", agent.stop(StopMode::LeaveContainers)).await;
}

#[actix_rt::test]
async fn volumes_are_made_kept_over_a_restart_and_destroyed() {
    let mut cluster = Cluster::start().await;
    let agent = cluster.agent("RegisterSlaveMessage").await;
    let known = version(&mut cluster).await;
    let reserve = format!(r#"{{"type":"RESERVE","reserve":{{"resources":[{RESERVED}]}}}}"#);
    finish(&mut cluster, agent.pid(), operation(1, &known, &reserve)).await;
    let create = format!(r#"{{"type":"CREATE","id":{{"value":"op"}},"create":{{"volumes":[{VOLUME}]}}}}"#);
    cluster.master.send(agent.pid(), operation(2, &known, &create));
    let told = status(&mut cluster).await;
    assert_eq!(told.status.operation_id.value(), "op");
    let folder = volume_folder(&cluster);
    assert!(folder.is_dir(), "made before the operation is told");
    std::fs::write(folder.join("file"), b"data").expect("written");
    let shown = operator(agent.pid(), "GET_OPERATIONS").await;
    let operations = shown["get_operations"]["operations"].as_array().expect("a list");
    assert!(
        operations
            .iter()
            .any(|known| known["latest_status"]["operation_id"]["value"] == "op"),
        "{shown}"
    );
    stop(agent).await;

    // Nobody acknowledged it: the next life tells it again, and has the volume.
    let agent = cluster.start_agent(&[]).await;
    let (_, Message::ReregisterSlave(message)) = cluster.master.receive("ReregisterSlaveMessage").await else {
        panic!("another message of that name")
    };
    assert_eq!(message.checkpointed_resources.len(), 1);
    assert_eq!(message.checkpointed_resources[0].disk.persistence.id(), "v");
    let known = version(&mut cluster).await;
    let again = status(&mut cluster).await;
    assert_eq!(again.status, told.status);
    assert_eq!(std::fs::read(folder.join("file")).expect("kept"), b"data");
    let destroy = format!(r#"{{"type":"DESTROY","destroy":{{"volumes":[{VOLUME}]}}}}"#);
    cluster.master.send(agent.pid(), operation(3, &known, &destroy));
    let told = status(&mut cluster).await;
    assert_eq!(told.status.state(), OperationState::OPERATION_FINISHED);
    assert!(!folder.exists(), "removed before the operation is told");
    cluster.stop(agent, StopMode::DestroyContainers).await;
}

#[actix_rt::test]
async fn a_task_finds_its_volume_in_the_sandbox() {
    let mut cluster = Cluster::start().await;
    let agent = cluster.agent("RegisterSlaveMessage").await;
    let known = version(&mut cluster).await;
    let reserve = format!(r#"{{"type":"RESERVE","reserve":{{"resources":[{RESERVED}]}}}}"#);
    finish(&mut cluster, agent.pid(), operation(1, &known, &reserve)).await;
    let create = format!(r#"{{"type":"CREATE","create":{{"volumes":[{VOLUME}]}}}}"#);
    finish(&mut cluster, agent.pid(), operation(2, &known, &create)).await;
    cluster.run_task(agent.pid()).await;
    let latest = format!("slaves/{AGENT}/frameworks/{FRAMEWORK}/executors/{EXECUTOR}/runs/latest");
    let link = cluster.work_dir().join(latest).join("data");
    assert!(!link.exists(), "the first task has no volume");
    // A second task brings the volume to the running executor.
    let mut launch = run_task("t2");
    let task = launch.task.mut_or_insert_default();
    let mut volume: pb::Resource = mesos::json::from_str(VOLUME).expect("a resource");
    volume
        .allocation_info
        .mut_or_insert_default()
        .set_role("ops".to_owned());
    task.resources = vec![volume];
    launch.set_launch_executor(false);
    cluster.master.send(agent.pid(), launch);
    cluster.executor.receive("RunTaskMessage").await;
    assert_eq!(std::fs::read_link(&link).expect("a link"), volume_folder(&cluster));
    cluster.stop(agent, StopMode::DestroyContainers).await;
}

const LENDING: &str = r#"--modules={"libraries":[{"modules":[
    {"name":"org_apache_mesos_FixedResourceEstimator","parameters":[{"key":"resources","value":"cpus:2"}]},
    {"name":"org_apache_mesos_LoadQoSController","parameters":[{"key":"load_threshold_5min","value":"-1"}]}]}]}"#;

#[actix_rt::test]
async fn revocable_resources_are_lent_and_taken_back() {
    let mut cluster = Cluster::start().await;
    // Without a controller nothing is taken back.
    let estimator = "--resource_estimator=org_apache_mesos_FixedResourceEstimator";
    let agent = cluster.agent_with("RegisterSlaveMessage", &[LENDING, estimator]).await;
    let (_, Message::UpdateSlave(message)) = cluster.master.receive("UpdateSlaveMessage").await else {
        panic!("another message of that name")
    };
    assert!(message.update_oversubscribed_resources());
    let [lent] = &message.oversubscribed_resources[..] else {
        panic!("{message:?}")
    };
    assert!(lent.revocable.is_some() && (lent.name(), lent.scalar.value()) == ("cpus", 2.0));
    let mut launch = run_task("t1");
    for resource in &mut launch.task.mut_or_insert_default().resources {
        if resource.name() == "cpus" {
            resource.revocable.mut_or_insert_default();
        }
    }
    cluster.run(agent.pid(), launch).await;
    let metrics = get(agent.pid(), "/metrics/snapshot").await.json();
    assert_eq!(metrics["slave/cpus_revocable_total"], 2.0);
    assert_eq!(metrics["slave/cpus_revocable_used"], 0.5);
    stop(agent).await;

    // Every load is above a threshold below zero.
    let controller = "--qos_controller=org_apache_mesos_LoadQoSController";
    let agent = cluster.start_agent(&[LENDING, estimator, controller]).await;
    cluster.executor.receive("ReconnectExecutorMessage").await;
    cluster
        .executor
        .send(agent.pid(), support::cluster::reregister_executor());
    let preempted = async {
        loop {
            let (_, message) = cluster.master.receive("StatusUpdateMessage").await;
            let Message::StatusUpdate(message) = message else {
                panic!("{message:?}")
            };
            if message.update.status.state() != pb::TaskState::TASK_RUNNING {
                return message.update.status.reason();
            }
            let mut acknowledgement = internal::StatusUpdateAcknowledgementMessage::new();
            acknowledgement.slave_id = message.update.slave_id.clone();
            acknowledgement.framework_id = message.update.framework_id.clone();
            acknowledgement.task_id = message.update.status.task_id.clone();
            acknowledgement.set_uuid(message.update.uuid().to_vec());
            cluster.master.send(agent.pid(), acknowledgement);
        }
    };
    let reason = within("the preemption", preempted).await;
    assert_eq!(reason, pb::task_status::Reason::REASON_CONTAINER_PREEMPTED);
    let metrics = get(agent.pid(), "/metrics/snapshot").await.json();
    assert_eq!(metrics["slave/executors_preempted"], 1.0);
    cluster.stop(agent, StopMode::DestroyContainers).await;
}

#[actix_rt::test]
async fn a_drained_agent_ends_its_tasks_and_takes_no_more() {
    let mut cluster = Cluster::start().await;
    let agent = cluster.agent("RegisterSlaveMessage").await;
    cluster.run_task(agent.pid()).await;
    let mut drain = internal::DrainSlaveMessage::new();
    let config = drain.config.mut_or_insert_default();
    config
        .max_grace_period
        .mut_or_insert_default()
        .set_nanoseconds(7_000_000_000);
    cluster.master.send(agent.pid(), drain);
    let (_, Message::KillTask(kill)) = cluster.executor.receive("KillTaskMessage").await else {
        panic!("another message of that name")
    };
    assert_eq!(kill.kill_policy.grace_period.nanoseconds(), 7_000_000_000);
    let shown = get(agent.pid(), "/state").await.json();
    assert_eq!(
        shown["drain_config"]["max_grace_period"]["nanoseconds"],
        7_000_000_000_i64
    );
    cluster.master.receive("StatusUpdateMessage").await;
    let mut launch = run_task("t2");
    launch.set_launch_executor(false);
    cluster.master.send(agent.pid(), launch);
    let (_, Message::StatusUpdate(message)) = cluster.master.receive("StatusUpdateMessage").await else {
        panic!("another message of that name")
    };
    let reason = message.update.status.reason();
    assert_eq!(reason, pb::task_status::Reason::REASON_SLAVE_DRAINING);
    cluster
        .executor
        .send(agent.pid(), update("t1", pb::TaskState::TASK_KILLED));
    cluster.stop(agent, StopMode::DestroyContainers).await;
}

#[actix_rt::test]
async fn sandboxes_of_ended_executors_go_when_their_time_is_over() {
    let mut cluster = Cluster::start().await;
    let agent = cluster
        .agent_with(
            "RegisterSlaveMessage",
            &["--gc_delay=1ms", "--disk_watch_interval=1secs"],
        )
        .await;
    cluster.run_task(agent.pid()).await;
    let sandboxes = cluster
        .work_dir()
        .join(format!("slaves/{AGENT}/frameworks/{FRAMEWORK}"));
    assert!(sandboxes.is_dir());
    let mut shutdown = internal::ShutdownFrameworkMessage::new();
    shutdown
        .framework_id
        .mut_or_insert_default()
        .set_value(FRAMEWORK.to_owned());
    cluster.master.send(agent.pid(), shutdown);
    let gone = async {
        loop {
            let metrics = get(agent.pid(), "/metrics/snapshot").await.json();
            assert_eq!(metrics["gc/path_removals_failed"], 0.0);
            let removed = metrics["gc/path_removals_succeeded"].as_f64().unwrap_or_default();
            if removed > 0.0 && metrics["gc/path_removals_pending"] == 0.0 {
                return;
            }
        }
    };
    within("the removal", gone).await;
    assert!(!sandboxes.exists());
    let trash = cluster.work_dir().join(".collected");
    assert_eq!(std::fs::read_dir(trash).expect("a folder").count(), 0);
    cluster.stop(agent, StopMode::DestroyContainers).await;
}

#[actix_rt::test]
async fn more_resources_after_a_restart_need_the_additive_policy() {
    let mut cluster = Cluster::start().await;
    let agent = cluster.agent("RegisterSlaveMessage").await;
    stop(agent).await;
    let more = "--resources=cpus:8;mem:4096;disk:10000;ports:[31000-32000];cpus(ops):1";
    let refused = cluster.start_agent(&[more]).await;
    let Ended::Failed(reason) = within("the refusal", refused.ended()).await else {
        panic!("the agent goes on")
    };
    assert!(reason.contains("--reconfiguration_policy=additive"), "{reason}");
    stop(refused).await;
    let agent = cluster.start_agent(&[more, "--reconfiguration_policy=additive"]).await;
    let (_, Message::ReregisterSlave(message)) = cluster.master.receive("ReregisterSlaveMessage").await else {
        panic!("another message of that name")
    };
    let cpus = message
        .slave
        .resources
        .iter()
        .filter(|resource| resource.name() == "cpus");
    assert_eq!(cpus.map(|resource| resource.scalar.value()).sum::<f64>(), 9.0);
    cluster.stop(agent, StopMode::DestroyContainers).await;
}
