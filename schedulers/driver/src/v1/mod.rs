//! Client of the v1 HTTP scheduler API.

mod core;

pub use core::{Core, Effect, Input, Limits, Problem};
