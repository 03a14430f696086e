//! Tasks.
//!
//! A master holds more tasks than anything else, and most of what a task says is only ever read by people: labels,
//! discovery, container, resources in their own words. That part stays in the form in which it came, as bytes, and is
//! parsed for each reader; what the rules need stands beside it.

use std::sync::Arc;

use mesos::ids::{AgentId, ExecutorId, FrameworkId, TaskId};
use mesos::resources::ResourceError;
use mesos::wire::{self, WireValue};
use mesos_proto::v0::mesos as proto;
use mesos_proto::v0::mesos::{TaskState, TaskStatus};
use protobuf::{CodedInputStream, Message, MessageField};

use crate::Resources;
use crate::reported::{self, ReportedTask, field};

/// Whether a task in this state has ended for good.
///
/// Source: shared facts, `task_states.tsv`.
#[must_use]
pub const fn is_terminal(state: TaskState) -> bool {
    match state {
        TaskState::TASK_FINISHED
        | TaskState::TASK_FAILED
        | TaskState::TASK_KILLED
        | TaskState::TASK_ERROR
        | TaskState::TASK_LOST
        | TaskState::TASK_DROPPED
        | TaskState::TASK_GONE
        | TaskState::TASK_GONE_BY_OPERATOR => true,
        TaskState::TASK_STAGING
        | TaskState::TASK_STARTING
        | TaskState::TASK_RUNNING
        | TaskState::TASK_KILLING
        | TaskState::TASK_UNREACHABLE
        | TaskState::TASK_UNKNOWN => false,
    }
}

/// A task that the master knows.
#[derive(Clone, Debug)]
pub struct Task {
    pub(crate) id: TaskId,
    pub(crate) framework_id: FrameworkId,
    pub(crate) agent_id: AgentId,
    pub(crate) executor_id: Option<ExecutorId>,
    pub(crate) resources: Arc<Resources>,
    state: TaskState,
    told_state: Option<TaskState>,
    told_uuid: Option<Box<[u8]>>,
    statuses: Statuses,
    /// Serialized fields of `Task` that are not above.
    description: Box<[u8]>,
}

/// Statuses of a task, serialized as fields of `Task`, oldest first.
#[derive(Clone, Debug, Default)]
struct Statuses {
    fields: Box<[u8]>,
    /// State of the last one, and where its field begins.
    last: Option<(TaskState, u32)>,
}

impl Statuses {
    fn push(&mut self, status: &TaskStatus) {
        let body = wire::serialize(status);
        let start = self.fields.len();
        let mut fields = Vec::with_capacity(start + body.len() + 4);
        fields.extend_from_slice(&self.fields);
        wire::put_field(&mut fields, field::STATUSES, WireValue::Bytes(&body));
        self.fields = fields.into();
        self.last = Some((status.state(), u32::try_from(start).unwrap_or(u32::MAX)));
    }

    /// Drops the last one. What is the last one then is not worked out: somebody pushes next.
    fn pop(&mut self) {
        if let Some((_, start)) = self.last.take() {
            self.fields = self.fields.get(..start as usize).unwrap_or_default().into();
        }
    }

    fn last(&self) -> Option<TaskStatus> {
        let (_, start) = self.last?;
        let field = wire::WireFields::new(self.fields.get(start as usize..)?).next()?.ok()?;
        match field.value {
            WireValue::Bytes(body) => TaskStatus::parse_from_bytes(body).ok(),
            _ => None,
        }
    }
}

