//! The agent's side of the launch helper: start it, instruct it, let it go.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, lchown};
use std::path::{Path, PathBuf};

use mesos_proto::v0::mesos::rlimit_info::rlimit::Type as RlimitType;
use mesos_proto::v0::mesos::{CommandInfo, ContainerInfo};
use mesos_proto::v0::slave::containerizer::ContainerLaunchInfo;
use nix::unistd::{User, geteuid};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use crate::containerizer::{ContainerOutput, HelperCommand, LaunchRequest};
use crate::environment::overlay_environment;
use crate::error::ContainerizerError;
use crate::helper::launch::LAUNCH;
use crate::helper::protocol::{LaunchSpec, READY, RlimitSpec, ToHelper, UserSpec, encode};
use crate::paths;

/// Mode of sandboxes: the task's account alone.
const SANDBOX_MODE: u32 = 0o750;

/// Mode of the files that output goes to.
const OUTPUT_MODE: u32 = 0o644;

/// A launch helper that waits for the word to go.
#[derive(Debug)]
pub(crate) struct Helper {
    /// The process.
    pub child: Child,
    /// Its process id.
    pub pid: i32,
    socket: UnixStream,
}

impl Helper {
    /// Lets the helper run the command.
    pub async fn go(mut self) -> Result<Child, ContainerizerError> {
        let go = encode(&ToHelper::Go)?;
        self.socket
            .write_all(&go)
            .await
            .map_err(ContainerizerError::HelperGone)?;
        self.socket.flush().await.map_err(ContainerizerError::HelperGone)?;
        Ok(self.child)
    }
}

/// The account that a container runs as, when it is another one than the agent's.
pub(crate) fn user_of(name: Option<&str>, switch_user: bool) -> Result<Option<UserSpec>, ContainerizerError> {
    let Some(name) = name.filter(|name| switch_user && !name.is_empty()) else {
        return Ok(None);
    };
    let user = User::from_name(name)
        .map_err(|source| ContainerizerError::UserLookup {
            user: name.to_owned(),
            source,
        })?
        .ok_or_else(|| ContainerizerError::UnknownUser(name.to_owned()))?;
    if user.uid == geteuid() {
        return Ok(None);
    }
    if !geteuid().is_root() {
        return Err(ContainerizerError::CannotSwitchUser(name.to_owned()));
    }
    Ok(Some(UserSpec {
        name: name.to_owned(),
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
    }))
}

/// Makes the sandbox and gives it to the container's account. One inside another sandbox, the outermost of which is
/// `around`, is not made through links.
pub(crate) fn make_sandbox(
    sandbox: &Path,
    around: Option<&Path>,
    user: Option<&UserSpec>,
) -> Result<(), ContainerizerError> {
    let failed = |action| {
        move |source| ContainerizerError::File {
            action,
            path: sandbox.to_owned(),
            source,
        }
    };
    if let Some(around) = around {
        paths::refuse_links(around, sandbox).map_err(failed("make the sandbox"))?;
    }
    if !sandbox.is_dir() {
        if let Some(parent) = sandbox.parent() {
            fs::create_dir_all(parent).map_err(failed("make the folders above the sandbox"))?;
        }
        fs::DirBuilder::new()
            .mode(SANDBOX_MODE)
            .create(sandbox)
            .map_err(failed("make the sandbox"))?;
    }
    match user {
        Some(user) => lchown(sandbox, Some(user.uid), Some(user.gid)).map_err(failed("give away the sandbox")),
        None => Ok(()),
    }
}

