//! What is counted of each framework, for its metrics.
//!
//! Source: shared facts, `metrics.tsv` (`master/frameworks/{name}/{id}/…`).

use mesos_proto::v0::mesos::TaskState;
use mesos_proto::v0::mesos::offer::operation::Type as OperationType;
use mesos_proto::v0::scheduler::call::Type as CallType;
use mesos_proto::v0::scheduler::event::Type as EventType;
use protobuf::Enum;

/// Counts of one kind, by the number of an enum's value. Numbers of unknown values count in the last place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Counts<const PLACES: usize>([u64; PLACES]);

impl<const PLACES: usize> Default for Counts<PLACES> {
    fn default() -> Self {
        Self([0; PLACES])
    }
}

impl<const PLACES: usize> Counts<PLACES> {
    fn place(value: i32) -> usize {
        usize::try_from(value).unwrap_or(PLACES).min(PLACES - 1)
    }

    fn add(&mut self, value: i32) {
        self.0[Self::place(value)] += 1;
    }

    fn of(&self, value: i32) -> u64 {
        self.0[Self::place(value)]
    }

    fn sum(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// What a framework did and was told since this master knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrameworkCounters {
    calls: Counts<32>,
    events: Counts<16>,
    operations: Counts<24>,
    ended: Counts<24>,
    pub(crate) offers_sent: u64,
    pub(crate) offers_accepted: u64,
    pub(crate) offers_declined: u64,
    pub(crate) offers_rescinded: u64,
}

impl FrameworkCounters {
    pub(crate) fn call(&mut self, kind: CallType) {
        self.calls.add(kind.value());
    }

    pub(crate) fn event(&mut self, kind: EventType) {
        self.events.add(kind.value());
    }

    pub(crate) fn operation(&mut self, kind: OperationType) {
        self.operations.add(kind.value());
    }

    pub(crate) fn end(&mut self, state: TaskState) {
        self.ended.add(state.value());
    }

    /// Calls of a type that were accepted as its own, older single messages left out.
    #[must_use]
    pub fn calls_of(&self, kind: CallType) -> u64 {
        self.calls.of(kind.value())
    }

    /// All calls.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.sum()
    }

    /// Events of a type that it was sent, older single messages counted as the event that they stand for.
    #[must_use]
    pub fn events_of(&self, kind: EventType) -> u64 {
        self.events.of(kind.value())
    }

    /// All events.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events.sum()
    }

    /// Operations of a type that were carried out for it.
    #[must_use]
    pub fn operations_of(&self, kind: OperationType) -> u64 {
        self.operations.of(kind.value())
    }

    /// All operations.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.operations.sum()
    }

    /// Tasks that ended in a state.
    #[must_use]
    pub fn ended_in(&self, state: TaskState) -> u64 {
        self.ended.of(state.value())
    }

    /// Offers that were sent.
    #[must_use]
    pub const fn offers_sent(&self) -> u64 {
        self.offers_sent
    }

    /// Offers that it accepted.
    #[must_use]
    pub const fn offers_accepted(&self) -> u64 {
        self.offers_accepted
    }

    /// Offers that it declined.
    #[must_use]
    pub const fn offers_declined(&self) -> u64 {
        self.offers_declined
    }

    /// Offers that were withdrawn from it.
    #[must_use]
    pub const fn offers_rescinded(&self) -> u64 {
        self.offers_rescinded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_the_enums_has_a_place_of_its_own() {
        fn fits<E: Enum>(places: i32) -> bool {
            E::VALUES.iter().all(|value| value.value() < places - 1)
        }
        assert!(fits::<CallType>(32) && fits::<EventType>(16) && fits::<OperationType>(24) && fits::<TaskState>(24));
        let mut counters = FrameworkCounters::default();
        for kind in CallType::VALUES {
            counters.call(*kind);
        }
        assert!(CallType::VALUES.iter().all(|kind| counters.calls_of(*kind) == 1));
        assert_eq!(counters.calls(), CallType::VALUES.len() as u64);
    }
}
