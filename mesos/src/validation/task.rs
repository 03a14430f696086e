//! Rules for descriptions of tasks and task groups.

use std::collections::BTreeSet;

use mesos_proto::v0::mesos::{ContainerInfo, ExecutorInfo, TaskGroupInfo, TaskInfo, container_info, health_check};

use super::check::{CheckError, validate_check, validate_health_check};
use super::command::{CommandError, validate_command};
use super::container::{ContainerError, validate_container};
use super::executor::{ExecutorError, LaunchedFor, validate_executor};
use super::usage::{UsageError, read_usage, validate_disjoint, validate_together};
use crate::ids::{IdError, validate_id};
use crate::resources::Resources;
use crate::values::Scalar;

/// Why a description of a task is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TaskError {
    /// The id is malformed.
    #[error("the task id `{id}` is invalid")]
    Id {
        /// The id.
        id: String,
        /// What is wrong.
        source: IdError,
    },
    /// The id is in use.
    #[error("the task id `{id}` is in use by another task of the framework")]
    DuplicateId {
        /// The id.
        id: String,
    },
    /// The task is for another agent than the offer.
    #[error("task `{id}` names the agent `{named}`, but the offers are of `{offered}`")]
    OtherAgent {
        /// The task.
        id: String,
        /// The agent in the description.
        named: String,
        /// The agent of the offers.
        offered: String,
    },
    /// Neither or both of executor and command are there.
    #[error("task `{id}` must have exactly one of `executor` and `command`, and has {found}")]
    ExecutorOrCommand {
        /// The task.
        id: String,
        /// What it has, in words.
        found: &'static str,
    },
    /// A task of a group describes another executor than the group.
    #[error("`executor` of task `{id}` is not that of its task group, `{executor}`; leave it out")]
    ExecutorInGroup {
        /// The task.
        id: String,
        /// The executor of the group.
        executor: String,
    },
    /// A check from outside cannot reach a task with a network of its own.
    #[error(
        "`health_check` of task `{id}` is of the type {kind}, but the task has `container.network_infos` of its own"
    )]
    HealthCheckAcrossNetworks {
        /// The task.
        id: String,
        /// The type.
        kind: &'static str,
    },
    /// A task of a group has limits, but no control groups that could keep them.
    #[error("task `{id}` of a task group has `limits`, for which it needs `share_cgroups` false")]
    LimitsWithoutCgroups {
        /// The task.
        id: String,
    },
    /// Tasks of one executor differ in whether they share control groups.
    #[error("task `{id}` has `share_cgroups` {found}, other tasks of its executor have {other}; all must agree")]
    MixedCgroups {
        /// The task.
        id: String,
        /// What it has.
        found: bool,
        /// What the others have.
        other: bool,
    },
    /// A task of a group runs in docker.
    #[error("task `{id}` of a task group cannot have a DOCKER container")]
    DockerInGroup {
        /// The task.
        id: String,
    },
    /// The command breaks a rule.
    #[error("the command of task `{id}` is invalid")]
    Command {
        /// The task.
        id: String,
        /// The rule.
        source: CommandError,
    },
    /// The container breaks a rule.
    #[error("the container of task `{id}` is invalid")]
    Container {
        /// The task.
        id: String,
        /// The rule.
        source: ContainerError,
    },
    /// A task that is no group member wants control groups of its own inside its executor.
    #[error("task `{id}` has `share_cgroups` false, which only tasks of a task group can have")]
    OwnCgroups {
        /// The task.
        id: String,
    },
    /// The check breaks a rule.
    #[error("`check` of task `{id}` is invalid")]
    Check {
        /// The task.
        id: String,
        /// The rule.
        source: CheckError,
    },
    /// The health check breaks a rule.
    #[error("`health_check` of task `{id}` is invalid")]
    HealthCheck {
        /// The task.
        id: String,
        /// The rule.
        source: CheckError,
    },
    /// A duration is negative.
    #[error("`{field}` of task `{id}` is {nanoseconds} ns; it must be at least zero")]
    NegativeDuration {
        /// The task.
        id: String,
        /// The field.
        field: &'static str,
        /// The value.
        nanoseconds: i64,
    },
    /// The task uses nothing.
    #[error("task `{id}` uses no resources")]
    NoResources {
        /// The task.
        id: String,
    },
    /// The resources break a rule.
    #[error("the resources of task `{id}` are invalid")]
    Resources {
        /// The task.
        id: String,
        /// The rule.
        source: UsageError,
    },
    /// A limit is for something that has none.
    #[error("task `{id}` limits `{name}`; only cpus and mem have limits")]
    LimitOfOther {
        /// The task.
        id: String,
        /// Name of the resource.
        name: String,
    },
    /// A limit is for something that is not asked for.
    #[error("task `{id}` limits `{name}`, but does not use it")]
    LimitWithoutRequest {
        /// The task.
        id: String,
        /// Name of the resource.
        name: String,
    },
    /// A limit is below what is asked for.
    #[error("task `{id}` limits `{name}` to {limit}, below the {request} it uses")]
    LimitBelowRequest {
        /// The task.
        id: String,
        /// Name of the resource.
        name: String,
        /// The limit.
        limit: f64,
        /// What it uses.
        request: Scalar,
    },
    /// The executor breaks a rule.
    #[error(transparent)]
    Executor(#[from] ExecutorError),
    /// A task group has no tasks.
    #[error("the task group has no tasks")]
    EmptyGroup,
}

