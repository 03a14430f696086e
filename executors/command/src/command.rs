//! The processes of the task.
//!
//! The executor adopts what the command leaves behind, so that all its descendants, and they alone, are the task's.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesos::convert;
use mesos_containerizer::process_tree::{self, TreeError};
use mesos_containerizer::{WaitStatus, overlay_environment, program_of, reaper};
use mesos_proto::v0::mesos as v0;
use mesos_proto::v1::mesos::TaskInfo;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use thiserror::Error;
use tokio::sync::oneshot;

/// How long killed processes may take to go.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// Variables that are the executor's alone.
const OWN_VARIABLES: [&str; 1] = ["MESOS_EXECUTOR_AUTHENTICATION_TOKEN"];

/// Why the task's command was not started.
#[derive(Debug, Error)]
pub enum StartError {
    /// The task has no command.
    #[error("The task's command names nothing to run")]
    NoCommand,
    /// The command cannot be executed.
    #[error("Failed to execute '{program}': {source}")]
    Execute {
        /// File or name.
        program: String,
        /// The cause.
        source: io::Error,
    },
}

/// The executor's own variables, without those that are nobody else's.
pub fn own_environment(own: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, String> {
    own.into_iter()
        .filter(|(name, _)| !OWN_VARIABLES.contains(&name.as_str()))
        .collect()
}

/// The environment of a task: the executor's own, then what isolators want, then the task's, then its role.
pub fn environment(
    own: impl IntoIterator<Item = (String, String)>,
    isolators: &v0::Environment,
    task: &TaskInfo,
) -> BTreeMap<String, String> {
    let mut environment = own_environment(own);
    let mut of_isolators = v0::CommandInfo::new();
    of_isolators.environment = Some(isolators.clone()).into();
    overlay_environment(&mut environment, &of_isolators);
    overlay_environment(&mut environment, &command_of(task));
    let role = task
        .resources
        .first()
        .map(|resource| resource.allocation_info.role().to_owned());
    environment.insert("MESOS_ALLOCATION_ROLE".to_owned(), role.unwrap_or_default());
    environment
}

/// The command of a task.
pub fn command_of(task: &TaskInfo) -> v0::CommandInfo {
    convert::devolve(task.command.get_or_default())
}

/// The executor's children, and who waits for which.
#[derive(Clone, Debug, Default)]
pub struct Children {
    waiting: Arc<Mutex<BTreeMap<u32, oneshot::Sender<WaitStatus>>>>,
}

/// A child that runs. Dropping it before its end kills it and its process group.
#[derive(Debug)]
pub struct Running {
    pid: u32,
    end: Option<oneshot::Receiver<WaitStatus>>,
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits for its end; `None` when that can no more be told.
    pub async fn ended(&mut self) -> Option<WaitStatus> {
        let status = self.end.as_mut()?.await.ok();
        self.end = None;
        status
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.end.is_some()
            && let Ok(pid) = i32::try_from(self.pid)
        {
            // It has not been collected, so the id is still its own; it fails only when it has just ended.
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

impl Children {
    /// Starts a command in the executor's folder, in a process group of its own.
    ///
    /// # Errors
    ///
    /// Says what could not be executed, in words for the task's status.
    pub fn start(&self, info: &v0::CommandInfo, environment: &BTreeMap<String, String>) -> Result<Running, StartError> {
        let (program, argv) = program_of(info).ok_or(StartError::NoCommand)?;
        let mut command = Command::new(&program);
        if let Some((name, arguments)) = argv.split_first() {
            command.arg0(name).args(arguments);
        }
        command
            .env_clear()
            .envs(environment)
            .stdin(Stdio::null())
            .process_group(0);
        // Nobody collects between the start and the entry: collecting needs the same lock.
        let mut waiting = self.waiting();
        let pid = command
            .spawn()
            .map_err(|source| StartError::Execute { program, source })?
            .id();
        let (tell, end) = oneshot::channel();
        waiting.insert(pid, tell);
        Ok(Running { pid, end: Some(end) })
    }

    /// Collects ended children, adopted ones among them, and tells who waits.
    ///
    /// # Errors
    ///
    /// Gives the kernel's refusal.
    pub fn collect(&self) -> io::Result<()> {
        let mut waiting = self.waiting();
        for ended in reaper::collect()? {
            if let Some(tell) = waiting.remove(&ended.pid) {
                // Who has given up does not want to know.
                let _ = tell.send(ended.status);
            }
        }
        Ok(())
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<u32, oneshot::Sender<WaitStatus>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks all processes of the task to end.
///
/// # Errors
///
/// Says when they cannot be found.
pub fn terminate_all() -> Result<(), TreeError> {
    process_tree::signal_all(process_tree::descendants_of_caller, Signal::SIGTERM).map(|_| ())
}

/// Kills all processes of the task.
///
/// # Errors
///
/// Says when they cannot be found, or do not go.
pub fn kill_all() -> Result<(), TreeError> {
    process_tree::kill_all(process_tree::descendants_of_caller, KILL_PATIENCE)
}

#[cfg(test)]
mod tests {
    use mesos_proto::v1::mesos::{Resource, environment::Variable};

    use super::*;

    #[test]
    fn the_tasks_own_variables_win_and_the_token_stays_secret() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let own = [
            pair("A", "own"),
            pair("B", "own"),
            pair("MESOS_EXECUTOR_AUTHENTICATION_TOKEN", "t"),
        ];
        let mut isolators = v0::Environment::new();
        for name in ["B", "C"] {
            let mut variable = v0::environment::Variable::new();
            variable.set_name(name.to_owned());
            variable.set_value("isolator".to_owned());
            isolators.variables.push(variable);
        }
        let mut task = TaskInfo::new();
        let mut variable = Variable::new();
        variable.set_name("C".to_owned());
        variable.set_value("task".to_owned());
        task.command
            .mut_or_insert_default()
            .environment
            .mut_or_insert_default()
            .variables
            .push(variable);
        let mut resource = Resource::new();
        resource
            .allocation_info
            .mut_or_insert_default()
            .set_role("web".to_owned());
        task.resources.push(resource);
        let expected = [
            pair("A", "own"),
            pair("B", "isolator"),
            pair("C", "task"),
            pair("MESOS_ALLOCATION_ROLE", "web"),
        ];
        assert_eq!(environment(own, &isolators, &task), BTreeMap::from(expected));
    }
}