impl Task {
    /// Reads a task message; its resources must be post-refinement and carry their allocation.
    ///
    /// # Errors
    ///
    /// Gives the error of the first resource that breaks a rule.
    pub(crate) fn from_message(mut message: proto::Task) -> Result<Self, ResourceError> {
        let resources = Resources::from_protobuf(&message.resources)?;
        let text = |id: &str| Some(id.to_owned()).filter(|id| !id.is_empty());
        let executor_id = text(message.executor_id.value());
        let mut statuses = Statuses::default();
        for status in std::mem::take(&mut message.statuses) {
            statuses.push(&status);
        }
        let mut task = Self {
            id: TaskId::from(&*message.task_id),
            framework_id: FrameworkId::from(&*message.framework_id),
            agent_id: AgentId::from(&*message.slave_id),
            executor_id: executor_id.map(ExecutorId::new),
            resources: Arc::new(resources),
            state: message.state(),
            told_state: message
                .status_update_state
                .take()
                .map(|state| state.enum_value_or_default()),
            told_uuid: message.status_update_uuid.take().map(Vec::into_boxed_slice),
            statuses,
            description: Box::default(),
        };
        message.task_id = MessageField::none();
        message.framework_id = MessageField::none();
        message.slave_id = MessageField::none();
        if task.executor_id.is_some() {
            message.executor_id = MessageField::none();
        }
        message.state = None;
        task.description = wire::serialize(&message).into();
        Ok(task)
    }

    /// Takes over what an agent reports, in post-refinement form with the allocation filled in; `resources` is what the
    /// report says of them. The ids are those of the report, shared with others that have them.
    pub(crate) fn from_report(
        reported: &ReportedTask<'_>,
        framework_id: FrameworkId,
        agent_id: AgentId,
        resources: Arc<Resources>,
    ) -> Self {
        let executor_id = reported.report.executor.filter(|id| !id.is_empty());
        let mut task = Self {
            id: TaskId::new(reported.report.id),
            framework_id,
            agent_id,
            executor_id: executor_id.map(ExecutorId::from),
            resources,
            state: reported.report.state,
            told_state: None,
            told_uuid: None,
            statuses: Statuses::default(),
            description: Box::default(),
        };
        let mut description = Vec::with_capacity(256);
        for field in reported.fields() {
            match (field.number, field.value) {
                (field::TASK_ID | field::FRAMEWORK_ID | field::AGENT_ID | field::STATE, _) => {}
                (field::EXECUTOR_ID, _) if task.executor_id.is_some() => {}
                (field::STATUSES, WireValue::Bytes(status)) => {
                    if let Ok(status) = TaskStatus::parse_from_bytes(status) {
                        task.statuses.push(&status);
                    }
                }
                (field::TOLD_STATE, value) => task.told_state = reported::state(value),
                (field::TOLD_UUID, WireValue::Bytes(uuid)) => task.told_uuid = Some(uuid.into()),
                _ => description.extend_from_slice(field.raw),
            }
        }
        task.description = description.into();
        task
    }

    /// Its id; unique among its framework's live tasks.
    #[must_use]
    pub const fn id(&self) -> &TaskId {
        &self.id
    }

    /// Its owner.
    #[must_use]
    pub const fn framework_id(&self) -> &FrameworkId {
        &self.framework_id
    }

    /// Where it runs.
    #[must_use]
    pub const fn agent_id(&self) -> &AgentId {
        &self.agent_id
    }

    /// The custom executor that runs it; `None` for command tasks.
    #[must_use]
    pub const fn executor_id(&self) -> Option<&ExecutorId> {
        self.executor_id.as_ref()
    }

    /// The latest state that the agent knows, which may be ahead of what the framework was told.
    #[must_use]
    pub const fn state(&self) -> TaskState {
        self.state
    }