/// What the helper shall run for a request; a look into a container has that one's environment and folder.
pub(crate) fn launch_spec(
    request: &LaunchRequest,
    status_path: PathBuf,
    user: Option<UserSpec>,
    rlimits: Vec<RlimitSpec>,
    parent: Option<&ContainerLaunchInfo>,
) -> Result<LaunchSpec, ContainerizerError> {
    let (program, argv) = program_of(&request.command).ok_or(ContainerizerError::NoCommand)?;
    let mut environment = BTreeMap::new();
    let mut directory = request.sandbox.clone();
    if let Some(parent) = parent {
        let inherited = parent.environment.variables.iter();
        environment.extend(inherited.map(|variable| (variable.name().to_owned(), variable.value().to_owned())));
        directory = PathBuf::from(parent.working_directory());
    } else {
        environment.insert("MESOS_SANDBOX".to_owned(), request.sandbox.display().to_string());
    }
    environment.extend(request.environment.clone());
    overlay_environment(&mut environment, &request.command)?;
    Ok(LaunchSpec {
        status_path: Some(status_path),
        program,
        argv,
        environment: environment.into_iter().collect(),
        directory,
        user,
        rlimits,
    })
}

/// Executable and arguments (its own name first) of a command; `None` when it names nothing.
#[must_use]
pub fn program_of(command: &CommandInfo) -> Option<(String, Vec<String>)> {
    let value = command.value.as_ref()?;
    if command.shell() {
        let argv = ["sh", "-c", value].map(str::to_owned);
        return Some(("sh".to_owned(), argv.into()));
    }
    let argv = if command.arguments.is_empty() {
        vec![value.clone()]
    } else {
        command.arguments.clone()
    };
    Some((value.clone(), argv))
}

/// The limits that a container's settings ask for.
pub(crate) fn rlimits_of(info: Option<&ContainerInfo>) -> Result<Vec<RlimitSpec>, ContainerizerError> {
    let Some(info) = info else {
        return Ok(Vec::new());
    };
    let mut limits = Vec::new();
    for limit in &info.rlimit_info.rlimits {
        let name = format!("{:?}", limit.type_());
        let resource = name.strip_prefix("RLMT_").unwrap_or(&name).to_owned();
        // A limit has both bounds, or none: then it is lifted.
        let halved = limit.soft.is_some() != limit.hard.is_some();
        if limit.type_() == RlimitType::UNKNOWN || halved || limit.soft > limit.hard {
            return Err(ContainerizerError::BadRlimit(resource));
        }
        limits.push(RlimitSpec {
            resource,
            soft: limit.soft,
            hard: limit.hard,
        });
    }
    Ok(limits)
}

/// Starts the helper and instructs it; it runs nothing before [`Helper::go`]. Its output and that of the command go
/// where the request says.
pub(crate) async fn start(
    command: &HelperCommand,
    spec: LaunchSpec,
    output: &ContainerOutput,
) -> Result<Helper, ContainerizerError> {
    let (stdout, stderr) = match output {
        ContainerOutput::Sandbox => (
            open_output(&spec.directory.join("stdout"), spec.user.as_ref())?.into(),
            open_output(&spec.directory.join("stderr"), spec.user.as_ref())?.into(),
        ),
        ContainerOutput::Pipes { stdout, stderr } => (duplicate(stdout)?, duplicate(stderr)?),
    };
    let failed = |source| ContainerizerError::Spawn {
        program: command.program.clone(),
        source,
    };
    let (agent_end, helper_end) = std::os::unix::net::UnixStream::pair().map_err(failed)?;
    agent_end.set_nonblocking(true).map_err(failed)?;
    let mut socket = UnixStream::from_std(agent_end).map_err(failed)?;
    let child = Command::new(&command.program)
        .arg0(&command.name)
        .args(&command.arguments)
        .arg(LAUNCH)
        .env_clear()
        .current_dir("/")
        .stdin(OwnedFd::from(helper_end))
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .map_err(failed)?;
    let gone = || failed(io::Error::from(io::ErrorKind::BrokenPipe));
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).ok_or_else(gone)?;
    let prepare = encode(&ToHelper::Prepare(spec))?;
    socket
        .write_all(&prepare)
        .await
        .map_err(ContainerizerError::HelperGone)?;
    match socket.read_u8().await.map_err(ContainerizerError::HelperGone)? {
        READY => Ok(Helper { child, pid, socket }),
        _ => Err(ContainerizerError::HelperGone(io::Error::from(
            io::ErrorKind::InvalidData,
        ))),
    }
}

