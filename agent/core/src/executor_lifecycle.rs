//! The life of an executor from its creation to its removal: container, delivery of tasks, shutdown, end.
//!
//! Source: shared facts, `messages_flow.tsv` (ShutdownExecutor, ExitedExecutor), `task_reasons.tsv`,
//! `disk_layout.md` section 2.

use mesos::ids::{ContainerId, FrameworkId, TaskId};
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::executor;
use mesos_proto::v0::mesos as pb;
use pb::task_status::Reason;
use protobuf::MessageField;
use tracing::{info, warn};

use crate::agent::{Agent, AgentState};
use crate::checkpoint::{marker, message_file, text_file};
use crate::command_executor::default_executor_command;
use crate::effect::{CheckpointWrite, ContainerLaunch, Effect};
use crate::executor::{Executor, ExecutorConnection, ExecutorKey, ExecutorState, PendingTermination};
use crate::framework::FrameworkState;
use crate::input::{AgentTimer, ContainerTermination};
use crate::limits::{executor_limits, launch_limits};
use crate::outbox::When;
use crate::resource_format::downgraded_executor;
use crate::run_task::Launch;
use crate::status_updates::{TaskReport, UpdateOrigin};
use crate::termination::termination_report;

impl Agent {
    /// Makes an executor for a launch: its sandbox, its checkpoints, its queue, its container.
    pub(crate) fn add_executor(&mut self, launch: &Launch) {
        let Some(agent_id) = self.id.clone() else { return };
        let container_id = ContainerId::new(self.random.uuid().to_string());
        let paths = self
            .paths
            .run(&agent_id, &launch.framework_id, &launch.executor_id, &container_id);
        let Some(framework) = self.frameworks.get_mut(&launch.framework_id) else {
            return;
        };
        let own_user = launch
            .executor
            .command
            .as_ref()
            .and_then(|command| command.user.clone());
        let user = own_user
            .or_else(|| framework.info.user.clone())
            .filter(|_| self.config.switch_user);
        let executor = Executor {
            checkpoint: framework.checkpoints(),
            generated_for_command_task: launch.generated_for_command_task,
            user,
            ..Executor::new(
                launch.framework_id.clone(),
                launch.executor.clone(),
                container_id.clone(),
                paths,
            )
        };
        info!(framework_id = %launch.framework_id, executor_id = %launch.executor_id, %container_id, "new executor");
        let key = executor.key();
        framework.executors.insert(key.executor_id.clone(), executor);
        let sandboxes = self
            .paths
            .executor_sandboxes(&agent_id, &key.framework_id, &key.executor_id);
        self.unschedule_gc(&sandboxes);
        let meta = self.paths.executor_meta(&agent_id, &key.framework_id, &key.executor_id);
        self.unschedule_gc(&meta);
        self.checkpoint_executor(&key);
        self.enqueue(launch, &key);
        self.launch_container(launch, &key);
        let timeout = self.config.executor_registration_timeout;
        self.set_timer(AgentTimer::ExecutorRegistration { container_id }, timeout);
    }

    /// Writes the sandbox, and for frameworks that checkpoint what a restarted agent must know.
    fn checkpoint_executor(&mut self, key: &ExecutorKey) {
        let (Some(agent), Some(executor)) = (self.id.clone(), self.executor_by(key).cloned()) else {
            return;
        };
        let paths = &executor.paths;
        let user = executor.user.clone();
        self.write(CheckpointWrite::Sandbox {
            path: paths.sandbox().to_owned(),
            user,
        });
        let target = paths.sandbox().to_owned();
        self.write(CheckpointWrite::Symlink {
            link: paths.sandbox_latest(),
            target,
        });
        if !executor.checkpoint {
            return;
        }
        let info = self.paths.executor_info(&agent, &key.framework_id, &key.executor_id);
        self.write(message_file(info, &downgraded_executor(&executor.info)));
        let generated = self
            .paths
            .executor_generated(&agent, &key.framework_id, &key.executor_id);
        self.write(text_file(
            generated,
            if executor.generated_for_command_task { "1" } else { "0" },
        ));
        self.write(CheckpointWrite::Sandbox {
            path: paths.meta().to_owned(),
            user: None,
        });
        let target = paths.meta().to_owned();
        self.write(CheckpointWrite::Symlink {
            link: paths.meta_latest(),
            target,
        });
    }

