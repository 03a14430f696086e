//! The endpoints that every node offers, compared with what was recorded where there is a recording.

mod http_support;

use std::collections::BTreeMap;
use std::time::Duration;

use http_support::{Raw, start, within};
use libprocess::builtin::VersionInfo;
use libprocess::metrics::Sample;
use serde_json::Value;

/// The answer in a recorded exchange: headers and body.
fn golden(name: &str) -> (BTreeMap<String, String>, String) {
    let path = format!(
        "{}/../../shared/golden/endpoints/{name}.http",
        env!("CARGO_MANIFEST_DIR")
    );
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let answer = text.split(">>>>>>>> RESPONSE").nth(1).expect("a recorded answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    let headers = headers
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    (headers, body.trim_end().to_owned())
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Names and types of an object's fields; integers and floats are told apart.
fn shape(value: &Value) -> BTreeMap<String, &'static str> {
    let kind = |value: &Value| match value {
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        _ => "other",
    };
    value
        .as_object()
        .expect("an object")
        .iter()
        .map(|(key, value)| (key.clone(), kind(value)))
        .collect()
}

#[tokio::test]
async fn system_statistics_and_version_have_the_recorded_shape() {
    let info = VersionInfo {
        version: "1.11.0".to_owned(),
        build_date: Some("2026-11-20 11:12:54 UTC".to_owned()),
        build_time: Some(1.0),
        build_user: Some("root".to_owned()),
        git_sha: Some("0".to_owned()),
        ..VersionInfo::default()
    };
    let (node, _) = start(|config| config.version = info).await;
    let mut client = Raw::connect(&node).await;
    for (path, name) in [
        ("/system/stats.json", "master/system_stats.json"),
        ("/version", "master/version"),
    ] {
        let (headers, body) = golden(name);
        let answer = client.get(path).await;
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.header("Content-Type"),
            headers.get("Content-Type").map(String::as_str)
        );
        assert_eq!(shape(&json(&answer.text())), shape(&json(&body)), "{path}");
    }
    assert_eq!(client.get("/version?jsonp=cb").await.text().get(..4), Some("cb({"));
    node.stop().await;
}

#[tokio::test]
async fn processes_are_listed_with_their_events() {
    let (node, _) = start(|_| {}).await;
    let mut client = Raw::connect(&node).await;
    let listed = json(&client.get("/__processes__").await.text());
    let (_, recorded) = golden("agent/__processes__");
    let ids = |list: &Value| -> Vec<String> {
        let entries = list.as_array().expect("a list").iter();
        let id = |entry: &Value| {
            assert_eq!(
                shape(entry),
                BTreeMap::from([("events".to_owned(), "array"), ("id".to_owned(), "string")])
            );
            entry["id"].as_str().unwrap_or_default().to_owned()
        };
        entries.map(id).collect()
    };
    let (ours, theirs) = (ids(&listed), ids(&json(&recorded)));
    for id in [
        "help",
        "logging",
        "metrics",
        "profiler",
        "system",
        "version",
        "__processes__",
    ] {
        assert!(ours.contains(&id.to_owned()) && theirs.contains(&id.to_owned()), "{id}");
    }
    assert!(ours.contains(&"probe".to_owned()));
    node.stop().await;
}

