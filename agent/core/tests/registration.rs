//! The agent and its master.

mod support;

use std::path::Path;
use std::time::Duration;

use libprocess_types::Upid;
use mesos::Message;
use mesos::ids::FrameworkId;
use mesos_agent_core::{AgentState, AgentTimer, Effect, Input};
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::mesos as pb;
use support::{AGENT, Bench, FRAMEWORK, build, forwarded, master, names, observer, sends, task_id, upid};

fn recovered() -> Bench {
    let mut bench = Bench::new(build::config());
    bench.step(Input::Recovered(Box::default()));
    bench
}

#[test]
fn first_registration_waits_below_the_factor_and_then_doubles_its_bound() {
    let mut bench = recovered();
    bench.step(Input::MasterDetected(Some(master())));
    let mut bound = Duration::from_secs(1);
    assert!(bench.pause_of(&AgentTimer::Registration).expect("set") < bound);
    for _ in 0..10 {
        let effects = bench.fire(&AgentTimer::Registration);
        assert!(effects.contains(&Effect::Link(master())));
        assert_eq!(names(&effects), ["RegisterSlaveMessage"]);
        bound = (bound * 2).min(Duration::from_secs(60));
        assert!(bench.pause_of(&AgentTimer::Registration).expect("set") < bound);
    }
}

