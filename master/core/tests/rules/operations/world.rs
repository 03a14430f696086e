//! One agent with disk, one framework in the role `dev`, and the words that they use.

use std::time::Duration;

use libprocess_types::Upid;
use mesos::Message;
use mesos::capabilities::AgentCapabilities;
use mesos::ids::{AgentId, OfferId, OperationId};
use mesos::resources::Resources;
use mesos_master_core::Operation as KnownOperation;
use mesos_proto::internal::wire::messages as wire;
use mesos_proto::v0::mesos as proto;
use mesos_proto::v0::mesos::OperationState;
use mesos_proto::v0::mesos::framework_info::capability::Type as Capability;
use mesos_proto::v0::mesos::offer::Operation;
use mesos_proto::v0::mesos::offer::operation::Type;
use mesos_proto::v0::scheduler::call;

use crate::actors::{Scheduler, agent_upid, command_task, framework_info, register_message, resources, uuid};
use crate::harness::Harness;

pub const ROLE: &str = "dev";
pub const CAPABLE: &[Capability] = &[
    Capability::MULTI_ROLE,
    Capability::RESERVATION_REFINEMENT,
    Capability::SHARED_RESOURCES,
    Capability::PARTITION_AWARE,
];

pub struct World {
    pub harness: Harness,
    pub address: Upid,
    pub agent: AgentId,
    pub scheduler: Scheduler,
}

/// Description of a framework in one role.
pub fn in_role(role: &str, capabilities: &[Capability]) -> proto::FrameworkInfo {
    let mut info = framework_info(capabilities);
    info.roles.clear();
    if capabilities.contains(&Capability::MULTI_ROLE) {
        info.roles.push(role.to_owned());
    } else {
        info.set_role(role.to_owned());
    }
    info.set_principal("ops".to_owned());
    info
}

/// The first words of an agent with these resources.
pub fn registration(capabilities: AgentCapabilities, text: &str) -> wire::RegisterSlaveMessage {
    let mut message = register_message();
    message.agent_capabilities = capabilities.to_proto();
    message.slave.mut_or_insert_default().resources = resources(text);
    message
}

impl World {
    pub fn new() -> Self {
        Self::with(
            registration(AgentCapabilities::all(), "cpus:4;mem:4096;disk:1000"),
            CAPABLE,
        )
    }

    pub fn with(registration: wire::RegisterSlaveMessage, capabilities: &[Capability]) -> Self {
        let mut harness = Harness::new();
        let address = agent_upid(0);
        harness.receive(&address, registration);
        let agent = harness.master.agents().keys().next().expect("registered").clone();
        let scheduler = Scheduler::subscribe(&mut harness, in_role(ROLE, capabilities));
        Self {
            harness,
            address,
            agent,
            scheduler,
        }
    }

    /// The offers that the framework holds, after a round of the allocator.
    pub fn offers(&mut self) -> Vec<OfferId> {
        self.harness.advance(Duration::from_secs(1));
        self.harness.offers(&self.scheduler.id)
    }

    /// What the framework is offered, all together, allocated to nobody.
    pub fn offered(&mut self) -> Resources {
        let ids = self.offers();
        let offers = ids.iter().map(|id| self.harness.master.offers()[id].resources());
        offers.sum::<Resources>().unallocate()
    }

    /// As [`World::offered`], after everything was given back: what is too little for an offer comes with the rest.
    pub fn offered_anew(&mut self) -> Resources {
        self.accept(Vec::new());
        self.offered()
    }

    /// Accepts everything that is offered with operations; what is left may come back at once.
    pub fn accept(&mut self, operations: Vec<Operation>) {
        let offers = self.offers();
        assert!(!offers.is_empty(), "nothing is offered");
        self.accept_offers(&offers, operations, 0.0);
    }

    pub fn accept_offers(&mut self, offers: &[OfferId], operations: Vec<Operation>, refuse_seconds: f64) {
        let mut call = self.scheduler.accept_call(offers, operations);
        let accept = call.accept.mut_or_insert_default();
        accept
            .filters
            .mut_or_insert_default()
            .set_refuse_seconds(refuse_seconds);
        self.harness.clear();
        self.scheduler.send(&mut self.harness, call);
    }

