//! What the original agent was asked and answered, asked again: status, content type and the structure of JSON.
//!
//! Values differ by nature. Structures are compared by [`support::shape`]: nothing may appear that was never recorded,
//! and whatever every recorded object has must be there.

mod support;

use libprocess::Upid;
use mesos_agent::StopMode;
use mesos_proto::v1::agent::Response;
use protobuf::Message as _;
use serde_json::Value;
use support::cluster::{Cluster, EXECUTOR, FRAMEWORK};
use support::http::{Answer, ask, get};
use support::recorded::{Exchange, Mistake, exchanges, mistakes};
use support::shape::Shape;

/// Places where the keys of objects are data.
const MAPS: &[&str] = &[
    ".reserved_resources",
    ".reserved_resources_full",
    ".reserved_resources_allocated",
    ".attributes",
    ".flags",
];

/// Differences that are meant, with the reason. The first part names the recording, the second begins the difference.
const MEANT: &[(&str, &str)] = &[
    // The implementation tells its own name and version beside the Mesos version that it speaks.
    ("version", ".implementation: was never recorded"),
    // Builds outside of a repository know no commit.
    ("", ".git_sha: is missing"),
    ("GET_VERSION", ".get_version.version_info.git_sha: is missing"),
    // The recorded agent had no static reservations.
    (
        "GET_AGENT",
        ".get_agent.agent_info.resources[].reservations: was never recorded",
    ),
    // Networks of a container are told with the container's status; the recorded ones had no address.
    ("containers", "[].status.network_infos: was never recorded"),
    (
        "GET_CONTAINERS",
        ".get_containers.containers[].container_status.network_infos: was never recorded",
    ),
];

/// Recordings that are not played, with the reason.
const LEFT_OUT: &[&str] = &[
    // The original agent had no page of its own; ours has, see the test of the page.
    "root",
];

fn is_meant(name: &str, difference: &str) -> bool {
    MEANT
        .iter()
        .any(|(recording, start)| name.contains(recording) && difference.starts_with(start))
}

/// The request line of a recording with the sandbox of our executor in place of the recorded one.
fn line_for(exchange: &Exchange, sandbox: &str) -> String {
    let Some((start, rest)) = exchange.line.split_once("path=") else {
        return exchange.line.clone();
    };
    let end = rest.find(['&', ' ']).unwrap_or(rest.len());
    let Some((_, run)) = rest[..end].split_once("runs%2F") else {
        return exchange.line.clone();
    };
    let below = run
        .split_once("%2F")
        .map_or(String::new(), |(_, below)| format!("%2F{below}"));
    let sandbox = sandbox.replace('/', "%2F");
    format!("{start}path={sandbox}{below}{}", &rest[end..])
}

fn compare(name: &str, answer: &Answer, recorded: &Answer) -> Vec<String> {
    let mut differences = Vec::new();
    if answer.status != recorded.status {
        let text = answer.text();
        differences.push(format!(
            "{name}: status {} instead of {}: {text}",
            answer.status, recorded.status
        ));
    }
    for header in ["content-type", "allow"] {
        if answer.header(header) != recorded.header(header) && !answer.body.is_empty() {
            let (own, theirs) = (answer.header(header), recorded.header(header));
            differences.push(format!("{name}: {header} {own:?} instead of {theirs:?}"));
        }
    }
    if differences.is_empty() && recorded.header("content-type") == Some("application/json") {
        let recorded: Value = serde_json::from_slice(&recorded.body).expect("recorded JSON");
        differences.extend(structure(name, &answer.json(), &recorded));
    }
    differences
}

fn structure(name: &str, own: &Value, recorded: &Value) -> Vec<String> {
    let mut maps = MAPS.to_vec();
    if name == "files_debug" {
        maps.push("");
    }
    let found = Shape::of(own).differences(&Shape::of(recorded), &maps);
    let unmeant = found.into_iter().filter(|difference| !is_meant(name, difference));
    unmeant.map(|difference| format!("{name}: {difference}")).collect()
}

async fn sandbox_of(agent: &Upid) -> String {
    let state = get(agent, "/state").await.json();
    let directory = &state["frameworks"][0]["executors"][0]["directory"];
    directory.as_str().expect("a sandbox").to_owned()
}

