//! The registry in files: a log of batches that survives the death of the program and of the machine at any point.
//!
//! A file `registry-N` begins with the whole registry as it was with batch N; each later batch is appended and synced.
//! When the changes have become long, a batch comes with the whole registry: it is appended to the present file, then a
//! new file is written under another name, synced and renamed, and the folder is synced. The file before the newest is
//! kept: it reaches up to the batch with which the newest begins, so it stands in when the begin of the newest is
//! damaged. Changes that were damaged after they were stored exist nowhere else: then the storage refuses to go on,
//! because a master that led without them would take back what it had confirmed.
//!
//! A record that is not whole at the end of the newest file was being written when the program died; nobody was told
//! that it is stored, and it is dropped.

mod record;

use std::io;

use record::{Found, Kind, MAGIC, Record};

use crate::storage::{Storage, StorageError};
use crate::{Batch, Stored};

/// Begin of the name of every file.
const NAME: &str = "registry-";

/// Name of a file that is being written.
const TEMPORARY: &str = "registry.tmp";

/// The files of one folder. Names have no folder in them. What is written may be lost or torn when the machine dies,
/// until [`Files::sync`] of the file; a new, renamed or removed name until [`Files::sync_folder`].
pub trait Files: Send {
    /// The names of all files.
    ///
    /// # Errors
    ///
    /// What the system says; so for all calls.
    fn list(&mut self) -> io::Result<Vec<String>>;

    /// The content of a file.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn read(&mut self, name: &str) -> io::Result<Vec<u8>>;

    /// Makes a file with this content, in the place of one that there may be.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn create(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Writes to the end of a file.
    ///
    /// # Errors
    ///
    /// What the system says; part of the bytes may be written.
    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Cuts a file.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()>;

    /// Waits until the content of a file survives.
    ///
    /// # Errors
    ///
    /// What the system says; nothing may be assumed of what was written since the last sync.
    fn sync(&mut self, name: &str) -> io::Result<()>;

    /// Gives a file another name.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Waits until the names of the folder survive.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn sync_folder(&mut self) -> io::Result<()>;
}

/// Keeps the registry in files (`--registry=disk`).
#[derive(Debug)]
pub struct DiskStorage<F> {
    files: F,
    /// The file that batches are appended to.
    current: Option<Current>,
    /// A write failed: what the disk holds is not known any more.
    broken: bool,
}

#[derive(Debug)]
struct Current {
    name: String,
    /// Where the next record goes, when something torn stands there.
    cut_to: Option<u64>,
    /// Whether the file's begin is whole, so that it may stand in for the one after it.
    usable: bool,
}

impl<F: Files> DiskStorage<F> {
    /// A storage in these files. Nobody else may write to them.
    #[must_use]
    pub const fn new(files: F) -> Self {
        Self {
            files,
            current: None,
            broken: false,
        }
    }

    /// Ends the storage and gives its files back.
    #[must_use]
    pub fn into_files(self) -> F {
        self.files
    }

