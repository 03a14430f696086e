//! Launching tasks and task groups on accepted offers.

use mesos::ids::{ExecutorId, FrameworkId};
use mesos::resources::Conversion;
use mesos::resources::format::HasResources;
use mesos_proto::internal::wire::messages::{ResourceVersionUUID, RunTaskGroupMessage, RunTaskMessage};
use mesos_proto::v0::mesos::health_check::Type as HealthCheckType;
use mesos_proto::v0::mesos::offer::Operation;
use mesos_proto::v0::mesos::task_status::Reason;
use mesos_proto::v0::mesos::{ExecutorInfo, TaskInfo, TaskState};

use crate::Resources;
use crate::accept::{Accepted, tasks_of};
use crate::error_text::with_causes;
use crate::executors::executor_resources;
use crate::frameworks::pid_text;
use crate::master::Master;
use crate::model::{Agent, Task};
use crate::status::Verdict;
use crate::task_validation::{Place, validate_group, validate_task};
use crate::tasks::staging_task;

impl Master {
    /// Launches tasks one by one; each is checked against what the ones before it left.
    pub(crate) fn launch(&mut self, accepted: &mut Accepted, operation: Operation) {
        let framework_id = accepted.framework_id.clone();
        if operation.id.is_some() {
            let verdict = invalid(Reason::REASON_TASK_INVALID, "'id' must not be set on LAUNCH operations");
            return self.refuse_tasks(&framework_id, tasks_of(&operation), &verdict);
        }
        for mut task in operation.launch.unwrap_or_default().task_infos {
            complete_task(&mut task, &framework_id);
            let Some(place) = self.place(accepted) else { return };
            match validate_task(&task, &place) {
                Ok(()) => self.launch_task(accepted, task),
                Err(error) => {
                    let verdict = invalid(Reason::REASON_TASK_INVALID, &with_causes(&error));
                    self.refuse_tasks(&framework_id, &[task], &verdict);
                }
            }
        }
    }

    /// Launches a task group: all of it or nothing.
    pub(crate) fn launch_group(&mut self, accepted: &mut Accepted, operation: Operation) {
        let framework_id = accepted.framework_id.clone();
        if operation.id.is_some() {
            let verdict = invalid(
                Reason::REASON_TASK_GROUP_INVALID,
                "'id' must not be set on LAUNCH_GROUP operations",
            );
            return self.refuse_tasks(&framework_id, tasks_of(&operation), &verdict);
        }
        let launch = operation.launch_group.unwrap_or_default();
        let mut executor = launch.executor.unwrap_or_default();
        let mut group = launch.task_group.unwrap_or_default();
        complete_executor(&mut executor, &framework_id);
        for task in &mut group.tasks {
            complete_task(task, &framework_id);
        }
        let Some(place) = self.place(accepted) else { return };
        if let Err(error) = validate_group(&group, &executor, &place) {
            let verdict = invalid(Reason::REASON_TASK_GROUP_INVALID, &with_causes(&error));
            return self.refuse_tasks(&framework_id, &group.tasks, &verdict);
        }
        let framework = place.framework.info.clone();
        let versions = resource_versions(place.agent);
        for task in &mut group.tasks {
            task.executor = Some(executor.clone()).into();
        }
        let launch_executor = self.use_executor(accepted, &executor);
        for task in &group.tasks {
            self.use_task(accepted, task);
        }
        let mut message = RunTaskGroupMessage::new();
        message.framework = Some((*framework).clone()).into();
        message.executor = Some(executor).into();
        message.task_group = Some(group).into();
        message.resource_version_uuids = versions;
        message.set_launch_executor(launch_executor);
        self.send_to_agent(accepted, message);
    }

    fn launch_task(&mut self, accepted: &mut Accepted, task: TaskInfo) {
        let launch_executor = match task.executor.as_ref() {
            Some(executor) => self.use_executor(accepted, executor),
            None => true,
        };
        self.use_task(accepted, &task);
        let Some(place) = self.place(accepted) else { return };
        let mut message = RunTaskMessage::new();
        message.framework = Some((*place.framework.info).clone()).into();
        message.set_pid(pid_text(place.framework.upid.as_ref()));
        message.resource_version_uuids = resource_versions(place.agent);
        message.set_launch_executor(launch_executor);
        tracing::info!(
            framework_id = %accepted.framework_id, agent_id = %accepted.agent_id, task_id = task.task_id.value(),
            "launching task"
        );
        message.task = Some(task).into();
        self.send_to_agent(accepted, message);
    }

