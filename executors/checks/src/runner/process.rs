//! Runs commands as processes beside the task.

use std::collections::BTreeMap;

use mesos::convert;
use mesos_containerizer::children::{Children, Output, Running};
use mesos_containerizer::{WaitStatus, overlay_environment};

use super::{CommandAttempt, CommandRunner, RunFuture};
use crate::result::Found;

/// Runs commands as children of this process, which must collect them (see [`Children::collect`]).
#[derive(Clone, Debug)]
pub struct ProcessRunner {
    children: Children,
    environment: BTreeMap<String, String>,
}

impl ProcessRunner {
    /// Commands get `environment` and, above it, their own variables.
    #[must_use]
    pub fn new(children: Children, environment: BTreeMap<String, String>) -> Self {
        Self { children, environment }
    }

    fn start(&self, attempt: &CommandAttempt) -> Result<Running, String> {
        let command = convert::devolve(&attempt.command);
        let mut environment = self.environment.clone();
        overlay_environment(&mut environment, &command).map_err(|error| error.to_string())?;
        self.children
            .start(&command, &environment, Output::Errors)
            .map_err(|error| error.to_string())
    }
}

impl CommandRunner for ProcessRunner {
    fn run(&self, attempt: CommandAttempt) -> RunFuture {
        let started = self.start(&attempt);
        Box::pin(async move {
            match started {
                Ok(running) => end_of(running, &attempt).await,
                Err(error) => Found::Failed(error),
            }
        })
    }
}

async fn end_of(mut running: Running, attempt: &CommandAttempt) -> Found {
    let ended = match attempt.timeout {
        Some(timeout) => match tokio::time::timeout(timeout, running.ended()).await {
            Ok(ended) => ended,
            Err(_) => {
                running.kill().await;
                return Found::Failed(format!("the command did not end within {timeout:?}"));
            }
        },
        None => running.ended().await,
    };
    match ended {
        Some(status) => found(status),
        None => Found::Failed("the command's end was not seen".to_owned()),
    }
}

fn found(status: WaitStatus) -> Found {
    status.code().map_or_else(
        || Found::Failed(format!("the command {}", status.describe())),
        Found::Exit,
    )
}
