//! Flags that limit or choose, over real sockets: rates of messages, the whitelist, fault domains, metrics.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use libprocess::{Context, Node, NodeConfig, Process, ProcessId, ProcessRef, Upid};
use mesos::Message;
use mesos_proto::internal::wire::messages as wire;
use mesos_proto::v0::mesos as proto;
use mesos_tests_cluster::Cluster;
use mesos_tests_conformance::{Scheduler, framework, get, offers_of};
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// Longest wait for something that has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// Some allocation rounds: long enough to see an offer that must not be.
const ROUNDS: Duration = Duration::from_millis(700);

/// A process that hands on what it receives.
struct Ear(Sender<Message>);

impl Process for Ear {
    fn message(&mut self, _: Upid, name: &str, body: Bytes, _: &mut Context<Self>) {
        if let Some(Ok(message)) = Message::decode(name, &body) {
            // The test may have ended.
            drop(self.0.send(message));
        }
    }
}

/// A scheduler that speaks the older messages over libprocess.
struct Driver {
    master: Upid,
    process: ProcessRef<Ear>,
    heard: Receiver<Message>,
    id: proto::FrameworkID,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Driver {
    fn register(master: SocketAddr, principal: &str) -> Self {
        let (sender, heard) = channel();
        let (started, process) = channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let node = Node::start(NodeConfig::loopback()).await.expect("a node");
                let process = node.spawn(ProcessId::Exact("scheduler"), move || Ear(sender));
                drop(started.send(process));
                drop(stopped.await);
                node.stop().await;
            });
        });
        let mut driver = Self {
            master: format!("master@{master}").parse().expect("an address"),
            process: process.recv().expect("started"),
            heard,
            id: proto::FrameworkID::new(),
            stop: Some(stop),
            thread: Some(thread),
        };
        let mut message = wire::RegisterFrameworkMessage::new();
        let info = message.framework.mut_or_insert_default();
        info.set_user("nobody".to_owned());
        info.set_name("driver".to_owned());
        info.set_principal(principal.to_owned());
        driver.send(message);
        driver.id = driver.hear(|message| match message {
            Message::FrameworkRegistered(answer) => answer.framework_id.into_option(),
            _ => None,
        });
        driver
    }

    fn send(&self, message: impl Into<Message>) {
        let (to, message) = (self.master.clone(), message.into());
        self.process.dispatch(move |_, context| {
            context.send(&to, message.name(), Bytes::from(message.encode()));
        });
    }

    /// Asks about a task that nobody knows; each answer is one status.
    fn ask(&self) {
        let mut message = wire::ReconcileTasksMessage::new();
        message.framework_id = Some(self.id.clone()).into();
        let mut status = proto::TaskStatus::new();
        status.task_id.mut_or_insert_default().set_value("t".to_owned());
        status.set_state(proto::TaskState::TASK_RUNNING);
        message.statuses.push(status);
        self.send(message);
    }

    fn hear<T>(&self, mut pick: impl FnMut(Message) -> Option<T>) -> T {
        loop {
            let message = self.heard.recv_timeout(PATIENCE).expect("the master speaks");
            if let Some(picked) = pick(message) {
                return picked;
            }
        }
    }

    fn hear_status(&self) {
        self.hear(|message| matches!(message, Message::StatusUpdate(_)).then_some(()));
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // A thread that has panicked waits for nothing.
        let _ = self.stop.take().map(|stop| stop.send(()));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn metrics(master: SocketAddr) -> serde_json::Map<String, Value> {
    let answer = get(master, "/metrics/snapshot").expect("an answer");
    let snapshot: Value = serde_json::from_slice(&answer.body).expect("JSON");
    snapshot.as_object().expect("an object").clone()
}

#[test]
fn messages_of_a_principal_wait_and_are_dropped_above_the_capacity() {
    let limits = r#"--rate_limits={"limits":[{"principal":"slow","qps":2,"capacity":3}]}"#;
    let cluster = Cluster::start(&[limits]);
    let slow = Driver::register(cluster.master(), "slow");
    let begin = Instant::now();
    for _ in 0..8 {
        slow.ask();
    }
    let (mut answers, mut errors) = (0, 0);
    while answers < 4 || errors < 4 {
        slow.hear(|message| match message {
            Message::StatusUpdate(_) => {
                answers += 1;
                Some(())
            }
            Message::FrameworkError(error) => {
                assert!(error.message().contains("ReconcileTasksMessage"), "{}", error.message());
                errors += 1;
                Some(())
            }
            _ => None,
        });
    }
    assert!(
        begin.elapsed() >= Duration::from_millis(1_500),
        "three waited half a second each"
    );
    let metrics = metrics(cluster.master());
    assert_eq!(metrics["frameworks/slow/messages_received"], 8.0);
    assert_eq!(metrics["frameworks/slow/messages_processed"], 4.0);
}

/// Only libprocess is limited, and only who is named or shares the default.
#[test]
fn http_schedulers_and_listed_principals_without_rate_are_not_limited() {
    let limits = r#"--rate_limits={"limits":[{"principal":"free"}],"aggregate_default_qps":0.001}"#;
    let cluster = Cluster::start(&[limits]);
    let free = Driver::register(cluster.master(), "free");
    let mut info = framework("over-http");
    info["principal"] = json!("other");
    let mut http = Scheduler::subscribe(cluster.master(), &info);
    for _ in 0..5 {
        free.ask();
        free.hear_status();
        http.call(json!({"type": "RECONCILE", "reconcile": {"tasks": [{"task_id": {"value": "t"}}]}}));
        http.wait_for("an answer", |event| (event["type"] == "UPDATE").then_some(()));
    }
}

fn host_of(event: &Value) -> Option<Vec<String>> {
    let hosts = offers_of(event)?
        .iter()
        .map(|offer| offer["hostname"].as_str().unwrap_or_default().to_owned());
    Some(hosts.collect())
}

/// Hosts of the offers that come until all of these have been seen, and for some rounds more.
fn hosts_seen(scheduler: &mut Scheduler, awaited: &[&str]) -> BTreeSet<String> {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    while !awaited.iter().all(|host| seen.contains(*host)) {
        seen.extend(scheduler.wait_for("offers", host_of));
    }
    while let Some(hosts) = scheduler.within(ROUNDS, host_of) {
        seen.extend(hosts);
    }
    seen
}

fn set_of(hosts: &[&str]) -> BTreeSet<String> {
    hosts.iter().map(|host| (*host).to_owned()).collect()
}

#[test]
fn the_whitelist_file_is_followed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let list = folder.path().join("agents");
    std::fs::write(&list, "one\n").expect("written");
    let mut cluster = Cluster::start(&[&format!("--whitelist=file://{}", list.display())]);
    // The list is read before the first agent is there, or at the latest with the second look at it.
    cluster.agent("cpus:1;mem:256", &["--hostname=one"]);
    cluster.agent("cpus:1;mem:256", &["--hostname=two"]);
    let mut scheduler = Scheduler::subscribe(cluster.master(), &framework("picky"));
    assert_eq!(hosts_seen(&mut scheduler, &["one"]), set_of(&["one"]));
    std::fs::write(&list, "one\ntwo\n").expect("written");
    assert_eq!(hosts_seen(&mut scheduler, &["two"]), set_of(&["two"]));
}

