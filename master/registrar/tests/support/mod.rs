//! A folder in memory whose machine can die at every step, with each outcome that a real one may have.

use std::collections::BTreeMap;
use std::io;

use mesos_registrar::Files;

/// A file: what survives, and what was written since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct File {
    durable: Vec<u8>,
    written: Vec<u8>,
}

/// A change of names that may be lost.
#[derive(Clone, Debug)]
enum Renaming {
    Create(String),
    Rename(String, String),
    Remove(String),
}

/// The folder. Files are found by number, so that names and contents survive independently of each other.
#[derive(Clone, Debug, Default)]
pub struct FakeFiles {
    files: Vec<File>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    pending: Vec<Renaming>,
    /// Calls until one fails; none does when absent.
    fails_after: Option<usize>,
    /// How many calls changed something.
    pub steps: usize,
}

/// What a crash leaves of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nothing.
    Nothing,
    /// Everything.
    Everything,
    /// The begin of written bytes: this many of them.
    Begin(usize),
    /// All bytes in length, but zeros in their place.
    Zeros,
}

impl FakeFiles {
    /// Lets every call after this many changing ones fail.
    pub fn fail_after(&mut self, calls: usize) {
        self.fails_after = Some(self.steps + calls);
    }

    fn step(&mut self) -> io::Result<()> {
        if self.fails_after.is_some_and(|limit| self.steps >= limit) {
            return Err(io::Error::other("told to fail"));
        }
        self.steps += 1;
        Ok(())
    }

    fn number(&self, name: &str) -> io::Result<usize> {
        let found = self.names.get(name).copied();
        found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, name.to_owned()))
    }

    /// The machine dies: of what was not synced there is left what `left` says, of changed names the first `names`.
    pub fn crash(&self, left: Left, names: usize) -> Self {
        let mut after = self.clone();
        after.fails_after = None;
        after.names.clone_from(&self.durable_names);
        for renaming in self.pending.iter().take(names) {
            match renaming {
                Renaming::Create(name) => drop(after.names.insert(name.clone(), self.created(name))),
                Renaming::Rename(from, to) => {
                    if let Some(number) = after.names.remove(from) {
                        after.names.insert(to.clone(), number);
                    }
                }
                Renaming::Remove(name) => drop(after.names.remove(name)),
            }
        }
        for file in &mut after.files {
            let common = file
                .durable
                .iter()
                .zip(&file.written)
                .take_while(|(old, new)| old == new)
                .count();
            let longer = file.written.len() > file.durable.len() && common == file.durable.len();
            file.durable = match left {
                Left::Nothing => file.durable.clone(),
                Left::Everything => file.written.clone(),
                Left::Begin(bytes) if longer => file.written[..file.written.len().min(common + bytes)].to_vec(),
                Left::Zeros if longer => {
                    let mut bytes = file.durable.clone();
                    bytes.resize(file.written.len(), 0);
                    bytes
                }
                Left::Begin(_) | Left::Zeros => file.durable.clone(),
            };
            file.written.clone_from(&file.durable);
        }
        after.durable_names.clone_from(&after.names);
        after.pending.clear();
        after
    }

    /// The number of a file that was created under this name since names were synced.
    fn created(&self, name: &str) -> usize {
        let mut name = name.to_owned();
        for renaming in &self.pending {
            if let Renaming::Rename(from, to) = renaming
                && *from == name
            {
                name.clone_from(to);
            }
        }
        self.names.get(&name).copied().unwrap_or_default()
    }

    /// Changes of names that a crash may lose.
    pub fn pending_names(&self) -> usize {
        self.pending.len()
    }

    /// Most bytes that a crash may tear.
    pub fn unsynced_bytes(&self) -> usize {
        let unsynced = self
            .files
            .iter()
            .map(|file| file.written.len().saturating_sub(file.durable.len()));
        unsynced.max().unwrap_or_default()
    }

    /// The file with this position among the sorted names, to damage it.
    pub fn content_mut(&mut self, position: usize) -> &mut Vec<u8> {
        let number = *self.names.values().nth(position).expect("a file");
        &mut self.files[number].written
    }

    /// Names of all files.
    pub fn names(&self) -> Vec<&str> {
        self.names.keys().map(String::as_str).collect()
    }
}

impl Files for FakeFiles {
    fn list(&mut self) -> io::Result<Vec<String>> {
        Ok(self.names.keys().cloned().collect())
    }

    fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        let number = self.number(name)?;
        Ok(self.files[number].written.clone())
    }

    fn create(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.step()?;
        self.files.push(File {
            durable: Vec::new(),
            written: bytes.to_vec(),
        });
        self.names.insert(name.to_owned(), self.files.len() - 1);
        self.pending.push(Renaming::Create(name.to_owned()));
        Ok(())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.step()?;
        let number = self.number(name)?;
        self.files[number].written.extend(bytes);
        Ok(())
    }

    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()> {
        self.step()?;
        let number = self.number(name)?;
        let length = usize::try_from(length).expect("short");
        self.files[number].written.truncate(length);
        Ok(())
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.step()?;
        let number = self.number(name)?;
        let file = &mut self.files[number];
        file.durable.clone_from(&file.written);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.step()?;
        let number = self.number(from)?;
        self.names.remove(from);
        self.names.insert(to.to_owned(), number);
        self.pending.push(Renaming::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.step()?;
        self.number(name)?;
        self.names.remove(name);
        self.pending.push(Renaming::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        self.step()?;
        self.durable_names.clone_from(&self.names);
        self.pending.clear();
        Ok(())
    }
}
