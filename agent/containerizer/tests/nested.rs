//! Containers in containers, standalone ones, and looks into others: real processes and files.

mod support;

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;

use mesos::ids::ContainerId;
use mesos_containerizer::{
    ContainerKind, ContainerOutput, Containerizer as _, ContainerizerError, LaunchRequest, MesosContainerizer,
    RecoverableContainer, WaitStatus, paths,
};
use mesos_proto::v0::mesos::volume::source::Type as SourceType;
use mesos_proto::v0::mesos::volume::source::sandbox_path::Type as PathType;
use mesos_proto::v0::mesos::{ContainerInfo, Volume, container_info, volume};
use support::{Host, eventually, pid_in, runs};

const SLEEP: &str = "exec sleep 600";

/// An outermost container that runs until it is destroyed.
fn parent(host: &Host, containerizer: &MesosContainerizer) -> ContainerId {
    let id = ContainerId::new("p");
    host.launch(containerizer, &id, host.shell("p", SLEEP));
    id
}

/// What an agent knows of `parent` when it comes back.
fn known(host: &Host) -> RecoverableContainer {
    let folder = paths::container_dir(&host.path("run"), &ContainerId::new("p"));
    let pid = fs::read_to_string(paths::pid(&folder)).expect("pid");
    RecoverableContainer {
        container_id: ContainerId::new("p"),
        pid: pid.parse().expect("a number"),
        sandbox: host.path("p"),
        resources: Vec::new(),
        limits: [].into(),
    }
}

/// A request whose output goes to pipes; gives their other ends.
fn look(host: &Host, command: &str) -> (LaunchRequest, std::io::PipeReader, std::io::PipeReader) {
    let mut request = host.shell("unused", command);
    let (stdout, to_stdout) = std::io::pipe().expect("a pipe");
    let (stderr, to_stderr) = std::io::pipe().expect("a pipe");
    request.kind = ContainerKind::Debug;
    request.output = ContainerOutput::Pipes {
        stdout: Arc::new(to_stdout.into()),
        stderr: Arc::new(to_stderr.into()),
    };
    (request, stdout, stderr)
}

fn code(host: &Host, containerizer: &MesosContainerizer, id: &ContainerId) -> Option<i32> {
    let termination = host.wait(containerizer.wait(id.clone())).expect("known");
    termination.wait_status().and_then(WaitStatus::code)
}

#[test]
fn a_nested_container_has_its_sandbox_in_its_parents() {
    let host = Host::new();
    let containerizer = host.containerizer();
    let outer = parent(&host, &containerizer);
    let (inner, innermost) = (outer.child("n"), outer.child("n").child("m"));
    host.launch(
        &containerizer,
        &inner,
        host.shell("elsewhere", &format!("echo nested; {SLEEP}")),
    );
    host.launch(
        &containerizer,
        &innermost,
        host.shell("elsewhere", "pwd; echo $MESOS_SANDBOX; exit 3"),
    );
    assert_eq!(code(&host, &containerizer, &innermost), Some(3));
    let sandbox = host.path("p/containers/n/containers/m");
    let stdout = fs::read_to_string(sandbox.join("stdout")).expect("stdout");
    assert_eq!(stdout, format!("{0}\n{0}\n", sandbox.display()));
    assert!(!host.path("elsewhere").exists());
    let folder = paths::container_dir(&host.path("run"), &innermost);
    assert!(folder.ends_with("containers/p/containers/n/containers/m"));
    assert!(paths::termination(&folder).is_file() && paths::config(&folder).is_file());
    let status = host.wait(containerizer.status(inner.clone())).expect("it runs");
    assert_eq!(status.container_id.as_ref(), Some(&inner.to_proto()));
    host.wait(containerizer.destroy(outer)).expect("known");
}

