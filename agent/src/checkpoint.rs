//! Carries out the core's checkpoints, one after another, on a thread of its own.
//!
//! The core says what must be on disk before what else happens; this module writes files so that a crash leaves the old
//! content or the new one. Paths and bytes are the core's.
//!
//! Source: shared facts, `disk_layout.md` section 1.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use mesos_agent_core::{CheckpointWrite, Durability};

/// Checkpoints carry environments of tasks: nobody else reads them. Update logs are readable, as recorded.
const FILE_MODE: u32 = 0o600;

/// What failed: the path and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointError {
    /// Path that could not be written.
    pub path: PathBuf,
    /// What the operating system said.
    pub error: String,
}

/// What a job ends with: the sandboxes that could not be given to their users, or the write that failed.
///
/// An unknown user is the mistake of a framework, not a fault of the disk: everything else is written all the same.
pub type Written = Result<Vec<CheckpointError>, CheckpointError>;

/// What the thread does next.
type Job = Box<dyn FnOnce() + Send>;

/// The writing thread; ends when this value is dropped and its queue is empty.
pub struct CheckpointWriter {
    queue: mpsc::Sender<Job>,
}

impl CheckpointWriter {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// Fails when the operating system gives no thread.
    pub fn start() -> io::Result<Self> {
        let (queue, jobs) = mpsc::channel::<Job>();
        thread::Builder::new().name("checkpoints".to_owned()).spawn(move || {
            for job in jobs {
                job();
            }
        })?;
        Ok(Self { queue })
    }

    /// Queues writes; `done` is called on the writing thread when all are on disk or one failed.
    pub fn submit(&self, writes: Vec<CheckpointWrite>, done: impl FnOnce(Written) + Send + 'static) {
        self.between_writes(move || done(write_all(&writes)));
    }

    /// Queues work on files that must not meet a write: it is done after all earlier writes and before all later ones.
    pub fn between_writes(&self, work: impl FnOnce() + Send + 'static) {
        // The thread lives as long as this sender.
        drop(self.queue.send(Box::new(work)));
    }
}

fn write_all(writes: &[CheckpointWrite]) -> Written {
    let mut refused = Vec::new();
    for write in writes {
        let told = |error: io::Error| CheckpointError {
            path: write.path().clone(),
            error: error.to_string(),
        };
        carry_out(write).map_err(told)?;
        if let CheckpointWrite::Sandbox { path, user: Some(user) } = write
            && let Err(error) = give_to(path, user)
        {
            refused.push(told(error));
        }
    }
    Ok(refused)
}

/// Carries out one write.
fn carry_out(write: &CheckpointWrite) -> io::Result<()> {
    match write {
        CheckpointWrite::File {
            path,
            bytes,
            durability,
        } => replace_file(path, bytes, *durability),
        CheckpointWrite::Append {
            path,
            bytes,
            durability,
        } => append(path, bytes, *durability),
        CheckpointWrite::Symlink { link, target } => replace_symlink(link, target),
        CheckpointWrite::Rename { from, to } => fs::rename(from, to),
        CheckpointWrite::Remove { path } => remove(path),
        CheckpointWrite::MakeVolume { path } => fs::create_dir_all(path),
        CheckpointWrite::RemoveVolume { path, is_mount: false } => remove(path),
        CheckpointWrite::RemoveVolume { path, is_mount: true } => empty(path),
        CheckpointWrite::Sandbox { path, .. } => make_sandbox(path),
    }
}

fn parent(path: &Path) -> io::Result<&Path> {
    path.parent()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path has no folder"))
}

fn replace_file(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let folder = parent(path)?;
    fs::create_dir_all(folder)?;
    let temporary = folder.join(uuid::Uuid::new_v4().simple().to_string());
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(&temporary)?;
        file.write_all(bytes)?;
        if durability == Durability::Synced {
            file.sync_all()?;
        }
        fs::rename(&temporary, path)?;
        if durability == Durability::Synced {
            File::open(folder)?.sync_all()
        } else {
            Ok(())
        }
    })();
    if written.is_err() {
        // The first failure is the one to tell; a left-over temporary file is harmless.
        drop(fs::remove_file(&temporary));
    }
    written
}

fn append(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    fs::create_dir_all(parent(path)?)?;
    let mut file = OpenOptions::new().append(true).create(true).mode(0o644).open(path)?;
    file.write_all(bytes)?;
    match durability {
        Durability::Synced => file.sync_all(),
        Durability::Written => Ok(()),
    }
}

fn replace_symlink(link: &Path, target: &Path) -> io::Result<()> {
    let folder = parent(link)?;
    fs::create_dir_all(folder)?;
    let temporary = folder.join(uuid::Uuid::new_v4().simple().to_string());
    std::os::unix::fs::symlink(target, &temporary)?;
    fs::rename(&temporary, link)
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Removes everything in a folder, and keeps the folder.
fn empty(path: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        remove(&entry?.path())?;
    }
    Ok(())
}

