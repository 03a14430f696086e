//! Random histories of operations: frameworks and operators ask for whatever comes to mind, the agent does it, fails or
//! forgets, connections break, everybody restarts. The harness checks after every step that nothing contradicts itself;
//! at the end, when the agent has answered all, master and agent have the same.

use std::time::Duration;

use mesos::Message;
use mesos::capabilities::AgentCapabilities;
use mesos::ids::OfferId;
use mesos::resources::{Resources, strip_allocation_from_operation};
use mesos_master_core::{Input, OperatorCall, StreamId};
use mesos_proto::internal::wire::messages as wire;
use mesos_proto::v0::mesos as proto;
use mesos_proto::v0::mesos::offer::Operation;
use mesos_proto::v0::mesos::offer::operation::Type;
use mesos_proto::v0::mesos::{OperationState, TaskState};
use mesos_proto::v0::scheduler::call;

use super::world::{
    CAPABLE, ROLE, World, grow, in_role, named, on, registration, reserved, scalar, shared_volume, shrink, volume,
};
use crate::actors::{Scheduler, launch, reregister_message, subscribe_call, update};
use crate::harness::Out;
use crate::histories::Dice;

const RESOURCES: &str = "cpus:4;mem:4096;disk:100";

/// An agent that does what it is told, or not.
struct Agent {
    /// What it has, with what it made of it.
    total: Resources,
    /// Operations on their way to it, in order.
    inbox: Vec<wire::ApplyOperationMessage>,
    /// Operations that it knows, with the statuses that are not acknowledged.
    known: Vec<(proto::Operation, wire::UpdateOperationStatusMessage)>,
    /// Starts at 1 with the registration; messages for another one are dropped.
    version: u8,
    next_status: u64,
}

