//! Rules for what agents tell when they register: their reports must not contradict themselves.

use std::collections::BTreeSet;

use mesos_proto::internal::wire::messages::{RegisterSlaveMessage, ReregisterSlaveMessage};
use mesos_proto::v0::mesos::{ExecutorID, Resource, SlaveInfo, Task, TaskState};

use super::framework::{FrameworkError, validate_framework};
use crate::ids::{IdError, validate_id};
use crate::resources::{ResourceError, Resources};

/// Why a registration is not taken. The agent gets no answer and tries again.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AgentError {
    /// An id is malformed.
    #[error("`{field}` has the invalid id `{id}`")]
    Id {
        /// The field.
        field: &'static str,
        /// The id.
        id: String,
        /// What is wrong.
        source: IdError,
    },
    /// Resources are malformed.
    #[error("the resources in `{field}` are invalid")]
    Resources {
        /// The field.
        field: &'static str,
        /// What is wrong.
        source: ResourceError,
    },
    /// Reservations are checkpointed by an agent that does not checkpoint.
    #[error("`checkpointed_resources` is set, but `slave.checkpoint` is false")]
    CheckpointedWithoutCheckpoint,
    /// A framework is malformed.
    #[error("`frameworks` has an invalid description of framework `{id}`")]
    Framework {
        /// The framework.
        id: String,
        /// What is wrong.
        source: FrameworkError,
    },
    /// A framework stands there twice.
    #[error("`frameworks` has framework `{0}` twice")]
    DuplicateFramework(String),
    /// An executor stands there twice.
    #[error("`executor_infos` has executor `{executor}` of framework `{framework}` twice")]
    DuplicateExecutor {
        /// The executor.
        executor: String,
        /// Its framework.
        framework: String,
    },
    /// An executor or a task belongs to a framework that the agent does not describe.
    #[error("`{field}` has `{id}` of framework `{framework}`, which is not among `frameworks`")]
    UnknownFramework {
        /// The field.
        field: &'static str,
        /// The executor or task.
        id: String,
        /// The framework.
        framework: String,
    },
    /// A running task has an executor that the agent does not have.
    #[error("`tasks` has the running `{task}` of executor `{executor}`, which is not among `executor_infos`")]
    UnknownExecutor {
        /// The task.
        task: String,
        /// The executor.
        executor: String,
    },
    /// A task is on another agent.
    #[error("`tasks` has `{task}` of agent `{found}`, but it is `{expected}` that registers")]
    OtherAgent {
        /// The task.
        task: String,
        /// The agent that the task names.
        found: String,
        /// The agent that registers.
        expected: String,
    },
}

/// Checks the first registration of an agent.
///
/// # Errors
///
/// Names the field and the rule.
pub fn validate_registration(message: &RegisterSlaveMessage) -> Result<(), AgentError> {
    validate_info(&message.slave)?;
    if !message.checkpointed_resources.is_empty() && !message.slave.checkpoint() {
        return Err(AgentError::CheckpointedWithoutCheckpoint);
    }
    validate_resources("checkpointed_resources", &message.checkpointed_resources)
}

/// What the rules look at of a task that an agent reports; its resources are checked on their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskReport<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its framework.
    pub framework: &'a str,
    /// The agent that it names.
    pub agent: &'a str,
    /// The executor that it names; may be empty.
    pub executor: Option<&'a str>,
    /// Its state.
    pub state: TaskState,
}

impl<'a> From<&'a Task> for TaskReport<'a> {
    fn from(task: &'a Task) -> Self {
        Self {
            id: task.task_id.value(),
            framework: task.framework_id.value(),
            agent: task.slave_id.value(),
            executor: task.executor_id.as_ref().map(ExecutorID::value),
            state: task.state(),
        }
    }
}

/// Checks that an agent that registers again describes everything that its tasks and executors refer to.
///
/// # Errors
///
/// Names the field, what stands there and the rule.
pub fn validate_reregistration(message: &ReregisterSlaveMessage) -> Result<(), AgentError> {
    validate_report(message, message.tasks.iter().map(TaskReport::from))?;
    let mut tasks = message.tasks.iter();
    tasks.try_for_each(|task| validate_resources("tasks", &task.resources))
}

/// Like [`validate_reregistration`] for a message whose tasks are kept elsewhere; leaves the resources of the tasks
/// out.
///
/// # Errors
///
/// Names the field, what stands there and the rule.
pub fn validate_report<'a>(
    message: &ReregisterSlaveMessage,
    mut tasks: impl Iterator<Item = TaskReport<'a>>,
) -> Result<(), AgentError> {
    validate_info(&message.slave)?;
    validate_resources("checkpointed_resources", &message.checkpointed_resources)?;
    let mut frameworks = BTreeSet::new();
    for framework in &message.frameworks {
        let id = || framework.id.value().to_owned();
        validate_framework(framework).map_err(|source| AgentError::Framework { id: id(), source })?;
        if !frameworks.insert(framework.id.value()) {
            return Err(AgentError::DuplicateFramework(id()));
        }
    }
    let mut executors = BTreeSet::new();
    for executor in &message.executor_infos {
        let (id, framework) = (executor.executor_id.value(), executor.framework_id.value());
        check_id("executor_infos", id)?;
        validate_resources("executor_infos", &executor.resources)?;
        if !frameworks.contains(framework) {
            return Err(unknown_framework("executor_infos", id, framework));
        }
        if !executors.insert((framework, id)) {
            return Err(AgentError::DuplicateExecutor {
                executor: id.to_owned(),
                framework: framework.to_owned(),
            });
        }
    }
    let agent = message.slave.id.value();
    tasks.try_for_each(|task| validate_task(&task, agent, &frameworks, &executors))
}

fn validate_task(
    task: &TaskReport<'_>,
    agent: &str,
    frameworks: &BTreeSet<&str>,
    executors: &BTreeSet<(&str, &str)>,
) -> Result<(), AgentError> {
    let (id, framework) = (task.id, task.framework);
    check_id("tasks", id)?;
    if task.agent != agent {
        return Err(AgentError::OtherAgent {
            task: id.to_owned(),
            found: task.agent.to_owned(),
            expected: agent.to_owned(),
        });
    }
    if !frameworks.contains(framework) {
        return Err(unknown_framework("tasks", id, framework));
    }
    // Executors that the agent made for a command are not told to the master, and neither are those that ended.
    if let Some(executor) = task.executor.filter(|_| task.state == TaskState::TASK_RUNNING)
        && !executor.is_empty()
        && !executors.contains(&(framework, executor))
    {
        return Err(AgentError::UnknownExecutor {
            task: id.to_owned(),
            executor: executor.to_owned(),
        });
    }
    Ok(())
}

fn validate_info(info: &SlaveInfo) -> Result<(), AgentError> {
    if let Some(id) = info.id.as_ref() {
        check_id("slave.id", id.value())?;
    }
    validate_resources("slave.resources", &info.resources)
}

fn check_id(field: &'static str, id: &str) -> Result<(), AgentError> {
    validate_id(id).map_err(|source| AgentError::Id {
        field,
        id: id.to_owned(),
        source,
    })
}

fn validate_resources(field: &'static str, resources: &[Resource]) -> Result<(), AgentError> {
    let read = Resources::from_protobuf(resources);
    read.map(drop).map_err(|source| AgentError::Resources { field, source })
}

fn unknown_framework(field: &'static str, id: &str, framework: &str) -> AgentError {
    AgentError::UnknownFramework {
        field,
        id: id.to_owned(),
        framework: framework.to_owned(),
    }
}
