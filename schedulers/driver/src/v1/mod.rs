//! Client of the v1 HTTP scheduler API.

mod client;
mod core;

pub use client::{Client, ClientConfig, ClientError, Notice};
pub use core::{Core, Effect, Input, Limits, Problem};
