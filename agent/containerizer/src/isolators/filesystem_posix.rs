//! `filesystem/posix`: containers share the host's file system; persistent volumes appear in the sandbox as links.
//!
//! Making and removing the folders of volumes is the agent's affair. A folder that is missing, an unmounted disk say,
//! fails the container: making it here would hide that data is gone.
//!
//! Source: shared facts, `disk_layout.md` section 2 (folders of volumes).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, chown, symlink};
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mesos::ids::ContainerId;
use mesos::resources::Resource;
use mesos_proto::v0::mesos::ContainerInfo;
use mesos_proto::v0::mesos::container_info::Type as ContainerType;
use mesos_proto::v0::mesos::volume::Mode;

use super::volume_sandbox_path::is_sandbox_path;
use super::{Isolated, Isolator, IsolatorError};
use crate::paths::refuse_links;

const NAME: &str = "filesystem/posix";

/// Links of one container to the folders of its volumes.
type Links = BTreeMap<PathBuf, PathBuf>;

/// Links persistent volumes into sandboxes.
#[derive(Debug)]
pub struct FilesystemPosix {
    work_dir: PathBuf,
    links: Mutex<BTreeMap<ContainerId, Links>>,
}

/// One persistent volume of a container.
struct Volume {
    link: PathBuf,
    target: PathBuf,
    mode: Mode,
}

fn unsupported(what: String) -> IsolatorError {
    IsolatorError::Unsupported { isolator: NAME, what }
}

impl FilesystemPosix {
    /// Volumes on the root disk stand below `work_dir`.
    #[must_use]
    pub fn new(work_dir: &Path) -> Self {
        Self {
            work_dir: work_dir.to_owned(),
            links: Mutex::default(),
        }
    }

    fn links(&self) -> MutexGuard<'_, BTreeMap<ContainerId, Links>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn volume(
        &self,
        sandbox: &Path,
        message: &mesos_proto::v0::mesos::Resource,
    ) -> Result<Option<Volume>, IsolatorError> {
        let disk = message.disk.get_or_default();
        if disk.persistence.is_none() || disk.volume.is_none() {
            return Ok(None);
        }
        let container_path = Path::new(disk.volume.container_path());
        let mut parts = container_path.components();
        if container_path.as_os_str().is_empty() || !parts.all(|part| matches!(part, Component::Normal(_))) {
            let path = container_path.display();
            return Err(unsupported(format!(
                "the container path '{path}' of a persistent volume"
            )));
        }
        let resource = Resource::from_protobuf(message).map_err(|error| unsupported(error.to_string()))?;
        let folder = resource
            .volume_folder(&self.work_dir)
            .map_err(|error| unsupported(error.to_string()))?;
        Ok(Some(Volume {
            link: sandbox.join(container_path),
            target: folder.path,
            mode: disk.volume.mode(),
        }))
    }

    fn link_volumes(&self, container: Isolated<'_>) -> Result<(), IsolatorError> {
        if container.container_id.is_nested() {
            // Persistent volumes stand in the outermost sandbox, whose executor hands them on as SANDBOX_PATH volumes.
            return Ok(());
        }
        let mut wanted = Links::new();
        for resource in container.resources {
            let Some(volume) = self.volume(container.sandbox, resource)? else {
                continue;
            };
            let known = self.links().get(container.container_id).cloned().unwrap_or_default();
            if known.get(&volume.link) != Some(&volume.target) {
                let linked = self
                    .give_to_container(&volume, container)
                    .and_then(|()| link(container.sandbox, &volume));
                linked.map_err(|source| IsolatorError::Volume {
                    path: volume.link.clone(),
                    source,
                })?;
            }
            wanted.insert(volume.link, volume.target);
        }
        let known = self.links().insert(container.container_id.clone(), wanted.clone());
        let gone = known.unwrap_or_default().into_iter();
        for (path, target) in gone.filter(|(path, _)| !wanted.contains_key(path)) {
            if let Err(error) = unlink(container.sandbox, &path, &target) {
                tracing::warn!(path = %path.display(), %error, "link of a removed volume stays");
            }
        }
        Ok(())
    }

    /// Makes the owner of the sandbox the owner of the volume. One that other containers use keeps its owner.
    fn give_to_container(&self, volume: &Volume, container: Isolated<'_>) -> io::Result<()> {
        let sandbox = fs::metadata(container.sandbox)?;
        let folder = fs::metadata(&volume.target)?;
        // Root reaches everything as it is.
        let owned = sandbox.uid() == 0 || (folder.uid(), folder.gid()) == (sandbox.uid(), sandbox.gid());
        let in_use = self
            .links()
            .iter()
            .any(|(owner, links)| owner != container.container_id && links.values().any(|used| *used == volume.target));
        if owned || in_use {
            return Ok(());
        }
        chown(&volume.target, Some(sandbox.uid()), Some(sandbox.gid()))
    }
}

