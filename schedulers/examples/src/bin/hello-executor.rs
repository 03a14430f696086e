//! The program `hello-executor`; see the crate's documentation.

use std::process::ExitCode;

fn main() -> ExitCode {
    match mesos_example_frameworks::hello_executor::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