    fn place<'m>(&'m self, accepted: &'m Accepted) -> Option<Place<'m>> {
        Some(Place {
            framework: self.frameworks.get(&accepted.framework_id)?,
            agent: self.agents.get(&accepted.agent_id)?,
            available: &accepted.remaining,
            shared: &accepted.shared,
        })
    }

    /// Moves resources from the accepted offers to a launch. The check before made sure that they are there.
    fn consume(&mut self, accepted: &mut Accepted, resources: &Resources) {
        accepted.launched += resources;
        let shared = resources.shared();
        let rest = if shared.is_empty() {
            accepted.remaining.try_subtract(resources)
        } else {
            self.consume_shared(accepted, &shared);
            accepted.remaining.try_subtract(&resources.nonshared())
        };
        if let Err(error) = rest {
            tracing::error!(framework_id = %accepted.framework_id, %error, "launch uses more than was offered");
        }
    }

    /// Of a shared volume there may be more uses than copies in the offers: the allocator is told of the others.
    fn consume_shared(&mut self, accepted: &mut Accepted, shared: &Resources) {
        let additional = shared - &accepted.remaining.shared();
        accepted.remaining -= shared;
        if additional.is_empty() {
            return;
        }
        let conversion = Conversion {
            consumed: Resources::new(),
            converted: additional,
        };
        let told = self
            .allocator
            .update_allocation(&accepted.framework_id, &accepted.agent_id, &[conversion]);
        if let Err(error) = told {
            tracing::error!(framework_id = %accepted.framework_id, %error, "use of a shared volume not accounted for");
        }
    }

    /// Adds the executor unless the agent has it; tells whether the agent must start one.
    fn use_executor(&mut self, accepted: &mut Accepted, executor: &ExecutorInfo) -> bool {
        let executor_id = ExecutorId::from(&*executor.executor_id);
        let known = self
            .agents
            .get(&accepted.agent_id)
            .is_some_and(|agent| agent.has_executor(&accepted.framework_id, &executor_id));
        if known {
            return false;
        }
        self.consume(accepted, &executor_resources(executor));
        self.add_executor(&accepted.agent_id, executor);
        true
    }

    fn use_task(&mut self, accepted: &mut Accepted, info: &TaskInfo) {
        match Task::from_message(staging_task(info, &accepted.framework_id)) {
            Ok(task) => {
                self.consume(accepted, &task.resources);
                self.add_task(task);
            }
            Err(error) => tracing::error!(task_id = info.task_id.value(), %error, "checked task has bad resources"),
        }
    }

    /// Sends a launch in the resource format that the agent understands.
    fn send_to_agent<M: HasResources + Into<mesos::Message>>(&mut self, accepted: &Accepted, mut message: M) {
        let Some(agent) = self.agents.get(&accepted.agent_id) else {
            return;
        };
        let upid = agent.upid.clone();
        if !agent.capabilities.reservation_refinement
            && let Err(error) = message.downgrade_resources()
        {
            tracing::error!(agent_id = %accepted.agent_id, %error, "launch is not expressible for its agent");
        }
        self.send(&upid, message);
    }
}

fn invalid(reason: Reason, message: &str) -> Verdict {
    Verdict::new(TaskState::TASK_ERROR, reason, message)
}

/// Fills in what schedulers may leave out of an executor.
fn complete_executor(executor: &mut ExecutorInfo, framework_id: &FrameworkId) {
    if executor.framework_id.is_none() {
        executor.framework_id = Some(framework_id.to_proto()).into();
    }
}

/// Fills in what schedulers may leave out of a task.
fn complete_task(task: &mut TaskInfo, framework_id: &FrameworkId) {
    if let Some(executor) = task.executor.as_mut() {
        complete_executor(executor, framework_id);
    }
    if let Some(check) = task.health_check.as_mut()
        && !check.has_type()
    {
        match (check.command.is_some(), check.http.is_some()) {
            (true, false) => check.set_type(HealthCheckType::COMMAND),
            (false, true) => check.set_type(HealthCheckType::HTTP),
            (true, true) | (false, false) => {}
        }
    }
}

/// The versions of the resources of the agent and of its resource providers that a launch refers to.
fn resource_versions(agent: &Agent) -> Vec<ResourceVersionUUID> {
    let own = agent.resource_version.iter().map(|uuid| (None, uuid));
    let providers = agent.resource_providers.values();
    let provided = providers.map(|provider| (Some(provider.id.to_proto()), &provider.resource_version));
    let versions = own.chain(provided).map(|(provider_id, uuid)| {
        let mut version = ResourceVersionUUID::new();
        version.resource_provider_id = provider_id.into();
        version.uuid = Some(uuid.clone()).into();
        version
    });
    versions.collect()
}
