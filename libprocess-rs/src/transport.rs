//! What carries messages away from a process: sockets in a node, a seeded network in a simulation.

use bytes::Bytes;
use libprocess_types::Upid;

use crate::context::Context;
use crate::process::Process;

/// The outgoing side of one process.
pub trait Transport {
    /// Sends a message, at most once.
    fn send(&mut self, to: &Upid, name: &str, body: Bytes);

    /// Asks for one exit signal of `to`; see [`Context::link`].
    fn link(&mut self, to: &Upid);

    /// Like `link`, over a new connection; see [`Context::link_reconnect`].
    fn link_reconnect(&mut self, to: &Upid);
}

impl<P: Process> Transport for Context<P> {
    fn send(&mut self, to: &Upid, name: &str, body: Bytes) {
        Self::send(self, to, name, body);
    }

    fn link(&mut self, to: &Upid) {
        Self::link(self, to);
    }

    fn link_reconnect(&mut self, to: &Upid) {
        Self::link_reconnect(self, to);
    }
}
