//! The state machine of an operation.

use mesos_proto::v0::mesos::OperationState;

/// Whether an operation in this state has ended for good.
pub(super) const fn is_terminal(state: OperationState) -> bool {
    match state {
        OperationState::OPERATION_FINISHED
        | OperationState::OPERATION_FAILED
        | OperationState::OPERATION_ERROR
        | OperationState::OPERATION_DROPPED
        | OperationState::OPERATION_GONE_BY_OPERATOR => true,
        OperationState::OPERATION_UNSUPPORTED
        | OperationState::OPERATION_PENDING
        | OperationState::OPERATION_UNREACHABLE
        | OperationState::OPERATION_RECOVERING
        | OperationState::OPERATION_UNKNOWN => false,
    }
}

/// What a report of an agent does to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It goes on.
    Open,
    /// It ends, and its outcome is there.
    Done,
    /// It ends without an outcome.
    Failed,
    /// It had ended before: its state stays.
    Late,
}

/// The transition from `old` when an agent reports `told`.
pub(super) const fn step(old: OperationState, told: OperationState) -> Step {
    if is_terminal(old) {
        return Step::Late;
    }
    match told {
        OperationState::OPERATION_FINISHED => Step::Done,
        OperationState::OPERATION_FAILED
        | OperationState::OPERATION_ERROR
        | OperationState::OPERATION_DROPPED
        | OperationState::OPERATION_GONE_BY_OPERATOR => Step::Failed,
        OperationState::OPERATION_UNSUPPORTED
        | OperationState::OPERATION_PENDING
        | OperationState::OPERATION_UNREACHABLE
        | OperationState::OPERATION_RECOVERING
        | OperationState::OPERATION_UNKNOWN => Step::Open,
    }
}
