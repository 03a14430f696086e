//! Serves HTTP on connections that carried a request that is no message.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use crate::node::Node;
use crate::wire::Prefixed;

/// Serves one connection until it ends. `stream` yields the bytes that were read before the hand-over first.
///
/// Runs on an arbiter of the node, so that it may spawn local tasks.
pub async fn serve(stream: Prefixed<TcpStream>, peer: SocketAddr, node: Node) {
    drop((stream, peer, node));
}
