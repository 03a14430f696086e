//! A disk in memory, and a plain reader of the checkpoints on it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use mesos::ids::{ContainerId, ExecutorId, TaskId};
use mesos_agent_core::CheckpointWrite;
use mesos_agent_core::recovery::{
    RecoveredAgent, RecoveredExecutor, RecoveredFramework, RecoveredOperation, RecoveredRun, RecoveredState,
    RecoveredTask,
};
use mesos_proto::internal::slave::state::ResourceState;
use mesos_proto::v0::mesos as pb;

#[derive(Clone, Debug, Default)]
pub struct Disk {
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    pub links: BTreeMap<PathBuf, PathBuf>,
    pub sandboxes: BTreeMap<PathBuf, Option<String>>,
    /// Folders of persistent volumes and what tasks wrote there.
    pub volumes: BTreeMap<PathBuf, Vec<u8>>,
}

impl Disk {
    pub fn apply(&mut self, write: CheckpointWrite) {
        match write {
            CheckpointWrite::File { path, bytes, .. } => {
                self.files.insert(path, bytes);
            }
            CheckpointWrite::Append { path, bytes, .. } => self.files.entry(path).or_default().extend(bytes),
            CheckpointWrite::Symlink { link, target } => {
                self.links.insert(link, target);
            }
            CheckpointWrite::Rename { from, to } => {
                let bytes = self.files.remove(&from).expect("a file to rename");
                self.files.insert(to, bytes);
            }
            CheckpointWrite::Remove { path } => {
                self.files.retain(|file, _| !file.starts_with(&path));
                self.links.retain(|link, _| !link.starts_with(&path));
            }
            CheckpointWrite::MakeVolume { path } => {
                self.volumes.entry(path).or_default();
            }
            CheckpointWrite::RemoveVolume { path, is_mount } => {
                self.volumes.remove(&path);
                if is_mount {
                    self.volumes.insert(path, Vec::new());
                }
            }
            CheckpointWrite::Sandbox { path, user } => {
                self.sandboxes.insert(path, user);
            }
        }
    }

    pub fn text(&self, path: &Path) -> Option<&str> {
        self.files.get(path).and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    pub fn message<M: protobuf::Message>(&self, path: &Path) -> Option<M> {
        self.records(path).pop()
    }

    pub fn records<M: protobuf::Message>(&self, path: &Path) -> Vec<M> {
        let mut rest = self.files.get(path).map(Vec::as_slice).unwrap_or_default();
        let mut records = Vec::new();
        while let Some((length, tail)) = rest.split_first_chunk::<4>() {
            let length = u32::from_ne_bytes(*length) as usize;
            records.push(M::parse_from_bytes(&tail[..length]).expect("a whole record"));
            rest = &tail[length..];
        }
        records
    }

    /// Names directly under a directory.
    fn children(&self, path: &Path) -> BTreeSet<String> {
        let files = self.files.keys().chain(self.sandboxes.keys());
        let below = files.filter_map(|file| file.strip_prefix(path).ok());
        below
            .filter_map(|file| Some(file.components().next()?.as_os_str().to_string_lossy().into_owned()))
            .collect()
    }

    /// What a restarted agent reads.
    pub fn read(&self) -> RecoveredState {
        let meta = Path::new("/w/meta");
        let latest = self.links.get(&meta.join("slaves/latest"));
        let agent = latest.and_then(|latest| {
            let info = self.message(&latest.join("slave.info"))?;
            let root = latest.join("frameworks");
            let frameworks = self
                .children(&root)
                .iter()
                .map(|id| self.read_framework(&root.join(id)))
                .collect();
            Some(RecoveredAgent {
                info,
                frameworks,
                drain_config: self.message(&latest.join("drain.config")),
                operation_logs: self.read_operations(&latest.join("operations")),
            })
        });
        let state = |name: &str| self.message::<ResourceState>(&meta.join("resources").join(name));
        let target = state("resources_and_operations.target");
        let committed = state("resources_and_operations.state");
        let operations = target
            .as_ref()
            .or(committed.as_ref())
            .map(|state| state.operations.clone());
        let older = || self.records(&meta.join("resources/resources.info"));
        RecoveredState {
            agent,
            resources: committed.map_or_else(older, |state| state.resources),
            target: target.map(|state| state.resources),
            operations: operations.unwrap_or_default(),
            ..RecoveredState::default()
        }
    }

    fn read_operations(&self, path: &Path) -> Vec<RecoveredOperation> {
        let read = self.children(path).into_iter().map(|name| RecoveredOperation {
            operation_uuid: name.parse().expect("a UUID"),
            records: self.records(&path.join(&name).join("operation.updates")),
        });
        read.collect()
    }

    fn read_framework(&self, path: &Path) -> RecoveredFramework {
        let root = path.join("executors");
        RecoveredFramework {
            info: self.message(&path.join("framework.info")).unwrap_or_default(),
            pid: self.text(&path.join("framework.pid")).and_then(|pid| pid.parse().ok()),
            executors: self
                .children(&root)
                .iter()
                .map(|id| self.read_executor(id, &root.join(id)))
                .collect(),
        }
    }

    fn read_executor(&self, id: &str, path: &Path) -> RecoveredExecutor {
        let runs = path.join("runs");
        let latest = self
            .links
            .get(&runs.join("latest"))
            .and_then(|target| target.file_name());
        RecoveredExecutor {
            id: ExecutorId::new(id),
            info: self.message::<pb::ExecutorInfo>(&path.join("executor.info")),
            generated_for_command_task: self.text(&path.join("executor_generated_for_command_task")) == Some("1"),
            latest: latest.map(|name| ContainerId::new(name.to_string_lossy().as_ref())),
            runs: self
                .children(&runs)
                .iter()
                .map(|id| self.read_run(id, &runs.join(id)))
                .collect(),
        }
    }

    fn read_run(&self, id: &str, path: &Path) -> RecoveredRun {
        let tasks = path.join("tasks");
        RecoveredRun {
            container_id: ContainerId::new(id),
            libprocess_pid: self
                .text(&path.join("pids/libprocess.pid"))
                .and_then(|pid| pid.parse().ok()),
            http: self.files.contains_key(&path.join("http.marker")),
            forked_pid: Some(42),
            completed: self.files.contains_key(&path.join("executor.sentinel")),
            tasks: self
                .children(&tasks)
                .iter()
                .map(|id| RecoveredTask {
                    id: TaskId::new(id.as_str()),
                    info: self.message(&tasks.join(id).join("task.info")),
                    records: self.records(&tasks.join(id).join("task.updates")),
                })
                .collect(),
        }
    }
}
