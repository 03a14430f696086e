//! How often schedulers that speak libprocess may send messages (`--rate_limits`), by the principal of their framework.
//!
//! A message above the rate waits; one that finds as many waiting as the capacity allows is dropped, and its scheduler
//! told, which makes drivers abort. That a scheduler is gone waits in the same line, or it would overtake what the
//! scheduler sent before; it is never dropped. Calls over HTTP are not limited. Frameworks whose principal is not
//! listed, or that have none, share the default limit, if there is one; a principal that is listed without rate is not
//! limited.
//!
//! Source: shared facts, `scheduler_calls.tsv` (rate limits), `metrics.tsv`.

use std::collections::BTreeMap;
use std::time::Duration;

use libprocess_types::Upid;
use mesos::Message;
use mesos_proto::internal::wire::messages::FrameworkErrorMessage;
use mesos_proto::v0::mesos as proto;
use thiserror::Error;

use crate::input::MasterTimer;
use crate::limiter::Limiter;
use crate::master::Master;

/// Slowest rate that can be told apart from none: one message in a hundred years.
const RATE_MIN: f64 = 1.0 / (100.0 * 365.0 * 24.0 * 3600.0);

/// Why rate limits cannot be used.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum RateLimitError {
    /// A principal stands there twice.
    #[error("`limits` names the principal `{0}` twice")]
    DuplicatePrincipal(String),
    /// A rate is not above zero.
    #[error("`qps` of principal `{principal}` is {qps}; it must be a number above zero")]
    Rate {
        /// The principal.
        principal: String,
        /// The rate.
        qps: f64,
    },
    /// The default rate is not above zero.
    #[error("`aggregate_default_qps` is {0}; it must be a number above zero")]
    DefaultRate(f64),
}

/// One limit: a rate, and how many messages may wait for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimit {
    /// Messages a second; above zero.
    qps: f64,
    /// Messages that may wait; any number when absent.
    capacity: Option<u64>,
}

impl RateLimit {
    fn interval(self) -> Duration {
        Duration::try_from_secs_f64(1.0 / self.qps.max(RATE_MIN)).unwrap_or(Duration::MAX)
    }
}

/// Limits by principal.
#[derive(Clone, Debug, PartialEq)]
pub struct RateLimits {
    /// The listed principals; one without limit sends as it likes.
    principals: BTreeMap<String, Option<RateLimit>>,
    /// What all other frameworks share.
    default: Option<RateLimit>,
}

impl RateLimits {
    /// No limits.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            principals: BTreeMap::new(),
            default: None,
        }
    }

    /// Reads the flag's message. A capacity without rate means nothing, as the message's definition says.
    ///
    /// # Errors
    ///
    /// Names the principal that is listed twice, or the rate that is not above zero.
    pub fn from_proto(message: &proto::RateLimits) -> Result<Self, RateLimitError> {
        let mut principals = BTreeMap::new();
        for limit in &message.limits {
            let principal = limit.principal().to_owned();
            let read = read_limit(limit.qps, limit.capacity).map_err(|qps| RateLimitError::Rate {
                principal: principal.clone(),
                qps,
            })?;
            if principals.insert(principal.clone(), read).is_some() {
                return Err(RateLimitError::DuplicatePrincipal(principal));
            }
        }
        let default = read_limit(message.aggregate_default_qps, message.aggregate_default_capacity);
        Ok(Self {
            principals,
            default: default.map_err(RateLimitError::DefaultRate)?,
        })
    }
}

fn read_limit(qps: Option<f64>, capacity: Option<u64>) -> Result<Option<RateLimit>, f64> {
    match qps {
        Some(qps) if qps > 0.0 => Ok(Some(RateLimit { qps, capacity })),
        Some(qps) => Err(qps),
        None => Ok(None),
    }
}

/// Messages of the frameworks of one principal, over libprocess.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageCounts {
    /// Messages that arrived.
    pub received: u64,
    /// Messages that were handled; those that wait or were dropped are not.
    pub processed: u64,
}

/// What waits for a limit.
#[derive(Clone, Debug)]
enum Waiting {
    Message(Upid, Box<Message>),
    Exited(Upid),
}

/// A limit with what waits for it.
#[derive(Clone, Debug)]
struct Throttle {
    limiter: Limiter<Waiting>,
    capacity: Option<u64>,
    /// Messages among what waits.
    messages: u64,
}

impl Throttle {
    const fn new(limit: RateLimit, interval: Duration) -> Self {
        Self {
            limiter: Limiter::new(interval),
            capacity: limit.capacity,
            messages: 0,
        }
    }
}

/// Schedulers that speak libprocess, with their principals and limits.
#[derive(Clone, Debug)]
pub(crate) struct Throttles {
    /// Principals by the addresses of frameworks.
    schedulers: BTreeMap<Upid, Option<String>>,
    principals: BTreeMap<String, Option<Throttle>>,
    default: Option<Throttle>,
    counts: BTreeMap<String, MessageCounts>,
}

/// Where a sender's messages go.
enum Lane {
    /// At once.
    Free,
    /// Through a limit: that of a principal or the shared one.
    Limited(Option<String>),
}

impl Throttles {
    pub(crate) fn new(limits: &RateLimits) -> Self {
        let throttle = |limit: RateLimit| Throttle::new(limit, limit.interval());
        let principals = limits.principals.iter();
        Self {
            schedulers: BTreeMap::new(),
            principals: principals
                .map(|(principal, limit)| (principal.clone(), limit.map(throttle)))
                .collect(),
            default: limits.default.map(throttle),
            counts: BTreeMap::new(),
        }
    }

