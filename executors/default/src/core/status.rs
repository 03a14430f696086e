//! Updates of tasks, those of their checks included.

use libprocess_types::Time;
use mesos::ids::{ContainerId, TaskId};
use mesos_checks::{Report, unknown_status};
use mesos_proto::v1::mesos::task_status::{Reason, Source};
use mesos_proto::v1::mesos::{TaskState, TaskStatus};
use protobuf::MessageField;

use super::killing::grace_of;
use super::task::{Cause, Life};
use super::{Effect, ExecutorCore, KILL_GRACE_DEFAULT};

impl ExecutorCore {
    /// Tells a state that is not the last one.
    pub(super) fn update(&mut self, now: Time, id: &TaskId, state: TaskState, effects: &mut Vec<Effect>) {
        let Some(status) = self.status(now, id, state) else {
            return;
        };
        if let Some(task) = self.tasks.get_mut(id) {
            task.last_status = status.clone();
        }
        self.send(status, effects);
    }

    pub(super) fn send(&mut self, status: TaskStatus, effects: &mut Vec<Effect>) {
        self.unacknowledged.insert(status.uuid().to_vec());
        effects.push(Effect::SendUpdate(Box::new(status)));
    }

    /// A status of a task that has not ended.
    pub(super) fn status(&mut self, now: Time, id: &TaskId, state: TaskState) -> Option<TaskStatus> {
        let task = self.tasks.get(id)?;
        let mut status = TaskStatus::new();
        status.task_id = MessageField::some(id.to_v1());
        status.set_state(state);
        status.set_source(Source::SOURCE_EXECUTOR);
        status.executor_id = MessageField::some(self.settings.executor_id.to_v1());
        status.set_uuid((self.settings.make_uuid)().to_vec());
        status.set_timestamp(now.as_secs_f64());
        status.container_status.mut_or_insert_default().container_id = MessageField::some(task.container.to_v1());
        // A task with a check has a check status from the first update on.
        status.check_status = task.info.check.as_ref().map(unknown_status).into();
        Some(status)
    }

    pub(super) fn checked(&mut self, now: Time, container: &ContainerId, report: Report, effects: &mut Vec<Effect>) {
        let Some(id) = self.name_in(container, |life| *life == Life::Running) else {
            return;
        };
        let uuid = (self.settings.make_uuid)().to_vec();
        let Some(task) = self.tasks.get_mut(&id) else { return };
        // What the task has told before stays told.
        let status = &mut task.last_status;
        status.set_uuid(uuid);
        status.set_timestamp(now.as_secs_f64());
        let kill = match report {
            Report::Check(check) => {
                status.set_reason(Reason::REASON_TASK_CHECK_STATUS_UPDATED);
                status.check_status = MessageField::some(*check);
                false
            }
            Report::Health(health) => {
                status.set_reason(Reason::REASON_TASK_HEALTH_CHECK_STATUS_UPDATED);
                status.set_healthy(health.healthy);
                health.kill
            }
        };
        let (status, grace) = (status.clone(), grace_of(&task.info.kill_policy));
        self.send(status, effects);
        if kill {
            self.kill(now, &id, Cause::Unhealthy, grace.unwrap_or(KILL_GRACE_DEFAULT), effects);
        }
    }
}
