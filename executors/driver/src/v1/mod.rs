//! The v1 executor client: a task that carries out what [`core`](self::core) decides, over HTTP.
//!
//! The event stream has a connection of its own; all other calls share a second one and go one after the other.

pub mod core;

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use libprocess::http::client::{Client, ClientError};
use libprocess::http::{Method, StatusCode};
use libprocess_types::Time;
use mesos_proto::v1::executor::{Call, Event, call};
use mesos_proto::v1::mesos::TaskStatus;
use protobuf::Message as _;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};

use self::core::{ClientConfig, ClientCore, ClientTimer, ConnectionId, Effect, Input};
use crate::environment::ExecutorEnvironment;

/// Content type of calls and events.
const PROTOBUF: &str = "application/x-protobuf";

/// Events and calls that may wait on either side.
const QUEUE: usize = 1024;

/// What an executor learns from its client.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientEvent {
    /// The agent is reached; `SUBSCRIBED` follows.
    Connected,
    /// The agent is not reached any more.
    Disconnected,
    /// The agent (or the client's own rules: `SHUTDOWN`, `ERROR`) sent this.
    Event(Box<Event>),
    /// The time to shut down is over: end at once, with everything that was started.
    ForceExit,
}

/// Sends calls of one executor. Dropping it ends the client.
#[derive(Debug)]
pub struct ExecutorClient {
    inputs: mpsc::Sender<Input>,
    task: JoinHandle<()>,
}

impl ExecutorClient {
    /// Starts a client on the current tokio runtime. Its events come through the returned queue.
    #[must_use]
    pub fn start(environment: &ExecutorEnvironment) -> (Self, mpsc::Receiver<ClientEvent>) {
        let (events, received) = mpsc::channel(QUEUE);
        let (inputs, queue) = mpsc::channel(QUEUE);
        let seed = uuid::Uuid::new_v4().as_u64_pair().0;
        let core = ClientCore::new(ClientConfig {
            framework_id: environment.framework_id.clone(),
            executor_id: environment.executor_id.clone(),
            recovery_timeout: environment.recovery_timeout,
            backoff_max: environment.subscription_backoff_max,
            shutdown_grace_period: environment.shutdown_grace_period,
            seed,
        });
        let endpoint = Endpoint {
            address: environment.agent.address(),
            path: format!("/{}/api/v1/executor", environment.agent.id()),
            authorization: environment
                .authentication_token
                .as_ref()
                .map(|token| format!("Bearer {token}")),
        };
        let shell = Shell {
            core,
            endpoint,
            inputs: inputs.clone(),
            events,
            timers: BTreeMap::new(),
            open: None,
        };
        let task = tokio::spawn(shell.run(queue));
        (Self { inputs, task }, received)
    }

    /// Reports a task's state; source, uuid (16 bytes) and timestamp must be set. It is sent until acknowledged.
    pub async fn update(&self, status: TaskStatus) {
        self.input(Input::UpdateSent(Box::new(status))).await;
    }

    /// Sends bytes to the scheduler; lost when the agent is away.
    pub async fn message(&self, data: Vec<u8>) {
        self.input(Input::MessageSent(data)).await;
    }

    async fn input(&self, input: Input) {
        if self.inputs.send(input).await.is_err() {
            tracing::error!("the executor client has stopped");
        }
    }
}

impl Drop for ExecutorClient {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone, Debug)]
struct Endpoint {
    address: SocketAddrV4,
    path: String,
    authorization: Option<String>,
}

/// The connections of one attempt.
struct Open {
    connection: ConnectionId,
    calls: mpsc::Sender<Call>,
    tasks: Vec<AbortHandle>,
}

impl Drop for Open {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

struct Shell {
    core: ClientCore,
    endpoint: Endpoint,
    inputs: mpsc::Sender<Input>,
    events: mpsc::Sender<ClientEvent>,
    timers: BTreeMap<ClientTimer, AbortHandle>,
    open: Option<Open>,
}

impl Drop for Shell {
    fn drop(&mut self) {
        for timer in self.timers.values() {
            timer.abort();
        }
    }
}

impl Shell {
    async fn run(mut self, mut queue: mpsc::Receiver<Input>) {
        let mut next = Some(Input::Started);
        while let Some(input) = next {
            for effect in self.core.step(now(), input) {
                if !self.carry_out(effect).await {
                    return;
                }
            }
            next = queue.recv().await;
        }
    }

