//! Containers between the core and the containerizer: the same things in the words of each.

use std::collections::BTreeMap;

use mesos_agent_core::paths::Paths;
use mesos_agent_core::recovery::{RecoveredState, RecoveredTask};
use mesos_agent_core::status_update_stream::is_terminal;
use mesos_agent_core::{ContainerLaunch, ContainerTermination};
use mesos_containerizer::{LaunchRequest, RecoverableContainer, Termination};
use mesos_proto::v0::mesos::{ExecutorInfo, Resource};

/// What the containerizer is asked to start.
pub fn launch_request(launch: ContainerLaunch) -> LaunchRequest {
    LaunchRequest {
        command: launch.executor_info.command.clone().unwrap_or_default(),
        sandbox: launch.directory,
        environment: launch.environment.into_iter().collect(),
        user: launch.user,
        resources: launch.resources,
        limits: launch.limits,
        container_info: launch.executor_info.container.clone().into_option(),
        executor_info: Some(launch.executor_info),
        task_info: launch.task,
        pid_checkpoint: launch.forked_pid_path,
        ..LaunchRequest::default()
    }
}

/// How a container ended, for the core.
pub fn termination_for_core(termination: Termination) -> ContainerTermination {
    ContainerTermination {
        status: termination.status,
        state: termination.state,
        reason: termination.reason,
        message: termination.message,
        limited_resources: termination.limited_resources,
    }
}

/// The containers that may still run: the latest run of each executor with a process and no end.
pub fn recoverable(state: &RecoveredState, paths: &Paths) -> Vec<RecoverableContainer> {
    let Some(agent) = state.agent.as_ref().filter(|_| !state.rebooted) else {
        return Vec::new();
    };
    let agent_id = mesos::ids::AgentId::from(&agent.info.id.clone().unwrap_or_default());
    let mut containers = Vec::new();
    for framework in &agent.frameworks {
        let framework_id = mesos::ids::FrameworkId::from(&framework.info.id.clone().unwrap_or_default());
        for executor in &framework.executors {
            let Some(run) = executor
                .runs
                .iter()
                .find(|run| Some(&run.container_id) == executor.latest.as_ref())
            else {
                continue;
            };
            let Some(pid) = run.forked_pid.filter(|_| !run.completed) else {
                continue;
            };
            let run_paths = paths.run(&agent_id, &framework_id, &executor.id, &run.container_id);
            containers.push(RecoverableContainer {
                container_id: run.container_id.clone(),
                pid,
                sandbox: run_paths.sandbox().to_owned(),
                resources: resources_of(executor.info.as_ref(), &run.tasks),
                limits: BTreeMap::new(),
            });
        }
    }
    containers
}

/// What a recovered executor and those of its tasks that have not ended may use. The executor's registration brings
/// the exact sum; until then a container must not be held to less than it has.
fn resources_of(executor: Option<&ExecutorInfo>, tasks: &[RecoveredTask]) -> Vec<Resource> {
    let ended = |task: &&RecoveredTask| {
        let updates = task.records.iter().filter_map(|record| record.update.as_ref());
        updates.into_iter().any(|update| is_terminal(update.status.state()))
    };
    let of_tasks = tasks
        .iter()
        .filter(|task| !ended(task))
        .filter_map(|task| task.info.as_ref());
    let of_tasks = of_tasks.flat_map(|task| &task.resources);
    let own = executor.into_iter().flat_map(|info| &info.resources);
    own.chain(of_tasks).cloned().collect()
}
