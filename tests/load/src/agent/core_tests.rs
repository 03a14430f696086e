//! Histories of one agent, input by input.

use std::sync::Arc;
use std::time::Duration;

use libprocess_types::{Time, Upid};
use mesos::Message;
use mesos_proto::internal::wire::messages as wire;
use mesos_proto::v0::mesos::{FrameworkInfo, TaskState};
use protobuf::Message as _;

use super::*;
use crate::framework::framework_info;
use crate::record::Note;

const SECOND: Duration = Duration::from_secs(1);

struct Bench {
    core: AgentCore,
    now: Time,
}

impl Bench {
    fn new(kind: AgentKind) -> Self {
        let pid: Upid = "slave(7)@127.0.0.1:6000".parse().expect("a pid");
        Self {
            core: AgentCore::new(Arc::new(kind), pid, 7, 1),
            now: Time::EPOCH,
        }
    }

    fn step(&mut self, input: AgentInput) -> Vec<Effect> {
        self.core.step(self.now, input)
    }

    fn message(&mut self, message: impl Into<Message>) -> Vec<Effect> {
        let from = "slave-observer(1)@127.0.0.1:5050".parse().expect("a pid");
        let message = message.into();
        self.step(AgentInput::Message { from, message })
    }

    fn registered(&mut self) -> Vec<Effect> {
        let mut answer = wire::SlaveRegisteredMessage::new();
        answer.slave_id.mut_or_insert_default().set_value("S7".to_owned());
        self.message(answer)
    }

    fn reregistered(&mut self, id: &str) -> Vec<Effect> {
        let mut answer = wire::SlaveReregisteredMessage::new();
        answer.slave_id.mut_or_insert_default().set_value(id.to_owned());
        self.message(answer)
    }

    fn run(&mut self, task: &str) -> Vec<Effect> {
        let mut message = wire::RunTaskMessage::new();
        message.framework = Some(framework()).into();
        let info = message.task.mut_or_insert_default();
        info.set_name("task".to_owned());
        info.task_id.mut_or_insert_default().set_value(task.to_owned());
        self.message(message)
    }

    fn acknowledge(&mut self, task: &str, uuid: &[u8]) -> Vec<Effect> {
        let mut message = wire::StatusUpdateAcknowledgementMessage::new();
        message.framework_id.mut_or_insert_default().set_value("F".to_owned());
        message.task_id.mut_or_insert_default().set_value(task.to_owned());
        message.set_uuid(uuid.to_vec());
        self.message(message)
    }
}

fn framework() -> FrameworkInfo {
    let mut info = framework_info("test", "role");
    info.id.mut_or_insert_default().set_value("F".to_owned());
    info
}

/// One word for each effect, for comparing.
fn words(effects: &[Effect]) -> Vec<String> {
    effects
        .iter()
        .map(|effect| match effect {
            Effect::LinkMaster => "link".to_owned(),
            Effect::Send(message) => message.name().rsplit('.').next().unwrap_or_default().to_owned(),
            Effect::SendReregistration(_) => "ReregisterSlaveMessage".to_owned(),
            Effect::Reply(to, message) => format!("{} to {to}", message.name()),
            Effect::SetTimer(AgentTimer::Registration, after) => format!("ask again in {after:?}"),
            Effect::SetTimer(AgentTimer::TaskEnd(key), after) => format!("end {} in {after:?}", key.task_id),
            Effect::SetTimer(AgentTimer::Acknowledgement(key), after) => format!("repeat {} in {after:?}", key.task_id),
            Effect::CancelTimer(AgentTimer::Registration) => "ask no more".to_owned(),
            Effect::CancelTimer(AgentTimer::TaskEnd(key)) => format!("no end of {}", key.task_id),
            Effect::CancelTimer(AgentTimer::Acknowledgement(key)) => format!("no repeat of {}", key.task_id),
            Effect::Note(note) => format!("{note:?}"),
        })
        .collect()
}

