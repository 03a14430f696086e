//! What is attached, and how a virtual path becomes an open file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use super::FilesError;

/// Virtual paths (no slash at either end) with the canonical paths that they show.
#[derive(Debug, Default)]
pub(super) struct Tree {
    attached: RwLock<BTreeMap<String, PathBuf>>,
}

/// An open file or directory below an attached root.
#[derive(Debug)]
pub(super) struct Found {
    /// The open file.
    pub file: File,
    /// The attached root that it belongs to.
    pub root: PathBuf,
}

impl Tree {
    pub(super) fn attach(&self, virtual_path: &str, real: &Path) -> io::Result<()> {
        let real = real.canonicalize()?;
        let mut attached = self.attached.write().unwrap_or_else(PoisonError::into_inner);
        attached.insert(key(virtual_path), real);
        Ok(())
    }

    pub(super) fn detach(&self, virtual_path: &str) {
        let mut attached = self.attached.write().unwrap_or_else(PoisonError::into_inner);
        attached.remove(&key(virtual_path));
    }

    pub(super) fn attached(&self) -> Vec<(String, PathBuf)> {
        let attached = self.attached.read().unwrap_or_else(PoisonError::into_inner);
        attached
            .iter()
            .map(|(path, real)| (format!("/{path}"), real.clone()))
            .collect()
    }

    /// The root that shows a virtual path, and what of the path lies below the root. The longest root wins.
    fn resolve(&self, virtual_path: &str) -> Result<(PathBuf, PathBuf), FilesError> {
        if virtual_path.contains('\0') {
            return Err(FilesError::Invalid(
                "a path must not contain a null character".to_owned(),
            ));
        }
        let path = key(virtual_path);
        if Path::new(&path).components().any(|part| part == Component::ParentDir) {
            return Err(FilesError::Invalid("a path must not contain '..'".to_owned()));
        }
        let attached = self.attached.read().unwrap_or_else(PoisonError::into_inner);
        let mut candidate = path.as_str();
        loop {
            if let Some(root) = attached.get(candidate) {
                let below = path[candidate.len()..].trim_start_matches('/');
                return Ok((root.clone(), PathBuf::from(below)));
            }
            let Some(slash) = candidate.rfind('/') else {
                return Err(FilesError::NotFound(virtual_path.to_owned()));
            };
            candidate = &candidate[..slash];
        }
    }

    /// Opens what a virtual path shows. Neither waits for pipes nor follows links out of the root.
    pub(super) fn open(&self, virtual_path: &str) -> Result<Found, FilesError> {
        let (root, below) = self.resolve(virtual_path)?;
        let real = if below.as_os_str().is_empty() {
            root.clone()
        } else {
            root.join(below)
        };
        let not_found = || FilesError::NotFound(virtual_path.to_owned());
        let unreadable = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => not_found(),
            _ => FilesError::Unreadable {
                path: virtual_path.to_owned(),
                source,
            },
        };
        let file = File::options()
            .read(true)
            .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_CLOEXEC)
            .open(real)
            .map_err(unreadable)?;
        // What was opened counts, not what the path named before: links may change at any time.
        let opened = std::fs::read_link(descriptor_path(&file)).map_err(unreadable)?;
        if opened.starts_with(&root) {
            Ok(Found { file, root })
        } else {
            Err(not_found())
        }
    }
}

/// Where the operating system shows an open file.
pub(super) fn descriptor_path(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// A virtual path without the slashes and dots that do not matter.
fn key(virtual_path: &str) -> String {
    let parts = virtual_path.split('/').filter(|part| !part.is_empty() && *part != ".");
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn open(tree: &Tree, path: &str) -> u16 {
        tree.open(path).map_or_else(|error| error.status(), |_| 200)
    }

    #[test]
    fn nothing_outside_of_attached_roots_is_opened() {
        let directory = tempfile::tempdir().expect("a directory");
        let base = directory.path();
        fs::create_dir_all(base.join("box/sub")).expect("a directory");
        fs::write(base.join("box/sub/in"), "in").expect("a file");
        fs::write(base.join("out"), "out").expect("a file");
        fs::create_dir(base.join("box2")).expect("a directory");
        fs::write(base.join("box2/x"), "x").expect("a file");
        symlink(base.join("out"), base.join("box/leaves")).expect("a link");
        symlink("../box2", base.join("box/neighbour")).expect("a link");
        symlink("sub", base.join("box/stays")).expect("a link");
        let tree = Tree::default();
        tree.attach("/a/b", &base.join("box")).expect("attached");
        for (path, status) in [
            ("/a/b", 200),
            ("a/b/", 200),
            ("//a/./b/sub//in", 200),
            ("/a/b/stays/in", 200),
            ("/a/b/nope", 404),
            ("/a/b/sub/in/more", 404),
            ("/a", 404),
            ("", 404),
            ("/", 404),
            ("/a/bb", 404),
            ("/a/b/leaves", 404),
            ("/a/b/neighbour/x", 404),
            ("/a/b/../../out", 400),
            ("/a/b/sub/..", 400),
            ("/a/b/sub\0", 400),
        ] {
            assert_eq!(open(&tree, path), status, "{path:?}");
        }
        tree.detach("/a/b/");
        assert_eq!(open(&tree, "/a/b"), 404);
    }

    #[test]
    fn pipes_do_not_block() {
        let directory = tempfile::tempdir().expect("a directory");
        let pipe = directory.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        let tree = Tree::default();
        tree.attach("p", directory.path()).expect("attached");
        assert_eq!(open(&tree, "p/pipe"), 200);
    }

    #[test]
    fn the_longest_root_wins_and_the_root_directory_can_be_one() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir(directory.path().join("inner")).expect("a directory");
        fs::write(directory.path().join("inner/f"), "f").expect("a file");
        let tree = Tree::default();
        tree.attach("/x", directory.path()).expect("attached");
        tree.attach("/x/y", &directory.path().join("inner")).expect("attached");
        assert_eq!(open(&tree, "/x/y/f"), 200);
        assert_eq!(open(&tree, "/x/inner/f"), 200);
        assert_eq!(open(&tree, "/x/f"), 404);
        assert!(tree.attach("/z", &directory.path().join("nope")).is_err());
    }
}
