//! Recorded exchanges of the original agent, played to ours: what master and executors sent goes in, and what comes
//! out is compared, message by message, with what the original sent.
//!
//! The order of messages to one receiver is compared for each task and kind of message: between tasks the original's
//! order depends on its threads. Container ids, process ids and the resource version are each agent's own.

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use libprocess_types::Upid;
use mesos::Message;
use mesos_agent_core::{AgentConfig, AgentState, AgentTimer, Effect, ExecutorState, Input};
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::executor;
use mesos_proto::v0::mesos as pb;
use protobuf::MessageField;
use support::{Bench, upid};

struct Recorded {
    from: String,
    to: String,
    message: Message,
}

const AGENT: &str = "slave(1)@127.0.0.1:15051";
const MASTER: &str = "master@127.0.0.1:15050";

/// The messages of a recording to and from the agent; none when recordings are not at hand.
fn recording(name: &str) -> Option<Vec<Recorded>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/golden/wire/");
    let Ok(text) = std::fs::read_to_string(PathBuf::from(path).join(name)) else {
        eprintln!("skipped: recording {name} is not at hand");
        return None;
    };
    let mut messages = Vec::new();
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).expect("a recorded line");
        let field = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let (from, to) = (field("from"), field("to"));
        if from != AGENT && to != AGENT {
            continue;
        }
        let body = base64::engine::general_purpose::STANDARD
            .decode(field("body"))
            .expect("base64");
        let message = Message::decode(&field("name"), &body)
            .expect("a known message")
            .expect("a valid body");
        messages.push(Recorded { from, to, message });
    }
    Some(messages)
}

/// The description that the recorded agent registered with.
fn recorded_info() -> Option<pb::SlaveInfo> {
    let messages = recording("w1_registration.jsonl")?;
    messages.into_iter().find_map(|recorded| match recorded.message {
        Message::RegisterSlave(message) => message.slave.into_option(),
        _ => None,
    })
}

type Sequences = BTreeMap<(String, String, String), Vec<Message>>;

struct Replay {
    bench: Bench,
    ours: Sequences,
    original: Sequences,
    launches_seen: usize,
}

impl Replay {
    fn new() -> Option<Self> {
        Some(Self::of(recorded_info()?))
    }

    /// An agent with this description.
    fn of(info: pb::SlaveInfo) -> Self {
        let mut config = AgentConfig::new(upid(AGENT), info, "/w".into());
        config.version = "1.12.0".to_owned();
        let mut bench = Bench::new(config);
        bench.step(Input::Recovered(Box::default()));
        Self {
            bench,
            ours: Sequences::new(),
            original: Sequences::new(),
            launches_seen: 0,
        }
    }

    /// Registers where the recording begins with a registered agent.
    fn register_as(&mut self, agent: &str) {
        self.step(Input::MasterDetected(Some(upid(MASTER))));
        let effects = self.bench.fire(&AgentTimer::Registration);
        self.note(effects);
        let message = support::build::registered(agent);
        self.step(Input::Message {
            from: upid(MASTER),
            message: message.into(),
        });
        self.ours.clear();
    }

    fn step(&mut self, input: Input) {
        let effects = self.bench.step(input);
        self.note(effects);
        while let Some(launch) = self.bench.launches.get(self.launches_seen) {
            self.launches_seen += 1;
            let container_id = launch.container_id.clone();
            let result = Ok(Box::new(pb::ContainerStatus::new()));
            let effects = self.bench.step(Input::LaunchFinished { container_id, result });
            self.note(effects);
        }
    }

