//! Rules of the v1 scheduler client: when to connect, subscribe, wait and give up a connection.
//!
//! The core knows one stream at a time. Everything the shell starts for it carries the number of the attempt, so that
//! an answer from an earlier attempt is recognised and dropped.
//!
//! Source: shared facts, `scheduler_calls.tsv` (stream id, heartbeats, library back-off).

use std::time::Duration;

use libprocess_types::Time;
use mesos_proto::v1::mesos::{FrameworkID, FrameworkInfo};
use mesos_proto::v1::scheduler::{Call, Event, call, event};
use protobuf::MessageField;

/// Bounds of the client's patience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest random delay before a new attempt (`connection_delay_max`, 500 ms by default).
    pub connection_delay_max: Duration,
    /// Heartbeats that may stay away before the stream is taken for dead.
    pub missed_heartbeats: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connection_delay_max: Duration::from_millis(500),
            missed_heartbeats: 5,
        }
    }
}

/// What can happen to the client.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The framework wants to be connected.
    Started,
    /// The timer of [`Effect::SetTimer`] passed.
    TimerElapsed {
        /// Attempt that set it.
        attempt: u64,
    },
    /// The master answered the subscription with a stream.
    StreamOpened {
        /// Attempt that this belongs to.
        attempt: u64,
        /// Value of `Mesos-Stream-Id`.
        stream_id: String,
    },
    /// The subscription failed before a stream was there, or the stream ended.
    StreamEnded {
        /// Attempt that this belongs to.
        attempt: u64,
        /// What went wrong, for the log.
        problem: Problem,
    },
    /// One event arrived on the stream.
    EventReceived {
        /// Attempt that this belongs to.
        attempt: u64,
        /// The event.
        event: Box<Event>,
    },
    /// The framework makes a call.
    CallMade(Box<Call>),
}

/// Why a stream ended or never came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The master could not be reached, or the connection broke.
    #[error("connection to the master lost: {0}")]
    Connection(String),
    /// The master answered with another status than 200.
    #[error("master answered {status} to SUBSCRIBE: {body}")]
    Refused {
        /// Status code.
        status: u16,
        /// Body of the answer.
        body: String,
    },
    /// No heartbeat came for too long.
    #[error("no heartbeat from the master for {0:?}")]
    Silent(Duration),
}

/// What the client wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Open a connection and post this SUBSCRIBE; any older stream is dropped.
    Subscribe {
        /// Number to hand back with whatever follows.
        attempt: u64,
        /// The call.
        call: Box<Call>,
    },
    /// Post a call on the subscribed stream.
    Post {
        /// Stream that the call belongs to.
        stream_id: String,
        /// The call.
        call: Box<Call>,
    },
    /// Arm the only timer, replacing an earlier one.
    SetTimer {
        /// Number to hand back.
        attempt: u64,
        /// When.
        after: Duration,
    },
    /// Hand an event to the framework.
    Deliver(Box<Event>),
    /// Tell the framework that the stream is gone; a new attempt follows by itself.
    TellDisconnected(Problem),
    /// Tell the framework that the master will not have it; no further attempt follows.
    TellRefused(Problem),
    /// A call was made while no stream is there; it was not sent.
    DropCall(Box<Call>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Waiting,
    Subscribing,
    Open { stream_id: String, heartbeat: Duration },
    Refused,
}

/// The client's rules.
#[derive(Debug)]
pub struct Core {
    framework: FrameworkInfo,
    suppressed_roles: Vec<String>,
    limits: Limits,
    phase: Phase,
    attempt: u64,
    random_state: u64,
    last_heard: Time,
}

impl Core {
    /// Builds the rules for one framework; `seed` feeds the delays.
    #[must_use]
    pub fn new(framework: FrameworkInfo, suppressed_roles: Vec<String>, limits: Limits, seed: u64) -> Self {
        Self {
            framework,
            suppressed_roles,
            limits,
            phase: Phase::Idle,
            attempt: 0,
            random_state: seed | 1,
            last_heard: Time::EPOCH,
        }
    }

    /// Id that the master gave the framework; absent before the first subscription.
    #[must_use]
    pub fn framework_id(&self) -> Option<&FrameworkID> {
        self.framework.id.as_ref()
    }

    /// Applies one input.
    pub fn step(&mut self, now: Time, input: Input) -> Vec<Effect> {
        match input {
            Input::Started if self.phase == Phase::Idle => self.subscribe(),
            Input::Started => Vec::new(),
            Input::TimerElapsed { attempt } if attempt == self.attempt => self.timer_elapsed(now),
            Input::StreamOpened { attempt, stream_id } if attempt == self.attempt => self.stream_opened(now, stream_id),
            Input::StreamEnded { attempt, problem } if attempt == self.attempt => self.stream_ended(problem),
            Input::EventReceived { attempt, event } if attempt == self.attempt => self.event_received(now, event),
            Input::CallMade(call) => self.call_made(call),
            Input::TimerElapsed { .. }
            | Input::StreamOpened { .. }
            | Input::StreamEnded { .. }
            | Input::EventReceived { .. } => Vec::new(),
        }
    }

