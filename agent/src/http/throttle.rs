//! Requests that cost much wait for their turn.

use std::time::Duration;

use libprocess::Time;

/// Requests that may wait.
const WAITING_MAX: u32 = 1000;

/// Lets requests through at a steady rate; those that come faster wait.
#[derive(Clone, Copy, Debug)]
pub struct Throttle {
    interval: Duration,
    next: Time,
}

impl Throttle {
    /// Lets `count` requests through in a second.
    #[must_use]
    pub fn per_second(count: u32) -> Self {
        Self {
            interval: Duration::from_secs(1) / count.max(1),
            next: Time::default(),
        }
    }

    /// How long the request that comes now has to wait; nothing when too many wait already.
    pub fn wait(&mut self, now: Time) -> Option<Duration> {
        let turn = self.next.max(now);
        let wait = turn.saturating_since(now);
        if wait > self.interval * WAITING_MAX {
            return None;
        }
        self.next = turn + self.interval;
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_too_fast_waits_and_the_queue_is_bounded() {
        let mut throttle = Throttle::per_second(2);
        let now = Time::from_nanos(1_000_000_000_000);
        let waits: Vec<_> = (0..3)
            .map(|_| throttle.wait(now).map(|wait| wait.as_millis()))
            .collect();
        assert_eq!(waits, [Some(0), Some(500), Some(1000)]);
        assert_eq!(throttle.wait(now + Duration::from_secs(60)), Some(Duration::ZERO));
        assert!((0..2000).any(|_| throttle.wait(now).is_none()));
    }
}
