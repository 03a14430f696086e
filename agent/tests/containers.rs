//! Containers that executors and operators launch through the agent's API: real processes, real sockets.

mod support;

use libprocess::Upid;
use libprocess::http::client::{Client, RecordReader};
use libprocess::http::{Method, StatusCode};
use mesos_agent::{RunningAgent, StopMode};
use mesos_proto::v1::agent::process_io::data;
use mesos_proto::v1::agent::{Call, ProcessIO, Response, call, process_io, response};
use mesos_proto::v1::mesos::{CommandInfo, ContainerID};
use protobuf::Message as _;
use serde_json::Value;
use support::cluster::{Cluster, EXECUTOR};
use support::http::{Answer, get, post};
use support::within;

/// A call about a container, as JSON with more fields.
async fn container_call(agent: &Upid, kind: &str, id: &str, more: &str) -> Answer {
    let field = kind.to_lowercase();
    post(
        agent,
        "/api/v1",
        &format!(r#"{{"type":"{kind}","{field}":{{"container_id":{id}{more}}}}}"#),
    )
    .await
}

fn nested(parent: &str, value: &str) -> String {
    format!(r#"{{"value":"{value}","parent":{{"value":"{parent}"}}}}"#)
}

fn command(text: &str) -> String {
    format!(r#","command":{{"value":"{text}"}}"#)
}

/// An agent with an executor; gives the executor's container.
async fn with_executor(cluster: &mut Cluster) -> (RunningAgent, String) {
    let agent = cluster.agent("RegisterSlaveMessage").await;
    cluster.run_task(agent.pid()).await;
    let containers = get(agent.pid(), "/containers").await.json();
    let container = containers[0]["container_id"].as_str().expect("an id").to_owned();
    (agent, container)
}

async fn sandbox(agent: &Upid) -> std::path::PathBuf {
    let state = get(agent, "/state").await.json();
    let directory = &state["frameworks"][0]["executors"][0]["directory"];
    directory.as_str().expect("a sandbox").into()
}

#[actix_rt::test]
async fn nested_containers_are_launched_awaited_and_removed() {
    let mut cluster = Cluster::start().await;
    let (agent, parent) = with_executor(&mut cluster).await;
    let (upid, n) = (agent.pid(), nested(&parent, "n"));
    let launch = command("echo $MESOS_SANDBOX; while ! test -e go; do sleep 0.01; done; exit 3");
    for status in [200, 202] {
        let answer = container_call(upid, "LAUNCH_CONTAINER", &n, &launch).await;
        assert_eq!((answer.status, answer.text().as_str()), (status, ""));
    }
    assert_eq!(container_call(upid, "REMOVE_CONTAINER", &n, "").await.status, 500);
    let folder = sandbox(upid).await.join("containers/n");
    let waits = async {
        let (new, old) = futures_util::future::join(
            container_call(upid, "WAIT_CONTAINER", &n, ""),
            container_call(upid, "WAIT_NESTED_CONTAINER", &n, ""),
        )
        .await;
        (new.json(), old.json())
    };
    let go = async { std::fs::write(folder.join("go"), "").expect("written") };
    let ((new, old), ()) = futures_util::future::join(waits, go).await;
    assert_eq!(new["wait_container"]["exit_status"], 3 << 8);
    assert_eq!(old["type"], "WAIT_NESTED_CONTAINER");
    assert_eq!(old["wait_nested_container"]["exit_status"], 3 << 8);
    let stdout = std::fs::read_to_string(folder.join("stdout")).expect("stdout");
    assert_eq!(stdout.trim(), folder.display().to_string());
    assert_eq!(container_call(upid, "KILL_CONTAINER", &n, "").await.status, 404);
    assert_eq!(
        container_call(upid, "LAUNCH_NESTED_CONTAINER", &n, &launch)
            .await
            .status,
        202
    );
    assert_eq!(
        container_call(upid, "REMOVE_NESTED_CONTAINER", &n, "").await.status,
        200
    );
    assert!(!folder.exists());
    assert_eq!(container_call(upid, "WAIT_CONTAINER", &n, "").await.status, 404);
    cluster.stop(agent, StopMode::DestroyContainers).await;
}

#[actix_rt::test]
async fn kills_name_their_signal_and_listings_show_what_is_asked_for() {
    let mut cluster = Cluster::start().await;
    let (agent, parent) = with_executor(&mut cluster).await;
    let upid = agent.pid();
    let (n, deep) = (
        nested(&parent, "n"),
        format!(r#"{{"value":"d","parent":{}}}"#, nested(&parent, "n")),
    );
    let resources = r#","resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":0.25}}]"#;
    let launch = command("trap 'exit 4' TERM; touch ready; while :; do sleep 0.01; done");
    let answer = container_call(upid, "LAUNCH_CONTAINER", &n, &format!("{launch}{resources}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        container_call(upid, "LAUNCH_NESTED_CONTAINER", &deep, &command("exec sleep 600"))
            .await
            .status,
        200
    );
    let alone = r#"{"value":"alone"}"#;
    assert_eq!(
        container_call(upid, "LAUNCH_CONTAINER", alone, &command("exec sleep 600"))
            .await
            .status,
        200
    );
    let list = async |more: &str| -> Vec<Value> {
        let call = format!(r#"{{"type":"GET_CONTAINERS","get_containers":{{{more}}}}}"#);
        let answer = post(upid, "/api/v1", &call).await.json();
        answer["get_containers"]["containers"]
            .as_array()
            .expect("a list")
            .clone()
    };
    assert_eq!(list("").await.len(), 1);
    assert_eq!(list("").await[0]["executor_id"]["value"], EXECUTOR);
    assert_eq!(list(r#""show_nested":true"#).await.len(), 3);
    let standalone = list(r#""show_standalone":true"#).await;
    assert_eq!(standalone.len(), 2);
    assert_eq!(standalone[1]["container_id"]["value"], "alone");
    let all = list(r#""show_nested":true,"show_standalone":true"#).await;
    assert_eq!(all.len(), 4);
    let of_n = all
        .iter()
        .find(|row| row["container_status"]["container_id"]["value"] == "n")
        .expect("n");
    assert_eq!(of_n["resource_statistics"]["cpus_soft_limit"], 0.25);
    assert!(of_n["container_status"]["executor_pid"].as_u64().is_some());

    let ready = sandbox(upid).await.join("containers/n/ready");
    within("a trap", async {
        while !ready.exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let killed = container_call(upid, "KILL_NESTED_CONTAINER", &n, r#","signal":15"#).await;
    assert_eq!(killed.status, 200);
    let end = container_call(upid, "WAIT_CONTAINER", &n, "").await.json();
    assert_eq!(end["wait_container"]["exit_status"], 4 << 8);
    // What ran inside it went with it.
    let end = container_call(upid, "WAIT_CONTAINER", &deep, "").await.json();
    assert_eq!(end["wait_container"]["exit_status"], 9);
    assert_eq!(container_call(upid, "KILL_CONTAINER", alone, "").await.status, 200);
    let end = container_call(upid, "WAIT_CONTAINER", alone, "").await.json();
    assert_eq!(end["wait_container"]["exit_status"], 9);
    assert!(cluster.work_dir().join("containers/alone").is_dir());
    assert_eq!(container_call(upid, "REMOVE_CONTAINER", alone, "").await.status, 200);
    assert!(!cluster.work_dir().join("containers/alone").exists());
    cluster.stop(agent, StopMode::DestroyContainers).await;
}

#[actix_rt::test]
async fn launches_that_cannot_work_say_why() {
    let mut cluster = Cluster::start().await;
    let (agent, parent) = with_executor(&mut cluster).await;
    let upid = agent.pid();
    for (id, more, named) in [
        (nested("nobody", "n"), command("true"), "parent is not running"),
        (nested(&parent, "a"), String::new(), "nothing to run"),
        (
            nested(&parent, "b"),
            command("true")
                + r#","container":{"type":"MESOS","mesos":{"image":{"type":"DOCKER","docker":{"name":"x"}}}}"#,
            "images",
        ),
        (nested(&parent, "c/d"), command("true"), "launch_container.container_id"),
        (
            nested(&parent, "e"),
            command("true") + r#","limits":{"mem":{"value":64}}"#,
            "`launch_container.limits` of 'mem'",
        ),
        (
            nested(&parent, "f"),
            command("true") + r#","container":{"type":"MESOS","network_infos":[{"name":"blue"}]}"#,
            "container.network_infos.name 'blue'",
        ),
    ] {
        let answer = container_call(upid, "LAUNCH_CONTAINER", &id, &more).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.text().contains(named), "{}", answer.text());
    }
    let attach = container_call(
        upid,
        "ATTACH_CONTAINER_OUTPUT",
        &format!(r#"{{"value":"{parent}"}}"#),
        "",
    )
    .await;
    assert_eq!(attach.status, 501);
    cluster.stop(agent, StopMode::DestroyContainers).await;
}

fn id_of(parent: &str, value: &str) -> ContainerID {
    let mut id = ContainerID::new();
    id.set_value(value.to_owned());
    id.parent.mut_or_insert_default().set_value(parent.to_owned());
    id
}

/// Opens a session over protobuf.
async fn session(agent: &Upid, parent: &str, value: &str, command_line: &str) -> RecordReader {
    let mut command = CommandInfo::new();
    command.set_value(command_line.to_owned());
    let mut call = Call::new();
    call.set_type(call::Type::LAUNCH_NESTED_CONTAINER_SESSION);
    let launch = call.launch_nested_container_session.mut_or_insert_default();
    launch.container_id = Some(id_of(parent, value)).into();
    launch.command = Some(command).into();
    open(agent, &call).await
}

/// Makes a call that is answered with records.
async fn open(agent: &Upid, call: &Call) -> RecordReader {
    let headers = [
        ("Content-Type", "application/x-protobuf"),
        ("Accept", "application/recordio"),
        ("Message-Accept", "application/x-protobuf"),
    ];
    let body = call.write_to_bytes().expect("complete");
    let mut client = Client::new(agent.address());
    let stream = client
        .open(Method::POST, "/slave(1)/api/v1", &headers, body.into())
        .await
        .expect("an answer");
    assert_eq!(stream.status, StatusCode::OK);
    assert_eq!(stream.header("content-type"), Some("application/recordio"));
    assert_eq!(stream.header("message-content-type"), Some("application/x-protobuf"));
    stream.into_records()
}

async fn next(records: &mut RecordReader) -> Option<ProcessIO> {
    let record = within("a record", records.next_record()).await.expect("a stream");
    record.map(|record| ProcessIO::parse_from_bytes(&record).expect("a message"))
}

#[actix_rt::test]
async fn the_output_of_a_session_is_its_answer() {
    let mut cluster = Cluster::start().await;
    let (agent, parent) = with_executor(&mut cluster).await;
    let mut records = session(agent.pid(), &parent, "s", "echo one; echo two >&2; pwd; exit 5").await;
    let (mut stdout, mut stderr, mut beats) = (Vec::<u8>::new(), Vec::<u8>::new(), 0);
    while let Some(record) = next(&mut records).await {
        match record.type_() {
            process_io::Type::DATA if record.data.type_() == data::Type::STDERR => stderr.extend(record.data.data()),
            process_io::Type::DATA => stdout.extend(record.data.data()),
            _ => beats += 1,
        }
    }
    let sandbox = sandbox(agent.pid()).await;
    assert_eq!(
        String::from_utf8_lossy(&stdout),
        format!("one\n{}\n", sandbox.display())
    );
    assert_eq!(stderr, b"two\n");
    assert!(beats >= 1, "the first heartbeat comes at once");
    let end = container_call(agent.pid(), "WAIT_NESTED_CONTAINER", &nested(&parent, "s"), "")
        .await
        .json();
    assert_eq!(end["wait_nested_container"]["exit_status"], 5 << 8);
    cluster.stop(agent, StopMode::DestroyContainers).await;
}

#[actix_rt::test]
async fn a_session_ends_with_its_client() {
    let mut cluster = Cluster::start().await;
    let (agent, parent) = with_executor(&mut cluster).await;
    let mut records = session(agent.pid(), &parent, "s", "echo begun; exec sleep 600").await;
    while next(&mut records).await.expect("a record").type_() != process_io::Type::DATA {}
    drop(records);
    let end = container_call(agent.pid(), "WAIT_CONTAINER", &nested(&parent, "s"), "").await;
    let end = Response::type_(&mesos::json::from_slice::<Response>(&end.body).expect("an end"));
    assert_eq!(end, response::Type::WAIT_CONTAINER);
    cluster.stop(agent, StopMode::DestroyContainers).await;
}

/// What comes until the end, of standard output alone.
async fn stdout_of(mut records: RecordReader) -> String {
    let mut stdout = Vec::new();
    while let Some(record) = next(&mut records).await {
        if record.data.type_() == data::Type::STDOUT {
            stdout.extend(record.data.data());
        }
    }
    String::from_utf8_lossy(&stdout).into_owned()
}

#[actix_rt::test]
async fn whoever_attaches_to_a_session_sees_what_comes_after() {
    let mut cluster = Cluster::start().await;
    let (agent, parent) = with_executor(&mut cluster).await;
    let command_line = "echo before; while ! test -e go; do sleep 0.01; done; echo after";
    let mut first = session(agent.pid(), &parent, "s", command_line).await;
    while next(&mut first).await.expect("a record").type_() != process_io::Type::DATA {}
    let mut attach = Call::new();
    attach.set_type(call::Type::ATTACH_CONTAINER_OUTPUT);
    let body = attach.attach_container_output.mut_or_insert_default();
    body.container_id = Some(id_of(&parent, "s")).into();
    let second = open(agent.pid(), &attach).await;
    std::fs::write(sandbox(agent.pid()).await.join("go"), "").expect("written");
    let told = futures_util::future::join(stdout_of(first), stdout_of(second)).await;
    assert_eq!(told, ("after\n".to_owned(), "after\n".to_owned()));
    let end = container_call(agent.pid(), "WAIT_CONTAINER", &nested(&parent, "s"), "").await;
    assert_eq!(end.status, 200);
    let gone = container_call(agent.pid(), "ATTACH_CONTAINER_OUTPUT", &nested(&parent, "s"), "").await;
    assert_eq!(gone.status, 404);
    cluster.stop(agent, StopMode::DestroyContainers).await;
}