    fn launch_container(&mut self, launch: &Launch, key: &ExecutorKey) {
        let Some(executor) = self.executor_by(key) else { return };
        let mut executor_info = executor.info.clone();
        if executor_info.type_() == pb::executor_info::Type::DEFAULT && executor_info.command.is_none() {
            let command = default_executor_command(&self.config, executor.user.as_deref());
            executor_info.command = MessageField::some(command);
        }
        let of_tasks = launch.tasks.iter().flat_map(|task| &task.resources);
        let container = ContainerLaunch {
            container_id: executor.container_id.clone(),
            framework_id: key.framework_id.clone(),
            executor_id: key.executor_id.clone(),
            resources: executor.info.resources.iter().chain(of_tasks).cloned().collect(),
            limits: launch_limits(&executor.info, &launch.tasks),
            executor_info,
            task: launch.tasks.first().filter(|_| launch.group.is_none()).cloned(),
            directory: executor.paths.sandbox().to_owned(),
            user: executor.user.clone(),
            environment: self.executor_environment(executor),
            forked_pid_path: executor.checkpoint.then(|| executor.paths.forked_pid()),
        };
        self.out.push(When::Held, Effect::LaunchContainer(Box::new(container)));
    }

    /// Tells the containerizer what the executor and its unfinished tasks may use.
    pub(crate) fn update_container(&mut self, key: &ExecutorKey) {
        let Some(executor) = self.executor_mut(key) else { return };
        if executor.state != ExecutorState::Running {
            return;
        }
        executor.updates_awaited += 1;
        let container_id = executor.container_id.clone();
        let resources = executor.used_resources();
        let limits = executor_limits(executor);
        self.out.push(
            When::Held,
            Effect::UpdateContainer {
                container_id,
                resources,
                limits,
            },
        );
    }

    /// Hands the queued tasks to a running executor, in the order of their arrival, once its container has what they
    /// need: a task must not look for its volume before that is there.
    pub(crate) fn deliver_queued_tasks(&mut self, key: &ExecutorKey) {
        let Some(executor) = self.executor_mut(key) else { return };
        if executor.updates_awaited > 0 {
            return;
        }
        let groups = std::mem::take(&mut executor.queued_groups);
        let grouped = |id: &TaskId| {
            groups
                .iter()
                .any(|group| group.tasks.iter().any(|task| task.task_id.value() == id.as_str()))
        };
        let single: Vec<_> = executor.queued.keys().filter(|id| !grouped(id)).cloned().collect();
        let tasks: Vec<_> = single.iter().filter_map(|id| executor.launch_task(id)).collect();
        for group in &groups {
            for task in &group.tasks {
                executor.launch_task(&TaskId::from(&*task.task_id));
            }
        }
        for task in tasks {
            self.deliver_task(key, task);
        }
        for group in groups {
            let mut event = executor::Event::new();
            event.set_type(executor::event::Type::LAUNCH_GROUP);
            event.launch_group.mut_or_insert_default().task_group = MessageField::some(group);
            self.send_event(key, event);
        }
    }

    fn deliver_task(&mut self, key: &ExecutorKey, task: pb::TaskInfo) {
        let Some(framework) = self.frameworks.get(&key.framework_id) else {
            return;
        };
        let Some(executor) = framework.executors.get(&key.executor_id) else {
            return;
        };
        info!(task_id = task.task_id.value(), framework_id = %key.framework_id, "delivering a task");
        if let ExecutorConnection::Libprocess(upid) = executor.connection.clone() {
            let mut message = internal::RunTaskMessage::new();
            message.framework = MessageField::some(framework.info.clone());
            let pid = framework
                .pid
                .as_ref()
                .map_or_else(|| "@0.0.0.0:0".to_owned(), ToString::to_string);
            message.set_pid(pid);
            message.task = MessageField::some(task);
            let when = When::held_if(executor.checkpoint);
            self.send(when, &upid, message);
        } else {
            let mut event = executor::Event::new();
            event.set_type(executor::event::Type::LAUNCH);
            event.launch.mut_or_insert_default().task = MessageField::some(task);
            self.send_event(key, event);
        }
    }

