//! Launching groups.

use mesos_proto::v1::mesos::volume::Mode;
use mesos_proto::v1::mesos::volume::source::Type as SourceType;
use mesos_proto::v1::mesos::volume::source::sandbox_path::Type as PathType;
use mesos_proto::v1::mesos::{Resource, container_info, value};

use super::*;

fn call(bench: &Bench, id: &str) -> Call {
    let container = bench.container(id);
    let found = bench.effects.iter().find_map(|effect| match effect {
        Effect::LaunchContainer(launched, call) if *launched == container => Some((**call).clone()),
        _ => None,
    });
    found.expect("a launch")
}

#[test]
fn all_of_a_group_start_before_any_is_launched() {
    let mut bench = Bench::subscribed(&[]);
    bench.launch_group(&[task("a"), task("b")]);
    assert_eq!(bench.told(), of(&[("a", STARTING), ("b", STARTING)]));
    assert_eq!(bench.launches(), ["a", "b"]);
    let first_launch = bench
        .effects
        .iter()
        .position(|effect| matches!(effect, Effect::LaunchContainer(..)));
    let last_update = bench
        .effects
        .iter()
        .rposition(|effect| matches!(effect, Effect::SendUpdate(_)));
    assert!(last_update < first_launch);
}

#[test]
fn a_launched_container_runs_is_awaited_and_linked() {
    let mut bench = Bench::subscribed(&[]);
    bench.launch_group(&[task("a"), task("b")]);
    let container = bench.container("a");
    assert_eq!(container.parent(), Some(&ContainerId::new("exec")));
    bench.step(Input::LaunchAnswered(container.clone(), Answer::Done(())));
    assert_eq!(bench.told(), of(&[("a", RUNNING)]));
    assert_eq!(bench.waits(), ["a"]);
    let linked = |effect: &Effect| matches!(effect, Effect::LinkSandbox(to, id) if *to == container && *id == "a");
    assert!(bench.effects.iter().any(linked));
    // Told once, however often the agent answers.
    assert!(
        bench
            .step(Input::LaunchAnswered(container, Answer::Done(())))
            .is_empty()
    );
}

#[test]
fn updates_name_executor_container_and_source() {
    let mut bench = Bench::subscribed(&[]);
    bench.run_group(&["a"]);
    let [running] = &bench.updates()[..] else {
        panic!("one update")
    };
    assert_eq!(running.executor_id.value(), "E");
    assert_eq!(running.source(), task_status::Source::SOURCE_EXECUTOR);
    assert_eq!(running.uuid().len(), 16);
    assert!((running.timestamp() - 100.0).abs() < 1e-9);
    let container = running.container_status.container_id.as_ref().map(ContainerId::from);
    assert_eq!(container, Some(bench.container("a")));
    assert!(!running.has_reason() && !running.has_message());
}

#[test]
fn the_call_carries_everything_of_the_task() {
    let mut bench = Bench::subscribed(&[]);
    let mut described = task("a");
    described.command.mut_or_insert_default().set_user("nobody".to_owned());
    let mut limit = value::Scalar::new();
    limit.set_value(2.0);
    described.limits.insert("cpus".to_owned(), limit.clone());
    let container = described.container.mut_or_insert_default();
    container.set_type(container_info::Type::MESOS);
    container.set_hostname("h".to_owned());
    bench.launch_group(&[described.clone()]);
    let call = call(&bench, "a");
    let launch = &call.launch_container;
    assert_eq!(
        launch.container_id.as_ref().map(ContainerId::from),
        Some(bench.container("a"))
    );
    assert_eq!((launch.command.value(), launch.command.user()), ("true", "nobody"));
    assert_eq!(launch.resources, described.resources);
    assert_eq!(launch.limits.get("cpus"), Some(&limit));
    assert_eq!(launch.container, described.container);
    let variables = launch.command.environment.variables.iter();
    let variables: Vec<_> = variables.map(|variable| (variable.name(), variable.value())).collect();
    let expected = [("MESOS_CONTAINER_IP", "10.0.0.1"), ("MESOS_ALLOCATION_ROLE", "web")];
    assert_eq!(variables, expected);
}

