//! Real containers: processes, trees, signals, files.

mod support;

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use mesos::ids::ContainerId;
use mesos_containerizer::{
    Containerizer as _, ContainerizerError, LaunchRequest, RecoverableContainer, WaitStatus, paths,
};
use mesos_proto::v0::mesos::command_info::URI;
use mesos_proto::v0::mesos::rlimit_info::{RLimit, rlimit::Type as RlimitType};
use mesos_proto::v0::mesos::task_status::Reason;
use mesos_proto::v0::mesos::{ContainerInfo, Resource, TaskState, Volume, container_info, value, volume};
use support::{Host, eventually, pid_in, runs};

fn scalar(name: &str, amount: f64) -> Resource {
    let mut resource = Resource::new();
    resource.set_name(name.to_owned());
    resource.set_type(value::Type::SCALAR);
    resource.scalar.mut_or_insert_default().set_value(amount);
    resource
}

#[test]
fn output_environment_and_folder_are_those_of_the_request() {
    let host = Host::new();
    let mut request = host.shell("box", "env | sort; pwd; echo oops >&2");
    request
        .environment
        .insert("GREETING".to_owned(), "hello world".to_owned());
    let termination = host.run("c1", request);
    assert_eq!(termination.status, Some(0));
    let sandbox = host.path("box");
    let stdout = fs::read_to_string(sandbox.join("stdout")).expect("stdout");
    let lines: Vec<&str> = stdout
        .lines()
        .filter(|line| !["PWD=", "_=", "SHLVL="].iter().any(|own| line.starts_with(own)))
        .collect();
    let own = format!("MESOS_SANDBOX={}", sandbox.display());
    assert_eq!(
        lines,
        [
            "GREETING=hello world",
            &own,
            "PATH=/usr/bin:/bin",
            &sandbox.display().to_string()
        ]
    );
    assert_eq!(fs::read_to_string(sandbox.join("stderr")).expect("stderr"), "oops\n");
    assert_eq!(fs::metadata(&sandbox).expect("sandbox").mode() & 0o777, 0o750);
}

#[test]
fn exit_codes_and_signals_are_told() {
    let host = Host::new();
    assert_eq!(host.run("c1", host.shell("a", "exit 3")).status, Some(3 << 8));
    assert_eq!(host.run("c2", host.shell("b", "kill -TERM $$")).status, Some(15));
    let mut argv = host.shell("c", "");
    argv.command.set_shell(false);
    argv.command.set_value("sh".to_owned());
    argv.command.arguments = ["named", "-c", "echo $0; exit 7"].map(str::to_owned).into();
    assert_eq!(host.run("c3", argv).wait_status().and_then(WaitStatus::code), Some(7));
    assert_eq!(fs::read_to_string(host.path("c/stdout")).expect("stdout"), "named\n");
}

#[test]
fn a_command_that_cannot_be_executed_fails_with_its_name_in_the_sandbox() {
    let host = Host::new();
    let mut request = host.shell("box", "");
    request.command.set_shell(false);
    request.command.set_value("/no/such/program".to_owned());
    assert_eq!(
        host.run("c1", request).wait_status().and_then(WaitStatus::code),
        Some(1)
    );
    let stderr = fs::read_to_string(host.path("box/stderr")).expect("stderr");
    assert!(stderr.contains("/no/such/program"), "{stderr}");
}

#[test]
fn runtime_files_and_the_pid_checkpoint_stand_while_a_container_runs() {
    let host = Host::new();
    let containerizer = host.containerizer();
    let id = ContainerId::new("c1");
    let mut request = host.shell("box", "exec sleep 600");
    request.pid_checkpoint = Some(host.path("meta/pids/forked.pid"));
    let launched = host.launch(&containerizer, &id, request);
    let folder = paths::container_dir(&host.path("run"), &id);
    let pid = launched.pid.to_string();
    assert_eq!(fs::read_to_string(paths::pid(&folder)).expect("pid"), pid);
    assert_eq!(
        fs::read_to_string(host.path("meta/pids/forked.pid")).expect("forked.pid"),
        pid
    );
    assert_eq!(fs::read_to_string(paths::status(&folder)).expect("status"), "");
    assert!(paths::config(&folder).is_file() && paths::launch_info(&folder).is_file());
    assert_eq!(containerizer.containers(), std::slice::from_ref(&id));
    let status = host.wait(containerizer.status(id.clone())).expect("status");
    assert_eq!(status.executor_pid(), launched.pid);
    assert_eq!(status.network_infos[0].ip_addresses[0].ip_address(), "127.0.0.1");
    let termination = host.wait(containerizer.destroy(id.clone())).expect("known");
    assert_eq!(termination.status, Some(9));
    assert!(!folder.exists());
    assert!(containerizer.containers().is_empty());
    assert_eq!(host.wait(containerizer.wait(id)), Some(termination));
}

