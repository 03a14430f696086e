//! `mesos-default-executor`: runs `mesos` under this name.

use std::process::ExitCode;

fn main() -> ExitCode {
    mesos_thin_programs::run("mesos-default-executor")
}
