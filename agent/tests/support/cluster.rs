//! An agent, and a node that plays its master and an executor.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use libprocess::{Context, Node, NodeConfig, Process, ProcessId, ProcessRef, Upid};
use mesos::Message;
use mesos::flags::{Flags, Outcome};
use mesos_agent::{RunningAgent, StopMode};
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::mesos as pb;
use protobuf::MessageField;
use tokio::sync::mpsc;

use super::http::{get, post};
use super::within;

pub const AGENT: &str = "M-S0";
pub const FRAMEWORK: &str = "M-0000";
pub const EXECUTOR: &str = "sleeper";

/// A process that answers registrations of agents and notes everything that it is sent.
struct Peer {
    inbox: mpsc::UnboundedSender<(Upid, Message)>,
}

impl Process for Peer {
    fn message(&mut self, from: Upid, name: &str, body: Bytes, context: &mut Context<Self>) {
        let message = Message::decode(name, &body).expect("known").expect("valid");
        let mut id = pb::SlaveID::new();
        id.set_value(AGENT.to_owned());
        match &message {
            Message::RegisterSlave(_) => {
                let mut registered = internal::SlaveRegisteredMessage::new();
                registered.slave_id = MessageField::some(id);
                send(context, &from, registered);
            }
            Message::ReregisterSlave(_) => {
                let mut registered = internal::SlaveReregisteredMessage::new();
                registered.slave_id = MessageField::some(id);
                send(context, &from, registered);
            }
            _ => {}
        }
        drop(self.inbox.send((from, message)));
    }
}

fn send(context: &mut Context<Peer>, to: &Upid, message: impl Into<Message>) {
    let message = message.into();
    context.send(to, message.name(), Bytes::from(message.encode()));
}

/// A peer of the agent, seen from the test.
pub struct Played {
    process: ProcessRef<Peer>,
    inbox: mpsc::UnboundedReceiver<(Upid, Message)>,
}

impl Played {
    fn start(node: &Node, id: &str) -> Self {
        let (sender, inbox) = mpsc::unbounded_channel();
        let process = node.spawn(ProcessId::Exact(id), move || Peer { inbox: sender });
        Self { process, inbox }
    }

    pub fn send(&self, to: &Upid, message: impl Into<Message>) {
        let (to, message) = (to.clone(), message.into());
        self.process.dispatch(move |_, context| send(context, &to, message));
    }

    /// Waits for a message of one name, without its package; others before it are dropped.
    pub async fn receive(&mut self, name: &str) -> (Upid, Message) {
        let found = async {
            loop {
                let (from, message) = self.inbox.recv().await.expect("the peer lives");
                if message.name().rsplit('.').next() == Some(name) {
                    return (from, message);
                }
            }
        };
        within(name, found).await
    }
}

/// Folders that outlive an agent, its master and an executor.
pub struct Cluster {
    pub folder: tempfile::TempDir,
    node: Node,
    pub master: Played,
    pub executor: Played,
}

impl Cluster {
    pub async fn start() -> Self {
        let node = Node::start(NodeConfig::loopback())
            .await
            .expect("a loopback address is free");
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            master: Played::start(&node, "master"),
            executor: Played::start(&node, "executor(1)"),
            node,
        }
    }

    pub fn work_dir(&self) -> PathBuf {
        // Resolved, as the agent shows it.
        self.folder.path().canonicalize().expect("there").join("work")
    }

    /// Where agents find the played master.
    pub fn master_address(&self) -> String {
        self.node.address().to_string()
    }

    /// Starts an agent that follows the played master and waits until it is registered.
    pub async fn agent(&mut self, expected: &str) -> RunningAgent {
        self.agent_with(expected, &[]).await
    }

    /// The same with more flags; they count before those that every agent here has.
    pub async fn agent_with(&mut self, expected: &str, more: &[&str]) -> RunningAgent {
        let agent = self.start_agent(more).await;
        self.master.receive(expected).await;
        until_ok(agent.pid(), "/state").await;
        agent
    }

    /// Starts an agent, and waits for nothing.
    pub async fn start_agent(&self, more: &[&str]) -> RunningAgent {
        let name = |flag: &str| flag.split('=').next().unwrap_or_default().to_owned();
        let given: Vec<String> = more.iter().map(|flag| name(flag)).collect();
        let mut arguments = arguments(self.folder.path(), &self.master_address());
        arguments.retain(|flag| !given.contains(&name(flag)));
        arguments.extend(more.iter().map(|&flag| flag.to_owned()));
        mesos_agent::start(&read(arguments), NodeConfig::default())
            .await
            .expect("an agent")
    }

    /// Launches an executor with a task and brings the task to TASK_RUNNING.
    pub async fn run_task(&mut self, agent: &Upid) {
        self.run(agent, run_task("t1")).await;
    }

    /// The same for a launch of the task `t1` in the executor that is played here.
    pub async fn run(&mut self, agent: &Upid, launch: internal::RunTaskMessage) {
        self.master.send(agent, launch);
        wait_for_container(agent).await;
        let mut register = internal::RegisterExecutorMessage::new();
        register
            .framework_id
            .mut_or_insert_default()
            .set_value(FRAMEWORK.to_owned());
        register
            .executor_id
            .mut_or_insert_default()
            .set_value(EXECUTOR.to_owned());
        self.executor.send(agent, register);
        self.executor.receive("RunTaskMessage").await;
        self.executor.send(agent, update("t1", pb::TaskState::TASK_RUNNING));
        self.executor.receive("StatusUpdateAcknowledgementMessage").await;
    }

    pub async fn stop(self, agent: RunningAgent, mode: StopMode) {
        within("the agent's end", agent.stop(mode)).await;
        self.node.stop().await;
    }
}

