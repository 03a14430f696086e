//! Operations as bytes, as logs on disk keep them.
//!
//! A batch is its operations one after the other. An operation is one byte that says which, then its parts, each a
//! little-endian length of four bytes and that many bytes: ids are text, messages are protobuf, lists are a count and
//! then their elements. Numbers of operations are never used again for another one.

use mesos::ids::AgentId;
use protobuf::Message;
use thiserror::Error;

use crate::Operation;
use crate::contents::encoded;

/// Why bytes are no operations.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes end inside an operation.
    #[error("the bytes end inside an operation")]
    Truncated,
    /// An operation has a number that is not known here: a newer version wrote it.
    #[error("operation number {0} is not known to this version")]
    UnknownOperation(u8),
    /// A part of an operation is not what it should be.
    #[error("operation number {operation} has a part that cannot be read: {reason}")]
    BadPart {
        /// Number of the operation.
        operation: u8,
        /// What the parser says.
        reason: String,
    },
}

/// Appends an operation.
pub(crate) fn encode(operation: &Operation, to: &mut Vec<u8>) {
    let mut out = Writer(to);
    match operation {
        Operation::SetMaster(info) => out.kind(1).message(&**info),
        Operation::AdmitAgent(info) => out.kind(2).message(&**info),
        Operation::UpdateAgent(info) => out.kind(3).message(&**info),
        Operation::MarkAgentUnreachable { agent_id, since } => out.kind(4).id(agent_id).message(&**since),
        Operation::MarkAgentReachable(info) => out.kind(5).message(&**info),
        Operation::MarkAgentGone { agent_id, since } => out.kind(6).id(agent_id).message(&**since),
        Operation::RemoveAgent(agent_id) => out.kind(7).id(agent_id),
        Operation::Prune { unreachable, gone } => out.kind(8).ids(unreachable).ids(gone),
        Operation::UpdateWeights(weights) => out.kind(9).messages(weights),
        Operation::UpdateQuota(configs) => out.kind(10).messages(configs),
        Operation::DrainAgent { agent_id, config } => out.kind(11).id(agent_id).message(&**config),
        Operation::MarkAgentDrained(agent_id) => out.kind(12).id(agent_id),
        Operation::DeactivateAgent(agent_id) => out.kind(13).id(agent_id),
        Operation::ReactivateAgent(agent_id) => out.kind(14).id(agent_id),
        Operation::UpdateSchedule(schedule) => out.kind(15).message(&**schedule),
        Operation::StartMaintenance(machines) => out.kind(16).messages(machines),
        Operation::StopMaintenance(machines) => out.kind(17).messages(machines),
    };
}

/// Reads all operations of a batch.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<Operation>, DecodeError> {
    let mut operations = Vec::new();
    let mut rest = bytes;
    while let Some((kind, parts)) = rest.split_first() {
        let mut reader = Reader {
            kind: *kind,
            rest: parts,
        };
        operations.push(reader.operation()?);
        rest = reader.rest;
    }
    Ok(operations)
}

struct Writer<'a>(&'a mut Vec<u8>);

impl Writer<'_> {
    fn kind(&mut self, kind: u8) -> &mut Self {
        self.0.push(kind);
        self
    }

    fn length(&mut self, length: usize) -> &mut Self {
        // Parts are protobuf messages, which end at 2 GiB, and lists of them in memory.
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.0.extend(length.to_le_bytes());
        self
    }

    fn part(&mut self, bytes: &[u8]) -> &mut Self {
        self.length(bytes.len());
        self.0.extend(bytes);
        self
    }

    fn id(&mut self, id: &AgentId) -> &mut Self {
        self.part(id.as_str().as_bytes())
    }

    fn ids(&mut self, ids: &[AgentId]) -> &mut Self {
        self.length(ids.len());
        for id in ids {
            self.id(id);
        }
        self
    }

    fn message(&mut self, message: &impl Message) -> &mut Self {
        self.part(&encoded(message))
    }

    fn messages(&mut self, messages: &[impl Message]) -> &mut Self {
        self.length(messages.len());
        for message in messages {
            self.message(message);
        }
        self
    }
}

struct Reader<'a> {
    kind: u8,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn operation(&mut self) -> Result<Operation, DecodeError> {
        Ok(match self.kind {
            1 => Operation::SetMaster(self.message()?),
            2 => Operation::AdmitAgent(self.message()?),
            3 => Operation::UpdateAgent(self.message()?),
            4 => Operation::MarkAgentUnreachable {
                agent_id: self.id()?,
                since: self.message()?,
            },
            5 => Operation::MarkAgentReachable(self.message()?),
            6 => Operation::MarkAgentGone {
                agent_id: self.id()?,
                since: self.message()?,
            },
            7 => Operation::RemoveAgent(self.id()?),
            8 => Operation::Prune {
                unreachable: self.list(Self::id)?,
                gone: self.list(Self::id)?,
            },
            9 => Operation::UpdateWeights(self.list(Self::plain_message)?),
            10 => Operation::UpdateQuota(self.list(Self::plain_message)?),
            11 => Operation::DrainAgent {
                agent_id: self.id()?,
                config: self.message()?,
            },
            12 => Operation::MarkAgentDrained(self.id()?),
            13 => Operation::DeactivateAgent(self.id()?),
            14 => Operation::ReactivateAgent(self.id()?),
            15 => Operation::UpdateSchedule(self.message()?),
            16 => Operation::StartMaintenance(self.list(Self::plain_message)?),
            17 => Operation::StopMaintenance(self.list(Self::plain_message)?),
            unknown => return Err(DecodeError::UnknownOperation(unknown)),
        })
    }

    fn length(&mut self) -> Result<usize, DecodeError> {
        let (bytes, rest) = self.rest.split_first_chunk::<4>().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        usize::try_from(u32::from_le_bytes(*bytes)).map_err(|_| DecodeError::Truncated)
    }

    fn part(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.length()?;
        let (part, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(part)
    }

    fn bad(&self, reason: &dyn std::error::Error) -> DecodeError {
        DecodeError::BadPart {
            operation: self.kind,
            reason: reason.to_string(),
        }
    }

    fn id(&mut self) -> Result<AgentId, DecodeError> {
        let part = self.part()?;
        let text = std::str::from_utf8(part).map_err(|error| self.bad(&error))?;
        Ok(AgentId::new(text))
    }

    fn plain_message<M: Message>(&mut self) -> Result<M, DecodeError> {
        let part = self.part()?;
        M::parse_from_bytes(part).map_err(|error| self.bad(&error))
    }

    fn message<M: Message>(&mut self) -> Result<Box<M>, DecodeError> {
        self.plain_message().map(Box::new)
    }

    fn list<T>(&mut self, element: fn(&mut Self) -> Result<T, DecodeError>) -> Result<Vec<T>, DecodeError> {
        let count = self.length()?;
        // Counts are not trusted with memory before their elements are there.
        let mut elements = Vec::new();
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(elements)
    }
}
