//! Checks, limits and ends of command tasks on a real cluster: master, agent, command executor, and a framework on
//! sockets. Each test runs twice: with executors that speak libprocess messages, and with the v1 API.
//!
//! This program is also each of the programs that run: an agent starts its helpers by their names, which are links to
//! it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::ExitCode;

use mesos_tests_cluster::Cluster;
use mesos_tests_conformance::{Scheduler, command_task, framework, scalars};
use serde_json::{Value, json};

const HELPERS: &[&str] = &["mesos-containerizer", "mesos-executor", "mesos-fetcher"];

/// How executors talk to their agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speech {
    Messages,
    Http,
}

/// A test, for either way to speak.
type Test = fn(Speech);

/// The tests by name.
const TESTS: &[(&str, Test)] = &[
    (
        "results_of_checks_of_all_types_reach_the_scheduler",
        results_of_checks_of_all_types_reach_the_scheduler,
    ),
    ("an_unhealthy_task_is_killed", an_unhealthy_task_is_killed),
    (
        "a_task_over_its_disk_quota_fails_with_the_reason",
        a_task_over_its_disk_quota_fails_with_the_reason,
    ),
    (
        "a_task_beyond_its_completion_time_fails_with_the_reason",
        a_task_beyond_its_completion_time_fails_with_the_reason,
    ),
    (
        "a_task_that_does_not_listen_is_killed_after_the_grace_of_the_kill",
        a_task_that_does_not_listen_is_killed_after_the_grace_of_the_kill,
    ),
    (
        "a_task_and_its_checks_outlive_a_restart_of_the_agent",
        a_task_and_its_checks_outlive_a_restart_of_the_agent,
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
                texts()
                    .filter(|argument| !argument.starts_with('-'))
                    .all(|part| test.contains(&part))
            };
            if !arguments.iter().any(|argument| argument == "--list") {
                for (test, run) in TESTS.iter().filter(|(test, _)| wanted(test)) {
                    for speech in [Speech::Messages, Speech::Http] {
                        run(speech);
                        println!("test {test} ({speech:?}) ... ok");
                    }
                }
            }
            ExitCode::SUCCESS
        }
    }
}

/// A cluster of one agent, a framework, and a folder that tasks and test share.
struct Field {
    scheduler: Scheduler,
    /// Ids of the updates that came.
    seen: BTreeSet<String>,
    cluster: Cluster,
    _programs: tempfile::TempDir,
    shared: tempfile::TempDir,
}

impl Field {
    fn new(speech: Speech) -> Self {
        let programs = tempfile::tempdir().expect("a temporary folder");
        let own = std::env::current_exe().expect("this program has a path");
        for name in HELPERS {
            symlink(&own, programs.path().join(name)).expect("a link");
        }
        let mut cluster = Cluster::start(&[]);
        let launcher_dir = format!("--launcher_dir={}", programs.path().display());
        let mut flags = vec![
            launcher_dir.as_str(),
            "--isolation=posix/cpu,posix/mem,disk/du",
            "--enforce_container_disk_quota",
            "--container_disk_watch_interval=50ms",
        ];
        if speech == Speech::Http {
            flags.push("--http_command_executor");
        }
        cluster.agent("cpus:4;mem:2048;disk:2048", &flags);
        let mut info = framework("checks");
        info["capabilities"] =
            json!([{"type": "PARTITION_AWARE"}, {"type": "MULTI_ROLE"}, {"type": "TASK_KILLING_STATE"}]);
        let scheduler = Scheduler::subscribe(cluster.master(), &info);
        Self {
            scheduler,
            seen: BTreeSet::new(),
            cluster,
            _programs: programs,
            shared: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    fn launch(&mut self, task: &Value) {
        let offer = self.scheduler.offer();
        self.scheduler.launch(&offer, std::slice::from_ref(task), 0.0);
    }

    /// The next update of a task that is not a repetition: an agent that was restarted tells again what it cannot know
    /// to be acknowledged.
    fn update(&mut self, task: &str) -> Value {
        loop {
            let status = self.scheduler.update(task);
            if self.seen.insert(status["uuid"].to_string()) {
                return status;
            }
        }
    }

    /// The next updates of a task tell these states; gives the last one.
    fn states(&mut self, task: &str, expected: &[&str]) -> Value {
        let mut last = Value::Null;
        for state in expected {
            last = self.update(task);
            assert_eq!(last["state"], *state, "task {task}: {last}");
        }
        last
    }

    /// The next result of a check: the reason of the update, and what it found.
    fn result(&mut self, task: &str) -> (String, Value) {
        let status = self.update(task);
        assert_eq!(status["state"], "TASK_RUNNING", "task {task}: {status}");
        match status["reason"].as_str() {
            Some("REASON_TASK_HEALTH_CHECK_STATUS_UPDATED") => ("health".to_owned(), status["healthy"].clone()),
            Some("REASON_TASK_CHECK_STATUS_UPDATED") => ("check".to_owned(), status["check_status"].clone()),
            other => panic!("{other:?}: {status}"),
        }
    }

    /// Path of a file in the shared folder.
    fn path(&self, name: &str) -> String {
        self.shared.path().join(name).display().to_string()
    }

    /// Makes a file in the shared folder.
    fn touch(&self, name: &str) {
        fs::write(self.shared.path().join(name), "").expect("a file");
    }
}

/// A check without delay, looking again soon.
fn soon(mut check: Value) -> Value {
    check["delay_seconds"] = json!(0.0);
    check["interval_seconds"] = json!(0.05);
    check
}

/// A health check that knows no grace.
fn strict(check: Value) -> Value {
    let mut check = soon(check);
    check["grace_period_seconds"] = json!(0.0);
    check["consecutive_failures"] = json!(2);
    check
}

/// A web server that is content with everything; gives its port.
fn web_server() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let mut request = [0; 1024];
            // A port check says nothing.
            if connection.read(&mut request).is_ok_and(|length| length > 0) {
                let answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
                drop(connection.write_all(answer));
            }
        }
    });
    port
}