#[actix_rt::test]
async fn recorded_requests_get_answers_of_the_recorded_form() {
    let mut cluster = Cluster::start().await;
    let agent = cluster.agent("RegisterSlaveMessage").await;
    cluster.run_task(agent.pid()).await;
    let sandbox = sandbox_of(agent.pid()).await;
    let mut differences = Vec::new();
    for exchange in exchanges("endpoints/agent") {
        if LEFT_OUT.contains(&exchange.name.as_str()) {
            continue;
        }
        let headers: Vec<(&str, &str)> = exchange
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let line = line_for(&exchange, &sandbox);
        let answer = ask(agent.pid().address(), &line, &headers, &exchange.body).await;
        differences.extend(compare(&exchange.name, &answer, &exchange.answer));
    }
    cluster.stop(agent, StopMode::DestroyContainers).await;
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[actix_rt::test]
async fn recorded_calls_get_answers_of_the_recorded_form() {
    let mut cluster = Cluster::start().await;
    let agent = cluster.agent("RegisterSlaveMessage").await;
    cluster.run_task(agent.pid()).await;
    let mut differences = Vec::new();
    for exchange in exchanges("operator/agent") {
        // Whether the level can change belongs to the program, which sets logging up; see the test of the level.
        if exchange.name == "SET_LOGGING_LEVEL" {
            continue;
        }
        let headers: Vec<(&str, &str)> = exchange
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let answer = ask(agent.pid().address(), &exchange.line, &headers, &exchange.body).await;
        differences.extend(compare(&exchange.name, &answer, &exchange.answer));
        if exchange.name.ends_with(".pb") && answer.status == 200 {
            let own = Response::parse_from_bytes(&answer.body).expect("a message");
            let kind = exchange.name.trim_end_matches(".pb");
            assert_eq!(format!("{:?}", own.type_()), kind);
        }
    }
    cluster.stop(agent, StopMode::DestroyContainers).await;
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Mistakes that are answered otherwise on purpose: the name and our status.
const OTHER_STATUS: &[(&str, u16)] = &[
    // The recorded answers were defects: 500, and the end of the agent without an answer.
    ("agentop.remove_unknown", 404),
];

#[actix_rt::test]
async fn recorded_mistakes_get_the_recorded_refusals() {
    let mut cluster = Cluster::start().await;
    let agent = cluster.agent("RegisterSlaveMessage").await;
    let mut differences = Vec::new();
    for mistake in mistakes(&["agentop.", "exec.", "rp."]) {
        differences.extend(refusal(agent.pid(), &mistake).await);
    }
    let nobody = r#"{"type":"REMOVE_CONTAINER","remove_container":{"container_id":{"value":"nope"}}}"#;
    assert_eq!(support::http::post(agent.pid(), "/api/v1", nobody).await.status, 404);
    assert_eq!(get(agent.pid(), "/health").await.status, 200);
    cluster.stop(agent, StopMode::DestroyContainers).await;
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

async fn refusal(agent: &Upid, mistake: &Mistake) -> Vec<String> {
    let mut headers = Vec::new();
    for (name, value) in [("Content-Type", &mistake.content_type), ("Accept", &mistake.accept)] {
        if !value.is_empty() {
            headers.push((name, value.as_str()));
        }
    }
    let answer = ask(agent.address(), &mistake.line, &headers, &mistake.body).await;
    let meant = OTHER_STATUS.iter().find(|(name, _)| *name == mistake.name);
    let status = meant.map_or(mistake.status, |(_, status)| *status);
    let mut differences = Vec::new();
    if answer.status != status {
        let text = answer.text();
        differences.push(format!(
            "{}: status {} instead of {status}: {text}",
            mistake.name, answer.status
        ));
    }
    for (header, recorded) in [("content-type", &mistake.answer_type), ("allow", &mistake.allow)] {
        if answer.header(header).unwrap_or_default() != recorded {
            let own = answer.header(header);
            differences.push(format!("{}: {header} {own:?} instead of {recorded:?}", mistake.name));
        }
    }
    differences
}

#[actix_rt::test]
async fn the_state_has_its_keys_in_order_and_tells_the_task() {
    let mut cluster = Cluster::start().await;
    let agent = cluster.agent("RegisterSlaveMessage").await;
    cluster.run_task(agent.pid()).await;
    let answer = get(agent.pid(), "/state").await;
    let (text, state) = (answer.text(), answer.json());
    let keys = "version build_date build_time build_user start_time id pid hostname capabilities resources \
                reserved_resources unreserved_resources reserved_resources_full unreserved_resources_full \
                reserved_resources_allocated unreserved_resources_allocated resource_providers attributes \
                master_hostname flags frameworks completed_frameworks";
    let places: Vec<usize> = keys
        .split(' ')
        .map(|key| text.find(&format!("\"{key}\":")).unwrap_or_else(|| panic!("{key}")))
        .collect();
    assert!(places.is_sorted(), "{text}");
    let framework = &state["frameworks"][0];
    assert_eq!(framework["id"], FRAMEWORK);
    let executor = &framework["executors"][0];
    assert_eq!(executor["id"], EXECUTOR);
    assert_eq!(executor["resources"]["cpus"], 0.6);
    assert_eq!(executor["tasks"][0]["state"], "TASK_RUNNING");
    assert_eq!(executor["tasks"][0]["statuses"][0]["state"], "TASK_RUNNING");
    assert_eq!(state["reserved_resources"]["ops"]["cpus"], 1.0);
    assert_eq!(state["unreserved_resources_allocated"]["cpus"], 0.6);
    let metrics = get(agent.pid(), "/metrics/snapshot").await.json();
    assert_eq!(metrics["slave/tasks_running"], 1.0);
    assert_eq!(metrics["slave/cpus_total"], 5.0);
    assert_eq!(metrics["slave/valid_status_updates"], 1.0);
    cluster.stop(agent, StopMode::DestroyContainers).await;
}

#[actix_rt::test]
async fn the_page_and_scripts_for_other_pages_are_served() {
    let mut cluster = Cluster::start().await;
    let agent = cluster.agent("RegisterSlaveMessage").await;
    let page = get(agent.pid(), "/").await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    assert_eq!(get(agent.pid(), "/assets/app.js").await.status, 200);
    assert_eq!(get(agent.pid(), "/assets/nothing.js").await.status, 404);
    assert_eq!(get(agent.pid(), "/nothing").await.status, 404);
    let script = get(agent.pid(), "/state?jsonp=call").await;
    assert_eq!(script.header("content-type"), Some("text/javascript"));
    assert!(script.text().starts_with("call({") && script.text().ends_with("})"));
    cluster.stop(agent, StopMode::DestroyContainers).await;
}

#[actix_rt::test]
async fn sandboxes_are_listed_and_read_through_the_operator_api() {
    let mut cluster = Cluster::start().await;
    let agent = cluster.agent("RegisterSlaveMessage").await;
    cluster.run_task(agent.pid()).await;
    let latest = format!("/frameworks/{FRAMEWORK}/executors/{EXECUTOR}/runs/latest");
    let call = format!(r#"{{"type":"LIST_FILES","list_files":{{"path":"{latest}"}}}}"#);
    let listed = support::http::post(agent.pid(), "/api/v1", &call).await.json();
    let infos = listed["list_files"]["file_infos"].as_array().expect("files");
    let stdout = format!("{latest}/stdout");
    assert!(infos.iter().any(|info| info["path"] == stdout.as_str()), "{listed}");
    let call = format!(r#"{{"type":"READ_FILE","read_file":{{"path":"{stdout}","offset":0,"length":5}}}}"#);
    let read = support::http::post(agent.pid(), "/api/v1", &call).await.json();
    assert_eq!(read["read_file"]["data"], "YmVndW4=");
    cluster.stop(agent, StopMode::DestroyContainers).await;
}

#[actix_rt::test]
async fn the_log_level_is_raised_for_a_while() {
    let mut cluster = Cluster::start().await;
    let mut flags = support::cluster::arguments(cluster.folder.path(), "127.0.0.1:1");
    flags.push("--quiet=true".to_owned());
    mesos_node::init_logging(&support::cluster::read(flags));
    let agent = cluster.agent("RegisterSlaveMessage").await;
    let call = r#"{"type":"SET_LOGGING_LEVEL","set_logging_level":{"level":1,"duration":{"nanoseconds":1}}}"#;
    let answer = support::http::post(agent.pid(), "/api/v1", call).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, ""));
    support::within("the old level", async {
        let level = async || support::cluster::operator(agent.pid(), "GET_LOGGING_LEVEL").await;
        while level().await["get_logging_level"]["level"] != 0 {}
    })
    .await;
    cluster.stop(agent, StopMode::DestroyContainers).await;
}
