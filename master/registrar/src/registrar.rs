//! Batches of registry changes.

use protobuf::Message as _;
use thiserror::Error;

use crate::codec::{self, DecodeError};
use crate::contents::encoded;
use crate::{Contents, Operation, OperationError, Outcome, Registry};

/// Changes since the last whole registry that are always kept as changes: below this size a whole one saves nothing.
const CHANGES_MIN: u64 = 1024 * 1024;

/// Names one submission of changes; chosen by the one who submits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriteId(pub u64);

/// Why a batch is not stored. The master that gets this must stop: it no longer knows what its registry says.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("storing the registry failed: {0}")]
pub struct StoreError(pub String);

/// Why stored bytes are no registry.
#[derive(Debug, Error)]
pub enum RecoverError {
    /// The whole registry cannot be read.
    #[error("the stored registry is no registry")]
    Whole(#[source] protobuf::Error),
    /// Changes after it cannot be read.
    #[error("batch {number} of the stored changes cannot be read")]
    Changes {
        /// Number of the batch.
        number: u64,
        /// What is wrong.
        #[source]
        source: DecodeError,
    },
    /// Changes that were stored do not fit what was stored before them.
    #[error("batch {number} of the stored changes does not fit the registry before it")]
    Misfit {
        /// Number of the batch.
        number: u64,
        /// What does not fit.
        #[source]
        source: OperationError,
    },
}

/// What one store adds to what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Counts batches from 1 on, without a gap, over the lives of all masters of this storage.
    pub number: u64,
    /// The changes; [`Registrar::recover`] reads them.
    pub changes: Vec<u8>,
    /// The whole registry with these changes, when it is time to store it anew and to forget the changes before.
    pub whole: Option<Vec<u8>>,
}

/// What a storage holds: a whole registry and the changes after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Number of the batch with which the whole registry was stored; 0 for an empty storage.
    pub number: u64,
    /// The whole registry, encoded.
    pub whole: Vec<u8>,
    /// Changes of the batches after it, in order.
    pub changes: Vec<Vec<u8>>,
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
#[derive(Debug, Default)]
pub struct Registrar {
    contents: Contents,
    /// Number of the last batch.
    number: u64,
    waiting: Vec<(WriteId, Vec<Operation>)>,
    /// Answers that are given when the batch is stored.
    writing: Option<Vec<Answer>>,
    /// Size of the last whole registry; none was stored in this life yet when absent.
    whole: Option<u64>,
    /// Size of the changes since.
    changes: u64,
}

impl Registrar {
    /// Starts from this registry, as if no storage had seen it.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        Self {
            contents: Contents::from_message(registry),
            ..Self::default()
        }
    }

    /// Reads the registry from what a storage holds.
    ///
    /// # Errors
    ///
    /// Says what cannot be read, or which changes do not fit.
    pub fn recover(stored: &Stored) -> Result<Self, RecoverError> {
        let registry = Registry::parse_from_bytes(&stored.whole).map_err(RecoverError::Whole)?;
        let mut registrar = Self::new(registry);
        registrar.number = stored.number;
        for changes in &stored.changes {
            registrar.number += 1;
            let number = registrar.number;
            let operations = codec::decode(changes).map_err(|source| RecoverError::Changes { number, source })?;
            for operation in operations {
                let applied = operation.apply(&mut registrar.contents);
                applied.map_err(|source| RecoverError::Misfit { number, source })?;
            }
        }
        Ok(registrar)
    }

    /// The registry, with the changes that are being stored.
    #[must_use]
    pub fn registry(&self) -> Registry {
        self.contents.to_message()
    }

    /// About how many bytes the registry has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.contents.size()
    }

    /// Operations that wait for the next batch.
    #[must_use]
    pub fn queued_operations(&self) -> usize {
        self.waiting.iter().map(|(_, operations)| operations.len()).sum()
    }

    /// Whether a batch is being stored.
    #[must_use]
    pub const fn is_storing(&self) -> bool {
        self.writing.is_some()
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
        let mut changes = Vec::new();
        let mut answers = Vec::with_capacity(self.waiting.len());
        for (write, operations) in self.waiting.drain(..) {
            let mut outcomes = Vec::with_capacity(operations.len());
            for operation in operations {
                let outcome = operation.apply(&mut self.contents);
                if outcome == Ok(Outcome::Changed) {
                    codec::encode(&operation, &mut changes);
                }
                outcomes.push(outcome);
            }
            answers.push(Answer { write, outcomes });
        }
        self.writing = Some(answers);
        self.number += 1;
        let added = changes.len() as u64;
        let whole = self.is_whole_due(added).then(|| encoded(&self.registry()));
        match &whole {
            Some(whole) => {
                self.whole = Some(whole.len() as u64);
                self.changes = 0;
            }
            None => self.changes += added,
        }
        Some(Batch {
            number: self.number,
            changes,
            whole,
        })
    }

    /// The first batch of a life stores the registry whole, so that a storage goes on behind nothing that it did not
    /// write in this life; later ones do when the changes have become longer than the registry.
    fn is_whole_due(&self, added: u64) -> bool {
        self.whole
            .is_none_or(|whole| self.changes + added > whole.max(CHANGES_MIN))
    }

    /// Ends the batch being stored and gives the answers of its submissions, in order.
    ///
    /// # Errors
    ///
    /// Hands the storage's error on; nothing may be assumed about the stored registry then.
    pub fn finish(&mut self, stored: Result<(), StoreError>) -> Result<Vec<Answer>, StoreError> {
        stored?;
        Ok(self.writing.take().unwrap_or_default())
    }
}