    /// Sends an event to an executor that is connected over the v1 API.
    pub(crate) fn send_event(&mut self, key: &ExecutorKey, event: executor::Event) {
        let Some(executor) = self.executor_by(key) else { return };
        let when = When::held_if(executor.checkpoint);
        if let ExecutorConnection::Http(Some(stream)) = executor.connection {
            self.out.push(
                when,
                Effect::StreamEvent {
                    stream,
                    event: Box::new(event),
                },
            );
        }
    }

    /// Tells an executor to end, and destroys its container when it takes too long.
    pub(crate) fn shut_down_executor(&mut self, key: &ExecutorKey) {
        let Some(executor) = self.executor_mut(key) else { return };
        if !matches!(executor.state, ExecutorState::Registering | ExecutorState::Running) {
            return;
        }
        executor.state = ExecutorState::Terminating;
        let (container_id, connection) = (executor.container_id.clone(), executor.connection.clone());
        let when = When::held_if(executor.checkpoint);
        let grace_period = self
            .executor_by(key)
            .map(|executor| self.shutdown_grace_period(executor));
        info!(framework_id = %key.framework_id, executor_id = %key.executor_id, "shutting down an executor");
        match connection {
            ExecutorConnection::Libprocess(upid) => self.send(when, &upid, internal::ShutdownExecutorMessage::new()),
            ExecutorConnection::Http(_) => self.send_event(key, shutdown_event()),
            ExecutorConnection::Unknown => {}
        }
        let after = grace_period.unwrap_or(self.config.executor_shutdown_grace_period);
        self.set_timer(AgentTimer::ExecutorShutdown { container_id }, after);
    }

    /// The master asks to shut one executor down.
    pub(crate) fn shutdown_executor_message(
        &mut self,
        from: &libprocess_types::Upid,
        message: &internal::ShutdownExecutorMessage,
    ) {
        if !self.is_master(from, "shutdown executor") || self.state != AgentState::Running {
            return;
        }
        let key = ExecutorKey {
            framework_id: FrameworkId::from(&*message.framework_id),
            executor_id: mesos::ids::ExecutorId::from(&*message.executor_id),
        };
        if self
            .frameworks
            .get(&key.framework_id)
            .is_some_and(|known| known.state == FrameworkState::Running)
        {
            self.shut_down_executor(&key);
        }
    }

    /// Ends an executor at once; `pending` is what its tasks will be told.
    pub(crate) fn destroy_executor(&mut self, key: &ExecutorKey, pending: PendingTermination) {
        let Some(executor) = self.executor_mut(key) else { return };
        executor.pending_termination = Some(pending);
        executor.state = ExecutorState::Terminating;
        let container_id = executor.container_id.clone();
        self.destroy_container(container_id);
    }

    pub(crate) fn destroy_container(&mut self, container_id: ContainerId) {
        self.out.push(When::Held, Effect::DestroyContainer { container_id });
    }

    /// An executor did not end within its grace period.
    pub(crate) fn executor_shutdown_timed_out(&mut self, container_id: ContainerId) {
        let state = self.executor_in(&container_id).map(|executor| executor.state);
        if state == Some(ExecutorState::Terminating) {
            info!(%container_id, "destroying the container of an executor that did not shut down in time");
            self.destroy_container(container_id);
        }
    }

