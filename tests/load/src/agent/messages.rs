//! Messages of emulated agents.
//!
//! A wave of registrations is as large as the cluster's tasks. So that the generator stays cheaper than what it
//! measures, what many tasks share is serialized once ([`TaskShape`]) and put together as bytes.

use bytes::Bytes;
use mesos_proto::internal::wire::messages::{RegisterSlaveMessage, ReregisterSlaveMessage, StatusUpdateMessage};
use mesos_proto::v0::mesos::slave_info::Capability;
use mesos_proto::v0::mesos::slave_info::capability::Type;
use mesos_proto::v0::mesos::{self as proto, Labels, Resource, SlaveInfo, TaskState};
use protobuf::{CodedOutputStream, Enum, Message, MessageField};

use super::task::Update;

/// Version that emulated agents tell.
const VERSION: &str = "1.11.0";

/// What a task shows besides its ids and its state, serialized as fields of `Task`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskShape {
    fields: Bytes,
}

impl TaskShape {
    /// Serializes name, resources (with their allocation) and labels.
    #[must_use]
    pub fn new(name: &str, resources: &[Resource], labels: Option<&Labels>) -> Self {
        let mut fields = Vec::new();
        write(&mut fields, |output| {
            output.write_string(1, name)?;
            for resource in resources {
                output.write_bytes(7, &resource.write_to_bytes()?)?;
            }
            labels.map_or(Ok(()), |labels| output.write_bytes(11, &labels.write_to_bytes()?))
        });
        Self { fields: fields.into() }
    }
}

/// Writes fields to memory. What cannot be written is our own mistake; the master then drops the message, and the
/// missing answer shows.
fn write(bytes: &mut Vec<u8>, fields: impl FnOnce(&mut CodedOutputStream<'_>) -> protobuf::Result<()>) {
    let mut output = CodedOutputStream::vec(bytes);
    if let Err(error) = fields(&mut output).and_then(|()| output.flush()) {
        tracing::error!(%error, "an emulated message cannot be written");
    }
}

/// A message that holds a text in its first field, as ids do.
fn write_id(output: &mut CodedOutputStream<'_>, field: u32, text: &str) -> protobuf::Result<()> {
    let length = protobuf::rt::string_size(1, text);
    output.write_raw_varint32(field << 3 | 2)?;
    output.write_raw_varint64(length)?;
    output.write_string(1, text)
}

/// One task in a registration.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReportedTask<'a> {
    pub(super) framework_id: &'a str,
    pub(super) task_id: &'a str,
    pub(super) state: TaskState,
    pub(super) shape: &'a TaskShape,
}

impl ReportedTask<'_> {
    fn write(&self, agent_id: &str, bytes: &mut Vec<u8>) {
        write(bytes, |output| {
            write_id(output, 2, self.task_id)?;
            write_id(output, 3, self.framework_id)?;
            write_id(output, 5, agent_id)?;
            output.write_enum(6, self.state.value())?;
            output.write_raw_bytes(&self.shape.fields)
        });
    }
}

fn capabilities() -> Vec<Capability> {
    [Type::MULTI_ROLE, Type::HIERARCHICAL_ROLE, Type::RESERVATION_REFINEMENT]
        .into_iter()
        .map(|kind| {
            let mut capability = Capability::new();
            capability.set_type(kind);
            capability
        })
        .collect()
}

/// What an agent is registered with.
pub(super) fn agent_info(hostname: &str, port: u16, resources: &[Resource], id: Option<&str>) -> SlaveInfo {
    let mut info = SlaveInfo::new();
    info.set_hostname(hostname.to_owned());
    info.set_port(i32::from(port));
    info.set_checkpoint(true);
    info.resources = resources.to_vec();
    if let Some(id) = id {
        info.id.mut_or_insert_default().set_value(id.to_owned());
    }
    info
}

/// The first registration.
pub(super) fn registration(info: SlaveInfo) -> RegisterSlaveMessage {
    let mut message = RegisterSlaveMessage::new();
    message.slave = MessageField::some(info);
    message.set_version(VERSION.to_owned());
    message.agent_capabilities = capabilities();
    message
}

/// The body of a further registration.
pub(super) fn reregistration<'a>(
    info: SlaveInfo,
    frameworks: Vec<proto::FrameworkInfo>,
    tasks: impl Iterator<Item = ReportedTask<'a>>,
) -> Bytes {
    let agent_id = info.id.value().to_owned();
    let mut message = ReregisterSlaveMessage::new();
    message.slave = MessageField::some(info);
    message.set_version(VERSION.to_owned());
    message.agent_capabilities = capabilities();
    message.frameworks = frameworks;
    let mut body = Vec::new();
    let mut one = Vec::new();
    write(&mut body, |output| {
        message.write_to(output)?;
        for task in tasks {
            one.clear();
            task.write(&agent_id, &mut one);
            output.write_bytes(3, &one)?;
        }
        Ok(())
    });
    body.into()
}

/// An update on its way to the master.
pub(super) fn status_update(
    agent_id: &str,
    agent_pid: &str,
    framework_id: &str,
    task_id: &str,
    update: &Update,
    latest: TaskState,
) -> StatusUpdateMessage {
    let mut message = StatusUpdateMessage::new();
    message.set_pid(agent_pid.to_owned());
    let body = message.update.mut_or_insert_default();
    body.framework_id
        .mut_or_insert_default()
        .set_value(framework_id.to_owned());
    body.slave_id.mut_or_insert_default().set_value(agent_id.to_owned());
    let reached = update.reached.as_secs_f64();
    body.set_timestamp(reached);
    body.set_uuid(update.uuid.to_vec());
    body.set_latest_state(latest);
    let status = body.status.mut_or_insert_default();
    status.task_id.mut_or_insert_default().set_value(task_id.to_owned());
    status.slave_id.mut_or_insert_default().set_value(agent_id.to_owned());
    status.set_state(update.state);
    status.set_source(proto::task_status::Source::SOURCE_EXECUTOR);
    status.set_timestamp(reached);
    status.set_uuid(update.uuid.to_vec());
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(key: &str, value: &str) -> proto::Label {
        let mut label = proto::Label::new();
        label.set_key(key.to_owned());
        label.set_value(value.to_owned());
        label
    }

    #[test]
    fn a_reregistration_parses_as_the_message_that_it_stands_for() {
        let mut labels = Labels::new();
        labels.labels = vec![label("k", "v"), label("l", "w")];
        let mut cpus = Resource::new();
        cpus.set_name("cpus".to_owned());
        cpus.set_type(proto::value::Type::SCALAR);
        cpus.scalar.mut_or_insert_default().set_value(0.5);
        let shape = TaskShape::new("name", std::slice::from_ref(&cpus), Some(&labels));
        let tasks = ["a", "b"].map(|task_id| ReportedTask {
            framework_id: "framework",
            task_id,
            state: TaskState::TASK_RUNNING,
            shape: &shape,
        });
        let info = agent_info("host", 5051, &[cpus.clone()], Some("agent"));
        let body = reregistration(info.clone(), Vec::new(), tasks.into_iter());
        let message = ReregisterSlaveMessage::parse_from_bytes(&body).expect("a valid message");
        assert_eq!(*message.slave, info);
        assert_eq!(message.tasks.len(), 2);
        let task = &message.tasks[1];
        assert_eq!(
            (task.task_id.value(), task.framework_id.value(), task.slave_id.value()),
            ("b", "framework", "agent")
        );
        assert_eq!((task.name(), task.state()), ("name", TaskState::TASK_RUNNING));
        assert_eq!((&task.resources[..], &*task.labels), (&[cpus][..], &labels));
    }
}
