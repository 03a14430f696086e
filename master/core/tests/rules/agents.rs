//! Agents: registration, pings, loss, return, farewell.

use std::time::Duration;

use mesos::Message;
use mesos::ids::{AgentId, FrameworkId, TaskId};
use mesos_master_core::{MasterTimer, OperatorCall, Phase};
use mesos_proto::internal::wire::messages as wire;
use mesos_proto::v0::mesos::framework_info::capability::Type as Capability;
use mesos_proto::v0::mesos::task_status::Reason;
use mesos_proto::v0::mesos::{ExecutorInfo, TaskState};
use mesos_proto::v0::scheduler::event;

use crate::actors::{
    MODERN, Scheduler, agent_info, agent_upid, framework_info, register_agent, register_message, reported_task,
    reregister_message, update,
};
use crate::harness::{Harness, MASTER, Out};

const UNAWARE: &[Capability] = &[Capability::MULTI_ROLE, Capability::RESERVATION_REFINEMENT];

fn shutdowns(harness: &Harness, number: u16) -> usize {
    let messages = harness.messages_to(&agent_upid(number));
    messages
        .iter()
        .filter(|message| matches!(message, Message::Shutdown(_)))
        .count()
}

#[test]
fn an_agent_is_told_its_id_only_after_the_registry_has_it() {
    let mut harness = Harness::new();
    harness.hold_registry = true;
    harness.receive(&agent_upid(0), register_message());
    harness.receive(&agent_upid(0), register_message());
    assert!(harness.names_to(&agent_upid(0)).is_empty());
    assert!(harness.master.agents().is_empty());
    harness.store();
    assert_eq!(
        harness.names_to(&agent_upid(0)),
        ["PingSlaveMessage", "SlaveRegisteredMessage"]
    );
    let id = harness.master.agents().keys().next().expect("registered");
    assert_eq!(id.as_str(), format!("{MASTER}-S0"));
    let stored = &harness.registrar.registry().slaves.slaves;
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].info.id.value(), id.as_str());
}

#[test]
fn a_repeated_registration_is_acknowledged_again() {
    let mut harness = Harness::new();
    let (address, _) = register_agent(&mut harness, 0);
    harness.clear();
    harness.receive(&address, register_message());
    assert_eq!(harness.names_to(&address), ["SlaveRegisteredMessage"]);
    assert_eq!(harness.master.agents().len(), 1);
}

#[test]
fn agents_that_are_too_old_or_say_nonsense_get_no_answer() {
    let mut harness = Harness::new();
    for version in ["0.28.3", "", "new"] {
        let mut message = register_message();
        message.set_version(version.to_owned());
        harness.receive(&agent_upid(0), message);
    }
    let mut message = register_message();
    message.slave.mut_or_insert_default().resources[0]
        .scalar
        .mut_or_insert_default()
        .set_value(-1.0);
    harness.receive(&agent_upid(0), message);
    assert!(harness.names_to(&agent_upid(0)).is_empty());
    assert!(harness.master.agents().is_empty());
    let mut message = register_message();
    message.set_version("1.12.0-rc1".to_owned());
    harness.receive(&agent_upid(0), message);
    assert_eq!(harness.master.agents().len(), 1);
}

#[test]
fn a_new_agent_at_the_address_of_a_disconnected_one_replaces_it() {
    let mut harness = Harness::new();
    let (address, first) = register_agent(&mut harness, 0);
    harness.exited(&address);
    harness.receive(&address, register_message());
    let ids: Vec<_> = harness.master.agents().keys().cloned().collect();
    assert_eq!(ids, [AgentId::new(format!("{MASTER}-S1"))]);
    assert!(!ids.contains(&first));
    assert_eq!(harness.registrar.registry().slaves.slaves.len(), 1);
}

#[test]
fn an_agent_that_answers_pings_stays() {
    let mut harness = Harness::new();
    let (address, id) = register_agent(&mut harness, 0);
    harness.clear();
    harness.advance_alive(Duration::from_secs(46), &[&address]);
    assert_eq!(harness.names_to(&address), ["PingSlaveMessage"; 3]);
    assert!(
        harness
            .out
            .iter()
            .all(|out| matches!(out, Out::Message { sender, .. } if sender == "slave-observer(1)"))
    );
    assert!(harness.master.agents().contains_key(&id));
}

