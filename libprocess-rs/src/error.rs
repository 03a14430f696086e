//! Why a node does not start.

use std::io;
use std::net::SocketAddrV4;

use thiserror::Error;

/// Why a node could not be started or configured.
#[derive(Debug, Error)]
pub enum NodeError {
    /// An environment variable has a value that is not accepted.
    #[error("environment variable {name} has the value '{value}', expected {expected}")]
    BadVariable {
        /// The variable as the operator wrote it.
        name: &'static str,
        /// What it holds.
        value: String,
        /// What would be accepted.
        expected: &'static str,
    },
    /// An environment variable asks for something that this runtime cannot do.
    #[error("environment variable {name} asks for {feature}, which is not supported; unset it")]
    Unsupported {
        /// The variable as the operator wrote it.
        name: &'static str,
        /// What it asks for.
        feature: &'static str,
    },
    /// The listening socket could not be made.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddrV4,
        /// What the system said.
        source: io::Error,
    },
    /// No address to advertise was configured and the host's name does not resolve.
    #[error("cannot find an IPv4 address of this host to advertise; set LIBPROCESS_ADVERTISE_IP")]
    NoAddress,
    /// A thread or its event loop could not be started.
    #[error("cannot start a thread of the runtime")]
    Thread(#[source] io::Error),
    /// A thread of the runtime ended while the node was starting.
    #[error("a thread of the runtime ended while the node was starting")]
    ThreadGone,
}
