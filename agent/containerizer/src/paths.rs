//! Every path below the agent's `runtime_dir` that the containerizer uses, and the sandboxes that it places itself.
//!
//! Source: shared facts, `disk_layout.md` sections 2 and 3.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_containers_stand_below_their_parent() {
        let nested = ContainerId::new("a").child("b");
        assert_eq!(
            container_dir(Path::new("/run/m"), &nested),
            Path::new("/run/m/containers/a/containers/b")
        );
    }
}