    /// Reserves and makes a volume, all told by the agent to be done.
    pub fn with_volume(mut self, volume: &proto::Resource) -> Self {
        let disk = without_volume(volume);
        self.accept(vec![
            on(Type::RESERVE, vec![disk]),
            on(Type::CREATE, vec![volume.clone()]),
        ]);
        self.finish_all();
        self
    }

    /// Everything that the agent has, by the master's word.
    pub fn total(&self) -> Resources {
        self.harness.agent(&self.agent).total().clone()
    }

    pub fn has(&self, resource: &proto::Resource) -> bool {
        let resource = Resources::from_protobuf([resource]).expect("valid");
        self.total().contains(&resource)
    }

    /// Operations that the agent was sent since the last accept, in order.
    pub fn applied(&self) -> Vec<wire::ApplyOperationMessage> {
        let messages = self.harness.messages_to(&self.address).into_iter();
        let applied = messages.filter_map(|message| match message {
            Message::ApplyOperation(message) => Some(*message),
            _ => None,
        });
        applied.collect()
    }

    pub fn acknowledgements(&self) -> usize {
        let names = self.harness.names_to(&self.address);
        let acknowledged = names
            .iter()
            .filter(|name| **name == "AcknowledgeOperationStatusMessage");
        acknowledged.count()
    }

    /// The open operations, in no order that means something.
    pub fn operations(&self) -> Vec<&KnownOperation> {
        self.harness.agent(&self.agent).operations().values().collect()
    }

    /// The status of an operation as the agent tells it.
    pub fn status(
        &self,
        operation: &wire::ApplyOperationMessage,
        state: OperationState,
        byte: u8,
    ) -> wire::UpdateOperationStatusMessage {
        let mut message = wire::UpdateOperationStatusMessage::new();
        message.framework_id = operation.framework_id.clone();
        message.slave_id = Some(self.agent.to_proto()).into();
        message.operation_uuid = operation.operation_uuid.clone();
        let mut status = proto::OperationStatus::new();
        status.set_state(state);
        status.operation_id = operation.operation_info.id.clone();
        status.slave_id = Some(self.agent.to_proto()).into();
        status.uuid.mut_or_insert_default().set_value(uuid(byte));
        message.latest_status = Some(status.clone()).into();
        message.status = Some(status).into();
        message
    }

    pub fn tell(&mut self, operation: &wire::ApplyOperationMessage, state: OperationState, byte: u8) {
        let message = self.status(operation, state, byte);
        self.harness.receive(&self.address.clone(), message);
    }

    /// The agent tells that everything it was sent is done.
    pub fn finish_all(&mut self) {
        for (number, operation) in (100..).zip(self.applied()) {
            self.tell(&operation, OperationState::OPERATION_FINISHED, number);
        }
    }

    pub fn acknowledge(&mut self, id: &str, byte: u8) {
        let mut call = self.scheduler.typed(call::Type::ACKNOWLEDGE_OPERATION_STATUS);
        let acknowledge = call.acknowledge_operation_status.mut_or_insert_default();
        acknowledge.slave_id = Some(self.agent.to_proto()).into();
        acknowledge.operation_id = Some(OperationId::new(id).to_proto()).into();
        acknowledge.set_uuid(uuid(byte));
        self.scheduler.send(&mut self.harness, call);
    }

    /// Statuses of operations that the framework was told: id, state, whether it carries a uuid.
    pub fn told(&self) -> Vec<(String, OperationState, bool)> {
        let events = self.harness.events_on(&self.scheduler.stream).into_iter();
        let statuses = events.filter_map(|event| event.update_operation_status.as_ref());
        let each = statuses.map(|told| {
            let status = &told.status;
            (
                status.operation_id.value().to_owned(),
                status.state(),
                status.uuid.is_some(),
            )
        });
        each.collect()
    }

    /// The messages of the statuses that the framework was told.
    pub fn reasons(&self) -> Vec<String> {
        let events = self.harness.events_on(&self.scheduler.stream).into_iter();
        let statuses = events.filter_map(|event| event.update_operation_status.as_ref());
        statuses.map(|told| told.status.message().to_owned()).collect()
    }

