//! Every path under the agent's work directory.
//!
//! Source: shared facts, `disk_layout.md` sections 2 and 3.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use mesos::ids::{AgentId, ContainerId, ExecutorId, FrameworkId, TaskId};

/// The paths of one work directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    work_dir: PathBuf,
}

/// Where one run of an executor keeps its checkpoints, and its sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPaths {
    meta: PathBuf,
    sandbox: PathBuf,
}

impl Paths {
    /// The paths under `work_dir`.
    #[must_use]
    pub fn new(work_dir: impl Into<PathBuf>) -> Self {
        Self {
            work_dir: work_dir.into(),
        }
    }

    /// `WORK`
    #[must_use]
    pub fn work_dir(&self) -> &Path {
        &self.work_dir
    }

    /// `WORK/meta`
    #[must_use]
    pub fn meta(&self) -> PathBuf {
        self.work_dir.join("meta")
    }

    /// `WORK/.collected`, folders that are being deleted. Apache Mesos has no such folder and does not mind it.
    #[must_use]
    pub fn trash(&self) -> PathBuf {
        self.work_dir.join(".collected")
    }

    /// `WORK/meta/boot_id`, text.
    #[must_use]
    pub fn boot_id(&self) -> PathBuf {
        self.meta().join("boot_id")
    }

    /// `WORK/meta/resources/resources.info`, list of messages.
    #[must_use]
    pub fn resources_info(&self) -> PathBuf {
        self.meta().join("resources/resources.info")
    }

    /// `WORK/meta/resources/resources.target`, list of messages.
    #[must_use]
    pub fn resources_target(&self) -> PathBuf {
        self.meta().join("resources/resources.target")
    }

    /// `WORK/meta/resources/resources_and_operations.state`, message.
    #[must_use]
    pub fn resource_state(&self) -> PathBuf {
        self.meta().join("resources/resources_and_operations.state")
    }

    /// `WORK/meta/resources/resources_and_operations.target`, message.
    #[must_use]
    pub fn resource_state_target(&self) -> PathBuf {
        self.meta().join("resources/resources_and_operations.target")
    }

    /// `WORK/meta/slaves/latest`, link to the directory of the current agent id.
    #[must_use]
    pub fn latest_agent(&self) -> PathBuf {
        self.meta().join("slaves/latest")
    }

    /// `WORK/meta/slaves/ID`
    #[must_use]
    pub fn agent_meta(&self, agent: &AgentId) -> PathBuf {
        self.meta().join("slaves").join(agent.as_str())
    }

    /// `WORK/slaves/ID`, parent of all sandboxes of this agent id.
    #[must_use]
    pub fn agent_sandboxes(&self, agent: &AgentId) -> PathBuf {
        self.work_dir.join("slaves").join(agent.as_str())
    }

    /// `WORK/meta/slaves/ID/slave.info`, message.
    #[must_use]
    pub fn agent_info(&self, agent: &AgentId) -> PathBuf {
        self.agent_meta(agent).join("slave.info")
    }

    /// `WORK/meta/slaves/ID/drain.config`, message.
    #[must_use]
    pub fn drain_config(&self, agent: &AgentId) -> PathBuf {
        self.agent_meta(agent).join("drain.config")
    }

    /// `WORK/meta/slaves/ID/frameworks/FW`
    #[must_use]
    pub fn framework_meta(&self, agent: &AgentId, framework: &FrameworkId) -> PathBuf {
        self.agent_meta(agent).join("frameworks").join(framework.as_str())
    }

    /// `WORK/slaves/ID/frameworks/FW`
    #[must_use]
    pub fn framework_sandboxes(&self, agent: &AgentId, framework: &FrameworkId) -> PathBuf {
        self.agent_sandboxes(agent).join("frameworks").join(framework.as_str())
    }

    /// `WORK/meta/slaves/ID/operations`
    #[must_use]
    pub fn operations(&self, agent: &AgentId) -> PathBuf {
        self.agent_meta(agent).join("operations")
    }

    /// `WORK/meta/slaves/ID/operations/UUID`
    #[must_use]
    pub fn operation(&self, agent: &AgentId, operation: &Uuid) -> PathBuf {
        self.operations(agent).join(operation.hyphenated().to_string())
    }

    /// `.../UUID/operation.updates`, log.
    #[must_use]
    pub fn operation_updates(&self, agent: &AgentId, operation: &Uuid) -> PathBuf {
        self.operation(agent, operation).join("operation.updates")
    }

    /// `.../FW/framework.info`, message.
    #[must_use]
    pub fn framework_info(&self, agent: &AgentId, framework: &FrameworkId) -> PathBuf {
        self.framework_meta(agent, framework).join("framework.info")
    }

    /// `.../FW/framework.pid`, text.
    #[must_use]
    pub fn framework_pid(&self, agent: &AgentId, framework: &FrameworkId) -> PathBuf {
        self.framework_meta(agent, framework).join("framework.pid")
    }

    /// `WORK/meta/.../FW/executors/EX`
    #[must_use]
    pub fn executor_meta(&self, agent: &AgentId, framework: &FrameworkId, executor: &ExecutorId) -> PathBuf {
        self.framework_meta(agent, framework)
            .join("executors")
            .join(executor.as_str())
    }

