//! The rules of checks as sequences of inputs and effects under virtual time.

use mesos_proto::v1::mesos::{check_info, health_check};

use super::*;

fn at(seconds: u64) -> Time {
    Time::EPOCH + Duration::from_secs(seconds)
}

fn with_check(kind: check_info::Type) -> TaskInfo {
    let mut task = TaskInfo::new();
    let check = task.check.mut_or_insert_default();
    check.set_type(kind);
    check.set_delay_seconds(2.0);
    check.set_interval_seconds(3.0);
    check.set_timeout_seconds(1.0);
    match kind {
        check_info::Type::COMMAND => {
            let command = check.command.mut_or_insert_default();
            command.command.mut_or_insert_default().set_value("true".to_owned());
        }
        check_info::Type::HTTP => check.http.mut_or_insert_default().set_port(80),
        check_info::Type::TCP => check.tcp.mut_or_insert_default().set_port(80),
        check_info::Type::UNKNOWN => {}
    }
    task
}

fn with_health_check(grace_seconds: f64, failures: u32) -> TaskInfo {
    let mut task = TaskInfo::new();
    let check = task.health_check.mut_or_insert_default();
    check.set_type(health_check::Type::TCP);
    check.tcp.mut_or_insert_default().set_port(80);
    check.set_delay_seconds(0.0);
    check.set_interval_seconds(1.0);
    check.set_grace_period_seconds(grace_seconds);
    check.set_consecutive_failures(failures);
    task
}

fn checks(task: &TaskInfo) -> TaskChecks {
    TaskChecks::of_task(task).expect("valid")
}

fn kind_text(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Check => "check",
        CheckKind::HealthCheck => "health",
    }
}

fn brief(effect: &Effect) -> String {
    match effect {
        Effect::SetTimer(kind, after) => format!("{} in {after:?}", kind_text(*kind)),
        Effect::CancelTimer(kind) => format!("{} not", kind_text(*kind)),
        Effect::StartProbe {
            kind, attempt, timeout, ..
        } => match timeout {
            Some(timeout) => format!("{} look {attempt} for {timeout:?}", kind_text(*kind)),
            None => format!("{} look {attempt}", kind_text(*kind)),
        },
        Effect::CancelProbe(kind) => format!("{} look away", kind_text(*kind)),
        Effect::Tell(Report::Check(status)) => {
            let command = status
                .command
                .as_ref()
                .map(|command| format!("{:?}", command.exit_code));
            let http = status.http.as_ref().map(|http| format!("{:?}", http.status_code));
            let tcp = status.tcp.as_ref().map(|tcp| format!("{:?}", tcp.succeeded));
            let parts: Vec<String> = [command, http, tcp].into_iter().flatten().collect();
            format!("tell {:?} {}", status.type_(), parts.join(" "))
        }
        Effect::Tell(Report::Health(health)) => {
            let kill = if health.kill { " kill" } else { "" };
            format!("tell healthy={} {}{kill}", health.healthy, health.failures)
        }
    }
}

fn step(checks: &mut TaskChecks, seconds: u64, input: &Input) -> Vec<String> {
    checks.step(at(seconds), input).iter().map(brief).collect()
}

fn probed(kind: CheckKind, attempt: u64, found: Found) -> Input {
    Input::Probed { kind, attempt, found }
}

/// Lets looks of the only check find these one after the other, a second apart; gives what was told each time.
fn told(checks: &mut TaskChecks, kind: CheckKind, from_seconds: u64, found: &[Found]) -> Vec<String> {
    let mut told = Vec::new();
    for (seconds, found) in (from_seconds..).zip(found) {
        let effects = checks.step(at(seconds), &Input::Elapsed(kind));
        let [Effect::StartProbe { attempt, .. }] = effects[..] else {
            panic!("{effects:?}");
        };
        let effects = checks.step(at(seconds), &probed(kind, attempt, found.clone()));
        let news = effects.iter().filter(|effect| matches!(effect, Effect::Tell(_)));
        told.push(news.map(brief).collect::<Vec<_>>().join(", "));
    }
    told
}

fn failed() -> Found {
    Found::Failed("why".to_owned())
}

