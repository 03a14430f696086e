//! What frameworks do and get, one function for each kind of line.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{contents, is_of};
use super::describe::operation;
use super::json::{Names, fill, fill_text, fits, look_up};
use super::run::Failure;
use super::step::{Act, Line, Operation};
use super::token::Pair;
use super::world::{World, holds};

/// What an offer has to be.
struct Wanted<'a> {
    port: Option<u16>,
    pairs: &'a [Pair],
    pattern: Option<Value>,
}

impl Wanted<'_> {
    fn is(&self, offer: &Value) -> bool {
        let from = &offer["url"]["address"]["port"];
        self.port.is_none_or(|port| from.as_u64() == Some(u64::from(port)))
            && self.pairs.iter().all(|pair| {
                let short = pair.key == "role";
                let key = if short { "allocation_info.role" } else { &pair.key };
                let key = key.to_owned();
                holds(offer, &Pair { key, ..pair.clone() })
            })
            && self.pattern.as_ref().is_none_or(|pattern| fits(offer, pattern))
    }
}

impl World<'_> {
    pub(super) fn act(&mut self, framework: &str, act: &Act) -> Result<(), Failure> {
        let names = self.names.clone();
        match act {
            Act::Subscribes { pairs } => {
                let scheduler = self.scheduler(framework)?;
                scheduler.description.change(&names, pairs)?;
                let mut subscribed = scheduler.subscribe()?;
                subscribed["id"] = subscribed["framework_id"].clone();
                self.names.insert(framework.to_owned(), subscribed);
                Ok(())
            }
            Act::Refused { pairs, status, texts } => self.refused(framework, pairs, *status, texts),
            Act::Disconnects => {
                self.scheduler(framework)?.events = None;
                Ok(())
            }
            Act::LosesStream => self.scheduler(framework)?.events()?.wait_closed(),
            Act::Offer {
                name,
                agent,
                pairs,
                pattern,
                declining,
            } => {
                let wanted = Wanted {
                    port: agent
                        .as_deref()
                        .map(|agent| self.agent_address(agent))
                        .transpose()?
                        .map(|at| at.port()),
                    pairs,
                    pattern: pattern.as_ref().map(|pattern| fill(&names, pattern)).transpose()?,
                };
                self.offer(framework, name, &wanted, *declining)
            }
            Act::Event { kind, name, pattern } => self.event(framework, kind, name.as_deref(), pattern.as_ref()),
            Act::NoEvent { kind, pattern, until } => self.no_event(framework, kind, pattern.as_ref(), until),
            Act::Accepts {
                offers,
                refuse,
                operations,
            } => self.accept(framework, offers, *refuse, operations),
            Act::Declines { offers, refuse } => {
                let mut payload = json!({"offer_ids": offer_ids(&names, offers)?});
                add_filters(&mut payload, *refuse);
                self.scheduler(framework)?.must("DECLINE", Some(payload))
            }
            Act::Calls {
                kind,
                payload,
                headers,
                answer,
            } => {
                let written = payload.as_ref().map(Value::to_string).unwrap_or_default();
                self.learn_agents(&written)?;
                let payload = payload.as_ref().map(|payload| fill(&self.names, payload)).transpose()?;
                let headers = headers
                    .iter()
                    .map(|line| fill_text(&names, line))
                    .collect::<Result<Vec<_>, _>>()?;
                let came = self.scheduler(framework)?.call(kind, payload, &headers)?;
                self.expect(&came, answer, 202)
            }
            Act::Updates { pairs, answer } => {
                let scheduler = self.scheduler(framework)?;
                let mut description = scheduler.description.clone();
                description.change(&names, pairs)?;
                let came = scheduler.call("UPDATE_FRAMEWORK", Some(description.payload()), &[])?;
                if came.status == 200 {
                    scheduler.description = description;
                }
                self.expect(&came, answer, 200)
            }
            other => self.about_tasks(framework, other),
        }
    }

    fn about_tasks(&mut self, framework: &str, act: &Act) -> Result<(), Failure> {
        match act {
            Act::Kills { task, grace } => {
                let mut payload = json!({"task_id": {"value": task}});
                if let Some(grace) = grace {
                    let nanoseconds = u64::try_from(grace.as_nanos()).unwrap_or(u64::MAX);
                    payload["kill_policy"] = json!({"grace_period": {"nanoseconds": nanoseconds}});
                }
                self.tasks.entry(task.clone()).or_insert_with(|| framework.to_owned());
                self.scheduler(framework)?.must("KILL", Some(payload))
            }
            Act::Reconciles { tasks } => {
                let mut list = Vec::new();
                for task in tasks {
                    let mut entry = json!({"task_id": {"value": task}});
                    if let Some(agent_id) = self.names.get(task).and_then(|status| status.get("agent_id")) {
                        entry["agent_id"] = agent_id.clone();
                    }
                    list.push(entry);
                    self.tasks.entry(task.clone()).or_insert_with(|| framework.to_owned());
                }
                self.scheduler(framework)?
                    .must("RECONCILE", Some(json!({"tasks": list})))
            }
            Act::Revives { roles } => {
                let roles = json!({"roles": filled(&self.names, roles)?});
                self.scheduler(framework)?.must("REVIVE", Some(roles))
            }
            Act::Suppresses { roles } => {
                let roles = json!({"roles": filled(&self.names, roles)?});
                self.scheduler(framework)?.must("SUPPRESS", Some(roles))
            }
            Act::TearsDown => self.scheduler(framework)?.must("TEARDOWN", None),
            Act::Sees {
                id,
                operation,
                state,
                pairs,
                acknowledge,
            } => {
                let scheduler = self.scheduler(framework)?;
                let status = scheduler.status(id, *operation)?;
                if *acknowledge {
                    scheduler.acknowledge(&status, *operation)?;
                }
                self.names.insert(id.clone(), status.clone());
                if status["state"] != state.as_str() {
                    return Err(Failure::value("the update", &json!({"state": state}), &status));
                }
                self.fields("the update", &status, pairs)
            }
            Act::Acknowledges { task } => {
                let status = look_up(&self.names, task)?.clone();
                self.scheduler(framework)?.acknowledge(&status, false)
            }
            // All others are carried out by the caller.
            _ => Ok(()),
        }
    }

    fn refused(
        &mut self,
        framework: &str,
        pairs: &[Pair],
        status: Option<u16>,
        texts: &[String],
    ) -> Result<(), Failure> {
        let names = self.names.clone();
        let scheduler = self.scheduler(framework)?;
        let before = scheduler.description.clone();
        scheduler.description.change(&names, pairs)?;
        let outcome = scheduler.try_subscribe();
        // What was refused is not part of the description.
        scheduler.description = before;
        let (answer, first) = outcome?;
        let told = match (status, &first) {
            (Some(right), _) if right != answer.status => return Err(Failure::status(right, &answer)),
            (Some(_), _) => answer.text(),
            (None, Some(event)) if event["type"] == "ERROR" => event.to_string(),
            (None, Some(event)) => return Err(Failure::value("the first event", &json!("ERROR"), event)),
            (None, None) => return Err(Failure::status(200, &answer)),
        };
        for text in texts {
            let text = fill_text(&self.names, text)?;
            if !told.contains(&text) {
                return Err(Failure::Other {
                    what: "the refusal".to_owned(),
                    wanted: format!("one with {text}"),
                    found: told,
                });
            }
        }
        Ok(())
    }

    fn offer(&mut self, framework: &str, name: &str, wanted: &Wanted<'_>, declining: bool) -> Result<(), Failure> {
        let scheduler = self.scheduler(framework)?;
        let offer = loop {
            let offer = scheduler.events()?.wait("an offer like this", |event| {
                let offer = &event["offer"];
                (event["type"] == "OFFER" && (declining || wanted.is(offer))).then(|| offer.clone())
            })?;
            if wanted.is(&offer) {
                break offer;
            }
            let payload = json!({"offer_ids": [offer["id"]], "filters": {"refuse_seconds": 0}});
            scheduler.must("DECLINE", Some(payload))?;
        };
        self.names.insert(name.to_owned(), offer);
        Ok(())
    }

    fn event(&mut self, who: &str, kind: &str, name: Option<&str>, pattern: Option<&Value>) -> Result<(), Failure> {
        if let Some(pattern) = pattern {
            self.learn_agents(&pattern.to_string())?;
        }
        let pattern = pattern.map(|pattern| fill(&self.names, pattern)).transpose()?;
        let events = match self.watches.get_mut(who) {
            Some(events) => events,
            None => self.scheduler(who)?.events()?,
        };
        let event = events.wait(&format!("event {kind}"), |event| {
            is_of(event, kind, pattern.as_ref()).then(|| contents(event).clone())
        })?;
        if let Some(name) = name {
            self.names.insert(name.to_owned(), event);
        }
        Ok(())
    }

    fn no_event(&mut self, who: &str, kind: &str, pattern: Option<&Value>, until: &Line) -> Result<(), Failure> {
        let pattern = pattern.map(|pattern| fill(&self.names, pattern)).transpose()?;
        let before = self.scheduler(who)?.barrier()?;
        self.step(&until.step, Instant::now())?;
        let scheduler = self.scheduler(who)?;
        scheduler.barrier()?;
        match scheduler.events()?.find_since(before, kind, pattern.as_ref()) {
            None => Ok(()),
            Some(event) => Err(Failure::value("what came", &json!({"no": kind}), event)),
        }
    }

    fn accept(
        &mut self,
        framework: &str,
        offers: &[String],
        refuse: Option<Duration>,
        operations: &[Operation],
    ) -> Result<(), Failure> {
        let agent_id = look_up(&self.names, &offers[0])?["agent_id"].clone();
        let mut list = Vec::new();
        for one in operations {
            let (value, tasks) = operation(&self.names, &agent_id, one)?;
            list.push(value);
            for task in tasks {
                self.tasks.insert(task, framework.to_owned());
            }
        }
        let mut payload = json!({"offer_ids": offer_ids(&self.names, offers)?, "operations": list});
        add_filters(&mut payload, refuse);
        self.scheduler(framework)?.must("ACCEPT", Some(payload))
    }
}

fn filled(names: &Names, words: &[String]) -> Result<Vec<String>, Failure> {
    Ok(words
        .iter()
        .map(|word| fill_text(names, word))
        .collect::<Result<_, _>>()?)
}

/// Ids of offers.
fn offer_ids(names: &Names, offers: &[String]) -> Result<Vec<Value>, Failure> {
    offers
        .iter()
        .map(|offer| Ok(look_up(names, offer)?["id"].clone()))
        .collect()
}

fn add_filters(payload: &mut Value, refuse: Option<Duration>) {
    if let Some(refuse) = refuse {
        payload["filters"] = json!({"refuse_seconds": refuse.as_secs_f64()});
    }
}
