//! Where chance comes from: the system, or a seed that makes every draw repeatable.

/// A source of random numbers.
pub trait Random {
    /// The next number, all values equally likely.
    fn next_u64(&mut self) -> u64;

    /// A number below `bound`; 0 when `bound` is 0.
    fn below(&mut self, bound: u64) -> u64 {
        // The upper half of the product is spread evenly enough: the bias is below bound / 2^64.
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// True so many times in a million.
    fn chance(&mut self, per_million: u32) -> bool {
        per_million > 0 && self.below(1_000_000) < u64::from(per_million)
    }

    /// A duration from `low` to `high`, both included; `low` when `high` is less.
    fn duration(&mut self, low: std::time::Duration, high: std::time::Duration) -> std::time::Duration {
        let span = u64::try_from(high.saturating_sub(low).as_nanos()).unwrap_or(u64::MAX - 1);
        low + std::time::Duration::from_nanos(self.below(span.saturating_add(1)))
    }
}

/// The system's random source.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn next_u64(&mut self) -> u64 {
        rand::random()
    }
}

/// A repeatable source: equal seeds give equal numbers on every machine (SplitMix64).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeededRandom(u64);

impl SeededRandom {
    /// A source that depends on nothing but `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A source of its own for one part of a test, so that draws of other parts do not disturb it.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(self.next_u64())
    }
}

impl Random for SeededRandom {
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn equal_seeds_give_equal_numbers() {
        let draw = |seed| {
            let mut random = SeededRandom::new(seed);
            [random.next_u64(), random.below(10), random.fork().next_u64()]
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn bounds_hold() {
        let mut random = SeededRandom::new(1);
        let mut seen = [false; 3];
        for _ in 0..1000 {
            seen[usize::try_from(random.below(3)).expect("small")] = true;
            let drawn = random.duration(Duration::from_nanos(5), Duration::from_nanos(6));
            assert!((5..=6).contains(&drawn.as_nanos()));
            assert!(!random.chance(0) && random.chance(1_000_000));
        }
        assert_eq!((seen, random.below(0)), ([true; 3], 0));
        assert_eq!(
            random.duration(Duration::from_secs(2), Duration::ZERO),
            Duration::from_secs(2)
        );
        assert!(SystemRandom.below(5) < 5);
    }
}