/// Where a task is to run, and what is known there.
pub struct TaskContext<'a> {
    /// The framework that launches.
    pub framework_id: &'a str,
    /// The agent of the offers.
    pub agent_id: &'a str,
    /// Whether a task id is in use by the framework.
    pub id_in_use: &'a dyn Fn(&str) -> bool,
}

/// What a task, or a group with its executor, uses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Needed {
    /// Resources of the tasks.
    pub tasks: Resources,
    /// Resources of the executor, which count only when it does not run yet.
    pub executor: Resources,
}

/// Checks a task of a LAUNCH operation and gives what it uses.
///
/// # Errors
///
/// Names the task, the field and the rule.
pub fn validate_task(task: &TaskInfo, context: &TaskContext<'_>) -> Result<Needed, TaskError> {
    let tasks = validate_description(task, context)?;
    let id = || task.task_id.value().to_owned();
    let found = match (task.executor.is_some(), task.command.is_some()) {
        (true, true) => Some("both"),
        (false, false) => Some("neither"),
        (true, false) | (false, true) => None,
    };
    if let Some(found) = found {
        return Err(TaskError::ExecutorOrCommand { id: id(), found });
    }
    if !shares_cgroups(task.container.as_ref()) {
        return Err(TaskError::OwnCgroups { id: id() });
    }
    let executor = match task.executor.as_ref() {
        Some(executor) => validate_executor(executor, context.framework_id, LaunchedFor::Task)?,
        None => Resources::new(),
    };
    let together = validate_together(&(&tasks + &executor)).and_then(|()| validate_disjoint([&tasks, &executor]));
    together.map_err(|source| TaskError::Resources { id: id(), source })?;
    Ok(Needed { tasks, executor })
}

/// Checks a task group of a LAUNCH_GROUP operation with its executor and gives what they use.
///
/// # Errors
///
/// Names the task or executor, the field and the rule.
pub fn validate_task_group(
    group: &TaskGroupInfo,
    executor: &ExecutorInfo,
    context: &TaskContext<'_>,
) -> Result<Needed, TaskError> {
    if group.tasks.is_empty() {
        return Err(TaskError::EmptyGroup);
    }
    let mut users = Vec::with_capacity(group.tasks.len() + 1);
    let mut seen = BTreeSet::new();
    for task in &group.tasks {
        let id = || task.task_id.value().to_owned();
        users.push(validate_description(task, context)?);
        if !seen.insert(task.task_id.value()) {
            return Err(TaskError::DuplicateId { id: id() });
        }
        validate_member(task, executor)?;
    }
    validate_cgroups(&group.tasks)?;
    let executor_resources = validate_executor(executor, context.framework_id, LaunchedFor::TaskGroup)?;
    let tasks: Resources = users.iter().sum();
    validate_together(&(&tasks + &executor_resources))
        .and_then(|()| validate_disjoint(users.iter().chain([&executor_resources])))
        .map_err(|source| ExecutorError::Resources {
            id: executor.executor_id.value().to_owned(),
            source,
        })?;
    Ok(Needed {
        tasks,
        executor: executor_resources,
    })
}

/// The rules that hold for tasks of a group only.
fn validate_member(task: &TaskInfo, executor: &ExecutorInfo) -> Result<(), TaskError> {
    let id = || task.task_id.value().to_owned();
    if task.executor.as_ref().is_some_and(|own| own != executor) {
        return Err(TaskError::ExecutorInGroup {
            id: id(),
            executor: executor.executor_id.value().to_owned(),
        });
    }
    let container = task.container.as_ref();
    let docker = |container: &ContainerInfo| container.type_() == container_info::Type::DOCKER;
    if container.is_some_and(docker) {
        return Err(TaskError::DockerInGroup { id: id() });
    }
    let kind = task.health_check.as_ref().and_then(|check| match check.type_() {
        health_check::Type::HTTP => Some("HTTP"),
        health_check::Type::TCP => Some("TCP"),
        health_check::Type::COMMAND | health_check::Type::UNKNOWN => None,
    });
    if let Some(kind) = kind.filter(|_| !task.container.network_infos.is_empty()) {
        return Err(TaskError::HealthCheckAcrossNetworks { id: id(), kind });
    }
    if !task.limits.is_empty() && shares_cgroups(container) {
        return Err(TaskError::LimitsWithoutCgroups { id: id() });
    }
    Ok(())
}