#[tokio::test]
async fn metrics_come_flat_and_as_prometheus_text() {
    let (node, _) = start(|config| config.metrics_rate_limit = None).await;
    node.metrics().counter("probe/events").add(3);
    node.metrics().gauge("probe/depth").set(0.5);
    let timer = node.metrics().timer("probe/run_ms", Some(Duration::from_secs(3600)));
    timer.record(Duration::from_millis(1));
    timer.record(Duration::from_millis(3));
    node.metrics().source("stuck", || Box::pin(std::future::pending()));
    node.metrics().source("probe", || {
        Box::pin(async { vec![("probe/state".to_owned(), Sample::gauge(2.0))] })
    });
    let mut client = Raw::connect(&node).await;
    let answer = client.get("/metrics/snapshot?timeout=20ms").await;
    let (headers, recorded) = golden("master/metrics_snapshot");
    assert_eq!(
        answer.header("Content-Type"),
        headers.get("Content-Type").map(String::as_str)
    );
    let snapshot = json(&answer.text());
    for (name, value) in [
        ("probe/events", 3.0),
        ("probe/depth", 0.5),
        ("probe/state", 2.0),
        ("probe/run_ms", 3.0),
        ("probe/run_ms/count", 2.0),
        ("probe/run_ms/min", 1.0),
        ("probe/run_ms/max", 3.0),
        ("probe/run_ms/p50", 2.0),
    ] {
        assert_eq!(snapshot[name].as_f64(), Some(value), "{name}");
    }
    let recorded = shape(&json(&recorded));
    for (name, kind) in shape(&snapshot) {
        assert_eq!(kind, "float", "{name}");
        if name.starts_with("system/") {
            assert!(recorded.contains_key(&name), "{name}");
        }
    }
    for key in ["count", "max", "min", "p50", "p90", "p95", "p99", "p999", "p9999"] {
        assert!(snapshot.get(format!("probe/run_ms/{key}")).is_some(), "{key}");
        assert!(
            recorded.contains_key(&format!("allocator/mesos/allocation_run_ms/{key}")),
            "{key}"
        );
    }
    assert_eq!(client.get("/metrics/snapshot?timeout=soon").await.status, 400);
    assert_eq!(
        client
            .get("/metrics/snapshot?timeout=1ms&jsonp=cb")
            .await
            .header("Content-Type"),
        Some("text/javascript")
    );
    node.metrics().remove_source("stuck");
    let answer = client.get("/metrics").await;
    assert_eq!(answer.header("Content-Type"), Some("text/plain; version=0.0.4"));
    assert!(
        answer.text().contains("# TYPE probe_events counter\nprobe_events 3\n"),
        "{}",
        answer.text()
    );
    assert!(answer.text().contains("\nprobe_state 2\n"));
    assert_eq!(client.get("/metrics/nope").await.status, 404);
    node.stop().await;
}