    /// Addresses of all schedulers that speak libprocess, sorted.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &Upid> {
        self.schedulers.keys()
    }

    fn lane(&self, from: &Upid) -> Lane {
        let Some(principal) = self.schedulers.get(from) else {
            return Lane::Free;
        };
        match principal.as_ref().map(|name| (name, self.principals.get(name))) {
            Some((_, Some(None))) => Lane::Free,
            Some((name, Some(Some(_)))) => Lane::Limited(Some(name.clone())),
            Some((_, None)) | None if self.default.is_some() => Lane::Limited(None),
            Some((_, None)) | None => Lane::Free,
        }
    }

    fn throttle(&mut self, principal: Option<&str>) -> Option<&mut Throttle> {
        match principal {
            Some(principal) => self.principals.get_mut(principal)?.as_mut(),
            None => self.default.as_mut(),
        }
    }

    fn count(&mut self, from: &Upid, add: impl FnOnce(&mut MessageCounts)) {
        if let Some(Some(principal)) = self.schedulers.get(from) {
            if let Some(counts) = self.counts.get_mut(principal) {
                add(counts);
            } else {
                add(self.counts.entry(principal.clone()).or_default());
            }
        }
    }
}

impl Master {
    /// Messages of frameworks over libprocess, by principal; those of principals that no framework has are forgotten.
    #[must_use]
    pub fn message_counts(&self) -> BTreeMap<&str, MessageCounts> {
        let principals = self.frameworks.values().filter_map(|own| own.info.principal.as_deref());
        principals
            .map(|principal| {
                let counts = self.throttles.counts.get(principal).copied();
                (principal, counts.unwrap_or_default())
            })
            .collect()
    }

    /// A framework is at this address from now on.
    pub(crate) fn note_scheduler(&mut self, upid: &Upid, principal: Option<&str>) {
        let principal = principal.map(str::to_owned);
        self.throttles.schedulers.insert(upid.clone(), principal);
    }

    /// No framework is at this address any more.
    pub(crate) fn forget_scheduler(&mut self, upid: &Upid) {
        let Some(Some(principal)) = self.throttles.schedulers.remove(upid) else {
            return;
        };
        let has_it = |info: &proto::FrameworkInfo| info.principal.as_deref() == Some(&principal);
        if !self.frameworks.values().any(|framework| has_it(&framework.info)) {
            self.throttles.counts.remove(&principal);
        }
    }

    /// A message arrived: handled now, later or never, as the limits say.
    pub(crate) fn arrived(&mut self, from: Upid, message: Message) {
        self.throttles.count(&from, |counts| counts.received += 1);
        let Lane::Limited(principal) = self.throttles.lane(&from) else {
            return self.process(&from, message);
        };
        let Some(throttle) = self.throttles.throttle(principal.as_deref()) else {
            return self.process(&from, message);
        };
        if let Some(capacity) = throttle.capacity.filter(|capacity| throttle.messages >= *capacity) {
            return self.refuse_message(&from, &message, capacity);
        }
        throttle.messages += 1;
        self.pass(principal, Waiting::Message(from, Box::new(message)));
    }

    /// A link broke: what its process sent before is handled before.
    pub(crate) fn broke(&mut self, upid: Upid) {
        match self.throttles.lane(&upid) {
            Lane::Free => self.exited(&upid),
            Lane::Limited(principal) => self.pass(principal, Waiting::Exited(upid)),
        }
    }

    fn pass(&mut self, principal: Option<String>, event: Waiting) {
        let now = self.now;
        let Some(throttle) = self.throttles.throttle(principal.as_deref()) else {
            return;
        };
        match throttle.limiter.admit(now, event) {
            Some(event) => self.handle(principal.as_deref(), event),
            None => self.set_message_timer(principal),
        }
    }

    /// The time of waiting messages has come.
    pub(crate) fn release_messages(&mut self, principal: Option<&str>) {
        let now = self.now;
        while let Some(event) = self
            .throttles
            .throttle(principal)
            .and_then(|throttle| throttle.limiter.release(now))
        {
            self.handle(principal, event);
        }
        self.set_message_timer(principal.map(str::to_owned));
    }

    fn set_message_timer(&mut self, principal: Option<String>) {
        let now = self.now;
        let due = self
            .throttles
            .throttle(principal.as_deref())
            .and_then(|throttle| throttle.limiter.due(now));
        if let Some(after) = due {
            self.set_timer(MasterTimer::RateLimit(principal), after);
        }
    }

    fn handle(&mut self, principal: Option<&str>, event: Waiting) {
        match event {
            Waiting::Message(from, message) => {
                if let Some(throttle) = self.throttles.throttle(principal) {
                    throttle.messages -= 1;
                }
                self.process(&from, *message);
            }
            Waiting::Exited(upid) => self.exited(&upid),
        }
    }

    fn process(&mut self, from: &Upid, message: Message) {
        // Counted first: the message may end its framework, and the counts with it.
        self.throttles.count(from, |counts| counts.processed += 1);
        self.receive(from, message);
    }

    fn refuse_message(&mut self, from: &Upid, message: &Message, capacity: u64) {
        let name = message.name();
        tracing::warn!(
            upid = %from, name, capacity,
            "message of a framework dropped: too many wait for the rate limit"
        );
        let mut error = FrameworkErrorMessage::new();
        error.set_message(format!(
            "message {name} was dropped: {capacity} messages wait already, which is the capacity of the rate limit"
        ));
        self.send(from, error);
    }
}
