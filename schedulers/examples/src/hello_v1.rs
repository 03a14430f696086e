//! A framework on the v1 HTTP API: runs a command a few times and ends when all have finished.

use std::collections::BTreeSet;
use std::ffi::OsString;

use mesos::resources::Resources;
use mesos_proto::v1::mesos::framework_info::Capability;
use mesos_proto::v1::mesos::framework_info::capability::Type as CapabilityType;
use mesos_proto::v1::mesos::{FrameworkInfo, Offer, TaskInfo, TaskState, TaskStatus, offer};
use mesos_proto::v1::scheduler::{Call, Event, call, event};
use mesos_scheduler_driver::v1::{Client, ClientConfig, Notice};

use crate::arguments::{ExampleError, Options, TASK_CPUS, TASK_MEM_MB, user};

/// Runs the program.
///
/// # Errors
///
/// Tells why not all tasks finished.
pub fn run(arguments: Vec<OsString>) -> Result<(), ExampleError> {
    let options = Options::parse("hello-v1", "The command that each task runs", arguments)?;
    actix_rt::System::new().block_on(async { Hello::new(options)?.run().await })
}

/// The framework: what is still to be launched and what is still to finish.
struct Hello {
    options: Options,
    client: Client,
    /// What one task takes.
    share: Resources,
    launched: usize,
    unfinished: BTreeSet<String>,
}

impl Hello {
    fn new(options: Options) -> Result<Self, ExampleError> {
        let mut framework = FrameworkInfo::new();
        framework.set_name("hello-v1".to_owned());
        framework.set_user(user()?);
        framework.roles = vec!["*".to_owned()];
        let mut capability = Capability::new();
        capability.set_type(CapabilityType::MULTI_ROLE);
        framework.capabilities.push(capability);
        let share = Resources::parse(&format!("cpus:{TASK_CPUS};mem:{TASK_MEM_MB}"), "*")
            .map_err(|error| ExampleError::Environment(error.to_string()))?;
        let config = ClientConfig::new(options.master.clone(), framework);
        let client = Client::start(config).map_err(|error| ExampleError::Master(error.to_string()))?;
        Ok(Self {
            options,
            client,
            share,
            launched: 0,
            unfinished: BTreeSet::new(),
        })
    }

    async fn run(mut self) -> Result<(), ExampleError> {
        while let Some(notice) = self.client.next().await {
            match notice {
                Notice::Event(event) => {
                    if self.handle(&event)? {
                        break;
                    }
                }
                // The client subscribes again by itself.
                Notice::Disconnected(problem) => println!("disconnected: {problem}"),
                Notice::Refused(problem) => return Err(ExampleError::Refused(problem.to_string())),
                Notice::CallFailed { call, reason } => println!("call {:?} failed: {reason}", call.type_()),
            }
        }
        self.tear_down().await;
        Ok(())
    }

    /// Handles an event; tells whether everything is done.
    fn handle(&mut self, event: &Event) -> Result<bool, ExampleError> {
        match event.type_() {
            event::Type::SUBSCRIBED => println!("subscribed as {}", event.subscribed.framework_id.value()),
            event::Type::OFFERS => event.offers.offers.iter().for_each(|offer| self.offered(offer)),
            event::Type::UPDATE => return self.updated(&event.update.status),
            event::Type::ERROR => return Err(ExampleError::Refused(event.error.message().to_owned())),
            _ => {}
        }
        Ok(false)
    }

    /// Launches as many tasks as fit and are wanted; what is left of the offer goes back.
    fn offered(&mut self, offer: &Offer) {
        let mut tasks = Vec::new();
        let offered: Vec<_> = offer.resources.iter().map(mesos::convert::devolve).collect();
        let mut free = Resources::from_protobuf(&offered).unwrap_or_default().unallocate();
        while self.launched < self.options.tasks {
            let Some(taken) = free.find(&self.share) else { break };
            free -= &taken;
            tasks.push(self.task(offer, &taken));
        }
        println!("offer of {}: {} tasks", offer.hostname(), tasks.len());
        let mut call = call(call::Type::ACCEPT);
        let accept = call.accept.mut_or_insert_default();
        accept.offer_ids.extend(offer.id.clone().into_option());
        if !tasks.is_empty() {
            let mut operation = offer::Operation::new();
            operation.set_type(offer::operation::Type::LAUNCH);
            operation.launch.mut_or_insert_default().task_infos = tasks;
            accept.operations.push(operation);
        }
        self.client.call(call);
    }

    fn task(&mut self, offer: &Offer, resources: &Resources) -> TaskInfo {
        let id = format!("hello-{}", self.launched);
        self.launched += 1;
        let mut task = TaskInfo::new();
        task.set_name(id.clone());
        task.task_id.mut_or_insert_default().set_value(id.clone());
        task.agent_id = offer.agent_id.clone();
        task.resources = resources.to_protobuf().iter().map(mesos::convert::evolve).collect();
        let command = task.command.mut_or_insert_default();
        command.set_value(self.options.command.clone());
        self.unfinished.insert(id);
        task
    }

    /// Acknowledges an update, without which the agent sends it again; tells whether that was the last task.
    fn updated(&mut self, status: &TaskStatus) -> Result<bool, ExampleError> {
        let id = status.task_id.value();
        println!("{id} is {:?}", status.state());
        if status.has_uuid() {
            let mut call = call(call::Type::ACKNOWLEDGE);
            let acknowledge = call.acknowledge.mut_or_insert_default();
            acknowledge.agent_id = status.agent_id.clone();
            acknowledge.task_id = status.task_id.clone();
            acknowledge.set_uuid(status.uuid().to_vec());
            self.client.call(call);
        }
        match status.state() {
            TaskState::TASK_STAGING | TaskState::TASK_STARTING | TaskState::TASK_RUNNING => Ok(false),
            TaskState::TASK_FINISHED => {
                self.unfinished.remove(id);
                Ok(self.unfinished.is_empty() && self.launched == self.options.tasks)
            }
            state => Err(ExampleError::Task {
                task: id.to_owned(),
                state: format!("{state:?}"),
                message: status.message().to_owned(),
            }),
        }
    }

    /// Ends the framework; the master closes the stream when it has done so.
    async fn tear_down(&mut self) {
        self.client.call(call(call::Type::TEARDOWN));
        while let Some(Notice::Event(_)) = self.client.next().await {}
    }
}

/// A call; the client fills the framework's id in.
fn call(kind: call::Type) -> Call {
    let mut call = Call::new();
    call.set_type(kind);
    call
}
