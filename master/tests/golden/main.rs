//! The master's HTTP API against what C++ Mesos answered to the same requests.

mod changes;
mod cluster;
mod exchange;
mod files;
mod operations;
mod planning;
mod shape;

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use cluster::Cluster;
use libprocess::builtin::logging::level_layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use exchange::{Answer, golden, recorded, send};
use shape::Shape;

/// Differences that are meant, by recording and begin of the text that tells them: (recording, difference, reason).
const MEANT: &[(&str, &str, &str)] = &[
    ("", "/git_sha is missing", "told only when the build is told the commit"),
    (
        "version",
        "/implementation is not recorded",
        "our own field beside the recorded ones",
    ),
    (
        "",
        "/slaves[]/reserved_resources_full/*[]/reservation is missing",
        "the test's reservation is static",
    ),
    (
        "slaves",
        "/slaves[]/reserved_resources_full/*[]/reservations[]/principal is missing",
        "static as well",
    ),
    (
        "",
        "/slaves[]/reserved_resources_full/*[]/disk is missing",
        "the test has no volume",
    ),
    (
        "slaves",
        "/slaves[]/used_resources_full[]/ranges is missing",
        "depends on the tasks",
    ),
    (
        "registrar(1)_registry",
        "/slaves/slaves[]/",
        "the test's agent has a reservation and was never unreachable",
    ),
    (
        "registrar(1)_registry",
        "/master/info/",
        "capabilities and domain depend on the flags",
    ),
    ("state.HEAD", "body", "an answer to HEAD has no body"),
    (
        "flags",
        "/flags/",
        "flags that have no value, and those of builds that do not exist here",
    ),
];

/// Paths of objects whose keys are data.
fn is_map(path: &str) -> bool {
    [
        "/reserved_resources",
        "/reserved_resources_full",
        "/attributes",
        "/flags",
        "/guarantees",
        "/limits",
    ]
    .iter()
    .any(|end| path.ends_with(end))
        || [
            "/guarantee",
            "/limit",
            "/consumed",
            "/allocated",
            "/offered",
            "/reserved",
        ]
        .iter()
        .any(|end| path.starts_with("/roles[]") && path.ends_with(end))
        || path == "/roles[]/resources"
}

fn is_meant(recording: &str, difference: &str) -> bool {
    let stem = recording.trim_start_matches("master_").trim_end_matches(".http");
    MEANT
        .iter()
        .any(|(name, begin, _)| (name.is_empty() || stem == *name) && difference.starts_with(begin))
}

/// Differences of heads and of JSON shapes.
fn compare(answer: &Answer, recorded: &Answer) -> Vec<String> {
    let mut found = Vec::new();
    if answer.status != recorded.status {
        found.push(format!("status is {}, recorded as {}", answer.status, recorded.status));
    }
    for header in ["content-type", "allow", "content-encoding"] {
        if answer.header(header) != recorded.header(header) {
            let (own, recorded) = (answer.header(header), recorded.header(header));
            found.push(format!("{header} is {own:?}, recorded as {recorded:?}"));
        }
    }
    if answer.header_names() != recorded.header_names() {
        let (own, recorded) = (answer.header_names(), recorded.header_names());
        found.push(format!("headers are {own:?}, recorded as {recorded:?}"));
    }
    if recorded.header("content-encoding").is_some() {
        return found;
    }
    match recorded.header("content-type") {
        Some("application/json") => shapes(&answer.body, &recorded.body, &mut found),
        Some("text/javascript") => match (unwrapped(&answer.body), unwrapped(&recorded.body)) {
            (Some(own), Some(recorded)) => shapes(own, recorded, &mut found),
            _ => found.push("body is no call of the callback".to_owned()),
        },
        _ if answer.body.is_empty() && !recorded.body.trim_ascii().is_empty() => {
            found.push("body is missing".to_owned());
        }
        _ => {}
    }
    found
}

fn unwrapped(script: &[u8]) -> Option<&[u8]> {
    script.strip_prefix(b"cb(")?.trim_ascii_end().strip_suffix(b")")
}

fn shapes(own: &[u8], recorded: &[u8], found: &mut Vec<String>) {
    let recorded = Shape::of(recorded).expect("recorded JSON");
    match Shape::of(own) {
        Ok(own) => own.differences(&recorded, "", &is_map, found),
        Err(error) => found.push(format!("body is no JSON: {error}")),
    }
}

