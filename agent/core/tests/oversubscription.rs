//! Resources that are lent beyond what the agent has, and taken back when the machine is too busy.

mod support;

use std::time::Duration;

use mesos::Message;
use mesos::resources::Resources;
use mesos_agent_core::{
    AgentConfig, AgentTimer, Effect, ExecutorState, Input, LoadAverage, QosController, ResourceEstimator,
};
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::mesos as pb;
use pb::TaskState;
use pb::task_status::Reason;
use support::{Bench, build, forwarded, master, names, sends};

fn lending(resources: &str) -> AgentConfig {
    let resources = Resources::parse(resources, "*").expect("resources");
    AgentConfig {
        resource_estimator: Some(ResourceEstimator::fixed(&resources)),
        qos_controller: Some(QosController::Load {
            five_minutes: Some(4.0),
            fifteen_minutes: Some(2.0),
        }),
        ..build::config()
    }
}

fn revocable(cpus: f64) -> pb::Resource {
    let mut resource = build::scalar("cpus", cpus, Some("*"));
    resource.revocable.mut_or_insert_default();
    resource
}

/// A task whose CPUs are revocable.
fn launch(task: &str, executor: &str, cpus: f64) -> internal::RunTaskMessage {
    let mut message = build::run_task(task, Some(executor), true);
    message.task.mut_or_insert_default().resources = vec![revocable(cpus)];
    message
}

/// What the master is told of revocable CPUs; nothing when it is told nothing.
fn told(effects: &[Effect]) -> Option<f64> {
    sends(effects).into_iter().find_map(|(_, message)| match message {
        Message::UpdateSlave(message) if message.update_oversubscribed_resources() => {
            let resources = &message.oversubscribed_resources;
            assert!(resources.iter().all(|resource| resource.revocable.is_some()));
            assert!(resources.iter().all(|resource| resource.allocation_info.is_none()));
            Some(resources.iter().map(|resource| resource.scalar.value()).sum())
        }
        _ => None,
    })
}

fn busy(five_minutes: f64, fifteen_minutes: f64) -> Input {
    Input::LoadMeasured(Ok(LoadAverage {
        five_minutes,
        fifteen_minutes,
    }))
}

#[test]
fn the_master_is_told_at_registration_and_only_when_something_changes() {
    let mut bench = Bench::new(lending("cpus:3"));
    bench.step(Input::Recovered(Box::default()));
    bench.step(Input::MasterDetected(Some(master())));
    bench.fire(&AgentTimer::Registration);
    let effects = bench.receive(&master(), build::registered(support::AGENT));
    assert_eq!(told(&effects), Some(3.0));
    assert_eq!(names(&bench.fire(&AgentTimer::Oversubscription)), [] as [&str; 0]);
    assert_eq!(
        bench.pause_of(&AgentTimer::Oversubscription),
        Some(Duration::from_secs(15))
    );
    // What is lent counts to the estimate: the sum stays.
    bench.receive(&master(), launch("t1", "e1", 2.0));
    assert_eq!(names(&bench.fire(&AgentTimer::Oversubscription)), [] as [&str; 0]);
    assert_eq!(
        bench
            .agent
            .oversubscribed_resources()
            .map(|known| known.get_scalar("cpus").to_f64()),
        Some(3.0)
    );
}

