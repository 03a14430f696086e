//! Rules for descriptions of executors.

use mesos_proto::v0::mesos::{ExecutorInfo, container_info, executor_info};

use super::command::{CommandError, validate_command};
use super::container::{ContainerError, validate_container};
use super::usage::{UsageError, read_usage};
use crate::ids::{IdError, validate_id};
use crate::resources::{ResourceName, Resources};
use crate::values::Scalar;

/// Least share of a processor for an executor of a task group. Source: `constants.tsv`.
const LEAST_CPUS: Scalar = Scalar::from_thousandths(10);

/// Least memory, in MB, for an executor of a task group. Source: `constants.tsv`.
const LEAST_MEM: Scalar = Scalar::from_thousandths(32_000);

/// Why a description of an executor is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ExecutorError {
    /// The id is malformed.
    #[error("the executor id `{id}` is invalid")]
    Id {
        /// The id.
        id: String,
        /// What is wrong.
        source: IdError,
    },
    /// The executor belongs to another framework.
    #[error("executor `{id}` names the framework `{named}`, but it is `{expected}` that launches it")]
    OtherFramework {
        /// The executor.
        id: String,
        /// The framework in the description.
        named: String,
        /// The framework that launches.
        expected: String,
    },
    /// A custom executor has nothing to run.
    #[error("executor `{id}` lacks `command`, which an executor of the type CUSTOM must have")]
    CommandMissing {
        /// The executor.
        id: String,
    },
    /// The built-in executor is given a command.
    #[error("executor `{id}` of the type DEFAULT cannot have `command`")]
    CommandOnDefault {
        /// The executor.
        id: String,
    },
    /// The built-in executor runs task groups only.
    #[error("executor `{id}` of the type DEFAULT runs task groups only")]
    DefaultOutsideGroup {
        /// The executor.
        id: String,
    },
    /// An executor of a task group has no type.
    #[error("executor `{id}` of a task group must say whether its type is DEFAULT or CUSTOM")]
    TypeMissing {
        /// The executor.
        id: String,
    },
    /// An executor of a task group runs in docker.
    #[error("executor `{id}` of a task group cannot have a DOCKER container")]
    DockerInGroup {
        /// The executor.
        id: String,
    },
    /// The container of the built-in executor has another type.
    #[error("executor `{id}` of the type DEFAULT has a container of the type {found}; MESOS is possible")]
    DefaultContainer {
        /// The executor.
        id: String,
        /// The type.
        found: String,
    },
    /// The built-in executor has an image.
    #[error("executor `{id}` of the type DEFAULT cannot have `container.mesos.image`")]
    ImageOnDefault {
        /// The executor.
        id: String,
    },
    /// An executor wants no control groups of its own.
    #[error("executor `{id}` has `share_cgroups` true, which only its tasks can have")]
    SharedCgroups {
        /// The executor.
        id: String,
    },
    /// An executor of a task group has too little to run.
    #[error("executor `{id}` of a task group has {amount} {name}; at least {least} are needed")]
    TooLittle {
        /// The executor.
        id: String,
        /// Name of the resource.
        name: &'static str,
        /// What it has.
        amount: Scalar,
        /// What it needs.
        least: Scalar,
    },
    /// An executor of a task group has no disk.
    #[error("executor `{id}` of a task group has no `disk`, for which any amount will do")]
    NoDisk {
        /// The executor.
        id: String,
    },
    /// The command breaks a rule.
    #[error("the command of executor `{id}` is invalid")]
    Command {
        /// The executor.
        id: String,
        /// The rule.
        source: CommandError,
    },
    /// The container breaks a rule.
    #[error("the container of executor `{id}` is invalid")]
    Container {
        /// The executor.
        id: String,
        /// The rule.
        source: ContainerError,
    },
    /// The resources break a rule.
    #[error("the resources of executor `{id}` are invalid")]
    Resources {
        /// The executor.
        id: String,
        /// The rule.
        source: UsageError,
    },
    /// The executor uses a shared volume.
    #[error("executor `{id}` uses a shared volume; only tasks can")]
    SharedResources {
        /// The executor.
        id: String,
    },
    /// The time between shutdown and kill is negative.
    #[error("`shutdown_grace_period` of executor `{id}` is {nanoseconds} ns; it must be at least zero")]
    NegativeGracePeriod {
        /// The executor.
        id: String,
        /// The value.
        nanoseconds: i64,
    },
    /// Two descriptions of one executor differ.
    #[error("executor `{id}` is there already with another `{field}`; all its tasks must describe it alike")]
    Differs {
        /// The executor.
        id: String,
        /// The first field that differs.
        field: &'static str,
    },
}

/// What an executor is launched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaunchedFor {
    /// A single task, with LAUNCH.
    Task,
    /// A task group, with LAUNCH_GROUP.
    TaskGroup,
}

