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

/// Events that may wait.
const QUEUE: usize = 1024;

/// A v0 driver whose executor gets the events of the v1 API.
///
/// What libprocess messages cannot carry is missing: groups, heartbeats, the container's id.
#[derive(Clone)]
pub struct EventDriver(ExecutorDriver);

impl EventDriver {
    /// Starts a driver on `node`. Its events come through the returned queue.
    ///
    /// # Errors
    ///
    /// Fails when the environment does not name the agent's id.
    pub fn start(
        node: &Node,
        environment: &ExecutorEnvironment,
    ) -> Result<(Self, mpsc::Receiver<ClientEvent>), EnvironmentError> {
        let (events, received) = mpsc::channel(QUEUE);
        let driver = ExecutorDriver::start(node, environment, Events(events))?;
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
struct Events(mpsc::Sender<ClientEvent>);

impl Events {
    fn tell(&self, event: ClientEvent) {
        // The driver's thread must not wait for an executor that does not listen.
        if self.0.try_send(event).is_err() {
            tracing::error!("the executor does not take its events");
        }
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