/// Refuses settings that the container would miss.
fn refuse_settings(info: &ContainerInfo) -> Result<(), IsolatorError> {
    let refuse = |what: &str| Err(unsupported(what.to_owned()));
    if info.type_() != ContainerType::MESOS {
        return refuse("containers of another type than MESOS");
    }
    if info.mesos.image.is_some() {
        return refuse("images");
    }
    if !info.volumes.iter().all(is_sandbox_path) {
        return refuse("volumes of a ContainerInfo that are not of type SANDBOX_PATH");
    }
    if info.tty_info.is_some() {
        return refuse("container.tty_info: there are no terminals yet");
    }
    // Without a name the container shares the host's network, whatever else is said of it.
    let mut named = info.network_infos.iter().filter(|network| !network.name().is_empty());
    match named.next() {
        Some(network) => refuse(&format!(
            "container.network_infos.name '{}': all containers share the host's network",
            network.name()
        )),
        None => Ok(()),
    }
}

/// Names settings in the log that have no effect in the original either without the isolators that read them.
fn tell_ignored(container_id: &ContainerId, info: &ContainerInfo) {
    if info.linux_info.is_some() {
        tracing::warn!(%container_id, "linux_info has no effect without the isolators that read it");
    }
    if info.has_hostname() {
        tracing::warn!(%container_id, "hostname has no effect on a container in the host's network");
    }
}

fn link(sandbox: &Path, volume: &Volume) -> io::Result<()> {
    if fs::read_link(&volume.link).is_ok_and(|target| target == volume.target) {
        return Ok(());
    }
    if volume.mode == Mode::RO {
        tracing::warn!(path = %volume.link.display(), "a link cannot keep a container from writing to a volume");
    }
    if let Some(folder) = volume.link.parent() {
        refuse_links(sandbox, folder)?;
        fs::create_dir_all(folder)?;
    }
    symlink(&volume.target, &volume.link)
}

/// Removes a link that was made here. Its place may hold something else by now, which belongs to the sandbox's owner.
fn unlink(sandbox: &Path, link: &Path, target: &Path) -> io::Result<()> {
    if let Some(folder) = link.parent() {
        refuse_links(sandbox, folder)?;
    }
    if fs::read_link(link)? != target {
        return Err(io::Error::other("it leads elsewhere"));
    }
    fs::remove_file(link)
}

impl Isolator for FilesystemPosix {
    fn name(&self) -> &'static str {
        NAME
    }

    fn recover(&self, container: Isolated<'_>) -> Result<(), IsolatorError> {
        // The container runs and has its links; whatever is wrong with them now is no reason to give it up.
        self.link_volumes(container).or_else(|error| {
            tracing::warn!(container_id = %container.container_id, %error, "volumes of a recovered container");
            Ok(())
        })
    }

    fn prepare(&self, container: Isolated<'_>) -> Result<(), IsolatorError> {
        if let Some(info) = container.container_info {
            refuse_settings(info)?;
            tell_ignored(container.container_id, info);
        }
        self.link_volumes(container)
    }

    fn update(&self, container: Isolated<'_>) -> Result<(), IsolatorError> {
        self.link_volumes(container)
    }

    fn cleanup(&self, container_id: &ContainerId) {
        // The links go with the sandbox; only the memory of them goes here.
        self.links().remove(container_id);
    }
}

#[cfg(test)]
mod tests {
    use mesos_proto::v0::mesos as pb;

    use super::*;

