//! Removes folders of finished work when the core says so, and measures the disk for it.
//!
//! A folder is first moved out of the way, between two checkpoints: whoever uses its path again finds nothing there
//! and loses nothing. Deleting what was moved takes as long as it takes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use libprocess::Context;
use mesos_agent_core::{Collected, Input};
use nix::sys::statvfs::statvfs;

use crate::process::AgentProcess;
use crate::sandboxes;

/// A folder that is out of the way, or why it is not.
pub struct Moved {
    /// Where it stood.
    path: PathBuf,
    /// The same without links; what operators were shown is known by it.
    real: PathBuf,
    /// Where it stands now; nothing when it was not there.
    result: io::Result<Option<PathBuf>>,
}

/// Moves folders into `trash`.
pub fn move_aside(paths: Vec<PathBuf>, trash: &Path) -> Vec<Moved> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let moved = paths.into_iter().map(|path| {
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        let result = match mount_below(&mounts, &real) {
            Some(mount) => Err(io::Error::other(format!("'{}' is mounted", mount.display()))),
            None => move_one(&path, trash),
        };
        Moved { path, real, result }
    });
    moved.collect()
}

fn move_one(path: &Path, trash: &Path) -> io::Result<Option<PathBuf>> {
    fs::create_dir_all(trash)?;
    let target = trash.join(uuid::Uuid::new_v4().simple().to_string());
    match fs::rename(path, &target) {
        Ok(()) => Ok(Some(target)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // A part of the work folder lies on another disk: what cannot be moved is deleted where it stands.
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => Ok(Some(path.to_owned())),
        Err(error) => Err(error),
    }
}

/// The first mount at or below a folder: deleting would reach through it.
fn mount_below(mounts: &str, folder: &Path) -> Option<PathBuf> {
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4)).map(unescape);
    points.map(PathBuf::from).find(|point| point.starts_with(folder))
}

/// The kernel writes space, tab, line feed and backslash as three octal digits.
fn unescape(point: &str) -> String {
    let codes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    codes.into_iter().fold(point.to_owned(), |point, (code, character)| {
        point.replace(code, character)
    })
}

/// Deletes what an earlier life of the agent moved out of the way.
pub fn empty_trash(trash: &Path) {
    let entries = fs::read_dir(trash).into_iter().flatten().filter_map(Result::ok);
    for entry in entries {
        if let Err(error) = fs::remove_dir_all(entry.path()) {
            tracing::warn!(path = %entry.path().display(), %error, "a collected folder cannot be deleted");
        }
    }
}

/// Share of a file system that is used: blocks that are not free, of all blocks.
fn disk_usage(path: &Path) -> Result<f64, String> {
    let stat = statvfs(path).map_err(|error| error.to_string())?;
    if stat.blocks() == 0 {
        return Err("the file system has no blocks".to_owned());
    }
    let used = stat.blocks().saturating_sub(stat.blocks_free());
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share needs no more than the leading digits"
    )]
    let share = used as f64 / stat.blocks() as f64;
    Ok(share)
}

impl AgentProcess {
    /// Removes folders.
    pub(crate) fn collect_folders(&self, paths: Vec<PathBuf>, context: &Context<Self>) {
        let (me, trash) = (context.me(), self.core().paths().trash());
        self.writer.between_writes(move || {
            let moved = move_aside(paths, &trash);
            me.dispatch(move |agent, context| {
                for one in moved {
                    agent.delete(one, context);
                }
            });
        });
    }

    fn delete(&mut self, moved: Moved, context: &mut Context<Self>) {
        let path = moved.path;
        let target = match moved.result {
            Ok(Some(target)) => target,
            Ok(None) => return self.collected(path, Collected::Absent, context),
            Err(error) => return self.collected(path, Collected::Failed(error.to_string()), context),
        };
        sandboxes::detach_below(&self.files, &moved.real);
        context.run_blocking(
            move || fs::remove_dir_all(&target),
            move |agent: &mut Self, deleted: io::Result<()>, context| {
                let result = match deleted {
                    Ok(()) => Collected::Removed,
                    // Found and deleted by a look for what an earlier life left.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Collected::Removed,
                    Err(error) => Collected::Failed(error.to_string()),
                };
                agent.collected(path, result, context);
            },
        );
    }

    fn collected(&mut self, path: PathBuf, result: Collected, context: &mut Context<Self>) {
        self.apply(Input::FolderCollected { path, result }, context);
    }

    /// Measures the file system of the work folder.
    pub(crate) fn measure_disk(&self, context: &mut Context<Self>) {
        let folder = self.core().paths().work_dir().to_owned();
        context.run_blocking(
            move || disk_usage(&folder),
            |agent: &mut Self, usage, context| agent.apply(Input::DiskMeasured(usage), context),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_out_of_the_way_at_once_and_mounts_keep_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let (trash, gone, absent) = (
            folder.path().join(".collected"),
            folder.path().join("slaves/S0/frameworks/F"),
            folder.path().join("slaves/S1"),
        );
        fs::create_dir_all(gone.join("executors/E/runs/c1")).expect("made");
        fs::write(gone.join("executors/E/runs/c1/stdout"), b"text").expect("written");
        let moved = move_aside(vec![gone.clone(), absent], &trash);
        assert!(!gone.exists());
        let target = moved[0].result.as_ref().expect("moved").clone().expect("there");
        assert!(target.join("executors/E/runs/c1/stdout").exists());
        assert!(matches!(moved[1].result, Ok(None)));
        empty_trash(&trash);
        assert!(!target.exists());

        let mounts = "36 35 98:0 / /w/a\\040b/runs/volume rw - ext4 /dev/sda rw\n";
        assert_eq!(
            mount_below(mounts, Path::new("/w/a b")),
            Some(PathBuf::from("/w/a b/runs/volume"))
        );
        assert_eq!(mount_below(mounts, Path::new("/w/a")), None);
    }

    #[test]
    fn the_usage_of_a_disk_is_a_share() {
        let usage = disk_usage(Path::new("/")).expect("the root can be measured");
        assert!((0.0..=1.0).contains(&usage));
        assert!(disk_usage(Path::new("/no/such/folder")).is_err());
    }
}
