//! Durations and their distribution.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Durations that a timer remembers; the oldest go first.
const SAMPLES_MAX: usize = 1000;

/// Percentiles as they appear in metric names.
const PERCENTILES: [(&str, f64); 6] = [
    ("/p50", 0.5),
    ("/p90", 0.9),
    ("/p95", 0.95),
    ("/p99", 0.99),
    ("/p999", 0.999),
    ("/p9999", 0.9999),
];

#[derive(Debug, Default)]
struct State {
    last_ms: Option<f64>,
    recent: VecDeque<(Instant, f64)>,
}

/// Measures how long something takes. Clones share what was measured.
#[derive(Clone, Debug)]
pub struct Timer {
    state: Arc<Mutex<State>>,
    window: Option<Duration>,
}

impl Timer {
    pub(super) fn new(window: Option<Duration>) -> Self {
        Self {
            state: Arc::default(),
            window,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to measure.
    #[must_use]
    pub fn start(&self) -> TimerRun {
        TimerRun {
            timer: self.clone(),
            since: Instant::now(),
        }
    }

    /// Remembers a duration that was measured elsewhere.
    pub fn record(&self, duration: Duration) {
        self.record_at(Instant::now(), duration);
    }

    fn record_at(&self, now: Instant, duration: Duration) {
        let milliseconds = duration.as_secs_f64() * 1000.0;
        let mut state = self.lock();
        state.last_ms = Some(milliseconds);
        if self.window.is_some() {
            if state.recent.len() == SAMPLES_MAX {
                state.recent.pop_front();
            }
            state.recent.push_back((now, milliseconds));
        }
    }

    /// The latest duration under the empty key, and the distribution of the window when it holds two or more.
    pub(super) fn statistics(&self, now: Instant) -> Vec<(&'static str, f64)> {
        let mut state = self.lock();
        let Some(last_ms) = state.last_ms else {
            return Vec::new();
        };
        let mut values = vec![("", last_ms)];
        let Some(window) = self.window else {
            return values;
        };
        while state
            .recent
            .front()
            .is_some_and(|(at, _)| now.saturating_duration_since(*at) > window)
        {
            state.recent.pop_front();
        }
        let mut sorted: Vec<f64> = state.recent.iter().map(|(_, milliseconds)| *milliseconds).collect();
        drop(state);
        sorted.sort_by(f64::total_cmp);
        if let (Some(min), Some(max), true) = (sorted.first(), sorted.last(), sorted.len() >= 2) {
            let count = u16::try_from(sorted.len()).unwrap_or(u16::MAX);
            values.extend([("/count", f64::from(count)), ("/max", *max), ("/min", *min)]);
            values.extend(PERCENTILES.map(|(key, fraction)| (key, percentile(&sorted, fraction))));
        }
        values
    }
}

/// A measurement that has begun. Dropping it without [`TimerRun::stop`] forgets it.
#[derive(Debug)]
pub struct TimerRun {
    timer: Timer,
    since: Instant,
}

impl TimerRun {
    /// Ends the measurement and tells how long it was.
    pub fn stop(self) -> Duration {
        let duration = self.since.elapsed();
        self.timer.record(duration);
        duration
    }
}

/// Interpolates linearly between the two nearest of `sorted`, which must not be empty.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "positions lie between zero and SAMPLES_MAX"
)]
fn percentile(sorted: &[f64], fraction: f64) -> f64 {
    let position = fraction * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let lower = sorted[below];
    let upper = sorted[(below + 1).min(sorted.len() - 1)];
    lower + (position - position.floor()) * (upper - lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(timer: &Timer, now: Instant) -> Vec<&'static str> {
        timer.statistics(now).into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn percentiles_interpolate_as_recorded() {
        // Two neighbours at the top of six durations, from the recorded `registrar/state_store_ms`.
        let sorted = [0.130_816, 0.14, 0.15, 0.16, 0.186_112, 0.195_84];
        for (fraction, expected) in [
            (0.9, 0.190_976),
            (0.99, 0.195_353_6),
            (0.999, 0.195_791_36),
            (0.9999, 0.195_835_136),
        ] {
            assert!((percentile(&sorted, fraction) - expected).abs() < 1e-12, "{fraction}");
        }
        assert!((percentile(&[7.0], 0.5) - 7.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_is_told_before_the_first_duration() {
        let timer = Timer::new(Some(Duration::from_secs(60)));
        assert!(keys(&timer, Instant::now()).is_empty());
        let duration = timer.start().stop();
        assert_eq!(
            timer.statistics(Instant::now()),
            [("", duration.as_secs_f64() * 1000.0)]
        );
    }

    #[test]
    fn distribution_covers_the_window_only() {
        let timer = Timer::new(Some(Duration::from_secs(60)));
        let start = Instant::now();
        for second in 0..100 {
            timer.record_at(start + Duration::from_secs(second), Duration::from_millis(second));
        }
        let values = timer.statistics(start + Duration::from_secs(100));
        let value = |wanted: &str| values.iter().find(|(key, _)| *key == wanted).map(|(_, value)| *value);
        assert_eq!(value("/count"), Some(60.0));
        assert_eq!(value("/min"), Some(40.0));
        assert_eq!(value("/max"), Some(99.0));
        assert_eq!(value(""), Some(99.0));
        assert_eq!(keys(&timer, start + Duration::from_secs(1000)), [""]);
    }

    #[test]
    fn without_a_window_only_the_latest_is_told() {
        let timer = Timer::new(None);
        timer.record(Duration::from_millis(3));
        timer.record(Duration::from_millis(4));
        assert_eq!(timer.statistics(Instant::now()), [("", 4.0)]);
    }

    #[test]
    fn memory_is_bounded() {
        let timer = Timer::new(Some(Duration::from_secs(3600)));
        for _ in 0..5000 {
            timer.record(Duration::from_millis(1));
        }
        assert_eq!(timer.lock().recent.len(), SAMPLES_MAX);
    }
}
