//! What goes wrong in a simulated network, and how often.

use std::time::Duration;

/// How bad the network is. The default is a good one: small delays, nothing lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// Shortest time that a message or an exit travels between nodes.
    pub delay_min: Duration,
    /// Longest time.
    pub delay_max: Duration,
    /// Messages of a million that are lost while their connection lives.
    pub drop_per_million: u32,
    /// Messages of a million that arrive twice.
    pub duplicate_per_million: u32,
    /// Messages of a million that break the lasting connection they travel on: everything in flight on it is lost and
    /// the linkers hear of it.
    pub break_per_million: u32,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            delay_min: Duration::from_micros(100),
            delay_max: Duration::from_millis(5),
            drop_per_million: 0,
            duplicate_per_million: 0,
            break_per_million: 0,
        }
    }
}

/// What a partition does to the connections between two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cut {
    /// Nothing passes and nobody notices; what was sent arrives after the partition, as retransmission would have it.
    Silent,
    /// Connections break at once, linkers hear of it, and new connections fail.
    Refusing,
}
