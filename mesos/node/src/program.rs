//! The frame of a program that serves until it is told to end.

use std::ffi::OsString;
use std::future::Future;
use std::io;
use std::process::ExitCode;

use mesos::flags::{FlagSet, Flags, Outcome, environment};
use tokio::signal::unix::{SignalKind, signal};

use crate::logging::init_logging;

/// What reading the flags led to.
#[derive(Debug)]
pub enum Started {
    /// Run with these flags.
    Run(Box<Flags>),
    /// Help or version was printed, or an error was told: end so.
    End(ExitCode),
}

/// Reads flags from all arguments (the program's name first) and the environment; prints help, version and errors.
#[must_use]
pub fn flags_or_exit(program: &str, set: &FlagSet, arguments: Vec<OsString>) -> Started {
    let read = environment::check(environment::of_process())
        .and_then(|()| set.read(arguments.into_iter().skip(1), environment::of_process()));
    match read {
        Ok(Outcome::Run(flags)) => {
            init_logging(&flags);
            Started::Run(Box::new(flags))
        }
        Ok(Outcome::Help(text)) => {
            print!("{text}");
            Started::End(ExitCode::SUCCESS)
        }
        Ok(Outcome::Version) => {
            println!("mesos {}", mesos::version::MESOS_VERSION);
            Started::End(ExitCode::SUCCESS)
        }
        Err(error) => {
            eprintln!("{program}: {}", error.describe());
            Started::End(ExitCode::FAILURE)
        }
    }
}

/// Runs `serve` in an actor system and turns its result into an exit code, telling the error.
pub fn main<F: Future<Output = Result<(), String>>>(program: &str, serve: F) -> ExitCode {
    match actix_rt::System::new().block_on(serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{program}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Waits for an interrupt, a request to terminate or the end of the terminal.
///
/// # Errors
///
/// Fails when the operating system lets no handler be installed.
pub async fn asked_to_end() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // The terminal was closed: nobody is left to ask.
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}
