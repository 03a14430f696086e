//! The default executor alone. The program that is installed as `mesos-default-executor` is a part of the multi-call
//! executable.

use std::process::ExitCode;

fn main() -> ExitCode {
    mesos_default_executor::run(std::env::args().skip(1))
}
