//! From a group to running containers.

use std::time::Duration;

use libprocess_types::Time;
use mesos::ids::{ContainerId, TaskId};
use mesos_checks::core::TaskChecks;
use mesos_proto::v1::agent::{Call, call};
use mesos_proto::v1::mesos::environment::Variable;
use mesos_proto::v1::mesos::volume::Source;
use mesos_proto::v1::mesos::volume::source::sandbox_path::Type as PathType;
use mesos_proto::v1::mesos::volume::source::{SandboxPath, Type as SourceType};
use mesos_proto::v1::mesos::{ContainerInfo, TaskGroupInfo, TaskInfo, TaskState, TaskStatus, Volume, container_info};
use protobuf::MessageField;

use super::ending::End;
use super::task::{Life, PodTask};
use super::{Answer, Effect, ExecutorCore, ExecutorTimer, RETRY_INTERVAL, Retried};

/// The part of an agent's answer that a message takes.
const REFUSAL_CHARACTERS_MAX: usize = 1024;

impl ExecutorCore {
    /// Takes in a group: every task is told to be starting before any is launched.
    pub(super) fn launch_group(&mut self, now: Time, group: &TaskGroupInfo, effects: &mut Vec<Effect>) {
        let Some(parent) = self.container.clone() else {
            return;
        };
        if self.shutting_down {
            // The agent tells what became of them once this executor has ended.
            tracing::warn!("a task group came while shutting down; ignored");
            return;
        }
        let ids: Vec<TaskId> = group.tasks.iter().map(|task| TaskId::from(&*task.task_id)).collect();
        if let Some(known) = ids.iter().find(|id| self.tasks.contains_key(*id)) {
            tracing::error!(task_id = %known, "a task group came with a task that is here already; ignored");
            return;
        }
        effects.push(Effect::CancelTimer(ExecutorTimer::Acknowledgement));
        self.had_tasks = true;
        self.groups += 1;
        for (id, info) in ids.iter().zip(&group.tasks) {
            let uuid = uuid::Uuid::from_bytes((self.settings.make_uuid)());
            let container = parent.child(uuid.to_string());
            let call = Box::new(launch_call(info, &container, &self.settings.container_ip));
            let task = PodTask {
                info: info.clone(),
                container,
                group: self.groups,
                life: Life::Launching {
                    call,
                    asked: false,
                    kill: None,
                },
                last_status: TaskStatus::new(),
            };
            self.tasks.insert(id.clone(), task);
            self.update(now, id, TaskState::TASK_STARTING, effects);
        }
        for (id, info) in ids.iter().zip(&group.tasks) {
            if let Err(error) = TaskChecks::of_task(info) {
                self.end(now, id, End::failed(error.to_string()), effects);
            }
        }
        for id in &ids {
            // One whose group cannot run is gone by now.
            if let Some(task) = self.tasks.get_mut(id) {
                task.retry(Retried::Launch, effects);
            }
        }
    }

    pub(super) fn launch_answered(
        &mut self,
        now: Time,
        container: &ContainerId,
        answer: Answer<()>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(id) = self.name_in(container, |life| matches!(life, Life::Launching { .. })) else {
            return;
        };
        match answer {
            Answer::Done(()) => self.launched(now, &id, effects),
            Answer::Unavailable(why) => {
                tracing::warn!(task_id = %id, why, "the agent could not answer a launch");
                let retry = ExecutorTimer::Retry(container.clone(), Retried::Launch);
                effects.push(Effect::SetTimer(retry, RETRY_INTERVAL));
            }
            Answer::NotFound => self.not_launched(now, &id, 404, "", effects),
            Answer::Refused(status, text) => self.not_launched(now, &id, status, &text, effects),
        }
    }

