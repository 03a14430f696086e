//! Removing what ended containers left.
//!
//! Source: shared facts, `operator_calls.tsv` (REMOVE_CONTAINER). The recorded original answers 500 for a nested
//! container whose outermost one is not known, and ends for an unknown outermost one; here both are not known.

use std::path::PathBuf;

use mesos::ids::ContainerId;

use crate::error::ContainerizerError;
use crate::life::remove_dir;
use crate::mesos_containerizer::Inner;
use crate::paths;

/// Removes the sandbox of an ended container and the memory of its end. Inside a container that runs, one that was
/// never there counts as removed: the original answers 200 then too, and nothing is touched.
pub(crate) fn remove(inner: &Inner, container_id: &ContainerId) -> Result<(), ContainerizerError> {
    let unknown = || ContainerizerError::UnknownContainer(container_id.clone());
    let folder = paths::container_dir(&inner.config.runtime_dir, container_id);
    let (trusted, sandbox) = {
        let registry = inner.registry();
        if registry.live.contains_key(container_id) {
            return Err(ContainerizerError::NotEnded(container_id.clone()));
        }
        match container_id.parent() {
            Some(_) => {
                let root = registry.live.get(container_id.root()).ok_or_else(unknown)?;
                (root.sandbox.clone(), nested_sandbox(root.sandbox.clone(), container_id))
            }
            None => {
                let work_dir = &inner.config.work_dir;
                (work_dir.clone(), paths::standalone_sandbox(work_dir, container_id))
            }
        }
    };
    if !container_id.is_nested() && !sandbox.is_dir() {
        return Err(unknown());
    }
    // Every launch leaves this folder, which the agent alone can write to. Without it nobody launched the container,
    // and whatever stands at the place of its sandbox belongs to somebody else.
    if container_id.is_nested() && !folder.exists() {
        return Ok(());
    }
    let failed = |path: PathBuf| {
        move |source| ContainerizerError::File {
            action: "remove",
            path,
            source,
        }
    };
    paths::refuse_links(&trusted, &sandbox).map_err(failed(sandbox.clone()))?;
    remove_dir(&sandbox).map_err(failed(sandbox))?;
    remove_dir(&folder).map_err(failed(folder))?;
    inner.registry().forget(container_id);
    tracing::info!(%container_id, "container removed");
    Ok(())
}

fn nested_sandbox(root: PathBuf, container_id: &ContainerId) -> PathBuf {
    match container_id.parent() {
        Some(parent) => paths::nested_sandbox(&nested_sandbox(root, parent), container_id),
        None => root,
    }
}
