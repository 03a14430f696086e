//! Pieces of files.

use std::os::unix::fs::FileExt;

use super::FilesError;
use super::tree::Tree;

/// Most bytes of one read: 16 pages.
///
/// Source: shared facts, `endpoints.tsv`.
const BYTES_MAX: u64 = 16 * 4096;

/// A piece of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins; the size of the file when nothing was asked for or the offset lies behind the end.
    pub offset: u64,
    /// The bytes.
    pub data: Vec<u8>,
    /// Size of the whole file.
    pub size: u64,
}

pub(super) fn read(
    tree: &Tree,
    virtual_path: &str,
    offset: Option<u64>,
    length: Option<u64>,
) -> Result<Piece, FilesError> {
    let file = tree.open(virtual_path)?.file;
    let unreadable = |source| FilesError::Unreadable {
        path: virtual_path.to_owned(),
        source,
    };
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(FilesError::Invalid("the path names a directory".to_owned()));
    }
    if !metadata.is_file() {
        return Err(FilesError::Invalid("the path names no regular file".to_owned()));
    }
    let size = metadata.len();
    let Some(offset) = offset.filter(|offset| *offset < size) else {
        return Ok(Piece {
            offset: size,
            data: Vec::new(),
            size,
        });
    };
    let wanted = length.unwrap_or(BYTES_MAX).min(BYTES_MAX).min(size - offset);
    let mut data = vec![0; usize::try_from(wanted).unwrap_or_default()];
    let mut filled = 0;
    while filled < data.len() {
        let count = file
            .read_at(&mut data[filled..], offset + filled as u64)
            .map_err(unreadable)?;
        if count == 0 {
            break;
        }
        filled += count;
    }
    data.truncate(filled);
    Ok(Piece { offset, data, size })
}

impl Piece {
    /// The bytes as text for JSON. A character that the end of the piece cuts is left to the next piece, unless the
    /// piece is nothing else; other bytes that are no UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        let mut data = self.data.as_slice();
        let cut = match std::str::from_utf8(data) {
            Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => error.valid_up_to(),
            _ => data.len(),
        };
        if self.offset + (data.len() as u64) < self.size {
            data = &data[..cut];
        }
        String::from_utf8_lossy(data).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_bounded_and_sizes_told() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("f"), vec![b'x'; 100_000]).expect("a file");
        let tree = Tree::default();
        tree.attach("/v", directory.path()).expect("attached");
        let got = |offset, length| {
            let piece = read(&tree, "/v/f", offset, length).expect("read");
            (piece.offset, piece.data.len(), piece.size)
        };
        assert_eq!(got(None, None), (100_000, 0, 100_000));
        assert_eq!(got(Some(0), None), (0, 65_536, 100_000));
        assert_eq!(got(Some(0), Some(u64::MAX)), (0, 65_536, 100_000));
        assert_eq!(got(Some(99_990), None), (99_990, 10, 100_000));
        assert_eq!(got(Some(10), Some(5)), (10, 5, 100_000));
        assert_eq!(got(Some(10), Some(0)), (10, 0, 100_000));
        assert_eq!(got(Some(200_000), Some(5)), (100_000, 0, 100_000));
        assert_eq!(read(&tree, "/v", None, None).expect_err("a directory").status(), 400);
    }

    #[test]
    fn characters_are_not_torn() {
        let piece = |bytes: &[u8], size| Piece {
            offset: 0,
            data: bytes.to_vec(),
            size,
        };
        let bytes = "aé".as_bytes();
        assert_eq!(piece(&bytes[..2], 3).text(), "a");
        assert_eq!(piece(bytes, 3).text(), "aé");
        assert_eq!(piece(&bytes[..2], 2).text(), "a\u{fffd}");
        assert_eq!(piece(&bytes[1..2], 3).text(), "\u{fffd}");
        assert_eq!(piece(b"a\xffb", 3).text(), "a\u{fffd}b");
    }
}