    struct Bench {
        folder: tempfile::TempDir,
        isolator: FilesystemPosix,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let isolator = FilesystemPosix::new(&folder.path().join("work"));
            Self { folder, isolator }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        /// The folder of a volume on the root disk, made.
        fn made(&self, id: &str) -> PathBuf {
            let path = self.path("work/volumes/roles/eng dev").join(id);
            fs::create_dir_all(&path).expect("made");
            path
        }

        fn update(&self, container: &str, volumes: &[pb::Resource]) -> Result<(), IsolatorError> {
            let sandbox = self.path(container);
            fs::create_dir_all(&sandbox).expect("made");
            self.isolator.update(Isolated {
                container_id: &ContainerId::new(container),
                sandbox: &sandbox,
                parent_sandbox: None,
                resources: volumes,
                limits: &BTreeMap::new(),
                container_info: None,
            })
        }
    }

    fn volume(id: &str, container_path: &str, source: &str) -> pb::Resource {
        let text = format!(
            r#"{{"name":"disk","type":"SCALAR","scalar":{{"value":64}},
            "reservations":[{{"type":"DYNAMIC","role":"eng/dev"}}],
            "disk":{{{source}"persistence":{{"id":"{id}"}},
            "volume":{{"container_path":"{container_path}","mode":"RW"}}}}}}"#
        );
        mesos::json::from_str(&text).expect("a resource")
    }

    #[test]
    fn volumes_come_and_go_with_the_tasks_of_a_container() {
        let bench = Bench::new();
        let (one, two) = (bench.made("one"), bench.made("two"));
        bench.update("c", &[volume("one", "data", "")]).expect("linked");
        assert_eq!(fs::read_link(bench.path("c/data")).expect("a link"), one);
        fs::write(bench.path("c/data/file"), b"kept").expect("written");
        bench
            .update("c", &[volume("one", "data", ""), volume("two", "deep/er", "")])
            .expect("linked");
        assert_eq!(fs::read_link(bench.path("c/deep/er")).expect("a link"), two);
        bench.update("c", &[volume("two", "deep/er", "")]).expect("linked");
        assert!(
            fs::symlink_metadata(bench.path("c/data")).is_err(),
            "its task has ended"
        );
        assert_eq!(fs::read(one.join("file")).expect("the data stays"), b"kept");
    }

    #[test]
    fn settings_that_a_container_would_miss_are_refused_by_name() {
        let bench = Bench::new();
        let prepare = |json: &str| {
            let info: ContainerInfo = mesos::json::from_str(json).expect("settings");
            let prepared = bench.isolator.prepare(Isolated {
                container_id: &ContainerId::new("c"),
                sandbox: bench.folder.path(),
                parent_sandbox: None,
                resources: &[],
                limits: &BTreeMap::new(),
                container_info: Some(&info),
            });
            prepared.map_err(|error| error.to_string())
        };
        for (json, named) in [
            (r#"{"type":"DOCKER"}"#, "another type"),
            (r#"{"type":"MESOS","tty_info":{}}"#, "container.tty_info"),
            (
                r#"{"type":"MESOS","network_infos":[{},{"name":"blue"}]}"#,
                "container.network_infos.name 'blue'",
            ),
        ] {
            let refused = prepare(json).expect_err(json);
            assert!(refused.contains(named), "{refused}");
        }
        for json in [
            r#"{"type":"MESOS"}"#,
            r#"{"type":"MESOS","network_infos":[{"name":""},{"labels":{"labels":[{"key":"k","value":"v"}]}}]}"#,
            r#"{"type":"MESOS","hostname":"h","linux_info":{"share_cgroups":true,"share_pid_namespace":true}}"#,
        ] {
            prepare(json).expect(json);
        }
    }

    #[test]
    fn what_the_sandboxes_owner_swaps_leads_nowhere() {
        let bench = Bench::new();
        let one = bench.made("one");
        let host = bench.path("host");
        fs::create_dir(&host).expect("made");
        fs::write(host.join("passwd"), "kept").expect("written");
        bench.update("c", &[volume("one", "d/passwd", "")]).expect("linked");
        fs::rename(bench.path("c/d"), bench.path("c/mine")).expect("moved");
        symlink(&host, bench.path("c/d")).expect("a link");
        bench.update("c", &[]).expect("updated");
        assert_eq!(fs::read_to_string(host.join("passwd")).expect("there"), "kept");
        let refused = bench.update("c", &[volume("one", "d/new", "")]).expect_err("a link");
        let IsolatorError::Volume { source, .. } = refused else {
            panic!("a volume")
        };
        assert_eq!(
            source.to_string(),
            format!("'{}' is a link", bench.path("c/d").display())
        );
        assert!(fs::symlink_metadata(host.join("new")).is_err());
        // A link that the owner made in the place of ours stays as it is.
        bench.update("c", &[volume("one", "data", "")]).expect("linked");
        assert_eq!(fs::read_link(bench.path("c/data")).expect("a link"), one);
        fs::remove_file(bench.path("c/data")).expect("removed");
        symlink(&host, bench.path("c/data")).expect("a link");
        bench.update("c", &[]).expect("updated");
        assert_eq!(fs::read_link(bench.path("c/data")).expect("a link"), host);
    }

    #[test]
    fn disks_of_their_own_are_linked_at_their_roots() {
        let bench = Bench::new();
        let (mount, path) = (bench.path("mnt"), bench.path("data"));
        fs::create_dir_all(&mount).expect("made");
        fs::create_dir_all(path.join("volumes/roles/eng dev/v")).expect("made");
        let source = |kind: &str, root: &Path| {
            let lower = kind.to_lowercase();
            let root = root.display();
            format!(r#""source":{{"type":"{kind}","{lower}":{{"root":"{root}"}}}},"#)
        };
        let volumes = [
            volume("m", "m", &source("MOUNT", &mount)),
            volume("v", "p", &source("PATH", &path)),
        ];
        bench.update("c", &volumes).expect("linked");
        assert_eq!(fs::read_link(bench.path("c/m")).expect("a link"), mount);
        let expected = path.join("volumes/roles/eng dev/v");
        assert_eq!(fs::read_link(bench.path("c/p")).expect("a link"), expected);
    }

    #[test]
    fn a_shared_volume_is_linked_into_every_sandbox() {
        let bench = Bench::new();
        let folder = bench.made("s");
        for container in ["a", "b"] {
            bench.update(container, &[volume("s", "shared", "")]).expect("linked");
        }
        fs::write(bench.path("a/shared/file"), b"seen").expect("written");
        assert_eq!(fs::read(bench.path("b/shared/file")).expect("there"), b"seen");
        bench.isolator.cleanup(&ContainerId::new("a"));
        assert!(folder.join("file").exists());
    }

    #[test]
    fn what_cannot_be_linked_says_why() {
        let bench = Bench::new();
        bench.made("v");
        fs::create_dir_all(bench.path("taken/data")).expect("made");
        for (container, volume, reason) in [
            ("c", volume("v", "/absolute", ""), "container path '/absolute'"),
            ("c", volume("v", "../up", ""), "container path '../up'"),
            ("c", volume("v", "", ""), "container path ''"),
            ("c", volume("missing", "data", ""), "failed to link a volume"),
            ("taken", volume("v", "data", ""), "failed to link a volume"),
            (
                "c",
                volume("r", "data", r#""source":{"type":"RAW"},"#),
                "disk of type RAW",
            ),
        ] {
            let error = bench.update(container, &[volume]).expect_err("refused").to_string();
            assert!(error.contains(reason), "{error}");
        }
        let missing = bench.path("work/volumes/roles/eng dev/missing");
        assert!(!missing.exists(), "making it would hide that data is gone");
    }

    #[test]
    fn the_owner_of_the_sandbox_gets_the_volume_unless_others_use_it() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: only root gives files away");
            return;
        }
        let bench = Bench::new();
        let folder = bench.made("v");
        for (container, user) in [("a", 4711), ("b", 4712)] {
            fs::create_dir_all(bench.path(container)).expect("made");
            chown(bench.path(container), Some(user), Some(user)).expect("given");
            bench.update(container, &[volume("v", "data", "")]).expect("linked");
        }
        let owner = || fs::metadata(&folder).expect("there").uid();
        assert_eq!(owner(), 4711);
        bench.isolator.cleanup(&ContainerId::new("a"));
        bench.isolator.cleanup(&ContainerId::new("b"));
        bench.update("b", &[volume("v", "data", "")]).expect("linked");
        assert_eq!(owner(), 4712);
    }
}
