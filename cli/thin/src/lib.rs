//! Programs with the names that scripts and unit files know, each a few kilobytes: they run the `mesos` executable that
//! lies beside them under their own name, and `mesos` dispatches on that name.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// Replaces this process by `mesos`, called `name`, with the same arguments.
///
/// Returns only when that fails, after telling so.
#[must_use]
pub fn run(name: &str) -> ExitCode {
    let program = beside_this_program().unwrap_or_else(|| PathBuf::from("mesos"));
    let error = Command::new(&program).arg0(name).args(arguments()).exec();
    eprintln!("{name}: cannot run {}: {error}", program.display());
    ExitCode::from(127)
}

fn arguments() -> impl Iterator<Item = OsString> {
    env::args_os().skip(1)
}

/// The `mesos` executable in the folder of this program; a symbolic link to this program is followed first.
fn beside_this_program() -> Option<PathBuf> {
    let own = env::current_exe().ok()?;
    let candidate = own.canonicalize().unwrap_or(own).with_file_name("mesos");
    candidate.is_file().then_some(candidate)
}
