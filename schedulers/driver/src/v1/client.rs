//! The v1 client as a task: carries the core's effects out over HTTP.

use std::time::Duration;

use libprocess::http::Method;
use libprocess::http::client::{Client as HttpClient, ClientLimits, RecordReader};
use libprocess::http::media::MediaType;
use libprocess_types::Time;
use mesos::detector::{MasterLocation, MasterLocationError};
use mesos_proto::v1::mesos::FrameworkInfo;
use mesos_proto::v1::scheduler::{Call, Event};
use protobuf::Message as _;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::core::{Core, Effect, Input, Limits, Problem};

const SCHEDULER_PATH: &str = "/api/v1/scheduler";
/// Notices that may wait for a framework that is busy; the stream is read no further meanwhile.
const NOTICES_MAX: usize = 1024;
/// Longest wait for the head of an answer: a master that takes longer is taken for dead.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);

/// What the client is told at its start.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Where the master is; see [`MasterLocation::parse`].
    pub master: String,
    /// The framework; with an id when it fails over.
    pub framework: FrameworkInfo,
    /// Roles that want no offers at first.
    pub suppressed_roles: Vec<String>,
    /// Encoding of calls and events.
    pub media_type: MediaType,
    /// Bounds of patience.
    pub limits: Limits,
    /// Seed of the random delays.
    pub seed: u64,
}

impl ClientConfig {
    /// Protobuf, default limits and a random seed.
    #[must_use]
    pub fn new(master: impl Into<String>, framework: FrameworkInfo) -> Self {
        Self {
            master: master.into(),
            framework,
            suppressed_roles: Vec::new(),
            media_type: MediaType::Protobuf,
            limits: Limits::default(),
            seed: uuid::Uuid::new_v4().as_u64_pair().0,
        }
    }
}

/// Why a client could not be started.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ClientError {
    /// The text for the master cannot be followed.
    #[error(transparent)]
    Master(#[from] MasterLocationError),
}

/// What the framework is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// An event of the master.
    Event(Box<Event>),
    /// The stream is gone; the client subscribes again by itself.
    Disconnected(Problem),
    /// The master will not have the framework; the client has ended.
    Refused(Problem),
    /// A call did not reach the master, or the master refused it.
    CallFailed {
        /// The call.
        call: Box<Call>,
        /// Why.
        reason: String,
    },
}

/// A subscribed framework. Dropping it closes the stream; the master then waits for the failover timeout.
#[derive(Debug)]
pub struct Client {
    calls: mpsc::UnboundedSender<Box<Call>>,
    notices: mpsc::Receiver<Notice>,
}

impl Client {
    /// Starts to follow the master, as a task of the current tokio runtime.
    ///
    /// # Errors
    ///
    /// Tells why the master's name cannot be followed.
    pub fn start(config: ClientConfig) -> Result<Self, ClientError> {
        let MasterLocation::Address { host, port } = MasterLocation::parse(&config.master)?;
        let (calls, calls_receiver) = mpsc::unbounded_channel();
        let (notices_sender, notices) = mpsc::channel(NOTICES_MAX);
        let worker = Worker {
            core: Core::new(config.framework, config.suppressed_roles, config.limits, config.seed),
            media_type: config.media_type,
            address: format!("{host}:{port}"),
            poster: None,
            stream: None,
            timer: None,
            notices: notices_sender,
            started: Instant::now(),
        };
        tokio::spawn(worker.run(calls_receiver));
        Ok(Self { calls, notices })
    }

    /// Waits for the next notice; nothing when the client has ended. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> Option<Notice> {
        self.notices.recv().await
    }

    /// Makes a call; the framework's id is filled in. A call that fails comes back as [`Notice::CallFailed`].
    pub fn call(&self, call: Call) {
        // A client that has ended has told so already.
        drop(self.calls.send(Box::new(call)));
    }
}

struct OpenStream {
    attempt: u64,
    records: RecordReader,
}

struct Worker {
    core: Core,
    media_type: MediaType,
    address: String,
    poster: Option<HttpClient>,
    stream: Option<OpenStream>,
    timer: Option<(u64, Instant)>,
    notices: mpsc::Sender<Notice>,
    started: Instant,
}

/// Ends the worker: the framework is gone or refused.
struct End;

impl Worker {
    async fn run(mut self, mut calls: mpsc::UnboundedReceiver<Box<Call>>) {
        let mut next = Some(Input::Started);
        loop {
            if let Some(input) = next.take()
                && self.apply(input).await.is_err()
            {
                return;
            }
            let timer = self.timer;
            tokio::select! {
                call = calls.recv() => match call {
                    Some(call) => next = Some(Input::CallMade(call)),
                    None => return,
                },
                input = read_event(&mut self.stream, self.media_type) => next = Some(input),
                attempt = elapsed(timer) => {
                    self.timer = None;
                    next = Some(Input::TimerElapsed { attempt });
                }
            }
        }
    }

    fn now(&self) -> Time {
        Time::EPOCH + self.started.elapsed()
    }

