//! A work directory in memory, and a reader of the checkpoints on it.
//!
//! The reader mirrors the one of the agent program: what lacks its description is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use mesos::ids::{AgentId, ContainerId, ExecutorId, FrameworkId, TaskId};
use mesos_agent_core::CheckpointWrite;
use mesos_agent_core::checkpoint::{read_log, read_record};
use mesos_agent_core::paths::Paths;
use mesos_agent_core::recovery::{
    RecoveredAgent, RecoveredExecutor, RecoveredFramework, RecoveredOperation, RecoveredRun, RecoveredState,
    RecoveredTask,
};
use mesos_proto::internal::slave::state::ResourceState;

/// Files, links and directories by path.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    files: BTreeMap<PathBuf, Vec<u8>>,
    links: BTreeMap<PathBuf, PathBuf>,
    directories: BTreeSet<PathBuf>,
}

impl Disk {
    /// Carries a change out.
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
                if let Some(bytes) = self.files.remove(&from) {
                    self.files.insert(to, bytes);
                }
            }
            CheckpointWrite::Remove { path } => {
                self.files.retain(|file, _| !file.starts_with(&path));
                self.links.retain(|link, _| !link.starts_with(&path));
                self.directories.retain(|directory| !directory.starts_with(&path));
            }
            CheckpointWrite::RemoveVolume { path, is_mount: false } => {
                self.directories.remove(&path);
            }
            CheckpointWrite::RemoveVolume { is_mount: true, .. } => {}
            CheckpointWrite::Sandbox { path, .. } | CheckpointWrite::MakeVolume { path } => {
                self.directories.insert(path);
            }
        }
    }

    /// Writes a text.
    pub fn write_text(&mut self, path: PathBuf, text: &str) {
        self.files.insert(path, text.as_bytes().to_vec());
    }

    /// What a restarted agent reads.
    #[must_use]
    pub fn read(&self, paths: &Paths) -> RecoveredState {
        let committed = self.message::<ResourceState>(&paths.resource_state());
        let target = self.message::<ResourceState>(&paths.resource_state_target());
        let operations = target
            .as_ref()
            .or(committed.as_ref())
            .map(|state| state.operations.clone());
        RecoveredState {
            agent: self.read_agent(paths),
            resources: committed.map(|state| state.resources).unwrap_or_default(),
            target: target.map(|state| state.resources),
            operations: operations.unwrap_or_default(),
            ..RecoveredState::default()
        }
    }

    fn read_operations(&self, paths: &Paths, agent: &AgentId) -> Vec<RecoveredOperation> {
        let names = self.children(&paths.operations(agent));
        let uuids = names.iter().filter_map(|name| name.parse().ok());
        let read = uuids.map(|operation_uuid| RecoveredOperation {
            operation_uuid,
            records: self
                .files
                .get(&paths.operation_updates(agent, &operation_uuid))
                .map_or_else(Vec::new, |bytes| read_log(bytes).0),
        });
        read.collect()
    }

    fn read_agent(&self, paths: &Paths) -> Option<RecoveredAgent> {
        let folder = self.links.get(&paths.latest_agent())?;
        let id = AgentId::new(name_of(folder));
        let info = self.message(&paths.agent_info(&id))?;
        let frameworks = self.children(&paths.agent_meta(&id).join("frameworks"));
        let frameworks = frameworks
            .iter()
            .filter_map(|name| self.read_framework(paths, &id, &FrameworkId::new(name.as_str())))
            .collect();
        Some(RecoveredAgent {
            info,
            frameworks,
            drain_config: self.message(&paths.drain_config(&id)),
            operation_logs: self.read_operations(paths, &id),
        })
    }

    fn read_framework(&self, paths: &Paths, agent: &AgentId, id: &FrameworkId) -> Option<RecoveredFramework> {
        let info = self.message(&paths.framework_info(agent, id))?;
        let pid = self
            .text(&paths.framework_pid(agent, id))
            .and_then(|text| text.parse().ok());
        let executors = self.children(&paths.framework_meta(agent, id).join("executors"));
        let executors = executors
            .iter()
            .map(|name| self.read_executor(paths, agent, id, ExecutorId::new(name.as_str())))
            .collect();
        Some(RecoveredFramework { info, pid, executors })
    }

    fn read_executor(
        &self,
        paths: &Paths,
        agent: &AgentId,
        framework: &FrameworkId,
        id: ExecutorId,
    ) -> RecoveredExecutor {
        let runs_folder = paths.executor_meta(agent, framework, &id).join("runs");
        let latest = self.links.get(&runs_folder.join("latest"));
        let runs = self.children(&runs_folder).into_iter().filter(|name| name != "latest");
        let runs = runs
            .map(|name| {
                let container = ContainerId::new(name);
                let meta = paths.run(agent, framework, &id, &container);
                RecoveredRun {
                    libprocess_pid: self.text(&meta.libprocess_pid()).and_then(|pid| pid.parse().ok()),
                    http: self.files.contains_key(&meta.http_marker()),
                    forked_pid: self.text(&meta.forked_pid()).and_then(|pid| pid.parse().ok()),
                    completed: self.files.contains_key(&meta.sentinel()),
                    tasks: self
                        .children(&meta.meta().join("tasks"))
                        .into_iter()
                        .map(|name| {
                            let id = TaskId::new(name);
                            RecoveredTask {
                                info: self.message(&meta.task_info(&id)),
                                records: self
                                    .files
                                    .get(&meta.task_updates(&id))
                                    .map_or_else(Vec::new, |b| read_log(b).0),
                                id,
                            }
                        })
                        .collect(),
                    container_id: container,
                }
            })
            .collect();
        RecoveredExecutor {
            info: self.message(&paths.executor_info(agent, framework, &id)),
            generated_for_command_task: self.text(&paths.executor_generated(agent, framework, &id)) == Some("1"),
            latest: latest.map(|target| ContainerId::new(name_of(target))),
            runs,
            id,
        }
    }

    fn text(&self, path: &Path) -> Option<&str> {
        self.files.get(path).and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    fn message<M: protobuf::Message>(&self, path: &Path) -> Option<M> {
        let bytes = self.files.get(path)?;
        read_record(bytes).ok().map(|(message, _)| message)
    }

    /// Names directly under a directory.
    fn children(&self, path: &Path) -> BTreeSet<String> {
        let all = self.files.keys().chain(&self.directories).chain(self.links.keys());
        let below = all.filter_map(|entry| entry.strip_prefix(path).ok());
        below
            .filter_map(|entry| Some(entry.components().next()?.as_os_str().to_string_lossy().into_owned()))
            .collect()
    }
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
