//! Launches: what the master asks to run, checked against what the agent knows, up to the queue of an executor.
//!
//! Order on the disk: everything that a restarted agent must know of a run, `task.info` included, is written before
//! the executor is launched and before the task is delivered.
//!
//! Source: shared facts, `messages_flow.tsv` (RunTask), `task_reasons.tsv`, `pitfalls.md` D5, D19 and D21.

use mesos::ids::{AgentId, ExecutorId, FrameworkId, TaskId};
use mesos::resources::{Resource, Resources};
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::mesos as pb;
use pb::task_status::Reason;
use protobuf::MessageField;
use tracing::{info, warn};

use libprocess_types::Upid;

use crate::agent::{Agent, AgentState};
use crate::checkpoint::{message_file, text_file};
use crate::command_executor::executor_for_command_task;
use crate::effect::CheckpointWrite;
use crate::executor::{Executor, ExecutorKey, ExecutorState};
use crate::framework::{Framework, FrameworkState};
use crate::invariants::scalars;
use crate::limits::unenforced;
use crate::outbox::When;
use crate::resource_format::{inject_allocation, only_role, upgrade};
use crate::status_updates::TaskReport;

/// A checked launch: one task, or a group that lives and dies together.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) framework_id: FrameworkId,
    pub(crate) framework: pb::FrameworkInfo,
    pub(crate) pid: Option<Upid>,
    pub(crate) executor_id: ExecutorId,
    pub(crate) executor: pb::ExecutorInfo,
    pub(crate) tasks: Vec<pb::TaskInfo>,
    pub(crate) group: Option<pb::TaskGroupInfo>,
    pub(crate) resource_versions: Vec<internal::ResourceVersionUUID>,
    pub(crate) launch_executor: Option<bool>,
    pub(crate) generated_for_command_task: bool,
}

/// Why the tasks of a launch are not run.
struct Refusal {
    state: RefusalState,
    reason: Reason,
    message: String,
}

enum RefusalState {
    /// A passing trouble: TASK_DROPPED, or TASK_LOST.
    Dropped,
    /// The description is wrong: TASK_ERROR.
    Error,
}

impl Refusal {
    fn dropped(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            state: RefusalState::Dropped,
            reason,
            message: message.into(),
        }
    }

    fn error(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            state: RefusalState::Error,
            reason,
            message: message.into(),
        }
    }
}

impl Agent {
    /// The master asks to run a task.
    pub(crate) fn run_task_message(&mut self, from: &Upid, message: internal::RunTaskMessage) {
        if !self.is_master(from, "run task") {
            return;
        }
        let framework = message.framework.unwrap_or_default();
        let mut task = message.task.unwrap_or_default();
        let role = only_role(&framework).map(str::to_owned);
        prepare_task(&mut task, role.as_deref());
        let generated = task.executor.is_none();
        let mut executor = match task.executor.as_ref() {
            Some(executor) => executor.clone(),
            None => executor_for_command_task(&self.config, &framework, &task),
        };
        prepare_executor(&mut executor, role.as_deref());
        self.run(&Launch {
            framework_id: FrameworkId::from(&*framework.id),
            pid: scheduler_pid(message.pid.as_deref()),
            executor_id: ExecutorId::from(&*executor.executor_id),
            framework,
            executor,
            tasks: vec![task],
            group: None,
            resource_versions: message.resource_version_uuids,
            launch_executor: message.launch_executor,
            generated_for_command_task: generated,
        });
    }

    /// The master asks to run a group of tasks in one executor.
    pub(crate) fn run_task_group_message(&mut self, from: &Upid, message: internal::RunTaskGroupMessage) {
        if !self.is_master(from, "run task group") {
            return;
        }
        let framework = message.framework.unwrap_or_default();
        let role = only_role(&framework).map(str::to_owned);
        let mut group = message.task_group.unwrap_or_default();
        for task in &mut group.tasks {
            prepare_task(task, role.as_deref());
        }
        let mut executor = message.executor.unwrap_or_default();
        prepare_executor(&mut executor, role.as_deref());
        self.run(&Launch {
            framework_id: FrameworkId::from(&*framework.id),
            pid: None,
            executor_id: ExecutorId::from(&*executor.executor_id),
            framework,
            executor,
            tasks: group.tasks.clone(),
            group: Some(group),
            resource_versions: message.resource_version_uuids,
            launch_executor: message.launch_executor,
            generated_for_command_task: false,
        });
    }

