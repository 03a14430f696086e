//! The state table of reconciliation.

use std::time::Duration;

use mesos::ids::AgentId;
use mesos_master_core::OperatorCall;
use mesos_proto::v0::mesos::TaskState;
use mesos_proto::v0::mesos::framework_info::capability::Type as Capability;
use mesos_proto::v0::mesos::task_status::{Reason, Source};
use mesos_registrar::Registry;

use crate::actors::{MODERN, Scheduler, agent_info, framework_info, register_agent, update};
use crate::harness::{Harness, config};

/// Pitfall D5: every row for both kinds of frameworks.
#[test]
fn explicit_answers_follow_the_table() {
    let unaware: &[Capability] = &[Capability::MULTI_ROLE];
    for (capabilities, aware) in [(MODERN, true), (unaware, false)] {
        let mut harness = Harness::new();
        let (here, registered) = register_agent(&mut harness, 0);
        let (_, unreachable) = register_agent(&mut harness, 1);
        let scheduler = Scheduler::subscribe(&mut harness, framework_info(capabilities));
        harness.advance_alive(Duration::from_secs(80), &[&here]);
        let (_, gone) = register_agent(&mut harness, 2);
        harness.operator(OperatorCall::MarkAgentGone(gone.clone()));
        scheduler.launch(&mut harness, &registered, &["live"]);
        harness.receive(
            &here,
            update(&scheduler.id, &registered, "live", TaskState::TASK_RUNNING, 1),
        );
        let strange = AgentId::new("strange");
        let rows: [(&str, Option<&AgentId>, TaskState); 6] = [
            ("live", Some(&registered), TaskState::TASK_RUNNING),
            ("x", Some(&registered), TaskState::TASK_GONE),
            ("x", Some(&unreachable), TaskState::TASK_UNREACHABLE),
            ("x", Some(&gone), TaskState::TASK_GONE_BY_OPERATOR),
            ("x", Some(&strange), TaskState::TASK_UNKNOWN),
            ("x", None, TaskState::TASK_UNKNOWN),
        ];
        for (task, agent, state) in rows {
            harness.clear();
            scheduler.reconcile(&mut harness, &[(task, agent)]);
            let expected = if aware || task == "live" {
                state
            } else {
                TaskState::TASK_LOST
            };
            let statuses = harness.statuses();
            assert_eq!(statuses.len(), 1, "{task} {agent:?}");
            assert_eq!(statuses[0].state(), expected, "{task} {agent:?}");
            assert_eq!(statuses[0].reason(), Reason::REASON_RECONCILIATION);
            assert_eq!(statuses[0].source(), Source::SOURCE_MASTER);
            assert!(!statuses[0].has_uuid());
            let since = statuses[0].unreachable_time.is_some();
            assert_eq!(since, state == TaskState::TASK_UNREACHABLE, "{task} {agent:?}");
        }
    }
}

#[test]
fn implicit_reconciliation_tells_all_live_tasks() {
    let mut harness = Harness::new();
    let (address, agent) = register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    scheduler.launch(&mut harness, &agent, &["a", "b"]);
    harness.receive(&address, update(&scheduler.id, &agent, "a", TaskState::TASK_RUNNING, 1));
    harness.clear();
    scheduler.reconcile(&mut harness, &[]);
    assert_eq!(harness.states(), [TaskState::TASK_RUNNING, TaskState::TASK_STAGING]);
}

/// The framework is told what it was told last, not what it will be told.
#[test]
fn reconciliation_does_not_overtake_updates() {
    let mut harness = Harness::new();
    let (address, agent) = register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    scheduler.launch(&mut harness, &agent, &["a"]);
    let mut message = update(&scheduler.id, &agent, "a", TaskState::TASK_RUNNING, 1);
    message
        .update
        .mut_or_insert_default()
        .set_latest_state(TaskState::TASK_FINISHED);
    harness.receive(&address, message);
    harness.clear();
    scheduler.reconcile(&mut harness, &[("a", None)]);
    assert_eq!(harness.states(), [TaskState::TASK_RUNNING]);
}

#[test]
fn tasks_of_agents_that_may_still_come_back_are_not_answered() {
    let mut registry = Registry::new();
    let id = AgentId::new("old-S0");
    let mut slave = mesos_proto::internal::master::stored_registry::registry::Slave::new();
    slave.info = Some(agent_info(Some(&id))).into();
    registry.slaves.mut_or_insert_default().slaves.push(slave);
    let mut harness = Harness::with(config(), registry);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    harness.clear();
    scheduler.reconcile(&mut harness, &[("x", Some(&id)), ("x", None)]);
    scheduler.kill(&mut harness, "x", None);
    assert!(harness.states().is_empty());
    let strange = AgentId::new("strange");
    scheduler.reconcile(&mut harness, &[("x", Some(&strange))]);
    assert_eq!(harness.states(), [TaskState::TASK_UNKNOWN]);
    harness.advance(Duration::from_secs(601));
    harness.clear();
    scheduler.reconcile(&mut harness, &[("x", Some(&id))]);
    assert_eq!(harness.states(), [TaskState::TASK_UNREACHABLE]);
}
