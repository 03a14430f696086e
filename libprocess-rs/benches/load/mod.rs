//! Processes that make and count messages, for benches and the example that measures between two OS processes.
//!
//! A sender keeps at most [`WINDOW`] messages on their way: the counter grants more each time it has seen a part.

use std::time::Duration;

use bytes::Bytes;
use libprocess::{Context, Node, NodeConfig, Process, ProcessRef, Upid};
use tokio::sync::oneshot;

/// Name of the message that is counted.
pub const COUNTED: &str = "load.Counted";
/// Name of the message that allows more.
pub const GRANT: &str = "load.Grant";
/// Most messages of one sender that are on their way.
pub const WINDOW: u64 = 64 * 1024;
/// Bytes of bodies of one sender that are on their way, at most.
pub const WINDOW_BYTES: u64 = 16 * 1024 * 1024;
/// Messages that a sender makes before other events of its get their turn.
const BURST: u64 = 256;

/// How many messages of a size may be on their way.
pub fn window(body_bytes: usize) -> u64 {
    WINDOW.min((WINDOW_BYTES / (body_bytes as u64).max(1)).max(4))
}

/// Counts messages and says when there were enough.
#[derive(Default)]
pub struct Counter {
    seen: u64,
    target: Option<(u64, oneshot::Sender<()>)>,
    /// Messages after which a sender is allowed as many again.
    pub grant_every: u64,
    ungranted: Vec<(Upid, u64)>,
}

impl Counter {
    /// A counter that grants after every `grant_every` messages of a sender.
    pub fn new(grant_every: u64) -> Self {
        Self {
            grant_every,
            ..Self::default()
        }
    }

    fn count(&mut self, from: &Upid, context: &mut Context<Self>) {
        self.seen += 1;
        let known = self.ungranted.iter().position(|(known, _)| known == from);
        let index = known.unwrap_or_else(|| {
            self.ungranted.push((from.clone(), 0));
            context.link(from);
            self.ungranted.len() - 1
        });
        if index > 0 {
            self.ungranted.swap(index, index / 2);
        }
        let entry = &mut self.ungranted[index / 2];
        entry.1 += 1;
        if entry.1 >= self.grant_every {
            entry.1 = 0;
            let to = entry.0.clone();
            context.send(&to, GRANT, Bytes::new());
        }
        if self.target.as_ref().is_some_and(|(target, _)| self.seen >= *target)
            && let Some((_, done)) = self.target.take()
        {
            let _ = done.send(());
        }
    }

    /// Completes when so many messages more were seen than when this was called.
    pub fn wait_for(counter: &ProcessRef<Self>, more: u64) -> impl Future<Output = ()> + use<> {
        let (done, receiver) = oneshot::channel();
        counter.dispatch(move |counter, _| counter.target = Some((counter.seen + more, done)));
        async move { receiver.await.expect("the counter lives") }
    }
}

impl Process for Counter {
    fn initialize(&mut self, context: &mut Context<Self>) {
        context.install_raw(COUNTED, |counter, from, _, context| counter.count(&from, context));
    }
}

/// Sends messages as fast as it is allowed to.
pub struct Blaster {
    to: Upid,
    body: Bytes,
    left: u64,
    allowed: u64,
    granted: u64,
    pending: bool,
    all_granted: Option<oneshot::Sender<()>>,
}

impl Blaster {
    /// A sender of messages with `body_bytes` each.
    pub fn new(to: Upid, body_bytes: usize) -> Self {
        let allowed = window(body_bytes);
        let body = Bytes::from(vec![b'x'; body_bytes]);
        Self {
            to,
            body,
            left: 0,
            allowed,
            granted: allowed / 2,
            pending: false,
            all_granted: None,
        }
    }

