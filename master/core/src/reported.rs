//! What an agent reports of its tasks when it registers again, left as bytes.
//!
//! After a failover all agents come at once with everything that runs. Parsing each label of each task would be most of
//! the work then, and nobody reads them before somebody asks for the task. So a report is checked as it stands, and a
//! task takes over the bytes that describe it; what tasks share, ids and resources, is shared.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesos::resources::ResourceError;
use mesos::resources::format::HasResources;
use mesos::validation::agent::TaskReport;
use mesos::wire::{CheckError, Checker, WireField, WireFields, WireValue, serialize};
use mesos_proto::internal::wire::messages::ReregisterSlaveMessage;
use mesos_proto::v0::mesos::{Resource, Task as TaskMessage, TaskState};
use protobuf::{Enum, Message};
use thiserror::Error;

use crate::Resources;

/// Number of the field `tasks` in `ReregisterSlaveMessage`.
const TASKS: u32 = 3;
/// Descriptions of resources that are remembered; when there are more, remembering starts anew. Frameworks ask for few
/// different ones, so this is rarely reached.
const DESCRIPTIONS_MAX: usize = 4096;

/// Numbers of fields in `Task`.
pub(crate) mod field {
    pub(crate) const TASK_ID: u32 = 2;
    pub(crate) const FRAMEWORK_ID: u32 = 3;
    pub(crate) const EXECUTOR_ID: u32 = 4;
    pub(crate) const AGENT_ID: u32 = 5;
    pub(crate) const STATE: u32 = 6;
    pub(crate) const RESOURCES: u32 = 7;
    pub(crate) const STATUSES: u32 = 8;
    pub(crate) const TOLD_STATE: u32 = 9;
    pub(crate) const TOLD_UUID: u32 = 10;
}

/// Why the body of a registration is refused.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// The message cannot be parsed.
    #[error(transparent)]
    Message(#[from] protobuf::Error),
    /// One of its tasks could not be parsed.
    #[error(transparent)]
    Task(#[from] CheckError),
}

/// The registration of an agent that has an id, with its tasks as bytes that are known to parse.
#[derive(Clone, Debug)]
pub struct Reregistration {
    /// Everything but the tasks.
    pub(crate) message: ReregisterSlaveMessage,
    /// The tasks, one after the other, and where each of them ends.
    tasks: Vec<u8>,
    ends: Vec<usize>,
}

impl Reregistration {
    /// Reads the body of a `ReregisterSlaveMessage`.
    ///
    /// # Errors
    ///
    /// Fails for the bodies that the message's parser refuses.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let checker = Checker::of::<TaskMessage>();
        let mut rest = Vec::with_capacity(512);
        let mut tasks = Vec::with_capacity(body.len());
        let mut ends = Vec::new();
        for field in WireFields::new(body) {
            let field = field.map_err(CheckError::from)?;
            match field {
                WireField {
                    number: TASKS,
                    value: WireValue::Bytes(task),
                    ..
                } => {
                    checker.check(task)?;
                    tasks.extend_from_slice(task);
                    ends.push(tasks.len());
                }
                other => rest.extend_from_slice(other.raw),
            }
        }
        Ok(Self {
            message: ReregisterSlaveMessage::parse_from_bytes(&rest)?,
            tasks,
            ends,
        })
    }

    /// Takes a message that was parsed whole.
    pub(crate) fn from_message(mut message: ReregisterSlaveMessage) -> Self {
        let (mut tasks, mut ends) = (Vec::new(), Vec::new());
        for task in std::mem::take(&mut message.tasks) {
            tasks.extend(serialize(&task));
            ends.push(tasks.len());
        }
        Self { message, tasks, ends }
    }

    /// The whole message, its tasks parsed, with resources in post-refinement form.
    pub(crate) fn into_message(self) -> ReregisterSlaveMessage {
        let tasks = self.tasks().filter_map(|task| task.parse()).collect();
        let mut message = self.message;
        message.tasks = tasks;
        message.upgrade_resources();
        message
    }

    /// The tasks.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = ReportedTask<'_>> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let bytes = self.tasks.get(start..*end).unwrap_or_default();
            start = *end;
            ReportedTask::new(bytes)
        })
    }
}

/// A task in a report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReportedTask<'a> {
    pub(crate) report: TaskReport<'a>,
    bytes: &'a [u8],
}

