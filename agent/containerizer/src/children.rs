//! The children of an executor: starting commands, collecting what has ended, killing what must go.
//!
//! For programs that collect all of their children themselves because they adopt orphans (see [`crate::reaper`]): an
//! executor's task, and the commands that look at it.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesos_proto::v0::mesos::CommandInfo;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use thiserror::Error;
use tokio::sync::oneshot;

use crate::launcher::program_of;
use crate::process_tree::{self, TreeRoot};
use crate::reaper;
use crate::termination::WaitStatus;

/// How long killed processes may take to go.
pub const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// Why a command was not started.
#[derive(Debug, Error)]
pub enum StartError {
    /// There is no command.
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

/// Where a command's output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// To standard output and standard error of this process.
    Own,
    /// All of it to standard error of this process.
    Errors,
}

/// The children of this process that somebody waits for. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Children {
    waiting: Arc<Mutex<BTreeMap<u32, oneshot::Sender<WaitStatus>>>>,
}

/// A child that runs. Dropping it before its end kills it and everything that grew from it.
#[derive(Debug)]
pub struct Running {
    root: TreeRoot,
    end: Option<oneshot::Receiver<WaitStatus>>,
}

impl Running {
    /// Its process id.
    #[must_use]
    pub const fn pid(&self) -> i32 {
        self.root.pid
    }

    /// Waits for its end; `None` when that can no more be told.
    pub async fn ended(&mut self) -> Option<WaitStatus> {
        let status = self.end.as_mut()?.await.ok();
        self.end = None;
        status
    }

    /// Kills it with everything that grew from it, and waits until that is gone.
    pub async fn kill(mut self) {
        self.end = None;
        let root = self.root;
        if tokio::task::spawn_blocking(move || kill_tree(root)).await.is_err() {
            tracing::error!(pid = root.pid, "processes of a command may be left");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.end.is_none() {
            return;
        }
        let root = self.root;
        // Nobody may wait here for processes to go.
        let started = std::thread::Builder::new()
            .name("kill".to_owned())
            .spawn(move || kill_tree(root));
        if started.is_err() {
            // It has not been collected, so the id is still its own; it fails only when it has just ended.
            let _ = killpg(Pid::from_raw(root.pid), Signal::SIGKILL);
        }
    }
}

fn kill_tree(root: TreeRoot) {
    if let Err(error) = process_tree::kill_tree(root, KILL_PATIENCE) {
        tracing::error!(pid = root.pid, %error, "processes of a command are left");
    }
}

impl Children {
    /// Starts a command in the current folder, in a process group of its own, without input.
    ///
    /// # Errors
    ///
    /// Says what could not be executed, in words for the task's status.
    pub fn start(
        &self,
        info: &CommandInfo,
        environment: &BTreeMap<String, String>,
        output: Output,
    ) -> Result<Running, StartError> {
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
        let failed = |source| StartError::Execute { program, source };
        if output == Output::Errors {
            match io::stderr().as_fd().try_clone_to_owned() {
                Ok(errors) => command.stdout(errors),
                Err(error) => return Err(failed(error)),
            };
        }
        // Nobody collects between the start and the entry: collecting needs the same lock.
        let mut waiting = self.waiting();
        let pid = command.spawn().map_err(failed)?.id();
        let root = TreeRoot::running(i32::try_from(pid).unwrap_or_default());
        let (tell, end) = oneshot::channel();
        waiting.insert(pid, tell);
        Ok(Running { root, end: Some(end) })
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
