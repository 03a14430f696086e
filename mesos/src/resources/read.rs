//! Reading a protobuf resource in any of its three forms, with every rule checked.
//!
//! Source: shared facts, `libprocess_wire.md` section 8.

use std::sync::Arc;

use mesos_proto::v0::mesos;
use mesos_proto::v0::mesos::resource::reservation_info::Type as ReservationType;

use super::resource::Details;
use super::{Disk, Reservation, ReservationKind, Resource, ResourceError, ResourceName, ResourceValue};
use crate::roles;
use crate::values::{Ranges, Scalar, Set};

impl Resource {
    /// Reads a resource in pre-refinement, post-refinement or endpoint form.
    ///
    /// # Errors
    ///
    /// Names the resource and the first rule that it breaks.
    pub fn from_protobuf(message: &mesos::Resource) -> Result<Self, ResourceError> {
        let name = message.name();
        if name.is_empty() {
            return Err(ResourceError::EmptyName);
        }
        let value = read_value(message)?;
        let allocation = message.allocation_info.as_ref().filter(|info| info.has_role());
        let allocation = allocation.map(|info| Arc::from(info.role()));
        let details = Details {
            provider_id: message.provider_id.as_ref().map(|id| id.value().to_owned()),
            reservations: read_reservations(message)?,
            disk: read_disk(message)?,
            revocable: message.revocable.is_some(),
            shared: message.shared.is_some(),
        };
        if details.shared && details.disk.as_ref().is_none_or(|disk| disk.0.persistence.is_none()) {
            return Err(ResourceError::SharedNotPersistent { name: name.to_owned() });
        }
        let details = (details != Details::default()).then(|| Arc::new(details));
        Ok(Self {
            name: ResourceName::new(name),
            value,
            allocation,
            details,
        })
    }
}

fn read_value(message: &mesos::Resource) -> Result<ResourceValue, ResourceError> {
    use mesos::value::Type;
    let name = || message.name().to_owned();
    let unsupported = |found: String| ResourceError::UnsupportedType { name: name(), found };
    let kind = message.type_.ok_or_else(|| unsupported("missing".to_owned()))?;
    let kind = kind.enum_value().map_err(|number| unsupported(number.to_string()))?;
    let wrong = |kind, expected| ResourceError::WrongValue {
        name: name(),
        kind,
        expected,
    };
    match kind {
        Type::SCALAR => {
            let others = message.ranges.is_some() || message.set.is_some();
            let scalar = message
                .scalar
                .as_ref()
                .filter(|_| !others)
                .ok_or_else(|| wrong("SCALAR", "scalar"))?;
            let value = scalar.value();
            if !value.is_finite() || value < 0.0 {
                return Err(ResourceError::UnusableScalar { name: name(), value });
            }
            Ok(ResourceValue::Scalar(Scalar::from_f64(value)))
        }
        Type::RANGES => {
            let others = message.scalar.is_some() || message.set.is_some();
            let ranges = message
                .ranges
                .as_ref()
                .filter(|_| !others)
                .ok_or_else(|| wrong("RANGES", "ranges"))?;
            let ranges = Ranges::from_proto(ranges);
            ranges
                .map(ResourceValue::Ranges)
                .map_err(|source| ResourceError::Ranges { name: name(), source })
        }
        Type::SET => {
            let others = message.scalar.is_some() || message.ranges.is_some();
            let set = message
                .set
                .as_ref()
                .filter(|_| !others)
                .ok_or_else(|| wrong("SET", "set"))?;
            let set = Set::from_proto(set);
            set.map(ResourceValue::Set)
                .map_err(|source| ResourceError::Set { name: name(), source })
        }
        Type::TEXT => Err(unsupported("TEXT".to_owned())),
    }
}

fn read_disk(message: &mesos::Resource) -> Result<Option<Disk>, ResourceError> {
    use mesos::resource::disk_info::source::Type;
    let Some(disk) = message.disk.as_ref() else {
        return Ok(None);
    };
    if message.name() != "disk" {
        return Err(ResourceError::DiskInfoOnOther {
            name: message.name().to_owned(),
        });
    }
    if let Some(source) = disk.source.as_ref() {
        let known = source.type_.and_then(|kind| kind.enum_value().ok());
        if known.is_none_or(|kind| kind == Type::UNKNOWN) {
            let found = source
                .type_
                .map_or_else(|| "missing".to_owned(), |kind| kind.value().to_string());
            return Err(ResourceError::UnknownDiskSource {
                name: message.name().to_owned(),
                found,
            });
        }
    }
    // Empty disk information says nothing.
    Ok((*disk != mesos::resource::DiskInfo::new()).then(|| Disk(disk.clone())))
}

