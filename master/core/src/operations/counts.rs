//! Figures of operations for the metrics endpoint.

use std::collections::BTreeMap;

use mesos_proto::v0::mesos::OperationState;
use mesos_proto::v0::mesos::offer::operation::Type;

use super::kind;
use super::state::is_terminal;
use crate::master::Master;

/// How many operations of each kind were asked for, and in how many each state was reached.
///
/// Both names are those of the metrics: kinds like `grow_volume`, figures like `total` and `finished`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperationCounts(BTreeMap<(&'static str, &'static str), u64>);

impl OperationCounts {
    /// A figure of one kind.
    #[must_use]
    pub fn get(&self, kind: &str, figure: &str) -> u64 {
        let found = self.0.iter().find(|((k, f), _)| *k == kind && *f == figure);
        found.map_or(0, |(_, count)| *count)
    }

    fn add(&mut self, kind: Type, figure: &'static str) {
        if let Some(kind) = kind::metric_name(kind) {
            *self.0.entry((kind, figure)).or_default() += 1;
        }
    }

    /// An operation was sent to an agent, reported by one, or refused.
    pub(super) fn begun(&mut self, kind: Type) {
        self.add(kind, "total");
    }

    /// A state was reached that is counted: an end, or the agent became unreachable.
    pub(super) fn reached(&mut self, kind: Type, state: OperationState) {
        let figure = match state {
            OperationState::OPERATION_FINISHED => "finished",
            OperationState::OPERATION_FAILED => "failed",
            OperationState::OPERATION_ERROR => "error",
            OperationState::OPERATION_DROPPED => "dropped",
            OperationState::OPERATION_GONE_BY_OPERATOR => "gone_by_operator",
            OperationState::OPERATION_UNREACHABLE => "unreachable",
            OperationState::OPERATION_RECOVERING
            | OperationState::OPERATION_PENDING
            | OperationState::OPERATION_UNKNOWN
            | OperationState::OPERATION_UNSUPPORTED => return,
        };
        self.add(kind, figure);
    }
}

impl Master {
    /// How many operations have not ended, by the metrics' name of their kind.
    #[must_use]
    pub fn pending_operations(&self) -> BTreeMap<&'static str, u64> {
        let mut pending = BTreeMap::new();
        let operations = self.agents.values().flat_map(|agent| agent.operations.values());
        for operation in operations.filter(|operation| !is_terminal(operation.state())) {
            if let Some(kind) = kind::metric_name(operation.message.info.type_()) {
                *pending.entry(kind).or_default() += 1;
            }
        }
        pending
    }
}