#[test]
fn an_agent_without_an_estimator_tells_nothing() {
    let mut bench = Bench::new(build::config());
    bench.step(Input::Recovered(Box::default()));
    bench.step(Input::MasterDetected(Some(master())));
    bench.fire(&AgentTimer::Registration);
    let effects = bench.receive(&master(), build::registered(support::AGENT));
    assert_eq!(told(&effects), None);
    assert!(bench.pause_of(&AgentTimer::Oversubscription).is_none());
    let effects = bench.receive(&master(), launch("t1", "e1", 1.0));
    let [update] = forwarded(&effects)[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(
        update.status.reason(),
        Reason::REASON_INVALID_OFFERS,
        "nothing is lent here"
    );
}

#[test]
fn no_more_is_lent_than_there_is_and_it_does_not_count_to_what_the_agent_has() {
    let mut bench = Bench::registered_with(lending("cpus:3"));
    bench.receive(&master(), launch("t1", "e1", 2.0));
    assert_eq!(bench.launches.len(), 1);
    let effects = bench.receive(&master(), launch("t2", "e2", 1.5));
    let [update] = forwarded(&effects)[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(update.status.reason(), Reason::REASON_INVALID_OFFERS);
    bench.receive(&master(), launch("t3", "e3", 1.0));
    assert_eq!(bench.launches.len(), 2);
    // All four CPUs of its own but what three executors take are still there.
    let mut plain = build::run_task("t4", Some("e4"), true);
    plain.task.mut_or_insert_default().resources = vec![build::scalar("cpus", 3.6, Some("*"))];
    bench.receive(&master(), plain);
    assert_eq!(bench.launches.len(), 3);
}

#[test]
fn a_busy_machine_takes_back_what_is_revocable() {
    for (five, fifteen, preempts) in [(4.0, 2.0, false), (4.1, 0.0, true), (0.0, 2.1, true)] {
        let mut bench = Bench::registered_with(lending("cpus:3"));
        bench.receive(&master(), launch("t1", "e1", 2.0));
        bench.launched();
        bench.receive(&master(), build::run_task("t2", Some("e2"), true));
        let effects = bench.step(busy(five, fifteen));
        let destroyed = effects
            .iter()
            .any(|effect| matches!(effect, Effect::DestroyContainer { .. }));
        assert_eq!(destroyed, preempts, "{five} {fifteen}");
        assert_eq!(bench.agent.counters().executors_preempted, u64::from(preempts));
        assert_eq!(
            bench.executor("e2").map(mesos_agent_core::Executor::state),
            Some(ExecutorState::Registering)
        );
        if !preempts {
            continue;
        }
        let container = bench.launches[0].container_id.clone();
        let effects = bench.terminated(&container, 9);
        let [update] = forwarded(&effects)[..] else {
            panic!("{effects:?}")
        };
        assert_eq!(update.status.state(), TaskState::TASK_GONE);
        assert_eq!(update.status.reason(), Reason::REASON_CONTAINER_PREEMPTED);
        // Nothing is left to take.
        let effects = bench.step(busy(9.0, 9.0));
        assert!(
            !effects
                .iter()
                .any(|effect| matches!(effect, Effect::DestroyContainer { .. }))
        );
        assert_eq!(bench.agent.counters().executors_preempted, 1);
    }
}

#[test]
fn frameworks_that_know_no_partitions_hear_of_a_loss() {
    let mut bench = Bench::registered_with(lending("cpus:3"));
    let mut message = launch("t1", "e1", 2.0);
    message
        .framework
        .mut_or_insert_default()
        .capabilities
        .retain(|known| known.type_() != pb::framework_info::capability::Type::PARTITION_AWARE);
    bench.receive(&master(), message);
    let container = bench.launched();
    bench.step(busy(9.0, 9.0));
    let effects = bench.terminated(&container, 9);
    assert_eq!(forwarded(&effects)[0].status.state(), TaskState::TASK_LOST);
}

#[test]
fn the_load_is_looked_at_again_and_again() {
    let config = AgentConfig {
        qos_correction_interval_min: Duration::from_secs(20),
        ..lending("cpus:1")
    };
    for (config, pause) in [(lending("cpus:1"), 1), (config, 20)] {
        let mut bench = Bench::registered_with(config);
        bench.step(Input::LoadMeasured(Err("no".to_owned())));
        for _ in 0..3 {
            assert_eq!(
                bench.pause_of(&AgentTimer::QosCorrection),
                Some(Duration::from_secs(pause))
            );
            assert_eq!(bench.fire(&AgentTimer::QosCorrection), [Effect::MeasureLoad]);
            bench.step(busy(0.0, 0.0));
        }
    }
}
