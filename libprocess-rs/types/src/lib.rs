//! Plain values of the actor runtime that a deterministic core may hold: process addresses and time.
//!
//! Nothing here performs I/O, reads a clock or spawns: `libprocess` supplies current values of these types, cores
//! only compare and store them.

mod time;
mod upid;

pub use time::{Time, TimerId};
pub use upid::{ParseUpidError, Upid};
