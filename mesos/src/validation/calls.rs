//! The shapes of calls: what a call of each type must carry, before anybody asks who sent it.
//!
//! Calls arrive in unversioned form, as [`crate::convert`] gives them. The names in the errors are those that the
//! sender of a v1 call used.

use mesos_proto::v0::mesos::{TaskState, TaskStatus, task_status};
use mesos_proto::v0::{executor, scheduler};

use crate::ids::{IdError, validate_id};

/// Bytes of a UUID on the wire.
const UUID_BYTES: usize = 16;

/// Why a call is refused, which answers it with status 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The type is missing or not known here.
    #[error("the call has no `type` that is known here")]
    UnknownType,
    /// The call does not say for which framework it is.
    #[error("the {call} call lacks `framework_id`")]
    FrameworkIdMissing {
        /// The type.
        call: String,
    },
    /// The field that belongs to the type is not there.
    #[error("the {call} call lacks its field `{field}`")]
    Missing {
        /// The type.
        call: String,
        /// The field.
        field: &'static str,
    },
    /// The id beside the description is not the one in it.
    #[error("the call is for the framework `{outer}`, but `framework_info.id` is `{inner}`")]
    FrameworkIdsDiffer {
        /// The id in the call.
        outer: String,
        /// The id in the description.
        inner: String,
    },
    /// Bytes that should be a UUID are none.
    #[error("`{field}` of the {call} call has {length} bytes; a UUID has 16")]
    Uuid {
        /// The type.
        call: String,
        /// The field.
        field: &'static str,
        /// How many bytes there are.
        length: usize,
    },
    /// An id is malformed.
    #[error("`{field}` of the {call} call is invalid")]
    Id {
        /// The type.
        call: String,
        /// The field.
        field: &'static str,
        /// What is wrong.
        source: IdError,
    },
    /// A status names another executor than the call.
    #[error("the call is from the executor `{outer}`, but the status names `{inner}`")]
    ExecutorIdsDiffer {
        /// The id in the call.
        outer: String,
        /// The id in the status.
        inner: String,
    },
    /// A status does not say that it comes from an executor.
    #[error("the status of task `{task}` has the source {found}; an executor must say SOURCE_EXECUTOR")]
    Source {
        /// The task.
        task: String,
        /// The source as given.
        found: String,
    },
    /// An executor sends a state that only masters and agents give.
    #[error("the status of task `{task}` has the state TASK_STAGING, which executors cannot send")]
    Staging {
        /// The task.
        task: String,
    },
}

/// Checks a scheduler call. A call of the type `UNKNOWN` passes when it names a framework; it is answered with 501.
///
/// # Errors
///
/// Names the call and the field that is missing or malformed.
pub fn validate_scheduler_call(call: &scheduler::Call) -> Result<(), CallError> {
    use scheduler::call::Type;
    let kind = call
        .type_
        .and_then(|kind| kind.enum_value().ok())
        .ok_or(CallError::UnknownType)?;
    let name = || format!("{kind:?}");
    if kind == Type::SUBSCRIBE {
        let info = call.subscribe.as_ref().map(|subscribe| &subscribe.framework_info);
        let info = info.ok_or_else(|| CallError::Missing {
            call: name(),
            field: "subscribe",
        })?;
        return same_framework(call.framework_id.value(), info.id.value());
    }
    if call.framework_id.is_none() {
        return Err(CallError::FrameworkIdMissing { call: name() });
    }
    let (field, present) = match kind {
        Type::UNKNOWN | Type::SUBSCRIBE | Type::TEARDOWN | Type::REVIVE | Type::SUPPRESS => return Ok(()),
        Type::ACCEPT => ("accept", call.accept.is_some()),
        Type::DECLINE => ("decline", call.decline.is_some()),
        Type::ACCEPT_INVERSE_OFFERS => ("accept_inverse_offers", call.accept_inverse_offers.is_some()),
        Type::DECLINE_INVERSE_OFFERS => ("decline_inverse_offers", call.decline_inverse_offers.is_some()),
        Type::KILL => ("kill", call.kill.is_some()),
        Type::SHUTDOWN => ("shutdown", call.shutdown.is_some()),
        Type::ACKNOWLEDGE => ("acknowledge", call.acknowledge.is_some()),
        Type::ACKNOWLEDGE_OPERATION_STATUS => (
            "acknowledge_operation_status",
            call.acknowledge_operation_status.is_some(),
        ),
        Type::RECONCILE => ("reconcile", call.reconcile.is_some()),
        Type::RECONCILE_OPERATIONS => ("reconcile_operations", call.reconcile_operations.is_some()),
        Type::MESSAGE => ("message", call.message.is_some()),
        Type::REQUEST => ("request", call.request.is_some()),
        Type::UPDATE_FRAMEWORK => ("update_framework", call.update_framework.is_some()),
    };
    if !present {
        return Err(CallError::Missing { call: name(), field });
    }
    match kind {
        Type::ACKNOWLEDGE => check_uuid(name, "acknowledge.uuid", call.acknowledge.uuid()),
        Type::ACKNOWLEDGE_OPERATION_STATUS => {
            let acknowledge = call.acknowledge_operation_status.get_or_default();
            if acknowledge.slave_id.is_none() {
                return Err(CallError::Missing {
                    call: name(),
                    field: "acknowledge_operation_status.agent_id",
                });
            }
            check_uuid(name, "acknowledge_operation_status.uuid", acknowledge.uuid())
        }
        Type::UPDATE_FRAMEWORK => same_framework(
            call.framework_id.value(),
            call.update_framework.framework_info.id.value(),
        ),
        _ => Ok(()),
    }
}