#[test]
fn five_missed_pings_make_an_agent_unreachable_and_its_tasks_too() {
    let mut harness = Harness::new();
    let (_, agent_id) = register_agent(&mut harness, 0);
    let aware = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    aware.launch(&mut harness, &agent_id, &["a"]);
    harness.receive(
        &agent_upid(0),
        update(&aware.id, &agent_id, "a", TaskState::TASK_RUNNING, 1),
    );
    harness.clear();
    harness.advance(Duration::from_secs(74));
    assert!(harness.master.agents().contains_key(&agent_id));
    harness.clear();
    harness.hold_registry = true;
    harness.advance(Duration::from_secs(2));
    assert!(harness.states().is_empty(), "the registry comes first");
    harness.hold_registry = false;
    harness.store();
    assert!(harness.master.agents().is_empty());
    assert!(harness.master.unreachable_agents().contains(&agent_id));
    assert_eq!(harness.registrar.registry().unreachable.slaves.len(), 1);
    let status = harness.statuses().into_iter().next().expect("told");
    assert_eq!(
        (status.state(), status.reason()),
        (TaskState::TASK_UNREACHABLE, Reason::REASON_SLAVE_REMOVED)
    );
    assert!(status.unreachable_time.is_some() && !status.has_uuid());
    let types = harness.types_on(&aware.stream);
    assert_eq!(types.last(), Some(&event::Type::FAILURE));
    assert_eq!(harness.master.frameworks()[&aware.id].unreachable_tasks().len(), 1);
}

#[test]
fn frameworks_that_are_not_partition_aware_hear_of_lost_tasks() {
    let mut harness = Harness::new();
    let (_, agent_id) = register_agent(&mut harness, 0);
    let unaware = Scheduler::subscribe(&mut harness, framework_info(UNAWARE));
    unaware.launch(&mut harness, &agent_id, &["a"]);
    harness.clear();
    harness.advance(Duration::from_secs(76));
    assert_eq!(harness.states(), [TaskState::TASK_LOST]);
}

/// Pitfall D6, for frameworks of both kinds.
#[test]
fn an_unreachable_agent_keeps_its_id_and_its_tasks_run_again() {
    for capabilities in [MODERN, UNAWARE] {
        let mut harness = Harness::new();
        let (address, agent_id) = register_agent(&mut harness, 0);
        let scheduler = Scheduler::subscribe(&mut harness, framework_info(capabilities));
        scheduler.launch(&mut harness, &agent_id, &["a", "gone"]);
        harness.advance(Duration::from_secs(76));
        harness.clear();
        let mut message = reregister_message(&agent_id);
        message.frameworks.push(scheduler.info.clone());
        message
            .tasks
            .push(reported_task(&scheduler.id, &agent_id, "a", TaskState::TASK_RUNNING));
        harness.receive(&address, message);
        assert_eq!(
            harness.names_to(&address),
            ["PingSlaveMessage", "SlaveReregisteredMessage", "UpdateFrameworkMessage"]
        );
        let statuses = harness.statuses();
        assert_eq!(statuses.len(), 1);
        assert_eq!(statuses[0].state(), TaskState::TASK_RUNNING);
        assert_eq!(statuses[0].reason(), Reason::REASON_SLAVE_REREGISTERED);
        assert!(!harness.master.unreachable_agents().contains(&agent_id));
        assert!(harness.registrar.registry().unreachable.slaves.is_empty());
        let framework = &harness.master.frameworks()[&scheduler.id];
        assert_eq!(framework.tasks().len(), 1);
        assert!(framework.unreachable_tasks().is_empty());
        assert!(!harness.agent(&agent_id).used().is_empty());
    }
}

/// The oldest are forgotten first; those that are remembered end or run again as ever.
#[test]
fn unreachable_tasks_are_kept_to_their_bound() {
    let mut config = crate::harness::config();
    config.max_unreachable_tasks_per_framework = 2;
    let mut harness = Harness::with(config, mesos_registrar::Registry::new());
    let (address, agent_id) = register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    scheduler.launch(&mut harness, &agent_id, &["a", "b", "c"]);
    harness.advance(Duration::from_secs(76));
    let kept = |harness: &Harness| {
        let framework = &harness.master.frameworks()[&scheduler.id];
        let kept = framework.unreachable_tasks().iter().map(|(id, _)| id.to_string());
        kept.collect::<Vec<_>>()
    };
    assert_eq!(kept(&harness), ["b", "c"]);
    let mut message = reregister_message(&agent_id);
    message.frameworks.push(scheduler.info.clone());
    let task = reported_task(&scheduler.id, &agent_id, "a", TaskState::TASK_RUNNING);
    message.tasks.push(task);
    harness.receive(&address, message);
    assert!(kept(&harness).is_empty(), "the agent is back without them");
    let framework = &harness.master.frameworks()[&scheduler.id];
    assert_eq!(framework.tasks().len(), 1, "a forgotten task that runs is known again");
}

