//! The life of a task in the master's model: added, updated, removed, with the resources that it holds.
//!
//! A live task holds its resources until it ends; it stays in the model until its last update is acknowledged. Source:
//! shared facts, `task_states.tsv`, `pitfalls.md` D4.

use std::sync::Arc;

use mesos::ids::{AgentId, FrameworkId, TaskId};
use mesos_allocator::api::Hold;
use mesos_proto::internal::wire::messages::StatusUpdate;
use mesos_proto::v0::mesos as proto;
use mesos_proto::v0::mesos::{TaskInfo, TaskState};

use crate::Resources;
use crate::effect::Change;
use crate::master::Master;
use crate::model::{Agent, Task, is_terminal};

/// The task that a launch creates. Fields of the description that tasks do not show are left out.
pub(crate) fn staging_task(info: &TaskInfo, framework_id: &FrameworkId) -> proto::Task {
    let mut task = proto::Task::new();
    task.set_name(info.name().to_owned());
    task.task_id = info.task_id.clone();
    task.framework_id = Some(framework_id.to_proto()).into();
    task.slave_id = info.slave_id.clone();
    task.executor_id = info.executor.executor_id.clone();
    task.set_state(TaskState::TASK_STAGING);
    task.resources = info.resources.clone();
    task.labels = info.labels.clone();
    task.discovery = info.discovery.clone();
    task.container = info.container.clone();
    task.health_check = info.health_check.clone();
    task.kill_policy = info.kill_policy.clone();
    task.limits = info.limits.clone();
    let executor_command = info.executor.as_ref().and_then(|executor| executor.command.as_ref());
    let command = info.command.as_ref().or(executor_command);
    task.user = command.and_then(|command| command.user.clone());
    task
}

impl Agent {
    pub(crate) fn hold(&mut self, framework_id: &FrameworkId, resources: &Resources) {
        if !resources.is_empty() {
            *self.used.entry(framework_id.clone()).or_default() += resources;
        }
    }

    pub(crate) fn release(&mut self, framework_id: &FrameworkId, resources: &Resources) {
        let Some(used) = self.used.get_mut(framework_id) else {
            return;
        };
        if let Err(error) = used.try_subtract(resources) {
            tracing::error!(agent_id = %self.id, %framework_id, %error, "more resources given back than held");
        }
        if used.is_empty() {
            self.used.remove(framework_id);
        }
    }
}

impl Master {
    pub(crate) fn task(&self, framework_id: &FrameworkId, task_id: &TaskId) -> Option<&Task> {
        self.frameworks.get(framework_id)?.tasks.get(task_id)
    }

    /// Adds a task to its framework and its agent. The allocator already counts its resources.
    pub(crate) fn add_task(&mut self, task: Task) {
        let (framework_id, task_id) = (task.framework_id.clone(), task.id.clone());
        let Some(framework) = self.frameworks.get_mut(&framework_id) else {
            return;
        };
        let Some(agent) = self.agents.get_mut(&task.agent_id) else {
            return;
        };
        agent
            .tasks
            .entry(framework_id.clone())
            .or_default()
            .insert(task_id.clone());
        if !is_terminal(task.state()) {
            agent.hold(&framework_id, &task.resources);
        }
        framework.tasks.insert(task_id.clone(), task);
        self.publish(Change::TaskAdded(framework_id, task_id));
    }

    /// Takes an update over. A task that ended never changes its state again; the update is still remembered.
    pub(crate) fn update_task(&mut self, framework_id: &FrameworkId, task_id: &TaskId, update: &StatusUpdate) {
        let framework = self.frameworks.get_mut(framework_id);
        let Some(task) = framework.and_then(|framework| framework.tasks.get_mut(task_id)) else {
            return;
        };
        let status = &*update.status;
        let old = task.state();
        let new = if update.has_latest_state() {
            update.latest_state()
        } else {
            status.state()
        };
        if !is_terminal(old) {
            task.set_state(new);
        }
        task.remember_status(status);
        let change = Change::TaskUpdated {
            framework_id: framework_id.clone(),
            status: Box::new(status.clone()),
            state: task.state(),
        };
        let released = !is_terminal(old) && is_terminal(new);
        let (agent_id, resources) = (task.agent_id.clone(), task.resources.clone());
        tracing::debug!(%framework_id, %task_id, state = ?task.state(), "task updated");
        self.publish(change);
        if released {
            self.release_allocated(&agent_id, framework_id, &resources);
            self.count_end(new);
            if let Some(framework) = self.frameworks.get_mut(framework_id) {
                framework.counters.end(new);
            }
        }
    }