    /// An executor did not register in time.
    pub(crate) fn executor_registration_timed_out(&mut self, container_id: &ContainerId) {
        let Some(executor) = self.executor_in(container_id) else {
            return;
        };
        let framework_state = self
            .frameworks
            .get(&executor.framework_id)
            .map(|framework| framework.state);
        if executor.state != ExecutorState::Registering || framework_state != Some(FrameworkState::Running) {
            return;
        }
        let key = executor.key();
        let timeout = mesos::duration::to_text(self.config.executor_registration_timeout);
        warn!(executor_id = %key.executor_id, framework_id = %key.framework_id, timeout, "executor did not register");
        let pending = PendingTermination {
            state: Some(pb::TaskState::TASK_FAILED),
            reason: Some(Reason::REASON_EXECUTOR_REGISTRATION_TIMEOUT),
            message: Some(format!("the executor did not register within {timeout}")),
        };
        self.destroy_executor(&key, pending);
    }

    /// A container runs, or could not be launched.
    pub(crate) fn launch_finished(
        &mut self,
        container_id: &ContainerId,
        result: Result<Box<pb::ContainerStatus>, String>,
    ) {
        let Some(key) = self.executor_in(container_id).map(Executor::key) else {
            if result.is_ok() {
                warn!(%container_id, "destroying a container that nobody waits for");
                self.destroy_container(container_id.clone());
            }
            return;
        };
        match result {
            Ok(status) => self.container_launched(&key, *status),
            Err(error) => self.launch_failed(&key, &error),
        }
    }

    fn container_launched(&mut self, key: &ExecutorKey, status: pb::ContainerStatus) {
        let Some(executor) = self.executor_mut(key) else { return };
        executor.container_status = Some(status);
        // Told to shut down before there was anybody to tell.
        let unreachable = executor.connection == ExecutorConnection::Unknown;
        if executor.state == ExecutorState::Terminating && unreachable {
            let container_id = executor.container_id.clone();
            self.destroy_container(container_id);
        }
    }

    fn launch_failed(&mut self, key: &ExecutorKey, error: &str) {
        let Some(executor) = self.executor_mut(key) else { return };
        let container_id = executor.container_id.clone();
        warn!(%container_id, executor_id = %key.executor_id, error, "a container could not be launched");
        let known = executor.pending_termination.take();
        executor.pending_termination = known.or(Some(PendingTermination {
            state: Some(pb::TaskState::TASK_FAILED),
            reason: Some(Reason::REASON_CONTAINER_LAUNCH_FAILED),
            message: Some(format!("the container could not be launched: {error}")),
        }));
        self.counters.container_launch_errors += 1;
        self.destroy_container(container_id);
        self.executor_terminated(key, &ContainerTermination::default());
    }

    /// A container has what its executor and tasks may use.
    pub(crate) fn container_updated(&mut self, container_id: &ContainerId) {
        let Some(key) = self.executor_in(container_id).map(Executor::key) else {
            return;
        };
        let Some(executor) = self.executor_mut(&key) else {
            return;
        };
        executor.updates_awaited = executor.updates_awaited.saturating_sub(1);
        if executor.is_connected() {
            self.deliver_queued_tasks(&key);
        }
    }

    /// A container could not be given what its executor and tasks may use.
    pub(crate) fn container_update_failed(&mut self, container_id: &ContainerId, error: &str) {
        let Some(executor) = self.executor_in(container_id) else {
            return;
        };
        let key = executor.key();
        let ending = matches!(executor.state, ExecutorState::Terminating | ExecutorState::Terminated);
        let Some(framework) = self.frameworks.get(&key.framework_id).filter(|_| !ending) else {
            return;
        };
        warn!(%container_id, error, "the resources of a container could not be changed; destroying it");
        let pending = PendingTermination {
            state: Some(framework.gone_state()),
            reason: Some(Reason::REASON_CONTAINER_UPDATE_FAILED),
            message: Some(format!("the resources of the container could not be changed: {error}")),
        };
        self.destroy_executor(&key, pending);
    }

    /// A container ended.
    pub(crate) fn container_terminated(&mut self, container_id: &ContainerId, termination: &ContainerTermination) {
        if let Some(key) = self.executor_in(container_id).map(Executor::key) {
            self.executor_terminated(&key, termination);
        }
    }