    fn launched(&mut self, now: Time, id: &TaskId, effects: &mut Vec<Effect>) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        let Life::Launching { kill, .. } = std::mem::replace(&mut task.life, Life::Running) else {
            return;
        };
        let (container, info) = (task.container.clone(), task.info.clone());
        effects.push(Effect::LinkSandbox(container.clone(), id.clone()));
        self.update(now, id, TaskState::TASK_RUNNING, effects);
        effects.push(Effect::WaitContainer(container.clone()));
        if let Some((cause, grace)) = kill {
            self.kill(now, id, cause, grace, effects);
            return;
        }
        let limit = Duration::from_nanos(u64::try_from(info.max_completion_time.nanoseconds()).unwrap_or_default());
        if !limit.is_zero() {
            effects.push(Effect::SetTimer(ExecutorTimer::Completion(container.clone()), limit));
        }
        match TaskChecks::of_task(&info) {
            Ok(checks) if !checks.is_empty() => effects.push(Effect::StartChecks(container, Box::new(checks))),
            // A broken check ended the task before its launch.
            Ok(_) | Err(_) => {}
        }
    }

    fn not_launched(&mut self, now: Time, id: &TaskId, status: u16, text: &str, effects: &mut Vec<Effect>) {
        tracing::error!(task_id = %id, status, text, "the agent did not launch a task's container");
        let killed = self
            .tasks
            .get(id)
            .is_some_and(|task| matches!(task.life, Life::Launching { kill: Some(_), .. }));
        let end = if killed {
            End::killed(None)
        } else {
            let shown: String = text.chars().take(REFUSAL_CHARACTERS_MAX).collect();
            End::failed(if shown.is_empty() {
                format!("The agent refused to launch the container with status {status}")
            } else {
                shown
            })
        };
        self.end(now, id, end, effects);
    }
}

/// The call that launches a task's container.
fn launch_call(task: &TaskInfo, container: &ContainerId, container_ip: &str) -> Call {
    let mut message = Call::new();
    message.set_type(call::Type::LAUNCH_CONTAINER);
    let launch = message.launch_container.mut_or_insert_default();
    launch.container_id = MessageField::some(container.to_v1());
    launch.command.clone_from(&task.command);
    launch.container.clone_from(&task.container);
    launch.resources.clone_from(&task.resources);
    launch.limits.clone_from(&task.limits);
    for volume in volumes_of_disks(task) {
        if launch.container.is_none() {
            let mut container = ContainerInfo::new();
            container.set_type(container_info::Type::MESOS);
            launch.container = MessageField::some(container);
        }
        launch.container.mut_or_insert_default().volumes.push(volume);
    }
    let role = task.resources.first().map(|resource| resource.allocation_info.role());
    let command = launch.command.mut_or_insert_default();
    let variables = &mut command.environment.mut_or_insert_default().variables;
    variables.push(variable("MESOS_CONTAINER_IP", container_ip));
    variables.push(variable("MESOS_ALLOCATION_ROLE", role.unwrap_or_default()));
    message
}

/// Disks of a task are put into the executor's sandbox; the task reaches them from there.
fn volumes_of_disks(task: &TaskInfo) -> impl Iterator<Item = Volume> {
    let disks = task
        .resources
        .iter()
        .filter_map(|resource| resource.disk.as_ref()?.volume.as_ref());
    disks.map(|disk| {
        let mut sandbox_path = SandboxPath::new();
        sandbox_path.set_type(PathType::PARENT);
        sandbox_path.set_path(disk.container_path().to_owned());
        let mut source = Source::new();
        source.set_type(SourceType::SANDBOX_PATH);
        source.sandbox_path = MessageField::some(sandbox_path);
        let mut volume = Volume::new();
        volume.set_mode(disk.mode());
        volume.set_container_path(disk.container_path().to_owned());
        volume.source = MessageField::some(source);
        volume
    })
}

fn variable(name: &str, value: &str) -> Variable {
    let mut variable = Variable::new();
    variable.set_name(name.to_owned());
    variable.set_value(value.to_owned());
    variable
}
