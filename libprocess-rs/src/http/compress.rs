//! gzip in both directions, bounded.

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use thiserror::Error;

/// Smallest body worth compressing.
///
/// Source: shared facts, `libprocess_wire.md` section 4.
pub const COMPRESS_BYTES_MIN: usize = 1024;

/// Larger bodies are compressed and inflated on a blocking thread: at some 50 MB/s they would hold an arbiter for more
/// than half a millisecond.
pub const INLINE_BYTES_MAX: usize = 24 * 1024;

/// Why a compressed body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InflateError {
    /// The data is no gzip stream, or a broken one.
    #[error("the body is no valid gzip data")]
    Corrupt,
    /// The inflated body exceeds the limit.
    #[error("the inflated body exceeds the limit of {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
}

/// Compresses a body. Falls back to `None` when the compressor fails, which memory cannot do.
#[must_use]
pub fn gzip(body: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

/// Inflates a body, giving up as soon as it exceeds `limit_bytes`, so that a small body cannot fill the memory.
///
/// # Errors
///
/// Says whether the data is broken or too large.
pub fn inflate(body: &[u8], limit_bytes: usize) -> Result<Bytes, InflateError> {
    let mut inflated = Vec::new();
    let reading_limit = u64::try_from(limit_bytes).unwrap_or(u64::MAX).saturating_add(1);
    let mut decoder = MultiGzDecoder::new(body).take(reading_limit);
    decoder.read_to_end(&mut inflated).map_err(|_| InflateError::Corrupt)?;
    if inflated.len() > limit_bytes {
        return Err(InflateError::TooLarge { limit_bytes });
    }
    Ok(Bytes::from(inflated))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_survive() {
        let body = b"{\"frameworks\":[]}".repeat(1000);
        let compressed = gzip(&body).expect("memory");
        assert!(compressed.len() < body.len() / 10);
        assert_eq!(inflate(&compressed, body.len()).expect("own data").as_ref(), body);
    }

    #[test]
    fn bombs_stop_at_the_limit() {
        let bomb = gzip(&vec![0; 8 * 1024 * 1024]).expect("memory");
        // How small exactly depends on the compressor that the build has.
        assert!(bomb.len() < 8 * 1024 * 1024 / 50);
        assert_eq!(inflate(&bomb, 1024), Err(InflateError::TooLarge { limit_bytes: 1024 }));
    }

    #[test]
    fn broken_data_is_refused() {
        let whole = gzip(b"some text that is long enough to cut").expect("memory");
        for data in [&b"abc"[..], &b""[..], &whole[..whole.len() - 3], &whole[..5]] {
            assert_eq!(inflate(data, 1024), Err(InflateError::Corrupt));
        }
    }
}