    pub(crate) fn executor_terminated(&mut self, key: &ExecutorKey, termination: &ContainerTermination) {
        let Some(framework) = self.frameworks.get_mut(&key.framework_id) else {
            return;
        };
        let framework_ends = framework.state == FrameworkState::Terminating;
        let Some(executor) = framework.executors.get_mut(&key.executor_id) else {
            return;
        };
        if executor.state == ExecutorState::Terminated {
            return;
        }
        executor.state = ExecutorState::Terminated;
        let container_id = executor.container_id.clone();
        let generated = executor.generated_for_command_task;
        info!(%container_id, executor_id = %key.executor_id, framework_id = %key.framework_id, "executor ended");
        self.counters.executors_terminated += 1;
        self.cancel_timer(AgentTimer::ExecutorRegistration {
            container_id: container_id.clone(),
        });
        self.cancel_timer(AgentTimer::ExecutorShutdown { container_id });
        self.drop_stream(key);
        if framework_ends {
            if let Some(executor) = self.executor_mut(key) {
                executor.abandon_launched_tasks();
            }
        } else {
            self.report_unfinished_tasks(key, termination);
        }
        if !generated {
            self.send_exited_executor(key, termination.status);
        }
        let incomplete = self.executor_by(key).is_some_and(Executor::has_incomplete_tasks);
        if framework_ends || self.state == AgentState::Terminating || !incomplete {
            self.remove_executor(key);
        }
        self.remove_framework_if_idle(&key.framework_id);
    }

    fn report_unfinished_tasks(&mut self, key: &ExecutorKey, termination: &ContainerTermination) {
        let Some(executor) = self.executor_by(key) else { return };
        let (report, limited) = termination_report(executor.pending_termination.as_ref(), termination);
        let unfinished: Vec<_> = executor
            .launched
            .keys()
            .chain(executor.queued.keys())
            .cloned()
            .collect();
        for task_id in unfinished {
            let mut update = self.agent_update(&key.framework_id, &task_id, Some(&key.executor_id), &report);
            if !limited.is_empty() {
                let status = update.status.mut_or_insert_default();
                status.limitation.mut_or_insert_default().resources.clone_from(&limited);
            }
            self.status_update(update, &UpdateOrigin::Agent);
        }
    }

    /// Closes the stream of an executor that used the v1 API.
    pub(crate) fn drop_stream(&mut self, key: &ExecutorKey) {
        let Some(executor) = self.executor_mut(key) else { return };
        if let ExecutorConnection::Http(stream) = &mut executor.connection
            && let Some(stream) = stream.take()
        {
            self.cancel_timer(AgentTimer::ExecutorHeartbeat { stream });
            self.out.push(When::Held, Effect::CloseStream(stream));
        }
    }

    /// Moves an ended executor to the history, and its directories to garbage collection.
    pub(crate) fn remove_executor(&mut self, key: &ExecutorKey) {
        let limit = self.config.max_completed_executors_per_framework;
        let Some(framework) = self.frameworks.get_mut(&key.framework_id) else {
            return;
        };
        let Some(executor) = framework.executors.shift_remove(&key.executor_id) else {
            return;
        };
        let (paths, checkpoint) = (executor.paths.clone(), executor.checkpoint);
        framework.completed_executors.push_back(executor);
        while framework.completed_executors.len() > limit {
            framework.completed_executors.pop_front();
        }
        if checkpoint {
            self.write(marker(paths.sentinel()));
        }
        let Some(agent) = self.id.clone() else { return };
        self.schedule_gc(paths.sandbox().to_owned());
        self.schedule_gc(
            self.paths
                .executor_sandboxes(&agent, &key.framework_id, &key.executor_id),
        );
        if checkpoint {
            self.schedule_gc(paths.meta().to_owned());
            self.schedule_gc(self.paths.executor_meta(&agent, &key.framework_id, &key.executor_id));
        }
    }
}

/// SHUTDOWN as an event.
pub(crate) fn shutdown_event() -> executor::Event {
    let mut event = executor::Event::new();
    event.set_type(executor::event::Type::SHUTDOWN);
    event
}

/// Makes a report of what a task is told.
pub(crate) fn report(state: pb::TaskState, reason: Reason, message: &str) -> TaskReport {
    TaskReport {
        state,
        reason,
        message: message.to_owned(),
    }
}