#[test]
fn disks_of_the_executors_sandbox_become_volumes_of_the_task() {
    let mut bench = Bench::subscribed(&[]);
    let mut described = task("a");
    let mut disk = Resource::new();
    disk.set_name("disk".to_owned());
    disk.type_ = Some(value::Type::SCALAR.into());
    let volume = disk.disk.mut_or_insert_default().volume.mut_or_insert_default();
    volume.set_mode(Mode::RO);
    volume.set_container_path("data".to_owned());
    described.resources.push(disk);
    bench.launch_group(&[described]);
    let call = call(&bench, "a");
    let container = &call.launch_container.container;
    assert_eq!(container.type_(), container_info::Type::MESOS);
    let [volume] = &container.volumes[..] else {
        panic!("one volume")
    };
    assert_eq!((volume.mode(), volume.container_path()), (Mode::RO, "data"));
    assert_eq!(volume.source.type_(), SourceType::SANDBOX_PATH);
    let sandbox_path = &volume.source.sandbox_path;
    assert_eq!((sandbox_path.type_(), sandbox_path.path()), (PathType::PARENT, "data"));
}

#[test]
fn groups_come_one_after_the_other_and_know_nothing_of_each_other() {
    let mut bench = Bench::subscribed(&[]);
    bench.run_group(&["a1", "a2"]);
    bench.run_group(&["b1"]);
    bench.ended("a1", 256);
    assert_eq!(bench.told(), of(&[("a1", FAILED)]));
    assert_eq!(bench.signals(), of(&[("a2", TERM)]));
    bench.ended("a2", 15);
    assert_eq!(bench.told(), of(&[("a2", KILLED)]));
    assert!(bench.signals().is_empty() && bench.exit().is_none());
    bench.ended("b1", 0);
    assert_eq!(bench.told(), of(&[("b1", FINISHED)]));
}

#[test]
fn a_container_that_cannot_be_launched_fails_its_task_and_group() {
    let mut bench = Bench::subscribed(&[]);
    bench.launch_group(&[task("a"), task("b")]);
    let (a, b) = (bench.container("a"), bench.container("b"));
    bench.step(Input::LaunchAnswered(a, Answer::Done(())));
    bench.step(Input::LaunchAnswered(
        b,
        Answer::Refused(400, "no such image".to_owned()),
    ));
    let [failed] = &bench.updates()[..] else {
        panic!("one update")
    };
    assert_eq!((failed.state(), failed.message()), (FAILED, "no such image"));
    assert_eq!(bench.signals(), of(&[("a", TERM)]));
}

#[test]
fn a_group_with_a_broken_check_is_not_launched_at_all() {
    let mut bench = Bench::subscribed(&[]);
    let mut broken = task("b");
    broken.check.mut_or_insert_default();
    bench.launch_group(&[task("a"), broken]);
    let expected = [("a", STARTING), ("b", STARTING), ("b", FAILED), ("a", KILLED)];
    assert_eq!(bench.told(), of(&expected));
    assert!(bench.launches().is_empty());
    assert!(
        !bench.updates()[2].message().is_empty(),
        "the message names what is wrong"
    );
}

#[test]
fn a_group_with_a_known_task_is_ignored() {
    let mut bench = Bench::subscribed(&[]);
    bench.run_group(&["a"]);
    bench.launch_group(&[task("b"), task("a")]);
    assert!(bench.effects.is_empty());
    assert_eq!(bench.core.tasks.len(), 1);
}

#[test]
fn a_single_task_is_no_work_for_this_executor() {
    let mut bench = Bench::subscribed(&[]);
    bench.receive(event(event::Type::LAUNCH));
    assert_eq!(bench.exit(), Some(Outcome::Done));
}

#[test]
fn an_agent_that_tells_no_container_is_too_old() {
    let mut bench = Bench::subscribed(&[]);
    let mut greeting = event(event::Type::SUBSCRIBED);
    greeting.subscribed.mut_or_insert_default();
    bench.receive(greeting);
    assert_eq!(bench.exit(), Some(Outcome::Failed));
}
