//! A framework, or an operator, on an event stream: what came and was not asked for yet, and what is done.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::describe::Description;
use super::json::fits;
use super::run::Failure;
use crate::events::{EventStream, NoEvent};
use crate::http::{Answer, exchange};
use crate::scheduler::request;

/// Longest wait for something that has to happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(45);

/// Events of one stream.
#[derive(Debug)]
pub(super) struct Events {
    stream: EventStream,
    backlog: VecDeque<Value>,
    /// How many events came in all: where a span of time begins and ends.
    pub received: usize,
}

impl Events {
    pub const fn new(stream: EventStream) -> Self {
        Self {
            stream,
            backlog: VecDeque::new(),
            received: 0,
        }
    }

    /// Takes the first event that `pick` takes; the others stay for later.
    pub fn wait<T>(&mut self, what: &str, mut pick: impl FnMut(&Value) -> Option<T>) -> Result<T, Failure> {
        for index in 0..self.backlog.len() {
            if let Some(picked) = pick(&self.backlog[index]) {
                self.backlog.remove(index);
                return Ok(picked);
            }
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            for event in self.read(deadline, what)? {
                self.backlog.push_back(event);
            }
            // Several offers may have come at once: look at all that is new.
            for index in 0..self.backlog.len() {
                if let Some(picked) = pick(&self.backlog[index]) {
                    self.backlog.remove(index);
                    return Ok(picked);
                }
            }
        }
    }

    /// Reads one event, with each offer in an event of its own.
    fn read(&mut self, deadline: Instant, what: &str) -> Result<Vec<Value>, Failure> {
        let left = deadline.saturating_duration_since(Instant::now());
        let event = self.stream.next(left).map_err(|error| match error {
            NoEvent::Closed => Failure::Closed {
                what: what.to_owned(),
                backlog: self.shown(),
            },
            NoEvent::InTime => Failure::Missing {
                what: what.to_owned(),
                backlog: self.shown(),
            },
        })?;
        self.received += 1;
        if event["type"] == "RESCIND" {
            // Nobody can use the offer any more.
            let id = &event["rescind"]["offer_id"];
            self.backlog.retain(|known| &known["offer"]["id"] != id);
        }
        if event["type"] == "OFFERS" {
            let offers = event["offers"]["offers"].as_array().cloned().unwrap_or_default();
            let single = |offer| json!({"type": "OFFER", "offer": offer, "number": self.received});
            return Ok(offers.into_iter().map(single).collect());
        }
        let mut event = event;
        event["number"] = json!(self.received);
        Ok(vec![event])
    }

    /// What came and nobody asked for, in short.
    pub fn shown(&self) -> String {
        let events: Vec<String> = self
            .backlog
            .iter()
            .filter(|event| event["type"] != "HEARTBEAT")
            .map(|event| event.to_string().chars().take(700).collect())
            .collect();
        if events.is_empty() {
            return "nothing else came".to_owned();
        }
        format!("what came instead:\n      {}", events.join("\n      "))
    }

    /// The first event of a kind that came after a number of others, if any.
    pub fn find_since(&self, received: usize, kind: &str, pattern: Option<&Value>) -> Option<&Value> {
        let new = |event: &&Value| event["number"].as_u64().is_some_and(|number| number > received as u64);
        self.backlog
            .iter()
            .filter(new)
            .find(|event| is_of(event, kind, pattern))
    }

    /// Waits until the other side has closed the stream.
    pub fn wait_closed(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.read(deadline, "the end of the stream") {
                Ok(events) => self.backlog.extend(events),
                Err(Failure::Closed { .. }) => return Ok(()),
                Err(other) => return Err(other),
            }
        }
    }
}

/// Whether an event is of a kind and its contents fit.
pub(super) fn is_of(event: &Value, kind: &str, pattern: Option<&Value>) -> bool {
    event["type"] == kind && pattern.is_none_or(|pattern| fits(contents(event), pattern))
}

/// The field that is named like the type; the whole event when there is none.
pub(super) fn contents(event: &Value) -> &Value {
    let field = event["type"].as_str().unwrap_or_default().to_lowercase();
    event.get(&field).unwrap_or(event)
}

/// A framework of a scenario.
#[derive(Debug)]
pub(super) struct Scheduler {
    master: SocketAddr,
    pub description: Description,
    stream_id: String,
    pub events: Option<Events>,
    barriers: u32,
}

impl Scheduler {
    pub const fn new(master: SocketAddr, description: Description) -> Self {
        Self {
            master,
            description,
            stream_id: String::new(),
            events: None,
            barriers: 0,
        }
    }

    /// Its id, once it has one.
    pub fn id(&self) -> Option<&Value> {
        self.description.info.get("id")
    }

