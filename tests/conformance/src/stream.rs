//! A stream of records over a socket: HTTP chunks outside, `LENGTH\n` before each record inside.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::http::Answer;

/// An answer whose body is read record by record.
#[derive(Debug)]
pub struct Records {
    reader: BufReader<TcpStream>,
    /// Bytes of chunks that are not a whole record yet.
    pending: Vec<u8>,
}

impl Records {
    /// Reads the head of an answer; the whole body too when it is no stream.
    ///
    /// # Errors
    ///
    /// Gives what the socket said when the server does not answer in time.
    pub fn open(socket: TcpStream, patience: Duration) -> io::Result<(Answer, Self)> {
        socket.set_read_timeout(Some(patience))?;
        let mut reader = BufReader::new(socket);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut answer = Answer {
            status: line
                .split(' ')
                .nth(1)
                .and_then(|status| status.parse().ok())
                .unwrap_or_default(),
            ..Answer::default()
        };
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim().split_once(':') else {
                break;
            };
            answer.headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
        let length = answer
            .header("content-length")
            .and_then(|length| length.parse::<usize>().ok());
        if let Some(length) = length {
            answer.body.resize(length, 0);
            reader.read_exact(&mut answer.body)?;
        }
        // Streams may be silent for as long as they like.
        reader.get_ref().set_read_timeout(None)?;
        let pending = Vec::new();
        Ok((answer, Self { reader, pending }))
    }

    /// The next record; nothing at the end of the stream, however it came.
    pub fn next_record(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(record) = self.take() {
                return Some(record);
            }
            self.read_chunk()?;
        }
    }

    fn take(&mut self) -> Option<Vec<u8>> {
        let end = self.pending.iter().position(|&byte| byte == b'\n')?;
        let length: usize = std::str::from_utf8(&self.pending[..end]).ok()?.parse().ok()?;
        let whole = end + 1 + length;
        if self.pending.len() < whole {
            return None;
        }
        let record = self.pending[end + 1..whole].to_vec();
        self.pending.drain(..whole);
        Some(record)
    }

    fn read_chunk(&mut self) -> Option<()> {
        let mut line = String::new();
        self.reader.read_line(&mut line).ok()?;
        let size = usize::from_str_radix(line.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        self.reader.read_exact(&mut chunk).ok()?;
        if size == 0 {
            return None;
        }
        self.pending.extend_from_slice(&chunk[..size]);
        Some(())
    }
}