    fn note(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            if let Effect::Send { to, message } = effect {
                add(&mut self.ours, &to.to_string(), message);
            }
        }
    }

    fn play(&mut self, recorded: Recorded) {
        if recorded.to == AGENT {
            let message = self.with_our_uuids(recorded.message);
            self.step(Input::Message {
                from: upid(&recorded.from),
                message,
            });
            self.end_executors();
            return;
        }
        match &recorded.message {
            Message::RegisterSlave(_) => {
                self.step(Input::MasterDetected(Some(upid(MASTER))));
                let effects = self.bench.fire(&AgentTimer::Registration);
                self.note(effects);
            }
            Message::ReregisterSlave(_) if self.bench.agent.state() == AgentState::Running => {
                let effects = self.bench.fire(&AgentTimer::PingTimeout);
                self.note(effects);
                self.step(Input::MasterDetected(Some(upid(MASTER))));
                let effects = self.bench.fire(&AgentTimer::Registration);
                self.note(effects);
            }
            _ => {}
        }
        add(&mut self.original, &recorded.to, recorded.message);
    }

    fn receive(&mut self, from: &str, message: Message) {
        self.step(Input::Message {
            from: upid(from),
            message,
        });
    }

    /// A call of an executor over the v1 API.
    fn call(&mut self, framework: &str, executor: &str, fill: impl FnOnce(&mut executor::Call)) {
        let mut call = executor::Call::new();
        call.framework_id
            .mut_or_insert_default()
            .set_value(framework.to_owned());
        call.executor_id.mut_or_insert_default().set_value(executor.to_owned());
        fill(&mut call);
        let effects = self.bench.call(1, call);
        self.note(effects);
    }

    /// The default executor reports what the agent forwarded then, without what the agent added: that it knows from
    /// the container of the task.
    fn report_as(&mut self, framework: &str, executor: &str, mut status: pb::TaskStatus) {
        let known = status.container_status.clone().unwrap_or_default();
        let nested = self.bench.launches[0].container_id.child(known.container_id.value());
        let told = status.container_status.mut_or_insert_default();
        *told = pb::ContainerStatus::new();
        told.container_id = MessageField::some(nested.to_proto());
        if known.executor_pid.is_some() {
            let mut running = known;
            running.container_id = MessageField::some(nested.to_proto());
            self.step(Input::NestedContainerRunning {
                container_id: nested,
                status: Box::new(running),
            });
        } else {
            self.step(Input::NestedContainerEnded { container_id: nested });
        }
        status.slave_id.clear();
        self.call(framework, executor, |call| {
            call.set_type(executor::call::Type::UPDATE);
            call.update.mut_or_insert_default().status = MessageField::some(status);
        });
    }

    /// Executors that are told to shut down do so.
    fn end_executors(&mut self) {
        let executors = self
            .bench
            .agent
            .frameworks()
            .flat_map(mesos_agent_core::Framework::executors);
        let ending = executors.filter(|executor| executor.state() == ExecutorState::Terminating);
        let ending: Vec<_> = ending.map(|executor| executor.container_id().clone()).collect();
        for container in ending {
            let effects = self.bench.terminated(&container, 9);
            // When an executor ends is not part of the recording.
            self.note(effects.into_iter().filter(|effect| !is_exit(effect)).collect());
        }
    }

    /// The master answers to the resource version and the statuses of our agent.
    fn with_our_uuids(&self, mut message: Message) -> Message {
        let ours = |uuid: &mut MessageField<pb::UUID>, bytes: &[u8]| {
            uuid.mut_or_insert_default().set_value(bytes.to_vec());
        };
        let version = self.bench.agent.resource_version();
        match &mut message {
            Message::RunTask(message) => {
                for known in &mut message.resource_version_uuids {
                    ours(&mut known.uuid, version);
                }
            }
            Message::RunTaskGroup(message) => {
                for known in &mut message.resource_version_uuids {
                    ours(&mut known.uuid, version);
                }
            }
            Message::ApplyOperation(message) => {
                ours(&mut message.resource_version_uuid.mut_or_insert_default().uuid, version);
            }
            Message::AcknowledgeOperationStatus(message) => {
                let mut operations = self.bench.agent.operations();
                let operation = operations.find(|known| known.uuid == message.operation_uuid);
                let status = &operation.expect("known").latest_status;
                ours(&mut message.status_uuid, status.uuid.value());
            }
            _ => {}
        }
        message
    }

    fn compare(&self) {
        let keys = |sequences: &Sequences| sequences.keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&self.ours), keys(&self.original));
        for (key, ours) in &self.ours {
            let original = &self.original[key];
            for (number, (ours, original)) in ours.iter().zip(original).enumerate() {
                assert_eq!(ours, original, "message {number} of {key:?}");
            }
            assert_eq!(ours.len(), original.len(), "number of messages of {key:?}");
        }
    }
}

fn is_exit(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Send {
            message: Message::ExitedExecutor(_),
            ..
        }
    )
}

