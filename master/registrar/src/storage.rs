//! Where the registry's bytes are kept.

use std::io;

use thiserror::Error;

use crate::{Batch, Stored};

/// Why the storage did not do what was asked.
#[derive(Debug, Error)]
pub enum StorageError {
    /// The storage refused to work, with its own reason.
    #[error("the registry's storage is unavailable: {0}")]
    Unavailable(String),
    /// A file could not be read or written.
    #[error("cannot {action} {file} of the registry")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file, or the folder of all of them.
        file: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// What is stored cannot be used, and there is nothing to repair it from.
    #[error("the stored registry is damaged: {0}")]
    Damaged(String),
}

/// Keeps a registry and its changes. Implementations may block: drivers call them where that is allowed.
pub trait Storage: Send {
    /// Reads everything; `None` when nothing was ever stored. Called once, first.
    ///
    /// # Errors
    ///
    /// Fails when the storage cannot tell, or holds what cannot be used.
    fn fetch(&mut self) -> Result<Option<Stored>, StorageError>;

    /// Adds a batch; when this returns, the batch and all before it survive.
    ///
    /// # Errors
    ///
    /// Fails when the batch may not have been stored; the storage takes no other batch then.
    fn store(&mut self, batch: &Batch) -> Result<(), StorageError>;

    /// Whether calls may take long, so that they belong on a thread of their own.
    fn blocks(&self) -> bool {
        true
    }
}

/// Keeps the registry as long as the process lives (`--registry=in_memory`).
#[derive(Debug, Default)]
pub struct MemoryStorage {
    stored: Option<Stored>,
}

impl MemoryStorage {
    /// An empty storage.
    #[must_use]
    pub const fn new() -> Self {
        Self { stored: None }
    }
}

impl Storage for MemoryStorage {
    fn fetch(&mut self) -> Result<Option<Stored>, StorageError> {
        Ok(self.stored.clone())
    }

    fn store(&mut self, batch: &Batch) -> Result<(), StorageError> {
        let stored = self.stored.get_or_insert_default();
        match &batch.whole {
            Some(whole) => {
                *stored = Stored {
                    number: batch.number,
                    whole: whole.clone(),
                    changes: Vec::new(),
                };
            }
            None => stored.changes.push(batch.changes.clone()),
        }
        Ok(())
    }

    fn blocks(&self) -> bool {
        false
    }
}

/// Fails every time: for tests of those who depend on a storage.
#[derive(Debug, Default)]
pub struct FailingStorage;

impl Storage for FailingStorage {
    fn fetch(&mut self) -> Result<Option<Stored>, StorageError> {
        Err(StorageError::Unavailable("told to fail".to_owned()))
    }

    fn store(&mut self, _batch: &Batch) -> Result<(), StorageError> {
        Err(StorageError::Unavailable("told to fail".to_owned()))
    }
}
