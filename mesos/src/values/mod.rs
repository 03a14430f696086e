//! The values that resources and attributes carry: scalars, ranges, sets and texts, with their text grammar.
//!
//! Scalars are fixed-point thousandths, so that arithmetic is exact; floats exist only where protobuf or JSON wants
//! them. Ranges are kept sorted and coalesced.
//!
//! Source: shared facts, `libprocess_wire.md` section 7.

mod ranges;
mod scalar;
mod set;
mod text;

pub use ranges::{Range, Ranges, RangesError};
pub use scalar::Scalar;
pub use set::{Set, SetError};
pub use text::{ValueError, parse};

/// A value of any kind. Resources use all kinds but text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A quantity.
    Scalar(Scalar),
    /// Inclusive ranges of numbers.
    Ranges(Ranges),
    /// Distinct names.
    Set(Set),
    /// Free text; attributes only.
    Text(String),
}

impl std::fmt::Display for Value {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Scalar(scalar) => scalar.fmt(formatter),
            Self::Ranges(ranges) => ranges.fmt(formatter),
            Self::Set(set) => set.fmt(formatter),
            Self::Text(text) => formatter.write_str(text),
        }
    }
}
