//! What cores draw their choices and ids from: a sequence that depends on nothing but its seed.

use std::time::Duration;

use uuid::Uuid;

/// A seeded generator of bits; the same seed gives the same sequence. Not for secrets.
#[derive(Clone, Debug)]
pub struct Random {
    high: u64,
    low: u64,
}

impl Random {
    /// A generator for `seed`.
    #[must_use]
    pub fn new(seed: u128) -> Self {
        Self {
            high: (seed >> 64) as u64,
            low: u64::try_from(seed & u128::from(u64::MAX)).unwrap_or_default(),
        }
    }

    /// The next 64 bits: two SplitMix64 streams, so that all of the seed counts.
    pub fn next_u64(&mut self) -> u64 {
        split_mix(&mut self.high).rotate_left(32) ^ split_mix(&mut self.low)
    }

    /// A duration from zero up to `bound`, evenly spread.
    pub fn duration_below(&mut self, bound: Duration) -> Duration {
        let bound = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        let product = u128::from(self.next_u64()) * u128::from(bound);
        Duration::from_nanos((product >> 64) as u64)
    }

    /// A version 4 UUID.
    pub fn uuid(&mut self) -> Uuid {
        let bits = (u128::from(self.next_u64()) << 64) | u128::from(self.next_u64());
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_sequence_and_other_seeds_others() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            (random.uuid(), random.next_u64())
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert_ne!(draw(7), draw(7 << 64));
    }

    #[test]
    fn durations_stay_below_their_bound() {
        let mut random = Random::new(1);
        let bound = Duration::from_secs(2);
        let draws: Vec<_> = (0..1000).map(|_| random.duration_below(bound)).collect();
        assert!(draws.iter().all(|draw| *draw < bound));
        assert!(draws.iter().any(|draw| *draw > bound / 2));
        assert_eq!(random.duration_below(Duration::ZERO), Duration::ZERO);
    }
}
