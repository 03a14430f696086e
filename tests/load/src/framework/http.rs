//! A framework over `/api/v1/scheduler`, as tasks of the runtime: one reads the stream, some make calls.
//!
//! Bodies are read and written with the unversioned messages: as far as they are used here, their bytes are the same as
//! those of v1.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use libprocess::Clock;
use libprocess::http::Method;
use libprocess::http::client::{Client, ClientError};
use mesos_proto::v0::scheduler::{Call, Event, event};
use protobuf::Message as _;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::core::{Effect, FrameworkCore, FrameworkEvent, FrameworkInput};
use crate::record::{Note, Recorder};

const SCHEDULER_PATH: &str = "/api/v1/scheduler";
const MEDIA_TYPE: &str = "application/x-protobuf";
/// Pause before subscribing again.
const SUBSCRIBE_PAUSE: Duration = Duration::from_millis(200);

/// A call on its way.
struct Post {
    stream_id: Arc<str>,
    body: Bytes,
}

/// A framework over HTTP.
pub struct HttpFramework {
    core: FrameworkCore,
    address: String,
    clock: Arc<dyn Clock>,
    recorder: Arc<Recorder>,
    posters: Vec<mpsc::UnboundedSender<Post>>,
    next_poster: usize,
    stream_id: Arc<str>,
    timer: Option<Instant>,
}

impl HttpFramework {
    /// Starts a framework that subscribes until it is ended, and makes its calls over so many connections in turn.
    /// Calls of different connections may overtake each other; none of what frameworks here do depends on their order.
    pub fn start(
        core: FrameworkCore,
        address: String,
        connections: usize,
        clock: Arc<dyn Clock>,
        recorder: Arc<Recorder>,
        tasks: &mut JoinSet<()>,
    ) -> AbortHandle {
        let mut posters = Vec::new();
        for _ in 0..connections.max(1) {
            let (sender, receiver) = mpsc::unbounded_channel();
            posters.push(sender);
            let client = Client::new(&address);
            tasks.spawn(post_all(client, receiver, Arc::clone(&clock), Arc::clone(&recorder)));
        }
        let framework = Self {
            core,
            address,
            clock,
            recorder,
            posters,
            next_poster: 0,
            stream_id: Arc::from(""),
            timer: None,
        };
        tasks.spawn(framework.run())
    }

    async fn run(mut self) {
        loop {
            let subscribe = self.core.step(self.clock.now(), FrameworkInput::MasterFound);
            for effect in subscribe {
                if let Effect::Subscribe(call) = effect {
                    self.follow(&call).await;
                }
            }
            if self.core.is_subscribed() {
                self.apply(FrameworkInput::Disconnected);
            }
            tokio::time::sleep(SUBSCRIBE_PAUSE).await;
        }
    }

    /// Subscribes and reads the stream until it ends.
    async fn follow(&mut self, call: &Call) {
        let headers = [("Content-Type", MEDIA_TYPE), ("Accept", MEDIA_TYPE)];
        let mut client = Client::new(&self.address);
        // A master that is away is no news: whoever stopped it knows.
        let Ok(mut response) = client.open(Method::POST, SCHEDULER_PATH, &headers, encode(call)).await else {
            return;
        };
        let status = response.status.as_u16();
        if status != 200 {
            let body = response.collect(64 * 1024).await.unwrap_or_default();
            let text = String::from_utf8_lossy(&body).into_owned();
            return self.note(Note::Problem(format!("a subscription got {status}: {text}")));
        }
        self.stream_id = response.header("mesos-stream-id").unwrap_or_default().into();
        let mut records = response.into_records();
        loop {
            let timer = self.timer;
            tokio::select! {
                record = records.next_record() => match self.take_record(record) {
                    Some(event) => self.apply(FrameworkInput::Event(event)),
                    None => return,
                },
                () = elapsed(timer) => {
                    self.timer = None;
                    self.apply(FrameworkInput::TimerElapsed);
                }
            }
        }
    }

    fn take_record(&self, record: Result<Option<Bytes>, ClientError>) -> Option<FrameworkEvent> {
        let record = record.ok()??;
        match Event::parse_from_bytes(&record) {
            Ok(event) => Some(framework_event(event)),
            Err(error) => {
                self.note(Note::Problem(format!("an event does not parse: {error}")));
                None
            }
        }
    }

    fn note(&self, note: Note) {
        self.recorder.note(self.clock.now(), note);
    }

    fn apply(&mut self, input: FrameworkInput) {
        for effect in self.core.step(self.clock.now(), input) {
            match effect {
                // Only `run` subscribes.
                Effect::Subscribe(_) => {}
                Effect::Call(call) => {
                    self.next_poster = (self.next_poster + 1) % self.posters.len();
                    let post = Post {
                        stream_id: Arc::clone(&self.stream_id),
                        body: encode(&call),
                    };
                    // Posters end only together with this task.
                    drop(self.posters[self.next_poster].send(post));
                }
                Effect::SetTimer(after) => self.timer = Some(Instant::now() + after),
                Effect::Note(note) => self.note(note),
            }
        }
    }
}

fn encode(call: &Call) -> Bytes {
    // Calls without a required field are refused by the master, which tells so.
    call.write_to_bytes().unwrap_or_default().into()
}

async fn elapsed(timer: Option<Instant>) {
    match timer {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn post_all(
    mut client: Client,
    mut posts: mpsc::UnboundedReceiver<Post>,
    clock: Arc<dyn Clock>,
    recorder: Arc<Recorder>,
) {
    while let Some(post) = posts.recv().await {
        let headers = [
            ("Content-Type", MEDIA_TYPE),
            ("Accept", MEDIA_TYPE),
            ("Mesos-Stream-Id", &*post.stream_id),
        ];
        let problem = match client.request(Method::POST, SCHEDULER_PATH, &headers, post.body).await {
            Ok(answer) if answer.status.is_success() => continue,
            Ok(answer) => format!("a call got {}: {}", answer.status.as_u16(), answer.text()),
            Err(error) => format!("a call was not answered: {error}"),
        };
        recorder.note(clock.now(), Note::Problem(problem));
    }
}

/// What an event of the stream means.
fn framework_event(event: Event) -> FrameworkEvent {
    match event.type_() {
        event::Type::SUBSCRIBED => FrameworkEvent::Subscribed(event.subscribed.framework_id.value().to_owned()),
        event::Type::OFFERS => FrameworkEvent::Offers(event.offers.unwrap_or_default().offers),
        event::Type::RESCIND => {
            FrameworkEvent::Rescinded(event.rescind.unwrap_or_default().offer_id.unwrap_or_default())
        }
        event::Type::UPDATE => {
            FrameworkEvent::Update(Box::new(event.update.unwrap_or_default().status.unwrap_or_default()))
        }
        event::Type::ERROR => FrameworkEvent::Error(event.error.message().to_owned()),
        _ => FrameworkEvent::Other,
    }
}
