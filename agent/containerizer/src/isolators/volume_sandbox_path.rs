//! `volume/sandbox_path`: a folder of the own sandbox, or of the sandbox around it, appears at another place of the
//! sandbox as a link. Containers of one executor share files that way.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, lchown, symlink};
use std::path::{Component, Path, PathBuf};

use mesos_proto::v0::mesos::Volume;
use mesos_proto::v0::mesos::volume::Mode;
use mesos_proto::v0::mesos::volume::source::Type as SourceType;
use mesos_proto::v0::mesos::volume::source::sandbox_path::Type as PathType;

use super::{Isolated, Isolator, IsolatorError};
use crate::paths::refuse_links;

/// Links folders between sandboxes.
#[derive(Clone, Copy, Debug)]
pub struct VolumeSandboxPath;

/// Whether a volume stands in a sandbox: it says so, or it has the older form of a host path that is relative.
pub(super) fn is_sandbox_path(volume: &Volume) -> bool {
    let older = volume.has_host_path() && Path::new(volume.host_path()).is_relative();
    older
        || volume
            .source
            .as_ref()
            .is_some_and(|source| source.type_() == SourceType::SANDBOX_PATH)
}

/// Where a volume comes from: the sandbox that holds it and the path in it.
fn source_of<'a>(container: &Isolated<'a>, volume: &'a Volume) -> Result<(&'a Path, &'a str), String> {
    let described = volume
        .source
        .as_ref()
        .filter(|source| source.type_() == SourceType::SANDBOX_PATH);
    let Some(source) = described else {
        return Ok((container.sandbox, volume.host_path()));
    };
    let sandbox_path = source
        .sandbox_path
        .as_ref()
        .ok_or("a SANDBOX_PATH volume without 'sandbox_path'")?;
    let sandbox = match sandbox_path.type_() {
        PathType::SELF => container.sandbox,
        PathType::PARENT => container
            .parent_sandbox
            .ok_or("a SANDBOX_PATH volume of type PARENT in a container without a parent")?,
        PathType::UNKNOWN => return Err("a SANDBOX_PATH volume without a known 'sandbox_path.type'".to_owned()),
    };
    Ok((sandbox, sandbox_path.path()))
}

/// A path that leads to somewhere below the folder that it starts from.
fn below(path: &str) -> Option<&Path> {
    let path = Path::new(path);
    let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    path.components().all(inside).then_some(path)
}

/// Links `target`, which stands below `target_root`, to the folder `source` below `source_root`. What is made for that
/// is made as the agent, and so never through links of the sandboxes' owners.
fn link(source_root: &Path, source: &Path, target_root: &Path, target: &Path) -> io::Result<()> {
    if !source.exists() {
        refuse_links(source_root, source)?;
        fs::create_dir_all(source)?;
        let owner = fs::metadata(source_root)?;
        lchown(source, Some(owner.uid()), Some(owner.gid()))?;
    }
    if fs::read_link(target).is_ok_and(|known| known == source) {
        return Ok(());
    }
    if let Some(folder) = target.parent() {
        refuse_links(target_root, folder)?;
        fs::create_dir_all(folder)?;
    }
    symlink(source, target)
}

