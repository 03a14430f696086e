//! What the runtime directory tells a new agent: containers to take up, ends to remember, and what has to go.
//!
//! Source: shared facts, `disk_layout.md` section 3.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use mesos::ids::ContainerId;
use mesos_proto::v0::slave::containerizer::{ContainerConfig, ContainerTermination};

use crate::checkpoint;
use crate::containerizer::{ContainerKind, LaunchRequest};
use crate::paths;
use crate::termination::Termination;

/// A container of an earlier life that nobody names but its folder.
#[derive(Debug)]
pub(crate) struct Left {
    /// The container.
    pub container_id: ContainerId,
    /// As far as its folder tells how it was launched.
    pub request: LaunchRequest,
    /// Process id of its init; unset when the agent ended before there was one.
    pub pid: Option<i32>,
}

/// What was found, outer containers before the inner ones.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Standalone containers, and those nested in something that is taken up.
    pub left: Vec<Left>,
    /// Nested containers that ended before.
    pub ended: Vec<(ContainerId, Termination)>,
    /// Looks into containers: they end, and their ends are kept.
    pub forced: Vec<ContainerId>,
    /// Nobody knows them, inner ones first.
    pub orphans: Vec<ContainerId>,
}

/// Looks through the runtime directory; `known` are the outermost containers that the agent names.
pub(crate) fn scan(runtime_dir: &Path, known: &BTreeSet<ContainerId>) -> io::Result<Scan> {
    let mut scan = Scan::default();
    for name in names(&paths::containers_dir(runtime_dir))? {
        let container_id = ContainerId::new(name);
        let folder = paths::container_dir(runtime_dir, &container_id);
        if known.contains(&container_id) {
            look_inside(&folder, &container_id, &mut scan)?;
        } else if paths::standalone_marker(&folder).exists() {
            scan.left
                .push(left(&folder, container_id.clone(), ContainerKind::Standalone)?);
            look_inside(&folder, &container_id, &mut scan)?;
        } else {
            collect_orphans(&folder, container_id, &mut scan.orphans)?;
        }
    }
    Ok(scan)
}

fn look_inside(folder: &Path, container_id: &ContainerId, scan: &mut Scan) -> io::Result<()> {
    for name in names(&paths::nested_dir(folder))? {
        let nested = container_id.child(name);
        let folder = paths::nested_dir(folder).join(nested.value());
        if let Some(termination) = checkpoint::read_message::<ContainerTermination>(&paths::termination(&folder))? {
            scan.ended.push((nested.clone(), Termination::from_proto(&termination)));
        } else if paths::force_destroy_on_recovery(&folder).exists() {
            scan.forced.push(nested.clone());
        } else {
            scan.left.push(left(&folder, nested.clone(), ContainerKind::Managed)?);
        }
        look_inside(&folder, &nested, scan)?;
    }
    Ok(())
}

fn left(folder: &Path, container_id: ContainerId, kind: ContainerKind) -> io::Result<Left> {
    Ok(Left {
        container_id,
        request: request_of(folder, kind)?,
        pid: checkpoint::read_number(&paths::pid(folder))?,
    })
}

/// How a container was launched, as far as its folder tells.
pub(crate) fn request_of(folder: &Path, kind: ContainerKind) -> io::Result<LaunchRequest> {
    let config = checkpoint::read_message::<ContainerConfig>(&paths::config(folder))?.unwrap_or_default();
    let limits = config.limits.iter().map(|(name, limit)| (name.clone(), limit.value()));
    let limits: BTreeMap<String, f64> = limits.collect();
    Ok(LaunchRequest {
        kind,
        sandbox: config.directory().into(),
        user: config.user.clone(),
        limits,
        resources: config.resources,
        ..LaunchRequest::default()
    })
}

fn collect_orphans(folder: &Path, container_id: ContainerId, orphans: &mut Vec<ContainerId>) -> io::Result<()> {
    let nested = paths::nested_dir(folder);
    for name in names(&nested)? {
        let folder = nested.join(&name);
        collect_orphans(&folder, container_id.child(name), orphans)?;
    }
    orphans.push(container_id);
    Ok(())
}

/// Names in a folder, sorted; none when it is not there.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}
