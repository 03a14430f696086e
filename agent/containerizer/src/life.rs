//! The life of one container, from its preparation to its cleaning up: one task each.
//!
//! ```text
//! preparing -> isolating -> fetching -> running -> ended -> cleaned up
//!      \____________\___________\_________ destroyed: killed, then as above
//! ```

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mesos::ids::ContainerId;
use mesos_proto::v0::mesos::environment::Variable;
use mesos_proto::v0::slave::containerizer::{ContainerClass, ContainerConfig, ContainerLaunchInfo};
use tokio::process::Child;
use tokio::sync::{oneshot, watch};

use crate::birth::Birth;
use crate::checkpoint;
use crate::containerizer::{ContainerKind, LaunchRequest, Launched};
use crate::error::ContainerizerError;
use crate::fetcher::{self, FetchRequest};
use crate::helper::protocol::{LaunchSpec, UserSpec};
use crate::isolators::Isolated;
use crate::launcher;
use crate::mesos_containerizer::{Channels, Inner, blocking};
use crate::paths;
use crate::process_tree::{self, TreeRoot};
use crate::termination::{Termination, WaitStatus};
use crate::watching;

/// How long the processes of a container may take to go after they were killed.
const KILL_PATIENCE: Duration = Duration::from_secs(60);

/// The end of a container whose init was killed before it could record anything.
const KILLED: i32 = WaitStatus::signaled(nix::libc::SIGKILL).raw();

/// Runs a container from its launch to its end.
pub(crate) async fn run(
    inner: Arc<Inner>,
    container_id: ContainerId,
    request: LaunchRequest,
    channels: Channels,
    answer: oneshot::Sender<Result<Launched, ContainerizerError>>,
) {
    let Channels { mut destroyed, publish } = channels;
    let mut helper_child = None;
    let started = start(&inner, &container_id, request, &mut destroyed, &mut helper_child).await;
    let mut termination = Termination::default();
    match started {
        Ok(launched) => {
            tracing::info!(%container_id, pid = launched.pid, "container launched");
            // The caller may have gone; the container stays.
            let _ = answer.send(Ok(launched));
            if let Some(child) = &mut helper_child {
                termination = watch_child(&inner, &container_id, child, &mut destroyed).await;
            }
            clean_up(&inner, &container_id, &termination).await;
            publish_end(&inner, &container_id, termination, &publish);
        }
        Err(error) => {
            tracing::info!(%container_id, error = error.chain(), "container not launched");
            termination.message = Some(error.chain());
            kill(&inner, &container_id).await;
            if let Some(child) = &mut helper_child {
                // Only collected: it never ran the command, so how it ended says nothing.
                let _ = child.wait().await;
            }
            clean_up(&inner, &container_id, &termination).await;
            publish_end(&inner, &container_id, termination, &publish);
            let _ = answer.send(Err(error));
        }
    }
}

async fn start(
    inner: &Arc<Inner>,
    container_id: &ContainerId,
    request: LaunchRequest,
    destroyed: &mut watch::Receiver<bool>,
    helper_child: &mut Option<Child>,
) -> Result<Launched, ContainerizerError> {
    let request = Arc::new(request);
    let prepared = {
        let (inner, container_id, request) = (Arc::clone(inner), container_id.clone(), Arc::clone(&request));
        let _turn = inner.turn_to_change(&container_id).await;
        blocking(move || prepare(&inner, &container_id, &request)).await?
    };
    let user = prepared.user.clone();
    let helper = launcher::start(&inner.config.helper, prepared, &request.output).await?;
    let pid = helper.pid;
    inner.set_root(container_id, TreeRoot::running(pid));
    let cancelled = Arc::new(AtomicBool::new(false));
    let readied = {
        let (inner, container_id, request) = (Arc::clone(inner), container_id.clone(), Arc::clone(&request));
        let cancelled = Arc::clone(&cancelled);
        blocking(move || make_ready(&inner, &container_id, &request, pid, user.as_ref(), &cancelled))
    };
    let ready = tokio::select! {
        ready = readied => ready,
        () = asked_to_end(destroyed) => {
            cancelled.store(true, Ordering::Relaxed);
            Err(ContainerizerError::DestroyedDuringLaunch(container_id.clone()))
        }
    };
    if let Err(error) = ready {
        *helper_child = Some(helper.child);
        return Err(error);
    }
    *helper_child = Some(helper.go().await?);
    Ok(Launched {
        pid: pid.unsigned_abs(),
    })
}

