//! Whole files.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use libprocess::http::{Method, StatusCode};
use libprocess::{Response, StreamWriter};

use super::FilesError;
use super::tree::Tree;

/// Files up to this size are sent in one piece, with their length; larger ones are streamed.
const WHOLE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Bytes that are read at a time from larger files.
const CHUNK_BYTES: usize = 256 * 1024;

/// A file that is ready to be sent.
pub(super) struct Download {
    name: String,
    file: File,
    size: u64,
}

/// Opens the file.
pub(super) fn open(tree: &Tree, virtual_path: &str) -> Result<Download, FilesError> {
    let file = tree.open(virtual_path)?.file;
    let metadata = file.metadata().map_err(|source| FilesError::Unreadable {
        path: virtual_path.to_owned(),
        source,
    })?;
    if !metadata.is_file() {
        return Err(FilesError::Invalid("the path names no regular file".to_owned()));
    }
    let name = Path::new(virtual_path).file_name().unwrap_or_default();
    Ok(Download {
        name: name.to_string_lossy().into_owned(),
        file,
        size: metadata.len(),
    })
}

impl Download {
    /// The answer, and what is to be streamed into it afterwards.
    pub(super) fn respond(self, method: &Method) -> std::io::Result<(Response, Option<Stream>)> {
        let content_type = content_type(&self.name);
        let disposition = format!("attachment; filename={}", header_token(&self.name));
        let finish = |response: Response| response.with_header("Content-Disposition", &disposition);
        if self.size <= WHOLE_BYTES_MAX || method == Method::HEAD {
            let mut bytes = vec![0; usize::try_from(self.size).unwrap_or_default()];
            let mut filled = 0;
            while filled < bytes.len() {
                match self.file.read_at(&mut bytes[filled..], filled as u64)? {
                    0 => break,
                    count => filled += count,
                }
            }
            bytes.truncate(filled);
            return Ok((finish(Response::bytes(StatusCode::OK, content_type, bytes)), None));
        }
        let (response, writer) = Response::stream(content_type);
        let stream = Stream {
            file: Arc::new(self.file),
            size: self.size,
            writer,
        };
        Ok((finish(response), Some(stream)))
    }
}

/// The rest of a download.
pub(super) struct Stream {
    file: Arc<File>,
    size: u64,
    writer: StreamWriter,
}

impl Stream {
    /// Sends the file as fast as the client takes it, up to the size that it had.
    pub(super) async fn run(self) {
        let mut offset = 0;
        while offset < self.size {
            self.writer.room().await;
            let file = Arc::clone(&self.file);
            let length = usize::try_from(self.size - offset)
                .unwrap_or(CHUNK_BYTES)
                .min(CHUNK_BYTES);
            let read = tokio::task::spawn_blocking(move || {
                let mut bytes = vec![0; length];
                file.read_at(&mut bytes, offset).map(|count| {
                    bytes.truncate(count);
                    bytes
                })
            });
            let Ok(Ok(bytes)) = read.await else { return };
            offset += bytes.len() as u64;
            if bytes.is_empty() || self.writer.write(Bytes::from(bytes)).is_err() {
                return;
            }
        }
    }
}

/// A file name that may stand in a header.
fn header_token(name: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "._-+@".contains(character);
    if name.chars().all(plain) {
        return name.to_owned();
    }
    let kept = name.chars().map(|character| {
        if matches!(character, ' '..='~') && character != '"' && character != '\\' {
            character
        } else {
            '_'
        }
    });
    format!("\"{}\"", kept.collect::<String>())
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("txt" | "log") => "text/plain",
        Some("html" | "htm") => "text/html",
        Some("css") => "text/css",
        Some("js") => "application/javascript",
        Some("json") => "application/json",
        Some("xml") => "application/xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("gif") => "image/gif",
        Some("svg") => "image/svg+xml",
        Some("pdf") => "application/pdf",
        Some("zip") => "application/zip",
        Some("gz" | "tgz") => "application/gzip",
        Some("tar") => "application/x-tar",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_their_header() {
        assert_eq!(header_token("stdout"), "stdout");
        assert_eq!(header_token("a b"), "\"a b\"");
        assert_eq!(header_token("a\"\r\nX: y"), "\"a___X: y\"");
    }

    #[tokio::test]
    async fn large_files_are_streamed_whole() {
        let directory = tempfile::tempdir().expect("a directory");
        let size = usize::try_from(WHOLE_BYTES_MAX).expect("small") + 12_345;
        std::fs::write(directory.path().join("big"), vec![7; size]).expect("a file");
        let tree = Tree::default();
        tree.attach("v", directory.path()).expect("attached");
        let download = open(&tree, "/v/big").expect("opened");
        let (response, stream) = download.respond(&Method::GET).expect("readable");
        let libprocess::http::Body::Stream(mut reader) = response.body else {
            panic!("a stream");
        };
        let sending = tokio::spawn(stream.expect("more to send").run());
        let mut received = 0;
        while let Some(chunk) = next(&mut reader).await {
            received += chunk.len();
        }
        sending.await.expect("no panic");
        assert_eq!(received, size);
    }

    async fn next(reader: &mut libprocess::http::StreamReader) -> Option<Bytes> {
        use futures_core::Stream as _;
        std::future::poll_fn(|task| std::pin::Pin::new(&mut *reader).poll_next(task)).await
    }
}
