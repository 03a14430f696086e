//! The example frameworks against a real cluster, tasks and all.
//!
//! This program is also each of the programs that run: an agent starts its helpers by their names, which are links to
//! it.

use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, ExitCode};

use mesos_example_frameworks::{ExampleError, hello_executor, hello_v0, hello_v1};
use mesos_tests_cluster::Cluster;

const HELPERS: &[&str] = &["mesos-containerizer", "mesos-executor", "mesos-fetcher"];
const EXAMPLES: &[&str] = &["hello-v1", "hello-v0", "hello-executor"];

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let name = arguments.first().map(Path::new).and_then(Path::file_name);
    let texts = || std::env::args().skip(1);
    match name.and_then(|name| name.to_str()).unwrap_or_default() {
        "mesos-containerizer" => mesos_containerizer::program::run(texts()),
        "mesos-executor" => mesos_command_executor::run(texts()),
        "mesos-fetcher" => mesos_containerizer::program::run_fetcher(),
        "hello-v1" => told(hello_v1::run(arguments)),
        "hello-v0" => told(hello_v0::run(arguments)),
        "hello-executor" => told(hello_executor::run()),
        _ => {
            // Listing runners ask a program without a harness too.
            if !arguments.iter().any(|argument| argument == "--list") {
                examples_run_their_tasks();
                println!("test examples_run_their_tasks ... ok");
            }
            ExitCode::SUCCESS
        }
    }
}

fn told(result: Result<(), ExampleError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn examples_run_their_tasks() {
    let programs = tempfile::tempdir().expect("a temporary folder");
    let own = std::env::current_exe().expect("this program has a path");
    for name in HELPERS.iter().chain(EXAMPLES) {
        symlink(&own, programs.path().join(name)).expect("a link");
    }
    let mut cluster = Cluster::start(&[]);
    let launcher_dir = format!("--launcher_dir={}", programs.path().display());
    cluster.agent("cpus:1;mem:512", &[&launcher_dir]);
    let executor = programs.path().join("hello-executor").display().to_string();
    for (name, command) in [("hello-v1", "echo hello"), ("hello-v0", &executor)] {
        let output = Command::new(programs.path().join(name))
            .arg(format!("--master={}", cluster.master()))
            .arg(format!("--command={command}"))
            .arg("--tasks=12")
            .env("LIBPROCESS_IP", "127.0.0.1")
            .output()
            .expect("it starts");
        let lines = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {lines}");
        assert_eq!(lines.matches("TASK_FINISHED").count(), 12, "{name}: {lines}");
        // More tasks than fit at once: later offers are used too.
        assert!(lines.matches("offer of").count() > 1, "{name}: {lines}");
    }
}
