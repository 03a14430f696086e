//! Reservations and volumes on a real cluster: a framework with the v1 API, the agent's own disk, tasks that write and
//! read.
//!
//! This program is also each of the programs that run: an agent starts its helpers by their names, which are links to
//! it.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::ExitCode;

use mesos_tests_cluster::Cluster;
use mesos_tests_conformance::{Scheduler, command_task, framework, get, offers_of, scalars};
use serde_json::{Value, json};

const HELPERS: &[&str] = &["mesos-containerizer", "mesos-executor", "mesos-fetcher"];

/// The tests by name.
const TESTS: &[(&str, fn())] = &[
    (
        "a_volume_outlives_the_task_that_filled_it",
        a_volume_outlives_the_task_that_filled_it,
    ),
    (
        "what_is_not_possible_is_told_and_changes_nothing",
        what_is_not_possible_is_told_and_changes_nothing,
    ),
    (
        "an_agent_that_restarts_keeps_what_was_reserved",
        an_agent_that_restarts_keeps_what_was_reserved,
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let name = arguments.first().map(Path::new).and_then(Path::file_name);
    let texts = || arguments.iter().skip(1).cloned();
    match name.and_then(|name| name.to_str()).unwrap_or_default() {
        "mesos-containerizer" => mesos_containerizer::program::run(texts()),
        "mesos-executor" => mesos_command_executor::run(texts()),
        "mesos-fetcher" => mesos_containerizer::program::run_fetcher(),
        _ => {
            // Listing runners ask a program without a harness too.
            let wanted = |test: &str| {
                let parts = texts().filter(|argument| !argument.starts_with('-'));
                parts.into_iter().all(|part| test.contains(&part))
            };
            if !arguments.iter().any(|argument| argument == "--list") {
                for (test, run) in TESTS.iter().filter(|(test, _)| wanted(test)) {
                    run();
                    println!("test {test} ... ok");
                }
            }
            ExitCode::SUCCESS
        }
    }
}

/// A cluster of one agent, and a framework in the role `dev`.
struct Field {
    scheduler: Scheduler,
    cluster: Cluster,
    programs: tempfile::TempDir,
}

impl Field {
    fn new() -> Self {
        let programs = tempfile::tempdir().expect("a temporary folder");
        let own = std::env::current_exe().expect("this program has a path");
        for name in HELPERS {
            symlink(&own, programs.path().join(name)).expect("a link");
        }
        let mut cluster = Cluster::start(&[]);
        let launcher_dir = format!("--launcher_dir={}", programs.path().display());
        cluster.agent("cpus:2;mem:1024;disk:1024", &[&launcher_dir]);
        let mut info = framework("volumes");
        info["roles"] = json!(["dev"]);
        info["principal"] = json!("ops");
        let kinds = [
            "MULTI_ROLE",
            "PARTITION_AWARE",
            "RESERVATION_REFINEMENT",
            "SHARED_RESOURCES",
        ];
        info["capabilities"] = kinds.iter().map(|kind| json!({"type": kind})).collect();
        let scheduler = Scheduler::subscribe(cluster.master(), &info);
        Self {
            scheduler,
            cluster,
            programs,
        }
    }

    /// Waits for an offer that contains all of these resources.
    fn offer_with(&mut self, wanted: &[Value]) -> Value {
        let holds = |offer: &Value, wanted: &Value| {
            let resources = offer["resources"].as_array().expect("resources");
            resources.iter().any(|resource| {
                let alike = |field: &str| resource.get(field) == wanted.get(field);
                let enough = resource["scalar"]["value"].as_f64() >= wanted["scalar"]["value"].as_f64();
                ["name", "reservations", "disk", "shared"]
                    .iter()
                    .all(|field| alike(field))
                    && enough
            })
        };
        loop {
            let offer = self
                .scheduler
                .wait_for("offer", |event| offers_of(event)?.first().cloned());
            if wanted.iter().all(|wanted| holds(&offer, wanted)) {
                return offer;
            }
            self.scheduler.decline(&offer, 0.0);
        }
    }

    fn accept(&self, offer: &Value, operations: &[Value]) {
        self.scheduler.call(json!({"type": "ACCEPT", "accept": {
            "offer_ids": [offer["id"]], "operations": operations, "filters": {"refuse_seconds": 0.0},
        }}));
    }

    /// The next status of an operation; acknowledged when it asks for it.
    fn status(&mut self, id: &str) -> Value {
        let status = self.scheduler.wait_for("status of an operation", |event| {
            let status = &event["update_operation_status"]["status"];
            (status["operation_id"]["value"] == id).then(|| status.clone())
        });
        if let Some(uuid) = status["uuid"]["value"].as_str() {
            self.scheduler.call(
                json!({"type": "ACKNOWLEDGE_OPERATION_STATUS", "acknowledge_operation_status": {
                    "agent_id": status["agent_id"], "uuid": uuid, "operation_id": {"value": id},
                }}),
            );
        }
        status
    }

    fn finished(&mut self, ids: &[&str]) {
        for id in ids {
            let status = self.status(id);
            assert_eq!(status["state"], "OPERATION_FINISHED", "{status}");
            assert!(status["uuid"].is_object() && status["agent_id"].is_object(), "{status}");
        }
    }

    /// What the agent has, as the master knows it.
    fn agent(&self) -> Value {
        let answer = get(self.cluster.master(), "/slaves").expect("an answer");
        let slaves: Value = serde_json::from_slice(&answer.body).expect("JSON");
        slaves["slaves"][0].clone()
    }
}

fn reserved(name: &str, amount: f64) -> Value {
    json!({"name": name, "type": "SCALAR", "scalar": {"value": amount},
        "reservations": [{"type": "DYNAMIC", "role": "dev", "principal": "ops"}]})
}

fn volume(id: &str, amount: f64) -> Value {
    let mut volume = reserved("disk", amount);
    volume["disk"] =
        json!({"persistence": {"id": id, "principal": "ops"}, "volume": {"container_path": "data", "mode": "RW"}});
    volume
}

fn named(id: &str, mut operation: Value) -> Value {
    operation["id"] = json!({"value": id});
    operation
}

fn on(kind: &str, field: &str, resources: &[Value]) -> Value {
    json!({"type": kind, kind.to_lowercase(): {field: resources}})
}

/// A task that runs a command with a volume.
fn task(offer: &Value, id: &str, command: &str, volume: &Value) -> Value {
    let mut task = command_task(id, command);
    task["agent_id"] = offer["agent_id"].clone();
    task["resources"]
        .as_array_mut()
        .expect("resources")
        .push(volume.clone());
    json!({"type": "LAUNCH", "launch": {"task_infos": [task]}})
}

fn a_volume_outlives_the_task_that_filled_it() {
    let mut field = Field::new();
    let data = volume("data", 64.0);
    let offer = field.offer_with(&scalars(&[("disk", 1024.0)]).as_array().expect("a list").clone());
    field.accept(
        &offer,
        &[
            named("reserve", on("RESERVE", "resources", &[reserved("disk", 96.0)])),
            named("create", on("CREATE", "volumes", std::slice::from_ref(&data))),
            task(&offer, "writer", "echo kept > data/file", &data),
        ],
    );
    field.finished(&["reserve", "create"]);
    field.scheduler.until("writer", "TASK_FINISHED");
    let offer = field.offer_with(&[data.clone(), reserved("disk", 32.0)]);
    let grow = json!({"type": "GROW_VOLUME", "grow_volume": {"volume": data, "addition": reserved("disk", 32.0)}});
    field.accept(&offer, &[named("grow", grow)]);
    field.finished(&["grow"]);
    let grown = volume("data", 96.0);
    let offer = field.offer_with(std::slice::from_ref(&grown));
    field.accept(
        &offer,
        &[task(&offer, "reader", "test \"$(cat data/file)\" = kept", &grown)],
    );
    field.scheduler.until("reader", "TASK_FINISHED");
    let offer = field.offer_with(std::slice::from_ref(&grown));
    field.accept(
        &offer,
        &[
            named("destroy", on("DESTROY", "volumes", &[grown])),
            named("unreserve", on("UNRESERVE", "resources", &[reserved("disk", 96.0)])),
        ],
    );
    field.finished(&["destroy", "unreserve"]);
    field.offer_with(&scalars(&[("disk", 1024.0)]).as_array().expect("a list").clone());
    assert_eq!(field.agent()["reserved_resources_full"], json!({}));
}

fn what_is_not_possible_is_told_and_changes_nothing() {
    let mut field = Field::new();
    let offer = field.offer_with(&[]);
    field.accept(
        &offer,
        &[
            named("early", on("CREATE", "volumes", &[volume("data", 64.0)])),
            named("huge", on("RESERVE", "resources", &[reserved("cpus", 64.0)])),
            named("fine", on("RESERVE", "resources", &[reserved("cpus", 1.0)])),
        ],
    );
    for id in ["early", "huge"] {
        let status = field.status(id);
        assert_eq!(status["state"], "OPERATION_ERROR", "{status}");
        assert!(status.get("uuid").is_none(), "{status}");
    }
    field.finished(&["fine"]);
    field.scheduler.call(
        json!({"type": "RECONCILE_OPERATIONS", "reconcile_operations": {"operations": [
            {"operation_id": {"value": "huge"}, "agent_id": offer["agent_id"]},
        ]}}),
    );
    assert_eq!(field.status("huge")["state"], "OPERATION_UNKNOWN");
    assert_eq!(field.agent()["reserved_resources"]["dev"]["cpus"], 1.0);
}

fn an_agent_that_restarts_keeps_what_was_reserved() {
    let mut field = Field::new();
    let data = volume("data", 64.0);
    let offer = field.offer_with(&[]);
    field.accept(
        &offer,
        &[
            named("reserve", on("RESERVE", "resources", &[reserved("disk", 64.0)])),
            named("create", on("CREATE", "volumes", std::slice::from_ref(&data))),
        ],
    );
    field.finished(&["reserve", "create"]);
    let before = field.offer_with(std::slice::from_ref(&data));
    field.cluster.restart_agent(0);
    let rescinded = |event: &Value| (event["rescind"]["offer_id"] == before["id"]).then_some(());
    field.scheduler.wait_for("rescind", rescinded);
    let offer = field.offer_with(std::slice::from_ref(&data));
    field.accept(&offer, &[task(&offer, "late", "touch data/here", &data)]);
    field.scheduler.until("late", "TASK_FINISHED");
    assert!(field.programs.path().exists());
}
