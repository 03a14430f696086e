//! Giving fetched files to the task's account.

use std::fs;
use std::io;
use std::os::unix::fs::lchown;
use std::path::Path;

/// Gives `path` and everything below it to an account. Links are given themselves, never what they point to.
pub(super) fn give_all(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    lchown(path, Some(uid), Some(gid))?;
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            give_all(&entry?.path(), uid, gid)?;
        }
    }
    Ok(())
}
