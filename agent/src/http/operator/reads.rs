//! Answers to the calls that only read: pure functions from the core's state to v1 messages.

use libprocess::metrics::Snapshot;
use mesos::convert::{evolve, evolve_agent_info, evolve_framework_info, evolve_task};
use mesos_agent_core::tasks::task_from_info;
use mesos_agent_core::{Agent, Executor, Framework};
use mesos_node::files;
use mesos_proto::v1::agent::Response;
use mesos_proto::v1::agent::response::{
    GetAgent, GetExecutors, GetFrameworks, GetOperations, GetResourceProviders, GetState, GetTasks, Type,
    get_containers, get_executors, get_frameworks,
};
use mesos_proto::v1::mesos::{FileInfo, Flag, Metric, Task};
use protobuf::MessageField;

use crate::http::state::Identity;
use crate::http::usage::Measured;

/// An answer of a type.
fn answer_of(kind: Type) -> Response {
    let mut answer = Response::new();
    answer.set_type(kind);
    answer
}

/// `GET_HEALTH`
#[must_use]
pub fn health() -> Response {
    let mut answer = answer_of(Type::GET_HEALTH);
    answer.get_health.mut_or_insert_default().set_healthy(true);
    answer
}

/// `GET_FLAGS`
#[must_use]
pub fn flags(identity: &Identity) -> Response {
    let mut answer = answer_of(Type::GET_FLAGS);
    let flags = identity.flags.iter().map(|(name, value)| {
        let mut flag = Flag::new();
        flag.set_name(name.clone());
        flag.set_value(value.clone());
        flag
    });
    answer.get_flags.mut_or_insert_default().flags = flags.collect();
    answer
}

/// `GET_VERSION`
#[must_use]
pub fn version(identity: &Identity) -> Response {
    let mut answer = answer_of(Type::GET_VERSION);
    let info = answer
        .get_version
        .mut_or_insert_default()
        .version_info
        .mut_or_insert_default();
    let version = &identity.version;
    info.set_version(version.version.clone());
    info.build_date.clone_from(&version.build_date);
    info.build_time = version.build_time;
    info.build_user.clone_from(&version.build_user);
    info.git_sha.clone_from(&version.git_sha);
    info.git_branch.clone_from(&version.git_branch);
    info.git_tag.clone_from(&version.git_tag);
    answer
}

/// `GET_METRICS`
#[must_use]
pub fn metrics(snapshot: &Snapshot) -> Response {
    let mut answer = answer_of(Type::GET_METRICS);
    let metrics = snapshot.iter().map(|(name, sample)| {
        let mut metric = Metric::new();
        metric.set_name(name.clone());
        metric.set_value(sample.value);
        metric
    });
    answer.get_metrics.mut_or_insert_default().metrics = metrics.collect();
    answer
}

/// `GET_LOGGING_LEVEL`
#[must_use]
pub fn logging_level(level: u32) -> Response {
    let mut answer = answer_of(Type::GET_LOGGING_LEVEL);
    answer.get_logging_level.mut_or_insert_default().set_level(level);
    answer
}

/// `GET_STATE`
#[must_use]
pub fn state(core: &Agent) -> Response {
    let mut answer = answer_of(Type::GET_STATE);
    let mut state = GetState::new();
    state.get_tasks = MessageField::some(all_tasks(core));
    state.get_executors = MessageField::some(all_executors(core));
    state.get_frameworks = MessageField::some(all_frameworks(core));
    answer.get_state = MessageField::some(state);
    answer
}

/// `GET_FRAMEWORKS`
#[must_use]
pub fn frameworks(core: &Agent) -> Response {
    let mut answer = answer_of(Type::GET_FRAMEWORKS);
    answer.get_frameworks = MessageField::some(all_frameworks(core));
    answer
}

/// `GET_EXECUTORS`
#[must_use]
pub fn executors(core: &Agent) -> Response {
    let mut answer = answer_of(Type::GET_EXECUTORS);
    answer.get_executors = MessageField::some(all_executors(core));
    answer
}

/// `GET_TASKS`
#[must_use]
pub fn tasks(core: &Agent) -> Response {
    let mut answer = answer_of(Type::GET_TASKS);
    answer.get_tasks = MessageField::some(all_tasks(core));
    answer
}

fn all_frameworks(core: &Agent) -> GetFrameworks {
    let one = |framework: &Framework| {
        let mut one = get_frameworks::Framework::new();
        one.framework_info = MessageField::some(evolve_framework_info(framework.info()));
        one
    };
    let mut all = GetFrameworks::new();
    all.frameworks = core.frameworks().map(one).collect();
    all.completed_frameworks = core.completed_frameworks().map(one).collect();
    all
}