impl Isolator for VolumeSandboxPath {
    fn name(&self) -> &'static str {
        "volume/sandbox_path"
    }

    fn prepare(&self, container: Isolated<'_>) -> Result<(), IsolatorError> {
        let refuse = |what: String| IsolatorError::Unsupported {
            isolator: self.name(),
            what,
        };
        let volumes = container
            .container_info
            .map(|info| info.volumes.as_slice())
            .unwrap_or_default();
        for volume in volumes.iter().filter(|volume| is_sandbox_path(volume)) {
            let (root, path) = source_of(&container, volume).map_err(refuse)?;
            let source = below(path).ok_or_else(|| {
                refuse(format!(
                    "the path '{path}' of a SANDBOX_PATH volume, which leads out of the sandbox"
                ))
            })?;
            let container_path = volume.container_path();
            let place = below(container_path)
                .filter(|place| *place != Path::new(""))
                .ok_or_else(|| {
                    refuse(format!(
                        "the container path '{container_path}' of a SANDBOX_PATH volume without mounts"
                    ))
                })?;
            let target: PathBuf = container.sandbox.join(place);
            if volume.mode() == Mode::RO {
                tracing::warn!(container_id = %container.container_id, path = %target.display(),
                    "a link cannot keep a container from writing to a read-only volume");
            }
            // A nested sandbox stands in one whose owner may have swapped what is between them.
            let outer = container.parent_sandbox.unwrap_or(container.sandbox);
            link(root, &root.join(source), outer, &target)
                .map_err(|source| IsolatorError::Volume { path: target, source })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mesos::ids::ContainerId;
    use mesos_proto::v0::mesos::ContainerInfo;

    use super::*;

    fn volume(kind: PathType, path: &str, container_path: &str) -> Volume {
        let mut volume = Volume::new();
        volume.set_mode(Mode::RW);
        volume.set_container_path(container_path.to_owned());
        let source = volume.source.mut_or_insert_default();
        source.set_type(SourceType::SANDBOX_PATH);
        let sandbox_path = source.sandbox_path.mut_or_insert_default();
        sandbox_path.set_type(kind);
        sandbox_path.set_path(path.to_owned());
        volume
    }

    fn prepare(root: &Path, container: &str, volume: Volume) -> Result<(), String> {
        prepared(root, container, volume).map_err(|error| error.to_string())
    }

    fn prepared(root: &Path, container: &str, volume: Volume) -> Result<(), IsolatorError> {
        let container_id = ContainerId::parse(container).expect("an id");
        let sandbox = if container_id.is_nested() {
            root.join("containers/n")
        } else {
            root.to_owned()
        };
        fs::create_dir_all(&sandbox).expect("made");
        let mut info = ContainerInfo::new();
        info.volumes.push(volume);
        let isolated = Isolated {
            container_id: &container_id,
            sandbox: &sandbox,
            parent_sandbox: Some(root).filter(|_| container_id.is_nested()),
            resources: &[],
            limits: &BTreeMap::new(),
            container_info: Some(&info),
        };
        VolumeSandboxPath.prepare(isolated)
    }

    #[test]
    fn folders_of_both_sandboxes_appear_as_links() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        prepare(root, "p.n", volume(PathType::PARENT, "shared/deep", "here/data")).expect("linked");
        fs::write(root.join("containers/n/here/data/file"), "x").expect("written through the link");
        assert_eq!(fs::read_to_string(root.join("shared/deep/file")).expect("shared"), "x");
        prepare(root, "p.n", volume(PathType::PARENT, "shared/deep", "here/data")).expect("linked already");
        prepare(root, "p", volume(PathType::SELF, "own", "link")).expect("linked");
        assert_eq!(fs::read_link(root.join("link")).expect("a link"), root.join("own"));
        let mut older = Volume::new();
        older.set_host_path("old".to_owned());
        older.set_container_path("older".to_owned());
        prepare(root, "p", older).expect("linked");
        assert!(root.join("older").is_symlink() && root.join("old").is_dir());
    }

    #[test]
    fn nothing_is_made_through_links_of_the_sandboxes_owners() {
        let folder = tempfile::tempdir().expect("a folder");
        let (root, host) = (folder.path().join("sandbox"), folder.path().join("host"));
        fs::create_dir_all(root.join("containers/n")).expect("made");
        fs::create_dir(&host).expect("made");
        symlink(&host, root.join("evil")).expect("a link");
        symlink(host.join("new"), root.join("dangling")).expect("a link");
        symlink(&host, root.join("containers/n/a")).expect("a link");
        for (path, container_path, named) in [
            ("evil/new", "b", "evil"),
            ("dangling", "b", "dangling"),
            ("fine", "a/x", "containers/n/a"),
        ] {
            let refused = IsolatorError::Volume {
                path: root.join("containers/n").join(container_path),
                source: io::Error::other(format!("'{}' is a link", root.join(named).display())),
            };
            let error = prepared(&root, "p.n", volume(PathType::PARENT, path, container_path)).expect_err(named);
            assert_eq!(format!("{error:?}"), format!("{refused:?}"));
        }
        assert_eq!(fs::read_dir(&host).expect("there").count(), 0);
        // What is there already is only pointed to: the container follows it as its own account.
        prepare(&root, "p.n", volume(PathType::PARENT, "evil", "b")).expect("linked");
    }

    #[test]
    fn what_leads_elsewhere_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        for (container, wrong, named) in [
            ("p", volume(PathType::PARENT, "a", "b"), "without a parent"),
            ("p.n", volume(PathType::UNKNOWN, "a", "b"), "sandbox_path.type"),
            ("p.n", volume(PathType::PARENT, "../a", "b"), "'../a'"),
            ("p.n", volume(PathType::PARENT, "/etc", "b"), "'/etc'"),
            ("p.n", volume(PathType::PARENT, "a", "../../b"), "'../../b'"),
            ("p.n", volume(PathType::PARENT, "a", "/b"), "'/b'"),
            ("p.n", volume(PathType::PARENT, "a", ""), "''"),
        ] {
            let refused = prepare(folder.path(), container, wrong).expect_err(named);
            assert!(refused.contains(named), "{refused}");
        }
        fs::write(folder.path().join("containers/n/taken"), "").expect("written");
        let refused = prepare(folder.path(), "p.n", volume(PathType::PARENT, "a", "taken")).expect_err("taken");
        assert!(refused.contains("containers/n/taken"), "{refused}");
    }
}
