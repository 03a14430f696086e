//! `disk/du`: measures what containers keep on disk, and ends those that keep more than they asked for.
//!
//! Measured are the sandbox against the container's plain `disk` resources and each persistent volume against its own.
//! Links are not followed, so a volume that is linked into the sandbox counts for itself only. Volumes that are whole
//! mounts are measured and never limited: their file system does that.
//!
//! Source: shared facts, `containerizer_isolators.tsv`, `flags_agent.tsv`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesos::ids::ContainerId;
use mesos_proto::v0::mesos::resource::disk_info::source::Type as SourceType;
use mesos_proto::v0::mesos::task_status::Reason;
use mesos_proto::v0::mesos::{DiskStatistics, Resource, ResourceStatistics};

use super::{Isolated, Isolator, IsolatorError, Limitation};
use crate::process_tree::ProcessStat;

/// Bytes in one unit of the resource `disk`.
const DISK_UNIT_BYTES: f64 = 1_048_576.0;

/// Bytes in one block of a file's metadata, whatever the file system's own blocks are.
const BLOCK_BYTES: u64 = 512;

/// Measures sandboxes and volumes of outermost containers.
#[derive(Debug)]
pub struct DiskDu {
    enforce: bool,
    interval: Duration,
    containers: Mutex<BTreeMap<ContainerId, Guarded>>,
    /// Held while files are counted: one count at a time is load enough for a disk.
    counting: Mutex<()>,
}

/// What is known of one container.
#[derive(Debug, Default)]
struct Guarded {
    sandbox: PathBuf,
    places: BTreeMap<PathBuf, Place>,
}

/// A folder with a quota.
#[derive(Clone, Debug, Default)]
struct Place {
    quota: Vec<Resource>,
    limit_bytes: u64,
    used_bytes: Option<u64>,
}

impl Place {
    fn is_mount(&self) -> bool {
        self.quota
            .iter()
            .any(|resource| resource.disk.source.is_some() && resource.disk.source.type_() == SourceType::MOUNT)
    }
}

impl DiskDu {
    /// Looks every `interval`; `enforce` says whether more than the quota ends the container.
    #[must_use]
    pub fn new(enforce: bool, interval: Duration) -> Self {
        Self {
            enforce,
            interval,
            containers: Mutex::default(),
            counting: Mutex::default(),
        }
    }

    fn containers(&self) -> MutexGuard<'_, BTreeMap<ContainerId, Guarded>> {
        self.containers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_quotas(&self, container: Isolated<'_>) {
        if container.container_id.is_nested() {
            return;
        }
        let mut containers = self.containers();
        let guarded = containers.entry(container.container_id.clone()).or_default();
        container.sandbox.clone_into(&mut guarded.sandbox);
        let mut places: BTreeMap<PathBuf, Place> = BTreeMap::new();
        for resource in container.resources.iter().filter(|resource| resource.name() == "disk") {
            let path = match resource.disk.as_ref().and_then(|disk| disk.volume.as_ref()) {
                // An absolute path stays what it is.
                Some(volume) => guarded.sandbox.join(volume.container_path()),
                None => guarded.sandbox.clone(),
            };
            let used_bytes = guarded.places.get(&path).and_then(|place| place.used_bytes);
            let place = places.entry(path).or_default();
            place.used_bytes = used_bytes;
            place.limit_bytes = place.limit_bytes.saturating_add(bytes_of_disk(resource.scalar.value()));
            place.quota.push(resource.clone());
        }
        guarded.places = places;
    }

    /// Counts one place; `None` when it cannot be counted or is gone.
    fn count(&self, path: &Path, others: &[PathBuf]) -> Option<u64> {
        let _one_at_a_time = self.counting.lock().unwrap_or_else(PoisonError::into_inner);
        match disk_usage(path, others) {
            Ok(used) => Some(used),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "disk usage cannot be measured");
                None
            }
        }
    }
}