#[test]
fn destroying_kills_children_that_ignore_signals_and_leave_the_session() {
    let host = Host::new();
    let containerizer = host.containerizer();
    let id = ContainerId::new("c1");
    let stubborn = "trap '' TERM INT HUP; \
        setsid sh -c 'trap \"\" TERM; echo $$ > daemon; while :; do sleep 1; done' & \
        sh -c 'trap \"\" TERM; echo $$ > child; while :; do sleep 1; done' & \
        wait";
    let launched = host.launch(&containerizer, &id, host.shell("box", stubborn));
    let pids = [pid_in(&host.path("box/daemon")), pid_in(&host.path("box/child"))];
    assert!(pids.iter().all(|pid| runs(*pid)));
    host.wait(containerizer.destroy(id)).expect("known");
    assert!(!runs(i32::try_from(launched.pid).expect("pid")));
    assert!(pids.iter().all(|pid| !runs(*pid)));
}

#[test]
fn what_a_command_leaves_behind_is_killed_when_it_ends() {
    let host = Host::new();
    let daemon = "setsid sh -c 'echo $$ > daemon; exec sleep 600' > /dev/null 2>&1 & \
        while ! test -s daemon; do sleep 0.01; done; exit 4";
    let termination = host.run("c1", host.shell("box", daemon));
    assert_eq!(termination.wait_status().and_then(WaitStatus::code), Some(4));
    assert!(!runs(pid_in(&host.path("box/daemon"))));
}

#[test]
fn statistics_count_the_whole_tree() {
    let host = Host::new();
    let containerizer = host.containerizer();
    let id = ContainerId::new("c1");
    let mut request = host.shell("box", "sh -c 'i=0; while :; do i=$((i+1)); done'");
    request.resources = vec![scalar("cpus", 0.5), scalar("cpus", 0.25), scalar("mem", 96.0)];
    host.launch(&containerizer, &id, request);
    let statistics = eventually("processor time", || {
        let statistics = host.wait(containerizer.usage(id.clone())).expect("usage");
        (statistics.cpus_user_time_secs() > 0.0).then_some(statistics)
    });
    assert!(statistics.mem_rss_bytes() > 0);
    assert!(statistics.timestamp() > 1.0e9);
    assert!((statistics.cpus_soft_limit() - 0.75).abs() < 1e-9);
    assert_eq!(
        (statistics.mem_limit_bytes(), statistics.mem_soft_limit_bytes()),
        (100_663_296, 100_663_296)
    );
    host.wait(containerizer.update(id.clone(), vec![scalar("mem", 32.0)], [].into()))
        .expect("updated");
    let statistics = host.wait(containerizer.usage(id.clone())).expect("usage");
    assert_eq!(statistics.mem_limit_bytes(), 33_554_432);
    host.wait(containerizer.destroy(id.clone())).expect("known");
    let unknown = host.wait(containerizer.usage(id)).expect_err("it has ended");
    assert!(matches!(unknown, ContainerizerError::UnknownContainer(_)));
}

#[test]
fn a_second_agent_recovers_what_the_first_one_launched() {
    let host = Host::new();
    let ids = ["stays", "ends", "orphan"].map(ContainerId::new);
    let first = host.containerizer();
    let stays = host.launch(&first, &ids[0], host.shell("a", "exec sleep 600"));
    let ends = host.launch(
        &first,
        &ids[1],
        host.shell("b", "while ! test -e go; do sleep 0.01; done; exit 5"),
    );
    let orphan = host.launch(&first, &ids[2], host.shell("c", "exec sleep 600"));
    drop(first);

    let second = host.containerizer();
    let known = |id: &ContainerId, pid, name: &str| RecoverableContainer {
        container_id: id.clone(),
        pid,
        sandbox: host.path(name),
        resources: Vec::new(),
        limits: [].into(),
    };
    let known = vec![known(&ids[0], stays.pid, "a"), known(&ids[1], ends.pid, "b")];
    let recovered = host.wait(second.recover(known)).expect("recovered");
    assert_eq!(recovered.containers, ids[..2]);
    assert_eq!(recovered.orphans, ids[2..]);
    assert!(!runs(i32::try_from(orphan.pid).expect("pid")));
    fs::write(host.path("b/go"), "").expect("signal");
    let termination = host.wait(second.wait(ids[1].clone())).expect("known");
    assert_eq!(termination.wait_status().and_then(WaitStatus::code), Some(5));
    let termination = host.wait(second.destroy(ids[0].clone())).expect("known");
    assert_eq!(termination.status, Some(9));
    assert!(!runs(i32::try_from(stays.pid).expect("pid")));
    assert!(!paths::container_dir(&host.path("run"), &ids[0]).exists());
}

