//! Two small frameworks and an executor, to read and to start from.
//!
//! - [`hello_v1`]: a framework on the v1 HTTP API that runs a command a few times.
//! - [`hello_v0`]: a framework on the libprocess driver that brings an executor of its own.
//! - [`hello_executor`]: that executor.
//!
//! Each is a program too; see `README.md`.

mod arguments;
pub mod hello_executor;
pub mod hello_v0;
pub mod hello_v1;

pub use arguments::{ExampleError, Options};
