//! Groups of tasks on a real cluster: master, agent, default executor, nested containers, and a framework on sockets.
//!
//! This program is also each of the programs that run: an agent starts its helpers by their names, which are links to
//! it.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc;

use mesos_tests_cluster::Cluster;
use mesos_tests_conformance::{Gate, Scheduler, command_task, framework, scalars};
use serde_json::{Value, json};

/// Longest wait at a gate.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
const HELPERS: &[&str] = &["mesos-containerizer", "mesos-default-executor", "mesos-fetcher"];

/// The tests by name.
const TESTS: &[(&str, fn())] = &[
    ("tasks_of_a_group_share_a_volume", tasks_of_a_group_share_a_volume),
    (
        "a_failure_ends_its_group_and_no_other",
        a_failure_ends_its_group_and_no_other,
    ),
    ("a_kill_ends_the_group", a_kill_ends_the_group),
    (
        "tasks_go_on_while_their_agent_restarts",
        tasks_go_on_while_their_agent_restarts,
    ),
    (
        "a_kill_reaches_tasks_whose_agent_restarted",
        a_kill_reaches_tasks_whose_agent_restarted,
    ),
    (
        "a_persistent_volume_outlives_the_group_that_wrote_to_it",
        a_persistent_volume_outlives_the_group_that_wrote_to_it,
    ),
    (
        "an_unhealthy_task_is_killed_with_its_group",
        an_unhealthy_task_is_killed_with_its_group,
    ),
    (
        "a_check_without_an_answer_does_not_keep_the_executor",
        a_check_without_an_answer_does_not_keep_the_executor,
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let name = arguments.first().map(Path::new).and_then(Path::file_name);
    let texts = || arguments.iter().skip(1).cloned();
    match name.and_then(|name| name.to_str()).unwrap_or_default() {
        "mesos-containerizer" => mesos_containerizer::program::run(texts()),
        "mesos-default-executor" => mesos_default_executor::run(texts()),
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
                    run();
                    println!("test {test} ... ok");
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
    fn new() -> Self {
        Self::in_role("*")
    }

    fn in_role(role: &str) -> Self {
        let programs = tempfile::tempdir().expect("a temporary folder");
        let own = std::env::current_exe().expect("this program has a path");
        for name in HELPERS {
            symlink(&own, programs.path().join(name)).expect("a link");
        }
        let mut cluster = Cluster::start(&[]);
        let launcher_dir = format!("--launcher_dir={}", programs.path().display());
        cluster.agent("cpus:4;mem:2048;disk:2048", &[&launcher_dir]);
        let mut info = framework("pods");
        info["roles"] = json!([role]);
        let capabilities = [
            "PARTITION_AWARE",
            "MULTI_ROLE",
            "TASK_KILLING_STATE",
            "RESERVATION_REFINEMENT",
        ];
        info["capabilities"] = capabilities.iter().map(|kind| json!({"type": kind})).collect();
        let scheduler = Scheduler::subscribe(cluster.master(), &info);
        Self {
            scheduler,
            seen: BTreeSet::new(),
            cluster,
            _programs: programs,
            shared: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    /// Launches a group in the one default executor of the framework.
    fn launch(&mut self, tasks: &[Value]) {
        let offer = self.scheduler.offer();
        self.launch_from(&offer, "pod", &[], tasks);
    }

    /// Launches a group in an executor, after other operations on the same offer.
    fn launch_from(&self, offer: &Value, executor: &str, before: &[Value], tasks: &[Value]) {
        let mut tasks = tasks.to_vec();
        for task in &mut tasks {
            task["agent_id"] = offer["agent_id"].clone();
        }
        let executor = json!({
            "type": "DEFAULT", "executor_id": {"value": executor}, "framework_id": {"value": self.scheduler.id()},
            "resources": scalars(&[("cpus", 0.1), ("mem", 32.0), ("disk", 32.0)]),
        });
        let mut operations = before.to_vec();
        operations.push(json!({"type": "LAUNCH_GROUP", "launch_group": {
            "executor": executor, "task_group": {"tasks": tasks},
        }}));
        self.scheduler.call(json!({"type": "ACCEPT", "accept": {
            "offer_ids": [offer["id"]], "operations": operations, "filters": {"refuse_seconds": 0.0},
        }}));
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

    /// Without tasks the executor leaves: all that was there is offered, in however many pieces.
    fn everything_is_offered(&mut self) {
        let mut offered = 0.0;
        self.scheduler.wait_for("offer of everything", |event| {
            let offers = mesos_tests_conformance::offers_of(event)?;
            let resources = offers
                .iter()
                .filter_map(|offer| offer["resources"].as_array())
                .flatten();
            let cpus = resources.filter(|resource| resource["name"] == "cpus");
            offered += cpus.filter_map(|cpus| cpus["scalar"]["value"].as_f64()).sum::<f64>();
            (offered > 3.999).then_some(())
        });
    }

    /// A file in the folder that tasks and test share.
    fn file(&self, name: &str) -> String {
        self.shared.path().join(name).display().to_string()
    }

    /// A gate between this test and its tasks.
    fn gate(&self, name: &str) -> Gate {
        Gate::new(&self.shared.path().join(name)).expect("a named pipe")
    }
}

fn tasks_of_a_group_share_a_volume() {
    let mut field = Field::new();
    let volume = json!({"type": "MESOS", "volumes": [{
        "mode": "RW", "container_path": "common",
        "source": {"type": "SANDBOX_PATH", "sandbox_path": {"type": "PARENT", "path": "shared"}},
    }]});
    let ip = field.file("ip");
    let mut writer = command_task(
        "writer",
        &format!("echo $MESOS_CONTAINER_IP > {ip}; echo hello > common/greeting"),
    );
    let mut reader = command_task("reader", "while ! grep -q hello common/greeting; do sleep 0.02; done");
    writer["container"] = volume.clone();
    reader["container"] = volume;
    field.launch(&[writer, reader]);
    for task in ["writer", "reader"] {
        let starting = field.states(task, &["TASK_STARTING"]);
        let nested = &starting["container_status"]["container_id"];
        assert!(nested["parent"]["value"].is_string(), "{starting}");
        let running = field.states(task, &["TASK_RUNNING"]);
        assert_eq!(&running["container_status"]["container_id"], nested);
        assert!(running["container_status"]["executor_pid"].is_number(), "{running}");
        assert_eq!(
            running["container_status"]["network_infos"][0]["ip_addresses"][0]["ip_address"],
            "127.0.0.1"
        );
        let finished = field.states(task, &["TASK_FINISHED"]);
        assert_eq!(finished["message"], "Command exited with status 0");
        assert_eq!(
            (&finished["source"], &finished["executor_id"]["value"]),
            (&json!("SOURCE_EXECUTOR"), &json!("pod"))
        );
        assert!(finished.get("reason").is_none(), "{finished}");
    }
    assert_eq!(fs::read_to_string(ip).expect("written"), "127.0.0.1\n");
    field.everything_is_offered();
}

fn a_failure_ends_its_group_and_no_other() {
    let mut field = Field::new();
    field.launch(&[command_task("b1", "exec sleep 1000")]);
    field.states("b1", &["TASK_STARTING", "TASK_RUNNING"]);
    let go = field.file("go");
    let wait = format!("while ! test -e {go}; do sleep 0.02; done; exit 3");
    field.launch(&[command_task("a1", &wait), command_task("a2", "exec sleep 1000")]);
    for task in ["a1", "a2"] {
        field.states(task, &["TASK_STARTING", "TASK_RUNNING"]);
    }
    fs::write(go, "").expect("written");
    let failed = field.states("a1", &["TASK_FAILED"]);
    assert_eq!(failed["message"], "Command exited with status 3");
    let killed = field.states("a2", &["TASK_KILLING", "TASK_KILLED"]);
    assert_eq!(killed["message"], "Command terminated with signal Terminated");
    // The other group did not notice; it ends when it is asked to.
    field.scheduler.kill("b1");
    field.states("b1", &["TASK_KILLING", "TASK_KILLED"]);
}

fn a_kill_ends_the_group() {
    let mut field = Field::new();
    let ready = field.gate("ready");
    let held = ready.path().display();
    let stubborn = format!("trap '' TERM; echo > {held}; while :; do sleep 0.05; done");
    let mut deaf = command_task("deaf", &stubborn);
    deaf["kill_policy"] = json!({"grace_period": {"nanoseconds": 200_000_000}});
    field.launch(&[deaf, command_task("other", "exec sleep 1000")]);
    for task in ["deaf", "other"] {
        field.states(task, &["TASK_STARTING", "TASK_RUNNING"]);
    }
    ready.passed(PATIENCE).expect("the task starts");
    field.scheduler.kill("deaf");
    let killed = field.states("deaf", &["TASK_KILLING", "TASK_KILLED"]);
    assert_eq!(killed["message"], "Command terminated with signal Killed");
    field.states("other", &["TASK_KILLING", "TASK_KILLED"]);
}

fn tasks_go_on_while_their_agent_restarts() {
    let mut field = Field::new();
    let (begun, go) = (field.file("begun"), field.file("go"));
    let gates = ["a", "b", "c"].map(|task| (task, field.gate(task)));
    let tasks = gates.each_ref().map(|(task, gate)| {
        let gate = gate.path().display();
        let wait = format!("echo begun >> {begun}; echo > {gate}; while ! test -e {go}; do sleep 0.02; done");
        let ends = if *task == "c" { "; exit 4" } else { "" };
        command_task(task, &format!("{wait}{ends}"))
    });
    field.launch(&tasks[..2]);
    field.launch(&tasks[2..]);
    for (task, gate) in &gates {
        field.states(task, &["TASK_STARTING", "TASK_RUNNING"]);
        gate.passed(PATIENCE).expect("the task starts");
    }
    field.cluster.restart_agent(0);
    fs::write(&go, "").expect("written");
    for task in ["a", "b"] {
        field.states(task, &["TASK_FINISHED"]);
    }
    let failed = field.states("c", &["TASK_FAILED"]);
    assert_eq!(failed["message"], "Command exited with status 4");
    let lines = fs::read_to_string(begun).expect("written");
    assert_eq!(lines.lines().count(), 3, "each task started once");
}

fn a_kill_reaches_tasks_whose_agent_restarted() {
    let mut field = Field::new();
    field.launch(&[
        command_task("a", "exec sleep 1000"),
        command_task("b", "exec sleep 1000"),
    ]);
    for task in ["a", "b"] {
        field.states(task, &["TASK_STARTING", "TASK_RUNNING"]);
    }
    field.cluster.restart_agent(0);
    field.scheduler.kill("a");
    for task in ["a", "b"] {
        field.states(task, &["TASK_KILLING", "TASK_KILLED"]);
    }
}

fn a_persistent_volume_outlives_the_group_that_wrote_to_it() {
    let mut field = Field::in_role("store");
    // An executor that runs already: the volume comes into its sandbox later.
    field.launch(&[command_task("sleeper", "exec sleep 1000")]);
    field.states("sleeper", &["TASK_STARTING", "TASK_RUNNING"]);
    let mut disk = json!({
        "name": "disk", "type": "SCALAR", "scalar": {"value": 64.0}, "allocation_info": {"role": "store"},
        "reservations": [{"type": "DYNAMIC", "role": "store"}],
    });
    let reserve = json!({"type": "RESERVE", "reserve": {"resources": [disk.clone()]}});
    disk["disk"] = json!({"persistence": {"id": "v1"}, "volume": {"mode": "RW", "container_path": "data"}});
    let create = json!({"type": "CREATE", "create": {"volumes": [disk.clone()]}});
    let with_volume = |id: &str, command: &str| {
        let mut task = command_task(id, command);
        let resources = task["resources"].as_array_mut().expect("a list");
        resources.push(disk.clone());
        task
    };
    let offer = field.scheduler.offer();
    let writer = with_volume("writer", "echo kept > data/file");
    field.launch_from(&offer, "pod", &[reserve, create], &[writer]);
    field.states("writer", &["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]);
    // The volume is offered again; another executor finds what was written.
    let offer = loop {
        let offer = field.scheduler.offer();
        let resources = offer["resources"].as_array().expect("resources");
        let volume = resources
            .iter()
            .any(|resource| resource["disk"]["persistence"]["id"] == "v1");
        let room = resources
            .iter()
            .any(|resource| resource["scalar"]["value"].as_f64() > Some(1.0) && resource["name"] == "cpus");
        if volume && room {
            break offer;
        }
        field.scheduler.decline(&offer, 0.0);
    };
    let reader = with_volume("reader", "grep -q kept data/file");
    field.launch_from(&offer, "other", &[], &[reader]);
    field.states("reader", &["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]);
}

fn an_unhealthy_task_is_killed_with_its_group() {
    let mut field = Field::new();
    let (sick, looks) = (field.file("sick"), field.file("looks"));
    // The check sees the variables and the folder of its task.
    let mut checked = command_task("checked", "echo here > mark; exec sleep 1000");
    checked["command"]["environment"] = json!({"variables": [{"name": "LOOKS", "value": looks}]});
    checked["health_check"] = json!({
        "type": "COMMAND", "consecutive_failures": 3, "delay_seconds": 0.0, "grace_period_seconds": 0.0,
        "interval_seconds": 0.05, "timeout_seconds": 10.0,
        "command": {"shell": true, "value": format!("echo look >> $LOOKS; grep -q here mark && ! test -e {sick}")},
    });
    field.launch(&[checked, command_task("other", "exec sleep 1000")]);
    field.states("other", &["TASK_STARTING", "TASK_RUNNING"]);
    let running = field.states("checked", &["TASK_STARTING", "TASK_RUNNING"]);
    assert!(running.get("healthy").is_none(), "{running}");
    // The first look may come before the mark.
    let healthy = loop {
        let told = field.states("checked", &["TASK_RUNNING"]);
        if told["healthy"] == true {
            break told;
        }
    };
    assert_eq!(healthy["reason"], "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED");
    fs::write(sick, "").expect("written");
    for _ in 0..3 {
        let unhealthy = field.states("checked", &["TASK_RUNNING"]);
        assert_eq!(unhealthy["healthy"], false, "{unhealthy}");
    }
    let killed = field.states("checked", &["TASK_KILLING", "TASK_KILLED"]);
    assert_eq!(killed["healthy"], false, "{killed}");
    field.states("other", &["TASK_KILLING", "TASK_KILLED"]);
}

fn a_check_without_an_answer_does_not_keep_the_executor() {
    // Takes the connection of the check and never says anything, far longer than this test waits for the executor.
    let silent = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = silent.local_addr().expect("an address").port();
    let (told, asked) = mpsc::channel();
    std::thread::spawn(move || told.send(silent.accept()));
    let mut field = Field::new();
    let go = field.file("go");
    let mut checked = command_task("checked", &format!("while ! test -e {go}; do sleep 0.02; done"));
    checked["check"] = json!({
        "type": "HTTP", "http": {"port": port}, "delay_seconds": 0.0, "interval_seconds": 0.05,
        "timeout_seconds": 100_000.0,
    });
    field.launch(&[checked]);
    field.states("checked", &["TASK_STARTING", "TASK_RUNNING"]);
    let _asking = asked
        .recv_timeout(PATIENCE)
        .expect("the check asks")
        .expect("a connection");
    fs::write(go, "").expect("written");
    field.states("checked", &["TASK_FINISHED"]);
    field.everything_is_offered();
}