fn results_of_checks_of_all_types_reach_the_scheduler(speech: Speech) {
    let mut field = Field::new(speech);
    let port = web_server();
    let good = format!("test -e {}", field.path("good"));
    let command = json!({"type": "COMMAND", "command": {"command": {"value": good}}});
    let health_command = json!({"type": "COMMAND", "command": {"value": "true"}});
    let http = json!({"type": "HTTP", "http": {"port": port, "path": "/ping"}});
    let tcp = json!({"type": "TCP", "tcp": {"port": port}});
    let tasks = [
        (
            "t-command",
            command,
            http.clone(),
            json!({"type": "COMMAND", "command": {"exit_code": 1}}),
        ),
        (
            "t-http",
            http,
            tcp.clone(),
            json!({"type": "HTTP", "http": {"status_code": 204}}),
        ),
        (
            "t-tcp",
            tcp,
            health_command,
            json!({"type": "TCP", "tcp": {"succeeded": true}}),
        ),
    ];
    for (name, check, health_check, expected) in tasks {
        let mut task = command_task(name, "sleep 600");
        task["check"] = soon(check.clone());
        task["health_check"] = strict(health_check);
        field.launch(&task);
        let starting = field.states(name, &["TASK_STARTING"]);
        // Nothing is known yet, and that is told.
        assert_eq!(starting["check_status"]["type"], check["type"], "{starting}");
        field.states(name, &["TASK_RUNNING"]);
        let mut results = vec![field.result(name), field.result(name)];
        results.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(
            results,
            [("check".to_owned(), expected), ("health".to_owned(), json!(true))]
        );
    }
    field.touch("good");
    let changed = json!({"type": "COMMAND", "command": {"exit_code": 0}});
    assert_eq!(field.result("t-command"), ("check".to_owned(), changed));
}

fn an_unhealthy_task_is_killed(speech: Speech) {
    let mut field = Field::new(speech);
    let sick = field.path("sick");
    let mut task = command_task("patient", "sleep 600");
    let look = format!("! test -e {sick}");
    task["health_check"] = strict(json!({"type": "COMMAND", "command": {"value": look}}));
    field.launch(&task);
    field.states("patient", &["TASK_STARTING", "TASK_RUNNING"]);
    assert_eq!(field.result("patient"), ("health".to_owned(), json!(true)));
    field.touch("sick");
    assert_eq!(field.result("patient"), ("health".to_owned(), json!(false)));
    assert_eq!(field.result("patient"), ("health".to_owned(), json!(false)));
    let killed = field.states("patient", &["TASK_KILLING", "TASK_KILLED"]);
    assert_eq!(killed["healthy"], false, "{killed}");
    assert_eq!(killed["source"], "SOURCE_EXECUTOR", "{killed}");
}

