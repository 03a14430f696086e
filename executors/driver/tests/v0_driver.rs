//! The v0 driver over real connections, against an agent that is a process of another node.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use libprocess::{Context, Node, NodeConfig, Process, ProcessId, Upid};
use mesos::Message;
use mesos_executor_driver::ExecutorEnvironment;
use mesos_executor_driver::v0::{DriverStatus, Executor, ExecutorDriver};
use mesos_proto::internal::wire::messages::{
    ExecutorRegisteredMessage, RunTaskMessage, ShutdownExecutorMessage, StatusUpdateAcknowledgementMessage,
};
use mesos_proto::v0::mesos::{ExecutorInfo, FrameworkInfo, SlaveInfo, TaskID, TaskInfo, TaskState, TaskStatus};
use tokio::sync::mpsc;

/// Longest wait for anything in these tests.
const PATIENCE: Duration = Duration::from_secs(60);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("in time")
}

/// Passes everything on to the test.
struct Agent(mpsc::UnboundedSender<(Upid, Message)>);

impl Process for Agent {
    fn message(&mut self, from: Upid, name: &str, body: Bytes, _context: &mut Context<Self>) {
        let message = Message::decode(name, &body)
            .expect("a known message")
            .expect("a whole message");
        self.0.send((from, message)).expect("the test listens");
    }
}

/// Runs tasks in no time.
struct Quick(mpsc::UnboundedSender<String>);

impl Quick {
    fn told(&self, what: impl Into<String>) {
        self.0.send(what.into()).expect("the test listens");
    }
}

impl Executor for Quick {
    fn registered(&mut self, _: &ExecutorDriver, executor: ExecutorInfo, framework: FrameworkInfo, agent: SlaveInfo) {
        self.told(format!(
            "registered {} {} {}",
            executor.executor_id.value(),
            framework.name(),
            agent.hostname()
        ));
    }

    fn launch_task(&mut self, driver: &ExecutorDriver, task: TaskInfo) {
        let mut status = TaskStatus::new();
        status.task_id = task.task_id;
        status.set_state(TaskState::TASK_FINISHED);
        driver.send_status_update(status);
        driver.send_framework_message(b"done".to_vec());
    }

    fn kill_task(&mut self, _: &ExecutorDriver, _: TaskID) {}

    fn shutdown(&mut self, _: &ExecutorDriver) {
        self.told("shutdown");
    }

    fn force_exit(&mut self) {
        self.told("force exit");
    }
}

fn environment(agent: &Upid) -> ExecutorEnvironment {
    let variables = [
        ("MESOS_FRAMEWORK_ID", "F"),
        ("MESOS_EXECUTOR_ID", "E"),
        ("MESOS_SLAVE_ID", "S"),
        ("MESOS_SLAVE_PID", &agent.to_string()),
        ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "10ms"),
    ];
    let variables: BTreeMap<String, String> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    ExecutorEnvironment::from_variables(&variables).expect("complete")
}

fn greeting() -> Message {
    let mut registered = ExecutorRegisteredMessage::new();
    let executor = registered.executor_info.mut_or_insert_default();
    executor.executor_id.mut_or_insert_default().set_value("E".to_owned());
    registered
        .framework_id
        .mut_or_insert_default()
        .set_value("F".to_owned());
    registered
        .framework_info
        .mut_or_insert_default()
        .set_user("root".to_owned());
    registered
        .framework_info
        .mut_or_insert_default()
        .set_name("test".to_owned());
    registered.slave_id.mut_or_insert_default().set_value("S".to_owned());
    registered
        .slave_info
        .mut_or_insert_default()
        .set_hostname("localhost".to_owned());
    registered.into()
}

fn run_task() -> Message {
    let mut run = RunTaskMessage::new();
    run.framework.mut_or_insert_default().set_user("root".to_owned());
    run.framework.mut_or_insert_default().set_name("test".to_owned());
    let task = run.task.mut_or_insert_default();
    task.set_name("task".to_owned());
    task.task_id.mut_or_insert_default().set_value("t".to_owned());
    task.slave_id.mut_or_insert_default().set_value("S".to_owned());
    run.into()
}

#[test]
fn an_executor_registers_runs_a_task_and_shuts_down() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("runtime");
    runtime.block_on(async {
        let agent_node = Node::start(NodeConfig::loopback()).await.expect("agent node");
        let (sender, mut received) = mpsc::unbounded_channel();
        let agent = agent_node.spawn(ProcessId::Exact("slave(1)"), move || Agent(sender));
        let node = Node::start(NodeConfig::loopback()).await.expect("executor node");
        let (told, mut tells) = mpsc::unbounded_channel();
        let driver = ExecutorDriver::start(&node, &environment(agent.pid()), Quick(told)).expect("driver");
        let send = |to: &Upid, message: Message| {
            agent_node.send(agent.pid(), to, message.name(), Bytes::from(message.encode()));
        };

        let (executor, message) = soon(received.recv()).await.expect("a message");
        assert_eq!(
            (executor.id(), message.name()),
            ("executor(1)", "mesos.internal.RegisterExecutorMessage")
        );
        send(&executor, greeting());
        assert_eq!(soon(tells.recv()).await.as_deref(), Some("registered E test localhost"));
        send(&executor, run_task());
        let (_, message) = soon(received.recv()).await.expect("a message");
        let Message::StatusUpdate(sent) = message else {
            panic!("an update: {message:?}");
        };
        assert_eq!(sent.update.status.state(), TaskState::TASK_FINISHED);
        assert_eq!(
            (sent.pid(), sent.update.uuid().len()),
            (executor.to_string().as_str(), 16)
        );
        let (_, message) = soon(received.recv()).await.expect("a message");
        assert!(matches!(message, Message::ExecutorToFramework(message) if message.data() == b"done"));
        let mut acknowledgement = StatusUpdateAcknowledgementMessage::new();
        acknowledgement.slave_id = sent.update.slave_id.clone();
        acknowledgement.framework_id = sent.update.framework_id.clone();
        acknowledgement.task_id = sent.update.status.task_id.clone();
        acknowledgement.set_uuid(sent.update.uuid().to_vec());
        send(&executor, acknowledgement.into());
        assert_eq!(driver.status(), DriverStatus::Running);
        send(&executor, ShutdownExecutorMessage::new().into());
        assert_eq!(soon(tells.recv()).await.as_deref(), Some("shutdown"));
        assert_eq!(soon(driver.join()).await, DriverStatus::Aborted);
        assert_eq!(soon(tells.recv()).await.as_deref(), Some("force exit"));
        node.stop().await;
        agent_node.stop().await;
    });
}

#[test]
fn an_executor_whose_agent_dies_shuts_down() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("runtime");
    runtime.block_on(async {
        let agent_node = Node::start(NodeConfig::loopback()).await.expect("agent node");
        let (sender, mut received) = mpsc::unbounded_channel();
        let agent = agent_node.spawn(ProcessId::Exact("slave(1)"), move || Agent(sender));
        let node = Node::start(NodeConfig::loopback()).await.expect("executor node");
        let (told, mut tells) = mpsc::unbounded_channel();
        let driver = ExecutorDriver::start(&node, &environment(agent.pid()), Quick(told)).expect("driver");
        soon(received.recv()).await.expect("a registration");
        agent_node.stop().await;
        assert_eq!(soon(tells.recv()).await.as_deref(), Some("shutdown"));
        assert_eq!(soon(driver.join()).await, DriverStatus::Aborted);
        node.stop().await;
    });
}