    /// Whether the task has ended, acknowledged or not.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        is_terminal(self.state)
    }

    /// What it was given, post-refinement, with `allocation_info`. Held until the task ends.
    #[must_use]
    pub fn resources(&self) -> &Resources {
        &self.resources
    }

    /// The state in the update that its framework was told last; none before the first one.
    #[must_use]
    pub const fn told_state(&self) -> Option<TaskState> {
        self.told_state
    }

    /// The uuid of the update that its framework was told last.
    #[must_use]
    pub fn told_uuid(&self) -> Option<&[u8]> {
        self.told_uuid.as_deref()
    }

    /// The task as a message, with its recent statuses, the last update's state and uuid. Parsed anew for each call.
    #[must_use]
    pub fn message(&self) -> proto::Task {
        let mut message = proto::Task::new();
        for fields in [&self.description, &self.statuses.fields] {
            if let Err(error) = message.merge_from(&mut CodedInputStream::from_bytes(fields)) {
                tracing::error!(task_id = %self.id, %error, "a part of the task cannot be read");
            }
        }
        message.task_id = Some(self.id.to_proto()).into();
        message.framework_id = Some(self.framework_id.to_proto()).into();
        message.slave_id = Some(self.agent_id.to_proto()).into();
        if let Some(id) = &self.executor_id {
            message.executor_id = Some(id.to_proto()).into();
        }
        message.set_state(self.state);
        message.status_update_state = self.told_state.map(protobuf::EnumOrUnknown::new);
        message.status_update_uuid = self.told_uuid.as_deref().map(<[u8]>::to_vec);
        message
    }

    /// The last status that was remembered.
    pub(crate) fn last_status(&self) -> Option<TaskStatus> {
        self.statuses.last()
    }

    pub(crate) const fn set_state(&mut self, state: TaskState) {
        self.state = state;
    }

    /// Remembers which update its framework was told.
    pub(crate) fn set_told(&mut self, state: TaskState, uuid: &[u8]) {
        self.told_state = Some(state);
        self.told_uuid = Some(uuid.into());
    }

    /// Remembers a status, without the payload. One per run of equal states, so that a chatty task stays small.
    pub(crate) fn remember_status(&mut self, status: &TaskStatus) {
        if self.statuses.last.is_some_and(|(state, _)| state == status.state()) {
            self.statuses.pop();
        }
        self.push_status(status);
    }

    /// Remembers a status, without the payload, beside all others.
    pub(crate) fn push_status(&mut self, status: &TaskStatus) {
        if status.has_data() {
            let mut status = status.clone();
            status.data = None;
            self.statuses.push(&status);
        } else {
            self.statuses.push(status);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: TaskState, text: &str) -> TaskStatus {
        let mut status = TaskStatus::new();
        status.task_id.mut_or_insert_default().set_value("task".to_owned());
        status.set_state(state);
        status.set_message(text.to_owned());
        status
    }

    fn message() -> proto::Task {
        let mut task = proto::Task::new();
        task.set_name("name".to_owned());
        task.task_id.mut_or_insert_default().set_value("task".to_owned());
        task.framework_id
            .mut_or_insert_default()
            .set_value("framework".to_owned());
        task.slave_id.mut_or_insert_default().set_value("agent".to_owned());
        task.executor_id
            .mut_or_insert_default()
            .set_value("executor".to_owned());
        task.set_state(TaskState::TASK_RUNNING);
        task.set_user("user".to_owned());
        task.set_status_update_state(TaskState::TASK_STARTING);
        task.set_status_update_uuid(vec![1, 2, 3]);
        task.statuses = vec![
            status(TaskState::TASK_STARTING, "a"),
            status(TaskState::TASK_RUNNING, "b"),
        ];
        task
    }

    #[test]
    fn a_task_is_told_as_it_came() {
        let task = Task::from_message(message()).expect("valid");
        assert_eq!(task.message(), message());
        assert_eq!(task.told_state(), Some(TaskState::TASK_STARTING));
        assert_eq!(task.told_uuid(), Some(&[1, 2, 3][..]));
    }

    #[test]
    fn of_statuses_with_equal_states_in_a_row_the_last_stays() {
        let mut task = Task::from_message(message()).expect("valid");
        let mut chatty = status(TaskState::TASK_RUNNING, "c");
        chatty.set_data(vec![0; 1000]);
        task.remember_status(&chatty);
        task.remember_status(&status(TaskState::TASK_FINISHED, "d"));
        task.push_status(&status(TaskState::TASK_FINISHED, "e"));
        let texts: Vec<String> = task
            .message()
            .statuses
            .iter()
            .map(|own| own.message().to_owned())
            .collect();
        assert_eq!(texts, ["a", "c", "d", "e"]);
        assert!(task.message().statuses.iter().all(|own| !own.has_data()));
        assert_eq!(
            task.last_status().map(|own| own.message().to_owned()),
            Some("e".to_owned())
        );
    }
}