fn a_task_over_its_disk_quota_fails_with_the_reason(speech: Speech) {
    let mut field = Field::new(speech);
    let mut task = command_task(
        "hoarder",
        "dd if=/dev/zero of=hoard bs=1M count=8 2>/dev/null; sync hoard; sleep 600",
    );
    task["resources"] = scalars(&[("cpus", 0.1), ("mem", 32.0), ("disk", 2.0)]);
    field.launch(&task);
    let failed = loop {
        let status = field.update("hoarder");
        if status["state"] != "TASK_STARTING" && status["state"] != "TASK_RUNNING" {
            break status;
        }
    };
    assert_eq!(failed["state"], "TASK_FAILED", "{failed}");
    assert_eq!(failed["reason"], "REASON_CONTAINER_LIMITATION_DISK", "{failed}");
    assert_eq!(failed["source"], "SOURCE_AGENT", "{failed}");
    let limited = &failed["limitation"]["resources"][0];
    assert_eq!(
        (&limited["name"], &limited["scalar"]["value"]),
        (&json!("disk"), &json!(2.0))
    );
    let message = failed["message"].as_str().unwrap_or_default();
    assert!(message.contains("its quota is 2MB"), "{failed}");
}

fn a_task_beyond_its_completion_time_fails_with_the_reason(speech: Speech) {
    let mut field = Field::new(speech);
    let mut task = command_task("slow", "trap '' TERM; while :; do sleep 0.05; done");
    task["max_completion_time"] = json!({"nanoseconds": 300_000_000});
    field.launch(&task);
    // No TASK_KILLING although the framework knows it: nobody asked for the kill.
    let failed = field.states("slow", &["TASK_STARTING", "TASK_RUNNING", "TASK_FAILED"]);
    assert_eq!(failed["reason"], "REASON_MAX_COMPLETION_TIME_REACHED", "{failed}");
    assert_eq!(failed["source"], "SOURCE_EXECUTOR", "{failed}");
}

fn a_task_that_does_not_listen_is_killed_after_the_grace_of_the_kill(speech: Speech) {
    let mut field = Field::new(speech);
    let ready = field.path("ready");
    let mut task = command_task(
        "deaf",
        &format!("trap '' TERM; touch {ready}; while :; do sleep 0.05; done"),
    );
    // A whole hour by the task's own policy; the kill says otherwise.
    task["kill_policy"] = json!({"grace_period": {"nanoseconds": 3_600_000_000_000_i64}});
    task["health_check"] = strict(json!({"type": "COMMAND", "command": {"value": format!("test -e {ready}")}}));
    field.launch(&task);
    field.states("deaf", &["TASK_STARTING", "TASK_RUNNING"]);
    while field.result("deaf") != ("health".to_owned(), json!(true)) {}
    field.scheduler.call(json!({"type": "KILL", "kill": {
        "task_id": {"value": "deaf"}, "kill_policy": {"grace_period": {"nanoseconds": 100_000_000}},
    }}));
    let killed = field.states("deaf", &["TASK_KILLING", "TASK_KILLED"]);
    assert_eq!(killed["message"], "Command terminated with signal Killed", "{killed}");
}

fn a_task_and_its_checks_outlive_a_restart_of_the_agent(speech: Speech) {
    let mut field = Field::new(speech);
    let mut task = command_task("steady", "sleep 600");
    let look = format!("test -e {}", field.path("later"));
    task["check"] = soon(json!({"type": "COMMAND", "command": {"command": {"value": look}}}));
    field.launch(&task);
    field.states("steady", &["TASK_STARTING", "TASK_RUNNING"]);
    let missing = json!({"type": "COMMAND", "command": {"exit_code": 1}});
    assert_eq!(field.result("steady"), ("check".to_owned(), missing));
    field.cluster.restart_agent(0);
    field.touch("later");
    let found = json!({"type": "COMMAND", "command": {"exit_code": 0}});
    assert_eq!(field.result("steady"), ("check".to_owned(), found));
    field.scheduler.kill("steady");
    field.states("steady", &["TASK_KILLING", "TASK_KILLED"]);
}
