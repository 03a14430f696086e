//! Messages from the agent to its launch helper, and their bytes.
//!
//! This is the only place that knows how they are put into bytes: a four-byte little-endian length, a version byte,
//! then the message. Both ends are always built from the same source, and no bytes outlive the two processes.

use std::io;
use std::io::{Read, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Version of the messages; a helper of another build refuses to guess.
const VERSION: u8 = 1;

/// Largest message: environments of a few megabytes are legal, anything larger is a mistake.
const MESSAGE_BYTES_MAX: u32 = 16 * 1024 * 1024;

/// What the agent tells the helper, in this order: prepare, then go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToHelper {
    /// How to run the command.
    Prepare(LaunchSpec),
    /// Everything around the command is ready: run it.
    Go,
}

/// The byte by which the helper says that it has its instructions and leads its own session.
pub const READY: u8 = b'r';

/// How to run one command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchSpec {
    /// File that the wait status goes to; `None` when nobody asks for it.
    pub status_path: Option<PathBuf>,
    /// File or name (looked up in the command's `PATH`) to execute.
    pub program: String,
    /// Arguments, the program's own name first.
    pub argv: Vec<String>,
    /// The whole environment.
    pub environment: Vec<(String, String)>,
    /// Working directory.
    pub directory: PathBuf,
    /// Account to switch to before the command runs.
    pub user: Option<UserSpec>,
    /// Limits of the command's processes.
    pub rlimits: Vec<RlimitSpec>,
}

/// An account, looked up by the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserSpec {
    /// Its name, for the supplementary groups.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
}

/// One resource limit of a process; `None` is no limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RlimitSpec {
    /// Name as in `RLimitInfo`, without the prefix: `NOFILE`.
    pub resource: String,
    /// Soft limit.
    pub soft: Option<u64>,
    /// Hard limit.
    pub hard: Option<u64>,
}

/// Why a message could not be passed on.
#[derive(Debug, Error)]
pub enum ProtocolError {
    /// The message cannot be put into bytes.
    #[error("the message cannot be encoded")]
    Encode(#[source] Box<bincode::error::EncodeError>),
    /// The bytes are no message.
    #[error("the bytes are no message of this version")]
    Decode(#[source] Box<bincode::error::DecodeError>),
    /// The message is larger than any legal one.
    #[error("the message has {0} bytes, at most {MESSAGE_BYTES_MAX} are allowed")]
    TooLarge(u64),
    /// The other end speaks another version.
    #[error("the message has version {0}, expected {VERSION}")]
    Version(u8),
    /// The connection broke.
    #[error("the connection to the other process broke")]
    Io(#[from] io::Error),
}

/// Puts a message into bytes, with its length and version.
///
/// # Errors
///
/// Says when the message cannot be encoded or is too large.
pub fn encode(message: &ToHelper) -> Result<Vec<u8>, ProtocolError> {
    let body = bincode::serde::encode_to_vec(message, bincode::config::standard())
        .map_err(|error| ProtocolError::Encode(Box::new(error)))?;
    let length = body.len() as u64 + 1;
    let length = match u32::try_from(length) {
        Ok(length) if length <= MESSAGE_BYTES_MAX => length,
        _ => return Err(ProtocolError::TooLarge(length)),
    };
    let mut bytes = Vec::with_capacity(body.len() + 5);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.push(VERSION);
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// Writes one message.
///
/// # Errors
///
/// As [`encode`], and when the connection breaks.
pub fn send(to: &mut impl Write, message: &ToHelper) -> Result<(), ProtocolError> {
    to.write_all(&encode(message)?)?;
    Ok(to.flush()?)
}

/// Reads one message, waiting for it.
///
/// # Errors
///
/// Says when the connection ends or breaks and when the bytes are no message of this version.
pub fn receive(from: &mut impl Read) -> Result<ToHelper, ProtocolError> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length == 0 || length > MESSAGE_BYTES_MAX {
        return Err(ProtocolError::TooLarge(u64::from(length)));
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    from.read_exact(&mut bytes)?;
    let (version, body) = bytes
        .split_first()
        .ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
    if *version != VERSION {
        return Err(ProtocolError::Version(*version));
    }
    bincode::serde::decode_from_slice(body, bincode::config::standard())
        .map(|(message, _)| message)
        .map_err(|error| ProtocolError::Decode(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_read_back_in_order() {
        let spec = LaunchSpec {
            program: "sh".to_owned(),
            argv: vec!["sh".to_owned()],
            ..LaunchSpec::default()
        };
        let mut bytes = encode(&ToHelper::Prepare(spec.clone())).expect("encoded");
        bytes.extend(encode(&ToHelper::Go).expect("encoded"));
        let mut reader = bytes.as_slice();
        assert_eq!(receive(&mut reader).expect("first"), ToHelper::Prepare(spec));
        assert_eq!(receive(&mut reader).expect("second"), ToHelper::Go);
        assert!(matches!(receive(&mut reader), Err(ProtocolError::Io(_))));
    }

    #[test]
    fn foreign_bytes_are_refused() {
        assert!(matches!(
            receive(&mut [1, 0, 0, 0, 9].as_slice()),
            Err(ProtocolError::Version(9))
        ));
        assert!(matches!(
            receive(&mut [255; 8].as_slice()),
            Err(ProtocolError::TooLarge(_))
        ));
        assert!(matches!(
            receive(&mut [2, 0, 0, 0, VERSION, 77].as_slice()),
            Err(ProtocolError::Decode(_))
        ));
    }
}
