//! The v0 executor driver: a process that carries out what [`core`](self::core) decides, over libprocess messages.

pub mod core;
mod events;

use std::collections::BTreeMap;

use bytes::Bytes;
use libprocess::{Context, Node, Process, ProcessId, ProcessRef, TimerId, Upid};
use mesos::Message;
use mesos_proto::v0::mesos::{ExecutorInfo, FrameworkInfo, KillPolicy, SlaveInfo, TaskID, TaskInfo, TaskStatus};
use tokio::sync::watch;

pub use self::core::DriverStatus;
use self::core::{Callback, DriverConfig, DriverCore, DriverTimer, Effect, Input};
pub use self::events::EventDriver;
use crate::environment::{EnvironmentError, ExecutorEnvironment};

/// What an executor does when its driver calls. Calls come one at a time and must not block: work belongs elsewhere.
pub trait Executor: Send + 'static {
    /// The agent has taken the executor.
    fn registered(
        &mut self,
        driver: &ExecutorDriver,
        executor: ExecutorInfo,
        framework: FrameworkInfo,
        agent: SlaveInfo,
    );

    /// A restarted agent has taken the executor again.
    fn reregistered(&mut self, driver: &ExecutorDriver, agent: SlaveInfo) {
        let _ = (driver, agent);
    }

    /// The agent is away; it may come back.
    fn disconnected(&mut self, driver: &ExecutorDriver) {
        let _ = driver;
    }

    /// Run a task.
    fn launch_task(&mut self, driver: &ExecutorDriver, task: TaskInfo);

    /// End a task.
    fn kill_task(&mut self, driver: &ExecutorDriver, task_id: TaskID);

    /// End a task in the way that the kill says. The default leaves that out, as older executors do.
    fn kill_task_with_policy(&mut self, driver: &ExecutorDriver, task_id: TaskID, policy: KillPolicy) {
        let _ = policy;
        self.kill_task(driver, task_id);
    }

    /// The agent has recorded an update (not the scheduler).
    fn acknowledged(&mut self, driver: &ExecutorDriver, task_id: TaskID, uuid: Vec<u8>) {
        let _ = (driver, task_id, uuid);
    }

    /// The scheduler sent bytes.
    fn framework_message(&mut self, driver: &ExecutorDriver, data: Vec<u8>) {
        let _ = (driver, data);
    }

    /// End all tasks and go; only updates can be sent any more.
    fn shutdown(&mut self, driver: &ExecutorDriver);

    /// The driver was used wrongly and has stopped.
    fn error(&mut self, driver: &ExecutorDriver, message: &str) {
        let _ = driver;
        tracing::error!(message, "executor driver failed");
    }

    /// The grace period after `shutdown` is over. The default ends this operating system process at once.
    fn force_exit(&mut self) {
        tracing::error!("the executor did not end in time");
        std::process::exit(1);
    }
}

/// A handle to a running driver. Cheap to clone; calls return at once.
#[derive(Clone)]
pub struct ExecutorDriver {
    process: ProcessRef<DriverProcess>,
    status: watch::Receiver<DriverStatus>,
}

impl ExecutorDriver {
    /// Starts a driver on `node` with the settings of its agent.
    ///
    /// # Errors
    ///
    /// Fails when the environment does not name the agent's id.
    pub fn start(
        node: &Node,
        environment: &ExecutorEnvironment,
        executor: impl Executor,
    ) -> Result<Self, EnvironmentError> {
        let agent_id = environment
            .agent_id
            .clone()
            .ok_or(EnvironmentError::Missing("MESOS_SLAVE_ID"))?;
        let core = DriverCore::new(DriverConfig {
            framework_id: environment.framework_id.clone(),
            executor_id: environment.executor_id.clone(),
            agent_id,
            agent: environment.agent.clone(),
            recovery_timeout: environment.recovery_timeout,
            shutdown_grace_period: environment.shutdown_grace_period,
            local: environment.local,
        });
        let (publish, status) = watch::channel(DriverStatus::Running);
        let handed = status.clone();
        let make = move || DriverProcess {
            core,
            executor: Box::new(executor),
            publish,
            status: handed,
            timers: BTreeMap::new(),
        };
        let process = node.spawn(ProcessId::Numbered("executor"), make);
        Ok(Self { process, status })
    }

    /// Reports a task's state. Time, agent and uuid are filled in; it is kept until the agent acknowledges it.
    pub fn send_status_update(&self, status: TaskStatus) {
        self.send_status_update_as(status, uuid::Uuid::new_v4().as_bytes().to_vec());
    }