fn sent_update(effects: &[Effect]) -> wire::StatusUpdate {
    let update = effects.iter().find_map(|effect| match effect {
        Effect::Send(Message::StatusUpdate(message)) => Some((*message.update).clone()),
        _ => None,
    });
    update.expect("an update is sent")
}

#[test]
fn an_agent_asks_until_it_is_answered() {
    let mut bench = Bench::new(AgentKind::default());
    let expected = ["Asked", "link", "RegisterSlaveMessage", "ask again in 1s"];
    assert_eq!(words(&bench.step(AgentInput::MasterFound)), expected);
    for (attempt, wait) in ["2s", "4s", "8s", "16s", "32s", "60s", "60s"].iter().enumerate() {
        bench.now += SECOND;
        let effects = bench.step(AgentInput::Timer(AgentTimer::Registration));
        let again = format!("ask again in {wait}");
        assert_eq!(
            words(&effects),
            ["AskedAgain", "RegisterSlaveMessage", &again],
            "{attempt}"
        );
    }
    assert_eq!(words(&bench.registered()), ["Answered(7s)", "ask no more"]);
    assert_eq!((bench.core.id(), bench.core.is_registered()), (Some("S7"), true));
    assert!(bench.step(AgentInput::Timer(AgentTimer::Registration)).is_empty());
    assert!(bench.registered().is_empty(), "a second answer changes nothing");
}

#[test]
fn a_task_goes_through_its_life_with_each_update_acknowledged() {
    let mut bench = Bench::new(AgentKind::default());
    bench.step(AgentInput::MasterFound);
    bench.registered();
    let effects = bench.run("t");
    let expected = ["TaskStarted", "end t in 1s", "StatusUpdateMessage", "repeat t in 10s"];
    assert_eq!(words(&effects), expected);
    let running = sent_update(&effects);
    assert_eq!(running.status.state(), TaskState::TASK_RUNNING);
    bench.now += SECOND;
    let end = AgentTimer::TaskEnd(bench.core.tasks().keys().next().expect("a task").clone());
    assert!(
        bench.step(AgentInput::Timer(end)).is_empty(),
        "the first update is not acknowledged"
    );
    bench.now += SECOND;
    let effects = bench.acknowledge("t", running.uuid());
    let expected = [
        "UpdateAcknowledged(2s)",
        "no repeat of t",
        "StatusUpdateMessage",
        "repeat t in 10s",
    ];
    assert_eq!(words(&effects), expected);
    let finished = sent_update(&effects);
    assert_eq!(finished.status.state(), TaskState::TASK_FINISHED);
    assert!(bench.acknowledge("t", running.uuid()).is_empty(), "repeated");
    bench.acknowledge("t", finished.uuid());
    assert!(bench.core.tasks().is_empty());
}

#[test]
fn what_was_not_acknowledged_is_repeated() {
    let mut bench = Bench::new(AgentKind::default());
    bench.step(AgentInput::MasterFound);
    bench.registered();
    let first = sent_update(&bench.run("t"));
    let key = bench.core.tasks().keys().next().expect("a task").clone();
    let effects = bench.step(AgentInput::Timer(AgentTimer::Acknowledgement(key.clone())));
    let expected = ["StatusUpdateMessage", "repeat t in 20s", "UpdateRepeated"];
    assert_eq!(words(&effects), expected);
    assert_eq!(sent_update(&effects), first);
    bench.step(AgentInput::MasterLost);
    assert!(
        bench
            .step(AgentInput::Timer(AgentTimer::Acknowledgement(key)))
            .is_empty(),
        "without a master nothing is sent"
    );
    bench.step(AgentInput::MasterFound);
    let effects = bench.reregistered("S7");
    let expected = [
        "Answered(0ns)",
        "ask no more",
        "StatusUpdateMessage",
        "repeat t in 40s",
        "UpdateRepeated",
    ];
    assert_eq!(words(&effects), expected);
}

