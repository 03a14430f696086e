//! Connections to other nodes.

use std::net::SocketAddrV4;
use std::sync::Arc;

use actix_rt::ArbiterHandle;
use bytes::Bytes;
use libprocess_types::Upid;

use crate::links::{LinkMode, Links};

/// All connections that a node makes.
pub(crate) struct Outbound {
    own: SocketAddrV4,
    io: Vec<ArbiterHandle>,
    links: Arc<Links>,
}

impl Outbound {
    pub(crate) fn new(own: SocketAddrV4, io: Vec<ArbiterHandle>, links: Arc<Links>) -> Self {
        Self { own, io, links }
    }

    pub(crate) fn send(&self, from: &Upid, to: &Upid, name: &str, body: &Bytes) {
        let _ = (from, to, name, body, &self.own, &self.io);
    }

    pub(crate) fn link(&self, address: SocketAddrV4, mode: LinkMode) {
        let _ = mode;
        self.links.address_lost(address);
    }

    pub(crate) async fn flushed(&self) {}
}
