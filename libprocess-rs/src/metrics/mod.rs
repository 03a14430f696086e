//! Metrics of a node: a flat set of names with numbers.
//!
//! Counters and push gauges are handles that their owner changes; pull gauges and sources are asked when somebody
//! wants to know; timers keep recent durations and tell their distribution. Names are paths such as
//! `master/messages_kill_task` and contract with operators' dashboards: whoever registers a metric keeps its name in
//! one table of its crate.
//!
//! [`Metrics::snapshot`] is what `/metrics/snapshot` serves, [`prometheus_text`] turns the same set into the format of
//! Prometheus.

mod prometheus_text;
mod timer;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::timeout;

pub use prometheus_text::prometheus_text;
pub use timer::{Timer, TimerRun};

/// Longest wait for sources when the asker names no limit.
const SOURCE_PATIENCE: Duration = Duration::from_secs(30);

/// Whether a number only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Counts events since the start; falls only when it is reset.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// A number at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// The number.
    pub value: f64,
    /// How to read it.
    pub kind: Kind,
}

impl Sample {
    /// A number that goes up and down.
    #[must_use]
    pub const fn gauge(value: f64) -> Self {
        Self {
            value,
            kind: Kind::Gauge,
        }
    }

    /// A number that grows.
    #[must_use]
    pub const fn counter(value: f64) -> Self {
        Self {
            value,
            kind: Kind::Counter,
        }
    }
}

/// All numbers at one moment, by name.
pub type Snapshot = BTreeMap<String, Sample>;

/// Many numbers that one owner computes at once.
pub type SourceFuture = Pin<Box<dyn Future<Output = Vec<(String, Sample)>> + Send>>;

type PullGauge = Arc<dyn Fn() -> f64 + Send + Sync>;
type Source = Arc<dyn Fn() -> SourceFuture + Send + Sync>;

/// Counts events. Clones share the count.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Counts one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Counts several.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Begins at zero again.
    pub fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// The count.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that its owner sets. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct PushGauge(Arc<AtomicU64>);

impl PushGauge {
    /// Sets the number.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// Adds to the number; a negative amount subtracts.
    pub fn add(&self, amount: f64) {
        let added = |bits| Some((f64::from_bits(bits) + amount).to_bits());
        // The update always gives a value, so it cannot fail.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, added);
    }