impl Isolator for DiskDu {
    fn name(&self) -> &'static str {
        "disk/du"
    }

    fn recover(&self, container: Isolated<'_>) -> Result<(), IsolatorError> {
        self.set_quotas(container);
        Ok(())
    }

    fn prepare(&self, container: Isolated<'_>) -> Result<(), IsolatorError> {
        self.set_quotas(container);
        Ok(())
    }

    fn update(&self, container: Isolated<'_>) -> Result<(), IsolatorError> {
        self.set_quotas(container);
        Ok(())
    }

    fn watch_interval(&self) -> Option<Duration> {
        Some(self.interval)
    }

    fn watch(&self, container_id: &ContainerId) -> Option<Limitation> {
        let paths: Vec<PathBuf> = self.containers().get(container_id)?.places.keys().cloned().collect();
        for path in &paths {
            let others: Vec<PathBuf> = paths.iter().filter(|other| *other != path).cloned().collect();
            let Some(used) = self.count(path, &others) else {
                continue;
            };
            // The quota may have changed, and the container may have gone, while files were counted.
            let mut containers = self.containers();
            let Some(place) = containers
                .get_mut(container_id)
                .and_then(|guarded| guarded.places.get_mut(path))
            else {
                continue;
            };
            place.used_bytes = Some(used);
            if self.enforce && used > place.limit_bytes && !place.is_mount() {
                return Some(limitation(path, used, place));
            }
        }
        None
    }

    fn usage(&self, container_id: &ContainerId, _processes: &[ProcessStat], statistics: &mut ResourceStatistics) {
        let containers = self.containers();
        let Some(guarded) = containers.get(container_id) else {
            return;
        };
        for (path, place) in &guarded.places {
            let mut disk = DiskStatistics::new();
            disk.set_limit_bytes(place.limit_bytes);
            disk.used_bytes = place.used_bytes;
            if let Some(info) = place.quota.first().and_then(|resource| resource.disk.as_ref()) {
                disk.source.clone_from(&info.source);
                disk.persistence.clone_from(&info.persistence);
            }
            statistics.disk_statistics.push(disk);
            if *path == guarded.sandbox {
                statistics.set_disk_limit_bytes(place.limit_bytes);
                statistics.disk_used_bytes = place.used_bytes;
            }
        }
    }

    fn cleanup(&self, container_id: &ContainerId) {
        self.containers().remove(container_id);
    }
}

fn limitation(path: &Path, used: u64, place: &Place) -> Limitation {
    Limitation {
        resources: place.quota.clone(),
        reason: Reason::REASON_CONTAINER_LIMITATION_DISK,
        message: format!(
            "Disk usage of '{}' is {}, its quota is {}",
            path.display(),
            mesos::bytes::to_text(used),
            mesos::bytes::to_text(place.limit_bytes)
        ),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion saturates at both ends"
)]
fn bytes_of_disk(amount: f64) -> u64 {
    (amount * DISK_UNIT_BYTES) as u64
}

