//! What every program of Mesos does with its node: where it listens, how it logs, when it ends.
//!
//! Master and agent never name each other; what both need around their processes stands here.

mod address;
mod error;
pub mod files;
mod logging;
mod program;
mod settings;
mod streams;
mod version;

pub use address::{hostname, node_config};
pub use error::describe;
pub use logging::init_logging;
pub use program::{Started, asked_to_end, flags_or_exit, main};
pub use settings::{SettingsError, domain};
pub use streams::{EventStream, WriteError};
pub use version::version_info;
