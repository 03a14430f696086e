//! The program around the rules: client, calls to the agent, checks, timers.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use mesos::ids::{ContainerId, TaskId};
use mesos_checks::Checks;
use mesos_checks::core::TaskChecks;
use mesos_containerizer::paths::nested_sandbox;
use mesos_executor_driver::ExecutorEnvironment;
use mesos_executor_driver::v1::{ClientEvent, ExecutorClient, now};
use mesos_node::describe;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::agent_api::AgentApi;
use crate::core::{Effect, ExecutorCore, ExecutorTimer, Input, Outcome, Settings};
use crate::flags::{FlagError, Flags};
use crate::nested_check::NestedRunner;

/// Inputs that may wait.
const QUEUE: usize = 1024;

/// Folder of the sandbox with a link for each task's own sandbox.
const TASKS: &str = "tasks";

/// Why the executor cannot run.
#[derive(Debug, Error)]
enum RunError {
    #[error("the command line is refused")]
    Flags(#[from] FlagError),
    #[error("the environment is refused")]
    Environment(#[from] mesos_executor_driver::EnvironmentError),
    #[error("failed to set up the runtime")]
    Runtime(#[from] io::Error),
}

/// Runs `mesos-default-executor` with the arguments after the program's name; gives its exit code.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    // Standard error is a file of the sandbox. A program that writes its own log already keeps doing so.
    let _ = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(false)
        .try_init();
    match run_executor(arguments) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mesos-default-executor: {}", describe(&error));
            ExitCode::FAILURE
        }
    }
}

fn run_executor(arguments: impl IntoIterator<Item = String>) -> Result<Outcome, RunError> {
    Flags::parse(arguments)?;
    let environment = ExecutorEnvironment::from_env()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async { Shell::new(&environment).run().await });
    // A blocked thread, such as that of a check whose server does not answer, must not keep the program.
    runtime.shutdown_background();
    Ok(outcome)
}

struct Shell {
    core: ExecutorCore,
    client: ExecutorClient,
    events: mpsc::Receiver<ClientEvent>,
    api: AgentApi,
    inputs: mpsc::Sender<Input>,
    queue: mpsc::Receiver<Input>,
    calls: JoinSet<()>,
    timers: BTreeMap<ExecutorTimer, AbortHandle>,
    checks: BTreeMap<ContainerId, Checks>,
    sandbox: PathBuf,
}

impl Shell {
    fn new(environment: &ExecutorEnvironment) -> Self {
        let (client, events) = ExecutorClient::start(environment);
        let (inputs, queue) = mpsc::channel(QUEUE);
        let core = ExecutorCore::new(Settings {
            executor_id: environment.executor_id.clone(),
            shutdown_grace_period: environment.shutdown_grace_period,
            container_ip: container_ip(environment),
            make_uuid: Box::new(|| uuid::Uuid::new_v4().into_bytes()),
        });
        let sandbox = environment.sandbox.clone().or_else(|| environment.directory.clone());
        Self {
            core,
            client,
            events,
            api: AgentApi::new(environment),
            inputs,
            queue,
            calls: JoinSet::new(),
            timers: BTreeMap::new(),
            checks: BTreeMap::new(),
            // Executors are started in their sandbox.
            sandbox: sandbox.unwrap_or_else(|| PathBuf::from(".")),
        }
    }

    async fn run(mut self) -> Outcome {
        loop {
            let input = tokio::select! {
                event = self.events.recv() => match event {
                    Some(ClientEvent::Event(event)) => Some(Input::Received(event)),
                    Some(ClientEvent::Disconnected) => Some(Input::Disconnected),
                    Some(ClientEvent::Connected) => None,
                    Some(ClientEvent::ForceExit) | None => Some(Input::GraceOver),
                },
                input = self.queue.recv() => input,
                // Only collected: what the call found came as an input.
                Some(_) = self.calls.join_next() => None,
            };
            let Some(input) = input else { continue };
            for effect in self.core.step(now(), input) {
                if let Some(outcome) = self.carry_out(effect).await {
                    return outcome;
                }
            }
        }
    }

