//! The shapes of offer operations: type and field agree, and what the operation needs is in it.
//!
//! Whether resources are there is decided by applying the operation; whether it is allowed, by the master.

use mesos_proto::v0::mesos::offer::Operation;
use mesos_proto::v0::mesos::offer::operation::Type;

use crate::ids::{IdError, validate_id};
use crate::resources::{ApplyError, conversions};

/// Why an operation is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OperationError {
    /// The type is missing or not known here.
    #[error("the operation has no `type` that is known here")]
    UnknownType,
    /// The field that belongs to the type is not there.
    #[error("the {kind} operation lacks its field `{field}`")]
    Missing {
        /// The type.
        kind: &'static str,
        /// The field.
        field: &'static str,
    },
    /// The operation works on nothing.
    #[error("the {kind} operation has no `{field}` to work on")]
    Empty {
        /// The type.
        kind: &'static str,
        /// The field.
        field: &'static str,
    },
    /// The id is malformed.
    #[error("the operation id `{id}` is invalid")]
    Id {
        /// The id.
        id: String,
        /// What is wrong.
        source: IdError,
    },
    /// Launches report through their tasks.
    #[error("the {kind} operation cannot have an id; its tasks report for themselves")]
    IdOnLaunch {
        /// The type.
        kind: &'static str,
    },
    /// What the operation says about resources breaks a rule.
    #[error("the operation is invalid")]
    Resources(#[from] ApplyError),
}

/// Checks the shape of an operation.
///
/// # Errors
///
/// Names the type, the field and the rule.
pub fn validate_operation(operation: &Operation) -> Result<(), OperationError> {
    let kind = operation
        .type_
        .and_then(|kind| kind.enum_value().ok())
        .ok_or(OperationError::UnknownType)?;
    let (name, field, present, empty) = match kind {
        Type::UNKNOWN => return Err(OperationError::UnknownType),
        Type::LAUNCH => ("LAUNCH", "launch", operation.launch.is_some(), None),
        Type::LAUNCH_GROUP => ("LAUNCH_GROUP", "launch_group", operation.launch_group.is_some(), None),
        Type::RESERVE => {
            let empty = operation.reserve.resources.is_empty().then_some("resources");
            ("RESERVE", "reserve", operation.reserve.is_some(), empty)
        }
        Type::UNRESERVE => {
            let empty = operation.unreserve.resources.is_empty().then_some("resources");
            ("UNRESERVE", "unreserve", operation.unreserve.is_some(), empty)
        }
        Type::CREATE => {
            let empty = operation.create.volumes.is_empty().then_some("volumes");
            ("CREATE", "create", operation.create.is_some(), empty)
        }
        Type::DESTROY => {
            let empty = operation.destroy.volumes.is_empty().then_some("volumes");
            ("DESTROY", "destroy", operation.destroy.is_some(), empty)
        }
        Type::GROW_VOLUME => ("GROW_VOLUME", "grow_volume", operation.grow_volume.is_some(), None),
        Type::SHRINK_VOLUME => (
            "SHRINK_VOLUME",
            "shrink_volume",
            operation.shrink_volume.is_some(),
            None,
        ),
        Type::CREATE_DISK => ("CREATE_DISK", "create_disk", operation.create_disk.is_some(), None),
        Type::DESTROY_DISK => ("DESTROY_DISK", "destroy_disk", operation.destroy_disk.is_some(), None),
    };
    if !present {
        return Err(OperationError::Missing { kind: name, field });
    }
    if let Some(field) = empty {
        return Err(OperationError::Empty { kind: name, field });
    }
    if let Some(id) = operation.id.as_ref() {
        if matches!(kind, Type::LAUNCH | Type::LAUNCH_GROUP) {
            return Err(OperationError::IdOnLaunch { kind: name });
        }
        let text = id.value();
        validate_id(text).map_err(|source| OperationError::Id {
            id: text.to_owned(),
            source,
        })?;
    }
    conversions(operation)?;
    Ok(())
}