fn refused() -> Found {
    Found::NotConnected("refused".to_owned())
}

#[test]
fn a_check_waits_looks_and_waits_again() {
    let mut checks = checks(&with_check(check_info::Type::COMMAND));
    let kind = CheckKind::Check;
    assert_eq!(step(&mut checks, 0, &Input::Started), ["check in 2s"]);
    assert_eq!(step(&mut checks, 2, &Input::Elapsed(kind)), ["check look 1 for 1s"]);
    // One look at a time, and only its own result counts.
    assert!(step(&mut checks, 2, &Input::Elapsed(kind)).is_empty());
    assert!(step(&mut checks, 2, &probed(kind, 7, Found::Exit(0))).is_empty());
    assert!(step(&mut checks, 2, &probed(CheckKind::HealthCheck, 1, Found::Exit(0))).is_empty());
    assert_eq!(
        step(&mut checks, 3, &probed(kind, 1, Found::Exit(0))),
        ["tell COMMAND Some(0)", "check in 3s"]
    );
    assert!(step(&mut checks, 3, &probed(kind, 1, Found::Exit(1))).is_empty());
    assert_eq!(step(&mut checks, 6, &Input::Elapsed(kind)), ["check look 2 for 1s"]);
    assert_eq!(step(&mut checks, 6, &probed(kind, 2, Found::Exit(0))), ["check in 3s"]);
}

#[test]
fn only_changes_of_a_check_are_told() {
    let tables = [
        (
            check_info::Type::COMMAND,
            vec![
                // Nothing is known at first, and a failed look does not know more.
                (failed(), ""),
                (Found::Exit(1), "tell COMMAND Some(1)"),
                (Found::Exit(1), ""),
                (Found::Unavailable("agent".to_owned()), ""),
                (Found::Exit(0), "tell COMMAND Some(0)"),
                (failed(), "tell COMMAND None"),
                (failed(), ""),
            ],
        ),
        (
            check_info::Type::HTTP,
            vec![
                (Found::Answer(200), "tell HTTP Some(200)"),
                (Found::Answer(200), ""),
                (Found::Answer(503), "tell HTTP Some(503)"),
                (failed(), "tell HTTP None"),
            ],
        ),
        (
            check_info::Type::TCP,
            vec![
                (refused(), "tell TCP Some(false)"),
                (refused(), ""),
                (Found::Connected, "tell TCP Some(true)"),
                (failed(), "tell TCP None"),
            ],
        ),
    ];
    for (kind, table) in tables {
        let mut checks = checks(&with_check(kind));
        checks.step(at(0), &Input::Started);
        let (found, expected): (Vec<Found>, Vec<&str>) = table.into_iter().unzip();
        assert_eq!(told(&mut checks, CheckKind::Check, 5, &found), expected, "{kind:?}");
    }
}

#[test]
fn changes_of_health_and_every_failure_are_told() {
    let mut checks = checks(&with_health_check(10.0, 3));
    checks.step(at(0), &Input::Started);
    let well = || Found::Connected;
    let found = [
        refused(),
        well(),
        well(),
        refused(),
        failed(),
        well(),
        refused(),
        refused(),
        refused(),
    ];
    let expected = [
        "",
        "tell healthy=true 0",
        "",
        "tell healthy=false 1",
        "tell healthy=false 2",
        "tell healthy=true 0",
        "tell healthy=false 1",
        "tell healthy=false 2",
        "tell healthy=false 3 kill",
    ];
    assert_eq!(told(&mut checks, CheckKind::HealthCheck, 1, &found), expected);
}

#[test]
fn the_grace_period_ends_with_time_or_the_first_success() {
    let kind = CheckKind::HealthCheck;
    let mut patient = checks(&with_health_check(10.0, 1));
    patient.step(at(0), &Input::Started);
    let late = told(&mut patient, kind, 10, &[refused(), refused()]);
    assert_eq!(late, ["", "tell healthy=false 1 kill"]);
    let mut recovered = checks(&with_health_check(10.0, 2));
    recovered.step(at(0), &Input::Started);
    let early = told(&mut recovered, kind, 1, &[Found::Connected, refused()]);
    assert_eq!(early, ["tell healthy=true 0", "tell healthy=false 1"]);
    // No grace period: not even at its first moment.
    let mut strict = checks(&with_health_check(0.0, 0));
    strict.step(at(0), &Input::Started);
    assert_eq!(told(&mut strict, kind, 0, &[refused()]), ["tell healthy=false 1 kill"]);
}

