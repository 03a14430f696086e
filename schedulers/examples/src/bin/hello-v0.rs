//! The program `hello-v0`; see the crate's documentation.

use std::process::ExitCode;

fn main() -> ExitCode {
    match mesos_example_frameworks::hello_v0::run(std::env::args_os().collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
