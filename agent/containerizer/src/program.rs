//! Entry points of the programs `mesos-containerizer` and `mesos-fetcher`.

use std::error::Error;
use std::process::ExitCode;

use nix::sys::signal::{Signal, raise};

use crate::fetcher;
use crate::helper::{execute, launch};
use crate::termination::WaitStatus;

/// Runs `mesos-containerizer` with the arguments after the program's name.
///
/// Ends the same way as the container's command: with its exit code, or by its signal.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    match arguments.into_iter().next().as_deref() {
        Some(launch::LAUNCH) => match launch::run() {
            Ok(status) => end_like(status),
            Err(error) => report("mesos-containerizer launch", &error),
        },
        Some(execute::EXECUTE) => report("mesos-containerizer execute", &execute::run()),
        other => {
            eprintln!(
                "mesos-containerizer: expected the command '{}', found '{}'; this program is started by the agent",
                launch::LAUNCH,
                other.unwrap_or_default()
            );
            ExitCode::from(2)
        }
    }
}

/// Runs `mesos-fetcher`: fetches what the environment variable `MESOS_FETCHER_INFO` asks for.
#[must_use]
pub fn run_fetcher() -> ExitCode {
    match fetcher::run_from_environment() {
        Ok(fetched) => {
            for path in fetched {
                println!("fetched '{}'", path.display());
            }
            ExitCode::SUCCESS
        }
        Err(error) => report("mesos-fetcher", &error),
    }
}

fn end_like(status: WaitStatus) -> ExitCode {
    if let Some(signal) = status.signal().and_then(|signal| Signal::try_from(signal).ok()) {
        // Core files belong to the command; the helper's own would only hide it.
        let _ = nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0);
        let _ = raise(signal);
    }
    ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1))
}

fn report(program: &str, error: &dyn Error) -> ExitCode {
    let mut text = format!("{program}: {error}");
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    eprintln!("{text}");
    ExitCode::FAILURE
}
