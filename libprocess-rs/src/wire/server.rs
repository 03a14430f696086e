//! The listening socket of a node.

use std::io;
use std::net::{SocketAddr, SocketAddrV4, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;

use super::connection;
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

/// How long accepting pauses when the system has no descriptors or memory left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until the node stops and spreads them over the node's socket threads.
pub(crate) fn accept(node: &Node, listener: TcpListener) {
    let accept_node = node.clone();
    let started = node.io_threads()[0].spawn(async move {
        match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => accept_loop(&accept_node, &listener).await,
            Err(error) => tracing::error!(%error, "cannot accept connections"),
        }
    });
    if !started {
        tracing::error!("cannot accept connections: the node has stopped");
    }
}

async fn accept_loop(node: &Node, listener: &tokio::net::TcpListener) {
    let mut next_thread = 0;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                next_thread = (next_thread + 1) % node.io_threads().len();
                if let Err(error) = hand_out(node, next_thread, stream, peer) {
                    tracing::debug!(%peer, %error, "connection dropped");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves a connection on one of the node's socket threads.
fn hand_out(node: &Node, thread: usize, stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    let serve_node = node.clone();
    node.io_threads()[thread].spawn_fn(move || match TcpStream::from_std(stream) {
        Ok(stream) => {
            actix_rt::spawn(connection::serve(stream, peer, serve_node));
        }
        Err(error) => tracing::debug!(%peer, %error, "connection dropped"),
    });
    Ok(())
}
