//! Ceilings of tasks on their way from a launch to the containerizer.

mod support;

use mesos_agent_core::{AgentConfig, Effect};
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::mesos as pb;
use pb::TaskState;
use pb::task_status::Reason;
use support::{Bench, build, forwarded, master};

fn limited(id: &str, executor: Option<&str>, new: bool, cpus: f64) -> internal::RunTaskMessage {
    let mut message = build::run_task(id, executor, new);
    let mut limit = pb::value::Scalar::new();
    limit.set_value(cpus);
    let task = message.task.mut_or_insert_default();
    task.limits.insert("cpus".to_owned(), limit);
    message
}

fn holding_cpus() -> AgentConfig {
    AgentConfig {
        enforced_limits: vec!["cpus".to_owned()],
        ..build::config()
    }
}

fn requested(resources: &[pb::Resource]) -> f64 {
    let cpus = resources.iter().filter(|resource| resource.name() == "cpus");
    cpus.map(|resource| resource.scalar.value()).sum()
}

#[test]
fn limits_that_no_isolator_holds_are_refused_by_name() {
    let mut bench = Bench::registered();
    let effects = bench.receive(&master(), limited("t1", Some("e1"), true, 2.0));
    let told = forwarded(&effects)[0].status.clone();
    assert_eq!(
        (told.state(), told.reason()),
        (TaskState::TASK_DROPPED, Reason::REASON_TASK_INVALID)
    );
    assert!(told.message().contains("'cpus'"), "{}", told.message());
    assert!(bench.launches.is_empty());
}

#[test]
fn the_container_gets_the_sum_of_limits_and_requests() {
    let mut bench = Bench::registered_with(holding_cpus());
    bench.receive(&master(), limited("c1", None, true, 2.0));
    let launch = &bench.launches[0];
    let own = requested(&launch.executor_info.resources);
    assert_eq!(launch.limits.get("cpus"), Some(&(own + 2.0)));
    assert_eq!(launch.limits.get("mem"), None);
}

#[test]
fn a_further_task_changes_the_limits_of_the_container() {
    let mut bench = Bench::registered_with(holding_cpus());
    bench.running_task("t1", "e1");
    let launch = &bench.launches[0];
    assert!(launch.limits.is_empty(), "nobody limits anything yet");
    let before = requested(&launch.resources);
    let effects = bench.receive(&master(), limited("t2", Some("e1"), false, f64::INFINITY));
    let updated = effects.iter().find_map(|effect| match effect {
        Effect::UpdateContainer { resources, limits, .. } => Some((resources.clone(), limits.clone())),
        _ => None,
    });
    let (resources, limits) = updated.expect("the container hears of it");
    assert!(requested(&resources) > before);
    assert_eq!(limits.get("cpus"), Some(&f64::INFINITY));
}

#[test]
fn the_agents_record_of_a_task_keeps_its_limits() {
    let mut bench = Bench::registered_with(holding_cpus());
    bench.running_task("t1", "e1");
    bench.receive(&master(), limited("t2", Some("e1"), false, 3.5));
    let executor = bench.executor("e1").expect("an executor");
    let task = executor
        .launched_tasks()
        .find(|task| task.task_id.value() == "t2")
        .expect("a task");
    let limit = task.limits.get("cpus").map(pb::value::Scalar::value);
    assert_eq!(limit, Some(3.5));
}
