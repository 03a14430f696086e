//! A framework on the bare v1 scheduler API: JSON over one socket for events and one socket a call.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::events::{EventStream, NoEvent};
use crate::http::{Answer, exchange};

/// Longest wait for something that has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A subscribed framework; its stream is cut when it is dropped.
#[derive(Debug)]
pub struct Scheduler {
    master: SocketAddr,
    id: String,
    stream_id: String,
    events: EventStream,
    /// What came and was not asked for yet.
    backlog: VecDeque<Value>,
    subscribed: Value,
}

impl Scheduler {
    /// Subscribes and waits for the confirmation.
    ///
    /// # Panics
    ///
    /// Panics when the master refuses.
    #[must_use]
    pub fn subscribe(master: SocketAddr, framework: &Value) -> Self {
        Self::subscribe_with(master, framework, &[])
    }

    /// Subscribes with roles that want no offers at first.
    ///
    /// # Panics
    ///
    /// Panics when the master refuses.
    #[must_use]
    pub fn subscribe_with(master: SocketAddr, framework: &Value, suppressed_roles: &[&str]) -> Self {
        let events = open(master, framework, suppressed_roles);
        let stream_id = events
            .answer()
            .header("mesos-stream-id")
            .expect("a stream id")
            .to_owned();
        let mut scheduler = Self {
            master,
            id: String::new(),
            stream_id,
            events,
            backlog: VecDeque::new(),
            subscribed: Value::Null,
        };
        let first = scheduler.pull(PATIENCE).expect("a first event");
        assert_eq!(first["type"], "SUBSCRIBED", "{first}");
        first["subscribed"]["framework_id"]["value"]
            .as_str()
            .expect("an id")
            .clone_into(&mut scheduler.id);
        scheduler.subscribed = first["subscribed"].clone();
        scheduler
    }

    /// Subscribes, is refused by an event, and gives that event's contents.
    ///
    /// # Panics
    ///
    /// Panics when the first event is no refusal.
    #[must_use]
    pub fn refused(master: SocketAddr, framework: &Value) -> Value {
        let events = open(master, framework, &[]);
        let event = events.next(PATIENCE).expect("a first event");
        assert_eq!(event["type"], "ERROR", "{event}");
        event["error"].clone()
    }

    /// Id of the framework.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Id of the stream.
    #[must_use]
    pub fn stream_id(&self) -> &str {
        &self.stream_id
    }

    /// What the master confirmed.
    #[must_use]
    pub const fn subscribed(&self) -> &Value {
        &self.subscribed
    }

    /// Makes a call on this stream; the framework's id is filled in.
    ///
    /// # Panics
    ///
    /// Panics when the master does not answer.
    #[must_use]
    pub fn try_call(&self, call: Value) -> Answer {
        self.call_on(call, &format!("Mesos-Stream-Id: {}\r\n", self.stream_id))
    }

    /// Makes a call with other header lines than a well-behaved framework.
    ///
    /// # Panics
    ///
    /// Panics when the master does not answer.
    #[must_use]
    pub fn call_on(&self, mut call: Value, headers: &str) -> Answer {
        call["framework_id"] = json!({"value": self.id});
        exchange(self.master, &request(&call, headers)).expect("the master answers")
    }

    /// Makes a call that has to be accepted.
    ///
    /// # Panics
    ///
    /// Panics when it is not.
    pub fn call(&self, call: Value) {
        let told = call.to_string();
        let answer = self.try_call(call);
        assert_eq!(answer.status, 202, "{told}: {}", answer.text());
    }

    /// The next event that `pick` takes; the others stay for later.
    ///
    /// # Panics
    ///
    /// Panics when none comes, with those that came.
    pub fn wait_for<T>(&mut self, what: &str, mut pick: impl FnMut(&Value) -> Option<T>) -> T {
        self.within(PATIENCE, &mut pick)
            .unwrap_or_else(|| panic!("no {what}; other events: {:#?}", self.backlog))
    }

    /// As [`Self::wait_for`], but nothing when none comes in this time.
    pub fn within<T>(&mut self, time: Duration, mut pick: impl FnMut(&Value) -> Option<T>) -> Option<T> {
        for index in 0..self.backlog.len() {
            if let Some(picked) = pick(&self.backlog[index]) {
                self.backlog.remove(index);
                return Some(picked);
            }
        }
        let deadline = Instant::now() + time;
        while let Some(event) = self.pull(deadline.saturating_duration_since(Instant::now())) {
            if let Some(picked) = pick(&event) {
                return Some(picked);
            }
            self.backlog.push_back(event);
        }
        None
    }

    fn pull(&self, time: Duration) -> Option<Value> {
        self.events.next(time).ok()
    }