fn validate_cgroups(tasks: &[TaskInfo]) -> Result<(), TaskError> {
    let Some(first) = tasks.first() else { return Ok(()) };
    let other = shares_cgroups(first.container.as_ref());
    tasks.iter().try_for_each(|task| validate_cgroups_like(task, other))
}

/// Checks that a task shares control groups with its executor exactly when the executor's other tasks do.
///
/// # Errors
///
/// Names the task.
pub fn validate_cgroups_like(task: &TaskInfo, other: bool) -> Result<(), TaskError> {
    let found = shares_cgroups(task.container.as_ref());
    if found == other {
        return Ok(());
    }
    Err(TaskError::MixedCgroups {
        id: task.task_id.value().to_owned(),
        found,
        other,
    })
}

/// Whether a task with this container uses the control groups of its executor, as all do that do not say otherwise.
#[must_use]
pub fn shares_cgroups(container: Option<&ContainerInfo>) -> bool {
    container.is_none_or(|container| container.linux_info.share_cgroups.unwrap_or(true))
}

/// The rules that hold for tasks alone and in groups.
fn validate_description(task: &TaskInfo, context: &TaskContext<'_>) -> Result<Resources, TaskError> {
    let text = task.task_id.value();
    let id = || text.to_owned();
    validate_id(text).map_err(|source| TaskError::Id { id: id(), source })?;
    if (context.id_in_use)(text) {
        return Err(TaskError::DuplicateId { id: id() });
    }
    if task.slave_id.value() != context.agent_id {
        let (named, offered) = (task.slave_id.value().to_owned(), context.agent_id.to_owned());
        return Err(TaskError::OtherAgent {
            id: id(),
            named,
            offered,
        });
    }
    validate_durations(task)?;
    if let Some(check) = task.check.as_ref() {
        validate_check(check).map_err(|source| TaskError::Check { id: id(), source })?;
    }
    if let Some(check) = task.health_check.as_ref() {
        validate_health_check(check).map_err(|source| TaskError::HealthCheck { id: id(), source })?;
    }
    if let Some(command) = task.command.as_ref() {
        validate_command(command).map_err(|source| TaskError::Command { id: id(), source })?;
    }
    if let Some(container) = task.container.as_ref() {
        validate_container(container).map_err(|source| TaskError::Container { id: id(), source })?;
    }
    if task.resources.is_empty() {
        return Err(TaskError::NoResources { id: id() });
    }
    let resources = read_usage(&task.resources).map_err(|source| TaskError::Resources { id: id(), source })?;
    validate_limits(task, &resources)?;
    Ok(resources)
}

fn validate_durations(task: &TaskInfo) -> Result<(), TaskError> {
    let durations = [
        ("kill_policy.grace_period", task.kill_policy.grace_period.nanoseconds()),
        ("max_completion_time", task.max_completion_time.nanoseconds()),
    ];
    match durations.into_iter().find(|(_, nanoseconds)| *nanoseconds < 0) {
        Some((field, nanoseconds)) => Err(TaskError::NegativeDuration {
            id: task.task_id.value().to_owned(),
            field,
            nanoseconds,
        }),
        None => Ok(()),
    }
}

/// Limits are for cpus and mem, and not below what is used; infinity lifts the limit.
fn validate_limits(task: &TaskInfo, resources: &Resources) -> Result<(), TaskError> {
    let id = || task.task_id.value().to_owned();
    let mut names: Vec<&String> = task.limits.keys().collect();
    names.sort_unstable();
    for name in names {
        if !matches!(name.as_str(), "cpus" | "mem") {
            return Err(TaskError::LimitOfOther {
                id: id(),
                name: name.clone(),
            });
        }
        let request = resources.get_scalar(name);
        if request.is_zero() {
            return Err(TaskError::LimitWithoutRequest {
                id: id(),
                name: name.clone(),
            });
        }
        let limit = task.limits[name].value();
        if limit.is_nan() || (limit.is_finite() && Scalar::from_f64(limit) < request) || limit == f64::NEG_INFINITY {
            return Err(TaskError::LimitBelowRequest {
                id: id(),
                name: name.clone(),
                limit,
                request,
            });
        }
    }
    Ok(())
}