impl<'a> ReportedTask<'a> {
    /// Looks through bytes that were checked. Of a field that stands there twice the last one counts, as for parsers.
    fn new(bytes: &'a [u8]) -> Self {
        let mut report = TaskReport {
            id: "",
            framework: "",
            agent: "",
            executor: None,
            state: TaskState::TASK_STAGING,
        };
        for field in WireFields::new(bytes).flatten() {
            match (field.number, field.value) {
                (field::TASK_ID, WireValue::Bytes(id)) => report.id = id_text(id),
                (field::FRAMEWORK_ID, WireValue::Bytes(id)) => report.framework = id_text(id),
                (field::EXECUTOR_ID, WireValue::Bytes(id)) => report.executor = Some(id_text(id)),
                (field::AGENT_ID, WireValue::Bytes(id)) => report.agent = id_text(id),
                (field::STATE, value) => report.state = state(value).unwrap_or_default(),
                _ => {}
            }
        }
        Self { report, bytes }
    }

    /// Its fields as they stand.
    pub(crate) fn fields(&self) -> impl Iterator<Item = WireField<'a>> {
        WireFields::new(self.bytes).flatten()
    }

    /// The task as a message.
    pub(crate) fn parse(&self) -> Option<TaskMessage> {
        match TaskMessage::parse_from_bytes(self.bytes) {
            Ok(task) => Some(task),
            Err(error) => {
                tracing::error!(task_id = self.report.id, %error, "a task that was checked cannot be read");
                None
            }
        }
    }
}

/// The text in a message that has nothing but a text.
fn id_text(bytes: &[u8]) -> &str {
    let text = WireFields::new(bytes)
        .flatten()
        .filter(|field| field.number == 1)
        .last();
    match text.map(|field| field.value) {
        Some(WireValue::Bytes(text)) => std::str::from_utf8(text).unwrap_or_default(),
        _ => "",
    }
}

/// The state that a number names; as for parsers, an unknown one is the first.
pub(crate) fn state(value: WireValue<'_>) -> Option<TaskState> {
    let WireValue::Varint(number) = value else { return None };
    let number = i32::try_from(number).ok()?;
    TaskState::from_i32(number)
}

/// Resources of tasks, as they were described and as they are counted.
///
/// Most tasks are described by the same few bytes: they share one value.
#[derive(Debug, Default)]
pub(crate) struct KnownResources {
    known: BTreeMap<Box<[u8]>, Known>,
    /// Kept for its memory.
    key: Vec<u8>,
}

/// What a description says.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    /// It is in post-refinement form and says which role holds the resources.
    Complete(Arc<Resources>),
    /// It is valid, but in an older form, or the role is to be filled in.
    Old,
}

