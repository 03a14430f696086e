//! Turning a [`LaunchSpec`] into a running command.
//!
//! Commands that keep the helper's account and limits are started directly. For all others the helper starts itself
//! once more as `execute`: that process takes limits, groups and account and then becomes the command, so that the
//! helper keeps the rights it needs to record the end.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{Gid, Uid, initgroups, setgid, setuid};
use thiserror::Error;

use super::protocol::{LaunchSpec, ProtocolError, RlimitSpec, ToHelper, UserSpec, receive, send};

/// First argument that makes `mesos-containerizer` become the command.
pub const EXECUTE: &str = "execute";

/// Why a command could not be started.
#[derive(Debug, Error)]
pub enum ExecuteError {
    /// The instructions did not arrive.
    #[error("failed to read the launch instructions")]
    Instructions(#[from] ProtocolError),
    /// The first message was another one.
    #[error("expected launch instructions")]
    NoInstructions,
    /// The limit has a name that this host does not know.
    #[error("resource limit '{0}' is not known on this host")]
    UnknownLimit(String),
    /// The kernel refused a limit.
    #[error("failed to set resource limit '{resource}'")]
    Limit {
        /// Its name.
        resource: String,
        /// The cause.
        source: Errno,
    },
    /// The kernel refused the account.
    #[error("failed to switch to user '{user}'")]
    SwitchUser {
        /// Its name.
        user: String,
        /// The cause.
        source: Errno,
    },
    /// The command cannot be executed.
    #[error("failed to execute '{program}' in '{}'", directory.display())]
    Execute {
        /// File or name.
        program: String,
        /// Working directory.
        directory: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// Starts the command as a child in its own right: standard input is empty, output goes where the caller's goes.
///
/// # Errors
///
/// Says why nothing was started.
pub fn start(spec: &LaunchSpec) -> Result<Child, ExecuteError> {
    if spec.user.is_none() && spec.rlimits.is_empty() {
        return command(spec)
            .stdin(Stdio::null())
            .spawn()
            .map_err(|source| failed(spec, source));
    }
    start_staged(spec)
}

fn start_staged(spec: &LaunchSpec) -> Result<Child, ExecuteError> {
    // Not by name: the file may have been replaced by another version.
    let mut stage = Command::new("/proc/self/exe");
    stage
        .arg0("mesos-containerizer")
        .arg(EXECUTE)
        .env_clear()
        .stdin(Stdio::piped());
    let mut child = stage.spawn().map_err(|source| failed(spec, source))?;
    if let Some(mut pipe) = child.stdin.take() {
        send(&mut pipe, &ToHelper::Prepare(spec.clone()))?;
    }
    Ok(child)
}

fn command(spec: &LaunchSpec) -> Command {
    let mut command = Command::new(&spec.program);
    let (name, arguments) = match spec.argv.split_first() {
        Some((name, arguments)) => (name.as_str(), arguments),
        None => (spec.program.as_str(), &[][..]),
    };
    command
        .arg0(name)
        .args(arguments)
        .current_dir(&spec.directory)
        .env_clear();
    command.envs(spec.environment.iter().map(|(name, value)| (name, value)));
    command
}

/// Body of `mesos-containerizer execute`: becomes the command. Returns only when that failed.
#[must_use]
pub fn run() -> ExecuteError {
    match receive(&mut io::stdin().lock()) {
        Ok(ToHelper::Prepare(spec)) => match take_over(&spec) {
            Ok(()) => failed(&spec, command(&spec).exec()),
            Err(error) => error,
        },
        Ok(ToHelper::Go) => ExecuteError::NoInstructions,
        Err(error) => error.into(),
    }
}

fn take_over(spec: &LaunchSpec) -> Result<(), ExecuteError> {
    let null = fs::File::open("/dev/null").map_err(|source| failed(spec, source))?;
    nix::unistd::dup2_stdin(null).map_err(|source| failed(spec, source.into()))?;
    for limit in &spec.rlimits {
        apply_limit(limit)?;
    }
    match &spec.user {
        Some(user) => switch_user(user).map_err(|source| ExecuteError::SwitchUser {
            user: user.name.clone(),
            source,
        }),
        None => Ok(()),
    }
}

fn switch_user(user: &UserSpec) -> Result<(), Errno> {
    let name = std::ffi::CString::new(user.name.as_str()).map_err(|_| Errno::EINVAL)?;
    let gid = Gid::from_raw(user.gid);
    initgroups(&name, gid)?;
    setgid(gid)?;
    setuid(Uid::from_raw(user.uid))
}

fn apply_limit(limit: &RlimitSpec) -> Result<(), ExecuteError> {
    let resource =
        rlimit_resource(&limit.resource).ok_or_else(|| ExecuteError::UnknownLimit(limit.resource.clone()))?;
    let infinity = nix::sys::resource::RLIM_INFINITY;
    setrlimit(resource, limit.soft.unwrap_or(infinity), limit.hard.unwrap_or(infinity)).map_err(|source| {
        ExecuteError::Limit {
            resource: limit.resource.clone(),
            source,
        }
    })
}

/// The kernel's name for a limit of `RLimitInfo` (without `RLMT_`).
#[must_use]
pub fn rlimit_resource(name: &str) -> Option<Resource> {
    Some(match name {
        "AS" => Resource::RLIMIT_AS,
        "CORE" => Resource::RLIMIT_CORE,
        "CPU" => Resource::RLIMIT_CPU,
        "DATA" => Resource::RLIMIT_DATA,
        "FSIZE" => Resource::RLIMIT_FSIZE,
        "LOCKS" => Resource::RLIMIT_LOCKS,
        "MEMLOCK" => Resource::RLIMIT_MEMLOCK,
        "MSGQUEUE" => Resource::RLIMIT_MSGQUEUE,
        "NICE" => Resource::RLIMIT_NICE,
        "NOFILE" => Resource::RLIMIT_NOFILE,
        "NPROC" => Resource::RLIMIT_NPROC,
        "RSS" => Resource::RLIMIT_RSS,
        "RTPRIO" => Resource::RLIMIT_RTPRIO,
        "RTTIME" => Resource::RLIMIT_RTTIME,
        "SIGPENDING" => Resource::RLIMIT_SIGPENDING,
        "STACK" => Resource::RLIMIT_STACK,
        _ => return None,
    })
}

fn failed(spec: &LaunchSpec, source: io::Error) -> ExecuteError {
    ExecuteError::Execute {
        program: spec.program.clone(),
        directory: spec.directory.clone(),
        source,
    }
}
