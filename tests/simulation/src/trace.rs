//! The last events of a run, for people.

use std::collections::VecDeque;
use std::fmt;

use bytes::Bytes;
use libprocess::{Time, Upid};
use mesos::Message;

use crate::net::Alarm;

/// Events that a trace keeps.
const KEPT: usize = 50;
/// Letters of an event that are shown.
const WIDTH: usize = 1500;

/// Something that happened.
enum Entry {
    Message(Upid, Upid, String, Bytes),
    Alarm(Upid, Alarm),
    Exited(Upid, Upid),
    Note(String),
}

/// The last events of a run.
pub struct Trace {
    seed: u64,
    began: Option<Time>,
    entries: VecDeque<(Time, Entry)>,
    /// Print everything at once, too.
    loud: bool,
}

impl Trace {
    /// An empty trace; with the variable `TRACE` set every event is printed as it happens.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            began: None,
            entries: VecDeque::new(),
            loud: std::env::var_os("TRACE").is_some(),
        }
    }

    /// A message arrived.
    pub fn message(&mut self, now: Time, from: &Upid, to: &Upid, name: &str, body: &Bytes) {
        let entry = Entry::Message(from.clone(), to.clone(), name.to_owned(), body.clone());
        self.push(now, entry);
    }

    /// An alarm rang.
    pub fn alarm(&mut self, now: Time, owner: &Upid, alarm: &Alarm) {
        self.push(now, Entry::Alarm(owner.clone(), alarm.clone()));
    }

    /// A link broke.
    pub fn exited(&mut self, now: Time, linker: &Upid, linked: &Upid) {
        self.push(now, Entry::Exited(linker.clone(), linked.clone()));
    }

    /// Something else happened.
    pub fn note(&mut self, now: Time, text: &str) {
        self.push(now, Entry::Note(text.to_owned()));
    }

    fn push(&mut self, now: Time, entry: Entry) {
        let began = *self.began.get_or_insert(now);
        if self.loud {
            eprintln!("{}", show(began, now, &entry));
        }
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back((now, entry));
    }
}

fn show(began: Time, now: Time, entry: &Entry) -> String {
    let seconds = now.saturating_since(began).as_secs_f64();
    let text = match entry {
        Entry::Message(from, to, name, body) => {
            let message = format!("{:?}", Message::decode(name, body));
            format!("{from} -> {to}: {}", squeeze(&message))
        }
        Entry::Alarm(owner, alarm) => format!("{owner}: {}", squeeze(&format!("{alarm:?}"))),
        Entry::Exited(linker, linked) => format!("{linker}: exited {linked}"),
        Entry::Note(text) => format!("*** {text}"),
    };
    let text: String = text.chars().take(WIDTH).collect();
    format!("{seconds:12.6} {text}")
}

/// Leaves out what protobuf messages print of fields that are not set, and of those that say nothing.
fn squeeze(text: &str) -> String {
    let mut text = text.to_owned();
    for noise in [
        "cached_size: CachedSize { size: ",
        "special_fields: SpecialFields { unknown_fields: UnknownFields { fields: None }, ",
    ] {
        text = text.replace(noise, "");
    }
    let parts = text.split(", ").filter(|part| {
        let part = part.trim_end_matches([' ', '}', ')', ']']);
        !part.ends_with(": None") && !part.ends_with("MessageField(None") && part.parse::<u32>().is_err()
    });
    let kept: Vec<&str> = parts.collect();
    kept.join(", ")
        .replace("MessageField(Some(", "((")
        .replace("Some(", "(")
}

impl fmt::Display for Trace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "seed {}: the last {} events", self.seed, self.entries.len())?;
        let began = self.began.unwrap_or(Time::EPOCH);
        for (now, entry) in &self.entries {
            writeln!(formatter, "{}", show(began, *now, entry))?;
        }
        Ok(())
    }
}