fn make_sandbox(path: &Path) -> io::Result<()> {
    fs::create_dir_all(parent(path)?)?;
    match fs::DirBuilder::new().mode(0o750).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Makes a user the owner of a sandbox.
fn give_to(path: &Path, user: &str) -> io::Result<()> {
    let found = nix::unistd::User::from_name(user)
        .map_err(io::Error::from)?
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no user '{user}' on this machine")))?;
    if nix::unistd::geteuid() == found.uid {
        return Ok(());
    }
    nix::unistd::chown(path, Some(found.uid), Some(found.gid)).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: PathBuf, bytes: &[u8]) -> CheckpointWrite {
        CheckpointWrite::File {
            path,
            bytes: bytes.to_vec(),
            durability: Durability::Synced,
        }
    }

    #[test]
    fn files_are_replaced_whole_and_leave_nothing_beside_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("meta/slaves/S0/slave.info");
        write_all(&[file(path.clone(), b"one"), file(path.clone(), b"two")]).expect("written");
        assert_eq!(fs::read(&path).expect("there"), b"two");
        assert_eq!(
            fs::read_dir(path.parent().expect("a folder")).expect("there").count(),
            1
        );
    }

    #[test]
    fn updates_grow_links_move_and_removal_forgives_absence() {
        let folder = tempfile::tempdir().expect("a folder");
        let (log, link) = (folder.path().join("t/task.updates"), folder.path().join("runs/latest"));
        let append = |bytes: &[u8]| CheckpointWrite::Append {
            path: log.clone(),
            bytes: bytes.to_vec(),
            durability: Durability::Synced,
        };
        let point = |target: &str| CheckpointWrite::Symlink {
            link: link.clone(),
            target: PathBuf::from(target),
        };
        write_all(&[append(b"ab"), append(b"cd"), point("one"), point("two")]).expect("written");
        assert_eq!(fs::read(&log).expect("there"), b"abcd");
        assert_eq!(fs::read_link(&link).expect("there"), Path::new("two"));
        let gone = CheckpointWrite::Remove { path: link.clone() };
        write_all(&[gone.clone(), gone]).expect("removed twice");
        assert!(fs::symlink_metadata(&link).is_err());
    }

    #[test]
    fn volumes_are_made_once_removed_whole_and_emptied_where_a_disk_is_mounted() {
        let folder = tempfile::tempdir().expect("a folder");
        let (volume, mount) = (folder.path().join("volumes/roles/ops/v"), folder.path().join("mnt"));
        let make = |path: &Path| CheckpointWrite::MakeVolume { path: path.to_owned() };
        let destroy = |path: &Path, is_mount: bool| CheckpointWrite::RemoveVolume {
            path: path.to_owned(),
            is_mount,
        };
        write_all(&[make(&volume), make(&mount)]).expect("made");
        for path in [&volume, &mount] {
            fs::create_dir_all(path.join("deep/deeper")).expect("made");
            fs::write(path.join("deep/file"), b"data").expect("written");
        }
        write_all(&[make(&volume)]).expect("there already");
        assert!(volume.join("deep/file").exists());
        write_all(&[destroy(&volume, false), destroy(&mount, true)]).expect("removed");
        assert!(!volume.exists());
        assert_eq!(fs::read_dir(&mount).expect("it stays").count(), 0);
        write_all(&[destroy(&volume, false), destroy(&mount, true)]).expect("removed before");
    }

    #[test]
    fn a_failure_names_the_path_and_stops_what_follows() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("file"), b"").expect("written");
        let below = folder.path().join("file/below");
        let after = folder.path().join("after");
        let error = write_all(&[file(below.clone(), b""), file(after.clone(), b"")]).expect_err("no folder");
        assert_eq!(error.path, below);
        assert!(!after.exists());
    }

    #[test]
    fn sandboxes_are_for_their_user_and_group_only_and_a_stranger_stops_nothing_else() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("runs/c1");
        let sandbox = CheckpointWrite::Sandbox {
            path: path.clone(),
            user: None,
        };
        write_all(&[sandbox.clone(), sandbox]).expect("made, and made again");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o750);
        let stranger = CheckpointWrite::Sandbox {
            path: path.clone(),
            user: Some("no-such-user-here".into()),
        };
        let after = file(folder.path().join("after"), b"x");
        let refused = write_all(&[stranger, after]).expect("the disk is fine");
        assert_eq!(refused[0].path, path);
        assert!(refused[0].error.contains("no-such-user-here"));
        assert!(folder.path().join("after").exists());
    }

    #[test]
    fn jobs_finish_in_the_order_in_which_they_were_given() {
        let folder = tempfile::tempdir().expect("a folder");
        let writer = CheckpointWriter::start().expect("a thread");
        let (sender, receiver) = mpsc::channel();
        for number in 0..20 {
            let sender = sender.clone();
            let path = folder.path().join(format!("{number}"));
            writer.submit(vec![file(path, b"x")], move |result| {
                sender.send((number, result.is_ok())).expect("the test waits");
            });
        }
        drop(sender);
        assert_eq!(
            receiver.iter().collect::<Vec<_>>(),
            (0..20).map(|number| (number, true)).collect::<Vec<_>>()
        );
    }
}
