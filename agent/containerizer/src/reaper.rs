//! Collecting ended children, those that were adopted among them.

use std::io;

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus as Waited, waitid, waitpid};

use crate::termination::WaitStatus;

/// Makes this process the parent of everything its children leave behind.
///
/// # Errors
///
/// Gives the kernel's refusal.
pub fn adopt_orphans() -> io::Result<()> {
    Ok(nix::sys::prctl::set_child_subreaper(true)?)
}

/// A child that has ended and is collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collected {
    /// Its process id; free for others now.
    pub pid: u32,
    /// How it ended.
    pub status: WaitStatus,
}

/// Collects all children that have ended, adopted ones among them.
///
/// Children started through runtimes that collect them on their own must not exist beside it.
///
/// # Errors
///
/// Gives the kernel's refusal; having no children at all is none.
pub fn collect() -> io::Result<Vec<Collected>> {
    let mut collected = Vec::new();
    loop {
        // Looking first leaves what is neither exited nor killed (a stopped child) alone.
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let pid = match waitid(Id::All, flags) {
            Ok(Waited::Exited(pid, _) | Waited::Signaled(pid, _, _)) => pid,
            Ok(_) | Err(Errno::ECHILD) => return Ok(collected),
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        };
        let status = match waitpid(pid, None)? {
            Waited::Exited(_, code) => WaitStatus::exited(code),
            Waited::Signaled(_, signal, core) => WaitStatus::from_raw(signal as i32 | if core { 0x80 } else { 0 }),
            _ => continue,
        };
        collected.push(Collected {
            pid: pid.as_raw().unsigned_abs(),
            status,
        });
    }
}