    async fn carry_out(&mut self, effect: Effect) -> Option<Outcome> {
        match effect {
            Effect::Exit(outcome) => return Some(outcome),
            Effect::SendUpdate(status) => self.client.update(*status).await,
            Effect::LaunchContainer(container, call) => {
                let api = self.api.clone();
                self.call(async move { Input::LaunchAnswered(container, api.launch(&call).await) });
            }
            Effect::WaitContainer(container) => {
                let api = self.api.clone();
                self.call(async move {
                    let answer = api.wait(&container).await;
                    Input::WaitAnswered(container, answer)
                });
            }
            Effect::KillContainer(container, signal) => {
                let api = self.api.clone();
                self.call(async move {
                    let answer = api.kill(&container, signal).await;
                    Input::KillAnswered(container, signal, answer)
                });
            }
            Effect::AbandonCalls => self.calls.abort_all(),
            Effect::LinkSandbox(container, task) => {
                if let Err(error) = link_sandbox(&self.sandbox, &container, &task) {
                    tracing::warn!(task_id = %task, %error, "the task's sandbox has no link with its name");
                }
            }
            Effect::StartChecks(container, checks) => self.start_checks(container, *checks),
            Effect::StopChecks(container) => drop(self.checks.remove(&container)),
            Effect::PauseChecks => self.checks.values().for_each(Checks::pause),
            Effect::ResumeChecks => self.checks.values().for_each(Checks::resume),
            Effect::SetTimer(timer, after) => self.set_timer(timer, after),
            Effect::CancelTimer(timer) => {
                if let Some(old) = self.timers.remove(&timer) {
                    old.abort();
                }
            }
        }
        None
    }

    /// Makes a call; its answer comes as an input.
    fn call(&mut self, call: impl Future<Output = Input> + Send + 'static) {
        let inputs = self.inputs.clone();
        self.calls.spawn(async move {
            // The executor has ended when nobody takes it.
            let _ = inputs.send(call.await).await;
        });
    }

    fn start_checks(&mut self, container: ContainerId, checks: TaskChecks) {
        let runner = NestedRunner::new(self.api.clone(), container.clone());
        let checked = container.clone();
        let wrap = move |report| Input::Checked(checked.clone(), report);
        let checks = Checks::start(checks, Arc::new(runner), self.inputs.clone(), wrap);
        self.checks.insert(container, checks);
    }

    fn set_timer(&mut self, timer: ExecutorTimer, after: Duration) {
        let (inputs, elapsed) = (self.inputs.clone(), timer.clone());
        let task = tokio::spawn(async move {
            tokio::time::sleep(after).await;
            // The executor has ended when nobody takes it.
            let _ = inputs.send(Input::Elapsed(elapsed)).await;
        });
        if let Some(old) = self.timers.insert(timer, task.abort_handle()) {
            old.abort();
        }
    }
}

/// Shows the sandbox of a task's container, which is named by the container, under the task's name.
fn link_sandbox(sandbox: &Path, container: &ContainerId, task: &TaskId) -> io::Result<()> {
    let folder = sandbox.join(TASKS);
    fs::create_dir_all(&folder)?;
    let link = folder.join(task.as_str());
    // A task of that name may have run here before.
    if link.is_symlink() {
        fs::remove_file(&link)?;
    }
    symlink(nested_sandbox(sandbox, container), link)
}

/// The address under which the tasks are reached: the one that this host uses towards the agent.
fn container_ip(environment: &ExecutorEnvironment) -> String {
    if let Ok(ip) = std::env::var("LIBPROCESS_IP") {
        return ip;
    }
    let own = environment.address_towards_agent();
    own.unwrap_or_else(|_| environment.agent.address().ip().to_owned())
        .to_string()
}
