//! Everything that a running scenario knows, and how each kind of line is carried out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use serde_json::{Value, json};

use super::client::{Events, PATIENCE, Scheduler};
use super::control::Site;
use super::describe::{Description, executor};
use super::json::{Names, fill, fill_text, fits, part, same};
use super::resources::{enough, is_resource};
use super::run::{Failure, Target, shortened};
use super::step::{Action, Claim, Expected, GateAction, Request, Step};
use super::token::{Pair, Relation};
use crate::events::EventStream;
use crate::gate::Gate;
use crate::http::{Answer, exchange};

/// Updates after which nothing else comes for a task.
const TERMINAL: &[&str] = &[
    "TASK_FINISHED",
    "TASK_FAILED",
    "TASK_KILLED",
    "TASK_ERROR",
    "TASK_DROPPED",
    "TASK_GONE",
    "TASK_GONE_BY_OPERATOR",
];

/// A running scenario.
pub(super) struct World<'a> {
    target: Target<'a>,
    pub(super) master: SocketAddr,
    pub(super) names: Names,
    pub(super) schedulers: BTreeMap<String, Scheduler>,
    pub(super) watches: BTreeMap<String, Events>,
    /// Whose each task is.
    pub(super) tasks: BTreeMap<String, String>,
    gates: BTreeMap<String, Gate>,
    /// Begin of the line before: its end may be seen late, and a time that it started would seem too short.
    before: Instant,
}

impl<'a> World<'a> {
    pub fn new(target: Target<'a>) -> Self {
        let master = match &target {
            Target::Master(address) => *address,
            Target::Own(site) => site.master(),
            Target::Shared(site) => site.master(),
        };
        let mut names = Names::new();
        let raw = concat!("exec python3 ", env!("CARGO_MANIFEST_DIR"), "/raw/executor.py");
        names.insert("raw_executor".to_owned(), json!(raw));
        names.insert("master".to_owned(), json!(master.to_string()));
        Self {
            target,
            master,
            names,
            schedulers: BTreeMap::new(),
            watches: BTreeMap::new(),
            tasks: BTreeMap::new(),
            gates: BTreeMap::new(),
            before: Instant::now(),
        }
    }

    fn site(&self) -> Option<&Site> {
        match &self.target {
            Target::Master(_) => None,
            Target::Own(site) => Some(site),
            Target::Shared(site) => Some(site),
        }
    }

    /// Carries out one line.
    pub fn carry_out(&mut self, step: &Step) -> Result<(), Failure> {
        let before = std::mem::replace(&mut self.before, Instant::now());
        self.step(step, before)
    }

    pub(super) fn step(&mut self, step: &Step, before: Instant) -> Result<(), Failure> {
        match step {
            Step::Framework { name, like, pairs } => self.framework(name, like.as_deref(), pairs),
            Step::Executor { name, pairs } => {
                let info = executor(&self.names, name, pairs)?;
                self.names.insert(name.clone(), info);
                Ok(())
            }
            Step::Let { name, value } => {
                let value = fill(&self.names, value)?;
                self.names.insert(name.clone(), value);
                Ok(())
            }
            Step::Check { value, claim } => self.check(value, claim),
            Step::Scheduler { framework, act } => self.act(framework, act),
            Step::Becomes { task, state, pairs } => self.becomes(task, state, pairs),
            Step::Http { at, request, answer } => self.http(at.as_deref(), request, answer),
            Step::Watch { name } => self.watch(name),
            Step::Process { agent, action, flags } => self.process(agent.as_deref(), *action, flags),
            Step::Gate { name, action } => self.gate(name, *action),
            Step::NoSooner { than, step } => {
                self.step(&step.step, before)?;
                let took = before.elapsed();
                if took < *than {
                    return Err(Failure::Other {
                        what: "time since the begin of the line before".to_owned(),
                        wanted: format!("at least {than:?}"),
                        found: format!("{took:?}"),
                    });
                }
                Ok(())
            }
        }
    }

