//! The bytes of checkpoint files.
//!
//! A message stands behind its length, four bytes in host byte order; several messages are several such records. Text
//! stands bare.
//!
//! Source: shared facts, `disk_layout.md` section 1.

use std::path::PathBuf;

use protobuf::{CodedOutputStream, Message};

use crate::effect::{CheckpointWrite, Durability};

/// Frames one message.
#[must_use]
pub fn frame<M: Message>(message: &M) -> Vec<u8> {
    let length = u32::try_from(message.compute_size()).unwrap_or(u32::MAX);
    let mut bytes = length.to_ne_bytes().to_vec();
    {
        // Not `write_to_bytes`: it refuses messages that lack required fields, and nothing may be lost here.
        let mut output = CodedOutputStream::vec(&mut bytes);
        message
            .write_to_with_cached_sizes(&mut output)
            .expect("writing to memory cannot fail");
        output.flush().expect("writing to memory cannot fail");
    }
    bytes
}

/// A file that holds one message.
pub(crate) fn message_file<M: Message>(path: PathBuf, message: &M) -> CheckpointWrite {
    CheckpointWrite::File {
        path,
        bytes: frame(message),
        durability: Durability::Written,
    }
}

/// A file that holds one message and survives the host.
pub(crate) fn synced_message_file<M: Message>(path: PathBuf, message: &M) -> CheckpointWrite {
    CheckpointWrite::File {
        path,
        bytes: frame(message),
        durability: Durability::Synced,
    }
}

/// A file that holds a list of messages.
pub(crate) fn message_list_file<M: Message>(path: PathBuf, messages: &[M]) -> CheckpointWrite {
    let bytes = messages.iter().flat_map(|message| frame(message)).collect();
    CheckpointWrite::File {
        path,
        bytes,
        durability: Durability::Synced,
    }
}

/// A file that holds bare text.
pub(crate) fn text_file(path: PathBuf, text: &str) -> CheckpointWrite {
    CheckpointWrite::File {
        path,
        bytes: text.as_bytes().to_vec(),
        durability: Durability::Written,
    }
}

/// An empty file whose being there says something.
pub(crate) fn marker(path: PathBuf) -> CheckpointWrite {
    text_file(path, "")
}

/// A record at the end of a log.
pub(crate) fn record<M: Message>(path: PathBuf, message: &M) -> CheckpointWrite {
    CheckpointWrite::Append {
        path,
        bytes: frame(message),
        durability: Durability::Written,
    }
}

/// A record at the end of a log that survives the host.
pub(crate) fn synced_record<M: Message>(path: PathBuf, message: &M) -> CheckpointWrite {
    CheckpointWrite::Append {
        path,
        bytes: frame(message),
        durability: Durability::Synced,
    }
}

/// Why bytes are no checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The file is empty: the host went down between making and writing it. Counts as absent.
    #[error("the file is empty")]
    Empty,
    /// The end comes before the length or the message does.
    #[error("{found} bytes stand where {expected} are needed")]
    Short {
        /// Bytes needed.
        expected: usize,
        /// Bytes there.
        found: usize,
    },
    /// The message cannot be parsed.
    #[error("the message cannot be parsed")]
    Message(#[from] protobuf::Error),
}

/// Reads the first record; gives it and the bytes behind it.
///
/// # Errors
///
/// Says why there is no whole record.
pub fn read_record<M: Message>(bytes: &[u8]) -> Result<(M, &[u8]), FrameError> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else {
        let found = bytes.len();
        return Err(if found == 0 {
            FrameError::Empty
        } else {
            FrameError::Short { expected: 4, found }
        });
    };
    let length = u32::from_ne_bytes(*length);
    let expected = usize::try_from(length).unwrap_or(usize::MAX);
    let Some((body, rest)) = rest.split_at_checked(expected) else {
        return Err(FrameError::Short {
            expected,
            found: rest.len(),
        });
    };
    Ok((M::parse_from_bytes(body)?, rest))
}

/// Reads a file that is a list of messages.
///
/// # Errors
///
/// Says what is wrong with the first record that is.
pub fn read_list<M: Message>(mut bytes: &[u8]) -> Result<Vec<M>, FrameError> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let (message, rest) = read_record(bytes)?;
        messages.push(message);
        bytes = rest;
    }
    Ok(messages)
}

/// Reads a log whose tail may be torn. Gives the whole records and how many bytes they take: the file is to be cut
/// there before anything is appended.
#[must_use]
pub fn read_log<M: Message>(bytes: &[u8]) -> (Vec<M>, usize) {
    let mut records = Vec::new();
    let mut rest = bytes;
    while let Ok((record, tail)) = read_record(rest) {
        records.push(record);
        rest = tail;
    }
    (records, bytes.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use mesos_proto::v0::mesos as pb;

    use super::*;

    #[test]
    fn a_message_stands_behind_its_length() {
        let mut id = pb::TaskID::new();
        id.set_value("ab".to_owned());
        let bytes = frame(&id);
        assert_eq!(bytes[..4], 4_u32.to_ne_bytes());
        assert_eq!(bytes[4..], [0x0a, 2, b'a', b'b']);
        let list = message_list_file(PathBuf::from("x"), &[id.clone(), id]);
        assert!(matches!(list, CheckpointWrite::File { bytes: list, .. } if list == [bytes.clone(), bytes].concat()));
    }

    fn id(text: &str) -> pb::TaskID {
        let mut id = pb::TaskID::new();
        id.set_value(text.to_owned());
        id
    }

    #[test]
    fn what_was_framed_is_read_back() {
        let bytes = [frame(&id("a")), frame(&id("b"))].concat();
        assert_eq!(read_list::<pb::TaskID>(&bytes).unwrap(), [id("a"), id("b")]);
        assert_eq!(read_record::<pb::TaskID>(&bytes).unwrap().1, frame(&id("b")));
        assert!(matches!(read_record::<pb::TaskID>(&[]), Err(FrameError::Empty)));
        assert!(matches!(
            read_record::<pb::TaskID>(&[1, 0]),
            Err(FrameError::Short { expected: 4, found: 2 })
        ));
    }

    #[test]
    fn torn_tails_are_cut_off() {
        let whole = [frame(&id("a")), frame(&id("b"))].concat();
        for cut in 0..frame(&id("c")).len() {
            let torn = [&whole[..], &frame(&id("c"))[..cut]].concat();
            assert_eq!(read_log::<pb::TaskID>(&torn), (vec![id("a"), id("b")], whole.len()));
            assert_eq!(read_list::<pb::TaskID>(&torn).is_err(), cut > 0);
        }
    }
}