fn same_framework(outer: &str, inner: &str) -> Result<(), CallError> {
    if outer == inner {
        return Ok(());
    }
    Err(CallError::FrameworkIdsDiffer {
        outer: outer.to_owned(),
        inner: inner.to_owned(),
    })
}

fn check_uuid(call: impl Fn() -> String, field: &'static str, uuid: &[u8]) -> Result<(), CallError> {
    if uuid.len() == UUID_BYTES {
        return Ok(());
    }
    Err(CallError::Uuid {
        call: call(),
        field,
        length: uuid.len(),
    })
}

/// Checks an executor call. A call of the type `UNKNOWN` passes when its ids are fine; it is answered with 501.
///
/// # Errors
///
/// Names the call and the field that is missing or malformed.
pub fn validate_executor_call(call: &executor::Call) -> Result<(), CallError> {
    use executor::call::Type;
    let kind = call
        .type_
        .and_then(|kind| kind.enum_value().ok())
        .ok_or(CallError::UnknownType)?;
    let name = || format!("{kind:?}");
    let ids = [
        ("executor_id", call.executor_id.value()),
        ("framework_id", call.framework_id.value()),
    ];
    for (field, id) in ids {
        validate_id(id).map_err(|source| CallError::Id {
            call: name(),
            field,
            source,
        })?;
    }
    let missing = |field| CallError::Missing { call: name(), field };
    match kind {
        Type::UNKNOWN | Type::HEARTBEAT => Ok(()),
        Type::SUBSCRIBE => {
            let subscribe = call.subscribe.as_ref().ok_or_else(|| missing("subscribe"))?;
            let updates = &subscribe.unacknowledged_updates;
            updates
                .iter()
                .try_for_each(|update| validate_status(call, &name(), &update.status))
        }
        Type::UPDATE => {
            let update = call.update.as_ref().ok_or_else(|| missing("update"))?;
            validate_status(call, &name(), &update.status)
        }
        Type::MESSAGE => call.message.as_ref().map(drop).ok_or_else(|| missing("message")),
    }
}

/// Checks a status that an executor sends.
fn validate_status(call: &executor::Call, name: &str, status: &TaskStatus) -> Result<(), CallError> {
    let task = || status.task_id.value().to_owned();
    let field = "update.status.uuid";
    if !status.has_uuid() {
        return Err(CallError::Missing {
            call: name.to_owned(),
            field,
        });
    }
    check_uuid(|| name.to_owned(), field, status.uuid())?;
    if let Some(inner) = status
        .executor_id
        .as_ref()
        .filter(|inner| inner.value() != call.executor_id.value())
    {
        let (outer, inner) = (call.executor_id.value().to_owned(), inner.value().to_owned());
        return Err(CallError::ExecutorIdsDiffer { outer, inner });
    }
    let source = status.source.and_then(|source| source.enum_value().ok());
    if source != Some(task_status::Source::SOURCE_EXECUTOR) {
        let found = source.map_or_else(|| "missing".to_owned(), |source| format!("{source:?}"));
        return Err(CallError::Source { task: task(), found });
    }
    if status.state() == TaskState::TASK_STAGING {
        return Err(CallError::Staging { task: task() });
    }
    Ok(())
}