fn duplicate(pipe: &OwnedFd) -> Result<OwnedFd, ContainerizerError> {
    pipe.try_clone().map_err(ContainerizerError::Output)
}

fn open_output(path: &Path, user: Option<&UserSpec>) -> Result<fs::File, ContainerizerError> {
    let failed = |source| ContainerizerError::File {
        action: "open the output file",
        path: path.to_owned(),
        source,
    };
    let mut options = fs::File::options();
    // An existing link must not lead the agent's account to a file elsewhere.
    options
        .append(true)
        .create(true)
        .mode(OUTPUT_MODE)
        .custom_flags(nix::libc::O_NOFOLLOW);
    let file = options.open(path).map_err(failed)?;
    if let Some(user) = user {
        std::os::unix::fs::fchown(&file, Some(user.uid), Some(user.gid)).map_err(failed)?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use mesos_proto::v0::mesos::environment::Variable;
    use mesos_proto::v0::mesos::rlimit_info::RLimit;

    use super::*;

    #[test]
    fn commands_become_programs_with_their_own_name_first() {
        let mut command = CommandInfo::new();
        assert_eq!(program_of(&command), None);
        command.set_value("echo hi".to_owned());
        let argv = vec!["sh".to_owned(), "-c".to_owned(), "echo hi".to_owned()];
        assert_eq!(program_of(&command), Some(("sh".to_owned(), argv)));
        command.set_shell(false);
        command.set_value("/bin/echo".to_owned());
        assert_eq!(
            program_of(&command),
            Some(("/bin/echo".to_owned(), vec!["/bin/echo".to_owned()]))
        );
        command.arguments = vec!["echo".to_owned(), "hi".to_owned()];
        assert_eq!(
            program_of(&command),
            Some(("/bin/echo".to_owned(), command.arguments.clone()))
        );
    }

    #[test]
    fn the_commands_variables_win_over_the_agents() {
        let mut request = LaunchRequest {
            sandbox: PathBuf::from("/box"),
            ..LaunchRequest::default()
        };
        request.command.set_value("true".to_owned());
        request.environment = BTreeMap::from([("A".to_owned(), "agent".to_owned())]);
        let mut variable = Variable::new();
        variable.set_name("A".to_owned());
        variable.set_value("command".to_owned());
        request
            .command
            .environment
            .mut_or_insert_default()
            .variables
            .push(variable);
        let spec = launch_spec(&request, PathBuf::from("/s"), None, Vec::new(), None).expect("a command");
        let expected = [("A", "command"), ("MESOS_SANDBOX", "/box")];
        assert_eq!(
            spec.environment,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn limits_need_both_bounds_or_none() {
        let mut info = ContainerInfo::new();
        let mut limit = RLimit::new();
        limit.set_type(RlimitType::RLMT_NOFILE);
        limit.set_soft(10);
        info.rlimit_info.mut_or_insert_default().rlimits.push(limit);
        assert!(matches!(rlimits_of(Some(&info)), Err(ContainerizerError::BadRlimit(name)) if name == "NOFILE"));
        info.rlimit_info.mut_or_insert_default().rlimits[0].set_hard(20);
        let limits = rlimits_of(Some(&info)).expect("valid");
        assert_eq!(
            limits,
            [RlimitSpec {
                resource: "NOFILE".to_owned(),
                soft: Some(10),
                hard: Some(20)
            }]
        );
    }

    #[test]
    fn unknown_users_are_refused_by_name() {
        let refused = user_of(Some("no-such-user"), true).expect_err("unknown");
        assert_eq!(refused.to_string(), "user 'no-such-user' does not exist on this host");
        assert_eq!(user_of(Some("no-such-user"), false).expect("not switching"), None);
        assert_eq!(user_of(None, true).expect("none asked"), None);
    }
}
