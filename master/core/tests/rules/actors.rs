//! Agents and schedulers that say the right things.

use libprocess_types::Upid;
use mesos::capabilities::AgentCapabilities;
use mesos::ids::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
use mesos_master_core::StreamId;
use mesos_proto::internal::wire::messages as wire;
use mesos_proto::v0::mesos as proto;
use mesos_proto::v0::mesos::TaskState;
use mesos_proto::v0::mesos::framework_info::capability::Type as Capability;
use mesos_proto::v0::mesos::offer::Operation;
use mesos_proto::v0::mesos::offer::operation::Type as OperationType;
use mesos_proto::v0::scheduler::Call;
use mesos_proto::v0::scheduler::call::Type;

use crate::harness::{Harness, upid};

pub fn resources(text: &str) -> Vec<proto::Resource> {
    text.split(';')
        .map(|part| {
            let (name, value) = part.split_once(':').expect("NAME:VALUE");
            let mut resource = proto::Resource::new();
            resource.set_name(name.to_owned());
            resource.set_type(proto::value::Type::SCALAR);
            resource
                .scalar
                .mut_or_insert_default()
                .set_value(value.parse().expect("a number"));
            resource
        })
        .collect()
}

pub fn agent_info(id: Option<&AgentId>) -> proto::SlaveInfo {
    let mut info = proto::SlaveInfo::new();
    info.set_hostname("host".to_owned());
    info.set_port(5051);
    info.set_checkpoint(true);
    info.resources = resources("cpus:4;mem:4096;disk:8192");
    for resource in &mut info.resources {
        resource.set_role("*".to_owned());
    }
    info.id = id.map(AgentId::to_proto).into();
    info
}

pub fn uuid(byte: u8) -> Vec<u8> {
    vec![byte; 16]
}

fn version_uuid(byte: u8) -> proto::UUID {
    let mut message = proto::UUID::new();
    message.set_value(uuid(byte));
    message
}

pub fn register_message() -> wire::RegisterSlaveMessage {
    let mut message = wire::RegisterSlaveMessage::new();
    message.slave = Some(agent_info(None)).into();
    message.set_version("1.11.0".to_owned());
    message.agent_capabilities = AgentCapabilities::all().to_proto();
    message.resource_version_uuid = Some(version_uuid(1)).into();
    message
}

pub fn reregister_message(id: &AgentId) -> wire::ReregisterSlaveMessage {
    let mut message = wire::ReregisterSlaveMessage::new();
    message.slave = Some(agent_info(Some(id))).into();
    message.set_version("1.11.0".to_owned());
    message.agent_capabilities = AgentCapabilities::all().to_proto();
    message.resource_version_uuid = Some(version_uuid(2)).into();
    message
}

/// Address of the N-th agent.
pub fn agent_upid(number: u16) -> Upid {
    upid(&format!("slave(1)@127.0.0.{}:5051", number + 1))
}

/// Registers the N-th agent.
pub fn register_agent(harness: &mut Harness, number: u16) -> (Upid, AgentId) {
    let address = agent_upid(number);
    harness.receive(&address, register_message());
    let agent = harness
        .master
        .agents()
        .values()
        .find(|agent| *agent.upid() == address)
        .expect("registered");
    let id = agent.id().clone();
    (address, id)
}

pub fn framework_info(capabilities: &[Capability]) -> proto::FrameworkInfo {
    let mut info = proto::FrameworkInfo::new();
    info.set_user("root".to_owned());
    info.set_name("test".to_owned());
    for kind in capabilities {
        let mut capability = proto::framework_info::Capability::new();
        capability.set_type(*kind);
        info.capabilities.push(capability);
    }
    if capabilities.contains(&Capability::MULTI_ROLE) {
        info.roles.push("*".to_owned());
    }
    info
}

pub const MODERN: &[Capability] = &[
    Capability::MULTI_ROLE,
    Capability::RESERVATION_REFINEMENT,
    Capability::PARTITION_AWARE,
];

pub fn subscribe_call(info: &proto::FrameworkInfo) -> Call {
    let mut call = Call::new();
    call.set_type(Type::SUBSCRIBE);
    call.framework_id = info.id.clone();
    call.subscribe.mut_or_insert_default().framework_info = Some(info.clone()).into();
    call
}

/// A scheduler on the HTTP API.
pub struct Scheduler {
    pub id: FrameworkId,
    pub stream: StreamId,
    pub info: proto::FrameworkInfo,
}

impl Scheduler {
    pub fn subscribe(harness: &mut Harness, mut info: proto::FrameworkInfo) -> Self {
        let known = harness.out.len();
        let reply = harness.call(subscribe_call(&info), None);
        assert_eq!(reply.status, 200);
        let stream = harness.last_stream();
        let events = harness.events_on(&stream);
        assert!(!harness.out[known..].is_empty());
        let first = events.first().expect("an event");
        assert!(first.subscribed.is_some(), "{first:?}");
        info.id = first.subscribed.framework_id.clone();
        Self {
            id: FrameworkId::from(&*info.id),
            stream,
            info,
        }
    }

    pub fn typed(&self, kind: Type) -> Call {
        let mut call = Call::new();
        call.set_type(kind);
        call.framework_id = Some(self.id.to_proto()).into();
        call
    }

