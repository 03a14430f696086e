//! Tasks and executors as the older endpoints show them.

use mesos::json::{ObjectWriter, write, write_object};
use mesos_proto::v0::mesos::{CommandInfo, ContainerStatus, ExecutorInfo, Labels, Task, TaskStatus};
use protobuf::MessageField;

use super::resources::{allocation_role, summary_of_messages};

/// Appends a task.
pub fn task(json: &mut String, task: &Task) {
    write_object(json, |object| {
        object.string("id", task.task_id.value());
        object.string("name", task.name());
        object.string("framework_id", task.framework_id.value());
        object.string("executor_id", task.executor_id.value());
        object.string("slave_id", task.slave_id.value());
        object.text("state", format_args!("{:?}", task.state()));
        summary_of_messages(object, "resources", &task.resources);
        if !task.limits.is_empty() {
            let limits: std::collections::BTreeMap<_, _> = task.limits.iter().collect();
            object.object("limits", |object| {
                for (name, limit) in limits {
                    object.number(name, limit.value());
                }
            });
        }
        if let Some(role) = allocation_role(&task.resources) {
            object.string("role", role);
        }
        object.array("statuses", &task.statuses, status);
        if task.has_user() {
            object.string("user", task.user());
        }
        labels(object, &task.labels);
        object.message_if_set("discovery", task.discovery.as_ref());
        object.message_if_set("container", task.container.as_ref());
        object.message_if_set("health_check", task.health_check.as_ref());
    });
}

fn status(json: &mut String, status: &TaskStatus) {
    write_object(json, |object| {
        object.text("state", format_args!("{:?}", status.state()));
        object.number("timestamp", status.timestamp());
        labels(object, &status.labels);
        if let Some(container) = status.container_status.as_ref() {
            object.object("container_status", |object| container_status(object, container));
        }
        if status.has_healthy() {
            object.boolean("healthy", status.healthy());
        }
    });
}

/// The process of the executor is not told here.
fn container_status(object: &mut ObjectWriter<'_>, status: &ContainerStatus) {
    object.message_if_set("container_id", status.container_id.as_ref());
    if !status.network_infos.is_empty() {
        object.array("network_infos", &status.network_infos, |json, info| write(info, json));
    }
    object.message_if_set("cgroup_info", status.cgroup_info.as_ref());
}

/// Writes labels as an array, when there are any.
pub fn labels(object: &mut ObjectWriter<'_>, labels: &MessageField<Labels>) {
    if let Some(labels) = labels.as_ref() {
        object.array("labels", &labels.labels, |json, label| write(label, json));
    }
}

/// Appends an executor with the agent that it runs on.
pub fn executor(json: &mut String, executor: &ExecutorInfo, agent_id: &str) {
    write_object(json, |object| {
        object.string("executor_id", executor.executor_id.value());
        object.string("name", executor.name());
        object.string("framework_id", executor.framework_id.value());
        object.object("command", |object| command(object, &executor.command));
        summary_of_messages(object, "resources", &executor.resources);
        if let Some(role) = allocation_role(&executor.resources) {
            object.string("role", role);
        }
        labels(object, &executor.labels);
        if executor.has_type() {
            object.text("type", format_args!("{:?}", executor.type_()));
        }
        object.string("slave_id", agent_id);
    });
}

fn command(object: &mut ObjectWriter<'_>, command: &CommandInfo) {
    if command.has_shell() {
        object.boolean("shell", command.shell());
    }
    if command.has_value() {
        object.string("value", command.value());
    }
    object.strings("argv", &command.arguments);
    object.message_if_set("environment", command.environment.as_ref());
    object.array("uris", &command.uris, |json, uri| {
        write_object(json, |object| {
            object.string("value", uri.value());
            object.boolean("executable", uri.executable());
        });
    });
}
