//! Real looks: processes, web servers, ports.

mod support;

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use mesos_checks::{CheckKind, CommandAttempt, CommandRunner as _, Found, HealthReport, Report};
use mesos_proto::v1::mesos::environment::Variable;
use mesos_proto::v1::mesos::{CheckInfo, CommandInfo, HealthCheck, TaskInfo, check_info, health_check};
use support::{TlsServer, WebServer, ended, pid_in, runner, start, with_children};
use tokio::sync::mpsc::Receiver;

const WELL: Report = Report::Health(HealthReport {
    healthy: true,
    failures: 0,
    kill: false,
});

fn shell(text: &str) -> CommandInfo {
    let mut command = CommandInfo::new();
    command.set_value(text.to_owned());
    command
}

fn check(kind: check_info::Type) -> CheckInfo {
    let mut check = CheckInfo::new();
    check.set_type(kind);
    check.set_delay_seconds(0.0);
    check.set_interval_seconds(0.01);
    check
}

fn health_check(kind: health_check::Type) -> HealthCheck {
    let mut check = HealthCheck::new();
    check.set_type(kind);
    check.set_delay_seconds(0.0);
    check.set_interval_seconds(0.01);
    check.set_grace_period_seconds(0.0);
    check
}

fn with_check(check: CheckInfo) -> TaskInfo {
    let mut task = TaskInfo::new();
    task.check = Some(check).into();
    task
}

fn with_health_check(check: HealthCheck) -> TaskInfo {
    let mut task = TaskInfo::new();
    task.health_check = Some(check).into();
    task
}

fn attempt(text: &str, timeout: Option<Duration>) -> CommandAttempt {
    CommandAttempt {
        kind: CheckKind::Check,
        command: shell(text),
        timeout,
    }
}