fn add(sequences: &mut Sequences, to: &str, message: Message) {
    let message = normalized(message);
    let task = match &message {
        Message::StatusUpdate(message) => message.update.status.task_id.value().to_owned(),
        Message::StatusUpdateAcknowledgement(message) => message.task_id.value().to_owned(),
        Message::UpdateOperationStatus(message) => format!("{:?}", message.operation_uuid.value()),
        _ => String::new(),
    };
    sequences
        .entry((to.to_owned(), message.name().to_owned(), task))
        .or_default()
        .push(message);
}

/// Without what is each agent's own.
fn normalized(mut message: Message) -> Message {
    let zero = || {
        let mut uuid = pb::UUID::new();
        uuid.set_value(vec![0; 16]);
        MessageField::some(uuid)
    };
    match &mut message {
        Message::StatusUpdate(message) => {
            let update: &mut internal::StatusUpdate = message.update.mut_or_insert_default();
            // Depends on how far the original's threads were.
            assert!(update.latest_state.take().is_some());
            normalize_status(update.status.mut_or_insert_default());
        }
        Message::RegisterSlave(message) => message.resource_version_uuid = zero(),
        Message::UpdateSlave(message) => message.resource_version_uuid = zero(),
        Message::UpdateOperationStatus(message) => {
            assert_eq!(message.status, message.latest_status);
            message.status.mut_or_insert_default().uuid = zero();
            message.latest_status.mut_or_insert_default().uuid = zero();
        }
        Message::ReregisterSlave(message) => {
            message.resource_version_uuid = zero();
            let archived = message
                .completed_frameworks
                .iter_mut()
                .flat_map(|framework| &mut framework.tasks);
            for task in message.tasks.iter_mut().chain(archived) {
                task.statuses.iter_mut().for_each(normalize_status);
            }
        }
        _ => {}
    }
    message
}

fn normalize_status(status: &mut pb::TaskStatus) {
    if let Some(container) = status.container_status.as_mut() {
        assert!(container.container_id.is_some());
        container.container_id.clear();
        container.executor_pid = None;
    }
}

/// Plays a recording that begins with a registered agent.
fn replay_registered(name: &str) {
    if let (Some(replay), Some(messages)) = (Replay::new(), recording(name)) {
        play_registered(replay, messages);
    }
}

fn play_registered(mut replay: Replay, messages: Vec<Recorded>) {
    let agent = messages.iter().find_map(|recorded| match &recorded.message {
        Message::RunTask(message) => Some(message.task.slave_id.value().to_owned()),
        _ => None,
    });
    replay.register_as(&agent.expect("a launch in the recording"));
    let launched = |recorded: &Recorded| !matches!(&recorded.message, Message::ExitedExecutor(_));
    for recorded in messages.into_iter().filter(launched) {
        replay.play(recorded);
    }
    replay.compare();
}

#[test]
fn registration_and_pings() {
    let (Some(mut replay), Some(messages)) = (Replay::new(), recording("w1_registration.jsonl")) else {
        return;
    };
    for recorded in messages {
        replay.play(recorded);
    }
    replay.compare();
}

#[test]
fn tasks_in_a_libprocess_executor() {
    replay_registered("w2_v0_test_framework.jsonl");
}

#[test]
fn tasks_in_a_libprocess_executor_with_explicit_acknowledgements() {
    replay_registered("w2b_v0_explicit_ack.jsonl");
}

#[test]
fn a_command_task() {
    replay_registered("w3_mesos_execute.jsonl");
}

#[test]
fn command_tasks_side_by_side() {
    replay_registered("w6_no_executor.jsonl");
}