#[tokio::test]
async fn metrics_beyond_the_rate_wait() {
    let clock = std::sync::Arc::new(libprocess::ManualClock::new(libprocess::Time::from_nanos(1)));
    let nodes_clock = std::sync::Arc::clone(&clock);
    let (node, _) = start(|config| config.clock = Some(nodes_clock)).await;
    let mut first = Raw::connect(&node).await;
    assert_eq!(first.get("/metrics/snapshot").await.status, 200);
    first.send("GET /metrics/snapshot HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut other = Raw::connect(&node).await;
    assert_eq!(other.get("/version").await.status, 200);
    within("the turn of the second", async {
        let answer = first.answer();
        tokio::pin!(answer);
        loop {
            tokio::select! {
                answer = &mut answer => break assert_eq!(answer.status, 200),
                () = tokio::task::yield_now() => clock.advance(Duration::from_millis(100)),
            }
        }
    })
    .await;
    node.stop().await;
}

#[tokio::test]
async fn help_is_a_page_or_json() {
    let (node, _) = start(|_| {}).await;
    let mut client = Raw::connect(&node).await;
    let page = client.get("/help").await;
    assert_eq!(
        (page.status, page.header("Content-Type")),
        (200, Some("text/html; charset=utf-8"))
    );
    assert!(page.text().contains("/metrics/snapshot"));
    let all = json(&client.get("/help?format=json").await.text());
    let processes = all["processes"].as_array().expect("a list");
    assert!(processes.iter().any(|process| process["id"] == "probe"));
    let one = json(&client.get("/help/logging/toggle?format=json").await.text());
    assert_eq!(one["processes"][0]["id"], "logging");
    let endpoints = one["processes"][0]["endpoints"].as_array().expect("a list");
    assert_eq!(endpoints.len(), 1);
    assert_eq!(endpoints[0]["name"], "/toggle");
    assert!(
        endpoints[0]["text"]
            .as_str()
            .is_some_and(|text| text.contains("duration"))
    );
    let post = client.get("/help/probe/post").await.text();
    assert!(post.contains("Methods: POST."), "{post}");
    assert_eq!(client.get("/help/nobody").await.status, 404);
    assert_eq!(client.get("/help/probe/nothing").await.status, 404);
    node.stop().await;
}

#[tokio::test]
async fn log_level_is_told_and_changed_for_a_while() {
    let clock = std::sync::Arc::new(libprocess::ManualClock::new(libprocess::Time::from_nanos(1)));
    let nodes_clock = std::sync::Arc::clone(&clock);
    let (node, _) = start(|config| config.clock = Some(nodes_clock)).await;
    let mut client = Raw::connect(&node).await;
    let (headers, recorded) = golden("master/logging_toggle");
    let told = client.get("/logging/toggle").await;
    assert_eq!(told.text().trim_end(), recorded);
    assert_eq!(
        told.header("Content-Length"),
        headers.get("Content-Length").map(String::as_str)
    );
    assert_eq!(
        told.header("Content-Type"),
        headers.get("Content-Type").map(String::as_str)
    );
    assert_eq!(client.get("/logging/toggle?level=1").await.status, 400);
    assert_eq!(client.get("/logging/toggle?level=-1&duration=2secs").await.status, 400);
    // Without a filter that could be changed the answer says so.
    assert_eq!(client.get("/logging/toggle?level=1&duration=2secs").await.status, 501);
    let layer: tracing_subscriber::reload::Layer<_, tracing_subscriber::Registry> =
        libprocess::builtin::logging::level_layer(tracing_subscriber::filter::LevelFilter::INFO);
    let changed = client.get("/logging/toggle?level=1&duration=2secs").await;
    assert_eq!((changed.status, changed.body.len()), (200, 0));
    assert_eq!(client.get("/logging/toggle").await.text(), "1\n");
    clock.advance(Duration::from_secs(3));
    within("the level at the start", async {
        while client.get("/logging/toggle").await.text() != "0\n" {}
    })
    .await;
    drop(layer);
    node.stop().await;
}

#[tokio::test]
async fn profilers_say_what_is_missing() {
    let (node, _) = start(|_| {}).await;
    let mut client = Raw::connect(&node).await;
    for path in ["/profiler/start", "/profiler/stop"] {
        let answer = client.get(path).await;
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains("LIBPROCESS_ENABLE_PROFILER"));
    }
    for name in [
        "start",
        "stop",
        "state",
        "statistics",
        "download/raw",
        "download/text",
        "download/graph",
    ] {
        let answer = client.get(&format!("/memory-profiler/{name}")).await;
        assert_eq!(answer.status, 501, "{name}");
        assert!(answer.text().contains("jemalloc"));
    }
    node.stop().await;
    let (node, _) = start(|config| config.enable_profiler = true).await;
    assert_eq!(Raw::connect(&node).await.get("/profiler/start").await.status, 501);
    node.stop().await;
}

#[tokio::test]
async fn built_in_endpoints_belong_to_the_configured_realms() {
    let (node, _) = start(|config| {
        config.readonly_realm = Some("ro".to_owned());
        config.readwrite_realm = Some("rw".to_owned());
    })
    .await;
    for realm in ["ro", "rw"] {
        let nobody = libprocess::http::auth::BasicAuthenticator::new(realm, BTreeMap::new());
        node.access().set_authenticator(realm, std::sync::Arc::new(nobody));
    }
    let mut client = Raw::connect(&node).await;
    for (path, challenge) in [
        ("/metrics/snapshot", Some("Basic realm=\"ro\"")),
        ("/metrics", Some("Basic realm=\"ro\"")),
        ("/logging/toggle", Some("Basic realm=\"rw\"")),
        ("/profiler/start", Some("Basic realm=\"rw\"")),
        ("/memory-profiler/state", Some("Basic realm=\"rw\"")),
        ("/version", None),
        ("/help", None),
        ("/__processes__", None),
        ("/system/stats.json", None),
    ] {
        let answer = client.get(path).await;
        assert_eq!(answer.header("WWW-Authenticate"), challenge, "{path}");
        assert_eq!(answer.status, if challenge.is_some() { 401 } else { 200 }, "{path}");
    }
    node.stop().await;
}