fn read_reservations(message: &mesos::Resource) -> Result<Vec<Reservation>, ResourceError> {
    if message.reservations.is_empty() {
        return read_old_reservation(message).map(|reservation| reservation.into_iter().collect());
    }
    let mut stack: Vec<Reservation> = Vec::with_capacity(message.reservations.len());
    for info in &message.reservations {
        let reservation = read_reservation(message, info)?;
        if let Some(outer) = stack.last() {
            let (name, role) = (message.name().to_owned(), reservation.role.to_string());
            if reservation.kind == ReservationKind::Static {
                return Err(ResourceError::StaticRefinement { name, role });
            }
            if !roles::is_strict_subrole_of(&reservation.role, &outer.role) {
                return Err(ResourceError::NotASubrole {
                    name,
                    outer: outer.role.to_string(),
                    role,
                });
            }
        }
        stack.push(reservation);
    }
    check_endpoint_form(message, &stack)?;
    Ok(stack)
}

/// The endpoint form fills the older fields as well; then they must say the same.
fn check_endpoint_form(message: &mesos::Resource, stack: &[Reservation]) -> Result<(), ResourceError> {
    let conflict = |field| ResourceError::ConflictingFormats {
        name: message.name().to_owned(),
        field,
    };
    if message.has_role() && (stack.len() != 1 || *stack[0].role != *message.role()) {
        return Err(conflict("role"));
    }
    if let Some(old) = message.reservation.as_ref() {
        let agrees = stack.len() == 1
            && stack[0].kind == ReservationKind::Dynamic
            && message.has_role()
            && old.principal == stack[0].principal;
        if !agrees {
            return Err(conflict("reservation"));
        }
    }
    Ok(())
}

fn read_reservation(
    message: &mesos::Resource,
    info: &mesos::resource::ReservationInfo,
) -> Result<Reservation, ResourceError> {
    let name = || message.name().to_owned();
    let kind = match info.type_.and_then(|kind| kind.enum_value().ok()) {
        Some(ReservationType::STATIC) => ReservationKind::Static,
        Some(ReservationType::DYNAMIC) => ReservationKind::Dynamic,
        Some(ReservationType::UNKNOWN) | None => return Err(ResourceError::ReservationWithoutType { name: name() }),
    };
    if !info.has_role() {
        return Err(ResourceError::ReservationWithoutRole { name: name() });
    }
    roles::validate(info.role()).map_err(|source| ResourceError::Role { name: name(), source })?;
    if info.role() == roles::DEFAULT_ROLE {
        return Err(ResourceError::ReservedForDefaultRole { name: name() });
    }
    Ok(Reservation {
        kind,
        role: Arc::from(info.role()),
        principal: info.principal.clone(),
        labels: info.labels.as_ref().cloned(),
    })
}

/// The pre-refinement form: `role`, and `reservation` when it is dynamic.
fn read_old_reservation(message: &mesos::Resource) -> Result<Option<Reservation>, ResourceError> {
    let name = || message.name().to_owned();
    let role = message.role();
    roles::validate(role).map_err(|source| ResourceError::Role { name: name(), source })?;
    let Some(info) = message.reservation.as_ref() else {
        return Ok((role != roles::DEFAULT_ROLE).then(|| Reservation::fixed(role)));
    };
    if info.has_type() {
        return Err(ResourceError::RefinedFieldInOldReservation {
            name: name(),
            field: "type",
        });
    }
    if info.has_role() {
        return Err(ResourceError::RefinedFieldInOldReservation {
            name: name(),
            field: "role",
        });
    }
    if role == roles::DEFAULT_ROLE {
        return Err(ResourceError::ReservedForDefaultRole { name: name() });
    }
    Ok(Some(Reservation {
        kind: ReservationKind::Dynamic,
        role: Arc::from(role),
        principal: info.principal.clone(),
        labels: info.labels.as_ref().cloned(),
    }))
}
