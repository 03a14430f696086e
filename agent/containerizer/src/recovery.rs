//! Taking up containers of an earlier life of the agent.
//!
//! Their inits are no children of this process: they are looked at from time to time, and the wait status comes from
//! the file that each init writes. Containers that neither a checkpoint nor a marker names are destroyed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mesos::ids::ContainerId;

use crate::birth::recorded_root;
use crate::checkpoint;
use crate::containerizer::{ContainerKind, LaunchRequest, RecoverableContainer, Recovered};
use crate::error::ContainerizerError;
use crate::isolators::Isolated;
use crate::life;
use crate::mesos_containerizer::{Channels, Inner, blocking};
use crate::paths;
use crate::process_tree::{self, TreeRoot};
use crate::runtime_scan;
use crate::termination::{Termination, WaitStatus};

/// First pause between looks at a process.
const LOOK_INTERVAL_MIN: Duration = Duration::from_millis(100);

/// Longest pause between looks at a process.
const LOOK_INTERVAL_MAX: Duration = Duration::from_secs(1);

/// How long the processes of an orphan may take to go.
const ORPHAN_PATIENCE: Duration = Duration::from_secs(60);

/// A container that is taken up, not watched yet.
struct Adopted {
    container_id: ContainerId,
    root: Option<TreeRoot>,
    launched: bool,
    channels: Channels,
}

/// Watches the known containers again, with all that runs in them, and destroys the others.
///
/// Nothing is watched before all are entered: the end of a container must find those inside it.
pub(crate) async fn recover(
    inner: Arc<Inner>,
    known: Vec<RecoverableContainer>,
) -> Result<Recovered, ContainerizerError> {
    let scanned = Arc::clone(&inner);
    let ids: BTreeSet<ContainerId> = known.iter().map(|container| container.container_id.clone()).collect();
    let scan = blocking(move || {
        let runtime_dir = &scanned.config.runtime_dir;
        runtime_scan::scan(runtime_dir, &ids).map_err(|source| ContainerizerError::File {
            action: "read",
            path: paths::containers_dir(runtime_dir),
            source,
        })
    })
    .await?;
    let mut adopted = Vec::new();
    for container in known {
        let folder = paths::container_dir(&inner.config.runtime_dir, &container.container_id);
        // The agent's checkpoints tell all but the account.
        let user = runtime_scan::request_of(&folder, ContainerKind::Managed).map_or(None, |request| request.user);
        let request = LaunchRequest {
            sandbox: container.sandbox,
            user,
            resources: container.resources,
            limits: container.limits,
            ..LaunchRequest::default()
        };
        adopted.push(adopt(
            &inner,
            container.container_id,
            &request,
            i32::try_from(container.pid).ok(),
        )?);
    }
    for left in scan.left {
        adopted.push(adopt(&inner, left.container_id, &left.request, left.pid)?);
    }
    for (container_id, termination) in scan.ended {
        inner.registry().remember(&container_id, termination);
    }
    for container_id in scan.forced {
        end_forced(&inner, container_id).await?;
    }
    let mut recovered = Recovered::default();
    for container in adopted {
        recovered.containers.push(container.container_id.clone());
        tokio::spawn(watch_again(Arc::clone(&inner), container));
    }
    for orphan in &scan.orphans {
        destroy_orphan(&inner, orphan.clone()).await?;
    }
    recovered.orphans = scan.orphans;
    Ok(recovered)
}

fn adopt(
    inner: &Arc<Inner>,
    container_id: ContainerId,
    request: &LaunchRequest,
    pid: Option<i32>,
) -> Result<Adopted, ContainerizerError> {
    let channels = inner.enter_again(&container_id, request);
    let isolated = Isolated {
        container_id: &container_id,
        sandbox: &request.sandbox,
        parent_sandbox: life::parent_sandbox(&container_id, &request.sandbox),
        resources: &request.resources,
        limits: &request.limits,
        container_info: None,
    };
    for isolator in &inner.isolation.isolators {
        isolator.recover(isolated)?;
    }
    let root = pid.and_then(|pid| recorded_root(inner, &container_id, pid));
    if let Some(root) = root {
        inner.set_root(&container_id, root);
    }
    tracing::info!(%container_id, pid, running = root.is_some(), "container recovered");
    Ok(Adopted {
        container_id,
        root,
        launched: pid.is_some(),
        channels,
    })
}

async fn watch_again(inner: Arc<Inner>, container: Adopted) {
    let container_id = container.container_id;
    let Channels { mut destroyed, publish } = container.channels;
    let mut termination = Termination::default();
    if let Some(root) = container.root {
        tokio::select! {
            () = ended(root) => {}
            broken = life::end_wanted(&inner, &container_id, &mut destroyed) => {
                termination = broken;
                life::kill(&inner, &container_id).await;
            }
        }
    }
    if container.launched {
        let status = life::recorded_status(&inner, &container_id);
        termination.status = status.or(Some(WaitStatus::signaled(nix::libc::SIGKILL).raw()));
    } else {
        termination.message = Some("the agent ended while the container was being launched".to_owned());
    }
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

/// Ends a look into a container; whoever looked is gone. Its end stays known as that of any nested container.
async fn end_forced(inner: &Arc<Inner>, container_id: ContainerId) -> Result<(), ContainerizerError> {
    let termination = Termination {
        status: Some(WaitStatus::signaled(nix::libc::SIGKILL).raw()),
        ..Termination::default()
    };
    let (killed, ended, in_folder) = (Arc::clone(inner), container_id.clone(), termination.to_proto());
    blocking(move || {
        kill_left(&killed, &ended);
        let path = paths::termination(&paths::container_dir(&killed.config.runtime_dir, &ended));
        checkpoint::write_message(&path, &in_folder).map_err(|source| ContainerizerError::File {
            action: "write",
            path,
            source,
        })
    })
    .await?;
    inner.registry().remember(&container_id, termination);
    Ok(())
}

/// Ends a container that nobody knows; it is gone when this returns.
async fn destroy_orphan(inner: &Arc<Inner>, orphan: ContainerId) -> Result<(), ContainerizerError> {
    let inner = Arc::clone(inner);
    blocking(move || {
        kill_left(&inner, &orphan);
        tracing::info!(container_id = %orphan, "orphaned container destroyed");
        let folder = paths::container_dir(&inner.config.runtime_dir, &orphan);
        life::remove_dir(&folder).map_err(|source| ContainerizerError::File {
            action: "remove",
            path: folder,
            source,
        })
    })
    .await
}

/// Kills what the folder of a container names, and undoes its isolation.
fn kill_left(inner: &Inner, container_id: &ContainerId) {
    let folder = paths::container_dir(&inner.config.runtime_dir, container_id);
    let pid = checkpoint::read_number(&paths::pid(&folder)).unwrap_or_default();
    if let Some(root) = pid.and_then(|pid| recorded_root(inner, container_id, pid))
        && let Err(error) = process_tree::kill_tree(root, ORPHAN_PATIENCE)
    {
        tracing::error!(%container_id, %error, "processes of the container are left");
    }
    for isolator in inner.isolation.isolators.iter().rev() {
        isolator.cleanup(container_id);
    }
}
