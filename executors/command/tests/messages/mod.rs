//! The same executor over libprocess messages, against an agent that is a process of another node.

use std::time::Duration;

use bytes::Bytes;
use libprocess::{Context, Node, NodeConfig, Process, ProcessId, ProcessRef, Upid};
use mesos::{Message, convert};
use mesos_proto::internal::wire::messages::{
    ExecutorRegisteredMessage, KillTaskMessage, RunTaskMessage, ShutdownExecutorMessage,
    StatusUpdateAcknowledgementMessage,
};
use mesos_proto::v0::mesos::framework_info::{Capability, capability};
use mesos_proto::v0::mesos::{TaskState, TaskStatus};
use mesos_proto::v1::mesos::TaskInfo;
use tokio::sync::mpsc;

use crate::agent::{Executor, task};

/// Longest wait for anything in these tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// Passes everything on to the test.
struct Inbox(mpsc::UnboundedSender<(Upid, Message)>);

impl Process for Inbox {
    fn message(&mut self, from: Upid, name: &str, body: Bytes, _context: &mut Context<Self>) {
        let message = Message::decode(name, &body)
            .expect("a known message")
            .expect("a whole message");
        // The test has ended when nobody takes it.
        let _ = self.0.send((from, message));
    }
}

/// An agent that speaks messages, and the executor that registered with it.
struct MessageAgent {
    runtime: tokio::runtime::Runtime,
    node: Node,
    agent: ProcessRef<Inbox>,
    received: mpsc::UnboundedReceiver<(Upid, Message)>,
    executor: Upid,
}

impl MessageAgent {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("runtime");
        let node = runtime.block_on(Node::start(NodeConfig::loopback())).expect("node");
        let (sender, received) = mpsc::unbounded_channel();
        let agent = node.spawn(ProcessId::Exact("slave(1)"), move || Inbox(sender));
        Self {
            runtime,
            node,
            agent,
            received,
            executor: Upid::anonymous(),
        }
    }

    fn next(&mut self) -> (Upid, Message) {
        let received = &mut self.received;
        let next = self
            .runtime
            .block_on(async { tokio::time::timeout(PATIENCE, received.recv()).await });
        next.expect("in time").expect("the agent lives")
    }

    /// Starts an executor and takes its registration.
    fn executor(&mut self) -> Executor {
        let agent = self.agent.pid().to_string();
        let variables = [
            ("MESOS_HTTP_COMMAND_EXECUTOR", "0"),
            ("MESOS_SLAVE_PID", agent.as_str()),
            ("MESOS_SLAVE_ID", "S"),
            ("MESOS_CHECKPOINT", "1"),
            ("LIBPROCESS_PORT", "0"),
        ];
        let executor = Executor::start_at("127.0.0.1:1", &variables, &["--launcher_dir=/nowhere"]);
        let (from, message) = self.next();
        assert!(matches!(message, Message::RegisterExecutor(_)), "{message:?}");
        assert_eq!(from.id(), "executor(1)");
        self.executor = from;
        executor
    }

    fn send(&self, message: impl Into<Message>) {
        let message = message.into();
        let body = Bytes::from(message.encode());
        self.node.send(self.agent.pid(), &self.executor, message.name(), body);
    }

    fn greet(&self) {
        let mut registered = ExecutorRegisteredMessage::new();
        let executor = registered.executor_info.mut_or_insert_default();
        executor.executor_id.mut_or_insert_default().set_value("E".to_owned());
        registered
            .framework_id
            .mut_or_insert_default()
            .set_value("F".to_owned());
        let framework = registered.framework_info.mut_or_insert_default();
        framework.set_user("root".to_owned());
        framework.set_name("test".to_owned());
        let mut capability = Capability::new();
        capability.set_type(capability::Type::TASK_KILLING_STATE);
        framework.capabilities.push(capability);
        registered.slave_id.mut_or_insert_default().set_value("S".to_owned());
        let agent = registered.slave_info.mut_or_insert_default();
        agent.set_hostname("localhost".to_owned());
        self.send(registered);
    }

    fn run(&self, task: &TaskInfo) {
        let mut run = RunTaskMessage::new();
        let framework = run.framework.mut_or_insert_default();
        framework.set_user("root".to_owned());
        framework.set_name("test".to_owned());
        run.set_pid("@0.0.0.0:0".to_owned());
        run.task = Some(convert::devolve(task)).into();
        self.send(run);
    }

    fn update(&mut self, state: TaskState) -> TaskStatus {
        let (_, message) = self.next();
        let Message::StatusUpdate(message) = message else {
            panic!("{message:?} instead of {state:?}");
        };
        let status = message.update.status.clone().unwrap_or_default();
        assert_eq!(status.state(), state, "{status}");
        assert_eq!(status.uuid(), message.update.uuid());
        status
    }

    fn acknowledge(&self, status: &TaskStatus) {
        let mut acknowledgement = StatusUpdateAcknowledgementMessage::new();
        acknowledgement
            .framework_id
            .mut_or_insert_default()
            .set_value("F".to_owned());
        acknowledgement
            .slave_id
            .mut_or_insert_default()
            .set_value("S".to_owned());
        acknowledgement.task_id = status.task_id.clone();
        acknowledgement.set_uuid(status.uuid().to_vec());
        self.send(acknowledgement);
    }
}

#[test]
fn a_task_is_run_killed_with_its_policy_and_acknowledged_over_messages() {
    let mut agent = MessageAgent::start();
    let mut executor = agent.executor();
    agent.greet();
    agent.run(&task("trap '' TERM; echo > ready; while :; do sleep 0.01; done"));
    let starting = agent.update(TaskState::TASK_STARTING);
    agent.acknowledge(&starting);
    let running = agent.update(TaskState::TASK_RUNNING);
    agent.acknowledge(&running);
    executor.wait_for("ready");
    let mut kill = KillTaskMessage::new();
    kill.framework_id.mut_or_insert_default().set_value("F".to_owned());
    kill.task_id.mut_or_insert_default().set_value("t".to_owned());
    let policy = kill.kill_policy.mut_or_insert_default();
    policy.grace_period.mut_or_insert_default().set_nanoseconds(50_000_000);
    agent.send(kill);
    agent.update(TaskState::TASK_KILLING);
    let killed = agent.update(TaskState::TASK_KILLED);
    assert_eq!(killed.message(), "Command terminated with signal Killed");
    assert!(executor.is_running(), "it waits for the acknowledgement");
    agent.acknowledge(&killed);
    assert_eq!(executor.exit_code(), Some(0));
}

#[test]
fn a_shutdown_over_messages_still_tells_how_the_task_ended() {
    let mut agent = MessageAgent::start();
    let mut executor = agent.executor();
    agent.greet();
    agent.run(&task("exec sleep 600"));
    agent.update(TaskState::TASK_STARTING);
    agent.update(TaskState::TASK_RUNNING);
    agent.send(ShutdownExecutorMessage::new());
    agent.update(TaskState::TASK_KILLING);
    let killed = agent.update(TaskState::TASK_KILLED);
    agent.acknowledge(&killed);
    assert_eq!(executor.exit_code(), Some(0));
}