    /// `WORK/slaves/ID/frameworks/FW/executors/EX`
    #[must_use]
    pub fn executor_sandboxes(&self, agent: &AgentId, framework: &FrameworkId, executor: &ExecutorId) -> PathBuf {
        self.framework_sandboxes(agent, framework)
            .join("executors")
            .join(executor.as_str())
    }

    /// `.../EX/executor.info`, message.
    #[must_use]
    pub fn executor_info(&self, agent: &AgentId, framework: &FrameworkId, executor: &ExecutorId) -> PathBuf {
        self.executor_meta(agent, framework, executor).join("executor.info")
    }

    /// `.../EX/executor_generated_for_command_task`, text `0` or `1`.
    #[must_use]
    pub fn executor_generated(&self, agent: &AgentId, framework: &FrameworkId, executor: &ExecutorId) -> PathBuf {
        self.executor_meta(agent, framework, executor)
            .join("executor_generated_for_command_task")
    }

    /// The paths of one run.
    #[must_use]
    pub fn run(
        &self,
        agent: &AgentId,
        framework: &FrameworkId,
        executor: &ExecutorId,
        container: &ContainerId,
    ) -> RunPaths {
        RunPaths {
            meta: self
                .executor_meta(agent, framework, executor)
                .join("runs")
                .join(container.value()),
            sandbox: self
                .executor_sandboxes(agent, framework, executor)
                .join("runs")
                .join(container.value()),
        }
    }
}

impl RunPaths {
    /// `WORK/meta/.../runs/CONTAINER`
    #[must_use]
    pub fn meta(&self) -> &Path {
        &self.meta
    }

    /// `WORK/slaves/.../runs/CONTAINER`, the sandbox.
    #[must_use]
    pub fn sandbox(&self) -> &Path {
        &self.sandbox
    }

    /// `WORK/meta/.../runs/latest`, link to [`Self::meta`].
    #[must_use]
    pub fn meta_latest(&self) -> PathBuf {
        self.meta.with_file_name("latest")
    }

    /// `WORK/slaves/.../runs/latest`, link to [`Self::sandbox`].
    #[must_use]
    pub fn sandbox_latest(&self) -> PathBuf {
        self.sandbox.with_file_name("latest")
    }

    /// `.../CONTAINER/pids/forked.pid`, text.
    #[must_use]
    pub fn forked_pid(&self) -> PathBuf {
        self.meta.join("pids/forked.pid")
    }

    /// `.../CONTAINER/pids/libprocess.pid`, text.
    #[must_use]
    pub fn libprocess_pid(&self) -> PathBuf {
        self.meta.join("pids/libprocess.pid")
    }

    /// `.../CONTAINER/http.marker`, empty.
    #[must_use]
    pub fn http_marker(&self) -> PathBuf {
        self.meta.join("http.marker")
    }

    /// `.../CONTAINER/executor.sentinel`, empty.
    #[must_use]
    pub fn sentinel(&self) -> PathBuf {
        self.meta.join("executor.sentinel")
    }

    /// `.../CONTAINER/tasks/TASK`
    #[must_use]
    pub fn task(&self, task: &TaskId) -> PathBuf {
        self.meta.join("tasks").join(task.as_str())
    }

    /// `.../TASK/task.info`, message.
    #[must_use]
    pub fn task_info(&self, task: &TaskId) -> PathBuf {
        self.task(task).join("task.info")
    }

    /// `.../TASK/task.updates`, log.
    #[must_use]
    pub fn task_updates(&self, task: &TaskId) -> PathBuf {
        self.task(task).join("task.updates")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stand_as_in_the_recorded_layout() {
        let paths = Paths::new("/w");
        let (agent, framework) = (AgentId::new("S0"), FrameworkId::new("F"));
        let (executor, container, task) = (ExecutorId::new("E"), ContainerId::new("C"), TaskId::new("T"));
        assert_eq!(paths.agent_info(&agent), Path::new("/w/meta/slaves/S0/slave.info"));
        assert_eq!(
            paths.framework_pid(&agent, &framework),
            Path::new("/w/meta/slaves/S0/frameworks/F/framework.pid")
        );
        assert_eq!(
            paths.executor_generated(&agent, &framework, &executor),
            Path::new("/w/meta/slaves/S0/frameworks/F/executors/E/executor_generated_for_command_task")
        );
        let run = paths.run(&agent, &framework, &executor, &container);
        assert_eq!(run.sandbox(), Path::new("/w/slaves/S0/frameworks/F/executors/E/runs/C"));
        assert_eq!(
            run.meta_latest(),
            Path::new("/w/meta/slaves/S0/frameworks/F/executors/E/runs/latest")
        );
        assert_eq!(
            run.sandbox_latest(),
            Path::new("/w/slaves/S0/frameworks/F/executors/E/runs/latest")
        );
        assert_eq!(
            run.task_updates(&task),
            Path::new("/w/meta/slaves/S0/frameworks/F/executors/E/runs/C/tasks/T/task.updates")
        );
    }
}