    /// As [`ExecutorDriver::send_status_update`], under 16 bytes that no other update has.
    pub fn send_status_update_as(&self, status: TaskStatus, uuid: Vec<u8>) {
        self.input(Input::UpdateSent {
            status: Box::new(status),
            uuid,
        });
    }

    /// Sends bytes to the scheduler, at most once.
    pub fn send_framework_message(&self, data: Vec<u8>) {
        self.input(Input::MessageSent(data));
    }

    /// Ends the driver.
    pub fn stop(&self) {
        self.input(Input::Stopped);
    }

    /// Ends the driver without any further call to the executor.
    pub fn abort(&self) {
        self.input(Input::Aborted);
    }

    /// How the driver stands now.
    #[must_use]
    pub fn status(&self) -> DriverStatus {
        *self.status.borrow()
    }

    /// Waits until the driver has ended.
    pub async fn join(&self) -> DriverStatus {
        let mut status = self.status.clone();
        match status.wait_for(|status| *status != DriverStatus::Running).await {
            Ok(status) => *status,
            // The node stopped under it.
            Err(_) => DriverStatus::Aborted,
        }
    }

    fn input(&self, input: Input) {
        self.process
            .dispatch(move |process, context| process.step(input, context));
    }
}

/// The actor behind the handle.
struct DriverProcess {
    core: DriverCore,
    executor: Box<dyn Executor>,
    publish: watch::Sender<DriverStatus>,
    status: watch::Receiver<DriverStatus>,
    timers: BTreeMap<DriverTimer, TimerId>,
}

impl DriverProcess {
    fn step(&mut self, input: Input, context: &mut Context<Self>) {
        for effect in self.core.step(context.now(), input) {
            self.carry_out(effect, context);
        }
    }

    fn carry_out(&mut self, effect: Effect, context: &mut Context<Self>) {
        match effect {
            Effect::Send(to, message) => context.send(&to, message.name(), Bytes::from(message.encode())),
            Effect::Link(to) => context.link(&to),
            Effect::SetTimer(timer, after) => {
                let id = context.delay(after, move |process, context| {
                    process.timers.remove(&timer);
                    process.step(Input::Elapsed(timer), context);
                });
                if let Some(old) = self.timers.insert(timer, id) {
                    context.cancel(old);
                }
            }
            Effect::CancelTimer(timer) => {
                if let Some(old) = self.timers.remove(&timer) {
                    context.cancel(old);
                }
            }
            Effect::Call(callback) => self.call(callback, context),
            Effect::Finish(status) => {
                self.publish.send_replace(status);
            }
            Effect::ForceExit => self.executor.force_exit(),
        }
    }

    fn call(&mut self, callback: Callback, context: &Context<Self>) {
        let driver = ExecutorDriver {
            process: context.me(),
            status: self.status.clone(),
        };
        let executor = &mut self.executor;
        match callback {
            Callback::Registered {
                executor: info,
                framework,
                agent,
            } => {
                executor.registered(&driver, *info, *framework, *agent);
            }
            Callback::Reregistered(agent) => executor.reregistered(&driver, *agent),
            Callback::Disconnected => executor.disconnected(&driver),
            Callback::LaunchTask(task) => executor.launch_task(&driver, *task),
            Callback::KillTask { task_id, policy: None } => executor.kill_task(&driver, task_id),
            Callback::KillTask {
                task_id,
                policy: Some(policy),
            } => executor.kill_task_with_policy(&driver, task_id, *policy),
            Callback::Acknowledged { task_id, uuid } => executor.acknowledged(&driver, task_id, uuid),
            Callback::FrameworkMessage(data) => executor.framework_message(&driver, data),
            Callback::Shutdown => executor.shutdown(&driver),
            Callback::Error(message) => executor.error(&driver, &message),
        }
    }
}

impl Process for DriverProcess {
    fn initialize(&mut self, context: &mut Context<Self>) {
        let own = context.pid().clone();
        self.step(Input::Started(own), context);
    }

    fn exited(&mut self, upid: &Upid, context: &mut Context<Self>) {
        self.step(Input::Exited(upid.clone()), context);
    }

    fn message(&mut self, from: Upid, name: &str, body: Bytes, context: &mut Context<Self>) {
        match Message::decode(name, &body) {
            Some(Ok(message)) => self.step(Input::Received { from, message }, context),
            Some(Err(error)) => tracing::warn!(upid = %from, name, %error, "message does not parse; dropped"),
            None => tracing::debug!(upid = %from, name, "unknown message dropped"),
        }
    }
}
