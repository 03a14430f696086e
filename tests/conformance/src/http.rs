//! Raw HTTP over a socket: the tests see the bytes, not a library's idea of them.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Longest silence of a server before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Status code; 0 when the connection was closed without an answer.
    pub status: u16,
    /// Head without the status line.
    pub headers: Vec<(String, String)>,
    /// Everything after the head, with whatever framing it has.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Writes bytes and reads one answer: its head, and its body as `Content-Length` says or until the server closes.
///
/// # Errors
///
/// Gives what the socket said; a connection closed without an answer is no error but status 0.
pub fn exchange(address: SocketAddr, request: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // A server may answer and close before it has read everything.
    drop(stream.write_all(request));
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    // Streams never end, and their heartbeats are no silence: what came in time is the answer.
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
            // Reads with a timeout are not taken up again when a child of this program ends meanwhile.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if complete(&bytes) {
            break;
        }
    }
    drop(stream.shutdown(Shutdown::Both));
    Ok(parse(&bytes))
}

/// `GET` of a path.
///
/// # Errors
///
/// As [`exchange`].
pub fn get(address: SocketAddr, path: &str) -> io::Result<Answer> {
    exchange(
        address,
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes(),
    )
}

/// `POST` of a JSON document.
///
/// # Errors
///
/// As [`exchange`].
pub fn post_json(address: SocketAddr, path: &str, document: &serde_json::Value) -> io::Result<Answer> {
    let body = document.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    exchange(address, format!("{head}{body}").as_bytes())
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|position| position + 4)
}

fn complete(bytes: &[u8]) -> bool {
    let Some(end) = head_end(bytes) else { return false };
    let answer = parse(bytes);
    let length = answer
        .header("content-length")
        .and_then(|length| length.parse::<usize>().ok());
    length.is_some_and(|length| bytes.len() >= end + length)
}

fn parse(bytes: &[u8]) -> Answer {
    let Some(end) = head_end(bytes) else {
        return Answer::default();
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|status| status.parse().ok());
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect();
    Answer {
        status: status.unwrap_or_default(),
        headers,
        body: bytes[end..].to_vec(),
    }
}
