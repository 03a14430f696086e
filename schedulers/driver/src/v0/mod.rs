//! The v0 scheduler driver: libprocess messages, callbacks, acknowledgements.
//!
//! [`Core`] holds the rules and is driven by [`Driver`], a process of the runtime. The core takes every event that a
//! master may send, as `mesos.scheduler.Event` or as one of the older single messages, and sends
//! `mesos.scheduler.Call` like the drivers of Mesos 0.24 and later.

mod calls;
mod core;
mod driver;
mod messages;

pub use calls::ApiCall;
pub use core::{Callback, Core, DriverConfig, Effect, Input, Timer};
pub use driver::{Driver, DriverError, Handle, Scheduler, Status};
