//! Reads the checkpoints of an earlier run of the agent.
//!
//! Only files are read here, torn tails of update logs cut off; what to make of it is the core's.
//!
//! Source: shared facts, `disk_layout.md` sections 1 and 2 (order of recovery, torn tails, empty files).

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use libprocess::Upid;
use mesos::ids::{AgentId, ContainerId, ExecutorId, FrameworkId, TaskId};
use mesos_agent_core::Strictness;
use mesos_agent_core::paths::{Paths, RunPaths};
use mesos_agent_core::recovery::{
    RecoveredAgent, RecoveredExecutor, RecoveredFramework, RecoveredOperation, RecoveredRun, RecoveredState,
    RecoveredTask,
};
use mesos_proto::internal::slave::state::ResourceState;
use mesos_proto::internal::wire::messages::StatusUpdateRecord;
use mesos_proto::v0::mesos as pb;
use protobuf::Message;
use thiserror::Error;

use crate::folder_times;

/// A checkpoint that cannot be used.
#[derive(Debug, Error)]
pub enum RecoveryError {
    /// The operating system refused.
    #[error("cannot read checkpoint {path}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The content is not what the layout says.
    #[error("checkpoint {path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

type Recovered<T> = Result<T, RecoveryError>;

/// Kernel's id of this boot; absent where the kernel does not tell.
#[must_use]
pub fn boot_id() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

/// Reads everything below `meta`.
///
/// # Errors
///
/// With [`Strictness::Strict`] the first checkpoint that cannot be used; otherwise such are counted in the result.
pub fn recover(paths: &Paths, strictness: Strictness) -> Recovered<RecoveredState> {
    let mut reader = Reader {
        paths,
        strictness,
        errors: 0,
    };
    let resources = reader.resources()?;
    let (resources, target, operations) = (resources.committed, resources.target, resources.operations);
    let rebooted = reader.rebooted()?;
    let agent = reader.agent()?;
    let folder_times = agent.as_ref().map(|agent| folder_times::of_agent(paths, agent));
    let current = agent
        .as_ref()
        .and_then(|agent| agent.info.id.as_ref())
        .map(AgentId::from);
    Ok(RecoveredState {
        agent,
        resources,
        target,
        operations,
        folder_times: folder_times.unwrap_or_default(),
        earlier_agents: folder_times::of_other_agents(paths, current.as_ref()),
        rebooted,
        errors: reader.errors,
    })
}

/// What the files under `meta/resources` say.
struct Resources {
    committed: Vec<pb::Resource>,
    target: Option<Vec<pb::Resource>>,
    operations: Vec<pb::Operation>,
}

struct Reader<'a> {
    paths: &'a Paths,
    strictness: Strictness,
    errors: usize,
}

