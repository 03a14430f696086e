//! Directories.

use std::collections::HashMap;
use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use nix::unistd::{Gid, Group, Uid, User};

use super::FilesError;
use super::tree::{Found, Tree, descriptor_path};

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq)]
pub struct FileInfo {
    /// The virtual path.
    pub path: String,
    /// Type and permissions.
    pub mode: Mode,
    /// Last change of the content, in whole seconds since the Unix epoch.
    pub mtime: i64,
    /// Number of hard links.
    pub nlink: u64,
    /// Size in bytes.
    pub size: u64,
    /// Name of the owner, or its number.
    pub owner: String,
    /// Name of the group, or its number.
    pub group: String,
}

/// Type and permissions of a file; prints as `ls` does, `drwxr-xr-x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u32);

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        use nix::libc::{S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFSOCK};
        let kind = match self.0 & S_IFMT {
            S_IFDIR => 'd',
            S_IFLNK => 'l',
            S_IFCHR => 'c',
            S_IFBLK => 'b',
            S_IFIFO => 'p',
            S_IFSOCK => 's',
            _ => '-',
        };
        let mut text = String::from(kind);
        for shift in [6, 3, 0] {
            let special = self.0 & (0o1000 << (shift / 3)) != 0;
            let executable = self.0 >> shift & 1 != 0;
            text.push(if self.0 >> shift & 4 != 0 { 'r' } else { '-' });
            text.push(if self.0 >> shift & 2 != 0 { 'w' } else { '-' });
            text.push(match (special, executable, shift) {
                (false, true, _) => 'x',
                (false, false, _) => '-',
                (true, true, 0) => 't',
                (true, false, 0) => 'T',
                (true, true, _) => 's',
                (true, false, _) => 'S',
            });
        }
        formatter.pad(&text)
    }
}

/// Names of users and groups, each looked up once.
#[derive(Default)]
struct Names {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Names {
    fn user(&mut self, uid: u32) -> String {
        let look_up = || User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name);
        let name = self.users.entry(uid);
        name.or_insert_with(|| look_up().unwrap_or_else(|| uid.to_string()))
            .clone()
    }

    fn group(&mut self, gid: u32) -> String {
        let look_up = || {
            Group::from_gid(Gid::from_raw(gid))
                .ok()
                .flatten()
                .map(|group| group.name)
        };
        let name = self.groups.entry(gid);
        name.or_insert_with(|| look_up().unwrap_or_else(|| gid.to_string()))
            .clone()
    }
}

/// Lists a directory, sorted by name.
pub(super) fn list(tree: &Tree, virtual_path: &str) -> Result<Vec<FileInfo>, FilesError> {
    let Found { file, root } = tree.open(virtual_path)?;
    let unreadable = |source| FilesError::Unreadable {
        path: virtual_path.to_owned(),
        source,
    };
    if !file.metadata().map_err(unreadable)?.is_dir() {
        return Err(FilesError::Invalid("the path names no directory".to_owned()));
    }
    let mut names = Names::default();
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(descriptor_path(&file)).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        // An entry may be gone by now.
        let Some(metadata) = metadata_below(&entry.path(), &root) else {
            continue;
        };
        let name = entry.file_name();
        entries.push(FileInfo {
            path: format!("{}/{}", virtual_path.trim_end_matches('/'), name.to_string_lossy()),
            mode: Mode(metadata.permissions().mode()),
            mtime: metadata.mtime(),
            nlink: metadata.nlink(),
            size: metadata.size(),
            owner: names.user(metadata.uid()),
            group: names.group(metadata.gid()),
        });
    }
    entries.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(entries)
}

/// What is told of an entry: a link that stays below the root counts as what it leads to.
fn metadata_below(path: &Path, root: &Path) -> Option<Metadata> {
    let own = std::fs::symlink_metadata(path).ok()?;
    if !own.file_type().is_symlink() || own.file_type().is_socket() {
        return Some(own);
    }
    let target = path.canonicalize().ok().filter(|target| target.starts_with(root));
    target.and_then(|target| std::fs::metadata(target).ok()).or(Some(own))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn modes_print_as_ls_prints_them() {
        for (mode, text) in [
            (0o040_755, "drwxr-xr-x"),
            (0o100_644, "-rw-r--r--"),
            (0o120_777, "lrwxrwxrwx"),
            (0o041_777, "drwxrwxrwt"),
            (0o104_755, "-rwsr-xr-x"),
            (0o102_644, "-rw-r-Sr--"),
            (0o010_600, "prw-------"),
        ] {
            assert_eq!(Mode(mode).to_string(), text);
        }
    }

    #[test]
    fn directories_are_listed_by_name_without_telling_what_lies_outside() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().join("root");
        fs::create_dir_all(root.join("b")).expect("a directory");
        fs::write(root.join("a"), "12345").expect("a file");
        fs::write(directory.path().join("secret"), "1234567890").expect("a file");
        symlink("b", root.join("in")).expect("a link");
        symlink("../secret", root.join("out")).expect("a link");
        let tree = Tree::default();
        tree.attach("/v", &root).expect("attached");
        let entries = list(&tree, "/v/").expect("listed");
        let shown: Vec<(&str, char)> = entries
            .iter()
            .map(|entry| (entry.path.as_str(), entry.mode.to_string().remove(0)))
            .collect();
        assert_eq!(shown, [("/v/a", '-'), ("/v/b", 'd'), ("/v/in", 'd'), ("/v/out", 'l')]);
        assert_eq!(entries[0].size, 5);
        assert_ne!(entries[3].size, 10);
        assert_eq!(list(&tree, "/v/a").expect_err("a file").status(), 400);
        assert_eq!(list(&tree, "/v/zz").expect_err("nothing").status(), 404);
    }
}