    fn subscribe(&mut self) -> Vec<Effect> {
        self.attempt += 1;
        self.phase = Phase::Subscribing;
        let mut call = Call::new();
        call.set_type(call::Type::SUBSCRIBE);
        call.framework_id = self.framework.id.clone();
        let subscribe = call.subscribe.mut_or_insert_default();
        subscribe.framework_info = MessageField::some(self.framework.clone());
        subscribe.suppressed_roles.clone_from(&self.suppressed_roles);
        vec![Effect::Subscribe {
            attempt: self.attempt,
            call: Box::new(call),
        }]
    }

    fn timer_elapsed(&mut self, now: Time) -> Vec<Effect> {
        match &self.phase {
            Phase::Waiting => self.subscribe(),
            Phase::Open { heartbeat, .. } => {
                let patience = *heartbeat * self.limits.missed_heartbeats;
                let silent_for = now.saturating_since(self.last_heard);
                if silent_for >= patience {
                    return self.stream_ended(Problem::Silent(silent_for));
                }
                vec![Effect::SetTimer {
                    attempt: self.attempt,
                    after: patience - silent_for,
                }]
            }
            Phase::Idle | Phase::Subscribing | Phase::Refused => Vec::new(),
        }
    }

    fn stream_opened(&mut self, now: Time, stream_id: String) -> Vec<Effect> {
        if self.phase != Phase::Subscribing {
            return Vec::new();
        }
        self.last_heard = now;
        // Until SUBSCRIBED tells the interval, the master's constant of 15 s is assumed.
        let heartbeat = Duration::from_secs(15);
        self.phase = Phase::Open { stream_id, heartbeat };
        vec![Effect::SetTimer {
            attempt: self.attempt,
            after: heartbeat * self.limits.missed_heartbeats,
        }]
    }

    fn stream_ended(&mut self, problem: Problem) -> Vec<Effect> {
        if matches!(self.phase, Phase::Idle | Phase::Waiting | Phase::Refused) {
            return Vec::new();
        }
        if let Problem::Refused { status, .. } = problem
            && !is_temporary(status)
        {
            self.phase = Phase::Refused;
            return vec![Effect::TellRefused(problem)];
        }
        self.phase = Phase::Waiting;
        self.attempt += 1;
        let after = self.random_delay();
        vec![
            Effect::TellDisconnected(problem),
            Effect::SetTimer {
                attempt: self.attempt,
                after,
            },
        ]
    }

    fn event_received(&mut self, now: Time, event: Box<Event>) -> Vec<Effect> {
        let Phase::Open { heartbeat, .. } = &mut self.phase else {
            return Vec::new();
        };
        self.last_heard = now;
        if event.type_() == event::Type::SUBSCRIBED {
            self.framework.id = event.subscribed.framework_id.clone();
            let seconds = event.subscribed.heartbeat_interval_seconds();
            if let Ok(interval) = Duration::try_from_secs_f64(seconds)
                && !interval.is_zero()
            {
                *heartbeat = interval;
            }
        }
        vec![Effect::Deliver(event)]
    }

    fn call_made(&mut self, mut call: Box<Call>) -> Vec<Effect> {
        let Phase::Open { stream_id, .. } = &self.phase else {
            return vec![Effect::DropCall(call)];
        };
        if call.framework_id.is_none() {
            call.framework_id = self.framework.id.clone();
        }
        if call.framework_id.is_none() {
            // The stream is open but SUBSCRIBED has not told the id yet.
            return vec![Effect::DropCall(call)];
        }
        vec![Effect::Post {
            stream_id: stream_id.clone(),
            call,
        }]
    }

    /// A delay below the configured bound, from a small xorshift generator: spread matters, quality does not.
    fn random_delay(&mut self) -> Duration {
        self.random_state ^= self.random_state << 13;
        self.random_state ^= self.random_state >> 7;
        self.random_state ^= self.random_state << 17;
        let bound = u64::try_from(self.limits.connection_delay_max.as_nanos())
            .unwrap_or(u64::MAX)
            .max(1);
        Duration::from_nanos(self.random_state % bound)
    }
}