#[test]
fn an_agent_that_lost_its_master_reports_its_tasks() {
    let mut bench = Bench::new(AgentKind::default());
    bench.step(AgentInput::MasterFound);
    bench.registered();
    bench.run("t");
    assert_eq!(words(&bench.step(AgentInput::MasterLost)), ["AgentLost", "ask no more"]);
    let effects = bench.step(AgentInput::MasterFound);
    let expected = ["Asked", "link", "ReregisterSlaveMessage", "ask again in 1s"];
    assert_eq!(words(&effects), expected);
    let Effect::SendReregistration(body) = &effects[2] else {
        panic!("{effects:?}");
    };
    let message = wire::ReregisterSlaveMessage::parse_from_bytes(body).expect("valid");
    assert_eq!(message.slave.id.value(), "S7");
    assert_eq!(message.frameworks[0].id.value(), "F");
    let task = &message.tasks[0];
    assert_eq!((task.task_id.value(), task.state()), ("t", TaskState::TASK_RUNNING));
}

#[test]
fn pings_are_answered_and_say_whether_the_master_still_has_the_agent() {
    let mut bench = Bench::new(AgentKind::default());
    bench.step(AgentInput::MasterFound);
    bench.registered();
    let mut ping = wire::PingSlaveMessage::new();
    ping.set_connected(true);
    let pong = "mesos.internal.PongSlaveMessage to slave-observer(1)@127.0.0.1:5050";
    assert_eq!(words(&bench.message(ping.clone())), [pong, "PingAnswered"]);
    ping.set_connected(false);
    let expected = [
        pong,
        "PingAnswered",
        "AgentLost",
        "Asked",
        "link",
        "ReregisterSlaveMessage",
        "ask again in 1s",
    ];
    assert_eq!(words(&bench.message(ping)), expected);
}

#[test]
fn tasks_end_when_killed_and_vanish_with_their_framework() {
    let kind = AgentKind {
        run_time: RunTime::Forever,
        ..AgentKind::default()
    };
    let mut bench = Bench::new(kind);
    bench.step(AgentInput::MasterFound);
    bench.registered();
    let running = sent_update(&bench.run("t"));
    bench.acknowledge("t", running.uuid());
    let mut kill = wire::KillTaskMessage::new();
    kill.framework_id.mut_or_insert_default().set_value("F".to_owned());
    kill.task_id.mut_or_insert_default().set_value("t".to_owned());
    let killed = sent_update(&bench.message(kill));
    assert_eq!(killed.status.state(), TaskState::TASK_KILLED);
    bench.run("u");
    let mut shutdown = wire::ShutdownFrameworkMessage::new();
    shutdown.framework_id.mut_or_insert_default().set_value("F".to_owned());
    assert!(bench.message(shutdown).is_empty());
    assert!(bench.core.tasks().is_empty());
}

#[test]
fn what_should_not_happen_is_told() {
    let mut bench = Bench::new(AgentKind::default());
    bench.step(AgentInput::MasterFound);
    bench.registered();
    bench.run("t");
    let problem = |effects: Vec<Effect>| matches!(&effects[..], [Effect::Note(Note::Problem(_))]);
    assert!(problem(bench.run("t")), "launched twice");
    assert!(problem(bench.message(wire::LostSlaveMessage::new())), "not for agents");
    assert!(problem(bench.message(wire::ShutdownMessage::new())), "shut down");
    assert!(bench.step(AgentInput::MasterFound).is_empty(), "it stays down");
}

#[test]
fn preloaded_tasks_come_with_the_first_message() {
    let kind = AgentKind {
        preload: Some(Preload {
            framework: Arc::new(framework()),
            shape: Arc::new(TaskShape::new("task", &[], None)),
            tasks: 3,
            agent_id_prefix: "old-S".to_owned(),
        }),
        ..AgentKind::default()
    };
    let mut bench = Bench::new(kind);
    let effects = bench.step(AgentInput::MasterFound);
    let Effect::SendReregistration(body) = &effects[2] else {
        panic!("{effects:?}");
    };
    let message = wire::ReregisterSlaveMessage::parse_from_bytes(body).expect("valid");
    assert_eq!((message.slave.id.value(), message.tasks.len()), ("old-S7", 3));
    assert_eq!(words(&bench.reregistered("old-S7")), ["Answered(0ns)", "ask no more"]);
}
