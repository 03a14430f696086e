//! Containers between the core and the containerizer: the same things in the words of each.

use std::collections::BTreeMap;

use mesos_agent_core::paths::Paths;
use mesos_agent_core::recovery::RecoveredState;
use mesos_agent_core::{ContainerLaunch, ContainerTermination};
use mesos_containerizer::{LaunchRequest, RecoverableContainer, Termination};

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
                resources: executor
                    .info
                    .as_ref()
                    .map(|info| info.resources.clone())
                    .unwrap_or_default(),
                limits: BTreeMap::new(),
            });
        }
    }
    containers
}
