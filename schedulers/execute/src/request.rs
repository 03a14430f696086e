//! What is to be run, from flags.

use std::time::Duration;

use mesos::flags::Flags;
use mesos::resources::{ResourceError, Resources};
use mesos_proto::v1::mesos::framework_info::capability::Type as Capability;
use mesos_proto::v1::mesos::{Environment, FrameworkInfo, TaskGroupInfo, TaskInfo, environment, framework_info};
use thiserror::Error;

/// Why the flags describe nothing that can be run.
#[derive(Debug, Error)]
pub enum RequestError {
    /// A flag is needed.
    #[error("flag --{flag} is missing: {reason}")]
    Missing {
        /// Name of the flag.
        flag: &'static str,
        /// Why it is needed.
        reason: &'static str,
    },
    /// The task's JSON is no task.
    #[error("flag --task: {0}")]
    Task(mesos::json::JsonError),
    /// The group's JSON is no group of tasks.
    #[error("flag --task_group: {0}")]
    TaskGroup(mesos::json::JsonError),
    /// The group has nothing in it.
    #[error("flag --task_group: 'tasks' is empty")]
    EmptyTaskGroup,
    /// The environment is no object of texts.
    #[error("flag --env: expected a JSON object whose values are texts, found {0}")]
    Environment(serde_json::Value),
    /// The resources cannot be read.
    #[error("flag --resources='{text}': {source}")]
    Resources {
        /// Value as it was given.
        text: String,
        /// What is wrong.
        source: ResourceError,
    },
    /// A capability that this program does not announce.
    #[error("flag --framework_capabilities: '{0}' is not accepted; accepted: GPU_RESOURCES")]
    Capability(String),
    /// The system has no name for the calling user.
    #[error("this user has no name that tasks could run under")]
    User,
}

/// Whether tasks are launched one by one or together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Togetherness {
    /// A single task.
    Single,
    /// A group, in a default executor.
    Group,
}

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Request {
    /// How the framework presents itself.
    pub framework: FrameworkInfo,
    /// The tasks, without their agent; at least one.
    pub tasks: Vec<TaskInfo>,
    /// How they are launched.
    pub together: Togetherness,
    /// What each task takes of an offer, in the order of the tasks.
    pub resources: Vec<Resources>,
    /// How long each task may run.
    pub kill_after: Option<Duration>,
}

impl Request {
    /// Reads the flags; tasks run as `user`.
    ///
    /// # Errors
    ///
    /// Names the flag that is missing or wrong.
    pub fn from_flags(flags: &Flags, user: Option<String>) -> Result<Self, RequestError> {
        let framework = framework(flags, user.ok_or(RequestError::User)?)?;
        let (together, tasks) = match (flags.json("task_group"), flags.json("task")) {
            (Some(json), _) => {
                let group: TaskGroupInfo = mesos::json::from_value(json).map_err(RequestError::TaskGroup)?;
                (Togetherness::Group, group.tasks)
            }
            (None, Some(json)) => {
                let task = mesos::json::from_value(json).map_err(RequestError::Task)?;
                (Togetherness::Single, vec![task])
            }
            (None, None) => (Togetherness::Single, vec![task(flags)?]),
        };
        if tasks.is_empty() {
            return Err(RequestError::EmptyTaskGroup);
        }
        let wrong = |source| RequestError::Resources {
            text: flags.string("resources").to_owned(),
            source,
        };
        let resources: Result<Vec<_>, _> = tasks.iter().map(resources_of).collect();
        Ok(Self {
            framework,
            tasks,
            together,
            resources: resources.map_err(wrong)?,
            kill_after: flags.duration_if_set("kill_after"),
        })
    }
}

fn resources_of(task: &TaskInfo) -> Result<Resources, ResourceError> {
    let resources: Vec<mesos_proto::v0::mesos::Resource> = task.resources.iter().map(mesos::convert::devolve).collect();
    Resources::from_protobuf(&resources)
}

fn framework(flags: &Flags, user: String) -> Result<FrameworkInfo, RequestError> {
    let mut framework = FrameworkInfo::new();
    framework.set_user(user);
    framework.set_name("mesos-execute instance".to_owned());
    framework.set_role(flags.string("role").to_owned());
    framework.set_checkpoint(flags.bool("checkpoint"));
    if let Some(principal) = flags.text("principal") {
        framework.set_principal(principal.to_owned());
    }
    let mut kinds = vec![
        Capability::RESERVATION_REFINEMENT,
        Capability::TASK_KILLING_STATE,
        Capability::REVOCABLE_RESOURCES,
    ];
    if flags.bool("partition_aware") {
        kinds.push(Capability::PARTITION_AWARE);
    }
    for name in flags.list("framework_capabilities") {
        match name {
            "GPU_RESOURCES" => kinds.push(Capability::GPU_RESOURCES),
            other => return Err(RequestError::Capability(other.to_owned())),
        }
    }
    for kind in kinds {
        let mut capability = framework_info::Capability::new();
        capability.set_type(kind);
        framework.capabilities.push(capability);
    }
    Ok(framework)
}

