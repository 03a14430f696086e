//! Batches of registry changes.

use protobuf::Message as _;
use thiserror::Error;

use crate::{Operation, OperationError, Outcome, Registry};

/// Names one submission of changes; chosen by the one who submits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriteId(pub u64);

/// Why a batch is not stored. The master that gets this must stop: it no longer knows what its registry says.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("storing the registry failed: {0}")]
pub struct StoreError(pub String);

/// The registry as it will be when these bytes are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The whole registry, serialized.
    pub bytes: Vec<u8>,
}

/// What became of one submission: one outcome for each of its operations.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The submission.
    pub write: WriteId,
    /// Outcomes in the order of the operations.
    pub outcomes: Vec<Result<Outcome, OperationError>>,
}

/// Applies submissions to the registry, one batch at a time.
#[derive(Debug)]
pub struct Registrar {
    stored: Registry,
    waiting: Vec<(WriteId, Vec<Operation>)>,
    writing: Option<Writing>,
}

#[derive(Debug)]
struct Writing {
    registry: Registry,
    answers: Vec<Answer>,
}

impl Registrar {
    /// Starts from what the storage holds.
    #[must_use]
    pub const fn new(stored: Registry) -> Self {
        Self {
            stored,
            waiting: Vec::new(),
            writing: None,
        }
    }

    /// Reads the registry from stored bytes; no bytes are an empty registry.
    ///
    /// # Errors
    ///
    /// Gives the parser's error for bytes that are no registry.
    pub fn recover(bytes: Option<&[u8]>) -> Result<Self, protobuf::Error> {
        bytes
            .map_or_else(|| Ok(Registry::new()), Registry::parse_from_bytes)
            .map(Self::new)
    }

    /// The registry as it is stored.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.stored
    }

    /// Whether nothing waits and nothing is being stored.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.writing.is_none()
    }

    /// Lets changes wait for the next batch.
    pub fn submit(&mut self, write: WriteId, operations: Vec<Operation>) {
        self.waiting.push((write, operations));
    }

    /// Takes the next batch to store: everything that waits. `None` while a batch is being stored or nothing waits.
    pub fn next_batch(&mut self) -> Option<Batch> {
        if self.writing.is_some() || self.waiting.is_empty() {
            return None;
        }
        let mut registry = self.stored.clone();
        let answers = self
            .waiting
            .drain(..)
            .map(|(write, operations)| Answer {
                write,
                outcomes: operations
                    .iter()
                    .map(|operation| operation.apply(&mut registry))
                    .collect(),
            })
            .collect();
        let bytes = registry.write_to_bytes().unwrap_or_default();
        self.writing = Some(Writing { registry, answers });
        Some(Batch { bytes })
    }

    /// Ends the batch being stored and gives the answers of its submissions, in order.
    ///
    /// # Errors
    ///
    /// Hands the storage's error on; nothing may be assumed about the stored registry then.
    pub fn finish(&mut self, stored: Result<(), StoreError>) -> Result<Vec<Answer>, StoreError> {
        stored?;
        let Some(writing) = self.writing.take() else {
            return Ok(Vec::new());
        };
        self.stored = writing.registry;
        Ok(writing.answers)
    }
}
