//! `filesystem/posix`: containers share the host's file system; persistent volumes appear in the sandbox as links.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use mesos::ids::ContainerId;
use mesos_proto::v0::mesos::resource::disk_info::source::Type as SourceType;
use mesos_proto::v0::mesos::{Resource, container_info::Type as ContainerType};

use super::volume_sandbox_path::is_sandbox_path;
use super::{Isolated, Isolator, IsolatorError};

/// Links persistent volumes into sandboxes.
#[derive(Debug)]
pub struct FilesystemPosix {
    work_dir: PathBuf,
    links: Mutex<BTreeSet<(ContainerId, PathBuf)>>,
}

/// One persistent volume of a container.
struct Volume {
    link: PathBuf,
    target: PathBuf,
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

    fn volume(&self, sandbox: &Path, resource: &Resource) -> Result<Option<Volume>, IsolatorError> {
        let disk = resource.disk.get_or_default();
        if disk.persistence.is_none() || disk.volume.is_none() {
            return Ok(None);
        }
        let container_path = Path::new(disk.volume.container_path());
        let mut parts = container_path.components();
        if container_path.as_os_str().is_empty() || !parts.all(|part| matches!(part, Component::Normal(_))) {
            let what = format!(
                "the container path '{}' of a persistent volume",
                container_path.display()
            );
            return Err(IsolatorError::Unsupported {
                isolator: "filesystem/posix",
                what,
            });
        }
        // '/' in a role would read as folders.
        let role = resource
            .reservations
            .last()
            .map_or_else(|| resource.role(), |last| last.role())
            .replace('/', " ");
        let id = disk.persistence.id();
        let source = disk.source.get_or_default();
        let below = |root: &Path| root.join("volumes/roles").join(&role).join(id);
        let target = match (disk.source.is_some(), source.type_()) {
            (false, _) => below(&self.work_dir),
            (true, SourceType::PATH) => below(&self.work_dir.join(source.path.root())),
            (true, SourceType::MOUNT) => self.work_dir.join(source.mount.root()),
            (true, other) => {
                let what = format!("persistent volumes on disks of type {other:?}");
                return Err(IsolatorError::Unsupported {
                    isolator: "filesystem/posix",
                    what,
                });
            }
        };
        Ok(Some(Volume {
            link: sandbox.join(container_path),
            target,
        }))
    }

    fn link_volumes(&self, container: Isolated<'_>) -> Result<(), IsolatorError> {
        if container.container_id.is_nested() {
            // Persistent volumes stand in the outermost sandbox, whose executor hands them on as SANDBOX_PATH volumes.
            return Ok(());
        }
        let mut wanted = BTreeSet::new();
        for resource in container.resources {
            let Some(volume) = self.volume(container.sandbox, resource)? else {
                continue;
            };
            link(&volume).map_err(|source| IsolatorError::Volume {
                path: volume.link.clone(),
                source,
            })?;
            wanted.insert((container.container_id.clone(), volume.link));
        }
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = |known: &&(ContainerId, PathBuf)| known.0 == *container.container_id && !wanted.contains(*known);
        let gone: Vec<_> = links.iter().filter(gone).cloned().collect();
        for known in gone {
            if let Err(error) = fs::remove_file(&known.1) {
                tracing::warn!(path = %known.1.display(), %error, "link of a removed volume stays");
            }
            links.remove(&known);
        }
        links.extend(wanted);
        Ok(())
    }
}

fn link(volume: &Volume) -> io::Result<()> {
    if fs::read_link(&volume.link).is_ok_and(|target| target == volume.target) {
        return Ok(());
    }
    fs::create_dir_all(&volume.target)?;
    if let Some(folder) = volume.link.parent() {
        fs::create_dir_all(folder)?;
    }
    symlink(&volume.target, &volume.link)
}

impl Isolator for FilesystemPosix {
    fn name(&self) -> &'static str {
        "filesystem/posix"
    }

    fn recover(&self, container: Isolated<'_>) -> Result<(), IsolatorError> {
        self.link_volumes(container)
    }

    fn prepare(&self, container: Isolated<'_>) -> Result<(), IsolatorError> {
        let refuse = |what: &str| IsolatorError::Unsupported {
            isolator: self.name(),
            what: what.to_owned(),
        };
        if let Some(info) = container.container_info {
            if info.type_() != ContainerType::MESOS {
                return Err(refuse("containers of another type than MESOS"));
            }
            if info.mesos.image.is_some() {
                return Err(refuse("images"));
            }
            if !info.volumes.iter().all(is_sandbox_path) {
                return Err(refuse("volumes of a ContainerInfo that are not of type SANDBOX_PATH"));
            }
        }
        self.link_volumes(container)
    }

    fn update(&self, container: Isolated<'_>) -> Result<(), IsolatorError> {
        self.link_volumes(container)
    }

    fn cleanup(&self, container_id: &ContainerId) {
        // The links go with the sandbox; only the memory of them goes here.
        self.links
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|(owner, _)| owner != container_id);
    }
}