/// Checks a description of an executor that `framework_id` launches, and gives its resources. An absent framework id
/// is fine; the receiver fills it in.
///
/// # Errors
///
/// Names the executor, the field and the rule.
pub fn validate_executor(
    executor: &ExecutorInfo,
    framework_id: &str,
    launched_for: LaunchedFor,
) -> Result<Resources, ExecutorError> {
    let text = executor.executor_id.value();
    let id = || text.to_owned();
    validate_id(text).map_err(|source| ExecutorError::Id { id: id(), source })?;
    if let Some(named) = executor
        .framework_id
        .as_ref()
        .filter(|named| named.value() != framework_id)
    {
        let (named, expected) = (named.value().to_owned(), framework_id.to_owned());
        return Err(ExecutorError::OtherFramework {
            id: id(),
            named,
            expected,
        });
    }
    validate_type(executor, launched_for)?;
    if let Some(command) = executor.command.as_ref() {
        validate_command(command).map_err(|source| ExecutorError::Command { id: id(), source })?;
    }
    if let Some(container) = executor.container.as_ref() {
        validate_container(container).map_err(|source| ExecutorError::Container { id: id(), source })?;
    }
    let nanoseconds = executor.shutdown_grace_period.nanoseconds();
    if nanoseconds < 0 {
        return Err(ExecutorError::NegativeGracePeriod { id: id(), nanoseconds });
    }
    let resources = read_usage(&executor.resources);
    let resources = resources.map_err(|source| ExecutorError::Resources { id: id(), source })?;
    if !resources.shared().is_empty() {
        return Err(ExecutorError::SharedResources { id: id() });
    }
    let linux = executor.container.linux_info.as_ref();
    if linux.is_some_and(|linux| linux.share_cgroups.is_some_and(|share| share)) {
        return Err(ExecutorError::SharedCgroups { id: id() });
    }
    if launched_for == LaunchedFor::TaskGroup {
        validate_least(text, &resources)?;
    }
    Ok(resources)
}

/// An executor of a task group is a container of its own beside those of its tasks, and needs something for it.
fn validate_least(id: &str, resources: &Resources) -> Result<(), ExecutorError> {
    for (name, least) in [("cpus", LEAST_CPUS), ("mem", LEAST_MEM)] {
        let amount = resources.get_scalar(name);
        if amount < least {
            return Err(ExecutorError::TooLittle {
                id: id.to_owned(),
                name,
                amount,
                least,
            });
        }
    }
    if resources.iter().any(|resource| *resource.name() == ResourceName::Disk) {
        Ok(())
    } else {
        Err(ExecutorError::NoDisk { id: id.to_owned() })
    }
}

fn validate_type(executor: &ExecutorInfo, launched_for: LaunchedFor) -> Result<(), ExecutorError> {
    let id = || executor.executor_id.value().to_owned();
    let kind = executor.type_.and_then(|kind| kind.enum_value().ok());
    let kind = kind.filter(|kind| *kind != executor_info::Type::UNKNOWN);
    match (launched_for, kind) {
        (LaunchedFor::Task, Some(executor_info::Type::DEFAULT)) => {
            return Err(ExecutorError::DefaultOutsideGroup { id: id() });
        }
        (LaunchedFor::TaskGroup, None) => return Err(ExecutorError::TypeMissing { id: id() }),
        (LaunchedFor::TaskGroup, Some(executor_info::Type::DEFAULT)) if executor.command.is_some() => {
            return Err(ExecutorError::CommandOnDefault { id: id() });
        }
        (_, Some(executor_info::Type::CUSTOM) | None) if executor.command.is_none() => {
            return Err(ExecutorError::CommandMissing { id: id() });
        }
        _ => {}
    }
    let Some(container) = executor.container.as_ref() else {
        return Ok(());
    };
    let container_type = container.type_.and_then(|kind| kind.enum_value().ok());
    if launched_for == LaunchedFor::TaskGroup && container_type == Some(container_info::Type::DOCKER) {
        return Err(ExecutorError::DockerInGroup { id: id() });
    }
    if kind != Some(executor_info::Type::DEFAULT) {
        return Ok(());
    }
    match container_type {
        Some(container_info::Type::MESOS) if container.mesos.image.is_some() => {
            Err(ExecutorError::ImageOnDefault { id: id() })
        }
        Some(container_info::Type::MESOS) => Ok(()),
        found => Err(ExecutorError::DefaultContainer {
            id: id(),
            found: found.map_or_else(|| "missing".to_owned(), |found| format!("{found:?}")),
        }),
    }
}

/// Checks that two descriptions mean one executor: equal fields, with resources compared by what they amount to.
///
/// # Errors
///
/// Names the first field that differs.
pub fn validate_same_executor(known: &ExecutorInfo, named: &ExecutorInfo) -> Result<(), ExecutorError> {
    let resources = |executor: &ExecutorInfo| Resources::from_protobuf(&executor.resources).ok();
    let alike = [
        ("executor_id", known.executor_id == named.executor_id),
        ("framework_id", known.framework_id == named.framework_id),
        ("type", known.type_ == named.type_),
        ("command", known.command == named.command),
        ("container", known.container == named.container),
        ("resources", resources(known) == resources(named)),
        ("name", known.name == named.name),
        ("source", known.source == named.source),
        ("data", known.data == named.data),
        ("discovery", known.discovery == named.discovery),
        (
            "shutdown_grace_period",
            known.shutdown_grace_period == named.shutdown_grace_period,
        ),
        ("labels", known.labels == named.labels),
    ];
    match alike.into_iter().find(|(_, alike)| !alike) {
        Some((field, _)) => Err(ExecutorError::Differs {
            id: named.executor_id.value().to_owned(),
            field,
        }),
        None => Ok(()),
    }
}
