//! An agent's executor API over plain sockets, and executors as child processes.

use std::cell::RefCell;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use mesos_containerizer::process_tree::ProcessStat;
use mesos_proto::v1::executor::{Call, Event, call, event};
use mesos_proto::v1::mesos::environment::Variable;
use mesos_proto::v1::mesos::environment::variable::Type as VariableType;
use mesos_proto::v1::mesos::framework_info::{Capability, capability};
use mesos_proto::v1::mesos::{Resource, TaskInfo, TaskState, TaskStatus, secret, value};
use protobuf::{Enum as _, Message as _};

/// Longest wait for anything in these tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// An agent that answers nothing by itself.
pub struct Agent {
    address: SocketAddr,
    subscriptions: Receiver<(Call, TcpStream)>,
    updates: Receiver<TaskStatus>,
    seen: RefCell<Vec<Vec<u8>>>,
}

/// An open event stream. Dropping it breaks it.
pub struct Subscription(TcpStream);

impl Drop for Subscription {
    fn drop(&mut self) {
        let _ = self.0.shutdown(std::net::Shutdown::Both);
    }
}

impl Agent {
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("listener");
        let address = listener.local_addr().expect("address");
        let (to_subscriptions, subscriptions) = channel();
        let (to_updates, updates) = channel();
        std::thread::spawn(move || {
            while let Ok((connection, _)) = listener.accept() {
                let (to_subscriptions, to_updates) = (to_subscriptions.clone(), to_updates.clone());
                std::thread::spawn(move || serve(connection, &to_subscriptions, &to_updates));
            }
        });
        Self {
            address,
            subscriptions,
            updates,
            seen: RefCell::default(),
        }
    }

    /// Waits for a subscription and greets it.
    pub fn accept_subscription(&self, capabilities: &[&str]) -> Subscription {
        self.accept_call_and_subscription(capabilities).0
    }

    pub fn accept_call_and_subscription(&self, capabilities: &[&str]) -> (Subscription, Call) {
        let (call, mut connection) = self.subscriptions.recv_timeout(PATIENCE).expect("a subscription");
        assert_eq!((call.framework_id.value(), call.executor_id.value()), ("F", "E"));
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nTransfer-Encoding: chunked\r\n\r\n";
        connection.write_all(head.as_bytes()).expect("head");
        let subscription = Subscription(connection);
        let mut greeting = plain(event::Type::SUBSCRIBED);
        let subscribed = greeting.subscribed.mut_or_insert_default();
        let executor = subscribed.executor_info.mut_or_insert_default();
        executor.executor_id.mut_or_insert_default().set_value("E".to_owned());
        let framework = subscribed.framework_info.mut_or_insert_default();
        framework.set_user("root".to_owned());
        framework.set_name("test".to_owned());
        for name in capabilities {
            let mut capability = Capability::new();
            capability.set_type(capability::Type::from_str(name).expect("a capability"));
            framework.capabilities.push(capability);
        }
        subscribed
            .agent_info
            .mut_or_insert_default()
            .set_hostname("localhost".to_owned());
        subscription.send(&greeting);
        (subscription, call)
    }

    /// Answers a subscription with an error.
    pub fn refuse_subscription(&self, status: u16) -> Call {
        let (call, mut connection) = self.subscriptions.recv_timeout(PATIENCE).expect("a subscription");
        let answer = format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n");
        connection.write_all(answer.as_bytes()).expect("answer");
        call
    }

    /// The next update, which must be of this state.
    pub fn update(&self, state: TaskState) -> TaskStatus {
        let status = self
            .updates
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("no update, expected {state:?}"));
        assert_eq!(status.state(), state, "{status}");
        let mut seen = self.seen.borrow_mut();
        assert!(!seen.iter().any(|uuid| uuid == status.uuid()), "sent twice: {status}");
        seen.push(status.uuid().to_vec());
        status
    }
}

impl Subscription {
    pub fn send(&self, event: &Event) {
        let record = event.write_to_bytes().expect("a complete event");
        let mut body = format!("{}\n", record.len()).into_bytes();
        body.extend(record);
        let mut chunk = format!("{:x}\r\n", body.len()).into_bytes();
        chunk.extend(body);
        chunk.extend(b"\r\n");
        (&self.0).write_all(&chunk).expect("the executor listens");
    }

    pub fn acknowledge(&self, status: &TaskStatus) {
        let mut event = plain(event::Type::ACKNOWLEDGED);
        let acknowledged = event.acknowledged.mut_or_insert_default();
        acknowledged.task_id = status.task_id.clone();
        acknowledged.set_uuid(status.uuid().to_vec());
        self.send(&event);
    }
}