    /// The number.
    #[must_use]
    pub fn value(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

#[derive(Clone)]
enum Entry {
    Counter(Counter),
    Push(PushGauge),
    Pull(PullGauge),
    Timer(Timer),
    Source(Source),
}

/// The metrics of one node. Clones share them.
#[derive(Clone, Default)]
pub struct Metrics(Arc<RwLock<BTreeMap<String, Entry>>>);

impl Metrics {
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Entry>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Entry>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counter of this name, new unless it exists. A metric of another kind is replaced.
    pub fn counter(&self, name: impl Into<String>) -> Counter {
        let mut entries = self.write();
        let entry = entries
            .entry(name.into())
            .or_insert_with(|| Entry::Counter(Counter::default()));
        if let Entry::Counter(counter) = entry {
            return counter.clone();
        }
        let counter = Counter::default();
        *entry = Entry::Counter(counter.clone());
        counter
    }

    /// The push gauge of this name, new and zero unless it exists. A metric of another kind is replaced.
    pub fn gauge(&self, name: impl Into<String>) -> PushGauge {
        let mut entries = self.write();
        let entry = entries
            .entry(name.into())
            .or_insert_with(|| Entry::Push(PushGauge::default()));
        if let Entry::Push(gauge) = entry {
            return gauge.clone();
        }
        let gauge = PushGauge::default();
        *entry = Entry::Push(gauge.clone());
        gauge
    }

    /// Computes a gauge whenever somebody asks. `compute` must be quick: it runs on the asker's thread.
    pub fn pull_gauge(&self, name: impl Into<String>, compute: impl Fn() -> f64 + Send + Sync + 'static) {
        self.write().insert(name.into(), Entry::Pull(Arc::new(compute)));
    }

    /// The timer of this name, new unless it exists; its values are milliseconds, and its name ends in `_ms`.
    ///
    /// With a window it also tells the distribution of the durations of that long, once there are two.
    pub fn timer(&self, name: impl Into<String>, window: Option<Duration>) -> Timer {
        let mut entries = self.write();
        let entry = entries
            .entry(name.into())
            .or_insert_with(|| Entry::Timer(Timer::new(window)));
        if let Entry::Timer(timer) = entry {
            return timer.clone();
        }
        let timer = Timer::new(window);
        *entry = Entry::Timer(timer.clone());
        timer
    }

    /// Asks `compute` for many numbers at once, such as all that a process knows about itself.
    ///
    /// `name` serves to replace and to remove the source; the numbers carry names of their own.
    pub fn source(&self, name: &str, compute: impl Fn() -> SourceFuture + Send + Sync + 'static) {
        self.write().insert(source_key(name), Entry::Source(Arc::new(compute)));
    }

    /// Forgets a metric; whether there was one. Handles stay usable and tell nobody.
    pub fn remove(&self, name: &str) -> bool {
        self.write().remove(name).is_some()
    }

    /// Forgets a source; whether there was one.
    pub fn remove_source(&self, name: &str) -> bool {
        self.write().remove(&source_key(name)).is_some()
    }

    /// Forgets all metrics whose names begin with `prefix`.
    pub fn remove_all(&self, prefix: &str) {
        self.write().retain(|name, _| !name.starts_with(prefix));
    }

    /// All numbers now. What does not come within `patience` is left out.
    pub async fn snapshot(&self, patience: Option<Duration>) -> Snapshot {
        let entries: Vec<(String, Entry)> = self
            .read()
            .iter()
            .map(|(name, entry)| (name.clone(), entry.clone()))
            .collect();
        let now = Instant::now();
        let mut samples = Snapshot::new();
        let mut sources = Vec::new();
        for (name, entry) in entries {
            match entry {
                Entry::Counter(counter) => {
                    // Counts stay far below 2^53, where floats are exact.
                    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
                    samples.insert(name, Sample::counter(counter.value() as f64));
                }
                Entry::Push(gauge) => insert_finite(&mut samples, name, gauge.value()),
                Entry::Pull(compute) => insert_finite(&mut samples, name, compute()),
                Entry::Timer(timer) => {
                    for (key, value) in timer.statistics(now) {
                        insert_finite(&mut samples, format!("{name}{key}"), value);
                    }
                }
                Entry::Source(compute) => sources.push(timeout(patience.unwrap_or(SOURCE_PATIENCE), compute())),
            }
        }
        for answers in join_all(sources).await.into_iter().flatten() {
            samples.extend(answers.into_iter().filter(|(_, sample)| sample.value.is_finite()));
        }
        samples
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.read().keys()).finish()
    }
}

/// JSON has no other numbers.
fn insert_finite(samples: &mut Snapshot, name: String, value: f64) {
    if value.is_finite() {
        samples.insert(name, Sample::gauge(value));
    }
}

/// Sources stand beside metrics; no metric's name begins with a line feed.
fn source_key(name: &str) -> String {
    format!("\n{name}")
}

/// A snapshot as one flat JSON object, names in order, every number with a fraction or an exponent.
#[must_use]
pub fn snapshot_json(snapshot: &Snapshot) -> String {
    let numbers: BTreeMap<&str, f64> = snapshot
        .iter()
        .map(|(name, sample)| (name.as_str(), sample.value))
        .collect();
    // Names are strings and numbers finite; such a map always serialises.
    serde_json::to_string(&numbers).unwrap_or_else(|_| "{}".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_kinds_come_together_in_order() {
        let metrics = Metrics::default();
        let counter = metrics.counter("master/messages");
        counter.increment();
        metrics.counter("master/messages").add(2);
        metrics.gauge("master/elected").set(1.0);
        metrics.pull_gauge("agent/uptime_secs", || 2.5);
        metrics.pull_gauge("agent/broken", || f64::NAN);
        let _ = metrics.timer("registrar/state_fetch_ms", None);
        metrics.source("master", || {
            Box::pin(async { vec![("master/tasks_running".to_owned(), Sample::gauge(7.0))] })
        });
        let json = snapshot_json(&metrics.snapshot(None).await);
        assert_eq!(
            json,
            "{\"agent/uptime_secs\":2.5,\"master/elected\":1.0,\"master/messages\":3.0,\"master/tasks_running\":7.0}"
        );
    }

    #[tokio::test]
    async fn sources_that_do_not_answer_are_left_out() {
        let metrics = Metrics::default();
        metrics.gauge("a").set(1.0);
        metrics.source("stuck", || Box::pin(std::future::pending()));
        let snapshot = metrics.snapshot(Some(Duration::from_millis(5))).await;
        assert_eq!(snapshot.len(), 1);
        assert!(metrics.remove_source("stuck"));
        assert!(!metrics.remove("stuck"));
    }

    #[tokio::test]
    async fn removed_metrics_are_gone() {
        let metrics = Metrics::default();
        metrics.gauge("frameworks/a/x").add(1.0);
        metrics.gauge("frameworks/b/x").add(-1.0);
        metrics.remove_all("frameworks/a/");
        assert_eq!(
            metrics.snapshot(None).await.keys().collect::<Vec<_>>(),
            ["frameworks/b/x"]
        );
        assert!(metrics.remove("frameworks/b/x"));
        assert!(metrics.snapshot(None).await.is_empty());
    }
}
