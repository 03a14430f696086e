//! The ways to look at a task: run a command, ask a web server, connect to a port.

mod http;
mod process;
mod tcp;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use mesos_proto::v1::mesos::CommandInfo;

pub use process::ProcessRunner;

use crate::plan::{CheckKind, Probe};
use crate::result::Found;

/// The result of a command that is still to come.
pub type RunFuture = Pin<Box<dyn Future<Output = Found> + Send>>;

/// One run of the command of a `COMMAND` check.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandAttempt {
    /// Whose: a task may have a check and a health check, and both may run at the same time.
    pub kind: CheckKind,
    /// What to run.
    pub command: CommandInfo,
    /// How long it may take.
    pub timeout: Option<Duration>,
}

/// Runs the commands of `COMMAND` checks where the executor wants them to run.
pub trait CommandRunner: Send + Sync {
    /// Runs a command to its end.
    ///
    /// The future answers [`Found::Exit`], or [`Found::Failed`] when the command did not end by itself in time; then
    /// everything that it started is gone before the answer. [`Found::Unavailable`] says that nobody knows, and counts
    /// neither way. When the future is dropped, nobody wants to know any more: what runs must end all the same.
    fn run(&self, attempt: CommandAttempt) -> RunFuture;
}

/// Looks once.
pub(crate) async fn look(
    runner: Arc<dyn CommandRunner>,
    kind: CheckKind,
    probe: Probe,
    timeout: Option<Duration>,
) -> Found {
    match probe {
        Probe::Command(command) => {
            let command = *command;
            runner.run(CommandAttempt { kind, command, timeout }).await
        }
        Probe::Http { url } => http::ask(url, timeout).await,
        Probe::Tcp { address } => tcp::connect(address, timeout).await,
    }
}
