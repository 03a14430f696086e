//! Where time comes from: the machine's clock, or one that tests move by hand.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use libprocess_types::Time;

use crate::error::NodeError;

/// What a timer does when it fires; runs on the clock's thread and must be short.
pub type TimerAction = Box<dyn FnOnce() + Send>;

/// Names a scheduled action of a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerHandle(pub u64);

/// A source of time and timers.
pub trait Clock: Send + Sync + 'static {
    /// The present.
    fn now(&self) -> Time;

    /// Runs `action` once the clock reaches `at`; actions of equal time run in the order of scheduling.
    fn schedule(&self, at: Time, action: TimerAction) -> TimerHandle;

    /// Drops an action that has not run; others are left alone.
    fn cancel(&self, handle: TimerHandle);
}

/// Timers in the order in which they fire.
#[derive(Default)]
struct TimerQueue {
    next: u64,
    actions: BTreeMap<(Time, u64), TimerAction>,
    times: HashMap<u64, Time>,
}

impl TimerQueue {
    fn insert(&mut self, at: Time, action: TimerAction) -> TimerHandle {
        self.next += 1;
        self.actions.insert((at, self.next), action);
        self.times.insert(self.next, at);
        TimerHandle(self.next)
    }

    fn remove(&mut self, handle: TimerHandle) -> Option<TimerAction> {
        let at = self.times.remove(&handle.0)?;
        self.actions.remove(&(at, handle.0))
    }

    fn first_time(&self) -> Option<Time> {
        self.actions.keys().next().map(|(at, _)| *at)
    }

    fn pop_due(&mut self, now: Time) -> Option<(Time, TimerAction)> {
        let at = self.first_time().filter(|at| *at <= now)?;
        let ((_, sequence), action) = self.actions.pop_first()?;
        self.times.remove(&sequence);
        Some((at, action))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct SystemState {
    queue: Mutex<(TimerQueue, bool)>,
    changed: Condvar,
    started: Instant,
    started_time: Time,
}

impl SystemState {
    fn now(&self) -> Time {
        self.started_time + self.started.elapsed()
    }

    fn run(&self) {
        let mut queue = lock(&self.queue);
        loop {
            if queue.1 {
                return;
            }
            if let Some((_, action)) = queue.0.pop_due(self.now()) {
                drop(queue);
                action();
                queue = lock(&self.queue);
                continue;
            }
            queue = match queue.0.first_time() {
                Some(at) => {
                    let pause = at.saturating_since(self.now());
                    self.changed
                        .wait_timeout(queue, pause)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

/// The machine's clock: wall time at its start, moved on by the monotonic clock, so that it never jumps.
///
/// Owns one thread, which ends when the clock is dropped.
pub struct SystemClock {
    state: Arc<SystemState>,
}

impl SystemClock {
    /// Starts the clock's thread.
    ///
    /// # Errors
    ///
    /// Fails when no thread can be started.
    pub fn new() -> Result<Self, NodeError> {
        let since_epoch = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let state = Arc::new(SystemState {
            queue: Mutex::default(),
            changed: Condvar::new(),
            started: Instant::now(),
            started_time: Time::EPOCH + since_epoch,
        });
        let runner = Arc::clone(&state);
        std::thread::Builder::new()
            .name("libprocess-clock".into())
            .spawn(move || runner.run())
            .map_err(NodeError::Thread)?;
        Ok(Self { state })
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Time {
        self.state.now()
    }

    fn schedule(&self, at: Time, action: TimerAction) -> TimerHandle {
        let mut queue = lock(&self.state.queue);
        let is_first = queue.0.first_time().is_none_or(|first| at < first);
        let handle = queue.0.insert(at, action);
        drop(queue);
        if is_first {
            self.state.changed.notify_one();
        }
        handle
    }

    fn cancel(&self, handle: TimerHandle) {
        let action = lock(&self.state.queue).0.remove(handle);
        drop(action);
    }
}

impl Drop for SystemClock {
    fn drop(&mut self) {
        lock(&self.state.queue).1 = true;
        self.state.changed.notify_one();
    }
}

/// A clock that moves only when told to; for tests.
pub struct ManualClock {
    state: Mutex<(Time, TimerQueue)>,
}

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn new(now: Time) -> Self {
        Self {
            state: Mutex::new((now, TimerQueue::default())),
        }
    }

    /// Moves the clock and runs every action that falls due, each at its own time.
    pub fn advance(&self, duration: Duration) {
        let target = lock(&self.state).0 + duration;
        loop {
            let mut state = lock(&self.state);
            let Some((at, action)) = state.1.pop_due(target) else {
                state.0 = target.max(state.0);
                return;
            };
            state.0 = at.max(state.0);
            drop(state);
            action();
        }
    }

    /// Number of actions that have neither run nor been cancelled.
    #[must_use]
    pub fn pending(&self) -> usize {
        lock(&self.state).1.actions.len()
    }

    /// The time of the earliest pending action.
    #[must_use]
    pub fn next_at(&self) -> Option<Time> {
        lock(&self.state).1.first_time()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        lock(&self.state).0
    }

    fn schedule(&self, at: Time, action: TimerAction) -> TimerHandle {
        lock(&self.state).1.insert(at, action)
    }

    fn cancel(&self, handle: TimerHandle) {
        let action = lock(&self.state).1.remove(handle);
        drop(action);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn manual_clock_fires_in_order_of_time_and_scheduling() {
        let clock = ManualClock::new(Time::from_nanos(100));
        let fired = Arc::new(Mutex::new(Vec::new()));
        for (label, after) in [("late", 30), ("first", 10), ("second", 10)] {
            let fired = Arc::clone(&fired);
            let at = clock.now() + Duration::from_nanos(after);
            clock.schedule(at, Box::new(move || lock(&fired).push(label)));
        }
        clock.advance(Duration::from_nanos(9));
        assert!(lock(&fired).is_empty());
        clock.advance(Duration::from_nanos(1));
        assert_eq!(*lock(&fired), ["first", "second"]);
        clock.advance(Duration::from_secs(1));
        assert_eq!(lock(&fired).len(), 3);
        assert_eq!(clock.pending(), 0);
    }

    #[test]
    fn cancelled_action_never_runs() {
        let clock = ManualClock::new(Time::EPOCH);
        let handle = clock.schedule(Time::from_nanos(5), Box::new(|| panic!("was cancelled")));
        clock.cancel(handle);
        clock.cancel(handle);
        clock.advance(Duration::from_secs(1));
    }

    #[test]
    fn system_clock_fires_and_wakes_for_an_earlier_timer() {
        let clock = SystemClock::new().expect("a thread");
        let (sender, receiver) = mpsc::channel();
        let late = sender.clone();
        clock.schedule(
            clock.now() + Duration::from_secs(3600),
            Box::new(move || {
                let _ = late.send("late");
            }),
        );
        clock.schedule(
            clock.now() + Duration::from_millis(1),
            Box::new(move || {
                let _ = sender.send("early");
            }),
        );
        assert_eq!(receiver.recv_timeout(Duration::from_secs(10)), Ok("early"));
    }
}