    fn burst(&mut self, context: &mut Context<Self>) {
        let count = self.left.min(self.allowed).min(BURST);
        for _ in 0..count {
            context.send(&self.to, COUNTED, self.body.clone());
        }
        self.left -= count;
        self.allowed -= count;
        if !self.pending && self.left > 0 && self.allowed > 0 {
            self.pending = true;
            context.me().dispatch(|blaster, context| {
                blaster.pending = false;
                blaster.burst(context);
            });
        }
    }

    /// Makes a sender send so many messages more.
    pub fn start(blaster: &ProcessRef<Self>, count: u64) {
        blaster.dispatch(move |blaster, context| {
            blaster.left += count;
            blaster.burst(context);
        });
    }
}

impl Blaster {
    /// Completes when everything was sent and the receiver has seen it all, which it tells in grants; exact when the
    /// number of messages is a multiple of the window.
    pub async fn wait_granted(blaster: &ProcessRef<Self>) {
        let (done, receiver) = oneshot::channel();
        blaster.dispatch(move |blaster, _| {
            blaster.all_granted = Some(done);
            blaster.check_granted();
        });
        receiver.await.expect("the blaster lives");
    }

    fn check_granted(&mut self) {
        if self.left == 0
            && self.allowed >= self.granted * 2
            && let Some(done) = self.all_granted.take()
        {
            let _ = done.send(());
        }
    }
}

impl Process for Blaster {
    fn initialize(&mut self, context: &mut Context<Self>) {
        let to = self.to.clone();
        context.link(&to);
        context.install_raw(GRANT, |blaster, _, _, context| {
            blaster.allowed += blaster.granted;
            blaster.burst(context);
            blaster.check_granted();
        });
    }
}

/// Sends every message back.
pub struct Echo;

impl Process for Echo {
    fn initialize(&mut self, context: &mut Context<Self>) {
        context.install_raw(COUNTED, |_, from, body, context| context.send(&from, COUNTED, body));
    }
}

/// Sends messages to an echo and each that comes back again, until enough went round.
pub struct Pinger {
    to: Upid,
    left: u64,
    flying: u64,
    done: Option<oneshot::Sender<()>>,
}

impl Pinger {
    /// A process that plays with the echo `to`.
    pub fn new(to: Upid) -> Self {
        Self {
            to,
            left: 0,
            flying: 0,
            done: None,
        }
    }

    /// Plays `rounds` rounds with `in_flight` messages of `body_bytes` at a time.
    pub async fn play(pinger: &ProcessRef<Self>, rounds: u64, in_flight: u64, body_bytes: usize) {
        let (done, receiver) = oneshot::channel();
        let body = Bytes::from(vec![b'x'; body_bytes]);
        pinger.dispatch(move |pinger, context| {
            let first = in_flight.min(rounds);
            (pinger.left, pinger.flying, pinger.done) = (rounds - first, first, Some(done));
            for _ in 0..first {
                context.send(&pinger.to, COUNTED, body.clone());
            }
        });
        receiver.await.expect("the pinger lives");
    }
}

impl Process for Pinger {
    fn initialize(&mut self, context: &mut Context<Self>) {
        let to = self.to.clone();
        context.link(&to);
        context.install_raw(COUNTED, |pinger, _, body, context| {
            if pinger.left > 0 {
                pinger.left -= 1;
                context.send(&pinger.to, COUNTED, body);
                return;
            }
            pinger.flying -= 1;
            if pinger.flying == 0
                && let Some(done) = pinger.done.take()
            {
                let _ = done.send(());
            }
        });
    }
}

/// A runtime for the measuring side, which only waits.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// A node on loopback with few threads.
pub async fn node(worker_threads: usize) -> Node {
    let config = NodeConfig {
        worker_threads,
        io_threads: 1,
        ..NodeConfig::loopback()
    };
    Node::start(config).await.expect("a node on loopback")
}

/// Messages a second in words.
pub fn rate(count: u64, elapsed: Duration) -> String {
    format!(
        "{:.0} messages/s, {:.2} us each",
        count as f64 / elapsed.as_secs_f64(),
        elapsed.as_secs_f64() * 1e6 / count as f64
    )
}
