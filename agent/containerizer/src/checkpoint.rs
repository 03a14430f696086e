//! Reading and writing of the containerizer's small files.
//!
//! Files are replaced whole: a temporary file beside the target is written and renamed over it. Message files carry
//! one message behind a four-byte length in host byte order.
//!
//! Source: shared facts, `disk_layout.md` section 1.

use std::fs;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use protobuf::Message;

/// Mode of checkpoint files: nobody but the agent's account reads them.
const FILE_MODE: u32 = 0o600;

/// Writes `bytes` to `path`, making its folders; a reader sees the old or the new content, never a part.
///
/// # Errors
///
/// Gives the first failure of the file system; the temporary file is gone then.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path
        .parent()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    fs::create_dir_all(folder)?;
    let temporary = folder.join(format!(".{}", uuid::Uuid::new_v4().simple()));
    let written = write_and_rename(&temporary, path, bytes);
    if written.is_err() {
        // The first failure is what counts; a file that was never made cannot be removed either.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write_and_rename(temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(temporary)?;
    file.write_all(bytes)?;
    drop(file);
    fs::rename(temporary, path)
}

/// Writes one message behind its length.
///
/// # Errors
///
/// As [`write`]; a message that lacks required fields is refused as invalid data.
pub fn write_message<M: Message>(path: &Path, message: &M) -> io::Result<()> {
    let body = message.write_to_bytes().map_err(io::Error::other)?;
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend_from_slice(&body);
    write(path, &bytes)
}

/// Reads a message file; `None` when it is missing or empty (a crash can leave it so).
///
/// # Errors
///
/// Gives failures of the file system, and invalid data for a short or unreadable record.
pub fn read_message<M: Message>(path: &Path) -> io::Result<Option<M>> {
    let bytes = match fs::read(path) {
        Ok(bytes) if bytes.is_empty() => return Ok(None),
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let (header, body) = bytes
        .split_at_checked(4)
        .ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
    let length = <[u8; 4]>::try_from(header)
        .map(u32::from_ne_bytes)
        .map_err(io::Error::other)?;
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let body = body
        .get(..length)
        .ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
    M::parse_from_bytes(body)
        .map(Some)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Reads a decimal number from a text file; `None` when the file is missing or empty.
///
/// # Errors
///
/// Gives failures of the file system, and invalid data for any other text.
pub fn read_number(path: &Path) -> io::Result<Option<i32>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match text.trim() {
        "" => Ok(None),
        digits => digits
            .parse()
            .map(Some)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}

#[cfg(test)]
mod tests {
    use mesos_proto::v0::slave::containerizer::ContainerTermination;

    use super::*;

    #[test]
    fn messages_read_back_and_torn_files_do_not() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("a/b/termination");
        assert!(
            read_message::<ContainerTermination>(&path)
                .expect("missing file")
                .is_none()
        );
        let mut message = ContainerTermination::new();
        message.set_status(256);
        write_message(&path, &message).expect("written");
        assert_eq!(read_message(&path).expect("read"), Some(message));
        let bytes = fs::read(&path).expect("bytes");
        assert_eq!(
            &bytes[..4],
            u32::try_from(bytes.len() - 4).expect("small").to_ne_bytes()
        );
        fs::write(&path, &bytes[..bytes.len() - 1]).expect("torn");
        assert!(read_message::<ContainerTermination>(&path).is_err());
        fs::write(&path, b"").expect("emptied");
        assert!(
            read_message::<ContainerTermination>(&path)
                .expect("empty file")
                .is_none()
        );
    }

    #[test]
    fn numbers_are_decimal_text() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("status");
        assert_eq!(read_number(&path).expect("missing"), None);
        write(&path, b"").expect("written");
        assert_eq!(read_number(&path).expect("empty"), None);
        write(&path, b"256").expect("written");
        assert_eq!(read_number(&path).expect("number"), Some(256));
        write(&path, b"x").expect("written");
        assert!(read_number(&path).is_err());
    }
}