impl Reader<'_> {
    /// Counts an unusable checkpoint, or ends the recovery.
    fn forgive<T>(&mut self, result: Recovered<Option<T>>) -> Recovered<Option<T>> {
        match (result, self.strictness) {
            (Err(error), Strictness::Lenient) => {
                tracing::warn!(%error, "checkpoint skipped");
                self.errors += 1;
                Ok(None)
            }
            (result, _) => result,
        }
    }

    /// Resources and operations; those of an agent older than operation feedback when there are no others.
    fn resources(&mut self) -> Recovered<Resources> {
        let committed = read_message::<ResourceState>(&self.paths.resource_state());
        let committed = self.forgive(committed)?;
        let target = read_message::<ResourceState>(&self.paths.resource_state_target());
        let target = self.forgive(target)?;
        if committed.is_none() && target.is_none() {
            let committed = read_messages(&self.paths.resources_info()).map(Some);
            let committed = self.forgive(committed)?.unwrap_or_default();
            let target = read_list_if_there(&self.paths.resources_target());
            let target = self.forgive(target)?;
            return Ok(Resources {
                committed,
                target,
                operations: Vec::new(),
            });
        }
        let newest = target.as_ref().or(committed.as_ref());
        Ok(Resources {
            operations: newest.map(|state| state.operations.clone()).unwrap_or_default(),
            committed: committed.map(|state| state.resources).unwrap_or_default(),
            target: target.map(|state| state.resources),
        })
    }

    fn operation_logs(&mut self, agent: &AgentId) -> Recovered<Vec<RecoveredOperation>> {
        let mut logs = Vec::new();
        for name in list(&self.paths.operations(agent))? {
            let Ok(operation_uuid) = name.parse() else {
                let path = self.paths.operations(agent).join(name);
                let reason = "its name is no UUID".to_owned();
                self.forgive::<()>(Err(RecoveryError::Damaged { path, reason }))?;
                continue;
            };
            let records = read_log(&self.paths.operation_updates(agent, &operation_uuid));
            let log = records.map(|records| {
                Some(RecoveredOperation {
                    operation_uuid,
                    records,
                })
            });
            logs.extend(self.forgive(log)?);
        }
        Ok(logs)
    }

    fn rebooted(&mut self) -> Recovered<bool> {
        let known = read_text(&self.paths.boot_id());
        let known = self.forgive(known)?;
        Ok(matches!((known, boot_id()), (Some(known), Some(now)) if known != now))
    }

    /// Folder of the current agent id. A link that leads nowhere is damage, not a new agent.
    fn latest(&self) -> Recovered<Option<PathBuf>> {
        let link = self.paths.latest_agent();
        match fs::symlink_metadata(&link) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(RecoveryError::Read { path: link, source }),
            Ok(_) => {}
        }
        let folder = fs::canonicalize(&link);
        folder
            .map(Some)
            .map_err(|source| RecoveryError::Read { path: link, source })
    }

    fn agent(&mut self) -> Recovered<Option<RecoveredAgent>> {
        let latest = self.latest();
        let Some(folder) = self.forgive(latest)? else {
            return Ok(None);
        };
        let id = AgentId::new(name_of(&folder));
        let info = read_message::<pb::SlaveInfo>(&self.paths.agent_info(&id));
        let Some(info) = self.forgive(info)? else {
            return Ok(None);
        };
        let drain_config = read_message(&self.paths.drain_config(&id));
        let drain_config = self.forgive(drain_config)?;
        let operation_logs = self.operation_logs(&id)?;
        let mut frameworks = Vec::new();
        for name in list(&self.paths.agent_meta(&id).join("frameworks"))? {
            let framework = self.framework(&id, &FrameworkId::new(name));
            frameworks.extend(self.forgive(framework)?);
        }
        Ok(Some(RecoveredAgent {
            info,
            frameworks,
            drain_config,
            operation_logs,
        }))
    }

    fn framework(&mut self, agent: &AgentId, id: &FrameworkId) -> Recovered<Option<RecoveredFramework>> {
        let Some(info) = read_message(&self.paths.framework_info(agent, id))? else {
            return Ok(None);
        };
        let pid = read_text(&self.paths.framework_pid(agent, id))?.and_then(|text| text.parse::<Upid>().ok());
        let mut executors = Vec::new();
        for name in list(&self.paths.framework_meta(agent, id).join("executors"))? {
            let executor = self.executor(agent, id, ExecutorId::new(name)).map(Some);
            executors.extend(self.forgive(executor)?);
        }
        Ok(Some(RecoveredFramework {
            info,
            pid: pid.filter(|pid| !pid.is_anonymous()),
            executors,
        }))
    }

    fn executor(&mut self, agent: &AgentId, framework: &FrameworkId, id: ExecutorId) -> Recovered<RecoveredExecutor> {
        let info = read_message(&self.paths.executor_info(agent, framework, &id))?;
        let generated = read_text(&self.paths.executor_generated(agent, framework, &id))?;
        let runs_folder = self.paths.executor_meta(agent, framework, &id).join("runs");
        let latest = fs::canonicalize(runs_folder.join("latest"))
            .ok()
            .map(|path| ContainerId::new(name_of(&path)));
        let mut runs = Vec::new();
        for name in list(&runs_folder)?.into_iter().filter(|name| name != "latest") {
            let container_id = ContainerId::new(name);
            let paths = self.paths.run(agent, framework, &id, &container_id);
            let run = self.run(container_id, &paths).map(Some);
            runs.extend(self.forgive(run)?);
        }
        let generated_for_command_task = generated.as_deref() == Some("1");
        Ok(RecoveredExecutor {
            id,
            info,
            generated_for_command_task,
            latest,
            runs,
        })
    }

    fn run(&mut self, container_id: ContainerId, paths: &RunPaths) -> Recovered<RecoveredRun> {
        let forked_pid = read_text(&paths.forked_pid())?.and_then(|text| text.trim().parse().ok());
        let libprocess_pid = read_text(&paths.libprocess_pid())?.and_then(|text| text.parse::<Upid>().ok());
        let mut tasks = Vec::new();
        for name in list(&paths.meta().join("tasks"))? {
            let task = self.task(TaskId::new(name), paths).map(Some);
            tasks.extend(self.forgive(task)?);
        }
        Ok(RecoveredRun {
            container_id,
            libprocess_pid,
            http: paths.http_marker().exists(),
            forked_pid,
            completed: paths.sentinel().exists(),
            tasks,
        })
    }

    fn task(&mut self, id: TaskId, paths: &RunPaths) -> Recovered<RecoveredTask> {
        let info = read_message(&paths.task_info(&id))?;
        let records = read_log::<StatusUpdateRecord>(&paths.task_updates(&id))?;
        Ok(RecoveredTask { id, info, records })
    }
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Names in a folder, sorted; none when the folder is not there.
fn list(folder: &Path) -> Recovered<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|source| RecoveryError::Read {
            path: folder.to_owned(),
            source,
        })?,
    };
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}

