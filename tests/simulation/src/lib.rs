//! A whole cluster of pure cores in one thread, under virtual time, on a network that fails as its seed says.
//!
//! One master, three agents with scripted executors and two frameworks live in a [`Cluster`]. For a while messages are
//! delayed, lost and doubled, connections break, the network parts and processes die; then all is quiet, and every task
//! that was launched must have ended exactly once. README.md says what is modelled, what is not, and how to replay.

pub mod agent;
pub mod batch;
pub mod build;
pub mod checks;
pub mod cluster;
pub mod disk;
pub mod executor;
pub mod failure;
pub mod faults;
pub mod framework;
pub mod keeper;
pub mod ledger;
pub mod master;
pub mod net;
pub mod operator;
pub mod promises;
pub mod registry;
pub mod trace;

pub use cluster::{Cluster, Report};
pub use failure::Failure;
