//! Checks of tasks: when they begin and end, and what their results do.

use mesos_checks::HealthReport;
use mesos_proto::v1::mesos::{CheckInfo, CheckStatusInfo, HealthCheck, check_info, health_check};

use super::*;

fn command_check() -> CheckInfo {
    let mut check = CheckInfo::new();
    check.set_type(check_info::Type::COMMAND);
    let command = check.command.mut_or_insert_default().command.mut_or_insert_default();
    command.set_value("true".to_owned());
    check
}

fn checked_task(id: &str) -> TaskInfo {
    let mut described = task(id);
    described.check = Some(command_check()).into();
    let mut health = HealthCheck::new();
    health.set_type(health_check::Type::TCP);
    health.tcp.mut_or_insert_default().set_port(80);
    described.health_check = Some(health).into();
    described
}

/// A task with checks that runs, and another one of its group.
fn running() -> Bench {
    let mut bench = Bench::subscribed(&KILLING);
    bench.launch_group(&[task("other"), checked_task("a")]);
    let (other, container) = (bench.container("other"), bench.container("a"));
    bench.step(Input::LaunchAnswered(other, Answer::Done(())));
    bench.step(Input::LaunchAnswered(container, Answer::Done(())));
    bench
}

fn check_result(code: i32) -> Report {
    let mut status = CheckStatusInfo::new();
    status.set_type(check_info::Type::COMMAND);
    status.command.mut_or_insert_default().set_exit_code(code);
    Report::Check(Box::new(status))
}

fn health(healthy: bool, kill: bool) -> Report {
    let failures = u32::from(!healthy);
    Report::Health(HealthReport {
        healthy,
        failures,
        kill,
    })
}

fn stops(bench: &Bench, container: &ContainerId) -> bool {
    let stops = |effect: &Effect| matches!(effect, Effect::StopChecks(stopped) if stopped == container);
    bench.effects.iter().any(stops)
}

#[test]
fn checks_begin_with_the_task_and_show_from_the_first_update() {
    let mut bench = Bench::subscribed(&[]);
    bench.launch_group(&[checked_task("a")]);
    let [starting] = &bench.updates()[..] else {
        panic!("one update")
    };
    assert_eq!(starting.check_status.type_(), check_info::Type::COMMAND);
    assert!(!starting.check_status.command.has_exit_code());
    let container = bench.container("a");
    bench.step(Input::LaunchAnswered(container.clone(), Answer::Done(())));
    let begun =
        |effect: &Effect| matches!(effect, Effect::StartChecks(of, checks) if *of == container && !checks.is_empty());
    assert!(bench.effects.iter().any(begun));
    let mut plain = Bench::subscribed(&[]);
    plain.run_group(&["b"]);
    assert!(
        !plain
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::StartChecks(..)))
    );
}

#[test]
fn results_are_told_on_top_of_what_was_told_before() {
    let mut bench = running();
    let container = bench.container("a");
    bench.step(Input::Checked(container.clone(), check_result(3)));
    let [told] = &bench.updates()[..] else {
        panic!("one update")
    };
    assert_eq!(told.state(), RUNNING);
    let expected = task_status::Reason::REASON_TASK_CHECK_STATUS_UPDATED;
    assert_eq!(reason(told), Some(expected));
    assert_eq!(told.check_status.command.exit_code(), 3);
    bench.step(Input::Checked(container, health(true, false)));
    let [told] = &bench.updates()[..] else {
        panic!("one update")
    };
    let expected = task_status::Reason::REASON_TASK_HEALTH_CHECK_STATUS_UPDATED;
    assert_eq!(reason(told), Some(expected));
    assert!(told.healthy());
    assert_eq!(told.check_status.command.exit_code(), 3, "still known");
}

#[test]
fn an_unhealthy_task_is_killed_with_its_group_and_told_as_unhealthy() {
    let mut bench = running();
    let container = bench.container("a");
    bench.step(Input::Checked(container.clone(), health(false, false)));
    assert_eq!(bench.told(), of(&[("a", RUNNING)]));
    assert!(bench.signals().is_empty());
    bench.step(Input::Checked(container.clone(), health(false, true)));
    assert_eq!(bench.told(), of(&[("a", RUNNING), ("a", TASK_KILLING)]));
    assert!(stops(&bench, &container));
    bench.ended("a", 15);
    let updates = bench.updates();
    assert_eq!(updates[0].state(), KILLED);
    assert!(updates[0].has_healthy() && !updates[0].healthy());
    assert_eq!(bench.signals(), of(&[("other", TERM)]));
    bench.ended("other", 15);
    assert!(!bench.updates()[0].has_healthy(), "only the unhealthy one is unhealthy");
}

#[test]
fn nothing_is_told_of_checks_once_a_task_is_being_killed() {
    let mut bench = running();
    let container = bench.container("a");
    bench.kill("a", None);
    assert!(stops(&bench, &container));
    assert!(
        bench
            .step(Input::Checked(container.clone(), check_result(0)))
            .is_empty()
    );
    bench.ended("a", 15);
    assert!(bench.step(Input::Checked(container, health(true, false))).is_empty());
}

#[test]
fn checks_end_with_the_task() {
    let mut bench = running();
    let container = bench.container("a");
    bench.ended("a", 0);
    assert!(stops(&bench, &container));
    let [told] = &bench.updates()[..] else {
        panic!("one update")
    };
    assert!(
        !told.check_status.command.has_exit_code(),
        "a last state starts from nothing"
    );
}