#[test]
fn nested_containers_end_before_their_parent_and_are_forgotten_with_it() {
    let host = Host::new();
    let containerizer = host.containerizer();
    let early = host
        .wait(containerizer.launch(ContainerId::new("p").child("n"), host.shell("n", "true")))
        .expect_err("no parent");
    assert!(matches!(early, ContainerizerError::ParentNotRunning { .. }));
    let outer = parent(&host, &containerizer);
    let (inner, innermost, ended) = (outer.child("n"), outer.child("n").child("m"), outer.child("e"));
    let launched = host.launch(&containerizer, &inner, host.shell("", SLEEP));
    host.launch(
        &containerizer,
        &innermost,
        host.shell("", "trap '' TERM; echo $$ > pid; while :; do sleep 1; done"),
    );
    let stubborn = pid_in(&host.path("p/containers/n/containers/m/pid"));
    host.launch(&containerizer, &ended, host.shell("", "exit 2"));
    assert_eq!(code(&host, &containerizer, &ended), Some(2));
    for taken in [&inner, &ended] {
        let again = host.wait(containerizer.launch(taken.clone(), host.shell("", "true")));
        assert!(
            matches!(again, Err(ContainerizerError::AlreadyLaunched(_))),
            "{again:?}"
        );
    }
    let waits = [&inner, &innermost].map(|id| containerizer.wait(id.clone()));
    host.wait(containerizer.destroy(outer.clone())).expect("known");
    for wait in waits {
        assert_eq!(host.wait(wait).expect("told").status, Some(9));
    }
    assert!(!runs(stubborn) && !runs(i32::try_from(launched.pid).expect("pid")));
    assert_eq!(host.wait(containerizer.wait(inner)), None);
    assert_eq!(host.wait(containerizer.wait(ended)), None);
    assert!(!paths::container_dir(&host.path("run"), &outer).exists());
}

#[test]
fn a_parent_that_is_destroyed_does_not_see_its_nested_containers_end() {
    let host = Host::new();
    let containerizer = host.containerizer();
    let outer = ContainerId::new("p");
    let watch = "while ! test -s containers/n/pid; do sleep 0.01; done; touch watching; \
        while kill -0 $(cat containers/n/pid); do :; done; touch noticed; exec sleep 600";
    host.launch(&containerizer, &outer, host.shell("p", watch));
    let command = format!("echo $$ > pid; {SLEEP}");
    host.launch(&containerizer, &outer.child("n"), host.shell("", &command));
    let watching = host.path("p/watching");
    eventually("a watch", || watching.exists().then_some(()));
    host.wait(containerizer.destroy(outer)).expect("known");
    assert!(!runs(pid_in(&host.path("p/containers/n/pid"))));
    assert!(!host.path("p/noticed").exists());
}

#[test]
fn signals_reach_the_command_and_nobody_else() {
    let host = Host::new();
    let containerizer = host.containerizer();
    let outer = parent(&host, &containerizer);
    let (polite, stubborn) = (outer.child("polite"), outer.child("stubborn"));
    let on_term = "trap 'exit 7' TERM; touch ready; while :; do sleep 0.01; done";
    host.launch(&containerizer, &polite, host.shell("", on_term));
    let deaf = "trap '' TERM; touch ready; while :; do sleep 0.01; done";
    host.launch(&containerizer, &stubborn, host.shell("", deaf));
    for name in ["polite", "stubborn"] {
        let ready = host.path("p/containers").join(name).join("ready");
        eventually("a trap", || ready.exists().then_some(()));
        let id = outer.child(name);
        assert!(host.wait(containerizer.kill(id, nix::libc::SIGTERM)).expect("a signal"));
    }
    assert_eq!(code(&host, &containerizer, &polite), Some(7));
    assert!(
        host.wait(containerizer.kill(stubborn.clone(), nix::libc::SIGKILL))
            .expect("a signal")
    );
    assert_eq!(
        host.wait(containerizer.wait(stubborn.clone())).expect("known").status,
        Some(9)
    );
    for gone in [stubborn, ContainerId::new("nobody")] {
        assert!(
            !host
                .wait(containerizer.kill(gone, nix::libc::SIGTERM))
                .expect("a signal")
        );
    }
    let wrong = host
        .wait(containerizer.kill(outer.clone(), 999))
        .expect_err("no signal");
    assert!(matches!(wrong, ContainerizerError::BadSignal(999)));
    assert_eq!(containerizer.containers(), [outer]);
}

#[test]
fn removing_takes_the_sandbox_and_the_memory_of_the_end() {
    let host = Host::new();
    let containerizer = host.containerizer();
    let remove = |id: &ContainerId| host.wait(containerizer.remove(id.clone()));
    let nobody = ContainerId::new("nobody");
    assert!(matches!(remove(&nobody), Err(ContainerizerError::UnknownContainer(_))));
    assert!(matches!(
        remove(&nobody.child("n")),
        Err(ContainerizerError::UnknownContainer(_))
    ));
    let outer = parent(&host, &containerizer);
    let inner = outer.child("n");
    host.launch(
        &containerizer,
        &inner,
        host.shell("", "while ! test -e go; do sleep 0.01; done"),
    );
    assert!(matches!(remove(&inner), Err(ContainerizerError::NotEnded(_))));
    fs::write(host.path("p/containers/n/go"), "").expect("written");
    assert_eq!(code(&host, &containerizer, &inner), Some(0));
    remove(&inner).expect("removed");
    assert!(!host.path("p/containers/n").exists());
    assert_eq!(host.wait(containerizer.wait(inner.clone())), None);
    remove(&inner).expect("nothing is left to remove");
    host.launch(&containerizer, &inner, host.shell("", "exit 4"));
    assert_eq!(code(&host, &containerizer, &inner), Some(4), "the id is free again");
    // The sandbox of an executor is not the containerizer's to remove.
    host.wait(containerizer.destroy(outer.clone())).expect("known");
    assert!(matches!(remove(&outer), Err(ContainerizerError::UnknownContainer(_))));
    assert!(host.path("p").is_dir());
}

