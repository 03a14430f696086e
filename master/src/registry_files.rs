//! The files of the registry in a folder of this machine (`--registry=disk`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use mesos_registrar::Files;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// Nobody but the master's user reads the registry.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// Held as long as a master uses the folder.
const LOCK: &str = "lock";

/// A folder that belongs to one master.
#[derive(Debug)]
pub struct FolderFiles {
    folder: PathBuf,
    /// The file that was appended to last.
    open: Option<(String, File)>,
    /// Freed by the kernel when the program ends, however it ends.
    _lock: Flock<File>,
}

impl FolderFiles {
    /// Takes a folder, making it when it is not there.
    ///
    /// # Errors
    ///
    /// What the system says; [`io::ErrorKind::WouldBlock`] when another master has the folder.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let parent = folder.parent().unwrap_or(folder);
        fs::create_dir_all(parent)?;
        let made = fs::DirBuilder::new().mode(FOLDER_MODE).create(folder);
        made.or_else(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Ok(()),
            _ => Err(error),
        })?;
        File::open(parent)?.sync_all()?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(FILE_MODE)
            .open(folder.join(LOCK))?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| match error {
            Errno::EWOULDBLOCK => io::Error::new(io::ErrorKind::WouldBlock, "another master uses it"),
            other => other.into(),
        })?;
        Ok(Self {
            folder: folder.to_owned(),
            open: None,
            _lock: lock,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn writable(&mut self, name: &str) -> io::Result<&mut File> {
        if self.open.as_ref().is_none_or(|(open, _)| open != name) {
            let file = OpenOptions::new().append(true).open(self.path(name))?;
            self.open = Some((name.to_owned(), file));
        }
        let open = self.open.as_mut().map(|(_, file)| file);
        open.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, name))
    }
}

impl Files for FolderFiles {
    fn list(&mut self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path(name))
    }

    fn create(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.open = None;
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(FILE_MODE)
            .open(self.path(name))?;
        file.write_all(bytes)
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.writable(name)?.write_all(bytes)
    }

    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()> {
        self.writable(name)?.set_len(length)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.writable(name)?.sync_data()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.open = None;
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests;