/// Asks until the answer is 200.
async fn until_ok(agent: &Upid, path: &str) {
    within(path, async { while get(agent, path).await.status != 200 {} }).await;
}

/// Asks until the container's process is known.
async fn wait_for_container(agent: &Upid) {
    let running = async {
        while !get(agent, "/containers").await.text().contains("executor_pid") {
            tokio::task::yield_now().await;
        }
    };
    within("a container", running).await;
}

/// The flags of a small agent below `folder`.
pub fn flags(folder: &Path, master: &str) -> Flags {
    read(arguments(folder, master))
}

/// The same as arguments.
pub fn arguments(folder: &Path, master: &str) -> Vec<String> {
    let libexec = folder.join("libexec");
    if !libexec.exists() {
        std::fs::create_dir_all(&libexec).expect("made");
        let helper = env!("CARGO_BIN_EXE_agent-launch-helper");
        std::os::unix::fs::symlink(helper, libexec.join("mesos-containerizer")).expect("linked");
    }
    [
        format!("--master={master}"),
        format!("--work_dir={}", folder.join("work").display()),
        format!("--runtime_dir={}", folder.join("run").display()),
        format!("--launcher_dir={}", libexec.display()),
        "--ip=127.0.0.1".to_owned(),
        "--port=0".to_owned(),
        "--switch_user=false".to_owned(),
        "--registration_backoff_factor=1ms".to_owned(),
        "--resources=cpus:4;mem:4096;disk:10000;ports:[31000-32000];cpus(ops):1".to_owned(),
        "--attributes=rack:r1;level:3;zones:[1-3]".to_owned(),
    ]
    .to_vec()
}

/// Arguments as flags.
pub fn read(arguments: Vec<String>) -> Flags {
    let read = mesos::flags::agent::FLAGS.read(arguments.into_iter().map(OsString::from), []);
    match read.expect("valid flags") {
        Outcome::Run(flags) => flags,
        other => panic!("{other:?}"),
    }
}

/// The executor comes back.
pub fn reregister_executor() -> internal::ReregisterExecutorMessage {
    let mut message = internal::ReregisterExecutorMessage::new();
    message
        .framework_id
        .mut_or_insert_default()
        .set_value(FRAMEWORK.to_owned());
    message
        .executor_id
        .mut_or_insert_default()
        .set_value(EXECUTOR.to_owned());
    message
}

/// A launch of a task in the executor that is played here.
pub fn run_task(id: &str) -> internal::RunTaskMessage {
    mesos::json::from_str(&format!(
        r#"{{"framework":{{"user":"root","name":"test","id":{{"value":"{FRAMEWORK}"}},"checkpoint":true,"roles":["*"],
        "capabilities":[{{"type":"MULTI_ROLE"}}],"principal":"p","hostname":"h"}},
        "launch_executor":true,"pid":"scheduler(1)@127.0.0.1:1",
        "task":{{"name":"task","task_id":{{"value":"{id}"}},"slave_id":{{"value":"{AGENT}"}},
        "labels":{{"labels":[{{"key":"app","value":"full"}},{{"key":"novalue"}}]}},
        "discovery":{{"visibility":"FRAMEWORK","name":"full","environment":"prod","location":"here","version":"v1",
        "ports":{{"ports":[{{"number":31005,"name":"http",
        "protocol":"tcp"}}]}}}},
        "resources":[{{"name":"cpus","type":"SCALAR","scalar":{{"value":0.5}},"allocation_info":{{"role":"*"}}}},
        {{"name":"ports","type":"RANGES","ranges":{{"range":[{{"begin":31005,"end":31006}}]}},
        "allocation_info":{{"role":"*"}}}}],
        "executor":{{"executor_id":{{"value":"{EXECUTOR}"}},"framework_id":{{"value":"{FRAMEWORK}"}},
        "name":"Sleeper","source":"test","command":{{"value":"echo begun; exec sleep 1000"}},
        "labels":{{"labels":[{{"key":"app"}}]}},
        "resources":[{{"name":"cpus","type":"SCALAR","scalar":{{"value":0.1}},"allocation_info":{{"role":"*"}}}},
        {{"name":"mem","type":"SCALAR","scalar":{{"value":32}},"allocation_info":{{"role":"*"}}}}]}}}}}}"#
    ))
    .expect("a message")
}

/// A report of the played executor.
pub fn update(task: &str, state: pb::TaskState) -> internal::StatusUpdateMessage {
    mesos::json::from_str(&format!(
        r#"{{"update":{{"framework_id":{{"value":"{FRAMEWORK}"}},"executor_id":{{"value":"{EXECUTOR}"}},
        "slave_id":{{"value":"{AGENT}"}},"timestamp":1.5,"uuid":"AAAAAAAAAAAAAAAAAAAAAA==",
        "status":{{"task_id":{{"value":"{task}"}},"state":"{state:?}","source":"SOURCE_EXECUTOR","timestamp":1.5,
        "slave_id":{{"value":"{AGENT}"}},"executor_id":{{"value":"{EXECUTOR}"}},
        "uuid":"AAAAAAAAAAAAAAAAAAAAAA=="}}}}}}"#
    ))
    .expect("a message")
}

/// A call of an operator with only a type.
pub async fn operator(agent: &Upid, kind: &str) -> serde_json::Value {
    let answer = post(agent, "/api/v1", &format!("{{\"type\":\"{kind}\"}}")).await;
    assert_eq!(answer.status, 200, "{kind}: {}", answer.text());
    answer.json()
}