    fn framework(&mut self, name: &str, like: Option<&str>, pairs: &[Pair]) -> Result<(), Failure> {
        let mut description = match like {
            None => Description::new(name),
            Some(like) => self.scheduler(like)?.description.clone(),
        };
        description.change(&self.names, pairs)?;
        let scheduler = Scheduler::new(self.master, description);
        self.schedulers.insert(name.to_owned(), scheduler);
        Ok(())
    }

    /// A framework by its name.
    pub(super) fn scheduler(&mut self, name: &str) -> Result<&mut Scheduler, Failure> {
        self.schedulers
            .get_mut(name)
            .ok_or_else(|| Failure::NoFramework(name.to_owned()))
    }

    fn check(&self, value: &Value, claim: &Claim) -> Result<(), Failure> {
        let what = value.as_str().unwrap_or("the value").to_owned();
        let value = fill(&self.names, value)?;
        let (holds, wanted) = match claim {
            Claim::Fits(pattern) => {
                let pattern = fill(&self.names, pattern)?;
                (fits(&value, &pattern), pattern)
            }
            Claim::FitsNot(pattern) => {
                let pattern = fill(&self.names, pattern)?;
                let mut elements = value.as_array().into_iter().flatten();
                let found = fits(&value, &pattern) || elements.any(|element| fits(element, &pattern));
                (!found, json!({"none like": pattern}))
            }
            Claim::Has(pairs) => return self.fields(&what, &value, pairs),
            Claim::Is(right) => {
                let right = fill(&self.names, right)?;
                (equal(&value, &right), right)
            }
            Claim::IsNot(wrong) => {
                let wrong = fill(&self.names, wrong)?;
                (!equal(&value, &wrong), json!({"anything but": wrong}))
            }
        };
        if holds {
            Ok(())
        } else {
            Err(Failure::value(&what, &wanted, &value))
        }
    }

    /// Checks pairs: amounts when the value is a list of resources or has one, parts of the value otherwise.
    pub(super) fn fields(&self, what: &str, value: &Value, pairs: &[Pair]) -> Result<(), Failure> {
        for pair in pairs {
            let pair = Pair {
                value: fill(&self.names, &pair.value)?,
                ..pair.clone()
            };
            if !holds(value, &pair) {
                let wanted = json!({&pair.key: pair.value});
                return Err(Failure::value(what, &wanted, value));
            }
        }
        Ok(())
    }

    /// Waits for a state; other updates on the way are acknowledged and passed over.
    fn becomes(&mut self, task: &str, state: &str, pairs: &[Pair]) -> Result<(), Failure> {
        let framework = self.owner(task)?;
        let mut passed: Vec<Value> = Vec::new();
        loop {
            let scheduler = self.scheduler(&framework)?;
            let status = scheduler
                .status(task, false)
                .map_err(|failure| with_passed(failure, &passed))?;
            scheduler.acknowledge(&status, false)?;
            self.names.insert(task.to_owned(), status.clone());
            let terminal = TERMINAL.iter().any(|terminal| status["state"] == *terminal);
            if status["state"] == state {
                let right = self.fields("the update", &status, pairs);
                if right.is_ok() || terminal {
                    return right;
                }
            }
            passed.push(status);
            if terminal {
                return Err(Failure::Other {
                    what: format!("task {task}"),
                    wanted: state.to_owned(),
                    found: shortened(&json!(passed).to_string()),
                });
            }
        }
    }

    /// The framework that a task belongs to; the only one, when nobody launched it here.
    pub(super) fn owner(&self, task: &str) -> Result<String, Failure> {
        let only = || self.schedulers.keys().next().filter(|_| self.schedulers.len() == 1);
        self.tasks
            .get(task)
            .or_else(only)
            .cloned()
            .ok_or_else(|| Failure::NoTask(task.to_owned()))
    }