#[test]
fn what_nobody_could_look_at_counts_neither_way() {
    let mut checks = checks(&with_health_check(0.0, 2));
    checks.step(at(0), &Input::Started);
    let away = || Found::Unavailable("agent".to_owned());
    let found = [refused(), away(), refused()];
    let expected = ["tell healthy=false 1", "", "tell healthy=false 2 kill"];
    assert_eq!(told(&mut checks, CheckKind::HealthCheck, 1, &found), expected);
}

#[test]
fn a_pause_gives_up_looks_and_ends_with_a_look_at_once() {
    let kind = CheckKind::Check;
    let mut checks = checks(&with_check(check_info::Type::TCP));
    // Before the start there is nothing to pause.
    assert!(step(&mut checks, 0, &Input::Paused).is_empty());
    step(&mut checks, 0, &Input::Started);
    assert_eq!(step(&mut checks, 1, &Input::Paused), ["check not"]);
    assert!(step(&mut checks, 1, &Input::Paused).is_empty());
    assert!(step(&mut checks, 2, &Input::Elapsed(kind)).is_empty());
    assert_eq!(step(&mut checks, 3, &Input::Resumed), ["check look 1 for 1s"]);
    assert!(step(&mut checks, 3, &Input::Resumed).is_empty());
    assert_eq!(step(&mut checks, 3, &Input::Paused), ["check look away"]);
    assert!(step(&mut checks, 4, &probed(kind, 1, Found::Connected)).is_empty());
    assert_eq!(step(&mut checks, 5, &Input::Resumed), ["check look 2 for 1s"]);
    // The look from before the pause answers late.
    assert!(step(&mut checks, 5, &probed(kind, 1, Found::Connected)).is_empty());
    assert_eq!(
        step(&mut checks, 5, &probed(kind, 2, Found::Connected)),
        ["tell TCP Some(true)", "check in 3s"]
    );
}

#[test]
fn nothing_follows_a_stop() {
    let kind = CheckKind::HealthCheck;
    let mut checks = checks(&with_health_check(0.0, 1));
    step(&mut checks, 0, &Input::Started);
    step(&mut checks, 0, &Input::Elapsed(kind));
    assert_eq!(step(&mut checks, 1, &Input::Stopped), ["health look away"]);
    for late in [
        Input::Started,
        Input::Elapsed(kind),
        probed(kind, 1, refused()),
        Input::Paused,
        Input::Resumed,
        Input::Stopped,
    ] {
        assert!(step(&mut checks, 2, &late).is_empty(), "{late:?}");
    }
}

#[test]
fn check_and_health_check_run_beside_each_other() {
    let mut task = with_check(check_info::Type::HTTP);
    task.health_check = with_health_check(0.0, 3).health_check;
    let mut both = checks(&task);
    assert_eq!(step(&mut both, 0, &Input::Started), ["check in 2s", "health in 0ns"]);
    assert_eq!(
        step(&mut both, 0, &Input::Elapsed(CheckKind::HealthCheck)),
        ["health look 1 for 20s"]
    );
    assert_eq!(
        step(&mut both, 2, &Input::Elapsed(CheckKind::Check)),
        ["check look 1 for 1s"]
    );
    assert_eq!(
        step(&mut both, 2, &probed(CheckKind::HealthCheck, 1, refused())),
        ["tell healthy=false 1", "health in 1s"]
    );
    assert_eq!(step(&mut both, 2, &Input::Stopped), ["check look away", "health not"]);
    assert!(checks(&TaskInfo::new()).is_empty());
}

#[test]
fn a_broken_check_names_its_field() {
    let mut task = with_check(check_info::Type::HTTP);
    task.check.mut_or_insert_default().http = None.into();
    let refused = TaskChecks::of_task(&task).expect_err("nothing to ask");
    assert!(refused.to_string().contains("`http`"), "{refused}");
}