    /// Applies an input and everything that follows at once.
    async fn apply(&mut self, input: Input) -> Result<(), End> {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            if matches!(input, Input::StreamEnded { .. }) {
                self.stream = None;
            }
            for effect in self.core.step(self.now(), input) {
                inputs.extend(self.carry_out(effect).await?);
            }
        }
        Ok(())
    }

    async fn carry_out(&mut self, effect: Effect) -> Result<Option<Input>, End> {
        match effect {
            Effect::Subscribe { attempt, call } => Ok(Some(self.subscribe(attempt, &call).await)),
            Effect::Post { stream_id, call } => self.post(&stream_id, call).await.map(|()| None),
            Effect::SetTimer { attempt, after } => {
                self.timer = Some((attempt, Instant::now() + after));
                Ok(None)
            }
            Effect::Deliver(event) => self.tell(Notice::Event(event)).await.map(|()| None),
            Effect::TellDisconnected(problem) => {
                self.stream = None;
                self.tell(Notice::Disconnected(problem)).await.map(|()| None)
            }
            Effect::TellRefused(problem) => {
                self.tell(Notice::Refused(problem)).await?;
                Err(End)
            }
            Effect::DropCall(call) => {
                let reason = "not subscribed".to_owned();
                self.tell(Notice::CallFailed { call, reason }).await.map(|()| None)
            }
        }
    }

    async fn tell(&self, notice: Notice) -> Result<(), End> {
        self.notices.send(notice).await.map_err(|_| End)
    }

    async fn subscribe(&mut self, attempt: u64, call: &Call) -> Input {
        self.stream = None;
        self.poster = None;
        let limits = ClientLimits {
            answer_patience: Some(ANSWER_PATIENCE),
            ..ClientLimits::default()
        };
        let mut client = HttpClient::with_limits(&self.address, limits);
        let headers = self.headers(None);
        let opened = client
            .open(Method::POST, SCHEDULER_PATH, &headers, self.encode(call))
            .await;
        let mut response = match opened {
            Ok(response) => response,
            Err(error) => {
                return Input::StreamEnded {
                    attempt,
                    problem: Problem::Connection(error.to_string()),
                };
            }
        };
        let status = response.status.as_u16();
        if status != 200 {
            self.follow(response.header("location"));
            let body = response.collect(64 * 1024).await.unwrap_or_default();
            let body = String::from_utf8_lossy(&body).into_owned();
            return Input::StreamEnded {
                attempt,
                problem: Problem::Refused { status, body },
            };
        }
        let stream_id = response.header("mesos-stream-id").unwrap_or_default().to_owned();
        self.stream = Some(OpenStream {
            attempt,
            records: response.into_records(),
        });
        Input::StreamOpened { attempt, stream_id }
    }

    /// Takes the leader's address from a redirect (`//HOST:PORT/path`).
    fn follow(&mut self, location: Option<&str>) {
        let Some(rest) = location
            .and_then(|location| location.rsplit_once("//"))
            .map(|(_, rest)| rest)
        else {
            return;
        };
        let address = rest.split('/').next().unwrap_or_default();
        if !address.is_empty() {
            address.clone_into(&mut self.address);
        }
    }

    async fn post(&mut self, stream_id: &str, call: Box<Call>) -> Result<(), End> {
        let headers = self.headers(Some(stream_id));
        let body = self.encode(&call);
        let address = &self.address;
        let poster = self.poster.get_or_insert_with(|| HttpClient::new(address));
        let reason = match poster.request(Method::POST, SCHEDULER_PATH, &headers, body).await {
            Ok(answer) if answer.status.is_success() => return Ok(()),
            Ok(answer) => format!("master answered {}: {}", answer.status.as_u16(), answer.text()),
            Err(error) => error.to_string(),
        };
        self.tell(Notice::CallFailed { call, reason }).await
    }

    fn headers<'a>(&self, stream_id: Option<&'a str>) -> Vec<(&'static str, &'a str)> {
        let media_type = self.media_type.as_str();
        let mut headers = vec![("Content-Type", media_type), ("Accept", media_type)];
        headers.extend(stream_id.map(|id| ("Mesos-Stream-Id", id)));
        headers
    }

    fn encode(&self, call: &Call) -> bytes::Bytes {
        match self.media_type {
            MediaType::Json => mesos::json::to_string(call).into(),
            // A call without a required field is refused by the master, which names the field.
            MediaType::Protobuf => call.write_to_bytes().unwrap_or_default().into(),
        }
    }
}

async fn elapsed(timer: Option<(u64, Instant)>) -> u64 {
    match timer {
        Some((attempt, at)) => {
            tokio::time::sleep_until(at).await;
            attempt
        }
        None => std::future::pending().await,
    }
}

/// The next event of the stream as an input; waits for ever without a stream.
async fn read_event(stream: &mut Option<OpenStream>, media_type: MediaType) -> Input {
    let Some(open) = stream else {
        return std::future::pending().await;
    };
    let attempt = open.attempt;
    let ended = |text: String| Input::StreamEnded {
        attempt,
        problem: Problem::Connection(text),
    };
    let record = match open.records.next_record().await {
        Ok(Some(record)) => record,
        Ok(None) => return ended("the master closed the stream".to_owned()),
        Err(error) => return ended(error.to_string()),
    };
    let event = match media_type {
        MediaType::Json => mesos::json::from_slice::<Event>(&record).map_err(|error| error.to_string()),
        MediaType::Protobuf => Event::parse_from_bytes(&record).map_err(|error| error.to_string()),
    };
    match event {
        Ok(event) => Input::EventReceived {
            attempt,
            event: Box::new(event),
        },
        Err(error) => ended(format!("the master sent no event: {error}")),
    }
}
