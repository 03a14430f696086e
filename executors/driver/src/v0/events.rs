//! The v0 driver seen as a v1 client: its callbacks as events, so that one executor can speak either.

use libprocess::Node;
use mesos::convert;
use mesos_proto::v0::mesos::{ExecutorInfo, FrameworkInfo, KillPolicy, SlaveInfo, TaskID, TaskInfo};
use mesos_proto::v1::executor::{Event, event};
use mesos_proto::v1::mesos::TaskStatus;
use protobuf::MessageField;
use tokio::sync::mpsc;

use super::{Executor, ExecutorDriver};
use crate::environment::{EnvironmentError, ExecutorEnvironment};
use crate::v1::ClientEvent;

/// A v0 driver whose executor gets the events of the v1 API.
///
/// What libprocess messages cannot carry is missing: groups, heartbeats, the container's id.
#[derive(Clone)]
pub struct EventDriver(ExecutorDriver);

impl EventDriver {
    /// Starts a driver on `node`. Its events come through the returned queue, which drops none.
    ///
    /// # Errors
    ///
    /// Fails when the environment does not name the agent's id.
    pub fn start(
        node: &Node,
        environment: &ExecutorEnvironment,
    ) -> Result<(Self, mpsc::UnboundedReceiver<ClientEvent>), EnvironmentError> {
        let (events, received) = Events::queue();
        let driver = ExecutorDriver::start(node, environment, events)?;
        Ok((Self(driver), received))
    }

    /// Reports a task's state under its own uuid (16 bytes); it is sent until acknowledged.
    pub fn update(&self, status: &TaskStatus) {
        let uuid = status.uuid().to_vec();
        self.0.send_status_update_as(convert::devolve(status), uuid);
    }

    /// Sends bytes to the scheduler, at most once.
    pub fn message(&self, data: Vec<u8>) {
        self.0.send_framework_message(data);
    }
}

/// Passes callbacks on.
struct Events(mpsc::UnboundedSender<ClientEvent>);

impl Events {
    /// The queue has no bound: a dropped `KILL`, `SHUTDOWN` or `ACKNOWLEDGED` would leave a task or the executor behind
    /// for good, and the driver's thread must not wait, since it answers the agent. What waits is bounded by what the
    /// agent sends: a few messages for each task that it runs here.
    fn queue() -> (Self, mpsc::UnboundedReceiver<ClientEvent>) {
        let (events, received) = mpsc::unbounded_channel();
        (Self(events), received)
    }

    fn tell(&self, event: ClientEvent) {
        // The executor has ended when nobody takes it.
        let _ = self.0.send(event);
    }

    fn event(&self, kind: event::Type, fill: impl FnOnce(&mut Event)) {
        let mut event = Event::new();
        event.set_type(kind);
        fill(&mut event);
        self.tell(ClientEvent::Event(Box::new(event)));
    }

    fn kill(&self, task_id: &TaskID, policy: Option<&KillPolicy>) {
        self.event(event::Type::KILL, |event| {
            let kill = event.kill.mut_or_insert_default();
            kill.task_id = MessageField::some(convert::evolve(task_id));
            kill.kill_policy = policy.map(convert::evolve).into();
        });
    }
}

impl Executor for Events {
    fn registered(&mut self, _: &ExecutorDriver, executor: ExecutorInfo, framework: FrameworkInfo, agent: SlaveInfo) {
        self.tell(ClientEvent::Connected);
        self.event(event::Type::SUBSCRIBED, |event| {
            let subscribed = event.subscribed.mut_or_insert_default();
            subscribed.executor_info = MessageField::some(convert::evolve(&executor));
            subscribed.framework_info = MessageField::some(convert::evolve(&framework));
            subscribed.agent_info = MessageField::some(convert::evolve(&agent));
        });
    }

    fn reregistered(&mut self, _: &ExecutorDriver, _: SlaveInfo) {
        self.tell(ClientEvent::Connected);
    }

    fn disconnected(&mut self, _: &ExecutorDriver) {
        self.tell(ClientEvent::Disconnected);
    }

    fn launch_task(&mut self, _: &ExecutorDriver, task: TaskInfo) {
        self.event(event::Type::LAUNCH, |event| {
            event.launch.mut_or_insert_default().task = MessageField::some(convert::evolve(&task));
        });
    }

    fn kill_task(&mut self, _: &ExecutorDriver, task_id: TaskID) {
        self.kill(&task_id, None);
    }

    fn kill_task_with_policy(&mut self, _: &ExecutorDriver, task_id: TaskID, policy: KillPolicy) {
        self.kill(&task_id, Some(&policy));
    }

    fn acknowledged(&mut self, _: &ExecutorDriver, task_id: TaskID, uuid: Vec<u8>) {
        self.event(event::Type::ACKNOWLEDGED, |event| {
            let acknowledged = event.acknowledged.mut_or_insert_default();
            acknowledged.task_id = MessageField::some(convert::evolve(&task_id));
            acknowledged.set_uuid(uuid);
        });
    }

    fn framework_message(&mut self, _: &ExecutorDriver, data: Vec<u8>) {
        self.event(event::Type::MESSAGE, |event| {
            event.message.mut_or_insert_default().set_data(data);
        });
    }

    fn shutdown(&mut self, _: &ExecutorDriver) {
        self.event(event::Type::SHUTDOWN, |_| {});
    }

    fn error(&mut self, _: &ExecutorDriver, message: &str) {
        self.event(event::Type::ERROR, |event| {
            event.error.mut_or_insert_default().set_message(message.to_owned());
        });
    }

    fn force_exit(&mut self) {
        self.tell(ClientEvent::ForceExit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_event_is_dropped_while_the_executor_does_not_listen() {
        const KILLS: usize = 5000;
        let (events, mut received) = Events::queue();
        let names: Vec<String> = (0..KILLS).map(|number| format!("task-{number}")).collect();
        for name in &names {
            let mut task = TaskID::new();
            task.set_value(name.clone());
            events.kill(&task, None);
        }
        drop(events);
        let mut killed = Vec::new();
        while let Some(ClientEvent::Event(event)) = received.blocking_recv() {
            assert_eq!(event.type_(), event::Type::KILL);
            killed.push(event.kill.task_id.value().to_owned());
        }
        assert_eq!(killed, names);
    }
}
