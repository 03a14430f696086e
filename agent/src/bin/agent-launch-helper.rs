//! The launch helper alone. The program that is installed as `mesos-containerizer` is a part of the multi-call
//! executable; this one lets the agent's own tests start real containers without it.

use std::process::ExitCode;

fn main() -> ExitCode {
    mesos_containerizer::program::run(std::env::args().skip(1))
}
