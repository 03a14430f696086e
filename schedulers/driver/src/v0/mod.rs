//!
//! [`Core`] holds the rules and is driven by [`Driver`], a process of the runtime. The core takes every event that a
//! master may send, as `mesos.scheduler.Event` or as one of the older single messages, and sends

mod calls;
mod core;
mod messages;

pub use calls::ApiCall;
pub use core::{Callback, Core, DriverConfig, Effect, Input, Timer};