#[test]
fn executors_of_ended_frameworks_are_shut_down_on_a_returning_agent() {
    let mut harness = Harness::new();
    let (address, agent_id) = register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    scheduler.launch(&mut harness, &agent_id, &["a"]);
    harness.advance(Duration::from_secs(76));
    harness.operator(OperatorCall::Teardown(scheduler.id.clone()));
    harness.clear();
    let mut message = reregister_message(&agent_id);
    message.frameworks.push(scheduler.info.clone());
    message
        .tasks
        .push(reported_task(&scheduler.id, &agent_id, "a", TaskState::TASK_RUNNING));
    harness.receive(&address, message);
    assert_eq!(
        harness.names_to(&address),
        [
            "PingSlaveMessage",
            "SlaveReregisteredMessage",
            "ShutdownFrameworkMessage"
        ]
    );
    assert!(harness.master.frameworks().is_empty());
    assert!(harness.agent(&agent_id).tasks().is_empty());
}

/// The defect MESOS-7911: tasks were told lost although the agent had lost its connection only.
#[test]
fn a_broken_link_withdraws_offers_and_leaves_tasks_alone() {
    let mut harness = Harness::new();
    let (address, agent_id) = register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    scheduler.launch(&mut harness, &agent_id, &["a"]);
    harness.advance_alive(Duration::from_secs(6), &[&address]);
    assert_eq!(harness.offers(&scheduler.id).len(), 1);
    harness.clear();
    harness.exited(&address);
    harness.exited(&address);
    assert_eq!(harness.types_on(&scheduler.stream), [event::Type::RESCIND]);
    assert!(!harness.agent(&agent_id).is_connected());
    harness.clear();
    harness.advance_alive(Duration::from_secs(30), &[&address]);
    let pings = harness.messages_to(&address);
    assert!(!pings.is_empty());
    for ping in pings {
        assert!(matches!(ping, Message::PingSlave(ping) if !ping.connected()));
    }
    assert!(harness.has_timer(&MasterTimer::AgentReturn(agent_id.clone())));
    harness.advance_alive(Duration::from_secs(600), &[&address]);
    assert!(harness.master.unreachable_agents().contains(&agent_id));
    assert_eq!(harness.states(), [TaskState::TASK_UNREACHABLE]);
}

#[test]
fn an_agent_that_comes_back_is_reconciled_and_offered_again() {
    let mut harness = Harness::new();
    let (address, agent_id) = register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    scheduler.launch(&mut harness, &agent_id, &["here", "lost"]);
    harness.exited(&address);
    scheduler.kill(&mut harness, "here", None);
    harness.clear();
    let mut message = reregister_message(&agent_id);
    message.frameworks.push(scheduler.info.clone());
    message
        .tasks
        .push(reported_task(&scheduler.id, &agent_id, "here", TaskState::TASK_RUNNING));
    harness.receive(&address, message);
    let messages = harness.messages_to(&address);
    assert_eq!(
        harness.names_to(&address),
        ["SlaveReregisteredMessage", "KillTaskMessage", "UpdateFrameworkMessage"],
        "the kill that waited is sent"
    );
    let Message::SlaveReregistered(answer) = &messages[0] else {
        panic!("{messages:?}")
    };
    assert_eq!(answer.reconciliations.len(), 1);
    let statuses = &answer.reconciliations[0].statuses;
    assert_eq!(statuses.len(), 1);
    assert_eq!(statuses[0].task_id.value(), "lost");
    assert!(harness.agent(&agent_id).is_active());
    assert!(!harness.has_timer(&MasterTimer::AgentReturn(agent_id.clone())));
}

#[test]
fn running_tasks_that_this_master_never_launched_are_taken_over_with_what_they_use() {
    let mut harness = Harness::new();
    let (address, agent_id) = register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    assert!(!harness.agent(&agent_id).offers().is_empty(), "everything is offered");
    let mut message = reregister_message(&agent_id);
    message.frameworks.push(scheduler.info.clone());
    for (id, state) in [
        ("held-back", TaskState::TASK_RUNNING),
        ("over", TaskState::TASK_FINISHED),
    ] {
        message.tasks.push(reported_task(&scheduler.id, &agent_id, id, state));
    }
    let offered: Vec<_> = harness.agent(&agent_id).offers().iter().cloned().collect();
    harness.receive(&address, message.clone());
    let known: Vec<_> = harness.master.frameworks()[&scheduler.id]
        .tasks()
        .keys()
        .map(ToString::to_string)
        .collect();
    assert_eq!(known, ["held-back"], "what ended is not begun again");
    assert!(
        offered
            .iter()
            .all(|offer| !harness.agent(&agent_id).offers().contains(offer))
    );
    let used = &harness.agent(&agent_id).used()[&scheduler.id];
    assert_eq!(used.cpus().to_f64().to_string(), "1");
    // The same news again changes nothing.
    harness.receive(&address, message);
    assert_eq!(harness.master.frameworks()[&scheduler.id].tasks().len(), 1);
}

