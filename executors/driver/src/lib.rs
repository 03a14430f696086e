//! Executor side: the v0 driver and the v1 client.
//!
//! [`v0`] speaks libprocess messages, [`v1`] the executor HTTP API. Each is a core that decides (subscribe, repeat,
//! acknowledge, give up) and a shell that talks; [`environment`] reads what the agent tells every executor.

pub mod environment;
pub mod v0;
pub mod v1;

pub use environment::{EnvironmentError, ExecutorEnvironment};
