//! Bytes between a scheduler and an executor, both on libprocess drivers: agent and drivers pass them on to each other,
//! and the master sees none of them.
//!
//! This program is also each of the programs that run: an agent starts its helpers by their names, which are links to
//! it.

use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use libprocess::{Node, NodeConfig};
use mesos::resources::Resources;
use mesos_executor_driver::ExecutorEnvironment;
use mesos_executor_driver::v0::{Executor, ExecutorDriver};
use mesos_proto::v0::mesos::{
    ExecutorInfo, Filters, FrameworkInfo, Offer, SlaveInfo, TaskID, TaskInfo, TaskState, TaskStatus,
};
use mesos_scheduler_driver::v0::{Callback, Driver, DriverConfig, Handle, Scheduler};
use mesos_tests_cluster::Cluster;
use mesos_tests_conformance::{get, user};
use tokio::sync::mpsc;

const HELPERS: &[&str] = &["mesos-containerizer", "mesos-fetcher", "mirror"];

/// Messages that go there and back.
const MESSAGES: u8 = 20;

/// Longest wait for anything in this test.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let name = arguments.first().map(Path::new).and_then(Path::file_name);
    let texts = || arguments.iter().skip(1).cloned();
    match name.and_then(|name| name.to_str()).unwrap_or_default() {
        "mesos-containerizer" => mesos_containerizer::program::run(texts()),
        "mesos-fetcher" => mesos_containerizer::program::run_fetcher(),
        "mirror" => {
            actix_rt::System::new().block_on(mirror());
            ExitCode::SUCCESS
        }
        _ => {
            // Listing runners ask a program without a harness too.
            if !arguments.iter().any(|argument| argument == "--list") {
                messages_pass_both_ways_without_the_master();
                println!("test messages_pass_both_ways_without_the_master ... ok");
            }
            ExitCode::SUCCESS
        }
    }
}

/// The executor: sends back what it gets, turned round.
struct Mirror;

async fn mirror() {
    let environment = ExecutorEnvironment::from_env().expect("an agent starts it");
    let node = Node::start(NodeConfig::from_env().expect("variables"))
        .await
        .expect("a node");
    let driver = ExecutorDriver::start(&node, &environment, Mirror).expect("a driver");
    driver.join().await;
    node.stop().await;
}

impl Executor for Mirror {
    fn registered(&mut self, _: &ExecutorDriver, _: ExecutorInfo, _: FrameworkInfo, _: SlaveInfo) {}

    fn launch_task(&mut self, driver: &ExecutorDriver, task: TaskInfo) {
        let mut status = TaskStatus::new();
        status.task_id = task.task_id;
        status.set_state(TaskState::TASK_RUNNING);
        driver.send_status_update(status);
    }

    fn kill_task(&mut self, _: &ExecutorDriver, _: TaskID) {}

    fn framework_message(&mut self, driver: &ExecutorDriver, mut data: Vec<u8>) {
        data.reverse();
        driver.send_framework_message(data);
    }

    fn shutdown(&mut self, driver: &ExecutorDriver) {
        driver.stop();
    }
}

/// The scheduler: one task, then messages; tells the test what comes back.
struct Speaker {
    executor: String,
    back: mpsc::UnboundedSender<Vec<u8>>,
    launched: bool,
}

impl Speaker {
    fn launch(&mut self, driver: &Handle, offer: &Offer) {
        if std::mem::replace(&mut self.launched, true) {
            return;
        }
        let share = |text: &str| Resources::parse(text, "*").expect("resources").to_protobuf();
        let mut executor = ExecutorInfo::new();
        let id = executor.executor_id.mut_or_insert_default();
        id.set_value("mirror".to_owned());
        executor
            .command
            .mut_or_insert_default()
            .set_value(self.executor.clone());
        executor.resources = share("cpus:0.1;mem:32");
        let mut task = TaskInfo::new();
        task.set_name("talk".to_owned());
        task.task_id.mut_or_insert_default().set_value("talk".to_owned());
        task.slave_id = offer.slave_id.clone();
        task.resources = share("cpus:0.1;mem:32");
        task.executor = Some(executor).into();
        let offers = offer.id.clone().into_option().into_iter().collect();
        driver.launch_tasks(offers, vec![task], Filters::new());
    }
}

impl Scheduler for Speaker {
    fn handle(&mut self, driver: &Handle, callback: Callback) {
        match callback {
            Callback::ResourceOffers(offers) => offers.iter().for_each(|offer| self.launch(driver, offer)),
            Callback::StatusUpdate(status) => {
                assert_eq!(status.state(), TaskState::TASK_RUNNING, "{status}");
                let agent = status.slave_id.clone().unwrap_or_default();
                let executor = status.executor_id.clone().unwrap_or_default();
                for number in 0..MESSAGES {
                    driver.send_framework_message(executor.clone(), agent.clone(), vec![number, 200]);
                }
            }
            Callback::FrameworkMessage(executor, _, data) => {
                assert_eq!(executor.value(), "mirror");
                // The test has ended when nobody takes it.
                let _ = self.back.send(data);
            }
            _ => {}
        }
    }
}

fn messages_pass_both_ways_without_the_master() {
    let programs = tempfile::tempdir().expect("a temporary folder");
    let own = std::env::current_exe().expect("this program has a path");
    for name in HELPERS {
        symlink(&own, programs.path().join(name)).expect("a link");
    }
    let mut cluster = Cluster::start(&[]);
    let launcher_dir = format!("--launcher_dir={}", programs.path().display());
    cluster.agent("cpus:1;mem:512", &[&launcher_dir]);
    let master = cluster.master();
    let executor = programs.path().join("mirror").display().to_string();
    let came = actix_rt::System::new().block_on(async {
        let config = NodeConfig {
            ip: Some(Ipv4Addr::LOCALHOST),
            ..NodeConfig::default()
        };
        let node = Node::start(config).await.expect("a node");
        let mut framework = FrameworkInfo::new();
        framework.set_name("speaker".to_owned());
        framework.set_user(user());
        let (back, mut received) = mpsc::unbounded_channel();
        let speaker = Speaker {
            executor,
            back,
            launched: false,
        };
        let driver = Driver::start(&node, &master.to_string(), DriverConfig::new(framework), speaker)
            .await
            .expect("a driver");
        let mut came = Vec::new();
        for _ in 0..MESSAGES {
            let next = tokio::time::timeout(PATIENCE, received.recv()).await;
            came.push(next.expect("in time").expect("the driver lives"));
        }
        // As long as the framework is there: the counts of one that left go with it.
        let metrics = tokio::task::spawn_blocking(move || get(master, "/metrics/snapshot"))
            .await
            .expect("a thread")
            .expect("metrics");
        let counts: serde_json::Value = serde_json::from_str(&metrics.text()).expect("JSON");
        for way in ["framework_to_executor", "executor_to_framework"] {
            assert_eq!(counts[format!("master/messages_{way}")], 0.0, "{way}");
        }
        driver.stop(false);
        driver.join().await;
        node.stop().await;
        came
    });
    let expected: Vec<Vec<u8>> = (0..MESSAGES).map(|number| vec![200, number]).collect();
    assert_eq!(came, expected);
}