/// Metrics are names with numbers: those of frameworks, roles and timers depend on what happened.
fn metrics(own: &[u8], recorded: &[u8]) -> Vec<String> {
    let names = |bytes: &[u8]| -> BTreeMap<String, serde_json::Value> {
        serde_json::from_slice(bytes).expect("an object of numbers")
    };
    let own = names(own);
    assert!(
        own.values().all(serde_json::Value::is_f64),
        "every number has a fraction"
    );
    let depends = |name: &str| {
        name.starts_with("master/frameworks/")
            || name.starts_with("allocator/mesos/quota/")
            || name.starts_with("allocator/mesos/offer_filters/")
            || name.starts_with("registrar/state_store_ms/")
    };
    // Not measured here: see the list in docs/compatibility.md.
    let lacking = |name: &str| {
        name.starts_with("frameworks/")
            || name.starts_with("allocator/mesos/allocation_run_")
            || name.starts_with("allocator/mesos/roles/")
    };
    let recorded = names(recorded);
    let missing = recorded
        .keys()
        .filter(|name| !own.contains_key(*name) && !depends(name) && !lacking(name));
    missing.map(|name| format!("{name} is missing")).collect()
}

/// Gives `/logging/toggle` something to change.
fn log() {
    let layer = level_layer(LevelFilter::ERROR);
    // The other test may have done so already.
    drop(tracing_subscriber::registry().with(layer).try_init());
}

/// Fields of a line of `errors.tsv`: escapes are those of JSON strings, bytes stand as characters.
struct Wrong {
    case: String,
    request: Vec<u8>,
    status: u16,
    content_type: Option<String>,
    allow: Option<String>,
}

impl Wrong {
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split('\t').collect();
        let [
            case,
            request_line,
            content_type,
            accept,
            stream_id,
            body,
            status,
            answer_type,
            allow,
            ..,
        ] = fields[..]
        else {
            return None;
        };
        let body: String = serde_json::from_str(&format!("\"{body}\"")).ok()?;
        let body: Vec<u8> = body.chars().map(|character| character as u8).collect();
        let mut head = format!("{request_line}\r\nHost: 127.0.0.1\r\n");
        let stream_id = if stream_id.is_empty() {
            ""
        } else {
            "3a5b9ab4-0b4f-4d5c-9d9b-7c0d2ffb9e1d"
        };
        for (name, value) in [
            ("Content-Type", content_type),
            ("Accept", accept),
            ("Mesos-Stream-Id", stream_id),
        ] {
            if !value.is_empty() {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Some(Self {
            case: case.to_owned(),
            request: [head.into_bytes(), body].concat(),
            status: status.split(' ').nth(1)?.parse().ok()?,
            content_type: some(answer_type),
            allow: some(allow),
        })
    }
}

#[tokio::test]
async fn wrong_requests_are_refused_as_recorded() {
    log();
    let cluster = Cluster::start().await;
    cluster.schedule_maintenance().await;
    let address = cluster.master.node().bound_address();
    let table = std::fs::read_to_string(golden().join("errors.tsv")).expect("the table");
    let rows: Vec<Wrong> = table.lines().filter_map(Wrong::parse).collect();
    let mut asked = 0;
    let mut problems = Vec::new();
    for row in rows {
        if !["sched.", "oper.", "v0."]
            .iter()
            .any(|begin| row.case.starts_with(begin))
        {
            continue;
        }
        asked += 1;
        let answer = send(address, &row.request).await;
        if answer.status != row.status {
            problems.push(format!(
                "{}: status is {}, recorded as {}",
                row.case, answer.status, row.status
            ));
        }
        if answer.header("content-type") != row.content_type.as_deref() {
            let own = answer.header("content-type");
            problems.push(format!(
                "{}: content type is {own:?}, recorded as {:?}",
                row.case, row.content_type
            ));
        }
        if answer.header("allow") != row.allow.as_deref() {
            let own = answer.header("allow");
            problems.push(format!("{}: Allow is {own:?}, recorded as {:?}", row.case, row.allow));
        }
    }
    cluster.stop().await;
    assert!(asked > 100, "only {asked} rows were asked");
    assert!(problems.is_empty(), "{}\n", problems.join("\n"));
}

/// Records of an answer in chunks of one record each.
fn records(mut stream: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    let line = |bytes: &mut &[u8], radix: u32| -> Option<usize> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let text = std::str::from_utf8(&bytes[..end]).ok()?.trim();
        *bytes = &bytes[end + 1..];
        usize::from_str_radix(text, radix).ok()
    };
    while let Some(_chunk) = line(&mut stream, 16) {
        let Some(length) = line(&mut stream, 10).filter(|length| *length <= stream.len()) else {
            break;
        };
        records.push(stream[..length].to_vec());
        let rest = &stream[length..];
        stream = rest
            .strip_prefix(b"\r\n")
            .or_else(|| rest.strip_prefix(b"\n"))
            .unwrap_or(rest);
    }
    records
}

