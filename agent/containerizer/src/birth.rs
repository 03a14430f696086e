//! Which process a recorded pid means: after a reboot, or when ids came round, somebody else has it.
//!
//! A process is named for good by the boot it lives in and the tick it started at. Both stand in a file of their own
//! beside the pid. Containers of other implementations have no such file; their init is known by how it is called.

use std::fs;
use std::io;

use mesos::ids::ContainerId;

use crate::helper::launch::LAUNCH;
use crate::mesos_containerizer::Inner;
use crate::paths;
use crate::process_tree::{ProcessStat, TreeRoot};

/// How the program is called that starts containers, whoever made it.
const HELPER: &str = "mesos-containerizer";

/// When a process started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Birth {
    boot_id: String,
    start_ticks: u64,
}

impl Birth {
    /// Of a process that runs.
    pub fn of(pid: i32) -> Option<Self> {
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(Self {
            boot_id: boot_id.trim().to_owned(),
            start_ticks: ProcessStat::read(pid)?.start_ticks,
        })
    }

    /// The text of the file: both, with a blank between.
    pub fn to_text(&self) -> String {
        format!("{} {}", self.boot_id, self.start_ticks)
    }

    fn parse(text: &str) -> Option<Self> {
        let (boot_id, ticks) = text.trim().split_once(' ')?;
        Some(Self {
            boot_id: boot_id.to_owned(),
            start_ticks: ticks.parse().ok()?,
        })
    }
}

/// The init of a container whose pid was recorded, if the process of that id still is the one that was meant.
pub(crate) fn recorded_root(inner: &Inner, container_id: &ContainerId, pid: i32) -> Option<TreeRoot> {
    // Every init leads a session of its own.
    let process = ProcessStat::read(pid).filter(|process| !process.is_dead() && process.session == pid)?;
    let path = paths::birth(&paths::container_dir(&inner.config.runtime_dir, container_id));
    let recorded = match fs::read_to_string(&path) {
        Ok(text) => Birth::parse(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            tracing::warn!(%container_id, %error, "the birth of the container's init is not readable");
            None
        }
    };
    let ours = match recorded {
        Some(birth) => Birth::of(pid) == Some(birth),
        None => is_helper(pid),
    };
    if !ours {
        tracing::warn!(%container_id, pid, "the recorded pid belongs to another process now; it is left alone");
        return None;
    }
    Some(TreeRoot {
        pid,
        start_ticks: Some(process.start_ticks),
    })
}

/// Whether a process was called as the launch helper.
fn is_helper(pid: i32) -> bool {
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut arguments = arguments.split(|byte| *byte == 0);
    let program = arguments.next().unwrap_or_default();
    let name = program.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    name == HELPER.as_bytes() && arguments.any(|argument| argument == LAUNCH.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn births_read_back_and_differ_between_processes() {
        let own = i32::try_from(std::process::id()).expect("small");
        let birth = Birth::of(own).expect("this process runs");
        assert_eq!(Birth::parse(&birth.to_text()), Some(birth.clone()));
        assert_ne!(Birth::of(1), Some(birth));
        for text in ["", "x", "boot ticks"] {
            assert_eq!(Birth::parse(text), None, "{text}");
        }
        assert!(!is_helper(own));
    }
}
