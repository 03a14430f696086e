//! Rules for launches that need the master's state: is the id free, is the executor the one that is there, is enough
//! left. What can be said of a description alone stands in [`mesos::validation`].
//!
//! Every rule has its own error, which becomes the message of the TASK_ERROR that the framework gets.
//!
//! Source: shared facts, `task_reasons.tsv`, `pitfalls.md` D2, D17.

use mesos::ids::{AgentId, ExecutorId, TaskId};
use mesos::resources::Resources;
use mesos::validation::executor::{ExecutorError, validate_same_executor};
use mesos::validation::task::{self, Needed, TaskContext, TaskError};
use mesos_proto::v0::mesos::{ExecutorInfo, TaskGroupInfo, TaskInfo};
use thiserror::Error;

use crate::model::{Agent, Framework};

/// Where a task would run and what it may use.
#[derive(Clone, Copy)]
pub(crate) struct Place<'m> {
    pub(crate) framework: &'m Framework,
    pub(crate) agent: &'m Agent,
    pub(crate) available: &'m Resources,
    /// Shared volumes of the offers, used by now or not.
    pub(crate) shared: &'m Resources,
}

/// Why a launch is refused.
#[derive(Clone, Debug, PartialEq, Error)]
pub(crate) enum LaunchError {
    #[error(transparent)]
    Task(#[from] TaskError),
    #[error("the task id '{0}' is in use by an unreachable task of the framework")]
    UnreachableTaskId(TaskId),
    #[error("agent {0} cannot handle resource limits of tasks")]
    LimitsUnsupported(AgentId),
    #[error(transparent)]
    Executor(#[from] ExecutorError),
    #[error("{needed} are needed, but only {available} is left of the offers")]
    TooMuch { needed: Resources, available: Resources },
}

/// Checks a task that a LAUNCH operation names.
pub(crate) fn validate_task(task: &TaskInfo, place: &Place<'_>) -> Result<(), LaunchError> {
    let needed = place.check(|context| task::validate_task(task, context))?;
    place.check_task(task)?;
    place.check_available(needed, task.executor.as_ref())
}

/// Checks a task group that a LAUNCH_GROUP operation names, with its executor.
pub(crate) fn validate_group(
    group: &TaskGroupInfo,
    executor: &ExecutorInfo,
    place: &Place<'_>,
) -> Result<(), LaunchError> {
    let needed = place.check(|context| task::validate_task_group(group, executor, context))?;
    let shared = place.shares_cgroups(executor);
    for task in &group.tasks {
        place.check_task(task)?;
        if let Some(shared) = shared {
            task::validate_cgroups_like(task, shared)?;
        }
    }
    place.check_available(needed, Some(executor))
}

impl Place<'_> {
    fn check(&self, rule: impl FnOnce(&TaskContext<'_>) -> Result<Needed, TaskError>) -> Result<Needed, TaskError> {
        let id_in_use = |id: &str| self.framework.tasks.contains_key(id);
        rule(&TaskContext {
            framework_id: self.framework.id.as_str(),
            agent_id: self.agent.id.as_str(),
            id_in_use: &id_in_use,
        })
    }

    fn check_task(&self, task: &TaskInfo) -> Result<(), LaunchError> {
        let id = TaskId::from(&*task.task_id);
        if self.framework.unreachable_tasks.contains(&id) {
            return Err(LaunchError::UnreachableTaskId(id));
        }
        if !task.limits.is_empty() && !self.agent.capabilities.task_resource_limits {
            return Err(LaunchError::LimitsUnsupported(self.agent.id.clone()));
        }
        Ok(())
    }

    /// Whether the tasks that an executor has already share its control groups; `None` when it has none.
    fn shares_cgroups(&self, executor: &ExecutorInfo) -> Option<bool> {
        let executor_id = ExecutorId::from(&*executor.executor_id);
        let tasks = self.agent.tasks.get(&self.framework.id)?;
        let mut tasks = tasks.iter().filter_map(|id| self.framework.tasks.get(id));
        let task = tasks.find(|task| task.executor_id.as_ref() == Some(&executor_id))?;
        Some(task::shares_cgroups(task.message().container.as_ref()))
    }

    /// An executor that runs already must be described alike, and needs nothing more.
    fn check_available(&self, needed: Needed, executor: Option<&ExecutorInfo>) -> Result<(), LaunchError> {
        let executors = self.agent.executors.get(&self.framework.id);
        let known = executor.and_then(|named| executors?.get(&ExecutorId::from(&*named.executor_id)));
        let mut all = needed.tasks;
        match (known, executor) {
            (Some(known), Some(named)) => validate_same_executor(known, named)?,
            (None, _) | (_, None) => all += &needed.executor,
        }
        let shared = all.shared();
        let fits = if shared.is_empty() {
            self.available.contains(&all)
        } else {
            let known = shared.iter().all(|volume| self.shared.contains_resource(volume));
            known && self.available.contains(&all.nonshared())
        };
        if fits {
            return Ok(());
        }
        Err(LaunchError::TooMuch {
            needed: all,
            available: &self.available.nonshared() + self.shared,
        })
    }
}