#[tokio::test]
async fn operators_are_told_what_changes() {
    let cluster = Cluster::start().await;
    let address = cluster.master.node().bound_address();
    let (request, recorded) = recorded(&golden().join("streams/operator_subscribe_json.http"));
    let mut stream = exchange::open(address, &request).await;
    assert_eq!(stream.answer.status, 200);
    assert_eq!(stream.answer.header_names(), recorded.header_names());
    cluster.populate().await;
    stream.read_until(b"FRAMEWORK_REMOVED").await;
    let by_type = |stream: &[u8]| -> BTreeMap<String, Vec<u8>> {
        let typed = records(stream).into_iter().map(|record| {
            let value: serde_json::Value = serde_json::from_slice(&record).expect("an event");
            (value["type"].as_str().expect("a type").to_owned(), record)
        });
        typed.collect()
    };
    let (own, recorded) = (by_type(&stream.answer.body), by_type(&recorded.body));
    for kind in [
        "AGENT_ADDED",
        "TASK_ADDED",
        "TASK_UPDATED",
        "FRAMEWORK_ADDED",
        "FRAMEWORK_REMOVED",
    ] {
        assert!(own.contains_key(kind), "{kind} in {:?}", own.keys());
    }
    for (kind, event) in &recorded {
        let top = |bytes: &[u8]| match Shape::of(bytes).expect("JSON") {
            Shape::Object(keys) => keys.into_iter().map(|key| key.name).collect::<Vec<_>>(),
            other => panic!("{other}"),
        };
        if let Some(own) = own.get(kind) {
            assert_eq!(top(own), top(event), "{kind}");
        }
    }
    assert!(own.contains_key("SUBSCRIBED") && own.contains_key("HEARTBEAT"));
    cluster.stop().await;
}

/// What differs from the recorded answers of the operator API, as in [`MEANT`].
const MEANT_CALLS: &[(&str, &str, &str)] = &[
    (
        "GET_AGENTS",
        "/get_agents/agents[]/agent_info/resources[]/reservations is not",
        "the test's agent has some",
    ),
    (
        "GET_AGENTS",
        "/get_agents/agents[]/total_resources[]/reservations[]/principal",
        "the reservation is static",
    ),
    (
        "GET_STATE",
        "/get_state/get_agents/agents[]/agent_info/resources[]/reservations is not",
        "as for GET_AGENTS",
    ),
    (
        "GET_STATE",
        "/get_state/get_agents/agents[]/total_resources[]/reservations[]/principal",
        "as for GET_AGENTS",
    ),
    (
        "GET_VERSION",
        "/get_version/version_info/git_sha is missing",
        "told only when the build is told the commit",
    ),
];

/// Gives a role the quota that the recordings have.
async fn set_quota(address: SocketAddrV4) {
    let body = r#"{"type":"UPDATE_QUOTA","update_quota":{"quota_configs":[{"role":"q1",
        "guarantees":{"cpus":{"value":0.5},"mem":{"value":64}},"limits":{"cpus":{"value":2},"mem":{"value":512}}}]}}"#;
    let head = format!(
        "POST /api/v1 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let answer = send(address, &[head.as_bytes(), body.as_bytes()].concat()).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn operators_calls_answer_as_recorded() {
    log();
    let cluster = Cluster::start().await;
    cluster.populate().await;
    cluster.schedule_maintenance().await;
    let address = cluster.master.node().bound_address();
    set_quota(address).await;
    let mut problems = Vec::new();
    let mut asked = 0;
    for entry in std::fs::read_dir(golden().join("operator/master")).expect("the recordings") {
        let file = entry.expect("an entry").path();
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name")
            .to_owned();
        let (request, recorded) = recorded(&file);
        let answer = send(address, &request).await;
        asked += 1;
        let found = if name.starts_with("GET_METRICS") {
            Vec::new()
        } else {
            compare(&answer, &recorded)
        };
        let unmeant = found.into_iter().filter(|difference| {
            let meant = MEANT_CALLS
                .iter()
                .any(|(call, begin, _)| name.starts_with(call) && difference.starts_with(begin));
            !meant
        });
        problems.extend(unmeant.map(|difference| format!("{name}: {difference}")));
    }
    cluster.stop().await;
    assert!(asked > 30);
    assert!(problems.is_empty(), "{}\n", problems.join("\n"));
}

#[tokio::test]
async fn endpoints_answer_as_recorded() {
    log();
    let cluster = Cluster::start().await;
    cluster.populate().await;
    cluster.schedule_maintenance().await;
    let address = cluster.master.node().bound_address();
    set_quota(address).await;
    let mut problems = Vec::new();
    let mut files: Vec<_> = std::fs::read_dir(golden().join("endpoints/master"))
        .expect("the recordings")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    assert!(files.len() > 50);
    for file in files {
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name")
            .to_owned();
        let (request, recorded) = recorded(&file);
        let answer = send(address, &request).await;
        let found = if name.starts_with("metrics_snapshot") {
            let json = |answer: &Answer| unwrapped(&answer.body).unwrap_or(&answer.body).to_vec();
            metrics(&json(&answer), &json(&recorded))
        } else {
            compare(&answer, &recorded)
        };
        let unmeant = found.into_iter().filter(|difference| !is_meant(&name, difference));
        problems.extend(unmeant.map(|difference| format!("{name}: {difference}")));
    }
    cluster.stop().await;
    assert!(problems.is_empty(), "{}\n", problems.join("\n"));
}
