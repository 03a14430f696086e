//! Rules for scheduler calls by themselves, before anything of the master is looked at.
//!
//! Source: shared facts, `scheduler_calls.tsv`; golden `errors.tsv`.

use mesos_proto::v0::scheduler::Call;
use mesos_proto::v0::scheduler::call::Type;
use thiserror::Error;

use crate::updates::UUID_LENGTH;

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum CallError {
    #[error("'type' must be set")]
    NoType,
    #[error("'framework_id' must be set")]
    NoFrameworkId,
    #[error("'{0}' must be set")]
    Missing(&'static str),
    #[error("'framework_id' and '{0}' must be equal")]
    IdsDiffer(&'static str),
    #[error("'{field}' has {length} bytes; a uuid has {UUID_LENGTH}")]
    NoUuid { field: &'static str, length: usize },
    #[error("authenticated principal '{authenticated}' is not the principal '{named}' of 'FrameworkInfo'")]
    OtherPrincipal { authenticated: String, named: String },
}

/// Checks that a call has what its type needs.
pub(crate) fn validate(call: &Call, principal: Option<&str>) -> Result<(), CallError> {
    if call.type_.is_none() {
        return Err(CallError::NoType);
    }
    if call.type_() == Type::SUBSCRIBE {
        return validate_subscribe(call, principal);
    }
    if call.framework_id.is_none() {
        return Err(CallError::NoFrameworkId);
    }
    let (field, present) = match call.type_() {
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
        Type::TEARDOWN | Type::REVIVE | Type::SUPPRESS | Type::SUBSCRIBE | Type::UNKNOWN => ("", true),
    };
    if !present {
        return Err(CallError::Missing(field));
    }
    validate_payload(call)
}

fn validate_payload(call: &Call) -> Result<(), CallError> {
    match call.type_() {
        Type::ACKNOWLEDGE => validate_uuid("acknowledge.uuid", call.acknowledge.uuid()),
        Type::ACKNOWLEDGE_OPERATION_STATUS => {
            let acknowledge = &call.acknowledge_operation_status;
            validate_uuid("acknowledge_operation_status.uuid", acknowledge.uuid())?;
            if acknowledge.slave_id.is_none() {
                return Err(CallError::Missing("acknowledge_operation_status.agent_id"));
            }
            Ok(())
        }
        Type::UPDATE_FRAMEWORK => {
            let Some(info) = call.update_framework.framework_info.as_ref() else {
                return Err(CallError::Missing("update_framework.framework_info"));
            };
            if info.id.value() == call.framework_id.value() {
                return Ok(());
            }
            Err(CallError::IdsDiffer("update_framework.framework_info.id"))
        }
        _ => Ok(()),
    }
}

fn validate_uuid(field: &'static str, uuid: &[u8]) -> Result<(), CallError> {
    if uuid.len() == UUID_LENGTH {
        Ok(())
    } else {
        Err(CallError::NoUuid {
            field,
            length: uuid.len(),
        })
    }
}

fn validate_subscribe(call: &Call, principal: Option<&str>) -> Result<(), CallError> {
    let Some(subscribe) = call.subscribe.as_ref() else {
        return Err(CallError::Missing("subscribe"));
    };
    let Some(info) = subscribe.framework_info.as_ref() else {
        return Err(CallError::Missing("subscribe.framework_info"));
    };
    if info.id.value() != call.framework_id.value() {
        return Err(CallError::IdsDiffer("subscribe.framework_info.id"));
    }
    match (principal, info.principal.as_deref()) {
        (Some(authenticated), Some(named)) if authenticated != named => Err(CallError::OtherPrincipal {
            authenticated: authenticated.to_owned(),
            named: named.to_owned(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use mesos_proto::v0::mesos::FrameworkID;
    use mesos_proto::v0::scheduler::call;
    use protobuf::Enum;

    use super::*;

    fn typed(kind: Type) -> Call {
        let mut call = Call::new();
        call.set_type(kind);
        call
    }

    #[test]
    fn every_type_says_what_it_lacks() {
        assert_eq!(validate(&Call::new(), None), Err(CallError::NoType));
        for kind in Type::VALUES.iter().copied().filter(|kind| *kind != Type::SUBSCRIBE) {
            let mut call = typed(kind);
            assert_eq!(validate(&call, None), Err(CallError::NoFrameworkId), "{kind:?}");
            call.framework_id = Some(FrameworkID::new()).into();
            let bare = matches!(kind, Type::TEARDOWN | Type::REVIVE | Type::SUPPRESS | Type::UNKNOWN);
            assert_eq!(validate(&call, None).is_ok(), bare, "{kind:?}");
        }
        assert_eq!(
            validate(&typed(Type::SUBSCRIBE), None),
            Err(CallError::Missing("subscribe"))
        );
    }

    #[test]
    fn ids_of_a_subscription_must_agree() {
        let mut call = typed(Type::SUBSCRIBE);
        call.subscribe
            .mut_or_insert_default()
            .framework_info
            .mut_or_insert_default();
        assert_eq!(validate(&call, None), Ok(()));
        call.framework_id.mut_or_insert_default().set_value("a".to_owned());
        assert_eq!(
            validate(&call, None),
            Err(CallError::IdsDiffer("subscribe.framework_info.id"))
        );
        let info = call
            .subscribe
            .mut_or_insert_default()
            .framework_info
            .mut_or_insert_default();
        info.id.mut_or_insert_default().set_value("a".to_owned());
        info.set_principal("ops".to_owned());
        assert_eq!(validate(&call, Some("ops")), Ok(()));
        assert!(matches!(
            validate(&call, Some("other")),
            Err(CallError::OtherPrincipal { .. })
        ));
    }

    #[test]
    fn an_acknowledgement_needs_a_whole_uuid() {
        let mut call = typed(Type::ACKNOWLEDGE);
        call.framework_id = Some(FrameworkID::new()).into();
        let acknowledge = call::Acknowledge {
            uuid: Some(vec![0; 3]),
            ..call::Acknowledge::new()
        };
        call.acknowledge = Some(acknowledge).into();
        assert_eq!(
            validate(&call, None),
            Err(CallError::NoUuid {
                field: "acknowledge.uuid",
                length: 3
            })
        );
    }
}
