//! What a simulated world tells its processes.

use std::net::SocketAddrV4;
use std::sync::Arc;

use bytes::Bytes;
use libprocess_types::{TimerId, Upid};

/// Something that happens to a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message arrived.
    Delivery {
        /// Who sent it.
        from: Upid,
        /// Who receives it.
        to: Upid,
        /// Its name.
        name: Arc<str>,
        /// Its body.
        body: Bytes,
    },
    /// A timer ran out.
    Timer {
        /// Whose timer it was.
        owner: Upid,
        /// Which one.
        timer: TimerId,
        /// What the owner said when setting it.
        token: u64,
    },
    /// A process that another one linked to is gone, or the connection to it.
    Exited {
        /// Who is told.
        linker: Upid,
        /// Who is gone.
        linked: Upid,
    },
}

impl Event {
    /// The process that the event happens to.
    #[must_use]
    pub fn process(&self) -> &Upid {
        match self {
            Self::Delivery { to, .. } => to,
            Self::Timer { owner, .. } => owner,
            Self::Exited { linker, .. } => linker,
        }
    }
}

/// An event that waits for its time, with what decides whether it still happens then.
#[derive(Clone, Debug)]
pub(super) struct Scheduled {
    pub(super) event: Event,
    /// Life of the node in which the event's process must still be.
    pub(super) incarnation: u64,
    pub(super) path: Path,
}

/// How an event reaches its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    /// Inside its node.
    Local,
    /// Over the lasting connection between two nodes.
    Connection { from: SocketAddrV4, to: SocketAddrV4 },
    /// Over a connection of its own.
    Alone { from: SocketAddrV4, to: SocketAddrV4 },
}

impl Path {
    /// Whether it leads from one of two nodes to the other.
    pub(super) fn joins(self, one: SocketAddrV4, other: SocketAddrV4) -> bool {
        match self {
            Self::Local => false,
            Self::Connection { from, to } | Self::Alone { from, to } => {
                (from, to) == (one, other) || (from, to) == (other, one)
            }
        }
    }

    /// Whether it crosses from one node to another.
    pub(super) fn leads_to(self, address: SocketAddrV4) -> bool {
        match self {
            Self::Local => false,
            Self::Connection { to, .. } | Self::Alone { to, .. } => to == address,
        }
    }
}
