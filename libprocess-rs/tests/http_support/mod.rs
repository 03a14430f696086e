//! A node with a process that answers in many ways, and a client that sees every byte.

#![allow(dead_code, reason = "each test program uses its part")]

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use libprocess::http::{Method, StatusCode};
use libprocess::{
    Context, Node, NodeConfig, Process, ProcessId, ProcessRef, Request, Responder, Response, RouteOptions,
};
use libprocess::{StreamWriter, Upid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest wait for anything; reached only when a test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Runs `work` with a bound.
pub async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    match timeout(PATIENCE, work).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not happen in time"),
    }
}

/// The process under test.
#[derive(Default)]
pub struct Probe {
    pub messages: Vec<(String, String, Bytes)>,
    pub held: Vec<Responder>,
    pub streams: Vec<StreamWriter>,
    pub streams_closed: usize,
    pub requests: Vec<String>,
}

impl Process for Probe {
    fn initialize(&mut self, context: &mut Context<Self>) {
        let any = RouteOptions::default;
        context.route("/echo", any(), |probe: &mut Self, request, responder, _| {
            probe.requests.push(request.path.clone());
            responder.send(echo(&request));
        });
        context.route("/big", any(), |_, _, responder, _| {
            responder.send(Response::ok_json(format!("[{}]", "1,".repeat(50_000) + "1")));
        });
        context.route("/small", any(), |_, _, responder, _| {
            responder.send(Response::ok_json("{\"a\":1}"));
        });
        context.route("/empty", any(), |_, _, responder, _| {
            responder.send(Response::status(StatusCode::OK));
        });
        context.route("/file", any(), |_, _, responder, _| {
            let file = Response::bytes(StatusCode::OK, "application/octet-stream", vec![b'x'; 5000]);
            responder.send(file.with_header("content-disposition", "attachment; filename=x"));
        });
        context.route("/last", any(), |_, _, responder, _| {
            responder.send(Response::ok_json("{}").with_header("connection", "close"));
        });
        context.route("/drop", any(), |_, _, responder, _| drop(responder));
        context.route("/hold", any(), |probe: &mut Self, _, responder, _| {
            probe.held.push(responder);
        });
        context.route("/stream", any(), |probe: &mut Self, _, responder, context| {
            let (response, writer) = Response::stream("application/json");
            let me = context.me();
            writer.on_close(move || me.dispatch(|probe, _| probe.streams_closed += 1));
            probe.streams.push(writer);
            responder.send(response);
        });
        let post_only = RouteOptions {
            methods: vec![Method::POST],
            ..RouteOptions::default()
        };
        context.route("/post", post_only, |_, request, responder, _| {
            responder.send(echo(&request));
        });
        let guarded = RouteOptions {
            realm: Some("probe-realm".to_owned()),
            ..RouteOptions::default()
        };
        context.route("/guarded", guarded, |_, request, responder, _| {
            let principal = request.principal.and_then(|principal| principal.value);
            responder.send(Response::text(
                StatusCode::OK,
                principal.unwrap_or_else(|| "nobody".to_owned()),
            ));
        });
    }

    fn message(&mut self, from: Upid, name: &str, body: Bytes, _: &mut Context<Self>) {
        self.messages.push((from.to_string(), name.to_owned(), body));
    }
}

/// Tells what the process saw, one fact a line.
fn echo(request: &Request) -> Response {
    let query: Vec<String> = request
        .query
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let text = format!(
        "method {}\nremainder {}\nquery {}\nbody {}\n",
        request.method,
        request.remainder,
        query.join(","),
        String::from_utf8_lossy(&request.body)
    );
    Response::text(StatusCode::OK, text)
}

/// Starts a node with a probe that is also the delegate.
pub async fn start(configure: impl FnOnce(&mut NodeConfig)) -> (Node, ProcessRef<Probe>) {
    let mut config = NodeConfig::loopback();
    configure(&mut config);
    let node = Node::start(config).await.expect("a loopback address is free");
    let probe = node.spawn(ProcessId::Exact("probe"), Probe::default);
    node.set_delegate("probe");
    within("start", probe.ready()).await;
    (node, probe)
}

/// Asks the probe until it says yes.
pub async fn until(probe: &ProcessRef<Probe>, what: &str, is_so: impl Fn(&mut Probe) -> bool + Clone + Send + 'static) {
    within(what, async {
        loop {
            let is_so = is_so.clone();
            if probe.call(move |probe, _| is_so(probe)).await.expect("the probe lives") {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// An answer as it came over the wire.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    pub chunks: Vec<Vec<u8>>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// A client that sends bytes as given.
pub struct Raw {
    pub stream: TcpStream,
    incoming: BytesMut,
}

impl Raw {
    pub async fn connect(node: &Node) -> Self {
        let stream = within("connect", TcpStream::connect(node.bound_address()))
            .await
            .expect("the node listens");
        Self {
            stream,
            incoming: BytesMut::new(),
        }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        within("send", self.stream.write_all(bytes.as_ref()))
            .await
            .expect("the node reads");
    }

    /// `GET` of a path and its answer.
    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        self.answer().await
    }

    /// The next answer with its body.
    pub async fn answer(&mut self) -> Answer {
        let mut answer = self.head().await;
        if answer.header("Transfer-Encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk().await {
                answer.body.extend_from_slice(&chunk);
                answer.chunks.push(chunk);
            }
        } else if let Some(length) = answer.header("Content-Length") {
            let length: usize = length.parse().expect("a number");
            answer.body = self.take(length).await;
        }
        answer
    }

    /// The next head, without its body.
    pub async fn head(&mut self) -> Answer {
        let status_line = self.line().await;
        let status = status_line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .expect("a status line");
        let mut headers = BTreeMap::new();
        loop {
            let line = self.line().await;
            let Some((name, value)) = line.split_once(": ") else {
                assert_eq!(line, "");
                return Answer {
                    status,
                    headers,
                    body: Vec::new(),
                    chunks: Vec::new(),
                };
            };
            headers.insert(name.to_owned(), value.to_owned());
        }
    }

    /// The next chunk, nothing at the last one.
    pub async fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.line().await;
        let size = usize::from_str_radix(&line, 16).expect("a chunk size");
        let chunk = self.take(size).await;
        assert_eq!(self.take(2).await, b"\r\n");
        (size > 0).then_some(chunk)
    }

    pub async fn take(&mut self, count: usize) -> Vec<u8> {
        while self.incoming.len() < count {
            assert!(self.fill().await > 0, "closed with {:?}", self.incoming);
        }
        self.incoming.split_to(count).to_vec()
    }

    async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.incoming.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.incoming.split_to(end + 2);
                return String::from_utf8_lossy(&line[..end]).into_owned();
            }
            assert!(self.fill().await > 0, "closed with {:?}", self.incoming);
        }
    }

    async fn fill(&mut self) -> usize {
        within("more bytes", self.stream.read_buf(&mut self.incoming))
            .await
            .unwrap_or(0)
    }

    /// Waits for an answer of this status and the end, or for the end alone.
    pub async fn expect_refused(&mut self, status: u16) {
        if self.fill().await > 0 {
            assert_eq!(self.answer().await.status, status);
            self.expect_closed().await;
        }
    }

    /// Waits for the end of the connection; fails when something else comes.
    pub async fn expect_closed(&mut self) {
        let count = self.fill().await;
        assert_eq!(count, 0, "got {:?}", self.incoming);
    }
}
