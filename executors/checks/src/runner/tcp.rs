//! Connects to a port.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::result::Found;

/// Connects, and closes again at once.
pub(crate) async fn connect(address: SocketAddr, timeout: Option<Duration>) -> Found {
    let connecting = TcpStream::connect(address);
    let connected = match timeout {
        Some(timeout) => match tokio::time::timeout(timeout, connecting).await {
            Ok(connected) => connected,
            Err(_) => return Found::Failed(format!("no connection to {address} within {timeout:?}")),
        },
        None => connecting.await,
    };
    match connected {
        Ok(_) => Found::Connected,
        Err(error) => Found::NotConnected(error.to_string()),
    }
}