fn domain(region: &str) -> String {
    format!(r#"--domain={{"fault_domain":{{"region":{{"name":"{region}"}},"zone":{{"name":"{region}-1"}}}}}}"#)
}

#[test]
fn remote_regions_are_offered_to_frameworks_that_know_regions() {
    let mut cluster = Cluster::start(&[&domain("west")]);
    cluster.agent("cpus:1;mem:256", &["--hostname=near", &domain("west")]);
    cluster.agent("cpus:1;mem:256", &["--hostname=anywhere"]);
    cluster.agent("cpus:1;mem:256", &["--hostname=far", &domain("east")]);
    let mut aware = framework("aware");
    let capabilities = aware["capabilities"].as_array_mut().expect("capabilities");
    capabilities.push(json!({"type": "REGION_AWARE"}));
    let mut aware = Scheduler::subscribe(cluster.master(), &aware);
    let region = &aware.subscribed()["master_info"]["domain"]["fault_domain"]["region"]["name"];
    assert_eq!(region, "west");
    let offer = aware.wait_for("an offer of the remote region", |event| {
        offers_of(event)?
            .iter()
            .find(|offer| offer["hostname"] == "far")
            .cloned()
    });
    assert_eq!(offer["domain"]["fault_domain"]["region"]["name"], "east");
    drop(aware);
    let mut plain = Scheduler::subscribe(cluster.master(), &framework("plain"));
    let seen = hosts_seen(&mut plain, &["near", "anywhere"]);
    assert_eq!(seen, set_of(&["near", "anywhere"]));
}

#[test]
fn a_master_may_insist_on_domains() {
    let mut cluster = Cluster::start(&[&domain("west"), "--require_agent_domain"]);
    cluster.agent("cpus:1;mem:256", &["--hostname=nowhere"]);
    cluster.agent("cpus:1;mem:256", &["--hostname=near", &domain("west")]);
    let mut scheduler = Scheduler::subscribe(cluster.master(), &framework("anyone"));
    assert_eq!(hosts_seen(&mut scheduler, &["near"]), set_of(&["near"]));
    let answer = get(cluster.master(), "/slaves").expect("an answer");
    let slaves: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let slaves = slaves["slaves"].as_array().expect("a list");
    assert_eq!(slaves.len(), 1);
    assert_eq!(slaves[0]["domain"]["fault_domain"]["zone"]["name"], "west-1");
}

/// Names of the facts that begin with `master/frameworks/`, for one framework.
fn framework_metrics(name: &str, id: &str, role: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/facts/metrics.tsv");
    let table = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let names = table.lines().filter_map(|line| line.split('\t').nth(1));
    let names = names.filter(|name| name.starts_with("master/frameworks/{name}"));
    let filled = names.map(|key| key.replace("{name}", name).replace("{id}", id).replace("{role}", role));
    filled.collect()
}

#[test]
fn each_framework_has_its_metrics_unless_a_flag_says_no() {
    for published in [true, false] {
        let flag = format!("--publish_per_framework_metrics={published}");
        let cluster = Cluster::start(&[&flag]);
        let scheduler = Scheduler::subscribe(cluster.master(), &framework("a b"));
        scheduler.call(json!({"type": "REVIVE"}));
        let metrics = metrics(cluster.master());
        let names = framework_metrics("a%20b", scheduler.id(), "*");
        assert_eq!(names.len(), 61);
        let missing: Vec<&String> = names.iter().filter(|name| !metrics.contains_key(*name)).collect();
        if published {
            assert!(missing.is_empty(), "{missing:?}");
            let prefix = format!("master/frameworks/a%20b/{}", scheduler.id());
            assert_eq!(metrics[&format!("{prefix}/calls")], 2.0);
            assert_eq!(metrics[&format!("{prefix}/calls/revive")], 1.0);
            assert_eq!(metrics[&format!("{prefix}/events/subscribed")], 1.0);
        } else {
            assert_eq!(missing.len(), names.len());
        }
    }
}
