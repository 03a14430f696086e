//! Recorded requests and answers, and the same requests over a raw socket.

use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The recordings.
pub fn golden() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/golden"))
}

/// An answer: status, headers with lower-case names, body.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The names of the headers that say something about the content, sorted.
    pub fn header_names(&self) -> Vec<&str> {
        let about_length = ["content-length", "transfer-encoding", "connection"];
        let names = self.headers.iter().map(|(name, _)| name.as_str());
        let mut names: Vec<&str> = names.filter(|name| !about_length.contains(name)).collect();
        names.sort_unstable();
        names
    }

    fn parse_head(head: &[u8]) -> Self {
        let text = String::from_utf8_lossy(head);
        let mut lines = text.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let headers = lines.filter_map(|line| line.split_once(':'));
        Self {
            status: status.and_then(|status| status.parse().ok()).expect("a status line"),
            headers: headers
                .map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_owned()))
                .collect(),
            body: Vec::new(),
        }
    }
}

/// A recorded exchange: the request as sent, and the answer.
pub fn recorded(file: &Path) -> (Vec<u8>, Answer) {
    const SENT: &[u8] = b">>>>>>>> REQUEST\n";
    const RECEIVED: &[u8] = b">>>>>>>> RESPONSE (raw bytes, chunking kept)\n";
    let bytes = std::fs::read(file).expect("a recording");
    let split = find(&bytes, RECEIVED).expect("an answer");
    let request = bytes[SENT.len()..split].to_vec();
    let (head, body) = split_head(&bytes[split + RECEIVED.len()..]).expect("a head");
    let mut answer = Answer::parse_head(head);
    answer.body = body.to_vec();
    (with_line_ends(&request), answer)
}

/// The recordings end lines as they came; requests need both characters.
fn with_line_ends(request: &[u8]) -> Vec<u8> {
    let (head, body) = split_head(request).unwrap_or((request, b""));
    let head = String::from_utf8_lossy(head);
    let mut sent: Vec<u8> = head
        .lines()
        .flat_map(|line| format!("{line}\r\n").into_bytes())
        .collect();
    sent.extend(b"\r\n");
    sent.extend(body);
    sent
}

fn split_head(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let ends = [b"\r\n\r\n".as_slice(), b"\n\n"];
    let found = ends.iter().filter_map(|end| find(bytes, end).map(|at| (at, end.len())));
    let (at, length) = found.min()?;
    Some((&bytes[..at], &bytes[at + length..]))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// Sends a request on a new connection and reads the answer; of an answer in chunks only the head.
pub async fn send(address: SocketAddrV4, request: &[u8]) -> Answer {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(request).await.expect("sent");
        let mut received = Vec::new();
        loop {
            if let Some((head, body)) = split_head(&received) {
                let mut answer = Answer::parse_head(head);
                let is_head = request.starts_with(b"HEAD ");
                let length = answer.header("content-length").and_then(|length| length.parse().ok());
                if is_head || answer.header("transfer-encoding").is_some() || body.len() >= length.unwrap_or(0) {
                    answer.body = body.to_vec();
                    return answer;
                }
            }
            let count = stream.read_buf(&mut received).await.expect("received");
            let asked = String::from_utf8_lossy(request);
            assert!(count > 0, "the connection was closed after {asked}");
        }
    };
    tokio::time::timeout(PATIENCE, exchange).await.unwrap_or_else(|_| {
        panic!("no answer to {}", String::from_utf8_lossy(request));
    })
}

/// A connection whose answer goes on.
pub struct Open {
    stream: TcpStream,
    /// What was read so far.
    pub answer: Answer,
}

/// Sends a request and reads the head of the answer.
pub async fn open(address: SocketAddrV4, request: &[u8]) -> Open {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(request).await.expect("sent");
        let mut received = Vec::new();
        loop {
            if let Some((head, body)) = split_head(&received) {
                let mut answer = Answer::parse_head(head);
                answer.body = body.to_vec();
                return Open { stream, answer };
            }
            let count = stream.read_buf(&mut received).await.expect("received");
            assert!(count > 0, "the connection was closed");
        }
    };
    tokio::time::timeout(PATIENCE, exchange).await.expect("an answer")
}

impl Open {
    /// Reads on until the body has `wanted` and the connection is quiet or the record that has it is complete.
    pub async fn read_until(&mut self, wanted: &[u8]) {
        let reading = async {
            while find(&self.answer.body, wanted).is_none() || !self.answer.body.ends_with(b"\r\n") {
                let count = self.stream.read_buf(&mut self.answer.body).await.expect("received");
                assert!(count > 0, "the stream ended");
            }
        };
        let waited = tokio::time::timeout(PATIENCE, reading).await;
        assert!(waited.is_ok(), "{}", String::from_utf8_lossy(&self.answer.body));
    }
}
