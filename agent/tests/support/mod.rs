//! A real agent over real sockets, the peers it needs, and recorded answers to compare with.

#![allow(dead_code, reason = "each test program uses its part")]

pub mod cluster;
pub mod http;
pub mod recorded;
pub mod shape;

use std::time::Duration;

/// Longest wait for anything; reached only when a test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `work` with a bound.
pub async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not happen in time"),
    }
}
