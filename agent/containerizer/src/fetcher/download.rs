//! Downloads from web servers.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;

/// Bytes read at once.
const CHUNK_BYTES: usize = 128 * 1024;

/// Chunks that may wait for the disk.
const CHUNKS_WAITING: usize = 8;

/// Longest wait for a connection and for the head of the answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);

/// Longest time that any download may take.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// Redirections followed.
const REDIRECTS_MAX: u32 = 10;

/// How often a download looks whether it was given up.
const CANCEL_CHECK_INTERVAL: Duration = Duration::from_millis(200);

/// Why a download failed.
#[derive(Debug, Error)]
pub enum DownloadError {
    /// The request failed.
    #[error("the request failed")]
    Request(#[source] Box<ureq::Error>),
    /// The server did not give the file.
    #[error("the server answered with status {0}, expected 200")]
    Status(u16),
    /// The body broke off.
    #[error("the download broke off")]
    Body(#[source] io::Error),
    /// Nothing came for too long.
    #[error("nothing arrived for {0:?}")]
    Stalled(Duration),
    /// The file cannot be written.
    #[error("failed to write the file")]
    Write(#[source] io::Error),
    /// The container was destroyed meanwhile.
    #[error("the download was given up")]
    Cancelled,
}

type Chunk = Result<Vec<u8>, DownloadError>;

/// Downloads `url` to `path`. Only an answer of status 200 counts.
pub(super) fn download(
    url: &str,
    path: &Path,
    stall_timeout: Duration,
    cancelled: &AtomicBool,
) -> Result<(), DownloadError> {
    let mut file = fs::File::create(path).map_err(DownloadError::Write)?;
    let (sender, chunks) = sync_channel(CHUNKS_WAITING);
    let url = url.to_owned();
    // The library has no time limit for a stall, so reading happens aside and is abandoned when nothing comes.
    thread::Builder::new()
        .name("fetcher-download".to_owned())
        .spawn(move || {
            if let Err(error) = read_all(&url, &sender) {
                // The other side has given up already when this cannot be sent.
                let _ = sender.send(Err(error));
            }
        })
        .map_err(DownloadError::Write)?;
    while let Some(chunk) = next_chunk(&chunks, stall_timeout, cancelled)? {
        file.write_all(&chunk).map_err(DownloadError::Write)?;
    }
    file.flush().map_err(DownloadError::Write)
}

fn next_chunk(
    chunks: &Receiver<Chunk>,
    stall_timeout: Duration,
    cancelled: &AtomicBool,
) -> Result<Option<Vec<u8>>, DownloadError> {
    let asked = Instant::now();
    loop {
        if cancelled.load(Ordering::Relaxed) {
            return Err(DownloadError::Cancelled);
        }
        let left = stall_timeout.saturating_sub(asked.elapsed());
        match chunks.recv_timeout(left.min(CANCEL_CHECK_INTERVAL)) {
            Ok(chunk) => return chunk.map(Some),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) if asked.elapsed() >= stall_timeout => {
                return Err(DownloadError::Stalled(stall_timeout));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

fn read_all(url: &str, sender: &SyncSender<Chunk>) -> Result<(), DownloadError> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(REDIRECTS_MAX)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_recv_response(Some(CONNECT_TIMEOUT))
        .timeout_global(Some(DOWNLOAD_TIMEOUT))
        .build()
        .into();
    let mut response = agent
        .get(url)
        .call()
        .map_err(|error| DownloadError::Request(Box::new(error)))?;
    if response.status().as_u16() != 200 {
        return Err(DownloadError::Status(response.status().as_u16()));
    }
    let mut body = response.body_mut().as_reader();
    loop {
        let mut chunk = vec![0; CHUNK_BYTES];
        let length = match body.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(DownloadError::Body(error)),
        };
        chunk.truncate(length);
        if sender.send(Ok(chunk)).is_err() {
            return Ok(());
        }
    }
}
