//! Rules for tasks, task groups and executors that are launched.
//!
//! Every rule has its own error, which becomes the message of the TASK_ERROR that the framework gets.
//!
//! Source: shared facts, `task_reasons.tsv`, `pitfalls.md` D2, D17, `libprocess_wire.md` section 12.

use std::collections::BTreeSet;

use mesos::ids::{AgentId, ExecutorId, FrameworkId, IdError, TaskId};
use mesos::resources::{ResourceError, Resources};
use mesos::values::Scalar;
use mesos_proto::v0::mesos::{ExecutorInfo, TaskGroupInfo, TaskInfo, executor_info};
use thiserror::Error;

use crate::check_validation::{CheckError, CommandError, validate_check, validate_command, validate_health_check};
use crate::model::{Agent, Framework};

/// Where a task would run and what it may use.
#[derive(Clone, Copy)]
pub(crate) struct Place<'m> {
    pub(crate) framework: &'m Framework,
    pub(crate) agent: &'m Agent,
    pub(crate) available: &'m Resources,
}

/// Why a task cannot be launched.
#[derive(Clone, Debug, PartialEq, Error)]
pub(crate) enum TaskError {
    #[error("'TaskInfo.task_id' is invalid: {0}")]
    InvalidTaskId(IdError),
    #[error("the task id '{0}' is in use by another task of the framework")]
    DuplicateTaskId(TaskId),
    #[error("the task id '{0}' is in use by an unreachable task of the framework")]
    UnreachableTaskId(TaskId),
    #[error("the task names agent {named}, but the offers are of agent {offered}")]
    OtherAgent { named: AgentId, offered: AgentId },
    #[error("'{field}' is {nanoseconds} ns; it must not be negative")]
    NegativeDuration { field: &'static str, nanoseconds: i64 },
    #[error("the task must have exactly one of 'command' and 'executor'")]
    CommandOrExecutor,
    #[error("'TaskInfo.command' is invalid: {0}")]
    Command(CommandError),
    #[error("'TaskInfo.check' is invalid: {0}")]
    Check(CheckError),
    #[error("'TaskInfo.health_check' is invalid: {0}")]
    HealthCheck(CheckError),
    #[error("the task uses no resources")]
    NoResources,
    #[error("{user} uses invalid resources: {error}")]
    InvalidResources { user: &'static str, error: ResourceError },
    #[error("{user} mixes resources of the roles '{first}' and '{second}'")]
    MixedAllocations {
        user: &'static str,
        first: String,
        second: String,
    },
    #[error("{user} mixes revocable and other '{name}'")]
    MixedRevocable { user: &'static str, name: String },
    #[error("{user} uses the persistence id '{id}' twice")]
    DuplicatePersistenceId { user: &'static str, id: String },
    #[error("{user} asks for {amount} gpus; only whole ones can be had")]
    FractionalGpus { user: &'static str, amount: Scalar },
    #[error("resource limits can be set for 'cpus' and 'mem' only, not for '{0}'")]
    LimitOfOther(String),
    #[error("a limit of '{0}' needs a request of it")]
    LimitWithoutRequest(String),
    #[error("the limit of '{name}' is {limit}, below the request of {request}")]
    LimitBelowRequest { name: String, limit: f64, request: Scalar },
    #[error("agent {0} cannot handle resource limits of tasks")]
    LimitsUnsupported(AgentId),
    #[error("'container.linux_info.share_cgroups' may be false only for tasks of a task group")]
    OwnCgroups,
    #[error("{0}")]
    Executor(#[from] ExecutorError),
    #[error("the task and its executor need {needed}, but only {available} is there")]
    TooMuch { needed: Resources, available: Resources },
    #[error("a task group must have at least one task")]
    EmptyGroup,
    #[error("the task group names task id '{0}' twice")]
    DuplicateInGroup(TaskId),
    #[error("task '{0}' of the group cannot have docker containers")]
    DockerInGroup(TaskId),
    #[error("task '{task}' of the group: {error}")]
    InGroup { task: TaskId, error: Box<TaskError> },
}

/// Why an executor cannot be used.
#[derive(Clone, Debug, PartialEq, Error)]
pub(crate) enum ExecutorError {
    #[error("'ExecutorInfo.executor_id' is invalid: {0}")]
    InvalidId(IdError),
    #[error("the executor belongs to framework {named}, not to {expected}")]
    OtherFramework { named: FrameworkId, expected: FrameworkId },
    #[error("'ExecutorInfo.type' must be CUSTOM for a task")]
    NotCustom,
    #[error("'ExecutorInfo.type' must be set for a task group")]
    TypeMissing,
    #[error("a DEFAULT executor must not have 'command'")]
    DefaultWithCommand,
    #[error("a CUSTOM executor must have 'command'")]
    CommandMissing,
    #[error("'ExecutorInfo.command' is invalid: {0}")]
    Command(CommandError),
    #[error("'ExecutorInfo.shutdown_grace_period' is {0} ns; it must not be negative")]
    NegativeGracePeriod(i64),
    #[error("the executor of a task group cannot be a docker container")]
    DockerInGroup,
    #[error("the executor must not use shared resources")]
    SharedResources,
    #[error("executor '{0}' is on the agent with another description; all its tasks must have the same")]
    Differs(ExecutorId),
}

/// Checks a task that a LAUNCH operation names.
pub(crate) fn validate_task(task: &TaskInfo, place: &Place<'_>) -> Result<(), TaskError> {
    validate_description(task, place)?;
    if task.container.linux_info.has_share_cgroups() && !task.container.linux_info.share_cgroups() {
        return Err(TaskError::OwnCgroups);
    }
    if task.executor.is_some() == task.command.is_some() {
        return Err(TaskError::CommandOrExecutor);
    }
    let own = Resources::from_protobuf(&task.resources).unwrap_or_default();
    let mut needed = own;
    if let Some(executor) = task.executor.as_ref() {
        if executor.has_type() && executor.type_() != executor_info::Type::CUSTOM {
            return Err(ExecutorError::NotCustom.into());
        }
        if executor.command.is_none() {
            return Err(ExecutorError::CommandMissing.into());
        }
        needed += &validate_executor(executor, place)?;
        validate_mix("the task with its executor", &needed)?;
    }
    check_available(&needed, place)
}

/// Checks a task group that a LAUNCH_GROUP operation names, with its executor.
pub(crate) fn validate_group(
    group: &TaskGroupInfo,
    executor: &ExecutorInfo,
    place: &Place<'_>,
) -> Result<(), TaskError> {
    if group.tasks.is_empty() {
        return Err(TaskError::EmptyGroup);
    }
    let mut seen = BTreeSet::new();
    let mut needed = Resources::new();
    for task in &group.tasks {
        let id = TaskId::from(&*task.task_id);
        let checked = if task.command.is_none() {
            Err(TaskError::CommandOrExecutor)
        } else {
            Ok(())
        };
        let checked = checked.and_then(|()| validate_description(task, place));
        checked.map_err(|error| TaskError::InGroup {
            task: id.clone(),
            error: Box::new(error),
        })?;
        if task.container.docker.is_some() {
            return Err(TaskError::DockerInGroup(id));
        }
        if !seen.insert(id.clone()) {
            return Err(TaskError::DuplicateInGroup(id));
        }
        needed += &Resources::from_protobuf(&task.resources).unwrap_or_default();
    }
    validate_group_executor(executor)?;
    needed += &validate_executor(executor, place)?;
    validate_mix("the task group with its executor", &needed)?;
    check_available(&needed, place)
}

fn validate_group_executor(executor: &ExecutorInfo) -> Result<(), ExecutorError> {
    match executor.type_() {
        executor_info::Type::UNKNOWN => return Err(ExecutorError::TypeMissing),
        executor_info::Type::DEFAULT if executor.command.is_some() => return Err(ExecutorError::DefaultWithCommand),
        executor_info::Type::CUSTOM if executor.command.is_none() => return Err(ExecutorError::CommandMissing),
        executor_info::Type::DEFAULT | executor_info::Type::CUSTOM => {}
    }
    if executor.container.docker.is_some() {
        return Err(ExecutorError::DockerInGroup);
    }
    Ok(())
}

/// The rules that hold for tasks wherever they are named.
fn validate_description(task: &TaskInfo, place: &Place<'_>) -> Result<(), TaskError> {
    let id = TaskId::from(&*task.task_id);
    id.validate().map_err(TaskError::InvalidTaskId)?;
    if place.framework.tasks.contains_key(&id) {
        return Err(TaskError::DuplicateTaskId(id));
    }
    if place.framework.unreachable_tasks.contains(&id) {
        return Err(TaskError::UnreachableTaskId(id));
    }
    let named = AgentId::from(&*task.slave_id);
    if named != place.agent.id {
        return Err(TaskError::OtherAgent {
            named,
            offered: place.agent.id.clone(),
        });
    }
    let durations = [
        ("kill_policy.grace_period", task.kill_policy.grace_period.nanoseconds()),
        ("max_completion_time", task.max_completion_time.nanoseconds()),
    ];
    if let Some((field, nanoseconds)) = durations.into_iter().find(|(_, nanoseconds)| *nanoseconds < 0) {
        return Err(TaskError::NegativeDuration { field, nanoseconds });
    }
    if let Some(check) = task.check.as_ref() {
        validate_check(check).map_err(TaskError::Check)?;
    }
    if let Some(check) = task.health_check.as_ref() {
        validate_health_check(check).map_err(TaskError::HealthCheck)?;
    }
    if let Some(command) = task.command.as_ref() {
        validate_command(command).map_err(TaskError::Command)?;
    }
    if task.resources.is_empty() {
        return Err(TaskError::NoResources);
    }
    let resources = Resources::from_protobuf(&task.resources).map_err(|error| TaskError::InvalidResources {
        user: "the task",
        error,
    })?;
    validate_mix("the task", &resources)?;
    validate_limits(task, &resources, place.agent)
}

fn validate_executor(executor: &ExecutorInfo, place: &Place<'_>) -> Result<Resources, TaskError> {
    let id = ExecutorId::from(&*executor.executor_id);
    id.validate().map_err(ExecutorError::InvalidId)?;
    let named = FrameworkId::from(&*executor.framework_id);
    if named != place.framework.id {
        return Err(ExecutorError::OtherFramework {
            named,
            expected: place.framework.id.clone(),
        }
        .into());
    }
    if executor.shutdown_grace_period.nanoseconds() < 0 {
        let nanoseconds = executor.shutdown_grace_period.nanoseconds();
        return Err(ExecutorError::NegativeGracePeriod(nanoseconds).into());
    }
    if let Some(command) = executor.command.as_ref() {
        validate_command(command).map_err(ExecutorError::Command)?;
    }
    let resources = Resources::from_protobuf(&executor.resources).map_err(|error| TaskError::InvalidResources {
        user: "the executor",
        error,
    })?;
    validate_mix("the executor", &resources)?;
    if !resources.shared().is_empty() {
        return Err(ExecutorError::SharedResources.into());
    }
    let known = place
        .agent
        .executors
        .get(&place.framework.id)
        .and_then(|executors| executors.get(&id));
    match known {
        None => Ok(resources),
        Some(known) if same_executor(known, executor, &resources) => Ok(Resources::new()),
        Some(_) => Err(ExecutorError::Differs(id).into()),
    }
}

/// Whether two descriptions mean one executor: equal fields, with resources compared by what they amount to.
fn same_executor(known: &ExecutorInfo, named: &ExecutorInfo, named_resources: &Resources) -> bool {
    let known_resources = Resources::from_protobuf(&known.resources).unwrap_or_default();
    let (mut known, mut named) = (known.clone(), named.clone());
    known.resources.clear();
    named.resources.clear();
    known == named && known_resources == *named_resources
}

/// Rules for resources that belong to one user: one role, no mix of revocable and other ones of a name, every volume
/// once, whole GPUs.
fn validate_mix(user: &'static str, resources: &Resources) -> Result<(), TaskError> {
    let mut roles = resources.iter().filter_map(|resource| resource.allocation_role());
    if let Some(first) = roles.next()
        && let Some(second) = roles.find(|role| *role != first)
    {
        return Err(TaskError::MixedAllocations {
            user,
            first: first.to_owned(),
            second: second.to_owned(),
        });
    }
    let revocable: BTreeSet<&str> = resources
        .iter()
        .filter(|resource| resource.is_revocable())
        .map(|resource| resource.name().as_str())
        .collect();
    let mixed = resources
        .iter()
        .find(|resource| !resource.is_revocable() && revocable.contains(resource.name().as_str()));
    if let Some(resource) = mixed {
        return Err(TaskError::MixedRevocable {
            user,
            name: resource.name().to_string(),
        });
    }
    let mut ids = BTreeSet::new();
    for resource in resources.iter() {
        if let Some(id) = resource.persistence_id()
            && !ids.insert((resource.reservation_role(), id))
        {
            return Err(TaskError::DuplicatePersistenceId {
                user,
                id: id.to_owned(),
            });
        }
    }
    let gpus = resources.gpus();
    if gpus.thousandths() % 1000 != 0 {
        return Err(TaskError::FractionalGpus { user, amount: gpus });
    }
    Ok(())
}

fn validate_limits(task: &TaskInfo, resources: &Resources, agent: &Agent) -> Result<(), TaskError> {
    if task.limits.is_empty() {
        return Ok(());
    }
    if !agent.capabilities.task_resource_limits {
        return Err(TaskError::LimitsUnsupported(agent.id.clone()));
    }
    for (name, limit) in &task.limits {
        if !matches!(name.as_str(), "cpus" | "mem") {
            return Err(TaskError::LimitOfOther(name.clone()));
        }
        let request = resources.get_scalar(name);
        if request.is_zero() {
            return Err(TaskError::LimitWithoutRequest(name.clone()));
        }
        let enough = limit.value() == f64::INFINITY || limit.value() >= request.to_f64();
        if !enough {
            return Err(TaskError::LimitBelowRequest {
                name: name.clone(),
                limit: limit.value(),
                request,
            });
        }
    }
    Ok(())
}

fn check_available(needed: &Resources, place: &Place<'_>) -> Result<(), TaskError> {
    if place.available.contains(needed) {
        return Ok(());
    }
    Err(TaskError::TooMuch {
        needed: needed.clone(),
        available: place.available.clone(),
    })
}
