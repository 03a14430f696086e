//! Resources: what agents have, offers carry and tasks use.
//!
//! [`Resources`] is a bag of [`Resource`]s in which everything that can be merged is merged. In memory every resource
//! has post-refinement form; [`format`] converts at the edges. Quantities are fixed point, metadata is shared by
//! pointer, so clones and sums on the paths of master and allocator stay cheap.
//!
//! Nothing here knows who may use what: authorization and offers belong to the master.
//!
//! Source: shared facts, `libprocess_wire.md` sections 7 and 8.

mod apply;
mod bag;
mod checkpointed;
mod display;
mod error;
mod find;
pub mod format;
mod name;
mod parse;
#[cfg(test)]
mod properties;
mod quantities;
mod read;
mod reserve;
mod resource;
mod select;
mod summary;
#[cfg(test)]
mod tests;

pub use apply::{
    ApplyError, Conversion, conversions, inject_allocation_into_operation, strip_allocation_from_operation,
};
pub use bag::{NotContained, Resources};
pub use checkpointed::{VolumeFolder, VolumeFolderError};
pub use error::ResourceError;
pub use name::ResourceName;
pub use parse::{command_line_names, parse_command_line};
pub use quantities::{QuantitiesError, ResourceQuantities};
pub use reserve::ReservationError;
pub use resource::{Disk, Reservation, ReservationKind, Resource, ResourceValue};