/// All that happens before the container has a process.
fn prepare(
    inner: &Inner,
    container_id: &ContainerId,
    request: &LaunchRequest,
) -> Result<LaunchSpec, ContainerizerError> {
    let user = launcher::user_of(request.user.as_deref(), inner.config.switch_user)?;
    let rlimits = if inner.isolation.rlimits {
        launcher::rlimits_of(request.container_info.as_ref())?
    } else {
        if request
            .container_info
            .as_ref()
            .is_some_and(|info| info.rlimit_info.is_some())
        {
            // As the original does; the log says what is missing.
            tracing::warn!(%container_id, "rlimit_info has no effect without the isolator posix/rlimits");
        }
        Vec::new()
    };
    let around = inner
        .outermost_sandbox(container_id)
        .filter(|_| container_id.is_nested());
    launcher::make_sandbox(&request.sandbox, around.as_deref(), user.as_ref())?;
    let folder = paths::container_dir(&inner.config.runtime_dir, container_id);
    mark(&folder, request.kind)?;
    let config_path = paths::config(&folder);
    checkpoint::write_message(&config_path, &container_config(request)).map_err(write_failed(config_path))?;
    for isolator in &inner.isolation.isolators {
        isolator.prepare(isolated(container_id, request))?;
    }
    let status_path = paths::status(&folder);
    checkpoint::write(&status_path, b"").map_err(write_failed(status_path.clone()))?;
    let around = launch_info_around(inner, container_id, request)?;
    let spec = launcher::launch_spec(request, status_path, user, rlimits, around.as_ref())?;
    let info_path = paths::launch_info(&folder);
    checkpoint::write_message(&info_path, &launch_info(request, &spec)).map_err(write_failed(info_path))?;
    Ok(spec)
}

/// Leaves what a later agent has to know of containers that are none of an executor.
fn mark(folder: &Path, kind: ContainerKind) -> Result<(), ContainerizerError> {
    let marker = match kind {
        ContainerKind::Managed => return Ok(()),
        ContainerKind::Standalone => paths::standalone_marker(folder),
        ContainerKind::Debug => paths::force_destroy_on_recovery(folder),
    };
    checkpoint::write(&marker, b"").map_err(write_failed(marker))
}

/// How the container around a look into it was started.
fn launch_info_around(
    inner: &Inner,
    container_id: &ContainerId,
    request: &LaunchRequest,
) -> Result<Option<ContainerLaunchInfo>, ContainerizerError> {
    let Some(parent) = container_id.parent().filter(|_| request.kind == ContainerKind::Debug) else {
        return Ok(None);
    };
    let volumes = request.container_info.as_ref().map_or(0, |info| info.volumes.len());
    if volumes > 0 {
        let what = "volumes in a container that looks into another one".to_owned();
        return Err(ContainerizerError::Unsupported(what));
    }
    let path = paths::launch_info(&paths::container_dir(&inner.config.runtime_dir, parent));
    checkpoint::read_message(&path).map_err(|source| ContainerizerError::File {
        action: "read",
        path,
        source,
    })
}

/// All that happens between the birth of the container's init and the start of its command.
fn make_ready(
    inner: &Inner,
    container_id: &ContainerId,
    request: &LaunchRequest,
    pid: i32,
    user: Option<&UserSpec>,
    cancelled: &AtomicBool,
) -> Result<(), ContainerizerError> {
    let folder = paths::container_dir(&inner.config.runtime_dir, container_id);
    let birth_path = paths::birth(&folder);
    let birth = Birth::of(pid).map_or_else(String::new, |birth| birth.to_text());
    checkpoint::write(&birth_path, birth.as_bytes()).map_err(write_failed(birth_path))?;
    for path in std::iter::once(paths::pid(&folder)).chain(request.pid_checkpoint.clone()) {
        checkpoint::write(&path, pid.to_string().as_bytes()).map_err(write_failed(path))?;
    }
    for isolator in &inner.isolation.isolators {
        isolator.isolate(container_id, pid)?;
    }
    let fetch = FetchRequest {
        uris: &request.command.uris,
        sandbox: &request.sandbox,
        frameworks_home: request.frameworks_home.as_deref(),
        owner: user.map(|user| (user.uid, user.gid)),
        stall_timeout: inner.config.fetcher_stall_timeout,
    };
    let fetched = fetcher::fetch(&fetch, cancelled).map_err(ContainerizerError::from);
    if let Err(error) = &fetched {
        tell_sandbox(&request.sandbox, error);
    }
    fetched.map(|_| ())
}

