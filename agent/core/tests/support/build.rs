//! Messages with good defaults.

use mesos_agent_core::AgentConfig;
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::executor;
use mesos_proto::v0::mesos as pb;
use pb::framework_info::capability::Type as FrameworkCapability;
use protobuf::MessageField;

use super::{AGENT, FRAMEWORK, upid};

pub fn scalar(name: &str, value: f64, role: Option<&str>) -> pb::Resource {
    let mut resource = pb::Resource::new();
    resource.set_name(name.to_owned());
    resource.set_type(pb::value::Type::SCALAR);
    resource.scalar.mut_or_insert_default().set_value(value);
    if let Some(role) = role {
        resource
            .allocation_info
            .mut_or_insert_default()
            .set_role(role.to_owned());
    }
    resource
}

pub fn config() -> AgentConfig {
    let mut info = pb::SlaveInfo::new();
    info.set_hostname("host".to_owned());
    info.set_port(5051);
    info.resources = vec![scalar("cpus", 4.0, None), scalar("mem", 4096.0, None)];
    AgentConfig::new(upid("slave(1)@127.0.0.1:5051"), info, "/w".into())
}

pub fn agent_id() -> MessageField<pb::SlaveID> {
    let mut id = pb::SlaveID::new();
    id.set_value(AGENT.to_owned());
    MessageField::some(id)
}

pub fn framework_id() -> MessageField<pb::FrameworkID> {
    let mut id = pb::FrameworkID::new();
    id.set_value(FRAMEWORK.to_owned());
    MessageField::some(id)
}

pub fn executor_id(text: &str) -> MessageField<pb::ExecutorID> {
    let mut id = pb::ExecutorID::new();
    id.set_value(text.to_owned());
    MessageField::some(id)
}

pub fn task_id(text: &str) -> MessageField<pb::TaskID> {
    let mut id = pb::TaskID::new();
    id.set_value(text.to_owned());
    MessageField::some(id)
}

pub fn registered(agent: &str) -> internal::SlaveRegisteredMessage {
    let mut message = internal::SlaveRegisteredMessage::new();
    message.slave_id.mut_or_insert_default().set_value(agent.to_owned());
    message
        .connection
        .mut_or_insert_default()
        .set_total_ping_timeout_seconds(75.0);
    message
}

pub fn reregistered() -> internal::SlaveReregisteredMessage {
    let mut message = internal::SlaveReregisteredMessage::new();
    message.slave_id = agent_id();
    message
        .connection
        .mut_or_insert_default()
        .set_total_ping_timeout_seconds(75.0);
    message
}

pub fn framework() -> pb::FrameworkInfo {
    let mut framework = pb::FrameworkInfo::new();
    framework.id = framework_id();
    framework.set_user("user".to_owned());
    framework.set_name("framework".to_owned());
    framework.set_checkpoint(true);
    framework.roles = vec!["*".to_owned()];
    for kind in [FrameworkCapability::MULTI_ROLE, FrameworkCapability::PARTITION_AWARE] {
        let mut capability = pb::framework_info::Capability::new();
        capability.set_type(kind);
        framework.capabilities.push(capability);
    }
    framework
}

pub fn executor(id: &str) -> pb::ExecutorInfo {
    let mut executor = pb::ExecutorInfo::new();
    executor.executor_id = executor_id(id);
    executor.framework_id = framework_id();
    executor
        .command
        .mut_or_insert_default()
        .set_value("run-executor".to_owned());
    executor.resources = vec![scalar("cpus", 0.1, Some("*"))];
    executor
}

pub fn task(id: &str, executor_id: Option<&str>) -> pb::TaskInfo {
    let mut task = pb::TaskInfo::new();
    task.set_name(format!("task {id}"));
    task.task_id = task_id(id);
    task.slave_id = agent_id();
    task.resources = vec![scalar("cpus", 0.5, Some("*")), scalar("mem", 64.0, Some("*"))];
    match executor_id {
        Some(id) => task.executor = MessageField::some(executor(id)),
        None => task.command.mut_or_insert_default().set_value("sleep 1".to_owned()),
    }
    task
}

/// A task for executor `executor_id`, or a command task.
pub fn run_task(id: &str, executor_id: Option<&str>, launch_executor: bool) -> internal::RunTaskMessage {
    let mut message = internal::RunTaskMessage::new();
    message.framework = MessageField::some(framework());
    message.set_pid("scheduler-1@127.0.0.1:3000".to_owned());
    message.task = MessageField::some(task(id, executor_id));
    message.set_launch_executor(launch_executor);
    message
}

pub fn run_task_group(ids: &[&str], executor_id: &str) -> internal::RunTaskGroupMessage {
    let mut message = internal::RunTaskGroupMessage::new();
    message.framework = MessageField::some(framework());
    message.executor = MessageField::some(executor(executor_id));
    let group = message.task_group.mut_or_insert_default();
    group.tasks = ids.iter().map(|id| task(id, Some(executor_id))).collect();
    message.set_launch_executor(true);
    message
}

pub fn kill_task(id: &str) -> internal::KillTaskMessage {
    let mut message = internal::KillTaskMessage::new();
    message.framework_id = framework_id();
    message.task_id = task_id(id);
    message
}

pub fn shutdown_framework() -> internal::ShutdownFrameworkMessage {
    let mut message = internal::ShutdownFrameworkMessage::new();
    message.framework_id = framework_id();
    message
}

pub fn ping(connected: bool) -> internal::PingSlaveMessage {
    let mut message = internal::PingSlaveMessage::new();
    message.set_connected(connected);
    message
}