    /// Address of an agent: one that was started here, or the first that the master tells of.
    pub(super) fn agent_address(&self, name: &str) -> Result<SocketAddr, Failure> {
        if let Some(site) = self.site() {
            return site.agent(name).ok_or_else(|| Failure::NoAgent(name.to_owned()));
        }
        let slaves = self.get_json("/slaves")?;
        let pid = slaves["slaves"][0]["pid"].as_str().unwrap_or_default();
        let address = pid.rsplit('@').next().unwrap_or_default();
        address.parse().map_err(|_| Failure::NoAgent(name.to_owned()))
    }

    fn get_json(&self, path: &str) -> Result<Value, Failure> {
        let answer = crate::http::get(self.master, path)?;
        Ok(serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    /// Fills in the id of agents that a line speaks of by `${A.id}`: the master knows it once they have registered.
    pub(super) fn learn_agents(&mut self, text: &str) -> Result<(), Failure> {
        if !text.contains("${agent.") {
            return Ok(());
        }
        let slaves = self.get_json("/slaves")?;
        let mut known = serde_json::Map::new();
        for slave in slaves["slaves"].as_array().into_iter().flatten() {
            let address = slave["pid"].as_str().unwrap_or_default().rsplit('@').next();
            let address: Option<SocketAddr> = address.and_then(|address| address.parse().ok());
            let name = self.site().and_then(|site| site.name_of(address?));
            known.insert(name.unwrap_or_else(|| "A".to_owned()), slave.clone());
        }
        self.names.insert("agent".to_owned(), Value::Object(known));
        Ok(())
    }

    fn http(&mut self, at: Option<&str>, request: &Request, expected: &Expected) -> Result<(), Failure> {
        let body = request.body.as_ref().map(Value::to_string).unwrap_or_default();
        self.learn_agents(&format!("{}{body}{:?}", request.path, request.headers))?;
        let address = match at {
            None => self.master,
            Some(name) => self.agent_address(name)?,
        };
        let answer = exchange(address, &self.bytes(address, request)?)?;
        self.expect(&answer, expected, 200)
    }

    /// The bytes of a request: JSON has the header lines of JSON unless others are given.
    fn bytes(&self, address: SocketAddr, request: &Request) -> Result<Vec<u8>, Failure> {
        let body = match &request.body {
            None => String::new(),
            Some(Value::String(text)) => fill_text(&self.names, text)?,
            Some(value) => fill(&self.names, value)?.to_string(),
        };
        let mut lines = vec![format!("Host: {address}")];
        if matches!(request.body, Some(Value::Object(_) | Value::Array(_))) {
            lines.push("Content-Type: application/json".to_owned());
            lines.push("Accept: application/json".to_owned());
        }
        if request.body.is_some() || request.method != "GET" {
            lines.push(format!("Content-Length: {}", body.len()));
        }
        for header in &request.headers {
            let header = fill_text(&self.names, header)?;
            let name = header.split(':').next().unwrap_or_default().to_lowercase();
            lines.retain(|line| !line.to_lowercase().starts_with(&format!("{name}:")));
            if !header.trim_end().ends_with(':') {
                lines.push(header);
            }
        }
        let path = fill_text(&self.names, &request.path)?;
        let head = format!("{} {path} HTTP/1.1\r\n{}\r\n\r\n", request.method, lines.join("\r\n"));
        Ok([head.as_bytes(), body.as_bytes()].concat())
    }

    /// Checks an answer, and gives its body a name.
    pub(super) fn expect(&mut self, answer: &Answer, expected: &Expected, usual: u16) -> Result<(), Failure> {
        let right = expected.status.unwrap_or(usual);
        if answer.status != right {
            return Err(Failure::status(right, answer));
        }
        let text = answer.text();
        for part in &expected.texts {
            let part = fill_text(&self.names, part)?;
            if !text.contains(&part) {
                return Err(Failure::Other {
                    what: "body of the answer".to_owned(),
                    wanted: format!("one with {part}"),
                    found: shortened(&text),
                });
            }
        }
        let headers: Value = answer
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), Value::String(value.clone())))
            .collect::<serde_json::Map<_, _>>()
            .into();
        self.fields("header of the answer", &headers, &expected.headers)?;
        let body: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        if let Some(pattern) = &expected.pattern {
            let pattern = fill(&self.names, pattern)?;
            if !fits(&body, &pattern) {
                return Err(Failure::value("body of the answer", &pattern, &body));
            }
        }
        if let Some(name) = &expected.name {
            self.names.insert(name.clone(), body);
        }
        Ok(())
    }

    fn watch(&mut self, name: &str) -> Result<(), Failure> {
        let stream = EventStream::watch(self.master, PATIENCE)?;
        if stream.answer().status != 200 {
            return Err(Failure::status(200, stream.answer()));
        }
        self.watches.insert(name.to_owned(), Events::new(stream));
        Ok(())
    }

    fn process(&mut self, agent: Option<&str>, action: Action, flags: &[String]) -> Result<(), Failure> {
        let flags: Vec<String> = flags
            .iter()
            .map(|flag| fill_text(&self.names, flag))
            .collect::<Result<_, _>>()?;
        match &mut self.target {
            Target::Own(site) => site.act(agent, action, &flags),
            Target::Master(_) | Target::Shared(_) => Err(Failure::NoControl),
        }
    }

    fn gate(&mut self, name: &str, action: GateAction) -> Result<(), Failure> {
        if action == GateAction::Make {
            let folder = self.site().ok_or(Failure::NoControl)?.folder();
            // Scenarios on one cluster may use the same name.
            let path = folder.join(format!("{name}-{:p}", &raw const *self));
            self.names.insert(name.to_owned(), json!(path.display().to_string()));
            self.gates.insert(name.to_owned(), Gate::new(&path)?);
            return Ok(());
        }
        let unknown = || Failure::NoField(name.to_owned());
        let gate = self.gates.get_mut(name).ok_or_else(unknown)?;
        match action {
            GateAction::Make => {}
            GateAction::Open => gate.open(PATIENCE)?,
            GateAction::Passed => gate.passed(PATIENCE)?,
            GateAction::Held => gate.held(PATIENCE)?,
            GateAction::Left => gate.left(PATIENCE)?,
        }
        Ok(())
    }

    /// Ends the frameworks, so that nothing of them is left in a cluster that others use.
    pub fn tear_down(&mut self) {
        for scheduler in self.schedulers.values() {
            if let Some(id) = scheduler.id() {
                let body = json!({"type": "TEARDOWN", "teardown": {"framework_id": id}}).to_string();
                let request = format!(
                    "POST /api/v1 HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                    self.master,
                    body.len()
                );
                // It may be gone, and the master too.
                drop(exchange(self.master, request.as_bytes()));
            }
        }
    }
}

