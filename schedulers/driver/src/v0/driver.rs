//! The driver as a process: carries the core's effects out and the framework's calls in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;
use libprocess::{Context, Node, Process, ProcessId, ProcessRef, Upid};
use mesos::Message;
use mesos::detector::{MasterLocation, MasterLocationError};
use mesos_proto::v0::mesos::{ExecutorID, Filters, OfferID, SlaveID, TaskID, TaskInfo, TaskStatus, offer};
use thiserror::Error;

use super::calls::ApiCall;
use super::core::{Callback, Core, DriverConfig, Effect, Input};

/// A framework's scheduler: called by the driver, one callback at a time, in the driver's thread.
pub trait Scheduler: Send + 'static {
    /// Handles one callback. Calls made through `driver` take effect after the callback returned.
    fn handle(&mut self, driver: &Handle, callback: Callback);
}

/// How far a driver has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// Started and not ended.
    Running = 1,
    /// Ended by an error or by [`Handle::abort`].
    Aborted = 2,
    /// Ended by [`Handle::stop`].
    Stopped = 3,
}

/// Why a driver could not be started.
#[derive(Debug, Error)]
pub enum DriverError {
    /// The text for the master cannot be followed.
    #[error(transparent)]
    Master(#[from] MasterLocationError),
    /// The host of the master is unknown.
    #[error("cannot resolve the master '{0}'")]
    Resolve(String),
}

/// Control of a running driver; cheap to clone, usable from any thread.
#[derive(Clone, Debug)]
pub struct Handle {
    process: ProcessRef<Driver>,
    status: Arc<AtomicU8>,
}

impl Handle {
    /// How far the driver has come.
    #[must_use]
    pub fn status(&self) -> Status {
        match self.status.load(Ordering::Acquire) {
            2 => Status::Aborted,
            3 => Status::Stopped,
            _ => Status::Running,
        }
    }

    /// Makes a call; dropped when the driver has ended.
    pub fn call(&self, call: ApiCall) {
        self.process
            .dispatch(move |driver, context| driver.apply(Input::Called(call), context));
    }

    /// Uses offers for operations.
    pub fn accept_offers(&self, offers: Vec<OfferID>, operations: Vec<offer::Operation>, filters: Filters) {
        self.call(ApiCall::AcceptOffers(offers, operations, filters));
    }

    /// Uses offers for tasks.
    pub fn launch_tasks(&self, offers: Vec<OfferID>, tasks: Vec<TaskInfo>, filters: Filters) {
        self.call(ApiCall::LaunchTasks(offers, tasks, filters));
    }

    /// Gives an offer back.
    pub fn decline_offer(&self, offer: OfferID, filters: Filters) {
        self.call(ApiCall::DeclineOffer(offer, filters));
    }

    /// Ends a task.
    pub fn kill_task(&self, task: TaskID) {
        self.call(ApiCall::KillTask(task));
    }

    /// Asks for the states of tasks; none means all.
    pub fn reconcile_tasks(&self, statuses: Vec<TaskStatus>) {
        self.call(ApiCall::ReconcileTasks(statuses));
    }

    /// Sends bytes to an executor; may be lost.
    pub fn send_framework_message(&self, executor: ExecutorID, agent: SlaveID, data: Vec<u8>) {
        self.call(ApiCall::SendFrameworkMessage(executor, agent, data));
    }

    /// Acknowledges an update of a driver with explicit acknowledgements.
    pub fn acknowledge_status_update(&self, status: TaskStatus) {
        self.call(ApiCall::AcknowledgeStatusUpdate(Box::new(status)));
    }

    /// Ends the driver and, unless another instance takes over, the framework.
    pub fn stop(&self, failover: bool) {
        self.end(Status::Stopped, ApiCall::Stop { failover });
    }

    /// Ends the driver at once: no further callback, no implicit acknowledgement; tasks go on.
    pub fn abort(&self) {
        self.end(Status::Aborted, ApiCall::Abort);
    }