    /// Carries out one effect; false when nobody listens any more.
    async fn carry_out(&mut self, effect: Effect) -> bool {
        let event = match effect {
            Effect::Connect(connection) => {
                self.connect(connection);
                return true;
            }
            Effect::Disconnect => {
                self.open = None;
                return true;
            }
            Effect::SendCall(connection, call) => {
                self.send(connection, *call).await;
                return true;
            }
            Effect::SetTimer(timer, after) => {
                let inputs = self.inputs.clone();
                let task = tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    // The shell has ended when nobody takes it.
                    let _ = inputs.send(Input::Elapsed(timer)).await;
                });
                self.replace_timer(timer, Some(task.abort_handle()));
                return true;
            }
            Effect::CancelTimer(timer) => {
                self.replace_timer(timer, None);
                return true;
            }
            Effect::NotifyConnected => ClientEvent::Connected,
            Effect::NotifyDisconnected => ClientEvent::Disconnected,
            Effect::DeliverEvent(event) => ClientEvent::Event(event),
            Effect::ForceExit => ClientEvent::ForceExit,
        };
        self.events.send(event).await.is_ok()
    }

    fn replace_timer(&mut self, timer: ClientTimer, task: Option<AbortHandle>) {
        let old = match task {
            Some(task) => self.timers.insert(timer, task),
            None => self.timers.remove(&timer),
        };
        if let Some(old) = old {
            old.abort();
        }
    }

    fn connect(&mut self, connection: ConnectionId) {
        let (calls, queue) = mpsc::channel(QUEUE);
        let task = tokio::spawn(exchange_calls(
            self.endpoint.clone(),
            connection,
            self.inputs.clone(),
            queue,
        ));
        self.open = Some(Open {
            connection,
            calls,
            tasks: vec![task.abort_handle()],
        });
    }

    async fn send(&mut self, connection: ConnectionId, call: Call) {
        let Some(open) = self.open.as_mut().filter(|open| open.connection == connection) else {
            return;
        };
        if call.type_() == call::Type::SUBSCRIBE {
            let task = tokio::spawn(read_events(
                self.endpoint.clone(),
                connection,
                self.inputs.clone(),
                call,
            ));
            open.tasks.push(task.abort_handle());
        } else {
            // The exchange has ended when nobody takes it, and has told so.
            let _ = open.calls.send(call).await;
        }
    }
}

impl Endpoint {
    fn headers(&self) -> Vec<(&str, &str)> {
        let mut headers = vec![
            ("Content-Type", PROTOBUF),
            ("Accept", PROTOBUF),
            ("Connection", "keep-alive"),
        ];
        headers.extend(
            self.authorization
                .as_deref()
                .map(|authorization| ("Authorization", authorization)),
        );
        headers
    }
}

/// Looks whether the agent is there, then sends calls one after the other until one breaks.
async fn exchange_calls(
    endpoint: Endpoint,
    connection: ConnectionId,
    inputs: mpsc::Sender<Input>,
    mut queue: mpsc::Receiver<Call>,
) {
    let report = async |input| inputs.send(input).await.is_ok();
    let probe = tokio::time::timeout(core::CONNECT_PATIENCE, tokio::net::TcpStream::connect(endpoint.address)).await;
    match probe {
        Ok(Ok(_)) => report(Input::Connected(connection)).await,
        Ok(Err(error)) => report(Input::Disconnected(connection, error.to_string())).await,
        Err(_) => report(Input::Disconnected(connection, "the agent does not answer".to_owned())).await,
    };
    let mut client = Client::new(endpoint.address);
    while let Some(call) = queue.recv().await {
        let Ok(body) = call.write_to_bytes() else {
            tracing::error!(call = ?call.type_(), "call lacks required fields and is not sent");
            continue;
        };
        let answer = client
            .request(Method::POST, &endpoint.path, &endpoint.headers(), Bytes::from(body))
            .await;
        let reported = match answer {
            Ok(answer) if answer.status.is_success() => true,
            Ok(answer) => report(rejected(connection, &call, answer.status, answer.text())).await,
            Err(error) => {
                report(Input::Disconnected(connection, error_text(&error))).await;
                return;
            }
        };
        if !reported {
            return;
        }
    }
}

/// Subscribes and passes events on until the stream ends.
async fn read_events(endpoint: Endpoint, connection: ConnectionId, inputs: mpsc::Sender<Input>, call: Call) {
    let ended = match subscribe(&endpoint, connection, &inputs, &call).await {
        Ok(ended) => ended,
        Err(error) => Input::Disconnected(connection, error_text(&error)),
    };
    // Nobody listens when the client was dropped.
    let _ = inputs.send(ended).await;
}

async fn subscribe(
    endpoint: &Endpoint,
    connection: ConnectionId,
    inputs: &mpsc::Sender<Input>,
    call: &Call,
) -> Result<Input, ClientError> {
    let disconnected = |reason: &str| Ok(Input::Disconnected(connection, reason.to_owned()));
    let Ok(body) = call.write_to_bytes() else {
        return disconnected("the subscription lacks required fields");
    };
    let mut client = Client::new(endpoint.address);
    let mut stream = client
        .open(Method::POST, &endpoint.path, &endpoint.headers(), Bytes::from(body))
        .await?;
    if stream.status != StatusCode::OK {
        let text = stream.collect(core::REFUSAL_BYTES_MAX).await?;
        let text = String::from_utf8_lossy(&text).into_owned();
        return Ok(rejected(connection, call, stream.status, text));
    }
    let mut records = stream.into_records();
    while let Some(record) = records.next_record().await? {
        let Ok(event) = Event::parse_from_bytes(&record) else {
            return disconnected("the agent sent a record that is no event");
        };
        if inputs.send(Input::Received(connection, Box::new(event))).await.is_err() {
            return disconnected("the client has stopped");
        }
    }
    disconnected("the agent closed the stream")
}

fn rejected(connection: ConnectionId, call: &Call, status: StatusCode, message: String) -> Input {
    Input::Rejected {
        connection,
        call: call.type_(),
        status: status.as_u16(),
        message,
    }
}

/// An error with its cause in one line.
fn error_text(error: &ClientError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// The time of day, for cores that are told the time.
#[must_use]
pub fn now() -> Time {
    Time::EPOCH + SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
