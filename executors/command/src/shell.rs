//! The program around the rules: client, processes, timers.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use libprocess_types::Time;
use mesos_checks::core::TaskChecks;
use mesos_checks::runner::ProcessRunner;
use mesos_checks::{Checks, CommandRunner};
use mesos_containerizer::children::{Children, Output};
use mesos_containerizer::reaper;
use mesos_executor_driver::ExecutorEnvironment;
use mesos_executor_driver::environment::text_variables;
use mesos_executor_driver::v1::ClientEvent;
use mesos_proto::v0::mesos::Environment;
use mesos_proto::v1::mesos::TaskInfo;
use thiserror::Error as ThisError;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::command;
use crate::core::{Effect, ExecutorCore, ExecutorTimer, Input, Outcome};
use crate::flags::{FlagError, Flags};
use crate::link::{Events, Link, LinkError};

/// Inputs that may wait.
const QUEUE: usize = 256;

/// Why the executor cannot run.
#[derive(Debug, ThisError)]
enum RunError {
    #[error("the command line is refused")]
    Flags(#[from] FlagError),
    #[error("the environment is refused")]
    Environment(#[from] mesos_executor_driver::EnvironmentError),
    #[error("flag --task_environment is no Environment in JSON: {0}")]
    TaskEnvironment(mesos::json::JsonError),
    #[error("failed to set up processes and signals")]
    System(#[from] io::Error),
    #[error("no way to the agent")]
    Link(#[from] LinkError),
}

/// Runs `mesos-executor` with the arguments after the program's name; gives its exit code.
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
            eprintln!("mesos-executor: {}", error_text(&error));
            ExitCode::FAILURE
        }
    }
}

fn run_executor(arguments: impl IntoIterator<Item = String>) -> Result<Outcome, RunError> {
    let flags = Flags::parse(arguments)?;
    let environment = ExecutorEnvironment::from_env()?;
    let task_environment = match &flags.task_environment {
        Some(json) => mesos::json::from_str::<Environment>(json).map_err(RunError::TaskEnvironment)?,
        None => Environment::new(),
    };
    reaper::adopt_orphans()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async { Shell::new(&environment, task_environment).await?.run().await });
    // A blocked thread must not keep the program.
    runtime.shutdown_background();
    outcome
}

struct Shell {
    core: ExecutorCore,
    link: Link,
    events: Events,
    ends: Signal,
    children: Children,
    inputs: mpsc::Sender<Input>,
    queue: mpsc::Receiver<Input>,
    timers: BTreeMap<ExecutorTimer, AbortHandle>,
    task_environment: Environment,
    prepared: Option<TaskChecks>,
    checks: Option<Checks>,
}

impl Shell {
    async fn new(environment: &ExecutorEnvironment, task_environment: Environment) -> Result<Self, RunError> {
        let ends = signal(SignalKind::child())?;
        let (link, events) = Link::open(environment).await?;
        let (inputs, queue) = mpsc::channel(QUEUE);
        let make_uuid = Box::new(|| uuid::Uuid::new_v4().as_bytes().to_vec());
        let core = ExecutorCore::new(
            environment.executor_id.clone(),
            environment.shutdown_grace_period,
            make_uuid,
        );
        let timers = BTreeMap::new();
        let children = Children::default();
        Ok(Self {
            core,
            link,
            events,
            ends,
            children,
            inputs,
            queue,
            timers,
            task_environment,
            prepared: None,
            checks: None,
        })
    }

    async fn run(mut self) -> Result<Outcome, RunError> {
        loop {
            let input = tokio::select! {
                event = self.events.next() => match event {
                    Some(ClientEvent::Event(event)) => Some(Input::Received(event)),
                    Some(ClientEvent::ForceExit) | None => Some(Input::GraceOver),
                    Some(ClientEvent::Connected | ClientEvent::Disconnected) => None,
                },
                input = self.queue.recv() => input,
                _ = self.ends.recv() => {
                    self.children.collect()?;
                    None
                }
            };
            if let Some(input) = input
                && let Some(outcome) = self.step(input).await
            {
                return Ok(outcome);
            }
        }
    }

    /// Applies an input and everything that follows from it at once.
    async fn step(&mut self, input: Input) -> Option<Outcome> {
        let mut next = Some(input);
        while let Some(input) = next.take() {
            for effect in self.core.step(now(), input) {
                match effect {
                    Effect::Exit(outcome) => return Some(outcome),
                    Effect::StartCommand(task) => next = Some(self.start(&task)),
                    Effect::SendUpdate(status) => self.link.update(*status).await,
                    Effect::TerminateTree => signal_task(command::terminate_all).await,
                    Effect::KillTree => signal_task(command::kill_all).await,
                    Effect::SetTimer(timer, after) => self.set_timer(timer, after),
                    Effect::CancelTimer(timer) => self.replace_timer(timer, None),
                    Effect::StartChecks => self.start_checks(),
                    Effect::StopChecks => self.checks = None,
                }
            }
        }
        None
    }

    fn start(&mut self, task: &TaskInfo) -> Input {
        match TaskChecks::of_task(task) {
            Ok(checks) => self.prepared = Some(checks).filter(|checks| !checks.is_empty()),
            Err(error) => return Input::StartFailed(error_text(&error)),
        }
        let environment = match command::environment(text_variables(), &self.task_environment, task) {
            Ok(environment) => environment,
            Err(error) => return Input::StartFailed(error.to_string()),
        };
        let started = self
            .children
            .start(&command::command_of(task), &environment, Output::Own);
        let mut running = match started {
            Ok(running) => running,
            Err(error) => return Input::StartFailed(error.to_string()),
        };
        tracing::info!(task_id = task.task_id.value(), pid = running.pid(), "task started");
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            if let Some(status) = running.ended().await {
                // The executor has ended when nobody takes it.
                let _ = inputs.send(Input::Ended(status)).await;
            }
        });
        Input::Started
    }

    fn start_checks(&mut self) {
        if let Some(checks) = self.prepared.take() {
            let environment = command::own_environment(text_variables());
            let runner: Arc<dyn CommandRunner> = Arc::new(ProcessRunner::new(self.children.clone(), environment));
            self.checks = Some(Checks::start(checks, runner, self.inputs.clone(), Input::Checked));
        }
    }

    fn set_timer(&mut self, timer: ExecutorTimer, after: Duration) {
        let inputs = self.inputs.clone();
        let task = tokio::spawn(async move {
            tokio::time::sleep(after).await;
            // The executor has ended when nobody takes it.
            let _ = inputs.send(Input::Elapsed(timer)).await;
        });
        self.replace_timer(timer, Some(task.abort_handle()));
    }

    fn replace_timer(&mut self, timer: ExecutorTimer, task: Option<AbortHandle>) {
        let old = match task {
            Some(task) => self.timers.insert(timer, task),
            None => self.timers.remove(&timer),
        };
        if let Some(old) = old {
            old.abort();
        }
    }
}

/// An error with its causes in one line.
fn error_text(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

/// Signals the task's processes on a thread that may wait for them.
async fn signal_task(work: impl FnOnce() -> Result<(), mesos_containerizer::process_tree::TreeError> + Send + 'static) {
    if let Ok(Err(error)) = tokio::task::spawn_blocking(work).await {
        tracing::error!(error = %error, "processes of the task are left");
    }
}

fn now() -> Time {
    Time::EPOCH + SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