struct History {
    world: World,
    agent: Agent,
    other: Scheduler,
    dice: Dice,
    /// Statuses that schedulers were told and may acknowledge, with their streams.
    told: Vec<(StreamId, proto::OperationStatus)>,
    next: u32,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut world = World::with(registration(AgentCapabilities::all(), RESOURCES), CAPABLE);
        let mut info = in_role(ROLE, CAPABLE);
        info.set_failover_timeout(1000.0);
        let other = Scheduler::subscribe(&mut world.harness, info);
        let agent = Agent {
            total: world.total(),
            inbox: Vec::new(),
            known: Vec::new(),
            version: 1,
            next_status: 0,
        };
        world.harness.clear();
        Self {
            world,
            agent,
            other,
            dice: Dice(seed),
            told: Vec::new(),
            next: 0,
        }
    }

    fn name(&mut self, what: &str) -> String {
        self.next += 1;
        format!("{what}{}", self.next)
    }

    /// A size of disk, few enough for sizes to meet.
    fn amount(&mut self) -> f64 {
        [10.0, 20.0, 30.0, 50.0][usize::try_from(self.dice.roll(4)).expect("small")]
    }

    /// Something of the agent's that is like `wanted`, or something that is not there.
    fn existing(&mut self, wanted: fn(&proto::Resource) -> bool) -> proto::Resource {
        let all: Vec<proto::Resource> = self.agent.total.to_protobuf().into_iter().filter(wanted).collect();
        let found = self.dice.pick(&all).cloned();
        found.unwrap_or_else(|| volume("nowhere", 10.0))
    }

    fn operation(&mut self) -> Operation {
        let amount = self.amount();
        let is_volume = |resource: &proto::Resource| resource.disk.persistence.is_some();
        let operation = match self.dice.roll(9) {
            0..=2 => on(Type::RESERVE, vec![reserved("disk", amount, ROLE)]),
            3 => on(Type::RESERVE, vec![reserved("cpus", 1.0, ROLE)]),
            4 => on(Type::UNRESERVE, vec![reserved("disk", amount, ROLE)]),
            5 => {
                let id = self.name("v");
                let shared = self.dice.roll(2) == 0;
                on(
                    Type::CREATE,
                    vec![if shared {
                        shared_volume(&id, amount)
                    } else {
                        volume(&id, amount)
                    }],
                )
            }
            6 => on(Type::DESTROY, vec![self.existing(is_volume)]),
            7 => grow(self.existing(is_volume), reserved("disk", amount, ROLE)),
            _ => shrink(self.existing(is_volume), amount),
        };
        if self.dice.roll(3) == 0 {
            return operation;
        }
        let id = self.name("o");
        named(&id, operation)
    }

    fn launch(&mut self) -> Operation {
        let id = self.name("t");
        let mut resources = vec![scalar("cpus", 0.5), scalar("mem", 64.0)];
        if self.dice.roll(2) == 0 {
            resources.push(self.existing(|resource| resource.disk.persistence.is_some()));
        }
        launch(vec![self.world.task(&id, resources)])
    }

    fn accept(&mut self) {
        let first = self.dice.roll(2) == 0;
        let scheduler = if first { &self.world.scheduler } else { &self.other };
        let (id, stream) = (scheduler.id.clone(), scheduler.stream.clone());
        if !self
            .world
            .harness
            .master
            .frameworks()
            .get(&id)
            .is_some_and(mesos_master_core::Framework::is_connected)
        {
            return;
        }
        let offers: Vec<OfferId> = self.world.harness.offers(&id);
        if offers.is_empty() {
            return;
        }
        let count = self.dice.roll(4);
        let mut operations: Vec<Operation> = (0..count).map(|_| self.operation()).collect();
        if self.dice.roll(3) == 0 {
            operations.push(self.launch());
        }
        let scheduler = if first { &self.world.scheduler } else { &self.other };
        let mut call = scheduler.accept_call(&offers, operations);
        let accept = call.accept.mut_or_insert_default();
        accept.filters.mut_or_insert_default().set_refuse_seconds(0.0);
        self.world.harness.call(call, Some(&stream));
    }

    fn operate(&mut self) {
        let mut operation = self.operation();
        operation.id = protobuf::MessageField::none();
        let agent_id = self.world.agent.clone();
        let operation = Box::new(operation);
        self.world
            .harness
            .operator(OperatorCall::Operate { agent_id, operation });
    }

    /// Takes what left the master: to the agent, and statuses to schedulers.
    fn deliver(&mut self) {
        for out in std::mem::take(&mut self.world.harness.out) {
            match out {
                Out::Message { to, message, .. } if to == self.world.address => self.receive(message),
                Out::Event(stream, event) => {
                    let status = event.update_operation_status.status.as_ref();
                    let status = status.filter(|status| status.uuid.is_some());
                    self.told.extend(status.map(|status| (stream, status.clone())));
                }
                _ => {}
            }
        }
    }

    fn receive(&mut self, message: Message) {
        match message {
            Message::ApplyOperation(message) => self.agent.inbox.push(*message),
            Message::AcknowledgeOperationStatus(message) => {
                self.agent
                    .known
                    .retain(|(known, _)| known.uuid != message.operation_uuid);
            }
            Message::ReconcileOperations(message) => {
                for missing in message.operations {
                    self.disown(&missing.operation_uuid);
                }
            }
            _ => {}
        }
    }

    /// The agent answers for an operation that the master believes here.
    fn disown(&mut self, uuid: &proto::UUID) {
        if self.agent.known.iter().any(|(known, _)| *known.uuid == *uuid) {
            return;
        }
        self.agent.inbox.retain(|message| *message.operation_uuid != *uuid);
        let mut message = wire::UpdateOperationStatusMessage::new();
        message.slave_id = Some(self.world.agent.to_proto()).into();
        message.operation_uuid = Some(uuid.clone()).into();
        let status = message.status.mut_or_insert_default();
        status.set_state(OperationState::OPERATION_DROPPED);
        self.world.harness.receive(&self.world.address.clone(), message);
    }

    /// The agent does the next thing that it was told to, or fails.
    fn work(&mut self) {
        self.deliver();
        if self.agent.inbox.is_empty() {
            return;
        }
        let sent = self.agent.inbox.remove(0);
        let mut plain = (*sent.operation_info).clone();
        strip_allocation_from_operation(&mut plain);
        let current = sent.resource_version_uuid.uuid.value().first() == Some(&self.agent.version);
        let state = match self.agent.total.apply(&plain) {
            Ok(total) if current && self.dice.roll(5) > 0 => {
                self.agent.total = total;
                OperationState::OPERATION_FINISHED
            }
            Ok(_) if current => OperationState::OPERATION_FAILED,
            Ok(_) | Err(_) => OperationState::OPERATION_DROPPED,
        };
        self.agent.next_status += 1;
        let mut status = self.world.status(&sent, state, 0);
        let mut uuid = [0; 16];
        uuid[..8].copy_from_slice(&self.agent.next_status.to_be_bytes());
        for status in [&mut status.status, &mut status.latest_status] {
            let own = status.mut_or_insert_default();
            own.uuid.mut_or_insert_default().set_value(uuid.to_vec());
        }
        let mut operation = proto::Operation::new();
        operation.framework_id = sent.framework_id.clone();
        operation.slave_id = status.slave_id.clone();
        operation.info = sent.operation_info.clone();
        operation.uuid = sent.operation_uuid.clone();
        operation.latest_status = status.status.clone();
        self.agent.known.push((operation, status));
        self.tell();
    }

    /// The agent tells a status that is not acknowledged.
    fn tell(&mut self) {
        let statuses: Vec<_> = self.agent.known.iter().map(|(_, status)| status.clone()).collect();
        if let Some(status) = self.dice.pick(&statuses).cloned() {
            self.world.harness.receive(&self.world.address.clone(), status);
            self.deliver();
        }
    }

    /// A scheduler acknowledges what it was told.
    fn acknowledge(&mut self) {
        let Some((stream, status)) = self.dice.pick(&self.told).cloned() else {
            return;
        };
        let first = stream == self.world.scheduler.stream;
        let scheduler = if first { &self.world.scheduler } else { &self.other };
        let mut call = scheduler.typed(call::Type::ACKNOWLEDGE_OPERATION_STATUS);
        let acknowledge = call.acknowledge_operation_status.mut_or_insert_default();
        acknowledge.slave_id = status.slave_id.clone();
        acknowledge.operation_id = status.operation_id.clone();
        acknowledge.set_uuid(status.uuid.value().to_vec());
        self.world.harness.call(call, Some(&stream));
        self.deliver();
    }

    /// The agent registers again, after a restart or only a broken connection, and reports what it knows.
    fn return_agent(&mut self, restarted: bool) {
        if restarted {
            // What was on its way is lost with the process, or comes for the wrong version.
            self.agent.version += 1;
        }
        let mut message = reregister_message(&self.world.agent);
        let version = vec![self.agent.version; 16];
        message.resource_version_uuid.mut_or_insert_default().set_value(version);
        message.slave.mut_or_insert_default().resources = crate::actors::resources(RESOURCES);
        let kept = |resource: &mesos::resources::Resource| !resource.is_unreserved();
        message.checkpointed_resources = self.agent.total.filter(kept).to_protobuf();
        for framework in self.world.harness.master.frameworks().values() {
            message.frameworks.push(framework.info().clone());
            let tasks = framework.tasks().values();
            message.tasks.extend(tasks.map(|task| task.message().clone()));
        }
        let address = self.world.address.clone();
        self.world.harness.receive(&address, message);
        self.report();
    }

    fn report(&mut self) {
        let known = self
            .agent
            .known
            .iter()
            .map(|(operation, _)| operation.clone())
            .collect();
        let report = self.world.report(known);
        self.world.harness.receive(&self.world.address.clone(), report);
        self.deliver();
    }

    /// A task of somebody ends.
    fn end_task(&mut self) {
        let frameworks = self.world.harness.master.frameworks().values();
        let tasks: Vec<_> = frameworks
            .flat_map(|framework| framework.tasks().values())
            .map(|task| (task.framework_id().clone(), task.id().clone()))
            .collect();
        if let Some((framework, task)) = self.dice.pick(&tasks).cloned() {
            let message = update(
                &framework,
                &self.world.agent,
                task.as_str(),
                TaskState::TASK_FINISHED,
                1,
            );
            self.world.harness.receive(&self.world.address.clone(), message);
        }
    }

    /// The other framework goes away, comes back, or ends and is replaced by another one.
    fn change_framework(&mut self) {
        let mut info = self.other.info.clone();
        match self.dice.roll(3) {
            0 => {
                let stream = self.other.stream.clone();
                self.world.harness.step(Input::SchedulerStreamClosed(stream));
                return;
            }
            1 => {
                self.world
                    .harness
                    .operator(OperatorCall::Teardown(self.other.id.clone()));
                info.id = protobuf::MessageField::none();
            }
            _ => {}
        }
        self.deliver();
        self.world.harness.call(subscribe_call(&info), None);
        let stream = self.world.harness.last_stream();
        let id = self.world.harness.out.iter().find_map(|out| match out {
            Out::Event(_, event) => event.subscribed.framework_id.as_ref().cloned(),
            _ => None,
        });
        info.id = Some(id.expect("subscribed")).into();
        self.other = Scheduler {
            id: mesos::ids::FrameworkId::from(&*info.id),
            stream,
            info,
        };
    }

    fn step(&mut self) {
        match self.dice.roll(24) {
            0..=7 => self.accept(),
            8 => self.operate(),
            9..=14 => self.work(),
            15..=16 => self.tell(),
            17..=18 => self.acknowledge(),
            19 => self.end_task(),
            20 => {
                self.world.harness.exited(&self.world.address.clone());
                self.deliver();
                if self.dice.roll(2) == 0 {
                    // Lost with the connection.
                    self.agent.inbox.clear();
                }
                let restarted = self.dice.roll(2) == 0;
                self.return_agent(restarted);
            }
            21 => self.report(),
            22 => self.change_framework(),
            _ => {
                let address = self.world.address.clone();
                self.world.harness.advance_alive(Duration::from_secs(2), &[&address]);
            }
        }
        self.deliver();
    }

    /// The agent answers everything; then both sides have the same.
    fn settle(&mut self) {
        for _ in 0..400 {
            self.work();
            if self.agent.inbox.is_empty() {
                break;
            }
        }
        for (_, status) in self.agent.known.clone() {
            self.world.harness.receive(&self.world.address.clone(), status);
        }
        self.report();
        while self
            .world
            .harness
            .agent(&self.world.agent)
            .used()
            .values()
            .next()
            .is_some()
        {
            self.end_task();
            self.deliver();
        }
        assert_eq!(self.world.total(), self.agent.total);
    }
}