    fn run(&mut self, launch: &Launch) {
        if !self.concerns_this_agent(launch) {
            return;
        }
        self.admit_framework(launch);
        let terminating = self.framework(&launch.framework_id).map(Framework::state);
        if terminating == Some(FrameworkState::Terminating) {
            warn!(framework_id = %launch.framework_id, "not running a task: its framework is being shut down");
            self.executor_not_launched(launch);
            return;
        }
        if let Err(refusal) = self.check_launch(launch) {
            self.refuse(launch, &refusal);
            self.remove_framework_if_idle(&launch.framework_id);
            self.executor_not_launched(launch);
            return;
        }
        let key = ExecutorKey {
            framework_id: launch.framework_id.clone(),
            executor_id: launch.executor_id.clone(),
        };
        if let Err(refusal) = self.check_expectation(launch, &key) {
            self.refuse(launch, &refusal);
            self.remove_framework_if_idle(&launch.framework_id);
            return;
        }
        if self.executor_by(&key).is_none() {
            self.add_executor(launch);
        } else {
            self.enqueue(launch, &key);
            if self.executor_by(&key).is_some_and(Executor::is_connected) {
                self.update_container(&key);
                self.deliver_queued_tasks(&key);
            }
        }
    }

    /// Whether the launch is for this life of this agent, and not a repetition.
    fn concerns_this_agent(&self, launch: &Launch) -> bool {
        let agent_id = self.id.as_ref().map_or("", AgentId::as_str);
        // A launch that was on its way while the master gave this agent up must not run: the registration that follows
        // does not name it, and the framework is told that the task is gone.
        let ignored = if self.state != AgentState::Running {
            "the agent is not registered"
        } else if launch.framework_id.validate().is_err() {
            "its framework id cannot be used"
        } else if launch.tasks.iter().any(|task| task.slave_id.value() != agent_id) {
            "it is for another agent"
        } else if launch.tasks.is_empty() || self.knows_tasks(launch) {
            "it is here already"
        } else {
            return true;
        };
        warn!(framework_id = %launch.framework_id, executor_id = %launch.executor_id, ignored, "ignoring a launch");
        false
    }

    fn knows_tasks(&self, launch: &Launch) -> bool {
        let Some(framework) = self.frameworks.get(&launch.framework_id) else {
            return false;
        };
        launch
            .tasks
            .iter()
            .any(|task| framework.has_task(&TaskId::from(&*task.task_id)))
    }

    fn admit_framework(&mut self, launch: &Launch) {
        let id = &launch.framework_id;
        if self.frameworks.contains_key(id) {
            return;
        }
        let mut framework = Framework::new(id.clone(), launch.framework.clone(), launch.pid.clone());
        let position = self
            .completed_frameworks
            .iter()
            .position(|completed| completed.id == *id);
        if let Some(completed) = position.and_then(|position| self.completed_frameworks.remove(position)) {
            framework.completed_executors = completed.completed_executors;
        }
        self.frameworks.insert(id.clone(), framework);
        if let Some(agent) = self.id.clone() {
            let (sandboxes, meta) = (
                self.paths.framework_sandboxes(&agent, id),
                self.paths.framework_meta(&agent, id),
            );
            self.unschedule_gc(&sandboxes);
            self.unschedule_gc(&meta);
        }
        self.checkpoint_framework(id);
    }

    /// Everything that can be wrong with a launch, whatever executors there are.
    fn check_launch(&self, launch: &Launch) -> Result<(), Refusal> {
        if self.drain_config.is_some() {
            return Err(Refusal::dropped(Reason::REASON_SLAVE_DRAINING, "the agent is draining"));
        }
        check_description(launch)?;
        let limited = launch.tasks.iter().flat_map(|task| task.limits.keys());
        if let Some(name) = unenforced(limited, &self.config.enforced_limits) {
            let message =
                format!("`limits` of '{name}' need an isolator that holds tasks to them, such as cgroups/{name}");
            return Err(Refusal::dropped(Reason::REASON_TASK_INVALID, message));
        }
        self.check_resource_versions(launch)?;
        let of_tasks = launch.tasks.iter().flat_map(|task| &task.resources);
        for resource in of_tasks.chain(&launch.executor.resources) {
            if !self.has_checkpointed(resource) {
                let message = format!(
                    "the agent does not know the reserved or persistent '{}'",
                    resource.name()
                );
                return Err(Refusal::dropped(Reason::REASON_RESOURCES_UNKNOWN, message));
            }
        }
        self.check_room(launch)
    }