#[test]
fn an_agent_may_move_to_another_port_but_not_to_another_machine() {
    let mut harness = Harness::new();
    let (address, agent_id) = register_agent(&mut harness, 0);
    harness.exited(&address);
    let moved = crate::harness::upid("slave(1)@127.0.0.1:6000");
    harness.receive(&moved, reregister_message(&agent_id));
    assert_eq!(*harness.agent(&agent_id).upid(), moved);
    harness.exited(&moved);
    harness.receive(&agent_upid(7), reregister_message(&agent_id));
    assert_eq!(shutdowns(&harness, 7), 1);
    assert_eq!(*harness.agent(&agent_id).upid(), moved);
}

/// Pitfall D12: what counts is the latest message, not the one whose registry write is on its way.
#[test]
fn the_latest_registration_gives_the_resource_version() {
    let mut harness = Harness::new();
    let (address, agent_id) = register_agent(&mut harness, 0);
    harness.advance(Duration::from_secs(76));
    harness.hold_registry = true;
    harness.receive(&address, reregister_message(&agent_id));
    let mut latest = reregister_message(&agent_id);
    latest
        .resource_version_uuid
        .mut_or_insert_default()
        .set_value(vec![9; 16]);
    harness.receive(&address, latest);
    harness.clear();
    harness.store();
    let version = harness
        .agent(&agent_id)
        .resource_version()
        .expect("told")
        .value()
        .to_vec();
    assert_eq!(version, vec![9; 16]);
    assert_eq!(
        harness.names_to(&address),
        ["PingSlaveMessage", "SlaveReregisteredMessage"]
    );
}

/// What is wrong with the second of two reports.
#[derive(Clone, Copy, Debug)]
enum Flaw {
    None,
    TaskOfAnotherAgent,
    TaskOfUnknownFramework,
    ExecutorOfUnknownFramework,
    FrameworkTwice,
    OldVersion,
    AnotherMachine,
}

#[test]
fn a_later_report_counts_only_when_it_passes_the_rules() {
    let rows = [
        (Flaw::None, "later", 0),
        (Flaw::TaskOfAnotherAgent, "earlier", 0),
        (Flaw::TaskOfUnknownFramework, "earlier", 0),
        (Flaw::ExecutorOfUnknownFramework, "earlier", 0),
        (Flaw::FrameworkTwice, "earlier", 0),
        (Flaw::OldVersion, "earlier", 0),
        (Flaw::AnotherMachine, "earlier", 1),
    ];
    for (flaw, taken, shut_down) in rows {
        let mut harness = Harness::new();
        let (address, agent_id) = register_agent(&mut harness, 0);
        let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
        let report = |task: &str, port: i32| {
            let mut report = reregister_message(&agent_id);
            // The registry must be told of the port, so the report waits for it.
            report.slave.mut_or_insert_default().set_port(port);
            report.frameworks.push(scheduler.info.clone());
            let task = reported_task(&scheduler.id, &agent_id, task, TaskState::TASK_RUNNING);
            report.tasks.push(task);
            report
        };
        harness.hold_registry = true;
        harness.receive(&address, report("earlier", 5052));
        let mut later = report("later", 5052);
        let task = &mut later.tasks[0];
        let stranger = FrameworkId::from("stranger").to_proto();
        let mut from = address.clone();
        match flaw {
            Flaw::None => {}
            Flaw::TaskOfAnotherAgent => task.slave_id = Some(AgentId::from("other").to_proto()).into(),
            Flaw::TaskOfUnknownFramework => task.framework_id = Some(stranger).into(),
            Flaw::ExecutorOfUnknownFramework => {
                let mut executor = ExecutorInfo::new();
                executor.executor_id.mut_or_insert_default().set_value("e".to_owned());
                executor.framework_id = Some(stranger).into();
                later.executor_infos.push(executor);
            }
            Flaw::FrameworkTwice => later.frameworks.push(scheduler.info.clone()),
            Flaw::OldVersion => later.set_version("0.28.0".to_owned()),
            Flaw::AnotherMachine => from = agent_upid(7),
        }
        harness.receive(&from, later);
        harness.store();
        let tasks: Vec<&str> = harness.master.frameworks()[&scheduler.id]
            .tasks()
            .keys()
            .map(TaskId::as_str)
            .collect();
        assert_eq!(tasks, [taken], "{flaw:?}");
        assert_eq!(*harness.agent(&agent_id).upid(), address, "{flaw:?}");
        assert_eq!(shutdowns(&harness, 7), shut_down, "{flaw:?}");
    }
}