/// Equal, where numbers are equal as quantities are.
fn equal(left: &Value, right: &Value) -> bool {
    match (left.as_f64(), right.as_f64()) {
        (Some(left), Some(right)) => same(left, right),
        _ => left == right,
    }
}

/// Whether one pair holds of a value.
pub(super) fn holds(value: &Value, pair: &Pair) -> bool {
    if is_resource(pair) {
        return enough(value.get("resources").unwrap_or(value), pair);
    }
    let found = part(value, &pair.key).unwrap_or(&Value::Null);
    match (pair.relation, found.as_f64(), pair.value.as_f64()) {
        (Relation::AtLeast, Some(found), Some(least)) => found >= least,
        (Relation::AtMost, Some(found), Some(most)) => found <= most,
        (Relation::Contains, ..) => {
            let part = pair
                .value
                .as_str()
                .map_or_else(|| pair.value.to_string(), str::to_owned);
            found.as_str().is_some_and(|found| found.contains(&part))
        }
        (Relation::Is, ..) => match &pair.value {
            Value::String(text) if text == "none" => found.is_null() || found.as_str() == Some("none"),
            right => fits(found, right),
        },
        _ => false,
    }
}

fn with_passed(failure: Failure, passed: &[Value]) -> Failure {
    match failure {
        Failure::Missing { what, backlog } => Failure::Missing {
            what,
            backlog: format!("updates before: {}; {backlog}", shortened(&json!(passed).to_string())),
        },
        other => other,
    }
}
