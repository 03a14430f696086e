//! The Mesos master: the shell around `mesos-master-core`.
//!
//! [`MasterProcess`] is the process `master`; [`start`] puts it on a node, [`run`] is the program.

mod http;
mod metrics;
mod process;
mod program;
mod registry;
mod registry_files;
mod settings;
mod whitelist;

pub use http::render::Identity;
pub use process::MasterProcess;
pub use program::{RunningMaster, StartError, run, start};