    /// Gives back what a task or executor held.
    pub(crate) fn release_allocated(&mut self, agent_id: &AgentId, framework_id: &FrameworkId, resources: &Resources) {
        if resources.is_empty() {
            return;
        }
        if let Some(agent) = self.agents.get_mut(agent_id) {
            agent.release(framework_id, resources);
        }
        self.allocator
            .recover_resources(self.now, framework_id, agent_id, resources, None, Hold::Allocated);
        self.undo_what_became_free(agent_id);
    }

    /// Takes a task out of the live ones and remembers it as ended.
    pub(crate) fn remove_task(&mut self, framework_id: &FrameworkId, task_id: &TaskId) {
        if let Some(task) = self.take_task(framework_id, task_id)
            && let Some(framework) = self.frameworks.get_mut(framework_id)
        {
            framework.completed_tasks.push(Arc::new(task));
        }
    }

    /// Takes a task of a lost agent out of the live ones and remembers it as unreachable, under its agent.
    pub(crate) fn remove_unreachable_task(&mut self, framework_id: &FrameworkId, task_id: &TaskId) {
        let Some(task) = self.take_task(framework_id, task_id) else {
            return;
        };
        let by_agent = self.unreachable_tasks.entry(task.agent_id.clone()).or_default();
        by_agent.entry(framework_id.clone()).or_default().push(task_id.clone());
        if let Some(framework) = self.frameworks.get_mut(framework_id) {
            framework.unreachable_tasks.insert(task_id.clone(), task);
        }
    }

    fn take_task(&mut self, framework_id: &FrameworkId, task_id: &TaskId) -> Option<Task> {
        let task = self.frameworks.get_mut(framework_id)?.tasks.remove(task_id)?;
        self.plans.touch(&task.agent_id);
        if let Some(agent) = self.agents.get_mut(&task.agent_id) {
            for index in [&mut agent.tasks, &mut agent.killed_tasks] {
                if let Some(tasks) = index.get_mut(framework_id) {
                    tasks.remove(task_id);
                    if tasks.is_empty() {
                        index.remove(framework_id);
                    }
                }
            }
        }
        if !is_terminal(task.state()) {
            if task.state() != TaskState::TASK_UNREACHABLE {
                tracing::warn!(%framework_id, %task_id, state = ?task.state(), "removing a task that has not ended");
            }
            self.release_allocated(&task.agent_id, framework_id, &task.resources);
        }
        self.publish(Change::TaskRemoved(framework_id.clone(), task_id.clone()));
        Some(task)
    }

    pub(crate) fn count_end(&mut self, state: TaskState) {
        let key = match state {
            TaskState::TASK_FINISHED => "master/tasks_finished",
            TaskState::TASK_FAILED => "master/tasks_failed",
            TaskState::TASK_KILLED => "master/tasks_killed",
            TaskState::TASK_LOST => "master/tasks_lost",
            TaskState::TASK_ERROR => "master/tasks_error",
            TaskState::TASK_DROPPED => "master/tasks_dropped",
            TaskState::TASK_GONE => "master/tasks_gone",
            TaskState::TASK_GONE_BY_OPERATOR => "master/tasks_gone_by_operator",
            TaskState::TASK_STAGING
            | TaskState::TASK_STARTING
            | TaskState::TASK_RUNNING
            | TaskState::TASK_KILLING
            | TaskState::TASK_UNREACHABLE
            | TaskState::TASK_UNKNOWN => return,
        };
        self.count(key);
    }
}