impl KnownResources {
    /// Reads the resources of a task.
    pub(crate) fn read(&mut self, task: &ReportedTask<'_>) -> Result<Known, ResourceError> {
        self.key.clear();
        for field in task.fields().filter(|field| field.number == field::RESOURCES) {
            self.key.extend_from_slice(field.raw);
        }
        if let Some(known) = self.known.get(&*self.key) {
            return Ok(known.clone());
        }
        let messages: Vec<Resource> = WireFields::new(&self.key)
            .flatten()
            .filter_map(|field| match field.value {
                WireValue::Bytes(bytes) => Resource::parse_from_bytes(bytes).ok(),
                _ => None,
            })
            .collect();
        let resources = Resources::from_protobuf(&messages)?;
        let complete = messages.iter().all(|resource| {
            !resource.has_role() && resource.reservation.is_none() && resource.allocation_info.has_role()
        });
        let known = if complete {
            Known::Complete(Arc::new(resources))
        } else {
            Known::Old
        };
        if self.known.len() >= DESCRIPTIONS_MAX {
            self.known.clear();
        }
        self.known.insert(self.key.as_slice().into(), known.clone());
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use mesos::Message as WireMessage;
    use mesos_proto::v0::mesos::value;

    use super::*;
    use crate::model::Task;

    fn cpus(amount: f64, role: Option<&str>) -> Resource {
        let mut resource = Resource::new();
        resource.set_name("cpus".to_owned());
        resource.set_type(value::Type::SCALAR);
        resource.scalar.mut_or_insert_default().set_value(amount);
        if let Some(role) = role {
            resource
                .allocation_info
                .mut_or_insert_default()
                .set_role(role.to_owned());
        }
        resource
    }

    fn task(id: &str, resource: Resource) -> TaskMessage {
        let mut task = TaskMessage::new();
        task.set_name("name".to_owned());
        task.task_id.mut_or_insert_default().set_value(id.to_owned());
        task.framework_id
            .mut_or_insert_default()
            .set_value("framework".to_owned());
        task.slave_id.mut_or_insert_default().set_value("agent".to_owned());
        task.executor_id
            .mut_or_insert_default()
            .set_value("executor".to_owned());
        task.set_state(TaskState::TASK_RUNNING);
        task.set_status_update_state(TaskState::TASK_STARTING);
        task.set_status_update_uuid(vec![7; 16]);
        task.resources = vec![resource];
        let mut label = mesos_proto::v0::mesos::Label::new();
        label.set_key("key".to_owned());
        task.labels.mut_or_insert_default().labels = vec![label];
        for state in [TaskState::TASK_STARTING, TaskState::TASK_RUNNING] {
            let mut status = mesos_proto::v0::mesos::TaskStatus::new();
            status.task_id = task.task_id.clone();
            status.set_state(state);
            task.statuses.push(status);
        }
        task
    }

    fn message(tasks: Vec<TaskMessage>) -> ReregisterSlaveMessage {
        let mut message = ReregisterSlaveMessage::new();
        let info = message.slave.mut_or_insert_default();
        info.set_hostname("host".to_owned());
        info.id.mut_or_insert_default().set_value("agent".to_owned());
        message.tasks = tasks;
        message
    }

    #[test]
    fn a_report_holds_what_the_message_says() {
        let whole = message(vec![
            task("a", cpus(1.0, Some("role"))),
            task("b", cpus(2.0, Some("role"))),
        ]);
        let bytes = WireMessage::from(whole.clone()).encode();
        for report in [
            Reregistration::decode(&bytes).expect("valid"),
            Reregistration::from_message(whole.clone()),
        ] {
            let reports: Vec<TaskReport<'_>> = report.tasks().map(|task| task.report).collect();
            let expected: Vec<TaskReport<'_>> = whole.tasks.iter().map(TaskReport::from).collect();
            assert_eq!(reports, expected);
            assert_eq!(report.into_message(), whole);
        }
    }

    #[test]
    fn a_task_from_a_report_is_the_task_from_the_message() {
        let whole = message(vec![
            task("a", cpus(1.0, Some("role"))),
            task("b", cpus(1.0, Some("role"))),
        ]);
        let report = Reregistration::from_message(whole.clone());
        let mut known = KnownResources::default();
        let mut resources = Vec::new();
        for (reported, expected) in report.tasks().zip(whole.tasks) {
            let Ok(Known::Complete(own)) = known.read(&reported) else {
                panic!("{reported:?}");
            };
            resources.push(Arc::clone(&own));
            let task = Task::from_report(&reported, "framework".into(), "agent".into(), own);
            assert_eq!(task.message(), expected);
            let other = Task::from_message(expected).expect("valid");
            assert_eq!(
                (task.told_uuid(), task.told_state()),
                (other.told_uuid(), other.told_state())
            );
            assert_eq!((&task.executor_id, task.state()), (&other.executor_id, other.state()));
            assert_eq!(task.last_status(), other.last_status());
            assert_eq!(*task.resources, *other.resources);
        }
        assert!(
            Arc::ptr_eq(&resources[0], &resources[1]),
            "alike tasks share their resources"
        );
    }

    #[test]
    fn older_forms_and_bad_resources_are_told_apart() {
        let mut reserved = cpus(1.0, Some("role"));
        reserved.set_role("role".to_owned());
        let tasks = vec![
            task("a", cpus(1.0, None)),
            task("b", reserved),
            task("c", cpus(-1.0, Some("role"))),
        ];
        let report = Reregistration::from_message(message(tasks));
        let mut known = KnownResources::default();
        let read: Vec<_> = report.tasks().map(|task| known.read(&task)).collect();
        assert!(
            matches!(&read[..], [Ok(Known::Old), Ok(Known::Old), Err(_)]),
            "{read:?}"
        );
    }

    #[test]
    fn tasks_that_do_not_parse_refuse_the_whole_message() {
        let mut broken = task("a", cpus(1.0, None));
        broken.labels.mut_or_insert_default().labels[0].key = None;
        let bytes = WireMessage::from(message(vec![broken])).encode();
        assert!(matches!(Reregistration::decode(&bytes), Err(DecodeError::Task(_))));
        assert!(matches!(Reregistration::decode(b""), Err(DecodeError::Message(_))));
    }
}
