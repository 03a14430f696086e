//! `mesos-load`: see [`mesos_tests_load`].

use std::error::Error as _;
use std::process::ExitCode;

use mesos_tests_load::cli::{self, Options};
use mesos_tests_load::scenario;

fn main() -> ExitCode {
    let arguments = cli::command().get_matches();
    let Some(options) = Options::read(&arguments) else {
        eprintln!("mesos-load: no scenario given, see --help");
        return ExitCode::FAILURE;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("mesos-load: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let report = match runtime.block_on(scenario::run(options)) {
        Ok(report) => report,
        Err(error) => {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            eprintln!("mesos-load: {error}{cause}");
            return ExitCode::FAILURE;
        }
    };
    match serde_json::to_string(&report) {
        Ok(line) => println!("{line}"),
        Err(error) => {
            eprintln!("mesos-load: the report cannot be written: {error}");
            return ExitCode::FAILURE;
        }
    }
    if report.errors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