    /// Waits until the master has closed the stream; what came before stays for later.
    ///
    /// # Panics
    ///
    /// Panics when the stream stays open.
    pub fn wait_closed(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.events.next(deadline.saturating_duration_since(Instant::now())) {
                Ok(event) => self.backlog.push_back(event),
                Err(NoEvent::Closed) => return,
                Err(NoEvent::InTime) => panic!("the stream stays open"),
            }
        }
    }

    /// Cuts the stream, as a framework that crashes.
    pub fn cut(&mut self) {
        self.events.cut();
    }

    /// The next offer, out of an event that may hold several.
    pub fn offer(&mut self) -> Value {
        let mut offers = self.wait_for("offer", |event| offers_of(event).map(<[Value]>::to_vec));
        let offer = offers.remove(0);
        for rest in offers {
            self.backlog
                .push_back(json!({"type": "OFFERS", "offers": {"offers": [rest]}}));
        }
        offer
    }

    /// Uses an offer for tasks; what is left of it is refused for `refuse_seconds`.
    pub fn launch(&self, offer: &Value, tasks: &[Value], refuse_seconds: f64) {
        let tasks: Vec<Value> = tasks
            .iter()
            .cloned()
            .map(|mut task| {
                task["agent_id"] = offer["agent_id"].clone();
                task
            })
            .collect();
        self.call(json!({"type": "ACCEPT", "accept": {
            "offer_ids": [offer["id"]],
            "operations": [{"type": "LAUNCH", "launch": {"task_infos": tasks}}],
            "filters": {"refuse_seconds": refuse_seconds},
        }}));
    }

    /// Refuses an offer.
    pub fn decline(&self, offer: &Value, refuse_seconds: f64) {
        self.call(json!({"type": "DECLINE", "decline": {
            "offer_ids": [offer["id"]], "filters": {"refuse_seconds": refuse_seconds},
        }}));
    }

    /// The next update of a task, acknowledged.
    pub fn update(&mut self, task: &str) -> Value {
        let what = format!("update of task {task}");
        let status = self.wait_for(&what, |event| {
            let status = &event["update"]["status"];
            (event["type"] == "UPDATE" && status["task_id"]["value"] == task).then(|| status.clone())
        });
        if status.get("uuid").is_some() {
            self.call(json!({"type": "ACKNOWLEDGE", "acknowledge": {
                "agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": status["uuid"],
            }}));
        }
        status
    }

    /// Acknowledges updates of a task until it is in `state`; gives that update.
    pub fn until(&mut self, task: &str, state: &str) -> Value {
        let mut before = Vec::new();
        loop {
            let status = self.update(task);
            if status["state"] == state {
                return status;
            }
            let terminal = [
                "TASK_FINISHED",
                "TASK_FAILED",
                "TASK_KILLED",
                "TASK_LOST",
                "TASK_ERROR",
                "TASK_DROPPED",
            ]
            .iter()
            .any(|terminal| status["state"] == *terminal);
            before.push(status);
            assert!(!terminal, "task {task} ended without {state}: {before:#?}");
        }
    }

    /// Kills a task.
    pub fn kill(&self, task: &str) {
        self.call(json!({"type": "KILL", "kill": {"task_id": {"value": task}}}));
    }
}

/// The offers of an event; nothing when it is none of offers.
#[must_use]
pub fn offers_of(event: &Value) -> Option<&[Value]> {
    (event["type"] == "OFFERS").then(|| event["offers"]["offers"].as_array().map_or(&[][..], Vec::as_slice))
}

/// A framework's description that most tests can use.
#[must_use]
pub fn framework(name: &str) -> Value {
    json!({
        "user": user(), "name": name, "roles": ["*"], "failover_timeout": 600.0, "checkpoint": true,
        "capabilities": [{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}],
    })
}

/// Name of the user that runs the tests.
#[must_use]
pub fn user() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
    user.map_or_else(|| "root".to_owned(), |user| user.name)
}

/// Scalar resources.
#[must_use]
pub fn scalars(resources: &[(&str, f64)]) -> Value {
    resources
        .iter()
        .map(|(name, value)| json!({"name": name, "type": "SCALAR", "scalar": {"value": value}}))
        .collect()
}

/// A task that runs a shell command with a small share of an agent.
#[must_use]
pub fn command_task(id: &str, command: &str) -> Value {
    json!({
        "name": id, "task_id": {"value": id}, "resources": scalars(&[("cpus", 0.1), ("mem", 32.0)]),
        "command": {"shell": true, "value": command},
    })
}

/// Asks for a stream.
fn open(master: SocketAddr, framework: &Value, suppressed_roles: &[&str]) -> EventStream {
    let mut call = json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": framework}});
    call["subscribe"]["suppressed_roles"] = json!(suppressed_roles);
    if let Some(id) = framework.get("id") {
        call["framework_id"] = id.clone();
    }
    let events = EventStream::open(master, &request(&call, ""), PATIENCE).expect("the master answers");
    assert_eq!(events.answer().status, 200, "{}", events.answer().text());
    events
}

/// A call as bytes, with more header lines.
pub(crate) fn request(call: &Value, headers: &str) -> Vec<u8> {
    let body = call.to_string();
    format!(
        "POST /api/v1/scheduler HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
