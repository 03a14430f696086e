//! The framework side of Mesos: how a scheduler talks to the master.
//!
//! - [`v1`] speaks the HTTP scheduler API (`/api/v1/scheduler`): one stream of events, one request a call.
//! - [`v0`] speaks libprocess messages, as the original drivers do: a process of its own, callbacks, automatic or
//!   explicit acknowledgements.
//!
//! Both are a core with the rules of subscribing, retrying and acknowledging, and a thin shell that moves bytes.

pub mod v0;
pub mod v1;