/// Leaves a failure where the task's owner looks first.
fn tell_sandbox(sandbox: &Path, error: &ContainerizerError) {
    let mut options = fs::File::options();
    // As for the output itself: a link must not lead the agent's account elsewhere.
    options.append(true).custom_flags(nix::libc::O_NOFOLLOW);
    let told = options.open(sandbox.join("stderr"));
    if let Err(failed) = told.and_then(|mut stderr| writeln!(stderr, "{}", error.chain())) {
        tracing::warn!(sandbox = %sandbox.display(), error = %failed, "failure could not be told in the sandbox");
    }
}

fn isolated<'a>(container_id: &'a ContainerId, request: &'a LaunchRequest) -> Isolated<'a> {
    Isolated {
        container_id,
        sandbox: &request.sandbox,
        parent_sandbox: parent_sandbox(container_id, &request.sandbox),
        resources: &request.resources,
        limits: &request.limits,
        container_info: request.container_info.as_ref(),
    }
}

/// Sandbox of the container around a nested one: they stand in one another.
pub(crate) fn parent_sandbox<'a>(container_id: &ContainerId, sandbox: &'a Path) -> Option<&'a Path> {
    sandbox.ancestors().nth(2).filter(|_| container_id.is_nested())
}

fn container_config(request: &LaunchRequest) -> ContainerConfig {
    let mut config = ContainerConfig::new();
    config.command_info = Some(request.command.clone()).into();
    config.set_directory(request.sandbox.display().to_string());
    config.user.clone_from(&request.user);
    config.resources.clone_from(&request.resources);
    config.executor_info = request.executor_info.clone().into();
    config.task_info = request.task_info.clone().into();
    config.container_info = request.container_info.clone().into();
    config.set_container_class(match request.kind {
        ContainerKind::Managed | ContainerKind::Standalone => ContainerClass::DEFAULT,
        ContainerKind::Debug => ContainerClass::DEBUG,
    });
    for (name, limit) in &request.limits {
        let mut scalar = mesos_proto::v0::mesos::value::Scalar::new();
        scalar.set_value(*limit);
        config.limits.insert(name.clone(), scalar);
    }
    config
}

/// The checkpointed form of what the helper is told.
fn launch_info(request: &LaunchRequest, spec: &LaunchSpec) -> ContainerLaunchInfo {
    let mut info = ContainerLaunchInfo::new();
    info.command = Some(request.command.clone()).into();
    info.set_working_directory(spec.directory.display().to_string());
    info.user = spec.user.as_ref().map(|user| user.name.clone());
    if let Some(container) = request.container_info.as_ref().filter(|_| !spec.rlimits.is_empty()) {
        info.rlimits = container.rlimit_info.clone();
    }
    let environment = info.environment.mut_or_insert_default();
    for (name, value) in &spec.environment {
        let mut variable = Variable::new();
        variable.set_name(name.clone());
        variable.set_value(value.clone());
        environment.variables.push(variable);
    }
    info
}

fn write_failed(path: PathBuf) -> impl FnOnce(std::io::Error) -> ContainerizerError {
    move |source| ContainerizerError::File {
        action: "write",
        path,
        source,
    }
}

/// Waits for the container's init, ending it when that is asked for or a limit is broken.
async fn watch_child(
    inner: &Arc<Inner>,
    container_id: &ContainerId,
    child: &mut Child,
    destroyed: &mut watch::Receiver<bool>,
) -> Termination {
    let mut termination = Termination::default();
    let waited = tokio::select! {
        waited = child.wait() => waited,
        broken = end_wanted(inner, container_id, destroyed) => {
            termination = broken;
            kill(inner, container_id).await;
            child.wait().await
        }
    };
    let own = waited.ok().map(|status| WaitStatus::from(status).raw());
    termination.status = recorded_status(inner, container_id).or(own).or(Some(KILLED));
    termination
}