#[test]
fn links_in_the_parents_sandbox_lead_no_removal_and_no_launch_elsewhere() {
    let host = Host::new();
    let containerizer = host.containerizer();
    let outer = parent(&host, &containerizer);
    let remove = |id: &ContainerId| host.wait(containerizer.remove(id.clone()));
    let (known, stranger) = (outer.child("known"), outer.child("stranger"));
    host.launch(&containerizer, &known, host.shell("", "true"));
    assert_eq!(code(&host, &containerizer, &known), Some(0));
    for name in ["known", "stranger", "fresh"] {
        fs::create_dir_all(host.path("host").join(name)).expect("made");
    }
    // As the owner of the sandbox can.
    let (nested, link) = (host.path("p/mine"), host.path("p/containers"));
    fs::rename(&link, &nested).expect("moved");
    symlink(host.path("host"), &link).expect("a link");
    remove(&stranger).expect("nobody launched it");
    let named = format!("'{}' is a link", link.display());
    let refused = remove(&known).expect_err("a link");
    assert!(refused.chain().ends_with(&named), "{}", refused.chain());
    let fresh = containerizer.launch(outer.child("fresh"), host.shell("", "true"));
    let refused = host.wait(fresh).expect_err("a link");
    assert!(refused.chain().ends_with(&named), "{}", refused.chain());
    for name in ["known", "stranger", "fresh"] {
        let entries = fs::read_dir(host.path("host").join(name)).expect("it stays");
        assert_eq!(entries.count(), 0);
    }
    // Once the link is gone the container can be removed.
    fs::remove_file(&link).expect("removed");
    fs::rename(&nested, &link).expect("moved");
    fs::create_dir(link.join("stranger")).expect("made");
    remove(&known).expect("removed");
    remove(&stranger).expect("nobody launched it");
    assert!(!link.join("known").exists() && link.join("stranger").exists());
}

#[test]
fn two_nested_containers_share_a_folder_of_their_parent() {
    let host = Host::new();
    let containerizer = host.containerizer();
    let outer = parent(&host, &containerizer);
    let mut volume = Volume::new();
    volume.set_mode(volume::Mode::RW);
    volume.set_container_path("data".to_owned());
    let source = volume.source.mut_or_insert_default();
    source.set_type(SourceType::SANDBOX_PATH);
    let sandbox_path = source.sandbox_path.mut_or_insert_default();
    sandbox_path.set_type(PathType::PARENT);
    sandbox_path.set_path("shared".to_owned());
    let mut info = ContainerInfo::new();
    info.set_type(container_info::Type::MESOS);
    info.volumes.push(volume);
    for (name, command) in [("writer", "echo hello > data/file"), ("reader", "cat data/file")] {
        let mut request = host.shell("", command);
        request.container_info = Some(info.clone());
        host.launch(&containerizer, &outer.child(name), request);
        assert_eq!(code(&host, &containerizer, &outer.child(name)), Some(0));
    }
    let read = fs::read_to_string(host.path("p/containers/reader/stdout")).expect("stdout");
    assert_eq!(read, "hello\n");
    assert!(host.path("p/shared/file").is_file());
}

