//! What can go wrong with containers.

use std::io;
use std::path::PathBuf;

use mesos::ids::ContainerId;
use thiserror::Error;

use crate::fetcher::FetchError;
use crate::isolators::IsolatorError;

/// Why the containerizer could not do as asked.
#[derive(Debug, Error)]
pub enum ContainerizerError {
    /// The id is taken.
    #[error("container {0} has been launched already")]
    AlreadyLaunched(ContainerId),
    /// The id is not known.
    #[error("container {0} is not known")]
    UnknownContainer(ContainerId),
    /// The container was destroyed while it was being started.
    #[error("container {0} was destroyed during its launch")]
    DestroyedDuringLaunch(ContainerId),
    /// A nested container without its parent.
    #[error("container {container_id} cannot be launched: its parent is not running")]
    ParentNotRunning {
        /// The nested container.
        container_id: ContainerId,
    },
    /// The container runs, and only what has ended can be removed.
    #[error("container {0} has not ended yet")]
    NotEnded(ContainerId),
    /// There is no such signal.
    #[error("there is no signal {0}")]
    BadSignal(i32),
    /// The request asks for something that this containerizer does not offer.
    #[error("the mesos containerizer does not support {0} yet")]
    Unsupported(String),
    /// The account does not exist on this host.
    #[error("user '{0}' does not exist on this host")]
    UnknownUser(String),
    /// Asking the account database failed.
    #[error("failed to look up user '{user}'")]
    UserLookup {
        /// The account's name.
        user: String,
        /// The cause.
        source: nix::Error,
    },
    /// Another account was asked for, but the agent is not root.
    #[error("running as user '{0}' needs an agent that runs as root")]
    CannotSwitchUser(String),
    /// The command has nothing to run.
    #[error("the command names nothing to run")]
    NoCommand,
    /// A secret variable of the command has no value here.
    #[error("failed to resolve the command's environment")]
    Secret(#[from] crate::environment::SecretError),
    /// A limit of `RLimitInfo` makes no sense.
    #[error("resource limit '{0}' needs a known type and a soft limit that is at most the hard one, or neither")]
    BadRlimit(String),
    /// A file or folder could not be used.
    #[error("failed to {action} '{}'", path.display())]
    File {
        /// What was attempted.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A pipe for output could not be handed on.
    #[error("failed to hand on the pipe for the output")]
    Output(#[source] io::Error),
    /// The launch helper could not be started.
    #[error("failed to start the launch helper '{}'", program.display())]
    Spawn {
        /// The helper's executable.
        program: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The launch helper went away before the command was started.
    #[error("the launch helper ended before it could start the command; its output is in the sandbox")]
    HelperGone(#[source] io::Error),
    /// The instructions could not be put into bytes.
    #[error("failed to encode the launch instructions")]
    Encode(#[from] crate::helper::protocol::ProtocolError),
    /// A URI could not be fetched.
    #[error("failed to fetch the container's URIs")]
    Fetch(#[from] FetchError),
    /// An isolator refused.
    #[error("failed to isolate the container")]
    Isolator(#[from] IsolatorError),
    /// The containerizer's threads could not be started.
    #[error("failed to start the containerizer's runtime")]
    Runtime(#[source] io::Error),
    /// The containerizer is shutting down.
    #[error("the containerizer has stopped")]
    Stopped,
}

impl ContainerizerError {
    /// The error with its causes in one line, as status messages show it.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        text
    }
}
