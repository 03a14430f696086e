//! A rate: events leave at most every so often, in the order in which they came.
//!
//! The first event of a quiet time passes at once, each further one an interval after the one before it. A timer that
//! runs out late does not lower the rate: the next event counts from the time that was due.

use std::collections::VecDeque;
use std::time::Duration;

use libprocess_types::Time;

/// Lets events pass at a rate and keeps the others in their order.
#[derive(Clone, Debug)]
pub(crate) struct Limiter<T> {
    interval: Duration,
    /// When the next event may pass.
    free: Time,
    waiting: VecDeque<T>,
}

impl<T> Limiter<T> {
    /// Lets one event pass per interval.
    pub(crate) const fn new(interval: Duration) -> Self {
        Self {
            interval,
            free: Time::EPOCH,
            waiting: VecDeque::new(),
        }
    }

    /// Takes an event and gives it back when it may pass now.
    pub(crate) fn admit(&mut self, now: Time, event: T) -> Option<T> {
        if self.waiting.is_empty() && self.free <= now {
            self.free = now + self.interval;
            return Some(event);
        }
        self.waiting.push_back(event);
        None
    }

    /// The next waiting event, once its time has come.
    pub(crate) fn release(&mut self, now: Time) -> Option<T> {
        if self.free > now {
            return None;
        }
        let event = self.waiting.pop_front()?;
        self.free += self.interval;
        Some(event)
    }

    /// How long the next waiting event has to wait; `None` when nothing waits.
    pub(crate) fn due(&self, now: Time) -> Option<Duration> {
        (!self.waiting.is_empty()).then(|| self.free.saturating_since(now))
    }

    /// Drops what waits first as long as it is stale: it uses no permit.
    pub(crate) fn skip(&mut self, is_stale: impl Fn(&T) -> bool) {
        while self.waiting.front().is_some_and(&is_stale) {
            self.waiting.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(tenths: u64) -> Time {
        Time::EPOCH + Duration::from_millis(tenths * 100)
    }

    /// What happens at a tenth of a second, and what passes then.
    enum Step {
        Comes(&'static str, Option<&'static str>),
        Leaves(Option<&'static str>),
        Due(Option<u64>),
        Skipped(&'static str),
    }
    use Step::{Comes, Due, Leaves, Skipped};

    #[test]
    fn events_leave_one_an_interval_in_their_order() {
        let rows: &[(u64, Step)] = &[
            (10, Comes("a", Some("a"))),
            (10, Due(None)),
            (12, Comes("b", None)),
            (12, Comes("c", None)),
            (12, Comes("d", None)),
            (12, Due(Some(8))),
            (19, Leaves(None)),
            (20, Leaves(Some("b"))),
            (20, Leaves(None)),
            (20, Due(Some(10))),
            (21, Skipped("d")),
            (21, Due(Some(9))),
            (21, Skipped("c")),
            (30, Leaves(Some("d"))),
            (30, Due(None)),
            (39, Comes("e", None)),
            (39, Skipped("e")),
            (40, Comes("f", Some("f"))),
            (41, Leaves(None)),
        ];
        let mut limiter = Limiter::new(SECOND);
        for (index, (tenths, step)) in rows.iter().enumerate() {
            let now = at(*tenths);
            match step {
                Comes(event, passes) => assert_eq!(limiter.admit(now, *event), *passes, "row {index}"),
                Leaves(event) => assert_eq!(limiter.release(now), *event, "row {index}"),
                Due(tenths) => {
                    let due = tenths.map(|tenths| Duration::from_millis(tenths * 100));
                    assert_eq!(limiter.due(now), due, "row {index}");
                }
                Skipped(event) => limiter.skip(|own| own == event),
            }
        }
    }

    #[test]
    fn a_late_timer_does_not_lower_the_rate() {
        let mut limiter = Limiter::new(SECOND);
        assert_eq!(limiter.admit(at(0), 0), Some(0));
        for event in 1..=5 {
            assert_eq!(limiter.admit(at(1), event), None);
        }
        let mut left = Vec::new();
        while let Some(event) = limiter.release(at(32)) {
            left.push(event);
        }
        assert_eq!(left, [1, 2, 3], "three seconds, three events");
        assert_eq!(limiter.due(at(32)), Some(Duration::from_millis(800)));
        assert_eq!(limiter.release(at(40)), Some(4));
    }

    #[test]
    fn over_any_time_at_most_one_event_an_interval_passes() {
        let mut limiter = Limiter::new(Duration::from_millis(250));
        let mut passed = 0;
        for tick in 0..1000_u64 {
            let now = Time::EPOCH + Duration::from_millis(tick * 10);
            passed += u32::from(limiter.admit(now, tick).is_some());
            while limiter.release(now).is_some() {
                passed += 1;
            }
        }
        assert_eq!(passed, 40, "10 s at 4 a second");
    }
}