async fn status_code(reports: &mut Receiver<Report>) -> Option<u32> {
    match reports.recv().await {
        Some(Report::Check(status)) => status.http.status_code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn commands_see_their_variables_and_answer_with_their_exit_code() {
    with_children(async |children| {
        let runner = runner(children, &[("A", "outer"), ("B", "outer")]);
        let mut ask = attempt("test \"$A $B\" = 'inner outer'", None);
        let mut variable = Variable::new();
        variable.set_name("A".to_owned());
        variable.set_value("inner".to_owned());
        let environment = ask.command.environment.mut_or_insert_default();
        environment.variables.push(variable);
        assert_eq!(runner.run(ask).await, Found::Exit(0));
        assert_eq!(runner.run(attempt("exit 7", None)).await, Found::Exit(7));
        let killed = runner.run(attempt("kill -9 $$", None)).await;
        assert!(
            matches!(&killed, Found::Failed(why) if why.contains("Killed")),
            "{killed:?}"
        );
        let mut missing = attempt("/no/such/program", None);
        missing.command.set_shell(false);
        let missing = runner.run(missing).await;
        assert!(
            matches!(&missing, Found::Failed(why) if why.contains("/no/such/program")),
            "{missing:?}"
        );
    });
}

/// What a command leaves running: a child, and a daemon in a session of its own.
const FAMILY: &str = "setsid sh -c 'echo $$ > daemon; exec sleep 600' & sleep 600 & echo $! > child; wait";

#[test]
fn a_command_that_takes_too_long_is_gone_with_everything_it_started() {
    with_children(async |children| {
        let runner = runner(children, &[]);
        // Short at first; a busy host may need longer to get as far as the files.
        for seconds in [1, 5, 30] {
            let folder = tempfile::tempdir().expect("folder");
            let text = format!("cd {}; {FAMILY}", folder.path().display());
            let found = runner.run(attempt(&text, Some(Duration::from_secs(seconds)))).await;
            assert!(
                matches!(&found, Found::Failed(why) if why.contains("did not end")),
                "{found:?}"
            );
            let pids = ["daemon", "child"].map(|name| fs::read_to_string(folder.path().join(name)));
            if let [Ok(daemon), Ok(child)] = &pids {
                for pid in [daemon, child] {
                    ended(pid.trim().parse().expect("a pid")).await;
                }
                return;
            }
        }
        panic!("the command never got as far as its files");
    });
}

#[test]
fn stopping_the_checks_ends_the_command_that_runs() {
    with_children(async |children| {
        let folder = tempfile::tempdir().expect("folder");
        let mut check = check(check_info::Type::COMMAND);
        let text = format!("cd {}; {FAMILY}", folder.path().display());
        check.command.mut_or_insert_default().command = Some(shell(&text)).into();
        let (checks, _reports) = start(&with_check(check), children, &[]);
        let daemon = pid_in(&folder.path().join("daemon")).await;
        let child = pid_in(&folder.path().join("child")).await;
        drop(checks);
        ended(daemon).await;
        ended(child).await;
    });
}

/// A check of a server's first page.
fn check_of(server: &WebServer) -> CheckInfo {
    let mut check = check(check_info::Type::HTTP);
    check
        .http
        .mut_or_insert_default()
        .set_port(u32::from(server.address.port()));
    check
}

#[test]
fn changes_of_a_web_servers_status_are_told() {
    with_children(async |children| {
        let server = WebServer::start(200);
        let check = check_of(&server);
        let (_checks, mut reports) = start(&with_check(check), children, &[]);
        assert_eq!(status_code(&mut reports).await, Some(200));
        server.set_status(503);
        assert_eq!(status_code(&mut reports).await, Some(503));
        server.set_status(404);
        assert_eq!(status_code(&mut reports).await, Some(404));
    });
}

#[test]
fn redirects_are_followed_and_answers_that_break_off_are_none() {
    with_children(async |children| {
        let server = WebServer::start(418);
        for (path, expected) in [("/moved", Some(418)), ("/here", Some(418)), ("/broken", None)] {
            let mut check = check(check_info::Type::HTTP);
            let http = check.http.mut_or_insert_default();
            http.set_port(u32::from(server.address.port()));
            http.set_path(path.to_owned());
            let mut task = with_check(check);
            // The health check beside it says when the first look of a silent check is over.
            let health = task.health_check.mut_or_insert_default();
            *health = health_check(health_check::Type::HTTP);
            health.http = Some(Default::default()).into();
            let http = health.http.mut_or_insert_default();
            http.set_port(u32::from(server.address.port()));
            http.set_path(path.to_owned());
            let (_checks, mut reports) = start(&task, children.clone(), &[]);
            let mut health_reports = 0;
            let mut code = None;
            while health_reports < 2 && (code.is_none() || health_reports == 0) {
                match reports.recv().await.expect("a report") {
                    Report::Check(status) => code = status.http.status_code,
                    Report::Health(health) => {
                        assert!(!health.healthy);
                        health_reports += 1;
                    }
                }
            }
            assert_eq!(code, expected, "{path}");
        }
    });
}

#[test]
fn any_certificate_is_good_enough() {
    let server = TlsServer::start();
    with_children(async |children| {
        let mut check = health_check(health_check::Type::HTTP);
        let http = check.http.mut_or_insert_default();
        http.set_port(u32::from(server.port));
        http.set_scheme("https".to_owned());
        let (_checks, mut reports) = start(&with_health_check(check), children, &[]);
        assert_eq!(reports.recv().await, Some(WELL));
    });
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for() {
    with_children(async |children| {
        let silent = TcpListener::bind(("127.0.0.1", 0)).expect("listener");
        let mut check = health_check(health_check::Type::HTTP);
        check.set_timeout_seconds(0.05);
        check.set_consecutive_failures(2);
        let port = silent.local_addr().expect("address").port();
        check.http.mut_or_insert_default().set_port(u32::from(port));
        let (_checks, mut reports) = start(&with_health_check(check), children, &[]);
        for failures in [1, 2] {
            let expected = HealthReport {
                healthy: false,
                failures,
                kill: failures == 2,
            };
            assert_eq!(reports.recv().await, Some(Report::Health(expected)));
        }
    });
}

#[test]
fn ports_open_and_close() {
    with_children(async |children| {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("listener");
        let mut check = check(check_info::Type::TCP);
        let port = listener.local_addr().expect("address").port();
        check.tcp.mut_or_insert_default().set_port(u32::from(port));
        let (_checks, mut reports) = start(&with_check(check), children, &[]);
        let mut succeeded = async || match reports.recv().await {
            Some(Report::Check(status)) => status.tcp.succeeded,
            other => panic!("{other:?}"),
        };
        assert_eq!(succeeded().await, Some(true));
        drop(listener);
        assert_eq!(succeeded().await, Some(false));
    });
}

#[test]
fn nothing_is_told_during_a_pause() {
    with_children(async |children| {
        let server = WebServer::start(200);
        let check = check_of(&server);
        let (checks, mut reports) = start(&with_check(check), children, &[]);
        assert_eq!(status_code(&mut reports).await, Some(200));
        checks.pause();
        // One look may be under way; what the server says after that is not heard.
        tokio::task::yield_now().await;
        server.set_status(500);
        let during = tokio::time::timeout(Duration::from_millis(100), reports.recv()).await;
        assert!(during.is_err(), "{during:?}");
        checks.resume();
        assert_eq!(status_code(&mut reports).await, Some(500));
    });
}
