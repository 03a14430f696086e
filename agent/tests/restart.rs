//! An agent that ends and comes back on the same folders.

mod support;

use mesos_agent::StopMode;
use support::cluster::{AGENT, Cluster, EXECUTOR, FRAMEWORK, operator};
use support::http::{get, post};
use support::within;

#[actix_rt::test]
async fn what_was_checkpointed_is_there_after_a_restart() {
    let mut cluster = Cluster::start().await;
    let first = cluster.agent("RegisterSlaveMessage").await;
    cluster.run_task(first.pid()).await;
    let before = get(first.pid(), "/containers").await.json();
    within("the first agent's end", first.stop(StopMode::LeaveContainers)).await;

    let flags = support::cluster::flags(cluster.folder.path(), &cluster.master_address());
    let second = mesos_agent::start(&flags, libprocess::NodeConfig::default())
        .await
        .expect("an agent");
    // The executor is asked to come back; nobody else may answer for it.
    cluster.executor.receive("ReconnectExecutorMessage").await;
    for (path, status) in [("/state", 503), ("/health", 200), ("/flags", 200)] {
        assert_eq!(get(second.pid(), path).await.status, status, "{path}");
    }
    let health = r#"{"type":"GET_HEALTH"}"#;
    assert_eq!(post(second.pid(), "/api/v1", health).await.status, 503);
    cluster
        .executor
        .send(second.pid(), support::cluster::reregister_executor());
    cluster.master.receive("ReregisterSlaveMessage").await;

    let state = get(second.pid(), "/state").await.json();
    assert_eq!(state["id"], AGENT);
    assert_eq!(state["frameworks"][0]["id"], FRAMEWORK);
    let executor = &state["frameworks"][0]["executors"][0];
    assert_eq!(executor["id"], EXECUTOR);
    assert_eq!(executor["tasks"][0]["state"], "TASK_RUNNING");
    let after = get(second.pid(), "/containers").await.json();
    assert_eq!(before[0]["container_id"], after[0]["container_id"]);
    assert_eq!(before[0]["status"]["executor_pid"], after[0]["status"]["executor_pid"]);
    let tasks = operator(second.pid(), "GET_TASKS").await;
    assert_eq!(tasks["get_tasks"]["launched_tasks"][0]["task_id"]["value"], "t1");
    let debug = get(second.pid(), "/files/debug").await.json();
    let latest = format!("/frameworks/{FRAMEWORK}/executors/{EXECUTOR}/runs/latest");
    assert!(debug.get(&latest).is_some(), "{debug}");
    cluster.stop(second, StopMode::DestroyContainers).await;
}
