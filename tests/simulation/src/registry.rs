//! The registry on a disk, whose machine may die in the middle of a write.

#[path = "../../../master/registrar/tests/support/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of the registrar, which use more of it")]
mod files;

use libprocess::{Random, SeededRandom};
use mesos_registrar::{Batch, DiskStorage, Storage, StorageError, Stored};

use crate::failure::Failure;
use files::{FakeFiles, Left};

/// A storage that outlives masters, and what it confirmed.
pub struct RegistryDisk {
    storage: DiskStorage<FakeFiles>,
    /// Number of the newest batch that a master was told is stored.
    confirmed: u64,
}

impl Default for RegistryDisk {
    fn default() -> Self {
        Self {
            storage: DiskStorage::new(FakeFiles::default()),
            confirmed: 0,
        }
    }
}

impl RegistryDisk {
    /// What a new master reads.
    ///
    /// # Errors
    ///
    /// Fails when the storage refuses, or has lost what it confirmed.
    pub fn fetch(&mut self) -> Result<Stored, Failure> {
        let stored = self.storage.fetch().map_err(|error| Failure::new(error.to_string()))?;
        let stored = stored.unwrap_or_default();
        let newest = stored.number + u64::try_from(stored.changes.len()).unwrap_or(0);
        if newest < self.confirmed {
            let what = format!(
                "the registry ends with batch {newest}; {} was confirmed",
                self.confirmed
            );
            return Err(Failure::new(what));
        }
        Ok(stored)
    }

    /// Stores a batch and confirms it.
    ///
    /// # Errors
    ///
    /// What the storage says.
    pub fn store(&mut self, batch: &Batch) -> Result<(), StorageError> {
        self.storage.store(batch)?;
        self.confirmed = batch.number;
        Ok(())
    }

    /// The machine dies, perhaps in the middle of writing a batch; drawn is how far it came and what is left of that.
    pub fn crash(&mut self, writing: Option<&Batch>, random: &mut SeededRandom) {
        let mut files = std::mem::replace(&mut self.storage, DiskStorage::new(FakeFiles::default())).into_files();
        if let Some(batch) = writing {
            files.fail_after(drawn(random, 8));
            // The storage reads its files before it writes to them, as it did when this master began.
            let mut storage = DiskStorage::new(files);
            let began = storage.fetch().and_then(|_| storage.store(batch));
            drop(began);
            files = storage.into_files();
        }
        let left = match random.below(4) {
            0 => Left::Nothing,
            1 => Left::Everything,
            2 => Left::Begin(drawn(random, files.unsynced_bytes() + 1)),
            _ => Left::Zeros,
        };
        let names = drawn(random, files.pending_names() + 1);
        self.storage = DiskStorage::new(files.crash(left, names));
    }
}

fn drawn(random: &mut SeededRandom, bound: usize) -> usize {
    let bound = u64::try_from(bound).unwrap_or(1);
    usize::try_from(random.below(bound)).unwrap_or(0)
}