fn serve(connection: TcpStream, subscriptions: &Sender<(Call, TcpStream)>, updates: &Sender<TaskStatus>) {
    let mut reader = BufReader::new(connection.try_clone().expect("a second handle"));
    loop {
        let mut length = 0;
        let mut line = String::new();
        let mut first = true;
        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            if first {
                assert_eq!(line, "POST /slave(1)/api/v1/executor HTTP/1.1\r\n");
                first = false;
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            line.clear();
        }
        if first {
            return;
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        let call = Call::parse_from_bytes(&body).expect("a call");
        if call.type_() == call::Type::SUBSCRIBE {
            // Who has left does not matter any more.
            let _ = subscriptions.send((call, connection));
            return;
        }
        (&connection)
            .write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
            .expect("answer");
        if call.type_() == call::Type::UPDATE {
            let _ = updates.send(call.update.status.get_or_default().clone());
        }
    }
}

/// An executor in a sandbox of its own.
pub struct Executor {
    sandbox: tempfile::TempDir,
    child: Child,
}

impl Executor {
    pub fn start(agent: &Agent, variables: &[(&str, &str)]) -> Self {
        Self::start_with_arguments(agent, variables, &["--launcher_dir=/nowhere"])
    }

    pub fn start_with_arguments(agent: &Agent, variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        Self::start_at(&agent.address.to_string(), variables, arguments)
    }

    /// As above, for an agent at an address.
    pub fn start_at(address: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        let sandbox = tempfile::tempdir().expect("sandbox");
        let output = |name: &str| fs::File::create(sandbox.path().join(name)).expect("output");
        let child = Command::new(env!("CARGO_BIN_EXE_command-executor"))
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("MESOS_FRAMEWORK_ID", "F")
            .env("MESOS_EXECUTOR_ID", "E")
            .env("MESOS_SLAVE_PID", format!("slave(1)@{address}"))
            .env("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "5secs")
            .env("MESOS_HTTP_COMMAND_EXECUTOR", "1")
            .envs(variables.iter().copied())
            .current_dir(sandbox.path())
            .stdin(Stdio::null())
            .stdout(output("stdout"))
            .stderr(output("stderr"))
            .spawn()
            .expect("executor");
        Self { sandbox, child }
    }

    pub fn sandbox(&self) -> PathBuf {
        fs::canonicalize(self.sandbox.path()).expect("sandbox")
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    pub fn exit_code(&mut self) -> Option<i32> {
        let child = &mut self.child;
        eventually("the executor's end", || child.try_wait().expect("a child")).code()
    }

    pub fn wait_for(&self, name: &str) {
        eventually(name, || self.sandbox.path().join(name).exists().then_some(()));
    }

    pub fn pid_in(&self, name: &str) -> i32 {
        let path = self.sandbox.path().join(name);
        eventually(name, || {
            fs::read_to_string(&path).ok()?.strip_suffix('\n')?.trim().parse().ok()
        })
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let path: &Path = self.sandbox.path();
            eprintln!("{}", fs::read_to_string(path.join("stderr")).unwrap_or_default());
        }
    }
}

fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "{what} did not come in {PATIENCE:?}");
        std::thread::yield_now();
    }
}

/// Whether a process runs (dead ones that nobody has collected do not).
pub fn runs(pid: i32) -> bool {
    ProcessStat::read(pid).is_some_and(|process| !process.is_dead())
}

pub fn plain(kind: event::Type) -> Event {
    let mut event = Event::new();
    event.set_type(kind);
    event
}

pub fn variable(name: &str, value: &str) -> Variable {
    let mut variable = Variable::new();
    variable.set_name(name.to_owned());
    variable.set_value(value.to_owned());
    variable
}

pub fn secret_variable(name: &str, kind: secret::Type, data: &str) -> Variable {
    let mut variable = Variable::new();
    variable.set_name(name.to_owned());
    variable.set_type(VariableType::SECRET);
    let secret = variable.secret.mut_or_insert_default();
    secret.set_type(kind);
    if kind == secret::Type::VALUE {
        secret.value.mut_or_insert_default().set_data(data.into());
    } else {
        secret
            .reference
            .mut_or_insert_default()
            .set_name("somewhere".to_owned());
    }
    variable
}

pub fn task(command: &str) -> TaskInfo {
    let mut task = TaskInfo::new();
    task.set_name("task".to_owned());
    task.task_id.mut_or_insert_default().set_value("t".to_owned());
    task.agent_id.mut_or_insert_default().set_value("S".to_owned());
    task.command.mut_or_insert_default().set_value(command.to_owned());
    let mut resource = Resource::new();
    resource.set_name("cpus".to_owned());
    resource.set_type(value::Type::SCALAR);
    resource.scalar.mut_or_insert_default().set_value(1.0);
    resource
        .allocation_info
        .mut_or_insert_default()
        .set_role("web".to_owned());
    task.resources.push(resource);
    task
}

pub fn launch(task: &TaskInfo) -> Event {
    let mut event = plain(event::Type::LAUNCH);
    event.launch.mut_or_insert_default().task = Some(task.clone()).into();
    event
}

pub fn kill(task: &str, grace: Option<Duration>) -> Event {
    let mut event = plain(event::Type::KILL);
    let kill = event.kill.mut_or_insert_default();
    kill.task_id.mut_or_insert_default().set_value(task.to_owned());
    if let Some(grace) = grace {
        let nanoseconds = i64::try_from(grace.as_nanos()).expect("a short time");
        kill.kill_policy
            .mut_or_insert_default()
            .grace_period
            .mut_or_insert_default()
            .set_nanoseconds(nanoseconds);
    }
    event
}