    /// Numbers of the files, oldest first; what an interrupted write left is removed.
    fn generations(&mut self) -> Result<Vec<u64>, StorageError> {
        let names = self.files.list().map_err(|error| failed("list", "the folder", error))?;
        if names.iter().any(|name| name == TEMPORARY) {
            let removed = self.files.remove(TEMPORARY);
            removed.map_err(|error| failed("remove", TEMPORARY, error))?;
        }
        let numbers = names.iter().filter_map(|name| name.strip_prefix(NAME)?.parse().ok());
        let mut numbers: Vec<u64> = numbers.collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn read(&mut self, number: u64) -> Result<(usize, Found), StorageError> {
        let name = file_name(number);
        let bytes = self.files.read(&name).map_err(|error| failed("read", &name, error))?;
        Ok((bytes.len(), record::read(&bytes, number)))
    }

    /// Puts the begin of the newest file together from the file before it.
    fn repair(&mut self, number: u64, newest: Found, before: Option<u64>) -> Result<Stored, StorageError> {
        let name = file_name(number);
        if newest.records.is_empty() {
            return Err(StorageError::Damaged(format!("nothing in {name} can be read")));
        }
        let before = before.ok_or_else(|| {
            StorageError::Damaged(format!(
                "the begin of {name} is damaged, and there is no file before it"
            ))
        })?;
        let (_, found) = self.read(before)?;
        let older = file_name(before);
        let mut stored = checked(&older, found).map_err(|error| {
            StorageError::Damaged(format!(
                "the begin of {name} is damaged, and so is the file before it: {error}"
            ))
        })?;
        let reached = stored.number + stored.changes.len() as u64;
        if reached < number {
            return Err(StorageError::Damaged(format!(
                "the begin of {name} is damaged, and {older} ends with batch {reached}, before it"
            )));
        }
        stored
            .changes
            .truncate(usize::try_from(number - stored.number).unwrap_or(usize::MAX));
        let behind = newest.records.into_iter().filter(|record| record.kind != Kind::Whole);
        append_changes(&name, &mut stored, behind.collect(), newest.damaged_at)?;
        tracing::warn!(
            file = name,
            repaired_from = older,
            "the begin of the registry's newest file is damaged"
        );
        Ok(stored)
    }

    fn append(&mut self, batch: &Batch) -> Result<(), StorageError> {
        let Some(current) = &mut self.current else {
            return Err(StorageError::Unavailable(
                "the first batch of a storage must hold the whole registry".to_owned(),
            ));
        };
        let name = current.name.clone();
        if let Some(length) = current.cut_to.take() {
            let cut = self.files.truncate(&name, length);
            cut.map_err(|error| failed("cut", &name, error))?;
        }
        let mut bytes = Vec::new();
        record::write(Kind::Changes, batch.number, &batch.changes, &mut bytes);
        let appended = self.files.append(&name, &bytes);
        appended.map_err(|error| failed("append to", &name, error))?;
        self.files.sync(&name).map_err(|error| failed("sync", &name, error))
    }

    fn begin_file(&mut self, number: u64, whole: &[u8]) -> Result<(), StorageError> {
        let mut bytes = MAGIC.to_vec();
        record::write(Kind::Whole, number, whole, &mut bytes);
        record::write(Kind::Mark, number, &[], &mut bytes);
        let created = self.files.create(TEMPORARY, &bytes);
        created.map_err(|error| failed("write", TEMPORARY, error))?;
        self.files
            .sync(TEMPORARY)
            .map_err(|error| failed("sync", TEMPORARY, error))?;
        let name = file_name(number);
        let renamed = self.files.rename(TEMPORARY, &name);
        renamed.map_err(|error| failed("rename to", &name, error))?;
        let synced = self.files.sync_folder();
        synced.map_err(|error| failed("sync", "the folder", error))?;
        let before = self.current.replace(Current {
            name,
            cut_to: None,
            usable: true,
        });
        self.forget_files_before(before.as_ref());
        Ok(())
    }

    /// Removes files that nothing is repaired from any more. One that stays is tried again with the next file.
    fn forget_files_before(&mut self, before: Option<&Current>) {
        let kept = [self.current.as_ref(), before].map(|file| file.map(|file| file.name.clone()));
        let names = self.files.list().unwrap_or_default();
        for name in names.into_iter().filter(|name| name.starts_with(NAME)) {
            if !kept.iter().flatten().any(|keep| *keep == name)
                && let Err(error) = self.files.remove(&name)
            {
                tracing::warn!(file = name, %error, "cannot remove an old file of the registry");
            }
        }
    }
}

impl<F: Files> Storage for DiskStorage<F> {
    fn fetch(&mut self) -> Result<Option<Stored>, StorageError> {
        let generations = self.generations()?;
        let Some((&newest, older)) = generations.split_last() else {
            return Ok(None);
        };
        let name = file_name(newest);
        let (length, found) = self.read(newest)?;
        let usable = begins_whole(&found, newest);
        let cut_to = (found.end < length).then_some(found.end as u64);
        let stored = if usable {
            checked(&name, found)?
        } else {
            self.repair(newest, found, older.last().copied())?
        };
        self.current = Some(Current { name, cut_to, usable });
        Ok(Some(stored))
    }

    fn store(&mut self, batch: &Batch) -> Result<(), StorageError> {
        if self.broken {
            return Err(StorageError::Unavailable("an earlier write failed".to_owned()));
        }
        self.broken = true;
        match &batch.whole {
            None => self.append(batch)?,
            Some(whole) => {
                if self.current.as_ref().is_some_and(|current| current.usable) {
                    self.append(batch)?;
                }
                self.begin_file(batch.number, whole)?;
            }
        }
        self.broken = false;
        Ok(())
    }
}

fn failed(action: &'static str, file: &str, source: io::Error) -> StorageError {
    StorageError::Io {
        action,
        file: file.to_owned(),
        source,
    }
}

fn file_name(number: u64) -> String {
    format!("{NAME}{number:020}")
}

/// Whether a file begins with the whole registry of the batch that its name tells, and nothing before it is damaged.
fn begins_whole(found: &Found, number: u64) -> bool {
    found.damaged_at.is_none_or(|at| at > MAGIC.len())
        && found
            .records
            .first()
            .is_some_and(|record| record.kind == Kind::Whole && record.number == number)
}

/// What a file holds that begins whole.
fn checked(name: &str, found: Found) -> Result<Stored, StorageError> {
    let mut records = found.records.into_iter();
    let first = records.next().filter(|record| record.kind == Kind::Whole);
    let first = first.ok_or_else(|| StorageError::Damaged(format!("{name} does not begin with a registry")))?;
    let rest: Vec<Record> = records.collect();
    if rest.is_empty() {
        return Err(StorageError::Damaged(format!(
            "nothing behind the begin of {name} can be read"
        )));
    }
    let mut stored = Stored {
        number: first.number,
        whole: first.payload,
        changes: Vec::new(),
    };
    append_changes(name, &mut stored, rest, found.damaged_at)?;
    Ok(stored)
}

/// Adds the changes of records; their batches must follow each other.
fn append_changes(
    name: &str,
    stored: &mut Stored,
    records: Vec<Record>,
    damaged_at: Option<usize>,
) -> Result<(), StorageError> {
    for record in records.into_iter().filter(|record| record.kind != Kind::Mark) {
        let expected = stored.number + stored.changes.len() as u64 + 1;
        if record.kind != Kind::Changes || record.number != expected {
            let place = damaged_at.map_or_else(String::new, |at| format!(", the bytes from {at} on are damaged"));
            return Err(StorageError::Damaged(format!(
                "{name} has batch {} where batch {expected} belongs{place}; restore the file from a copy, or move the \
                 folder away to begin with an empty registry",
                record.number
            )));
        }
        stored.changes.push(record.payload);
    }
    Ok(())
}
