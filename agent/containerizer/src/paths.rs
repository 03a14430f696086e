//! Every path below the agent's `runtime_dir` that the containerizer uses, and the sandboxes that it places itself.
//!
//! Source: shared facts, `disk_layout.md` sections 2 and 3.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mesos::ids::ContainerId;

/// Folder of the containers, and of the nested containers within a container's folder.
const CONTAINERS: &str = "containers";

/// Folder of one container: `RUN/containers/A`, nested `RUN/containers/A/containers/B`.
#[must_use]
pub fn container_dir(runtime_dir: &Path, container_id: &ContainerId) -> PathBuf {
    match container_id.parent() {
        Some(parent) => container_dir(runtime_dir, parent)
            .join(CONTAINERS)
            .join(container_id.value()),
        None => runtime_dir.join(CONTAINERS).join(container_id.value()),
    }
}

/// Folder that holds all outermost containers.
#[must_use]
pub fn containers_dir(runtime_dir: &Path) -> PathBuf {
    runtime_dir.join(CONTAINERS)
}

/// Folder that holds the containers nested in the one of `container_dir`.
#[must_use]
pub fn nested_dir(container_dir: &Path) -> PathBuf {
    container_dir.join(CONTAINERS)
}

/// Message file: how the container was asked for.
#[must_use]
pub fn config(container_dir: &Path) -> PathBuf {
    container_dir.join("config")
}

/// Message file: how the container's command was started, its environment included.
#[must_use]
pub fn launch_info(container_dir: &Path) -> PathBuf {
    container_dir.join("launch_info")
}

/// Empty file: the container runs without an executor.
#[must_use]
pub fn standalone_marker(container_dir: &Path) -> PathBuf {
    container_dir.join("standalone.marker")
}

/// Empty file: the container is not to be taken up by a later agent.
#[must_use]
pub fn force_destroy_on_recovery(container_dir: &Path) -> PathBuf {
    container_dir.join("force_destroy_on_recovery")
}

/// Sandbox of a container nested directly in the one of `sandbox`.
#[must_use]
pub fn nested_sandbox(sandbox: &Path, container_id: &ContainerId) -> PathBuf {
    sandbox.join(CONTAINERS).join(container_id.value())
}

/// Sandbox of a standalone container, below the agent's work directory.
#[must_use]
pub fn standalone_sandbox(work_dir: &Path, container_id: &ContainerId) -> PathBuf {
    work_dir.join(CONTAINERS).join(container_id.value())
}

/// Text: process id of the container's init.
#[must_use]
pub fn pid(container_dir: &Path) -> PathBuf {
    container_dir.join("pid")
}

/// Text: when the container's init started; of this implementation alone.
#[must_use]
pub fn birth(container_dir: &Path) -> PathBuf {
    container_dir.join("birth")
}

/// Text: wait status of the command; empty until it ended.
#[must_use]
pub fn status(container_dir: &Path) -> PathBuf {
    container_dir.join("status")
}

/// Message file: how a nested container ended.
#[must_use]
pub fn termination(container_dir: &Path) -> PathBuf {
    container_dir.join("termination")
}

/// Checks that nothing between `root` (which is trusted) and `path` (which need not be there) is a link.
///
/// Sandboxes belong to the accounts of their containers. Whatever an agent that runs as root makes, removes or gives
/// away inside them by its path could be led anywhere on the host by a link that stands in the way.
///
/// A race remains: whoever owns a folder may swap it for a link between this look and the step that follows. Closing
/// it needs `openat2` with `RESOLVE_NO_SYMLINKS`, and every step taken from the folder that it opened. Callers keep
/// the look right before the step.
///
/// # Errors
///
/// Names the first link, or gives the failure to look at a part. `path` has to stand below `root`.
pub(crate) fn refuse_links(root: &Path, path: &Path) -> io::Result<()> {
    let below = path.strip_prefix(root).map_err(io::Error::other)?;
    let mut part = root.to_owned();
    for name in below.components() {
        part.push(name);
        match fs::symlink_metadata(&part) {
            Ok(metadata) if metadata.is_symlink() => {
                return Err(io::Error::other(format!("'{}' is a link", part.display())));
            }
            Ok(_) => {}
            // Nothing is below what is not there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nested_containers_stand_below_their_parent() {
        let nested = ContainerId::new("a").child("b");
        assert_eq!(
            container_dir(Path::new("/run/m"), &nested),
            Path::new("/run/m/containers/a/containers/b")
        );
    }

    #[test]
    fn links_below_the_root_are_named_and_those_above_it_are_not_looked_at() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("root");
        fs::create_dir_all(folder.path().join("real/deep")).expect("made");
        symlink("real", &root).expect("a link");
        symlink("/", root.join("out")).expect("a link");
        symlink("nowhere", root.join("deep/dangling")).expect("a link");
        for fine in ["", "deep", "deep/new", "new/folder"] {
            refuse_links(&root, &root.join(fine)).expect(fine);
        }
        for (path, named) in [
            ("out", "out"),
            ("out/etc/passwd", "out"),
            ("deep/dangling", "deep/dangling"),
            ("deep/dangling/x", "deep/dangling"),
        ] {
            let refused = refuse_links(&root, &root.join(path)).expect_err(path);
            assert_eq!(
                refused.to_string(),
                format!("'{}' is a link", root.join(named).display())
            );
        }
        fs::write(root.join("file"), "").expect("written");
        assert!(refuse_links(&root, &root.join("file/x")).is_err());
        assert!(refuse_links(&root, Path::new("/elsewhere")).is_err());
    }
}
