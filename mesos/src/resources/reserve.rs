//! Reservation stacks of whole bags.

use super::{Reservation, ReservationKind, Resource, Resources};
use crate::roles;

/// Why a reservation cannot be pushed or popped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReservationError {
    /// Only dynamic reservations come on top of others.
    #[error("{resource} is already reserved, and a STATIC reservation cannot refine another")]
    StaticRefinement {
        /// The resource.
        resource: String,
    },
    /// The new role is outside the one that has the resource.
    #[error("{resource} is reserved for `{outer}`; `{role}` is no strict sub-role of it")]
    NotASubrole {
        /// The resource.
        resource: String,
        /// The role that has it.
        outer: String,
        /// The role that should get it.
        role: String,
    },
    /// There is no reservation to pop.
    #[error("{resource} is not reserved")]
    NotReserved {
        /// The resource.
        resource: String,
    },
}

impl Resource {
    /// The resource with one more reservation.
    ///
    /// # Errors
    ///
    /// A refinement must be dynamic and for a strict sub-role.
    pub fn push_reservation(&self, reservation: Reservation) -> Result<Self, ReservationError> {
        if let Some(outer) = self.reservations().last() {
            let resource = self.to_string();
            if reservation.kind == ReservationKind::Static {
                return Err(ReservationError::StaticRefinement { resource });
            }
            if !roles::is_strict_subrole_of(&reservation.role, &outer.role) {
                let (outer, role) = (outer.role.to_string(), reservation.role.to_string());
                return Err(ReservationError::NotASubrole { resource, outer, role });
            }
        }
        let mut stack = self.reservations().to_vec();
        stack.push(reservation);
        Ok(self.with_reservations(stack))
    }

    /// The resource without its innermost reservation.
    ///
    /// # Errors
    ///
    /// The resource must be reserved.
    pub fn pop_reservation(&self) -> Result<Self, ReservationError> {
        let mut stack = self.reservations().to_vec();
        if stack.pop().is_none() {
            return Err(ReservationError::NotReserved {
                resource: self.to_string(),
            });
        }
        Ok(self.with_reservations(stack))
    }
}

impl Resources {
    /// The resources, each with one more reservation.
    ///
    /// # Errors
    ///
    /// See [`Resource::push_reservation`].
    pub fn push_reservation(&self, reservation: &Reservation) -> Result<Self, ReservationError> {
        let mut pushed = Self::new();
        for entry in &self.entries {
            let resource = entry.resource.push_reservation(reservation.clone())?;
            pushed.add_entry(super::bag::Entry {
                resource,
                copies: entry.copies,
            });
        }
        Ok(pushed)
    }

    /// The resources, each without its innermost reservation.
    ///
    /// # Errors
    ///
    /// See [`Resource::pop_reservation`].
    pub fn pop_reservation(&self) -> Result<Self, ReservationError> {
        let mut popped = Self::new();
        for entry in &self.entries {
            let resource = entry.resource.pop_reservation()?;
            popped.add_entry(super::bag::Entry {
                resource,
                copies: entry.copies,
            });
        }
        Ok(popped)
    }

    /// The resources without any reservation.
    #[must_use]
    pub fn to_unreserved(&self) -> Self {
        self.map(|resource| resource.with_reservations(Vec::new()))
    }
}