    /// Nothing is committed twice: a launch that a partition held back, perhaps from a master that is dead by now, may
    /// find its resources in use.
    fn check_room(&self, launch: &Launch) -> Result<(), Refusal> {
        let key = ExecutorKey {
            framework_id: launch.framework_id.clone(),
            executor_id: launch.executor_id.clone(),
        };
        let brings_executor = !launch.generated_for_command_task && self.executor_by(&key).is_none();
        let of_executor = launch.executor.resources.iter().filter(|_| brings_executor);
        let of_tasks = launch.tasks.iter().flat_map(|task| &task.resources);
        let wanted = || of_tasks.clone().chain(of_executor.clone());
        let (total, used) = (scalars(self.info.resources.iter()), self.used_scalars());
        for (name, amount) in scalars(wanted()) {
            let left = total.get(&name).copied().unwrap_or_default() - used.get(&name).copied().unwrap_or_default();
            if amount > left {
                let message = format!("{amount} thousandths of '{name}' are wanted, {} are left", left.max(0));
                return Err(Refusal::dropped(Reason::REASON_INVALID_OFFERS, message));
            }
        }
        let read = wanted().filter_map(|message| Resource::from_protobuf(message).ok());
        let revocable: Resources = read
            .filter(Resource::is_revocable)
            .map(|resource| resource.with_allocation(None))
            .collect();
        let left = &self.lending_limit() - &self.lent_resources();
        if !left.contains(&revocable) {
            let message = format!("the revocable {revocable} are wanted, {left} are left");
            return Err(Refusal::dropped(Reason::REASON_INVALID_OFFERS, message));
        }
        Ok(())
    }

    fn check_resource_versions(&self, launch: &Launch) -> Result<(), Refusal> {
        if launch.resource_versions.is_empty() {
            return Ok(());
        }
        let outdated = || {
            let message = "the task was launched on an older state of the agent's resources";
            Err(Refusal::dropped(Reason::REASON_INVALID_OFFERS, message))
        };
        let own = launch
            .resource_versions
            .iter()
            .find(|version| version.resource_provider_id.is_none());
        let mut resources = launch.tasks.iter().flat_map(|task| &task.resources);
        if resources.any(|resource| resource.provider_id.is_some()) {
            return outdated();
        }
        match own {
            Some(version) if version.uuid.value() == self.resource_version.as_slice() => Ok(()),
            _ => outdated(),
        }
    }

    /// Whether a reservation or volume is there; resources without one always are.
    fn has_checkpointed(&self, resource: &pb::Resource) -> bool {
        // What cannot be read was refused before; it is not known in any case.
        Resource::from_protobuf(resource).is_ok_and(|resource| {
            let resource = resource.with_allocation(None);
            !resource.needs_checkpointing() || self.total.contains_resource(&resource)
        })
    }

    /// Whether the executor is there, or not there, as the master believes.
    fn check_expectation(&mut self, launch: &Launch, key: &ExecutorKey) -> Result<(), Refusal> {
        let state = self.executor_by(key).map(|executor| executor.state);
        let Some(launch_executor) = launch.launch_executor else {
            return check_alive(state);
        };
        if launch.generated_for_command_task {
            return match state {
                None => Ok(()),
                Some(_) => Err(Refusal::dropped(
                    Reason::REASON_TASK_INVALID,
                    "the executor of a command task runs only once",
                )),
            };
        }
        match (launch_executor, state) {
            (true, None) => Ok(()),
            (false, None) => {
                let message = "the task is for a running executor, but there is none";
                Err(Refusal::dropped(Reason::REASON_EXECUTOR_TERMINATED, message))
            }
            (true, Some(state)) => {
                match state {
                    ExecutorState::Terminated => self.send_exited_executor(key, None),
                    ExecutorState::Registering | ExecutorState::Running | ExecutorState::Terminating => {
                        self.shut_down_executor(key);
                    }
                }
                let message = "the task is for a new executor, but there is one with its id";
                Err(Refusal::dropped(Reason::REASON_EXECUTOR_TERMINATED, message))
            }
            (false, state) => check_alive(state),
        }
    }

    /// Tells the framework that no task of the launch runs.
    fn refuse(&mut self, launch: &Launch, refusal: &Refusal) {
        let Some(framework) = self.frameworks.get(&launch.framework_id) else {
            return;
        };
        let state = match refusal.state {
            RefusalState::Dropped => framework.dropped_state(),
            RefusalState::Error => pb::TaskState::TASK_ERROR,
        };
        let report = TaskReport {
            state,
            reason: refusal.reason,
            message: refusal.message.clone(),
        };
        for task in &launch.tasks {
            let task_id = TaskId::from(&*task.task_id);
            self.report_task(&launch.framework_id, &task_id, Some(&launch.executor_id), &report);
        }
    }

    /// The master believes that an executor was launched with the tasks: tell it that none was.
    fn executor_not_launched(&mut self, launch: &Launch) {
        if launch.launch_executor == Some(true) {
            let key = ExecutorKey {
                framework_id: launch.framework_id.clone(),
                executor_id: launch.executor_id.clone(),
            };
            self.send_exited_executor(&key, None);
        }
    }