#[test]
fn a_container_that_ended_while_no_agent_ran_tells_its_status() {
    let host = Host::new();
    let id = ContainerId::new("c1");
    let first = host.containerizer();
    let launched = host.launch(
        &first,
        &id,
        host.shell("a", "while ! test -e go; do sleep 0.01; done; exit 6"),
    );
    drop(first);
    fs::write(host.path("a/go"), "").expect("signal");
    let folder = paths::container_dir(&host.path("run"), &id);
    eventually("a recorded status", || {
        fs::read(paths::status(&folder))
            .ok()
            .filter(|status| !status.is_empty())
    });
    let second = host.containerizer();
    let known = RecoverableContainer {
        container_id: id.clone(),
        pid: launched.pid,
        sandbox: host.path("a"),
        resources: Vec::new(),
        limits: [].into(),
    };
    host.wait(second.recover(vec![known])).expect("recovered");
    assert_eq!(host.wait(second.wait(id)).expect("known").status, Some(6 << 8));
}

#[test]
fn failed_launches_say_why_and_leave_nothing() {
    let host = Host::new();
    let containerizer = host.containerizer();
    let mut refused = Vec::new();
    let mut missing = host.shell("a", "true");
    let mut uri = URI::new();
    uri.set_value("file:///no/such/file".to_owned());
    missing.command.uris.push(uri);
    refused.push((missing, "file:///no/such/file"));
    let mut user = host.shell("b", "true");
    user.user = Some("no-such-user".to_owned());
    refused.push((user, "no-such-user"));
    let mut with_volume = host.shell("c", "true");
    let mut info = ContainerInfo::new();
    info.set_type(container_info::Type::MESOS);
    let mut data = Volume::new();
    data.set_mode(volume::Mode::RW);
    data.set_container_path("data".to_owned());
    info.volumes.push(data);
    with_volume.container_info = Some(info);
    refused.push((with_volume, "volumes of a ContainerInfo"));
    refused.push((
        LaunchRequest {
            sandbox: host.path("d"),
            ..LaunchRequest::default()
        },
        "nothing to run",
    ));
    for (index, (request, reason)) in refused.into_iter().enumerate() {
        let id = ContainerId::new(format!("c{index}"));
        let error = host
            .wait(containerizer.launch(id.clone(), request))
            .expect_err(reason)
            .chain();
        assert!(error.contains(reason), "{error}");
        assert!(!paths::container_dir(&host.path("run"), &id).exists());
        let termination = host.wait(containerizer.wait(id)).expect("remembered");
        assert_eq!(termination.status, None);
    }
    assert!(containerizer.containers().is_empty());
    let stderr = fs::read_to_string(host.path("a/stderr")).expect("stderr");
    assert!(stderr.contains("'file:///no/such/file'"), "{stderr}");
}

#[test]
fn a_container_may_be_destroyed_while_it_fetches() {
    let host = Host::new();
    let containerizer = host.containerizer();
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("listener");
    let mut request = host.shell("a", "true");
    let mut uri = URI::new();
    uri.set_value(format!("http://{}/never", silent.local_addr().expect("address")));
    request.command.uris.push(uri);
    let id = ContainerId::new("c1");
    let launching = containerizer.launch(id.clone(), request);
    let _fetching = silent.accept().expect("the fetcher connects");
    let termination = host.wait(containerizer.destroy(id)).expect("known");
    assert_eq!(termination.status, None);
    assert!(matches!(
        host.wait(launching),
        Err(ContainerizerError::DestroyedDuringLaunch(_))
    ));
}

