//! Durations, and where most of them lie.

use std::time::Duration;

use serde::Serialize;

/// Samples kept; beyond that every other one is dropped and only every second, fourth … new one is taken.
const SAMPLES_MAX: usize = 1 << 20;

/// A bounded set of durations, in whole microseconds.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    micros: Vec<u32>,
    /// Every so many-th sample is kept: 2 to the power of this.
    thinned: u32,
    seen: u64,
}

/// Where the samples of a set lie, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// How many were seen.
    pub count: u64,
    /// Half of them are not above this.
    pub p50_ms: f64,
    /// 99 of 100 are not above this.
    pub p99_ms: f64,
    /// None of those kept is above this.
    pub max_ms: f64,
}

impl Samples {
    /// Adds a duration; those above 71 minutes count as 71 minutes.
    pub fn add(&mut self, duration: Duration) {
        let due = self.seen.trailing_zeros() >= self.thinned || self.thinned == 0;
        self.seen += 1;
        if !due {
            return;
        }
        if self.micros.len() >= SAMPLES_MAX {
            let mut keep = false;
            self.micros.retain(|_| {
                keep = !keep;
                keep
            });
            self.thinned += 1;
        }
        self.micros
            .push(u32::try_from(duration.as_micros()).unwrap_or(u32::MAX));
    }

    /// How many were added.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.seen
    }

    /// Where they lie; all zero without samples.
    #[must_use]
    pub fn spread(&self) -> Spread {
        let mut sorted = self.micros.clone();
        sorted.sort_unstable();
        // The smallest value that at least so many of a hundred do not exceed.
        let rank = |percent: usize| {
            let position = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            sorted.get(position).map_or(0.0, |micros| f64::from(*micros) / 1000.0)
        };
        Spread {
            count: self.seen,
            p50_ms: rank(50),
            p99_ms: rank(99),
            max_ms: rank(100),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_values_that_occurred() {
        let mut samples = Samples::default();
        assert_eq!(samples.spread(), Spread::default());
        for millis in (1..=100).rev() {
            samples.add(Duration::from_millis(millis));
        }
        let expected = Spread {
            count: 100,
            p50_ms: 50.0,
            p99_ms: 99.0,
            max_ms: 100.0,
        };
        assert_eq!(samples.spread(), expected);
    }

    #[test]
    fn a_full_set_keeps_an_even_part() {
        let mut samples = Samples::default();
        let count = u64::try_from(SAMPLES_MAX).expect("fits") * 5;
        for micros in 0..count {
            samples.add(Duration::from_micros(micros));
        }
        assert!(samples.micros.len() <= SAMPLES_MAX && samples.count() == count);
        let middle = samples.spread().p50_ms * 1000.0;
        let part = middle / Duration::from_micros(count).as_secs_f64() / 1e6;
        assert!((0.45..0.55).contains(&part), "{part}");
    }
}