    /// A task that uses these resources and nothing else.
    pub fn task(&self, id: &str, resources: Vec<proto::Resource>) -> proto::TaskInfo {
        let mut task = command_task(id, &self.agent);
        task.resources = resources;
        task
    }

    /// What the agent reports of itself and its operations.
    pub fn report(&self, operations: Vec<proto::Operation>) -> wire::UpdateSlaveMessage {
        let mut message = wire::UpdateSlaveMessage::new();
        message.slave_id = Some(self.agent.to_proto()).into();
        message.set_update_oversubscribed_resources(false);
        message.operations.mut_or_insert_default().operations = operations;
        message
    }
}

/// A scalar, reserved dynamically for a role.
pub fn reserved(name: &str, amount: f64, role: &str) -> proto::Resource {
    let mut resource = scalar(name, amount);
    let mut reservation = proto::resource::ReservationInfo::new();
    reservation.set_type(proto::resource::reservation_info::Type::DYNAMIC);
    reservation.set_role(role.to_owned());
    reservation.set_principal("ops".to_owned());
    resource.reservations.push(reservation);
    resource
}

pub fn scalar(name: &str, amount: f64) -> proto::Resource {
    resources(&format!("{name}:{amount}")).remove(0)
}

/// A persistent volume of the role `dev`.
pub fn volume(id: &str, amount: f64) -> proto::Resource {
    let mut resource = reserved("disk", amount, ROLE);
    let disk = resource.disk.mut_or_insert_default();
    let persistence = disk.persistence.mut_or_insert_default();
    persistence.set_id(id.to_owned());
    persistence.set_principal("ops".to_owned());
    let mount = disk.volume.mut_or_insert_default();
    mount.set_container_path("data".to_owned());
    mount.set_mode(proto::volume::Mode::RW);
    resource
}

pub fn shared_volume(id: &str, amount: f64) -> proto::Resource {
    let mut resource = volume(id, amount);
    resource.shared = Some(proto::resource::SharedInfo::new()).into();
    resource
}

/// The reserved disk that a volume is made of.
pub fn without_volume(volume: &proto::Resource) -> proto::Resource {
    let mut disk = volume.clone();
    disk.shared = protobuf::MessageField::none();
    match disk.disk.as_mut().filter(|info| info.source.is_some()) {
        Some(info) => {
            info.persistence = protobuf::MessageField::none();
            info.volume = protobuf::MessageField::none();
        }
        None => disk.disk = protobuf::MessageField::none(),
    }
    disk
}

/// RESERVE, UNRESERVE, CREATE or DESTROY.
pub fn on(kind: Type, resources: Vec<proto::Resource>) -> Operation {
    let mut operation = Operation::new();
    operation.set_type(kind);
    match kind {
        Type::RESERVE => operation.reserve.mut_or_insert_default().resources = resources,
        Type::UNRESERVE => operation.unreserve.mut_or_insert_default().resources = resources,
        Type::CREATE => operation.create.mut_or_insert_default().volumes = resources,
        Type::DESTROY => operation.destroy.mut_or_insert_default().volumes = resources,
        other => panic!("{other:?} has other fields"),
    }
    operation
}

pub fn grow(volume: proto::Resource, addition: proto::Resource) -> Operation {
    let mut operation = Operation::new();
    operation.set_type(Type::GROW_VOLUME);
    let grow = operation.grow_volume.mut_or_insert_default();
    grow.volume = Some(volume).into();
    grow.addition = Some(addition).into();
    operation
}

pub fn shrink(volume: proto::Resource, subtract: f64) -> Operation {
    let mut operation = Operation::new();
    operation.set_type(Type::SHRINK_VOLUME);
    let shrink = operation.shrink_volume.mut_or_insert_default();
    shrink.volume = Some(volume).into();
    shrink.subtract.mut_or_insert_default().set_value(subtract);
    operation
}

pub fn named(id: &str, mut operation: Operation) -> Operation {
    operation.id = Some(OperationId::new(id).to_proto()).into();
    operation
}
