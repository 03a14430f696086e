//! Frameworks and executors as `/state` shows them.
//!
//! Source: shared facts, `legacy_json_keys.tsv`.

use mesos::json::{ObjectWriter, write_object};
use mesos::legacy_json::{allocation_role, labels, summary_of_messages, write_task};
use mesos_agent_core::{Executor, Framework};
use mesos_proto::v0::mesos as pb;
use pb::framework_info::capability::Type as Capability;

/// Appends a framework.
pub fn write_framework(json: &mut String, framework: &Framework) {
    let info = framework.info();
    write_object(json, |object| {
        object.text("id", framework.id());
        object.string("name", info.name());
        object.string("user", info.user());
        object.number("failover_timeout", info.failover_timeout());
        object.boolean("checkpoint", info.checkpoint());
        object.string("hostname", info.hostname());
        if info.has_principal() {
            object.string("principal", info.principal());
        }
        if framework.has_capability(Capability::MULTI_ROLE) {
            object.strings("roles", &info.roles);
        } else {
            object.string("role", info.role());
        }
        object.array("executors", framework.executors(), write_executor);
        object.array("completed_executors", framework.completed_executors(), write_executor);
    });
}

fn write_executor(json: &mut String, executor: &Executor) {
    let info = executor.info();
    write_object(json, |object| {
        object.text("id", executor.id());
        object.string("name", info.name());
        object.string("source", info.source());
        object.text("container", executor.container_id());
        object.text("directory", executor.paths().sandbox().display());
        summary_of_messages(object, "resources", &executor.used_resources());
        if let Some(role) = allocation_role(&info.resources) {
            object.string("role", role);
        }
        labels(object, info.labels.as_ref());
        if info.has_type() {
            object.text("type", format_args!("{:?}", info.type_()));
        }
        object.array("tasks", executor.launched_tasks(), write_task);
        object.array("queued_tasks", executor.queued_tasks(), write_queued_task);
        let completed = executor.completed_tasks().chain(executor.terminated_tasks());
        object.array("completed_tasks", completed, write_task);
    });
}

fn write_queued_task(json: &mut String, task: &pb::TaskInfo) {
    write_object(json, |object| {
        object.string("id", task.task_id.value());
        object.string("name", task.name());
        object.string("slave_id", task.slave_id.value());
        summary_of_messages(object, "resources", &task.resources);
        if let Some(role) = allocation_role(&task.resources) {
            object.string("role", role);
        }
        if let Some(command) = task.command.as_ref() {
            object.object("command", |object| write_command(object, command));
        }
        if let Some(executor) = task.executor.as_ref() {
            object.string("executor_id", executor.executor_id.value());
        }
        object.message_if_set("discovery", task.discovery.as_ref());
    });
}

fn write_command(object: &mut ObjectWriter<'_>, command: &pb::CommandInfo) {
    object.boolean("shell", command.shell());
    if command.has_value() {
        object.string("value", command.value());
    }
    object.strings("argv", &command.arguments);
    object.message_if_set("environment", command.environment.as_ref());
    object.array("uris", &command.uris, |json, uri| mesos::json::write(uri, json));
}
