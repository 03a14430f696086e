//! `mesos`: every program of a cluster in one executable.
//!
//! The name that it is called under decides first (`mesos-agent` may be a link to it), then the first argument.

mod banner;
mod programs;
mod up;

use std::ffi::OsString;
use std::process::ExitCode;

use programs::Program;

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    if arguments.is_empty() {
        arguments.push(OsString::from("mesos"));
    }
    if let Some(program) = programs::by_name(&arguments[0]) {
        return run(program, arguments);
    }
    let Some(first) = arguments.get(1).cloned() else {
        print!("{}", banner::USAGE);
        return ExitCode::FAILURE;
    };
    if let Some(program) = programs::by_argument(&first) {
        // The programs see their own name first, whichever way they were called.
        arguments.remove(0);
        arguments[0] = OsString::from(format!("mesos-{}", first.to_string_lossy()));
        return run(program, arguments);
    }
    eprintln!("mesos: no command '{}'\n", first.to_string_lossy());
    eprint!("{}", banner::USAGE);
    ExitCode::FAILURE
}

fn run(program: Program, arguments: Vec<OsString>) -> ExitCode {
    match program {
        Program::Master => mesos_master::run(arguments),
        Program::Agent => mesos_agent::run(arguments),
        Program::Execute => mesos_execute::run(arguments),
        Program::CommandExecutor => mesos_command_executor::run(texts(arguments)),
        Program::DefaultExecutor => mesos_default_executor::run(texts(arguments)),
        Program::Fetcher => mesos_containerizer::program::run_fetcher(),
        Program::Containerizer => mesos_containerizer::program::run(texts(arguments)),
        Program::Up => up::run(arguments),
        Program::Help => {
            print!("{}", banner::USAGE);
            ExitCode::SUCCESS
        }
        Program::Version => {
            println!("{}", banner::version());
            ExitCode::SUCCESS
        }
        Program::NotYet { name, purpose } => {
            eprintln!("{name}: {purpose}: not supported by this version of mesos-rs (see docs/compatibility.md)");
            ExitCode::FAILURE
        }
    }
}

/// Arguments after the program's name, as text.
fn texts(arguments: Vec<OsString>) -> Vec<String> {
    arguments
        .into_iter()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect()
}
