//! Taking up containers of an earlier life of the agent.
//!
//! Their inits are no children of this process: they are looked at from time to time, and the wait status comes from
//! the file that each init writes. Containers that no checkpoint names are destroyed.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mesos::ids::ContainerId;

use crate::checkpoint;
use crate::containerizer::{LaunchRequest, RecoverableContainer, Recovered};
use crate::error::ContainerizerError;
use crate::isolators::Isolated;
use crate::life;
use crate::mesos_containerizer::{Channels, Inner, blocking};
use crate::paths;
use crate::process_tree::{self, ProcessStat, TreeRoot};
use crate::termination::{Termination, WaitStatus};

/// First pause between looks at a process.
const LOOK_INTERVAL_MIN: Duration = Duration::from_millis(100);

/// Longest pause between looks at a process.
const LOOK_INTERVAL_MAX: Duration = Duration::from_secs(1);

/// How long the processes of an orphan may take to go.
const ORPHAN_PATIENCE: Duration = Duration::from_secs(60);

/// Watches the known containers again and destroys the others.
pub(crate) async fn recover(
    inner: Arc<Inner>,
    known: Vec<RecoverableContainer>,
) -> Result<Recovered, ContainerizerError> {
    let mut recovered = Recovered::default();
    for container in known {
        let container_id = container.container_id.clone();
        let request = LaunchRequest {
            sandbox: container.sandbox,
            resources: container.resources,
            limits: container.limits,
            ..LaunchRequest::default()
        };
        let channels = inner.enter(&container_id, &request)?;
        let isolated = Isolated {
            container_id: &container_id,
            sandbox: &request.sandbox,
            resources: &request.resources,
            limits: &request.limits,
            container_info: None,
        };
        for isolator in &inner.isolation.isolators {
            isolator.recover(isolated)?;
        }
        let root = root_of(i32::try_from(container.pid).unwrap_or_default());
        if let Some(root) = root {
            inner.set_root(&container_id, root);
        }
        tracing::info!(%container_id, pid = container.pid, running = root.is_some(), "container recovered");
        tokio::spawn(watch_again(Arc::clone(&inner), container_id.clone(), root, channels));
        recovered.containers.push(container_id);
    }
    recovered.orphans = destroy_orphans(&inner).await?;
    Ok(recovered)
}

/// The container's init, if the process of that id can be one: every init leads its own session.
fn root_of(pid: i32) -> Option<TreeRoot> {
    let process = ProcessStat::read(pid).filter(|process| !process.is_dead() && process.session == pid)?;
    Some(TreeRoot {
        pid,
        start_ticks: Some(process.start_ticks),
    })
}

async fn watch_again(inner: Arc<Inner>, container_id: ContainerId, root: Option<TreeRoot>, channels: Channels) {
    let Channels { mut destroyed, publish } = channels;
    if let Some(root) = root {
        tokio::select! {
            () = ended(root) => {}
            () = life::asked_to_end(&mut destroyed) => life::kill(&inner, &container_id).await,
        }
    }
    let status = life::recorded_status(&inner, &container_id);
    let termination = Termination {
        status: status.or(Some(WaitStatus::signaled(9).raw())),
        ..Termination::default()
    };
    life::clean_up(&inner, &container_id, &termination).await;
    life::publish_end(&inner, &container_id, termination, &publish);
}

async fn ended(root: TreeRoot) {
    let mut pause = LOOK_INTERVAL_MIN;
    while root.is_running() {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK_INTERVAL_MAX);
    }
}

/// Ends the containers of the runtime directory that nobody knows; they are gone when this returns.
async fn destroy_orphans(inner: &Arc<Inner>) -> Result<Vec<ContainerId>, ContainerizerError> {
    let folder = paths::containers_dir(&inner.config.runtime_dir);
    let mut orphans = Vec::new();
    find_orphans(inner, &folder, None, &mut orphans).map_err(|source| ContainerizerError::File {
        action: "read",
        path: folder.clone(),
        source,
    })?;
    for orphan in orphans.clone() {
        let inner = Arc::clone(inner);
        blocking(move || {
            let folder = paths::container_dir(&inner.config.runtime_dir, &orphan);
            let pid = checkpoint::read_number(&paths::pid(&folder)).unwrap_or_default();
            if let Some(root) = pid.and_then(root_of)
                && let Err(error) = process_tree::kill_tree(root, ORPHAN_PATIENCE)
            {
                tracing::error!(container_id = %orphan, %error, "processes of the orphan are left");
            }
            for isolator in inner.isolation.isolators.iter().rev() {
                isolator.cleanup(&orphan);
            }
            tracing::info!(container_id = %orphan, "orphaned container destroyed");
            life::remove_dir(&folder).map_err(|source| ContainerizerError::File {
                action: "remove",
                path: folder,
                source,
            })
        })
        .await?;
    }
    Ok(orphans)
}

/// Finds containers by their folders, nested ones before the one they run in.
fn find_orphans(
    inner: &Inner,
    folder: &Path,
    parent: Option<&ContainerId>,
    orphans: &mut Vec<ContainerId>,
) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            continue;
        };
        let container_id = parent.map_or_else(|| ContainerId::new(name), |parent| parent.child(name));
        find_orphans(inner, &paths::nested_dir(&entry.path()), Some(&container_id), orphans)?;
        if !inner.registry().live.contains_key(&container_id) {
            orphans.push(container_id);
        }
    }
    Ok(())
}
