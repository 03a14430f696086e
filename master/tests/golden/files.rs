//! Files over HTTP: the agent's recordings, with a directory of this test attached to the master.

use libprocess::http::uri::percent_encode;

use crate::cluster::Cluster;
use crate::exchange::{Answer, golden, recorded, send};
use crate::shape::Shape;

async fn get(cluster: &Cluster, path: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    send(cluster.master.node().bound_address(), request.as_bytes()).await
}

async fn post(cluster: &Cluster, body: &str) -> Answer {
    let length = body.len();
    let head = "POST /api/v1 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAccept: application/json";
    let request = format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}");
    send(cluster.master.node().bound_address(), request.as_bytes()).await
}

fn assert_alike(answer: &Answer, recording: &str) {
    let (_, recorded) = recorded(&golden().join("endpoints/agent").join(recording));
    assert_eq!(answer.status, recorded.status, "{recording}");
    assert_eq!(answer.header_names(), recorded.header_names(), "{recording}");
    assert_eq!(
        answer.header("content-type"),
        recorded.header("content-type"),
        "{recording}"
    );
    assert_eq!(
        answer.header("content-disposition"),
        recorded.header("content-disposition"),
        "{recording}"
    );
    if recorded.header("content-type") == Some("application/json") {
        let (own, recorded) = (Shape::of(&answer.body), Shape::of(&recorded.body));
        let mut found = Vec::new();
        let recorded = recorded.expect("recorded JSON");
        own.expect("JSON").differences(&recorded, "", &|_| false, &mut found);
        assert!(found.is_empty(), "{recording}: {found:?}");
    }
}

#[tokio::test]
async fn attached_files_are_shown_as_recorded() {
    let cluster = Cluster::start().await;
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(directory.path().join("sub")).expect("a directory");
    std::fs::write(directory.path().join("stdout"), "started\nline 1\n").expect("a file");
    let files = cluster.master.process().call(|master, _| master.files().clone());
    let files = files.await.expect("the master lives");
    files.attach("/a/sandbox", directory.path()).expect("attached");
    let path = |name: &str| percent_encode(&format!("/a/sandbox{name}"));

    let answer = get(&cluster, &format!("/files/browse?path={}", path(""))).await;
    assert_alike(&answer, "files_browse_sandbox1.http");
    let answer = get(
        &cluster,
        &format!("/files/read?path={}&offset=0&length=7", path("/stdout")),
    )
    .await;
    assert_alike(&answer, "files_read_stdout2.http");
    assert_eq!(answer.body, br#"{"data":"started","offset":0}"#);
    let answer = get(&cluster, &format!("/files/read?path={}&offset=-1", path("/stdout"))).await;
    assert_alike(&answer, "files_read_stdout_tail2.http");
    assert_eq!(answer.body, br#"{"data":"","offset":15}"#);
    let answer = get(&cluster, &format!("/files/download?path={}", path("/stdout"))).await;
    assert_alike(&answer, "files_download_stdout2.http");
    assert_eq!(answer.body, b"started\nline 1\n");

    for (query, status) in [
        ("browse?path=/a/nope", 404),
        ("read?path=/a/sandbox", 400),
        ("read?path=/a/sandbox/stdout&offset=-2", 400),
        ("read?path=/a/sandbox/stdout&length=x", 400),
        ("browse?path=/a/sandbox/%2e%2e/x", 400),
        ("download", 400),
        ("download?path=/a/sandbox/sub", 400),
    ] {
        assert_eq!(
            get(&cluster, &format!("/files/{query}")).await.status,
            status,
            "{query}"
        );
    }

    let answer = post(&cluster, r#"{"type":"LIST_FILES","list_files":{"path":"/a/sandbox"}}"#).await;
    let listed: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(listed["list_files"]["file_infos"][0]["path"], "/a/sandbox/stdout");
    let call = r#"{"type":"READ_FILE","read_file":{"path":"/a/sandbox/stdout","offset":8,"length":4}}"#;
    let read: serde_json::Value = serde_json::from_slice(&post(&cluster, call).await.body).expect("JSON");
    assert_eq!(read["read_file"], serde_json::json!({"size": 15, "data": "bGluZQ=="}));
    cluster.stop().await;
}
