//! Metrics of a node.

/// The metrics of one node.
#[derive(Debug, Default)]
pub struct Metrics {}