fn task(flags: &Flags) -> Result<TaskInfo, RequestError> {
    let missing = |flag, reason| RequestError::Missing { flag, reason };
    let name = flags
        .text("name")
        .ok_or_else(|| missing("name", "a task has a name unless --task describes it"))?;
    let mut task = TaskInfo::new();
    task.set_name(name.to_owned());
    task.task_id.mut_or_insert_default().set_value(name.to_owned());
    let text = flags.string("resources");
    let resources = Resources::parse(text, "*").map_err(|source| RequestError::Resources {
        text: text.to_owned(),
        source,
    })?;
    task.resources = resources.to_protobuf().iter().map(mesos::convert::evolve).collect();
    let command = task.command.mut_or_insert_default();
    let shell = flags.bool("shell");
    command.set_shell(shell);
    match flags.text("command") {
        Some(text) => command.set_value(text.to_owned()),
        None if shell => return Err(missing("command", "a shell needs something to run")),
        None => {}
    }
    if let Some(json) = flags.json("env") {
        command.environment = protobuf::MessageField::some(environment(json)?);
    }
    Ok(task)
}

fn environment(json: &serde_json::Value) -> Result<Environment, RequestError> {
    let wrong = || RequestError::Environment(json.clone());
    let mut environment = Environment::new();
    for (name, value) in json.as_object().ok_or_else(wrong)? {
        let mut variable = environment::Variable::new();
        variable.set_name(name.clone());
        variable.set_value(value.as_str().ok_or_else(wrong)?.to_owned());
        environment.variables.push(variable);
    }
    Ok(environment)
}

#[cfg(test)]
mod tests {
    use mesos::flags::Outcome;

    use super::*;

    fn request(arguments: &[&str]) -> Result<Request, RequestError> {
        let arguments = std::iter::once("--master=127.0.0.1:5050").chain(arguments.iter().copied());
        match mesos::flags::execute::FLAGS.read(arguments.map(Into::into), Vec::new()) {
            Ok(Outcome::Run(flags)) => Request::from_flags(&flags, Some("root".to_owned())),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_command_becomes_a_task_of_its_name() {
        let arguments = [
            "--name=hello",
            "--command=echo hello",
            r#"--env={"A":"b"}"#,
            "--resources=cpus:0.5;mem:32",
        ];
        let request = request(&arguments).expect("valid");
        assert_eq!(
            (request.tasks[0].task_id.value(), request.tasks[0].command.value()),
            ("hello", "echo hello")
        );
        assert!(request.tasks[0].command.shell());
        assert_eq!(request.tasks[0].command.environment.variables[0].value(), "b");
        assert_eq!(
            request.resources[0],
            Resources::parse("cpus:0.5;mem:32", "*").expect("valid")
        );
        assert_eq!(request.framework.capabilities.len(), 3);
    }

    #[test]
    fn a_described_task_is_taken_as_it_is() {
        let json = r#"--task={"name":"n","task_id":{"value":"t"},"agent_id":{"value":""},
            "resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":0.1}}],"command":{"value":"true"}}"#;
        let request = request(&[json, "--kill_after=2secs", "--partition_aware"]).expect("valid");
        assert_eq!(
            (request.tasks[0].task_id.value(), request.kill_after),
            ("t", Some(Duration::from_secs(2)))
        );
        assert_eq!(request.framework.capabilities.len(), 4);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let table: &[(&[&str], &str)] = &[
            (&["--command=true"], "--name"),
            (&["--name=x"], "--command"),
            (&["--name=x", "--command=true", "--env=[1]"], "--env"),
            (
                &["--name=x", "--command=true", "--resources=cpus:x"],
                "--resources='cpus:x'",
            ),
            (&["--task={\"name\":5}"], "--task"),
            (&["--task_group={\"tasks\":[]}"], "--task_group"),
            (&["--task_group={\"tasks\":5}"], "--task_group"),
            (
                &["--name=x", "--command=true", "--framework_capabilities=NONE"],
                "'NONE'",
            ),
        ];
        for (arguments, named) in table {
            let error = request(arguments).expect_err(named).to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
