//! Late, repeated and foreign messages: everything that can be sent is sent at a wrong moment, and nothing changes.

use mesos::Message;
use mesos::ids::{AgentId, FrameworkId};
use mesos_master_core::{Input, MasterTimer, ObserverId, StreamId};
use mesos_proto::internal::wire::messages as wire;
use mesos_proto::v0::mesos::TaskState;
use mesos_proto::v0::scheduler::Call;
use mesos_registrar::{Answer, WriteId};
use protobuf::{EnumFull, MessageField};

use crate::actors::{MODERN, Scheduler, agent_upid, framework_info, register_agent, update};
use crate::harness::{Harness, upid};

/// A picture of all that matters, to compare before and after.
fn picture(harness: &Harness) -> String {
    let master = &harness.master;
    let frameworks: Vec<_> = master
        .frameworks()
        .values()
        .map(|framework| {
            (
                framework.id(),
                framework.state(),
                framework.tasks().keys().collect::<Vec<_>>(),
                framework.offers(),
            )
        })
        .collect();
    let agents: Vec<_> = master
        .agents()
        .values()
        .map(|agent| {
            (
                agent.id(),
                agent.connection(),
                agent.tasks(),
                agent.executors().len(),
                agent.used(),
            )
        })
        .collect();
    format!(
        "{frameworks:?} {agents:?} {:?}",
        master.offers().keys().collect::<Vec<_>>()
    )
}

/// Messages that speak for a framework and an agent.
fn forgeries(framework: &FrameworkId, agent: &AgentId) -> Vec<Message> {
    let framework_id: MessageField<_> = Some(framework.to_proto()).into();
    let agent_id: MessageField<_> = Some(agent.to_proto()).into();
    vec![
        wire::UnregisterFrameworkMessage {
            framework_id: framework_id.clone(),
            ..Default::default()
        }
        .into(),
        wire::DeactivateFrameworkMessage {
            framework_id: framework_id.clone(),
            ..Default::default()
        }
        .into(),
        wire::ReviveOffersMessage {
            framework_id: framework_id.clone(),
            ..Default::default()
        }
        .into(),
        wire::KillTaskMessage {
            framework_id: framework_id.clone(),
            ..Default::default()
        }
        .into(),
        wire::ReconcileTasksMessage {
            framework_id: framework_id.clone(),
            ..Default::default()
        }
        .into(),
        wire::LaunchTasksMessage {
            framework_id: framework_id.clone(),
            ..Default::default()
        }
        .into(),
        wire::ResourceRequestMessage {
            framework_id: framework_id.clone(),
            ..Default::default()
        }
        .into(),
        wire::StatusUpdateAcknowledgementMessage {
            framework_id: framework_id.clone(),
            ..Default::default()
        }
        .into(),
        wire::FrameworkToExecutorMessage {
            framework_id: framework_id.clone(),
            ..Default::default()
        }
        .into(),
        wire::UnregisterSlaveMessage {
            slave_id: agent_id.clone(),
            ..Default::default()
        }
        .into(),
        wire::ExitedExecutorMessage {
            slave_id: agent_id,
            framework_id,
            ..Default::default()
        }
        .into(),
        update(&FrameworkId::new("x"), &AgentId::new("x"), "a", TaskState::TASK_LOST, 1).into(),
        wire::SubmitSchedulerRequest {
            name: Some("x".to_owned()),
            ..Default::default()
        }
        .into(),
    ]
}

#[test]
fn messages_of_strangers_change_nothing() {
    let mut harness = Harness::new();
    let (_, agent) = register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    scheduler.launch(&mut harness, &agent, &["a"]);
    let before = picture(&harness);
    let stranger = upid("stranger@127.0.0.99:1");
    for name in Message::NAMES {
        // Registrations of the stranger itself are none of these: they lack what they need.
        if let Some(Ok(message)) = Message::decode(name, &[]) {
            harness.receive(&stranger, message);
        }
    }
    let messages = forgeries(&scheduler.id, &agent);
    for message in messages {
        harness.receive(&stranger, message);
    }
    harness.exited(&stranger);
    assert_eq!(picture(&harness), before);
    assert!(harness.names_to(&stranger).contains(&"SubmitSchedulerResponse"));
}

#[test]
fn calls_of_a_foreign_process_change_nothing() {
    let mut harness = Harness::new();
    register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    let before = picture(&harness);
    let stranger = upid("stranger@127.0.0.99:1");
    for value in mesos_proto::v0::scheduler::call::Type::enum_descriptor().values() {
        let mut call = Call::new();
        call.type_ = Some(protobuf::EnumOrUnknown::from_i32(value.value()));
        call.framework_id = Some(scheduler.id.to_proto()).into();
        call.accept.mut_or_insert_default();
        call.decline.mut_or_insert_default();
        call.kill.mut_or_insert_default();
        call.shutdown.mut_or_insert_default();
        call.acknowledge.mut_or_insert_default().set_uuid(vec![0; 16]);
        call.reconcile.mut_or_insert_default();
        call.message.mut_or_insert_default();
        harness.receive(&stranger, call);
    }
    assert_eq!(picture(&harness), before);
}

#[test]
fn late_timers_streams_and_answers_change_nothing() {
    let mut harness = Harness::new();
    register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    let before = picture(&harness);
    let inputs = [
        Input::Timer(MasterTimer::Ping(ObserverId(99))),
        Input::Timer(MasterTimer::FrameworkFailover(scheduler.id.clone())),
        Input::Timer(MasterTimer::FrameworkFailover(FrameworkId::new("x"))),
        Input::Timer(MasterTimer::Heartbeat(StreamId::new("x"))),
        Input::Timer(MasterTimer::OfferExpiry(mesos::ids::OfferId::new("x"))),
        Input::Timer(MasterTimer::AgentReturn(AgentId::new("x"))),
        Input::Timer(MasterTimer::AgentReregistration),
        Input::SchedulerStreamClosed(StreamId::new("x")),
        Input::RegistryStored(Answer {
            write: WriteId(77),
            outcomes: Vec::new(),
        }),
        Input::Recovered(Box::default()),
    ];
    for input in inputs {
        harness.step(input);
    }
    assert_eq!(picture(&harness), before);
}

#[test]
fn who_asks_for_authentication_is_told_that_there_is_none() {
    let mut harness = Harness::new();
    let mut message = mesos_proto::v0::authentication::AuthenticateMessage::new();
    message.set_pid("scheduler-1@127.0.0.1:9000".to_owned());
    let client = agent_upid(9);
    harness.receive(&client, message);
    let messages = harness.messages_to(&client);
    assert!(
        matches!(&messages[..], [Message::AuthenticationError(answer)] if !answer.error().is_empty()),
        "{messages:?}"
    );
}