/// What the default executor called is not part of the recording: it follows from what the agent made of it.
#[test]
fn a_task_group_in_the_default_executor() {
    let (Some(mut replay), Some(messages)) = (Replay::new(), recording("w5_task_group.jsonl")) else {
        return;
    };
    let group = messages.iter().find_map(|recorded| match &recorded.message {
        Message::RunTaskGroup(message) => Some(message.clone()),
        _ => None,
    });
    let group = group.expect("a group");
    let (framework, executor) = (group.framework.id.value(), group.executor.executor_id.value());
    replay.register_as(group.task_group.tasks[0].slave_id.value());
    let of_group = |recorded: &Recorded| match &recorded.message {
        Message::RunTaskGroup(_) => true,
        Message::StatusUpdate(message) => message.update.framework_id.value() == framework,
        Message::StatusUpdateAcknowledgement(message) => message.framework_id.value() == framework,
        Message::ShutdownFramework(message) => message.framework_id.value() == framework,
        Message::ExitedExecutor(message) => message.framework_id.value() == framework,
        _ => false,
    };
    for recorded in messages.into_iter().filter(of_group) {
        match &recorded.message {
            Message::StatusUpdate(message) => {
                let status = message.update.status.clone().unwrap_or_default();
                replay.report_as(framework, executor, status);
            }
            Message::ExitedExecutor(message) => {
                let container = replay.bench.launches[0].container_id.clone();
                let effects = replay.bench.terminated(&container, message.status());
                replay.note(effects);
            }
            Message::RunTaskGroup(_) => {
                let message = replay.with_our_uuids(recorded.message);
                replay.receive(&recorded.from, message);
                replay.call(framework, executor, |call| {
                    call.set_type(executor::call::Type::SUBSCRIBE);
                    call.subscribe.mut_or_insert_default();
                });
                continue;
            }
            _ => {
                replay.receive(&recorded.from, recorded.message);
                continue;
            }
        }
        add(&mut replay.original, &recorded.to, recorded.message);
    }
    replay.compare();
}

#[test]
fn tasks_with_persistent_volumes_of_which_some_are_shared() {
    let Some(mut messages) = recording("w14_persistent_volume.jsonl") else {
        return;
    };
    let info = messages.iter().find_map(|recorded| match &recorded.message {
        Message::ExecutorRegistered(message) => message.slave_info.clone().into_option(),
        _ => None,
    });
    let replay = Replay::of(info.expect("the agent's description"));
    // By then the original's command executors had ended by themselves, which is not part of the recording.
    messages.retain(|recorded| !matches!(recorded.message, Message::ShutdownFramework(_)));
    play_registered(replay, messages);
}

#[test]
fn a_kill_and_a_silence_of_the_master() {
    let (Some(mut replay), Some(messages)) = (Replay::new(), recording("w11_ping_timeout_kill.jsonl")) else {
        return;
    };
    for recorded in messages {
        replay.play(recorded);
    }
    replay.compare();
}

/// Only the part before the restart, and only the framework whose executors speak libprocess.
#[test]
fn a_restart_of_the_agent() {
    let (Some(mut replay), Some(messages)) = (Replay::new(), recording("w8_failover.jsonl")) else {
        return;
    };
    let over_http = |recorded: &Recorded| {
        let id = match &recorded.message {
            Message::RunTask(message) => message.framework.id.value(),
            Message::StatusUpdate(message) => message.update.framework_id.value(),
            Message::StatusUpdateAcknowledgement(message) => message.framework_id.value(),
            _ => "",
        };
        id.ends_with("-0001")
    };
    let is_reconnect = |recorded: &Recorded| matches!(recorded.message, Message::ReconnectExecutor(_));
    let restart = messages
        .iter()
        .position(is_reconnect)
        .expect("a restart in the recording");
    let mut messages = messages
        .into_iter()
        .enumerate()
        .filter(|(_, recorded)| !over_http(recorded));
    for (_, recorded) in messages.by_ref().take_while(|(number, _)| *number < restart) {
        replay.play(recorded);
    }
    replay.compare();

    let state = replay.bench.disk.read();
    let executors = state
        .agent
        .iter()
        .flat_map(|agent| &agent.frameworks)
        .flat_map(|framework| &framework.executors);
    assert_eq!(executors.count(), 2);
    let mut again = Replay::new().expect("recordings are at hand");
    again.bench = Bench::new(again.bench.agent.config().clone());
    again.step(Input::Recovered(Box::new(state)));
    let called: Vec<Upid> = again.ours.keys().map(|(to, _, _)| upid(to)).collect();
    assert_eq!(called.len(), 2);
    for (number, recorded) in messages {
        let reregistration = matches!(recorded.message, Message::ReregisterExecutor(_));
        if number > restart && reregistration {
            again.play(recorded);
        }
    }
    let answered = again
        .ours
        .keys()
        .filter(|(_, name, _)| name.ends_with("ExecutorReregisteredMessage"))
        .count();
    assert_eq!(answered, 2);
    assert_eq!(again.bench.agent.state(), AgentState::Disconnected);
}
