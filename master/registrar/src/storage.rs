//! Where the registry's bytes are kept.

use thiserror::Error;

/// Why the storage did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StorageError {
    /// The storage refused to work, with its own reason.
    #[error("the registry's storage is unavailable: {0}")]
    Unavailable(String),
}

/// Keeps one value. Implementations may block: drivers call them where that is allowed.
pub trait Storage: Send {
    /// Reads the value; `None` when none was ever stored.
    ///
    /// # Errors
    ///
    /// Fails when the storage cannot tell.
    fn fetch(&mut self) -> Result<Option<Vec<u8>>, StorageError>;

    /// Replaces the value; when this returns, the value survives.
    ///
    /// # Errors
    ///
    /// Fails when the value may not have been stored.
    fn store(&mut self, bytes: &[u8]) -> Result<(), StorageError>;
}

/// Keeps the registry as long as the process lives (`--registry=in_memory`).
#[derive(Debug, Default)]
pub struct MemoryStorage {
    bytes: Option<Vec<u8>>,
}

impl MemoryStorage {
    /// An empty storage.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: None }
    }
}

impl Storage for MemoryStorage {
    fn fetch(&mut self) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.bytes.clone())
    }

    fn store(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.bytes = Some(bytes.to_vec());
        Ok(())
    }
}

/// Fails every time: for tests of those who depend on a storage.
#[derive(Debug, Default)]
pub struct FailingStorage;

impl Storage for FailingStorage {
    fn fetch(&mut self) -> Result<Option<Vec<u8>>, StorageError> {
        Err(StorageError::Unavailable("told to fail".to_owned()))
    }

    fn store(&mut self, _bytes: &[u8]) -> Result<(), StorageError> {
        Err(StorageError::Unavailable("told to fail".to_owned()))
    }
}