#[test]
fn an_agent_that_comes_back_takes_up_nested_containers() {
    let host = Host::new();
    let first = host.containerizer();
    let outer = parent(&host, &first);
    let [stays, ends, ended, look_id] = ["stays", "ends", "ended", "look"].map(|name| outer.child(name));
    let inside = stays.child("inside");
    let launched = host.launch(&first, &stays, host.shell("", SLEEP));
    host.launch(&first, &inside, host.shell("", SLEEP));
    host.launch(
        &first,
        &ends,
        host.shell("", "while ! test -e go; do sleep 0.01; done; exit 5"),
    );
    host.launch(&first, &ended, host.shell("", "exit 6"));
    assert_eq!(code(&host, &first, &ended), Some(6));
    let (request, _stdout, _stderr) = look(&host, SLEEP);
    let looking = host.launch(&first, &look_id, request);
    drop(first);
    fs::write(host.path("p/containers/ends/go"), "").expect("written");

    let second = host.containerizer();
    let recovered = host.wait(second.recover(vec![known(&host)])).expect("recovered");
    assert_eq!(recovered.orphans, []);
    let mut expected = vec![outer.clone(), ends.clone(), stays.clone(), inside.clone()];
    expected.sort();
    let mut taken_up = recovered.containers;
    taken_up.sort();
    assert_eq!(taken_up, expected);
    assert!(
        !runs(i32::try_from(looking.pid).expect("pid")),
        "whoever looked is gone"
    );
    assert_eq!(host.wait(second.wait(look_id)).expect("remembered").status, Some(9));
    assert_eq!(code(&host, &second, &ends), Some(5));
    assert_eq!(code(&host, &second, &ended), Some(6));
    let status = host.wait(second.status(stays.clone())).expect("it runs");
    assert_eq!(status.executor_pid(), launched.pid);
    let again = host
        .wait(second.launch(ended, host.shell("", "true")))
        .expect_err("taken");
    assert!(matches!(again, ContainerizerError::AlreadyLaunched(_)));
    host.launch(&second, &outer.child("new"), host.shell("", "exit 8"));
    assert_eq!(code(&host, &second, &outer.child("new")), Some(8));
    let end = second.wait(inside);
    host.wait(second.destroy(outer)).expect("known");
    assert_eq!(host.wait(end).expect("told").status, Some(9));
    assert!(!runs(i32::try_from(launched.pid).expect("pid")));
}

#[test]
fn nested_containers_of_a_parent_that_died_meanwhile_end_too() {
    let host = Host::new();
    let first = host.containerizer();
    let outer = parent(&host, &first);
    let inner = host.launch(&first, &outer.child("n"), host.shell("", SLEEP));
    let known = known(&host);
    drop(first);
    let pid = nix::unistd::Pid::from_raw(i32::try_from(known.pid).expect("pid"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("killed");
    eventually("the end of the parent", || (!runs(pid.as_raw())).then_some(()));
    let second = host.containerizer();
    host.wait(second.recover(vec![known])).expect("recovered");
    assert_eq!(host.wait(second.wait(outer)).expect("known").status, Some(9));
    assert!(!runs(i32::try_from(inner.pid).expect("pid")));
    assert!(second.containers().is_empty());
}

#[test]
fn standalone_containers_have_their_own_place_and_outlive_the_agent() {
    let host = Host::new();
    let first = host.containerizer();
    let id = ContainerId::new("alone");
    let mut request = host.shell("elsewhere", "while ! test -e go; do sleep 0.01; done; exit 3");
    request.kind = ContainerKind::Standalone;
    host.launch(&first, &id, request);
    let nested = host.launch(&first, &id.child("n"), host.shell("", SLEEP));
    drop(first);
    let second = host.containerizer();
    let recovered = host.wait(second.recover(Vec::new())).expect("recovered");
    assert_eq!(recovered.containers, [id.clone(), id.child("n")]);
    let sandbox = host.path("work/containers/alone");
    assert!(sandbox.join("containers/n/stdout").is_file());
    fs::write(sandbox.join("go"), "").expect("written");
    assert_eq!(code(&host, &second, &id), Some(3));
    assert!(!runs(i32::try_from(nested.pid).expect("pid")));
    host.wait(second.remove(id.clone())).expect("removed");
    assert!(!sandbox.exists());
    assert_eq!(host.wait(second.wait(id)), None);
}

#[test]
fn a_look_into_a_container_sees_its_environment_and_folder() {
    let host = Host::new();
    let containerizer = host.containerizer();
    let outer = ContainerId::new("p");
    let mut request = host.shell("p", SLEEP);
    request.environment.insert("COLOUR".to_owned(), "green".to_owned());
    host.launch(&containerizer, &outer, request);
    let (mut request, mut stdout, mut stderr) =
        look(&host, "echo $COLOUR $SIZE $MESOS_SANDBOX; pwd; echo oops >&2; exit 9");
    request.environment.insert("SIZE".to_owned(), "large".to_owned());
    host.launch(&containerizer, &outer.child("look"), request);
    let (mut told, mut complained) = (String::new(), String::new());
    stdout.read_to_string(&mut told).expect("output");
    stderr.read_to_string(&mut complained).expect("output");
    let sandbox: PathBuf = host.path("p");
    assert_eq!(told, format!("green large {0}\n{0}\n", sandbox.display()));
    assert_eq!(complained, "oops\n");
    assert_eq!(code(&host, &containerizer, &outer.child("look")), Some(9));
    host.wait(containerizer.destroy(outer)).expect("known");
}