#[test]
fn limits_and_users_reach_the_command() {
    let host = Host::new();
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: switching users needs root");
        return;
    }
    // The temporary folder is closed to others, and the user must get to its sandbox.
    let open = |path: &std::path::Path| fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755));
    open(&host.path("")).expect("opened");
    let mut request = host.shell("box", "id -un; ulimit -n; cat < /dev/stdin; touch made");
    request.user = Some("nobody".to_owned());
    let mut limit = RLimit::new();
    limit.set_type(RlimitType::RLMT_NOFILE);
    limit.set_soft(77);
    limit.set_hard(78);
    let mut info = ContainerInfo::new();
    info.set_type(container_info::Type::MESOS);
    info.rlimit_info.mut_or_insert_default().rlimits.push(limit);
    request.container_info = Some(info);
    assert_eq!(host.run("c1", request).status, Some(0));
    assert_eq!(
        fs::read_to_string(host.path("box/stdout")).expect("stdout"),
        "nobody\n77\n"
    );
    let owner = fs::metadata(host.path("box/made")).expect("made").uid();
    assert_eq!(owner, fs::metadata(host.path("box/stdout")).expect("stdout").uid());
    assert_ne!(owner, 0);
}

/// Resources of one megabyte on disk.
fn little_disk() -> Vec<Resource> {
    vec![scalar("disk", 1.0), scalar("cpus", 0.1)]
}

/// Writes four megabytes and stays.
const HOARD: &str = "dd if=/dev/zero of=hoard bs=1M count=4 2>/dev/null; sync hoard; exec sleep 600";

#[test]
fn a_container_over_its_disk_quota_is_ended_with_the_reason() {
    let host = Host::new();
    let mut request = host.shell("box", HOARD);
    request.resources = little_disk();
    let termination = host.run("c1", request);
    assert_eq!(termination.state, Some(TaskState::TASK_FAILED));
    assert_eq!(termination.reason, Some(Reason::REASON_CONTAINER_LIMITATION_DISK));
    assert_eq!(termination.limited_resources, [scalar("disk", 1.0)]);
    let message = termination.message.expect("a message");
    assert!(message.contains("its quota is 1MB"), "{message}");
    assert_eq!(termination.status, Some(9));
}

#[test]
fn a_recovered_container_is_held_to_its_disk_quota_too() {
    let host = Host::new();
    let id = ContainerId::new("c1");
    let first = host.containerizer();
    let command = format!("while ! test -e go; do sleep 0.01; done; {HOARD}");
    let mut request = host.shell("box", &command);
    request.resources = little_disk();
    let launched = host.launch(&first, &id, request);
    drop(first);
    let second = host.containerizer();
    let known = RecoverableContainer {
        container_id: id.clone(),
        pid: launched.pid,
        sandbox: host.path("box"),
        resources: little_disk(),
        limits: [].into(),
    };
    host.wait(second.recover(vec![known])).expect("recovered");
    let statistics = eventually("a measurement", || {
        let statistics = host.wait(second.usage(id.clone())).expect("usage");
        statistics.has_disk_used_bytes().then_some(statistics)
    });
    assert_eq!(statistics.disk_limit_bytes(), 1_048_576);
    fs::write(host.path("box/go"), "").expect("signal");
    let termination = host.wait(second.wait(id)).expect("known");
    assert_eq!(termination.reason, Some(Reason::REASON_CONTAINER_LIMITATION_DISK));
}

#[test]
fn a_process_that_only_has_the_pid_of_an_orphan_is_left_alone() {
    let host = Host::new();
    // It leads a session, as every container's init does.
    let mut stranger = std::process::Command::new("setsid")
        .args(["--fork", "sh", "-c", "echo $$ > \"$0\"; exec sleep 600"])
        .arg(host.path("stranger"))
        .spawn()
        .expect("setsid");
    stranger.wait().expect("it forks");
    let pid = pid_in(&host.path("stranger"));
    let births = [
        ("old-boot", Some("00000000-0000-0000-0000-000000000000 1")),
        ("foreign", None),
    ];
    for (name, birth) in births {
        let folder = paths::container_dir(&host.path("run"), &ContainerId::new(name));
        fs::create_dir_all(&folder).expect("folder");
        fs::write(paths::pid(&folder), pid.to_string()).expect("pid");
        if let Some(birth) = birth {
            fs::write(paths::birth(&folder), birth).expect("birth");
        }
    }
    let recovered = host.wait(host.containerizer().recover(Vec::new())).expect("recovered");
    assert_eq!(recovered.orphans.len(), 2);
    for (name, _) in births {
        assert!(!paths::container_dir(&host.path("run"), &ContainerId::new(name)).exists());
    }
    assert!(runs(pid));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).expect("ours");
}
