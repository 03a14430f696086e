//! Commands of checks: each runs in a container nested in that of its task, as a session of this executor.
//!
//! Source: Apache Mesos' documentation of checks for task groups: the command sees what the task sees, and its
//! container is named `check-` and a UUID.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesos::ids::ContainerId;
use mesos_checks::{CheckKind, CommandAttempt, CommandRunner, Found, RunFuture};
use mesos_containerizer::WaitStatus;
use mesos_proto::v1::mesos::CommandInfo;

use crate::agent_api::{AgentApi, Session};
use crate::core::Answer;

/// How long the end of a check's container is waited for after its command was cut off.
const CUT_OFF_PATIENCE: Duration = Duration::from_secs(5);

/// Runs the commands of the checks of one task.
pub struct NestedRunner {
    api: AgentApi,
    task: ContainerId,
    /// The container of the last look of each kind: it is removed before the next one.
    last: Arc<Mutex<BTreeMap<CheckKind, ContainerId>>>,
}

impl NestedRunner {
    /// A runner for the task in a container.
    pub fn new(api: AgentApi, task: ContainerId) -> Self {
        Self {
            api,
            task,
            last: Arc::default(),
        }
    }
}

impl CommandRunner for NestedRunner {
    fn run(&self, attempt: CommandAttempt) -> RunFuture {
        let (api, last) = (self.api.clone(), Arc::clone(&self.last));
        let container = self.task.child(format!("check-{}", uuid::Uuid::new_v4()));
        Box::pin(async move {
            let earlier = {
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                last.insert(attempt.kind, container.clone())
            };
            if let Some(earlier) = earlier {
                remove(&api, &earlier).await;
            }
            look(&api, &container, attempt.command, attempt.timeout).await
        })
    }
}

/// Removes an earlier look. When the agent is away, it stays until the task's container goes.
async fn remove(api: &AgentApi, container: &ContainerId) {
    if let Answer::Refused(status, text) = api.remove(container).await {
        tracing::warn!(%container, status, text, "the container of an earlier check stays");
    }
}

async fn look(api: &AgentApi, container: &ContainerId, command: CommandInfo, timeout: Option<Duration>) -> Found {
    let run = run(api, container, command);
    let Some(timeout) = timeout else { return run.await };
    match tokio::time::timeout(timeout, run).await {
        Ok(found) => found,
        Err(_) => {
            // With the connection goes the container; the next look must not find it.
            let gone = tokio::time::timeout(CUT_OFF_PATIENCE, api.wait(container)).await;
            if gone.is_err() {
                tracing::warn!(%container, "the container of a check that was cut off has not ended yet");
            }
            Found::Failed(format!("Command timed out after {}", mesos::duration::to_text(timeout)))
        }
    }
}

async fn run(api: &AgentApi, container: &ContainerId, command: CommandInfo) -> Found {
    let mut output = match api.open_session(container, command).await {
        Session::Open(output) => output,
        Session::Unavailable(why) => return Found::Unavailable(why),
        Session::Refused(why) => return Found::Failed(why),
    };
    loop {
        match output.next_record().await {
            // What a check prints is for nobody.
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) => return Found::Unavailable(error.to_string()),
        }
    }
    let end = match api.wait(container).await {
        Answer::Done(end) => end,
        Answer::NotFound => return Found::Failed("the container of the check is gone".to_owned()),
        Answer::Unavailable(why) => return Found::Unavailable(why),
        Answer::Refused(status, text) => return Found::Failed(format!("status {status}: {text}")),
    };
    let status = end.exit_status.map(WaitStatus::from_raw);
    match (status, status.and_then(WaitStatus::code)) {
        (_, Some(code)) => Found::Exit(code),
        (Some(status), None) => Found::Failed(format!("Command {}", status.describe())),
        (None, None) => Found::Failed(end.message().to_owned()),
    }
}
