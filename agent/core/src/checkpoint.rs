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
    }
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
}