/// Bytes that a folder and everything below it occupy, without `excluded` folders. Links are counted and not
/// followed, except `root` itself; a file with several names counts once. What vanishes meanwhile is left out.
///
/// # Errors
///
/// Gives the failure to look at `root` itself.
fn disk_usage(root: &Path, excluded: &[PathBuf]) -> io::Result<u64> {
    let mut used = fs::metadata(root)?.blocks() * BLOCK_BYTES;
    let mut folders = vec![root.to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if excluded.contains(&path) && metadata.is_dir() {
                continue;
            }
            if metadata.nlink() > 1 && !metadata.is_dir() && !seen.insert((metadata.dev(), metadata.ino())) {
                continue;
            }
            used += metadata.blocks() * BLOCK_BYTES;
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    Ok(used)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::symlink;

    use mesos_proto::v0::mesos::value;

    use super::*;

    const MB: usize = 1024 * 1024;

    fn fill(path: &Path, bytes: usize) {
        let mut file = fs::File::create(path).expect("file");
        file.write_all(&vec![7; bytes]).expect("written");
        // Blocks are counted once they are on the disk.
        file.sync_all().expect("synced");
    }

    fn disk(megabytes: f64, volume: Option<(&str, Option<SourceType>)>) -> Resource {
        let mut resource = Resource::new();
        resource.set_name("disk".to_owned());
        resource.set_type(value::Type::SCALAR);
        resource.scalar.mut_or_insert_default().set_value(megabytes);
        if let Some((path, source)) = volume {
            let info = resource.disk.mut_or_insert_default();
            info.persistence.mut_or_insert_default().set_id("p".to_owned());
            info.volume.mut_or_insert_default().set_container_path(path.to_owned());
            if let Some(kind) = source {
                info.source.mut_or_insert_default().set_type(kind);
            }
        }
        resource
    }

    fn watched(enforce: bool, sandbox: &Path, resources: &[Resource]) -> (DiskDu, ContainerId) {
        let isolator = DiskDu::new(enforce, Duration::from_secs(15));
        let id = ContainerId::new("c");
        let container = Isolated {
            container_id: &id,
            sandbox,
            parent_sandbox: None,
            resources,
            limits: &BTreeMap::new(),
            container_info: None,
        };
        isolator.prepare(container).expect("prepared");
        (isolator, id)
    }

    #[test]
    fn usage_counts_names_of_a_file_once_and_follows_no_links() {
        let folder = tempfile::tempdir().expect("folder");
        let (root, away) = (folder.path().join("root"), folder.path().join("away"));
        fs::create_dir_all(root.join("deep")).expect("folders");
        fs::create_dir_all(&away).expect("folders");
        let empty = disk_usage(&root, &[]).expect("usage");
        fill(&away.join("big"), 2 * MB);
        symlink(&away, root.join("link")).expect("link");
        fill(&root.join("deep/file"), MB);
        fs::hard_link(root.join("deep/file"), root.join("second")).expect("second name");
        let used = disk_usage(&root, &[]).expect("usage") - empty;
        assert!((MB as u64..MB as u64 + 65_536).contains(&used), "{used}");
        let without = disk_usage(&root, &[root.join("deep")]).expect("usage");
        assert!(without >= empty, "the second name still counts");
        // A link itself may be the root.
        assert!(disk_usage(&root.join("link"), &[]).expect("usage") >= 2 * MB as u64);
        assert!(disk_usage(&root.join("nowhere"), &[]).is_err());
    }

    #[test]
    fn a_sandbox_over_its_quota_is_told_with_its_resources() {
        let folder = tempfile::tempdir().expect("folder");
        let quota = [disk(1.0, None), disk(1.0, None)];
        let (isolator, id) = watched(true, folder.path(), &quota);
        fill(&folder.path().join("a"), MB);
        assert_eq!(isolator.watch(&id), None);
        fill(&folder.path().join("b"), 2 * MB);
        let broken = isolator.watch(&id).expect("too much");
        assert_eq!(broken.reason, Reason::REASON_CONTAINER_LIMITATION_DISK);
        assert_eq!(broken.resources, quota);
        assert!(broken.message.ends_with("its quota is 2MB"), "{}", broken.message);
        let mut statistics = ResourceStatistics::new();
        isolator.usage(&id, &[], &mut statistics);
        assert_eq!(statistics.disk_limit_bytes(), 2 * MB as u64);
        assert!(statistics.disk_used_bytes() >= 3 * MB as u64);
        assert_eq!(statistics.disk_statistics.len(), 1);
        isolator.cleanup(&id);
        assert_eq!(isolator.watch(&id), None);
    }

    #[test]
    fn quotas_beyond_any_disk_stay_at_the_most_that_can_be_told() {
        let folder = tempfile::tempdir().expect("folder");
        let (isolator, id) = watched(true, folder.path(), &[disk(1e30, None), disk(1e30, None)]);
        assert_eq!(isolator.watch(&id), None);
        let mut statistics = ResourceStatistics::new();
        isolator.usage(&id, &[], &mut statistics);
        assert_eq!(statistics.disk_limit_bytes(), u64::MAX);
    }

    #[test]
    fn without_enforcement_and_on_mounts_it_is_only_measured() {
        let folder = tempfile::tempdir().expect("folder");
        fill(&folder.path().join("a"), 2 * MB);
        let (isolator, id) = watched(false, folder.path(), &[disk(1.0, None)]);
        assert_eq!(isolator.watch(&id), None);
        let mut statistics = ResourceStatistics::new();
        isolator.usage(&id, &[], &mut statistics);
        assert!(statistics.disk_used_bytes() >= 2 * MB as u64);
        let volume = folder.path().join("volume");
        fs::create_dir(&volume).expect("volume");
        fill(&volume.join("a"), 2 * MB);
        for (source, limited) in [
            (None, true),
            (Some(SourceType::PATH), true),
            (Some(SourceType::MOUNT), false),
        ] {
            let (isolator, id) = watched(true, folder.path(), &[disk(1.0, Some(("volume", source)))]);
            assert_eq!(isolator.watch(&id).is_some(), limited, "{source:?}");
        }
    }
}
