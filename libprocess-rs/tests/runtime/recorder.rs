//! A process that tells a test what happens to it, and a raw peer for the other end of a socket.

use std::net::SocketAddrV4;
use std::time::Duration;

use bytes::Bytes;
use libprocess::{Context, Node, NodeConfig, Process, ProcessId, ProcessRef, Upid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a [`Recorder`] went through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Initialized,
    Message { from: String, name: String, body: Bytes },
    Exited(String),
    Finalized,
}

/// Reports every event.
pub(crate) struct Recorder(UnboundedSender<Seen>);

impl Recorder {
    pub(crate) fn report(&self, seen: Seen) {
        let _ = self.0.send(seen);
    }
}

impl Process for Recorder {
    fn initialize(&mut self, _: &mut Context<Self>) {
        self.report(Seen::Initialized);
    }

    fn message(&mut self, from: Upid, name: &str, body: Bytes, _: &mut Context<Self>) {
        self.report(Seen::Message {
            from: from.to_string(),
            name: name.to_owned(),
            body,
        });
    }

    fn exited(&mut self, upid: &Upid, _: &mut Context<Self>) {
        self.report(Seen::Exited(upid.to_string()));
    }

    fn finalize(&mut self, _: &mut Context<Self>) {
        self.report(Seen::Finalized);
    }
}

/// A running recorder and its reports.
pub(crate) struct Recording {
    pub(crate) process: ProcessRef<Recorder>,
    seen: UnboundedReceiver<Seen>,
}

impl Recording {
    /// Spawns a recorder and waits until it runs.
    pub(crate) async fn start(node: &Node, id: &str) -> Self {
        let (sender, seen) = unbounded_channel();
        let process = node.spawn(ProcessId::Exact(id), move || Recorder(sender));
        let mut recording = Self { process, seen };
        assert_eq!(recording.next().await, Seen::Initialized);
        recording
    }

    pub(crate) async fn next(&mut self) -> Seen {
        let seen = bounded(self.seen.recv()).await;
        seen.expect("the recorder lives")
    }

    pub(crate) async fn next_message(&mut self) -> (String, String, Bytes) {
        match self.next().await {
            Seen::Message { from, name, body } => (from, name, body),
            other => panic!("expected a message, saw {other:?}"),
        }
    }

    /// Completes when everything that was queued before has been handled; says what is left unread.
    pub(crate) async fn nothing_more(&mut self) {
        bounded(self.process.call(|_, _| ())).await.expect("the recorder lives");
        assert!(self.seen.try_recv().is_err(), "nothing more should have happened");
    }

    pub(crate) fn pid(&self) -> &Upid {
        self.process.pid()
    }

    /// Makes the recorder link to another process.
    pub(crate) async fn link(&self, to: &Upid) {
        let to = to.clone();
        self.process
            .call(move |_, context| context.link(&to))
            .await
            .expect("the recorder lives");
    }

    /// Makes the recorder send.
    pub(crate) fn send(&self, to: &Upid, name: &'static str, body: impl Into<Bytes>) {
        let (to, body) = (to.clone(), body.into());
        self.process.dispatch(move |_, context| context.send(&to, name, body));
    }
}

/// Waits for a future, but not forever.
pub(crate) async fn bounded<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it should have happened by now")
}

pub(crate) async fn start_node() -> Node {
    Node::start(NodeConfig::loopback()).await.expect("a node on loopback")
}

/// A socket without any protocol of its own.
pub(crate) struct RawPeer {
    stream: TcpStream,
    received: Vec<u8>,
}

impl RawPeer {
    pub(crate) async fn connect(node: &Node) -> Self {
        Self::from(TcpStream::connect(node.address()).await.expect("the node listens"))
    }

    pub(crate) async fn accept(listener: &TcpListener) -> Self {
        Self::from(bounded(listener.accept()).await.expect("a connection").0)
    }

    pub(crate) fn from(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a TCP socket");
        Self {
            stream,
            received: Vec::new(),
        }
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        bounded(self.stream.write_all(bytes.as_ref()))
            .await
            .expect("the peer reads");
    }

    /// Reads up to and including `end`.
    pub(crate) async fn read_until(&mut self, end: &str) -> String {
        loop {
            let found = self
                .received
                .windows(end.len())
                .position(|window| window == end.as_bytes());
            if let Some(position) = found {
                let rest = self.received.split_off(position + end.len());
                let text = std::mem::replace(&mut self.received, rest);
                return String::from_utf8_lossy(&text).into_owned();
            }
            let count = bounded(self.stream.read_buf(&mut self.received))
                .await
                .expect("the peer lives");
            assert!(
                count > 0,
                "end of stream after {:?}",
                String::from_utf8_lossy(&self.received)
            );
        }
    }

    /// Reads the head of one answer and gives its status code.
    pub(crate) async fn read_status(&mut self) -> u16 {
        let head = self.read_until("\r\n\r\n").await;
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        status.unwrap_or_else(|| panic!("no status line: {head}"))
    }

    /// Waits for the end of the stream (or a reset) and gives what came before.
    pub(crate) async fn read_to_end(&mut self) -> String {
        loop {
            match bounded(self.stream.read_buf(&mut self.received)).await {
                Ok(0) | Err(_) => return String::from_utf8_lossy(&std::mem::take(&mut self.received)).into_owned(),
                Ok(_) => {}
            }
        }
    }
}

/// A listener on loopback and the address of a process behind it.
pub(crate) async fn foreign(id: &str) -> (TcpListener, Upid) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let upid = Upid::new(id, address_of(&listener));
    (listener, upid)
}

pub(crate) fn address_of(listener: &TcpListener) -> SocketAddrV4 {
    match listener.local_addr().expect("a bound socket") {
        std::net::SocketAddr::V4(address) => address,
        std::net::SocketAddr::V6(address) => panic!("{address} is no IPv4 address"),
    }
}