    /// Subscribes, and gives the contents of the confirmation.
    pub fn subscribe(&mut self) -> Result<Value, Failure> {
        let (answer, mut events) = self.open()?;
        if answer.status != 200 {
            return Err(Failure::status(200, &answer));
        }
        let first = events.wait("a first event", |event| Some(event.clone()))?;
        if first["type"] != "SUBSCRIBED" {
            return Err(Failure::Other {
                what: "the first event".to_owned(),
                wanted: "SUBSCRIBED".to_owned(),
                found: first.to_string(),
            });
        }
        let subscribed = contents(&first).clone();
        self.description.info["id"] = subscribed["framework_id"].clone();
        answer
            .header("mesos-stream-id")
            .unwrap_or_default()
            .clone_into(&mut self.stream_id);
        self.events = Some(events);
        Ok(subscribed)
    }

    /// Subscribes and gives the answer with the first event, if it is a stream.
    pub fn try_subscribe(&self) -> Result<(Answer, Option<Value>), Failure> {
        let (answer, mut events) = self.open()?;
        if answer.status != 200 {
            return Ok((answer, None));
        }
        let first = events.wait("a first event", |event| Some(event.clone()))?;
        Ok((answer, Some(first)))
    }

    fn open(&self) -> Result<(Answer, Events), Failure> {
        let mut call = json!({"type": "SUBSCRIBE", "subscribe": self.description.payload()});
        if let Some(id) = self.id() {
            call["framework_id"] = id.clone();
        }
        let stream = EventStream::open(self.master, &request(&call, ""), PATIENCE)?;
        Ok((stream.answer().clone(), Events::new(stream)))
    }

    /// Makes a call on the stream.
    pub fn call(&self, kind: &str, payload: Option<Value>, headers: &[String]) -> Result<Answer, Failure> {
        let mut call = json!({"type": kind, "framework_id": self.id()});
        if let Some(payload) = payload {
            call[kind.to_lowercase()] = payload;
        }
        let mut lines = String::new();
        let own = format!("Mesos-Stream-Id: {}", self.stream_id);
        let replaced = headers
            .iter()
            .any(|line| line.to_lowercase().starts_with("mesos-stream-id:"));
        for line in headers.iter().chain((!replaced).then_some(&own)) {
            // A line without a value only takes the usual one away.
            if !line.trim_end().ends_with(':') {
                lines.push_str(line);
                lines.push_str("\r\n");
            }
        }
        Ok(exchange(self.master, &request(&call, &lines))?)
    }

    /// Makes a call that has to be accepted.
    pub fn must(&self, kind: &str, payload: Option<Value>) -> Result<(), Failure> {
        let answer = self.call(kind, payload, &[])?;
        if answer.status == 202 {
            return Ok(());
        }
        Err(Failure::status(202, &answer))
    }

    /// Its stream.
    pub fn events(&mut self) -> Result<&mut Events, Failure> {
        self.events.as_mut().ok_or(Failure::NotSubscribed)
    }

    /// Waits until everything is here that the master had sent before: asks about a task that nobody knows, and the
    /// answer comes last. Gives the number of events so far.
    pub fn barrier(&mut self) -> Result<usize, Failure> {
        self.barriers += 1;
        let id = format!("barrier-{}", self.barriers);
        self.must("RECONCILE", Some(json!({"tasks": [{"task_id": {"value": id}}]})))?;
        let events = self.events()?;
        events.wait("the answer to a reconciliation", |event| {
            (event["update"]["status"]["task_id"]["value"] == id.as_str()).then_some(())
        })?;
        Ok(events.received)
    }

    /// The next status of a task, or of an operation.
    pub fn status(&mut self, id: &str, operation: bool) -> Result<Value, Failure> {
        let (field, key) = if operation {
            ("update_operation_status", "operation_id")
        } else {
            ("update", "task_id")
        };
        let what = format!("an update of {id}");
        self.events()?.wait(&what, |event| {
            let status = &event[field]["status"];
            (status[key]["value"] == id).then(|| status.clone())
        })
    }

    /// Acknowledges a status, when it wants that.
    pub fn acknowledge(&self, status: &Value, operation: bool) -> Result<(), Failure> {
        if status.get("uuid").is_none_or(Value::is_null) {
            return Ok(());
        }
        let (kind, names): (_, &[&str]) = if operation {
            let names = &["agent_id", "resource_provider_id", "operation_id"];
            ("ACKNOWLEDGE_OPERATION_STATUS", names)
        } else {
            ("ACKNOWLEDGE", &["agent_id", "task_id"])
        };
        let uuid = if operation {
            &status["uuid"]["value"]
        } else {
            &status["uuid"]
        };
        let mut payload = json!({"uuid": uuid});
        for name in names {
            if let Some(value) = status.get(*name) {
                payload[*name] = value.clone();
            }
        }
        self.must(kind, Some(payload))
    }
}