    pub fn send(&self, harness: &mut Harness, call: Call) {
        let reply = harness.call(call, Some(&self.stream));
        assert!(matches!(reply.status, 200 | 202), "{reply:?}");
    }

    pub fn accept_call(&self, offers: &[OfferId], operations: Vec<Operation>) -> Call {
        let mut call = self.typed(Type::ACCEPT);
        let accept = call.accept.mut_or_insert_default();
        accept.offer_ids = offers.iter().map(OfferId::to_proto).collect();
        accept.operations = operations;
        call
    }

    pub fn accept(&self, harness: &mut Harness, offers: &[OfferId], tasks: Vec<proto::TaskInfo>) {
        let call = self.accept_call(offers, vec![launch(tasks)]);
        self.send(harness, call);
    }

    /// Launches tasks on the first offer of an agent.
    pub fn launch(&self, harness: &mut Harness, agent: &AgentId, tasks: &[&str]) {
        let offers = harness.offers(&self.id);
        let offer = offers
            .iter()
            .find(|id| harness.master.offers()[*id].agent_id() == agent)
            .expect("an offer")
            .clone();
        let tasks = tasks.iter().map(|id| command_task(id, agent)).collect();
        self.accept(harness, &[offer], tasks);
    }

    pub fn acknowledge(&self, harness: &mut Harness, agent: &AgentId, task: &str, uuid: Vec<u8>) {
        let mut call = self.typed(Type::ACKNOWLEDGE);
        let acknowledge = call.acknowledge.mut_or_insert_default();
        acknowledge.slave_id = Some(agent.to_proto()).into();
        acknowledge.task_id = Some(TaskId::new(task).to_proto()).into();
        acknowledge.set_uuid(uuid);
        self.send(harness, call);
    }

    pub fn kill(&self, harness: &mut Harness, task: &str, agent: Option<&AgentId>) {
        let mut call = self.typed(Type::KILL);
        let kill = call.kill.mut_or_insert_default();
        kill.task_id = Some(TaskId::new(task).to_proto()).into();
        kill.slave_id = agent.map(AgentId::to_proto).into();
        self.send(harness, call);
    }

    pub fn reconcile(&self, harness: &mut Harness, tasks: &[(&str, Option<&AgentId>)]) {
        let mut call = self.typed(Type::RECONCILE);
        let reconcile = call.reconcile.mut_or_insert_default();
        for (task_id, agent) in tasks {
            let mut task = mesos_proto::v0::scheduler::call::reconcile::Task::new();
            task.task_id = Some(TaskId::new(*task_id).to_proto()).into();
            task.slave_id = agent.map(AgentId::to_proto).into();
            reconcile.tasks.push(task);
        }
        self.send(harness, call);
    }
}

pub fn launch(tasks: Vec<proto::TaskInfo>) -> Operation {
    let mut operation = Operation::new();
    operation.set_type(OperationType::LAUNCH);
    operation.launch.mut_or_insert_default().task_infos = tasks;
    operation
}

pub fn command_task(id: &str, agent: &AgentId) -> proto::TaskInfo {
    let mut task = proto::TaskInfo::new();
    task.set_name(id.to_owned());
    task.task_id = Some(TaskId::new(id).to_proto()).into();
    task.slave_id = Some(agent.to_proto()).into();
    task.resources = resources("cpus:1;mem:128");
    task.command.mut_or_insert_default().set_value("true".to_owned());
    task
}

pub fn executor_task(id: &str, agent: &AgentId, executor_id: &str) -> proto::TaskInfo {
    let mut task = command_task(id, agent);
    task.command = protobuf::MessageField::none();
    let executor = task.executor.mut_or_insert_default();
    executor.executor_id = Some(ExecutorId::new(executor_id).to_proto()).into();
    executor.resources = resources("cpus:0.5;mem:64");
    executor
        .command
        .mut_or_insert_default()
        .set_value("executor".to_owned());
    task
}

/// A status update as an agent sends it.
pub fn update(
    framework: &FrameworkId,
    agent: &AgentId,
    task: &str,
    state: TaskState,
    byte: u8,
) -> wire::StatusUpdateMessage {
    let mut message = wire::StatusUpdateMessage::new();
    message.set_pid(agent_upid(0).to_string());
    let update = message.update.mut_or_insert_default();
    update.framework_id = Some(framework.to_proto()).into();
    update.slave_id = Some(agent.to_proto()).into();
    update.set_timestamp(1.0);
    update.set_uuid(uuid(byte));
    update.set_latest_state(state);
    let status = update.status.mut_or_insert_default();
    status.task_id = Some(TaskId::new(task).to_proto()).into();
    status.set_state(state);
    status.set_uuid(uuid(byte));
    status.set_source(proto::task_status::Source::SOURCE_EXECUTOR);
    message
}

/// A task as an agent reports it when it registers again.
pub fn reported_task(framework: &FrameworkId, agent: &AgentId, id: &str, state: TaskState) -> proto::Task {
    let mut task = proto::Task::new();
    task.set_name(id.to_owned());
    task.task_id = Some(TaskId::new(id).to_proto()).into();
    task.framework_id = Some(framework.to_proto()).into();
    task.slave_id = Some(agent.to_proto()).into();
    task.set_state(state);
    task.resources = resources("cpus:1;mem:128");
    for resource in &mut task.resources {
        resource
            .allocation_info
            .mut_or_insert_default()
            .set_role("*".to_owned());
    }
    task
}
