//! A framework on the libprocess driver that brings its own executor, and hears a message from it after each task.

use std::collections::BTreeSet;
use std::ffi::OsString;

use libprocess::{Node, NodeConfig};
use mesos::resources::Resources;
use mesos_proto::v0::mesos::{ExecutorInfo, Filters, FrameworkInfo, Offer, TaskInfo, TaskState, TaskStatus};
use mesos_scheduler_driver::v0::{Callback, Driver, DriverConfig, Handle, Scheduler};
use tokio::sync::mpsc;

use crate::arguments::{ExampleError, Options, TASK_CPUS, TASK_MEM_MB, user};

/// Runs the program.
///
/// # Errors
///
/// Tells why not all tasks finished.
pub fn run(arguments: Vec<OsString>) -> Result<(), ExampleError> {
    let options = Options::parse("hello-v0", "The command that starts the executor", arguments)?;
    actix_rt::System::new().block_on(serve(options))
}

async fn serve(options: Options) -> Result<(), ExampleError> {
    let environment = |error: libprocess::NodeError| ExampleError::Environment(error.to_string());
    // The master calls back: LIBPROCESS_IP and its siblings say where.
    let config = NodeConfig::from_env().map_err(environment)?;
    let node = Node::start(config).await.map_err(environment)?;
    let mut framework = FrameworkInfo::new();
    framework.set_name("hello-v0".to_owned());
    framework.set_user(user()?);
    let (outcome, mut ended) = mpsc::unbounded_channel();
    let master = options.master.clone();
    let hello = Hello::new(options, outcome)?;
    let driver = Driver::start(&node, &master, DriverConfig::new(framework), hello)
        .await
        .map_err(|error| ExampleError::Master(error.to_string()))?;
    let result = ended.recv().await.unwrap_or(Ok(()));
    driver.stop(false);
    driver.join().await;
    node.stop().await;
    result
}

/// The framework: what is still to be launched, to finish, and to be heard of.
struct Hello {
    options: Options,
    /// What one task takes.
    share: Resources,
    launched: usize,
    unfinished: BTreeSet<String>,
    greetings: usize,
    outcome: mpsc::UnboundedSender<Result<(), ExampleError>>,
}

impl Hello {
    fn new(options: Options, outcome: mpsc::UnboundedSender<Result<(), ExampleError>>) -> Result<Self, ExampleError> {
        let share = Resources::parse(&format!("cpus:{TASK_CPUS};mem:{TASK_MEM_MB}"), "*")
            .map_err(|error| ExampleError::Environment(error.to_string()))?;
        Ok(Self {
            options,
            share,
            launched: 0,
            unfinished: BTreeSet::new(),
            greetings: 0,
            outcome,
        })
    }

    /// Launches as many tasks as fit and are wanted; what is left of the offer goes back.
    fn offered(&mut self, driver: &Handle, offer: &Offer) {
        let mut tasks = Vec::new();
        let mut free = Resources::from_protobuf(&offer.resources)
            .unwrap_or_default()
            .unallocate();
        // The first task of an agent brings the executor, which takes a share too.
        let executor = free.find(&self.share);
        if let Some(executor) = &executor {
            free -= executor;
        }
        while let (Some(executor), true) = (&executor, self.launched < self.options.tasks) {
            let Some(taken) = free.find(&self.share) else { break };
            free -= &taken;
            tasks.push(self.task(offer, &taken, executor));
        }
        println!("offer of {}: {} tasks", offer.hostname(), tasks.len());
        let offers = offer.id.clone().into_option().into_iter().collect();
        driver.launch_tasks(offers, tasks, Filters::new());
    }

    fn task(&mut self, offer: &Offer, resources: &Resources, of_executor: &Resources) -> TaskInfo {
        let id = format!("hello-{}", self.launched);
        self.launched += 1;
        let mut executor = ExecutorInfo::new();
        executor
            .executor_id
            .mut_or_insert_default()
            .set_value("hello".to_owned());
        executor
            .command
            .mut_or_insert_default()
            .set_value(self.options.command.clone());
        executor.resources = of_executor.to_protobuf();
        let mut task = TaskInfo::new();
        task.set_name(id.clone());
        task.task_id.mut_or_insert_default().set_value(id.clone());
        task.slave_id = offer.slave_id.clone();
        task.resources = resources.to_protobuf();
        task.executor = Some(executor).into();
        self.unfinished.insert(id);
        task
    }

    /// The driver acknowledges updates when this returns.
    fn updated(&mut self, status: &TaskStatus) {
        let id = status.task_id.value();
        println!("{id} is {:?}", status.state());
        match status.state() {
            TaskState::TASK_STAGING | TaskState::TASK_STARTING | TaskState::TASK_RUNNING => {}
            TaskState::TASK_FINISHED => {
                self.unfinished.remove(id);
                self.end_if_done();
            }
            state => self.end(Err(ExampleError::Task {
                task: id.to_owned(),
                state: format!("{state:?}"),
                message: status.message().to_owned(),
            })),
        }
    }

    fn end_if_done(&self) {
        if self.launched == self.options.tasks && self.unfinished.is_empty() && self.greetings == self.launched {
            self.end(Ok(()));
        }
    }

    fn end(&self, result: Result<(), ExampleError>) {
        // Only the first result counts: nobody listens afterwards.
        drop(self.outcome.send(result));
    }
}

impl Scheduler for Hello {
    fn handle(&mut self, driver: &Handle, callback: Callback) {
        match callback {
            Callback::Registered(id, _) => println!("registered as {}", id.value()),
            Callback::ResourceOffers(offers) => offers.iter().for_each(|offer| self.offered(driver, offer)),
            Callback::StatusUpdate(status) => self.updated(&status),
            Callback::FrameworkMessage(_, _, data) => {
                println!("the executor says: {}", String::from_utf8_lossy(&data));
                self.greetings += 1;
                self.end_if_done();
            }
            Callback::Error(message) => self.end(Err(ExampleError::Refused(message))),
            other => println!("{other:?}"),
        }
    }
}