/// All frameworks, also those whose work here ended.
fn every_framework(core: &Agent) -> impl Iterator<Item = &Framework> {
    core.frameworks().chain(core.completed_frameworks())
}

fn all_executors(core: &Agent) -> GetExecutors {
    let one = |executor: &Executor| {
        let mut one = get_executors::Executor::new();
        one.executor_info = MessageField::some(evolve(executor.info()));
        one
    };
    let mut all = GetExecutors::new();
    all.executors = every_framework(core).flat_map(Framework::executors).map(one).collect();
    all.completed_executors = every_framework(core)
        .flat_map(Framework::completed_executors)
        .map(one)
        .collect();
    all
}

fn all_tasks(core: &Agent) -> GetTasks {
    let mut all = GetTasks::new();
    let evolved = |task: &mesos_proto::v0::mesos::Task| -> Task { evolve_task(task) };
    for framework in every_framework(core) {
        for executor in framework.executors().chain(framework.completed_executors()) {
            let queued = executor.queued_tasks().map(|info| task_from_info(info, framework.id()));
            all.queued_tasks.extend(queued.map(|task| evolved(&task)));
            all.launched_tasks.extend(executor.launched_tasks().map(evolved));
            all.terminated_tasks.extend(executor.terminated_tasks().map(evolved));
            all.completed_tasks.extend(executor.completed_tasks().map(evolved));
        }
    }
    all
}

/// `GET_AGENT`
#[must_use]
pub fn agent(core: &Agent) -> Response {
    let mut answer = answer_of(Type::GET_AGENT);
    let mut agent = GetAgent::new();
    agent.agent_info = MessageField::some(evolve_agent_info(core.info()));
    agent.drain_config = core.drain_config().map(evolve).into();
    answer.get_agent = MessageField::some(agent);
    answer
}

/// `GET_OPERATIONS`
#[must_use]
pub fn operations(core: &Agent) -> Response {
    let mut answer = answer_of(Type::GET_OPERATIONS);
    let mut operations = GetOperations::new();
    operations.operations = core.operations().map(evolve).collect();
    answer.get_operations = MessageField::some(operations);
    answer
}

/// `GET_RESOURCE_PROVIDERS`: there are none.
#[must_use]
pub fn resource_providers() -> Response {
    let mut answer = answer_of(Type::GET_RESOURCE_PROVIDERS);
    answer.get_resource_providers = MessageField::some(GetResourceProviders::new());
    answer
}

/// `LIST_FILES`
#[must_use]
pub fn listed(listed: &[files::FileInfo]) -> Response {
    let mut answer = answer_of(Type::LIST_FILES);
    let infos = listed.iter().map(|file| {
        let mut info = FileInfo::new();
        info.set_path(file.path.clone());
        info.set_nlink(i32::try_from(file.nlink).unwrap_or(i32::MAX));
        info.set_size(file.size);
        info.mtime
            .mut_or_insert_default()
            .set_nanoseconds(file.mtime.saturating_mul(1_000_000_000));
        info.set_mode(file.mode.0);
        info.set_uid(file.owner.clone());
        info.set_gid(file.group.clone());
        info
    });
    answer.list_files.mut_or_insert_default().file_infos = infos.collect();
    answer
}

/// `READ_FILE`
#[must_use]
pub fn piece(piece: files::Piece) -> Response {
    let mut answer = answer_of(Type::READ_FILE);
    let read = answer.read_file.mut_or_insert_default();
    read.set_size(piece.size);
    read.set_data(piece.data);
    answer
}

/// `GET_CONTAINERS`
#[must_use]
pub fn containers(measured: &[Measured]) -> Response {
    let mut answer = answer_of(Type::GET_CONTAINERS);
    let containers = measured.iter().map(|measured| {
        let mut container = get_containers::Container::new();
        if let Some(owner) = &measured.owner {
            container.framework_id = MessageField::some(owner.framework_id.to_v1());
            container.executor_id = MessageField::some(owner.executor_id.to_v1());
            container.set_executor_name(owner.name.clone());
        }
        container.container_id = MessageField::some(measured.container_id.to_v1());
        container.container_status = measured.status.as_ref().map(evolve).into();
        container.resource_statistics = measured.statistics.as_ref().map(evolve).into();
        container
    });
    answer.get_containers.mut_or_insert_default().containers = containers.collect();
    answer
}