    fn end(&self, status: Status, call: ApiCall) {
        self.status.store(status as u8, Ordering::Release);
        self.process.dispatch(move |driver, context| {
            driver.apply(Input::Called(call), context);
            context.terminate_self();
        });
    }

    /// Waits until the driver has ended and gives its last status.
    pub async fn join(&self) -> Status {
        self.process.wait().await;
        self.status()
    }
}

/// The driver's process, `scheduler-UUID` on its node.
pub struct Driver {
    core: Core,
    scheduler: Box<dyn Scheduler>,
    master: Upid,
    handle: Option<Handle>,
    status: Arc<AtomicU8>,
}

impl Driver {
    /// Starts a driver on `node` that follows the master named by `master` (see [`MasterLocation::parse`]).
    ///
    /// # Errors
    ///
    /// Tells why the master's name cannot be followed.
    pub async fn start(
        node: &Node,
        master: &str,
        config: DriverConfig,
        scheduler: impl Scheduler,
    ) -> Result<Handle, DriverError> {
        let MasterLocation::Address { host, port } = MasterLocation::parse(master)?;
        let text = format!("master@{host}:{port}");
        let upid = libprocess::resolve_upid(&text)
            .await
            .map_err(|_| DriverError::Resolve(master.to_owned()))?;
        let status = Arc::new(AtomicU8::new(Status::Running as u8));
        let id = format!("scheduler-{}", uuid::Uuid::new_v4());
        let given = Arc::clone(&status);
        let process = node.spawn(ProcessId::Exact(&id), move || Self {
            core: Core::new(config),
            scheduler: Box::new(scheduler),
            master: upid,
            handle: None,
            status: given,
        });
        Ok(Handle { process, status })
    }

    fn apply(&mut self, input: Input, context: &mut Context<Self>) {
        for effect in self.core.step(context.now(), input) {
            self.carry_out(effect, context);
        }
    }

    fn carry_out(&mut self, effect: Effect, context: &mut Context<Self>) {
        match effect {
            Effect::Send { to, message } => context.send(&to, message.name(), Bytes::from(message.encode())),
            Effect::Link(to) => context.link_reconnect(&to),
            Effect::SetTimer { timer, after } => {
                context.delay(after, move |driver: &mut Self, context| {
                    driver.apply(Input::TimerElapsed(timer), context);
                });
            }
            Effect::Tell(callback) => self.tell(callback, context),
            Effect::AcknowledgeImplicitly { to, message } => {
                if self.status.load(Ordering::Acquire) == Status::Running as u8 {
                    context.send(&to, message.name(), Bytes::from(message.encode()));
                }
            }
        }
    }

    fn tell(&mut self, callback: Callback, context: &mut Context<Self>) {
        let ended = matches!(callback, Callback::Error(_));
        let running = self.status.load(Ordering::Acquire) == Status::Running as u8;
        if let (true, Some(handle)) = (running, self.handle.clone()) {
            self.scheduler.handle(&handle, callback);
        }
        if ended {
            self.status.store(Status::Aborted as u8, Ordering::Release);
            context.terminate_self();
        }
    }
}

impl Process for Driver {
    fn initialize(&mut self, context: &mut Context<Self>) {
        self.handle = Some(Handle {
            process: context.me(),
            status: Arc::clone(&self.status),
        });
        let master = self.master.clone();
        self.apply(Input::MasterDetected(Some(master)), context);
    }

    fn exited(&mut self, upid: &Upid, context: &mut Context<Self>) {
        self.apply(Input::Exited(upid.clone()), context);
    }

    fn message(&mut self, from: Upid, name: &str, body: Bytes, context: &mut Context<Self>) {
        match Message::decode(name, &body) {
            Some(Ok(message)) => self.apply(Input::MessageReceived { from, message }, context),
            Some(Err(error)) => tracing::warn!(upid = %from, name, %error, "message does not parse; dropped"),
            None => tracing::debug!(upid = %from, name, "unknown message dropped"),
        }
    }
}