pub fn register_executor(id: &str) -> internal::RegisterExecutorMessage {
    let mut message = internal::RegisterExecutorMessage::new();
    message.framework_id = framework_id();
    message.executor_id = executor_id(id);
    message
}

pub fn reregister_executor(id: &str) -> internal::ReregisterExecutorMessage {
    let mut message = internal::ReregisterExecutorMessage::new();
    message.framework_id = framework_id();
    message.executor_id = executor_id(id);
    message
}

pub fn status(task: &str, state: pb::TaskState, uuid: u8) -> pb::TaskStatus {
    let mut status = pb::TaskStatus::new();
    status.task_id = task_id(task);
    status.set_state(state);
    status.slave_id = agent_id();
    status.set_source(pb::task_status::Source::SOURCE_EXECUTOR);
    status.set_uuid(vec![uuid; 16]);
    status
}

/// An update as a v0 executor sends it; its UUID is `uuid`, sixteen times.
pub fn update(task: &str, executor: &str, state: pb::TaskState, uuid: u8) -> internal::StatusUpdateMessage {
    let mut message = internal::StatusUpdateMessage::new();
    let update = message.update.mut_or_insert_default();
    update.framework_id = framework_id();
    update.executor_id = executor_id(executor);
    update.slave_id = agent_id();
    update.status = MessageField::some(status(task, state, uuid));
    update.set_timestamp(1.5);
    update.set_uuid(vec![uuid; 16]);
    message
}

pub fn acknowledge(task: &str, uuid: u8) -> internal::StatusUpdateAcknowledgementMessage {
    acknowledge_uuid(task, vec![uuid; 16])
}

pub fn acknowledge_uuid(task: &str, uuid: Vec<u8>) -> internal::StatusUpdateAcknowledgementMessage {
    let mut message = internal::StatusUpdateAcknowledgementMessage::new();
    message.slave_id = agent_id();
    message.framework_id = framework_id();
    message.task_id = task_id(task);
    message.set_uuid(uuid);
    message
}

pub fn call(executor: &str, kind: executor::call::Type) -> executor::Call {
    let mut call = executor::Call::new();
    call.framework_id = framework_id();
    call.executor_id = executor_id(executor);
    call.set_type(kind);
    call
}

pub fn subscribe(executor: &str) -> executor::Call {
    let mut call = call(executor, executor::call::Type::SUBSCRIBE);
    call.subscribe.mut_or_insert_default();
    call
}

pub fn update_call(executor: &str, status: pb::TaskStatus) -> executor::Call {
    let mut call = call(executor, executor::call::Type::UPDATE);
    call.update.mut_or_insert_default().status = MessageField::some(status);
    call
}

/// Settings of an agent with disks: 1000 MB on the root disk, a PATH disk and two MOUNT disks.
pub fn config_with_disks() -> AgentConfig {
    let mut config = config();
    let disk = |source: &str, size: u32| {
        resource(&format!(
            r#"{{"name":"disk","type":"SCALAR","scalar":{{"value":{size}}},"disk":{{"source":{source}}}}}"#
        ))
    };
    config.info.resources.push(scalar("disk", 1000.0, None));
    config
        .info
        .resources
        .push(disk(r#"{"type":"PATH","path":{"root":"/data"}}"#, 500));
    for root in ["/mnt/one", "/mnt/two"] {
        let source = format!(r#"{{"type":"MOUNT","mount":{{"root":"{root}"}}}}"#);
        config.info.resources.push(disk(&source, 200));
    }
    config
}

/// A resource as JSON.
pub fn resource(json: &str) -> pb::Resource {
    mesos::json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

/// A dynamic reservation of a quantity for the role `ops`.
pub fn reserved(name: &str, value: u32) -> String {
    format!(
        r#"{{"name":"{name}","type":"SCALAR","scalar":{{"value":{value}}},
        "reservations":[{{"type":"DYNAMIC","role":"ops","principal":"p"}}]}}"#
    )
}

/// A persistent volume of the role `ops` on the root disk, or on the disk with `source`.
pub fn volume(id: &str, size: u32, source: &str) -> String {
    format!(
        r#"{{"name":"disk","type":"SCALAR","scalar":{{"value":{size}}},
        "reservations":[{{"type":"DYNAMIC","role":"ops","principal":"p"}}],
        "disk":{{{source}"persistence":{{"id":"{id}","principal":"p"}},
        "volume":{{"container_path":"data","mode":"RW"}}}}}}"#
    )
}

/// An operation as the master sends it; its UUID is `uuid`, sixteen times.
pub fn apply_operation(bench: &super::Bench, uuid: u8, operation: &str) -> internal::ApplyOperationMessage {
    let mut message = internal::ApplyOperationMessage::new();
    message.framework_id = framework_id();
    let operation = mesos::json::from_str(operation).unwrap_or_else(|error| panic!("{error}: {operation}"));
    message.operation_info = MessageField::some(operation);
    message.operation_uuid.mut_or_insert_default().set_value(vec![uuid; 16]);
    let version = message.resource_version_uuid.mut_or_insert_default();
    version
        .uuid
        .mut_or_insert_default()
        .set_value(bench.agent.resource_version().to_vec());
    message
}

/// The acknowledgement of a status.
pub fn acknowledge_operation(
    update: &internal::UpdateOperationStatusMessage,
) -> internal::AcknowledgeOperationStatusMessage {
    let mut message = internal::AcknowledgeOperationStatusMessage::new();
    message.operation_uuid.clone_from(&update.operation_uuid);
    message.status_uuid.clone_from(&update.status.uuid);
    message
}
