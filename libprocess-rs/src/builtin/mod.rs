//! Processes and endpoints that every node offers.

use crate::node::Node;

/// Spawns the built-in processes; called once by [`Node::start`] before connections are accepted.
pub fn spawn_all(node: &Node) {
    let _ = node;
}
