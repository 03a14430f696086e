//! Tasks: from the description in a launch to the record that agent and master keep.

use mesos::ids::FrameworkId;
use mesos_proto::v0::mesos as pb;
use protobuf::MessageField;

/// The record of a task that was accepted and of which nothing was reported yet.
///
/// Source: the fields that `task.info` and ReregisterSlaveMessage carry in the recorded exchange `w8`.
#[must_use]
pub fn task_from_info(info: &pb::TaskInfo, framework: &FrameworkId) -> pb::Task {
    let mut task = pb::Task::new();
    task.set_name(info.name().to_owned());
    task.task_id.clone_from(&info.task_id);
    task.framework_id = MessageField::some(framework.to_proto());
    if let Some(executor) = info.executor.as_ref() {
        task.executor_id.clone_from(&executor.executor_id);
    }
    task.slave_id.clone_from(&info.slave_id);
    task.set_state(pb::TaskState::TASK_STAGING);
    task.resources.clone_from(&info.resources);
    task.limits.clone_from(&info.limits);
    task.labels.clone_from(&info.labels);
    task.discovery.clone_from(&info.discovery);
    task.container.clone_from(&info.container);
    task.health_check.clone_from(&info.health_check);
    task.kill_policy.clone_from(&info.kill_policy);
    let command_user = |command: &pb::CommandInfo| command.user.clone();
    let own_user = info.command.as_ref().and_then(command_user);
    let executor_command = || info.executor.as_ref().and_then(|executor| executor.command.as_ref());
    task.user = own_user.or_else(|| executor_command().and_then(command_user));
    task
}
