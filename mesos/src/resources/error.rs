//! What can be wrong with resources that came from outside.

use super::ResourceName;
use crate::roles::RoleError;
use crate::values::{RangesError, SetError, ValueError};

/// Why a resource, or a text that should give resources, is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ResourceError {
    /// The name is empty.
    #[error("a resource has an empty name")]
    EmptyName,
    /// The type is missing or one that resources cannot have.
    #[error("resource `{name}` has the type {found}; only SCALAR, RANGES and SET are possible")]
    UnsupportedType {
        /// Name of the resource.
        name: String,
        /// The type as given.
        found: String,
    },
    /// The value does not belong to the type.
    #[error("resource `{name}` of type {kind} must have the field `{expected}` and no other value")]
    WrongValue {
        /// Name of the resource.
        name: String,
        /// The declared type.
        kind: &'static str,
        /// The field that belongs to the type.
        expected: &'static str,
    },
    /// A scalar is negative, infinite or not a number.
    #[error("resource `{name}` has the value {value}, which is not a finite number of at least zero")]
    UnusableScalar {
        /// Name of the resource.
        name: String,
        /// The value as given.
        value: f64,
    },
    /// Ranges are reversed or overlap.
    #[error("resource `{name}` has bad ranges")]
    Ranges {
        /// Name of the resource.
        name: String,
        /// What is wrong.
        source: RangesError,
    },
    /// A set names an item twice.
    #[error("resource `{name}` has a bad set")]
    Set {
        /// Name of the resource.
        name: String,
        /// What is wrong.
        source: SetError,
    },
    /// Disk information stands on something that is no disk.
    #[error("resource `{name}` has disk information, which only `disk` may have")]
    DiskInfoOnOther {
        /// Name of the resource.
        name: String,
    },
    /// A disk source lacks its kind.
    #[error("resource `{name}` has a disk source of the type {found}; PATH, MOUNT, BLOCK and RAW are possible")]
    UnknownDiskSource {
        /// Name of the resource.
        name: String,
        /// The type as given.
        found: String,
    },
    /// A role is not well formed.
    #[error("resource `{name}` has a bad role")]
    Role {
        /// Name of the resource.
        name: String,
        /// What is wrong.
        source: RoleError,
    },
    /// A dynamic reservation in the older form has no role to reserve for.
    #[error("resource `{name}` is dynamically reserved for role `*`, but only other roles can reserve")]
    ReservedForDefaultRole {
        /// Name of the resource.
        name: String,
    },
    /// A `reservation` in the older form carries fields of the newer one.
    #[error("resource `{name}` has `{field}` inside `reservation`, which belongs into `reservations` only")]
    RefinedFieldInOldReservation {
        /// Name of the resource.
        name: String,
        /// The field.
        field: &'static str,
    },
    /// An element of `reservations` lacks its type.
    #[error("resource `{name}` has a reservation without a type; STATIC and DYNAMIC are possible")]
    ReservationWithoutType {
        /// Name of the resource.
        name: String,
    },
    /// An element of `reservations` lacks its role.
    #[error("resource `{name}` has a reservation without a role")]
    ReservationWithoutRole {
        /// Name of the resource.
        name: String,
    },
    /// A refinement is static.
    #[error("resource `{name}` has a STATIC reservation for `{role}` on top of another; refinements are DYNAMIC")]
    StaticRefinement {
        /// Name of the resource.
        name: String,
        /// Role of the refinement.
        role: String,
    },
    /// A refinement is for a role outside the one it refines.
    #[error("resource `{name}` refines a reservation for `{outer}` to `{role}`, which is no strict sub-role of it")]
    NotASubrole {
        /// Name of the resource.
        name: String,
        /// Role of the outer reservation.
        outer: String,
        /// Role of the refinement.
        role: String,
    },
    /// Old and new reservation fields contradict each other.
    #[error("resource `{name}` has `{field}` and `reservations` that contradict each other")]
    ConflictingFormats {
        /// Name of the resource.
        name: String,
        /// The older field.
        field: &'static str,
    },
    /// Something is shared that is no persistent volume.
    #[error("resource `{name}` is shared, but only persistent volumes can be")]
    SharedNotPersistent {
        /// Name of the resource.
        name: String,
    },
    /// An entry of a text is not `NAME:VALUE` or `NAME(ROLE):VALUE`.
    #[error("`{entry}` is not of the form NAME:VALUE or NAME(ROLE):VALUE")]
    MalformedEntry {
        /// The entry.
        entry: String,
    },
    /// The value in a text is malformed.
    #[error("resource `{name}` has a bad value")]
    Value {
        /// Name of the resource.
        name: String,
        /// What is wrong.
        source: ValueError,
    },
    /// The value in a text is a word.
    #[error("resource `{name}` has the value `{found}`; a number, [ranges] or a {{set}} is possible")]
    TextValue {
        /// Name of the resource.
        name: String,
        /// The word.
        found: String,
    },
    /// JSON that is not an array of resource objects.
    #[error("the JSON form of resources is an array of Resource objects: {detail}")]
    MalformedJson {
        /// What the reader found, with its place.
        detail: String,
    },
    /// A mark that resources on the command line cannot have.
    #[error("resource `{name}` on the command line cannot have {mark}")]
    ForbiddenOnCommandLine {
        /// Name of the resource.
        name: String,
        /// The mark.
        mark: &'static str,
    },
    /// Two values of one name have different types.
    #[error("resource `{name}` is given with two types")]
    MixedTypes {
        /// Name of the resource.
        name: ResourceName,
    },
}
