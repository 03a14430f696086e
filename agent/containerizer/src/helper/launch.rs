//! Body of `mesos-containerizer launch`: the init process of one container. Standard input is a socket to the agent.
//!
//! It leads a session of its own and adopts the orphans of its command, so that nothing the command started can slip
//! away. When the command ends, what is left of its tree is killed, the wait status is recorded, and the helper ends
//! the same way as the command did.

use std::fs::File;
use std::io;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, setsid};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

use super::execute::{self, ExecuteError};
use super::protocol::{LaunchSpec, ProtocolError, READY, ToHelper, receive};
use crate::process_tree::{self, TreeError};
use crate::reaper;
use crate::termination::WaitStatus;

/// First argument that makes `mesos-containerizer` the init of a container.
pub const LAUNCH: &str = "launch";

/// Exit code when the command could not be started.
const CODE_NOT_STARTED: i32 = 1;

/// How long killed leftovers may take to go.
const LEFTOVERS_PATIENCE: Duration = Duration::from_secs(10);

/// Signals that are passed on to the command.
const FORWARDED: [Signal; 7] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGTERM,
    Signal::SIGWINCH,
];

/// Why a container could not be run.
#[derive(Debug, Error)]
pub enum LaunchError {
    /// No session of its own.
    #[error("failed to become the leader of a session")]
    Session(#[source] nix::Error),
    /// Orphans cannot be adopted.
    #[error("failed to become the parent of orphaned processes")]
    Subreaper(#[source] io::Error),
    /// The agent's messages did not arrive.
    #[error("the agent did not say what to run")]
    Agent(#[from] ProtocolError),
    /// The agent's messages came in another order.
    #[error("the agent said '{0}' when something else was expected")]
    Order(&'static str),
    /// Signals or children cannot be watched.
    #[error("failed to watch signals and children")]
    Watch(#[source] io::Error),
    /// The status file cannot be made.
    #[error("failed to open the status file")]
    StatusFile(#[source] io::Error),
    /// The status cannot be recorded.
    #[error("failed to write the status file")]
    StatusWrite(#[source] io::Error),
    /// The command cannot be started.
    #[error("failed to start the command")]
    Execute(#[from] ExecuteError),
    /// Leftovers cannot be killed.
    #[error("failed to kill what the command left behind")]
    Leftovers(#[from] TreeError),
}

/// Runs the container that the agent describes on standard input; gives the wait status to end with.
///
/// # Errors
///
/// Says what failed before the command could run.
pub fn run() -> Result<WaitStatus, LaunchError> {
    setsid().map_err(LaunchError::Session)?;
    reaper::adopt_orphans().map_err(LaunchError::Subreaper)?;
    let mut agent = io::stdin().lock();
    let spec = match receive(&mut agent)? {
        ToHelper::Prepare(spec) => spec,
        ToHelper::Go => return Err(LaunchError::Order("go")),
    };
    let mut status_file = open_status_file(&spec)?;
    tell_ready().map_err(ProtocolError::from)?;
    match receive(&mut agent)? {
        ToHelper::Go => {}
        ToHelper::Prepare(_) => return Err(LaunchError::Order("prepare")),
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LaunchError::Watch)?;
    let ended = runtime.block_on(supervise(&spec));
    let status = match &ended {
        Ok(status) => *status,
        Err(_) => WaitStatus::exited(CODE_NOT_STARTED),
    };
    let left = process_tree::kill_all(process_tree::descendants_of_caller, LEFTOVERS_PATIENCE);
    if let Some(file) = &mut status_file {
        write!(file, "{}", status.raw())
            .and_then(|()| file.sync_all())
            .map_err(LaunchError::StatusWrite)?;
    }
    left?;
    ended
}

/// Answers on the socket that is this process's standard input.
fn tell_ready() -> io::Result<()> {
    let mut agent = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    agent.write_all(&[READY])
}

fn open_status_file(spec: &LaunchSpec) -> Result<Option<File>, LaunchError> {
    let Some(path) = &spec.status_path else {
        return Ok(None);
    };
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path).map(Some).map_err(LaunchError::StatusFile)
}

async fn supervise(spec: &LaunchSpec) -> Result<WaitStatus, LaunchError> {
    // Everything is watched before the command exists, so that nothing is missed.
    let mut children = signal(SignalKind::child()).map_err(LaunchError::Watch)?;
    let (passed_on, mut signals) = tokio::sync::mpsc::channel(FORWARDED.len());
    for forwarded in FORWARDED {
        let mut stream = signal(SignalKind::from_raw(forwarded as i32)).map_err(LaunchError::Watch)?;
        let passed_on = passed_on.clone();
        tokio::spawn(async move { while stream.recv().await.is_some() && passed_on.send(forwarded).await.is_ok() {} });
    }
    let child = execute::start(spec)?;
    let command =
        Pid::from_raw(i32::try_from(child.id()).map_err(|error| LaunchError::Watch(io::Error::other(error)))?);
    loop {
        let collected = reaper::collect().map_err(LaunchError::Watch)?;
        if let Some(ended) = collected.iter().find(|ended| ended.pid == child.id()) {
            return Ok(ended.status);
        }
        tokio::select! {
            _ = children.recv() => {}
            forwarded = signals.recv() => {
                if let Some(forwarded) = forwarded {
                    // It fails only when the command has just ended, which the next round sees.
                    let _ = kill(command, forwarded);
                }
            }
        }
    }
}
