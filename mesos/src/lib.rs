//! The domain of Mesos, pure: identifiers, resources, attributes, the JSON dialect, conversion between unversioned
//! and v1 messages, validation and flags. Nothing here performs I/O beyond reading flag values named `file://`.

pub mod attributes;
pub mod bytes;
pub mod capabilities;
pub mod convert;
pub mod detector;
pub mod duration;
pub mod flags;
pub mod ids;
pub mod json;
pub mod legacy_json;
pub mod message;
pub mod random;
pub mod resources;
pub mod roles;
pub mod validation;
pub mod values;
pub mod version;
pub mod wire;

pub use message::{Message, WireMessage};