/// No leader, not yet recovered, wrong master: conditions that pass by themselves.
const fn is_temporary(status: u16) -> bool {
    matches!(status, 307 | 404 | 429 | 500 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_nanos(1_000_000_000_000);

    fn core() -> Core {
        let mut framework = FrameworkInfo::new();
        framework.set_user("root".into());
        framework.set_name("test".into());
        Core::new(framework, vec!["quiet".into()], Limits::default(), 7)
    }

    fn subscribed(id: &str) -> Box<Event> {
        let mut event = Event::new();
        event.set_type(event::Type::SUBSCRIBED);
        let inner = event.subscribed.mut_or_insert_default();
        inner.framework_id.mut_or_insert_default().set_value(id.into());
        inner.set_heartbeat_interval_seconds(15.0);
        Box::new(event)
    }

    fn open(core: &mut Core) {
        assert!(matches!(
            &core.step(NOW, Input::Started)[..],
            [Effect::Subscribe { attempt: 1, .. }]
        ));
        core.step(
            NOW,
            Input::StreamOpened {
                attempt: 1,
                stream_id: "s1".into(),
            },
        );
        core.step(
            NOW,
            Input::EventReceived {
                attempt: 1,
                event: subscribed("F"),
            },
        );
    }

    fn kill() -> Box<Call> {
        let mut call = Call::new();
        call.set_type(call::Type::KILL);
        Box::new(call)
    }

    #[test]
    fn calls_carry_the_framework_and_the_stream() {
        let mut core = core();
        assert_eq!(core.step(NOW, Input::CallMade(kill())), [Effect::DropCall(kill())]);
        open(&mut core);
        match &core.step(NOW, Input::CallMade(kill()))[..] {
            [Effect::Post { stream_id, call }] => {
                assert_eq!(stream_id, "s1");
                assert_eq!(call.framework_id.value(), "F");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_broken_stream_is_taken_up_again_with_the_same_id() {
        let mut core = core();
        open(&mut core);
        let lost = Problem::Connection("reset".into());
        let effects = core.step(
            NOW,
            Input::StreamEnded {
                attempt: 1,
                problem: lost.clone(),
            },
        );
        let [Effect::TellDisconnected(told), Effect::SetTimer { attempt: 2, after }] = &effects[..] else {
            panic!("{effects:?}");
        };
        assert_eq!(*told, lost);
        assert!(*after < Duration::from_millis(500));
        match &core.step(NOW, Input::TimerElapsed { attempt: 2 })[..] {
            [Effect::Subscribe { attempt: 3, call }] => {
                assert_eq!(call.framework_id.value(), "F");
                assert_eq!(call.subscribe.framework_info.id.value(), "F");
                assert_eq!(call.subscribe.suppressed_roles, ["quiet"]);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_belongs_to_an_earlier_attempt_is_dropped() {
        let mut core = core();
        open(&mut core);
        core.step(
            NOW,
            Input::StreamEnded {
                attempt: 1,
                problem: Problem::Connection("x".into()),
            },
        );
        core.step(NOW, Input::TimerElapsed { attempt: 2 });
        assert!(
            core.step(
                NOW,
                Input::EventReceived {
                    attempt: 1,
                    event: subscribed("other")
                }
            )
            .is_empty()
        );
        assert!(
            core.step(
                NOW,
                Input::StreamEnded {
                    attempt: 1,
                    problem: Problem::Connection("y".into())
                }
            )
            .is_empty()
        );
        assert_eq!(core.framework_id().map(FrameworkID::value), Some("F"));
    }

    #[test]
    fn silence_ends_the_stream_after_the_allowed_heartbeats() {
        let mut core = core();
        open(&mut core);
        let later = NOW + Duration::from_secs(60);
        let effects = core.step(later, Input::TimerElapsed { attempt: 1 });
        assert_eq!(
            effects,
            [Effect::SetTimer {
                attempt: 1,
                after: Duration::from_secs(15)
            }]
        );
        let effects = core.step(NOW + Duration::from_secs(75), Input::TimerElapsed { attempt: 1 });
        assert!(matches!(
            &effects[..],
            [Effect::TellDisconnected(Problem::Silent(_)), Effect::SetTimer { .. }]
        ));
    }

    #[test]
    fn a_lasting_refusal_ends_the_attempts_and_a_passing_one_does_not() {
        for (status, lasting) in [
            (400, true),
            (401, true),
            (403, true),
            (503, false),
            (307, false),
            (404, false),
        ] {
            let mut core = core();
            core.step(NOW, Input::Started);
            let problem = Problem::Refused {
                status,
                body: String::new(),
            };
            let effects = core.step(NOW, Input::StreamEnded { attempt: 1, problem });
            assert_eq!(matches!(effects[0], Effect::TellRefused(_)), lasting, "{status}");
            assert_eq!(effects.len(), if lasting { 1 } else { 2 }, "{status}");
        }
    }
}
