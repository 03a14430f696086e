//! The command executor alone. The program that is installed as `mesos-executor` is a part of the multi-call
//! executable; this one lets the crate's own tests run a real executor without it.

use std::process::ExitCode;

fn main() -> ExitCode {
    mesos_command_executor::run(std::env::args().skip(1))
}