const KINDS: [&str; 6] = [
    "reserve",
    "unreserve",
    "create",
    "destroy",
    "grow_volume",
    "shrink_volume",
];

/// Plays a history and gives how many operations of each kind were done, and how many were not.
fn play(seed: u64) -> ([u64; KINDS.len()], u64) {
    let mut history = History::new(seed);
    for _ in 0..200 {
        history.step();
    }
    history.settle();
    let counts = history.world.harness.master.operation_counts();
    let done = KINDS.map(|kind| counts.get(kind, "finished"));
    let failed = KINDS.map(|kind| counts.get(kind, "failed") + counts.get(kind, "dropped"));
    (done, failed.iter().sum())
}

#[test]
fn no_history_of_operations_contradicts_itself() {
    let seeds = std::env::var("MESOS_RS_SEEDS").ok().and_then(|text| text.parse().ok());
    let (mut done, mut failed) = ([0; KINDS.len()], 0);
    for seed in 0..seeds.unwrap_or(60) {
        match std::panic::catch_unwind(|| play(seed)) {
            Ok((kinds, others)) => {
                done.iter_mut().zip(kinds).for_each(|(sum, count)| *sum += count);
                failed += others;
            }
            Err(panic) => {
                eprintln!("history with seed {seed} failed");
                std::panic::resume_unwind(panic);
            }
        }
    }
    assert!(
        done.iter().all(|count| *count > 0) && failed > 0,
        "{KINDS:?}: {done:?}, {failed} not done"
    );
}