fn read(path: &Path) -> Recovered<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(RecoveryError::Read {
            path: path.to_owned(),
            source,
        }),
        Ok(bytes) => Ok(Some(bytes)),
    }
}

/// Text of a file; absent when there is no file or, after a crash, an empty one.
fn read_text(path: &Path) -> Recovered<Option<String>> {
    let Some(bytes) = read(path)? else { return Ok(None) };
    let text = String::from_utf8(bytes).map_err(|_| RecoveryError::Damaged {
        path: path.to_owned(),
        reason: "no UTF-8 text".to_owned(),
    })?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// The only message of a file; absent when there is no file or, after a crash, an empty one.
fn read_message<M: Message>(path: &Path) -> Recovered<Option<M>> {
    Ok(read_messages(path)?.into_iter().next())
}

/// The messages of a file that says something by being there; an empty one is as good as none.
fn read_list_if_there<M: Message>(path: &Path) -> Recovered<Option<Vec<M>>> {
    let there = read(path)?.is_some_and(|bytes| !bytes.is_empty());
    if there { read_messages(path).map(Some) } else { Ok(None) }
}

fn read_messages<M: Message>(path: &Path) -> Recovered<Vec<M>> {
    let Some(bytes) = read(path)? else {
        return Ok(Vec::new());
    };
    let (messages, good) = decode(&bytes).map_err(|reason| RecoveryError::Damaged {
        path: path.to_owned(),
        reason,
    })?;
    if good < bytes.len() {
        return Err(RecoveryError::Damaged {
            path: path.to_owned(),
            reason: format!("torn after byte {good}"),
        });
    }
    Ok(messages)
}

/// Records of a growing log; a torn tail is cut off, in the file too.
fn read_log<M: Message>(path: &Path) -> Recovered<Vec<M>> {
    let Some(bytes) = read(path)? else {
        return Ok(Vec::new());
    };
    let (messages, good) = decode(&bytes).map_err(|reason| RecoveryError::Damaged {
        path: path.to_owned(),
        reason,
    })?;
    if good < bytes.len() {
        tracing::warn!(path = %path.display(), kept = good, found = bytes.len(), "torn tail of an update log cut off");
        let cut = OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|file| file.set_len(good as u64));
        cut.map_err(|source| RecoveryError::Read {
            path: path.to_owned(),
            source,
        })?;
    }
    Ok(messages)
}

/// Messages of a list of records (4 bytes of length in host order, then the bytes) and where the last whole one ends.
fn decode<M: Message>(bytes: &[u8]) -> Result<(Vec<M>, usize), String> {
    let mut messages = Vec::new();
    let mut good = 0;
    while let Some(length) = bytes.get(good..good + 4) {
        let length = u32::from_ne_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let Some(record) = bytes.get(good + 4..good + 4 + length) else {
            break;
        };
        let message = M::parse_from_bytes(record).map_err(|error| format!("record at byte {good}: {error}"))?;
        messages.push(message);
        good += 4 + length;
    }
    Ok((messages, good))
}

#[cfg(test)]
mod tests;
