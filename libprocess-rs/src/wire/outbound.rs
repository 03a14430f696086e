//! Connections to other nodes: which one a message takes, and who hears of their end.
//!
//! At most one persistent and one temporary connection exist for an address. A message takes the persistent one if
//! there is one. Source: shared facts, `libprocess_wire.md` section 3.

use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_rt::ArbiterHandle;
use bytes::Bytes;
use libprocess_types::Upid;

use super::channel::{Channel, End, Kind};
use super::encode::{MessageHead, SendQueue, host_text};
use crate::links::{LinkMode, Links};

#[derive(Default)]
struct Peer {
    persistent: Option<Arc<Channel>>,
    temporary: Option<Arc<Channel>>,
}

struct Shared {
    peers: Mutex<HashMap<SocketAddrV4, Peer>>,
    links: Arc<Links>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddrV4, Peer>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a connection that is over and tells the linkers if they depended on it.
    fn ended(&self, address: SocketAddrV4, channel: &Arc<Channel>, end: End) {
        let mut peers = self.lock();
        if let Some(peer) = peers.get_mut(&address) {
            for slot in [&mut peer.persistent, &mut peer.temporary] {
                if slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, channel)) {
                    *slot = None;
                }
            }
            if peer.persistent.is_none() && peer.temporary.is_none() {
                peers.remove(&address);
            }
        }
        drop(peers);
        if channel.kind() == Kind::Persistent && end == End::Broken {
            self.links.address_lost(address);
        }
    }
}

/// All connections that a node makes.
pub(crate) struct Outbound {
    own: SocketAddrV4,
    own_host: String,
    io: Vec<ArbiterHandle>,
    shared: Arc<Shared>,
}

impl Outbound {
    pub(crate) fn new(own: SocketAddrV4, io: Vec<ArbiterHandle>, links: Arc<Links>) -> Self {
        let shared = Arc::new(Shared {
            peers: Mutex::default(),
            links,
        });
        Self {
            own,
            own_host: host_text(own),
            io,
            shared,
        }
    }

    /// Queues a message; lost without notice when the connection breaks first.
    pub(crate) fn send(&self, from: &Upid, to: &Upid, name: &str, body: &Bytes) {
        if to.address().port() == 0 {
            // The anonymous sender, or another address that nobody listens on.
            return;
        }
        let foreign_host = (from.address() != self.own).then(|| host_text(from.address()));
        let from_host = foreign_host.as_deref().unwrap_or(&self.own_host);
        if !(MessageHead {
            from,
            to_id: to.id(),
            to_host: "",
            name,
            from_host,
        })
        .is_writable()
        {
            tracing::warn!(upid = ?to, name, "message dropped: its receiver or name cannot be written");
            return;
        }
        let push = |queue: &mut SendQueue, host: &str| {
            let head = MessageHead {
                from,
                to_id: to.id(),
                to_host: host,
                name,
                from_host,
            };
            queue.push_message(&head, body);
        };
        loop {
            let Some(channel) = self.channel_or_start(to.address(), push) else {
                return;
            };
            if channel.push(|queue| push(queue, channel.host())) || channel.kind() == Kind::Persistent {
                return;
            }
            // A temporary connection had sent everything and is closing: the next one takes the message.
            self.forget_temporary(to.address(), &channel);
        }
    }

    /// The connection that messages to an address take. When there is none, a temporary one is started with what
    /// `fill` queues: it would end at once if its queue were empty.
    fn channel_or_start(&self, address: SocketAddrV4, fill: impl FnOnce(&mut SendQueue, &str)) -> Option<Arc<Channel>> {
        let mut peers = self.shared.lock();
        let peer = peers.entry(address).or_default();
        if let Some(channel) = peer.persistent.as_ref().or(peer.temporary.as_ref()) {
            return Some(Arc::clone(channel));
        }
        let mut queue = SendQueue::default();
        fill(&mut queue, &address.to_string());
        let channel = Arc::new(Channel::new(address, Kind::Temporary, queue));
        peer.temporary = Some(Arc::clone(&channel));
        drop(peers);
        self.start(address, &channel);
        None
    }

    fn forget_temporary(&self, address: SocketAddrV4, channel: &Arc<Channel>) {
        if let Some(peer) = self.shared.lock().get_mut(&address)
            && peer
                .temporary
                .as_ref()
                .is_some_and(|current| Arc::ptr_eq(current, channel))
        {
            peer.temporary = None;
        }
    }

    /// Makes sure that a persistent connection exists or is being made.
    pub(crate) fn link(&self, address: SocketAddrV4, mode: LinkMode) {
        let mut peers = self.shared.lock();
        let peer = peers.entry(address).or_default();
        let queue = match (&peer.persistent, mode) {
            (Some(_), LinkMode::Share) => return,
            (Some(old), LinkMode::Reconnect) => old.replace(),
            (None, _) => SendQueue::default(),
        };
        let channel = Arc::new(Channel::new(address, Kind::Persistent, queue));
        peer.persistent = Some(Arc::clone(&channel));
        drop(peers);
        self.start(address, &channel);
    }

    fn start(&self, address: SocketAddrV4, channel: &Arc<Channel>) {
        let thread = &self.io[usize::from(address.port()) % self.io.len()];
        let (task_channel, task_shared) = (Arc::clone(channel), Arc::clone(&self.shared));
        let started = thread.spawn(async move {
            let end = task_channel.run().await;
            task_shared.ended(address, &task_channel, end);
            task_channel.set_ended();
        });
        if !started {
            self.shared.ended(address, channel, End::Broken);
            channel.set_ended();
        }
    }

    /// Sends what waits, closes all connections and completes when the peers have closed them too.
    pub(crate) async fn finish(&self) {
        let channels: Vec<_> = {
            let peers = self.shared.lock();
            peers
                .values()
                .flat_map(|peer| peer.persistent.iter().chain(&peer.temporary))
                .cloned()
                .collect()
        };
        for channel in &channels {
            channel.finish();
        }
        for channel in channels {
            channel.wait_ended().await;
        }
    }
}