    /// Writes the tasks' descriptions and queues them.
    pub(crate) fn enqueue(&mut self, launch: &Launch, key: &ExecutorKey) {
        let Some(executor) = self.executor_mut(key) else { return };
        let mut writes = Vec::new();
        let mut reused = Vec::new();
        for task in &launch.tasks {
            let task_id = TaskId::from(&*task.task_id);
            info!(%task_id, framework_id = %key.framework_id, executor_id = %key.executor_id, "task queued");
            if executor.checkpoint {
                if executor.has_completed_task(&task_id) {
                    // An id that is used again must not inherit the end of its predecessor.
                    writes.push(CheckpointWrite::Remove {
                        path: executor.paths.task_updates(&task_id),
                    });
                    reused.push(executor.paths.task(&task_id));
                }
                let record = crate::tasks::task_from_info(task, &key.framework_id);
                let record = crate::resource_format::downgraded_task(&record);
                writes.push(message_file(executor.paths.task_info(&task_id), &record));
            }
            executor.queued.insert(task_id, task.clone());
        }
        executor.queued_groups.extend(launch.group.clone());
        for path in reused {
            self.unschedule_gc(&path);
        }
        for write in writes {
            self.write(write);
        }
    }

    /// Writes what a restarted agent must know of a framework.
    pub(crate) fn checkpoint_framework(&mut self, id: &FrameworkId) {
        let (Some(agent), Some(framework)) = (self.id.clone(), self.frameworks.get(id)) else {
            return;
        };
        if !framework.checkpoints() {
            return;
        }
        let info = message_file(self.paths.framework_info(&agent, id), &framework.info);
        let pid = framework
            .pid
            .as_ref()
            .map_or_else(|| "@0.0.0.0:0".to_owned(), ToString::to_string);
        let pid = text_file(self.paths.framework_pid(&agent, id), &pid);
        self.write(info);
        self.write(pid);
    }

    /// An executor ended, or never came to be.
    pub(crate) fn send_exited_executor(&mut self, key: &ExecutorKey, status: Option<i32>) {
        let (Some(master), Some(id)) = (self.master.clone(), self.id.as_ref()) else {
            return;
        };
        let mut message = internal::ExitedExecutorMessage::new();
        message.slave_id = MessageField::some(id.to_proto());
        message.framework_id = MessageField::some(key.framework_id.to_proto());
        message.executor_id = MessageField::some(key.executor_id.to_proto());
        message.set_status(status.unwrap_or(-1));
        let checkpoints = self
            .frameworks
            .get(&key.framework_id)
            .is_some_and(Framework::checkpoints);
        self.send(When::held_if(checkpoints), &master, message);
    }
}

fn check_alive(state: Option<ExecutorState>) -> Result<(), Refusal> {
    let ending = match state {
        None | Some(ExecutorState::Registering | ExecutorState::Running) => return Ok(()),
        Some(ExecutorState::Terminating) => "the executor is being shut down",
        Some(ExecutorState::Terminated) => "the executor has ended",
    };
    Err(Refusal::dropped(Reason::REASON_EXECUTOR_TERMINATED, ending))
}

/// What must hold for a task to be run at all. Masters check the same; not every sender is a good master.
fn check_description(launch: &Launch) -> Result<(), Refusal> {
    let invalid = |message: String| Err(Refusal::error(Reason::REASON_TASK_INVALID, message));
    if let Err(error) = launch.executor_id.validate() {
        return invalid(format!("the executor id cannot be used: {error}"));
    }
    for task in &launch.tasks {
        if let Err(error) = TaskId::from(&*task.task_id).validate() {
            return invalid(format!("the task id cannot be used: {error}"));
        }
        if launch.group.is_none() && task.executor.is_some() == task.command.is_some() {
            return invalid("a task needs either a command or an executor".to_owned());
        }
        if task.resources.iter().any(|resource| resource.allocation_info.is_none()) {
            return invalid("a resource of the task is not allocated to a role".to_owned());
        }
    }
    if launch
        .executor
        .resources
        .iter()
        .any(|resource| resource.allocation_info.is_none())
    {
        return invalid("a resource of the executor is not allocated to a role".to_owned());
    }
    Ok(())
}

fn prepare_task(task: &mut pb::TaskInfo, role: Option<&str>) {
    inject_allocation(&mut task.resources, role);
    upgrade(&mut task.resources);
    if let Some(executor) = task.executor.as_mut() {
        prepare_executor(executor, role);
    }
}

fn prepare_executor(executor: &mut pb::ExecutorInfo, role: Option<&str>) {
    inject_allocation(&mut executor.resources, role);
    upgrade(&mut executor.resources);
}

/// Schedulers without an address of their own come as the anonymous one.
pub(crate) fn scheduler_pid(text: Option<&str>) -> Option<Upid> {
    text.and_then(|text| text.parse::<Upid>().ok())
        .filter(|pid| !pid.is_anonymous())
}