/// Waits until the container must end; gives what is known of its end by then.
pub(crate) async fn end_wanted(
    inner: &Arc<Inner>,
    container_id: &ContainerId,
    destroyed: &mut watch::Receiver<bool>,
) -> Termination {
    tokio::select! {
        () = asked_to_end(destroyed) => Termination::default(),
        limitation = watching::limited(inner, container_id) => {
            tracing::info!(%container_id, reason = ?limitation.reason, "container broke a limit");
            Termination::of_limitation(limitation)
        }
    }
}

/// Waits until somebody asks the container to end.
pub(crate) async fn asked_to_end(destroyed: &mut watch::Receiver<bool>) {
    if destroyed.wait_for(|destroyed| *destroyed).await.is_err() {
        // Nobody can ask any more.
        std::future::pending::<()>().await;
    }
}

/// The wait status that the container's init wrote; `None` when it was killed before it could.
pub(crate) fn recorded_status(inner: &Inner, container_id: &ContainerId) -> Option<i32> {
    let path = paths::status(&paths::container_dir(&inner.config.runtime_dir, container_id));
    match checkpoint::read_number(&path) {
        Ok(status) => status,
        Err(error) => {
            tracing::warn!(%container_id, %error, "wait status of the container is not readable");
            None
        }
    }
}

/// Kills all processes of a container, nested containers first, and waits until they are gone.
///
/// Its own processes are stopped before: an executor whose container ends must not take the end of the containers
/// inside it for that of its tasks and tell so, when it is the agent that knows why they end.
pub(crate) async fn kill(inner: &Arc<Inner>, container_id: &ContainerId) {
    let (root, has_nested) = {
        let registry = inner.registry();
        let root = registry.live.get(container_id).and_then(|live| live.root);
        (root, !registry.nested_in(container_id).is_empty())
    };
    if let Some(root) = root.filter(|_| has_nested) {
        let stopped = tokio::task::spawn_blocking(move || process_tree::stop_tree(root)).await;
        if let Ok(Err(error)) = stopped {
            tracing::warn!(%container_id, %error, "processes of the container run on until they are killed");
        }
    }
    inner.destroy_nested(container_id).await;
    let Some(root) = root else {
        return;
    };
    let killed = tokio::task::spawn_blocking(move || process_tree::kill_tree(root, KILL_PATIENCE)).await;
    if let Ok(Err(error)) = killed {
        tracing::error!(%container_id, %error, "processes of the container are left");
    }
}

/// Removes what is left of a container whose init has ended.
pub(crate) async fn clean_up(inner: &Arc<Inner>, container_id: &ContainerId, termination: &Termination) {
    kill(inner, container_id).await;
    let (inner, container_id, ended) = (Arc::clone(inner), container_id.clone(), termination.clone());
    let cleaned = tokio::task::spawn_blocking(move || {
        for isolator in inner.isolation.isolators.iter().rev() {
            isolator.cleanup(&container_id);
        }
        let folder = paths::container_dir(&inner.config.runtime_dir, &container_id);
        if container_id.is_nested() {
            // The agent may be asked for it until the parent goes.
            checkpoint::write_message(&paths::termination(&folder), &ended.to_proto())
        } else {
            remove_dir(&folder)
        }
    });
    if let Ok(Err(error)) = cleaned.await {
        tracing::warn!(%error, "runtime files of the container stay");
    }
}

/// Removes a folder; one that is not there is fine.
pub(crate) fn remove_dir(folder: &std::path::Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Tells everybody who waits that the container has ended.
pub(crate) fn publish_end(
    inner: &Inner,
    container_id: &ContainerId,
    termination: Termination,
    publish: &watch::Sender<Option<Termination>>,
) {
    let status = termination.wait_status().map(WaitStatus::describe);
    tracing::info!(%container_id, status, "container ended");
    inner.registry().end(container_id, termination.clone());
    publish.send_replace(Some(termination));
}