#[test]
fn a_farewell_loses_the_tasks() {
    let mut harness = Harness::new();
    let (address, agent_id) = register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    scheduler.launch(&mut harness, &agent_id, &["a"]);
    harness.clear();
    let mut farewell = wire::UnregisterSlaveMessage::new();
    farewell.slave_id = Some(agent_id.to_proto()).into();
    harness.receive(&agent_upid(3), farewell.clone());
    assert!(harness.master.agents().contains_key(&agent_id), "not said by the agent");
    harness.receive(&address, farewell);
    assert!(harness.master.agents().is_empty());
    assert!(harness.registrar.registry().slaves.slaves.is_empty());
    assert_eq!(harness.states(), [TaskState::TASK_LOST]);
}

#[test]
fn a_gone_agent_is_shut_down_whenever_it_shows_up() {
    let mut harness = Harness::new();
    let (address, agent_id) = register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    scheduler.launch(&mut harness, &agent_id, &["a"]);
    harness.clear();
    let reply = harness.operator(OperatorCall::MarkAgentGone(agent_id.clone()));
    assert_eq!(reply.map(|reply| reply.status), Some(200));
    assert_eq!(harness.states(), [TaskState::TASK_GONE_BY_OPERATOR]);
    assert_eq!(shutdowns(&harness, 0), 1);
    harness.receive(&address, reregister_message(&agent_id));
    assert_eq!(shutdowns(&harness, 0), 2);
    assert!(harness.master.agents().is_empty());
    assert_eq!(harness.registrar.registry().gone.slaves.len(), 1);
    let unknown = harness.operator(OperatorCall::MarkAgentGone(AgentId::new("nope")));
    assert_eq!(unknown.map(|reply| reply.status), Some(404));
}

#[test]
fn oversubscribed_resources_join_the_total_and_leave_it() {
    let mut harness = Harness::new();
    let (address, agent_id) = register_agent(&mut harness, 0);
    let mut message = wire::UpdateSlaveMessage::new();
    message.slave_id = Some(agent_id.to_proto()).into();
    message.set_update_oversubscribed_resources(true);
    let mut extra = crate::actors::resources("cpus:2");
    extra[0].revocable.mut_or_insert_default();
    message.oversubscribed_resources = extra;
    harness.receive(&address, message.clone());
    assert!((harness.agent(&agent_id).total().revocable().cpus().to_f64() - 2.0).abs() < 1e-9);
    message.oversubscribed_resources.clear();
    harness.receive(&address, message);
    assert!(harness.agent(&agent_id).total().revocable().is_empty());
}

#[test]
fn a_registry_that_cannot_be_stored_ends_the_master() {
    let mut harness = Harness::new();
    harness.step(mesos_master_core::Input::RegistryFailed(mesos_registrar::StoreError(
        "disk full".to_owned(),
    )));
    assert!(matches!(harness.out.last(), Some(Out::Abort(reason)) if reason.contains("disk full")));
    assert_eq!(harness.master.phase(), Phase::Leading);
    assert!(agent_info(None).checkpoint());
}

/// The model and the registry disagree only by a fault: the registry is what survives, so the master begins anew from
/// it.
#[test]
fn a_registry_that_refuses_a_removal_ends_the_master() {
    let mut harness = Harness::new();
    let (address, agent_id) = register_agent(&mut harness, 0);
    let strange = mesos_registrar::Operation::RemoveAgent(agent_id.clone());
    harness
        .registrar
        .submit(mesos_registrar::WriteId(u64::MAX), vec![strange]);
    harness.store();
    let mut farewell = wire::UnregisterSlaveMessage::new();
    farewell.slave_id = Some(agent_id.to_proto()).into();
    harness.receive(&address, farewell);
    let aborted = harness.out.iter().any(|out| {
        matches!(out, Out::Abort(reason) if reason.contains(agent_id.as_str()) && reason.contains("not admitted"))
    });
    assert!(aborted, "{:?}", harness.out);
}