#[test]
fn registration_carries_what_the_recorded_one_carries() {
    let mut bench = recovered();
    bench.step(Input::MasterDetected(Some(master())));
    let effects = bench.fire(&AgentTimer::Registration);
    let [(_, Message::RegisterSlave(message))] = sends(&effects)[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(message.version(), "1.11.0");
    assert_eq!(message.slave.resources[0].role(), "*");
    assert!(message.slave.id.is_none() && message.slave.checkpoint());
    assert_eq!(message.resource_version_uuid.value(), bench.agent.resource_version());
    use pb::slave_info::capability::Type as T;
    let announced: Vec<_> = message
        .agent_capabilities
        .iter()
        .map(pb::slave_info::Capability::type_)
        .collect();
    let expected = [
        T::MULTI_ROLE,
        T::HIERARCHICAL_ROLE,
        T::RESERVATION_REFINEMENT,
        T::RESOURCE_PROVIDER,
        T::RESIZE_VOLUME,
        T::AGENT_OPERATION_FEEDBACK,
        T::AGENT_DRAINING,
        T::TASK_RESOURCE_LIMITS,
    ];
    assert_eq!(announced, expected);
}

#[test]
fn admission_is_checkpointed_before_the_agent_update_goes_out() {
    let mut bench = recovered();
    bench.step(Input::MasterDetected(Some(master())));
    let effects = bench.agent.step(
        bench.now,
        Input::Message {
            from: master(),
            message: build::registered(AGENT).into(),
        },
    );
    let checkpoint = effects.iter().find_map(|effect| match effect {
        Effect::Checkpoint { writes, then } if !writes.is_empty() => Some((writes, then)),
        _ => None,
    });
    let (writes, _) = checkpoint.expect("a checkpoint");
    assert_eq!(writes[0].path(), Path::new("/w/meta/slaves/M-S0/slave.info"));
    assert_eq!(writes[1].path(), Path::new("/w/meta/slaves/latest"));
    // The update to the master waits for the disk.
    assert!(names(&effects).is_empty());
    assert_eq!(bench.agent.state(), AgentState::Running);
    assert_eq!(bench.agent.info().id.value(), AGENT);
}

#[test]
fn strangers_and_other_ids_do_not_register_the_agent() {
    let mut bench = recovered();
    bench.step(Input::MasterDetected(Some(master())));
    bench.receive(&upid("master@127.0.0.1:6000"), build::registered(AGENT));
    assert_eq!(bench.agent.state(), AgentState::Disconnected);
    bench.receive(&master(), build::registered("../x"));
    assert_eq!(bench.agent.state(), AgentState::Disconnected);
    bench.receive(&master(), build::registered(AGENT));
    assert_eq!(bench.agent.state(), AgentState::Running);
    bench.receive(&master(), build::registered("M-S9"));
    assert_eq!(bench.agent.info().id.value(), AGENT);
    // A repetition is answered again: the first answer may have been lost.
    assert_eq!(
        names(&bench.receive(&master(), build::registered(AGENT))),
        ["UpdateSlaveMessage"]
    );
}

#[test]
fn every_ping_is_answered_and_only_silence_of_the_master_makes_the_agent_look_for_it() {
    let mut bench = Bench::registered();
    for from in [observer(), upid("slave-observer(1)@127.0.0.1:9")] {
        let effects = bench.receive(&from, build::ping(true));
        assert_eq!(names(&effects), ["PongSlaveMessage"]);
        assert_eq!(sends(&effects)[0].0, &from);
    }
    assert_eq!(bench.pause_of(&AgentTimer::PingTimeout), Some(Duration::from_secs(75)));
    let effects = bench.fire(&AgentTimer::PingTimeout);
    assert!(effects.contains(&Effect::Redetect));
    assert_eq!(
        (bench.agent.state(), bench.agent.master()),
        (AgentState::Disconnected, None)
    );
    bench.step(Input::MasterDetected(Some(master())));
    assert_eq!(
        names(&bench.fire(&AgentTimer::Registration)),
        ["ReregisterSlaveMessage"]
    );
}

#[test]
fn a_master_that_takes_the_agent_for_disconnected_gets_it_registered_again() {
    let mut bench = Bench::registered();
    let effects = bench.receive(&observer(), build::ping(false));
    assert_eq!(names(&effects), ["PongSlaveMessage"]);
    assert!(effects.contains(&Effect::Redetect));
    assert!(bench.pause_of(&AgentTimer::PingTimeout).is_none());
}

#[test]
fn reregistration_tells_everything_that_lives_here() {
    let mut bench = Bench::registered();
    bench.running_task("t1", "e1");
    bench.receive(&master(), build::run_task("c1", None, true));
    bench.step(Input::MasterDetected(None));
    assert!(!bench.timers.contains_key(&AgentTimer::Registration));
    let other: Upid = upid("master@127.0.0.1:5052");
    bench.step(Input::MasterDetected(Some(other.clone())));
    let effects = bench.fire(&AgentTimer::Registration);
    let [(to, Message::ReregisterSlave(message))] = sends(&effects)[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(to, &other);
    assert_eq!(message.slave.id.value(), AGENT);
    let tasks: Vec<_> = message
        .tasks
        .iter()
        .map(|task| (task.task_id.value(), task.state()))
        .collect();
    assert_eq!(
        tasks,
        [("t1", pb::TaskState::TASK_RUNNING), ("c1", pb::TaskState::TASK_STAGING)]
    );
    assert_eq!(message.tasks[0].executor_id.value(), "e1");
    assert!(message.tasks[1].executor_id.is_none());
    assert_eq!(message.tasks[0].resources[0].role(), "*");
    assert_eq!(message.tasks[0].status_update_state(), pb::TaskState::TASK_RUNNING);
    // The executor of a command task is the agent's own affair.
    let executors: Vec<_> = message
        .executor_infos
        .iter()
        .map(|info| info.executor_id.value())
        .collect();
    assert_eq!(executors, ["e1"]);
    assert_eq!(message.frameworks.len(), 1);
    bench.receive(&other, build::reregistered());
    assert_eq!(bench.agent.state(), AgentState::Running);
}

#[test]
fn tasks_that_only_the_master_knows_end() {
    let mut bench = Bench::registered();
    bench.running_task("t1", "e1");
    bench.step(Input::MasterDetected(Some(master())));
    bench.fire(&AgentTimer::Registration);
    let mut answer = build::reregistered();
    let mut reconciliation = internal::ReconcileTasksMessage::new();
    reconciliation.framework_id = build::framework_id();
    reconciliation.framework = protobuf::MessageField::some(build::framework());
    for task in ["t1", "lost"] {
        reconciliation
            .statuses
            .push(build::status(task, pb::TaskState::TASK_RUNNING, 9));
    }
    answer.reconciliations.push(reconciliation);
    let effects = bench.receive(&master(), answer);
    assert_eq!(names(&effects), ["UpdateSlaveMessage", "StatusUpdateMessage"]);
    let updates = forwarded(&effects);
    assert_eq!(updates[0].status.task_id.value(), "lost");
    assert_eq!(updates[0].status.state(), pb::TaskState::TASK_DROPPED);
    assert_eq!(
        updates[0].status.reason(),
        pb::task_status::Reason::REASON_RECONCILIATION
    );
}

#[test]
fn launches_that_overtake_the_registration_are_ignored() {
    let mut bench = Bench::registered();
    bench.step(Input::MasterDetected(Some(master())));
    let effects = bench.receive(&master(), build::run_task("t1", None, true));
    assert_eq!(effects, []);
    let effects = bench.fire(&AgentTimer::Registration);
    let [(_, Message::ReregisterSlave(message))] = &sends(&effects)[..] else {
        panic!("{effects:?}");
    };
    assert!(message.tasks.is_empty());
    bench.receive(&master(), build::reregistered());
    bench.receive(&master(), build::run_task("t1", None, true));
    assert_eq!(bench.launches.len(), 1);
}

#[test]
fn unknown_tasks_are_not_reported_before_the_registration_settles_them() {
    let mut bench = Bench::registered();
    bench.receive(&master(), build::run_task("t0", Some("e"), true));
    bench.step(Input::MasterDetected(Some(master())));
    bench.receive(&master(), build::kill_task("t1"));
    let told = |bench: &Bench| {
        bench
            .agent
            .pending_updates(&FrameworkId::new(FRAMEWORK), &task_id("t1"))
            .count()
    };
    assert_eq!(told(&bench), 0);
    bench.fire(&AgentTimer::Registration);
    bench.receive(&master(), build::reregistered());
    bench.receive(&master(), build::kill_task("t1"));
    assert_eq!(told(&bench), 1);
}

#[test]
fn unregistering_shuts_everything_down_and_stops_at_the_end() {
    let mut bench = Bench::registered();
    bench.running_task("t1", "e1");
    let effects = bench.step(Input::UnregisterRequested {
        by: "SIGUSR1".to_owned(),
    });
    assert_eq!(names(&effects), ["UnregisterSlaveMessage", "ShutdownExecutorMessage"]);
    assert_eq!(bench.agent.state(), AgentState::Terminating);
    let container = bench.launches[0].container_id.clone();
    let effects = bench.terminated(&container, 0);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Shutdown { .. })));
    assert!(bench.agent.frameworks().next().is_none());
}

#[test]
fn a_checkpoint_that_cannot_be_written_stops_the_agent() {
    let mut bench = Bench::registered();
    let effects = bench.step(Input::CheckpointFailed {
        path: "/w/x".into(),
        error: "full".to_owned(),
    });
    assert!(matches!(&effects[..], [Effect::Shutdown { .. }]));
}

#[test]
fn a_master_that_goes_away_is_looked_for_again_once() {
    let mut bench = Bench::registered();
    let master = bench.agent.master().cloned().expect("a master");
    let stranger: Upid = "other@127.0.0.1:1".parse().expect("an address");
    assert!(bench.step(Input::Exited { upid: stranger }).is_empty());
    assert_eq!(bench.agent.state(), AgentState::Running);
    let exited = Input::Exited { upid: master.clone() };
    let effects = bench.step(exited.clone());
    assert_eq!(effects.iter().filter(|effect| **effect == Effect::Redetect).count(), 1);
    assert_eq!(bench.agent.state(), AgentState::Disconnected);
    bench.step(Input::MasterDetected(Some(master)));
    // Attempts go on by themselves: a master that is still away must not make them quicker.
    assert!(bench.step(exited).is_empty());
}
