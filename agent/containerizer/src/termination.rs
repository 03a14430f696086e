//! How a container or a command ended.

use mesos_proto::v0::mesos::{Resource, TaskState, task_status::Reason};
use mesos_proto::v0::slave::containerizer::ContainerTermination;
use nix::libc;
use nix::sys::signal::Signal;

use crate::isolators::Limitation;

/// A wait status as the kernel reports it: exit code in the second byte, or the signal in the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitStatus(i32);

impl WaitStatus {
    /// Wraps a raw wait status.
    #[must_use]
    pub const fn from_raw(raw: i32) -> Self {
        Self(raw)
    }

    /// The status of a process that exited with `code`.
    #[must_use]
    pub const fn exited(code: i32) -> Self {
        Self((code & 0xff) << 8)
    }

    /// The status of a process that a signal ended.
    #[must_use]
    pub const fn signaled(signal: i32) -> Self {
        Self(signal & 0x7f)
    }

    /// The raw form, as messages and checkpoints carry it.
    #[must_use]
    pub const fn raw(self) -> i32 {
        self.0
    }

    /// Whether the process exited with code 0.
    #[must_use]
    pub const fn success(self) -> bool {
        self.0 & 0xff7f == 0
    }

    /// The exit code of a process that ended by itself.
    #[must_use]
    pub const fn code(self) -> Option<i32> {
        if libc::WIFEXITED(self.0) {
            Some(libc::WEXITSTATUS(self.0))
        } else {
            None
        }
    }

    /// The signal that ended the process.
    #[must_use]
    pub const fn signal(self) -> Option<i32> {
        if libc::WIFSIGNALED(self.0) {
            Some(libc::WTERMSIG(self.0))
        } else {
            None
        }
    }

    /// Says what happened as the end of a sentence: `exited with status 1`, `terminated with signal Killed`.
    #[must_use]
    pub fn describe(self) -> String {
        match (self.code(), self.signal()) {
            (Some(code), _) => format!("exited with status {code}"),
            (None, Some(signal)) => {
                let core = if libc::WCOREDUMP(self.0) { " (core dumped)" } else { "" };
                format!("terminated with signal {}{core}", signal_text(signal))
            }
            (None, None) => format!("ended with wait status {}", self.0),
        }
    }
}

impl From<std::process::ExitStatus> for WaitStatus {
    fn from(status: std::process::ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        Self(status.into_raw())
    }
}

/// The words that POSIX systems print for a signal.
fn signal_text(signal: i32) -> String {
    let words = match Signal::try_from(signal) {
        Ok(Signal::SIGHUP) => "Hangup",
        Ok(Signal::SIGINT) => "Interrupt",
        Ok(Signal::SIGQUIT) => "Quit",
        Ok(Signal::SIGILL) => "Illegal instruction",
        Ok(Signal::SIGTRAP) => "Trace/breakpoint trap",
        Ok(Signal::SIGABRT) => "Aborted",
        Ok(Signal::SIGBUS) => "Bus error",
        Ok(Signal::SIGFPE) => "Floating point exception",
        Ok(Signal::SIGKILL) => "Killed",
        Ok(Signal::SIGUSR1) => "User defined signal 1",
        Ok(Signal::SIGSEGV) => "Segmentation fault",
        Ok(Signal::SIGUSR2) => "User defined signal 2",
        Ok(Signal::SIGPIPE) => "Broken pipe",
        Ok(Signal::SIGALRM) => "Alarm clock",
        Ok(Signal::SIGTERM) => "Terminated",
        Ok(Signal::SIGXCPU) => "CPU time limit exceeded",
        Ok(Signal::SIGXFSZ) => "File size limit exceeded",
        Ok(Signal::SIGSYS) => "Bad system call",
        Ok(other) => return other.as_str().to_owned(),
        Err(_) => return format!("number {signal}"),
    };
    words.to_owned()
}

/// The end of a container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Termination {
    /// Wait status of the container's init; `None` when it is not known (it was never started, or it is no child of
    /// ours and left no record).
    pub status: Option<i32>,
    /// State that the container's tasks shall get, when the containerizer has an opinion (a broken limit).
    pub state: Option<TaskState>,
    /// Why the containerizer ended it.
    pub reason: Option<Reason>,
    /// What happened, for people.
    pub message: Option<String>,
    /// Resources whose limit was broken; empty when the container ended by itself or on request.
    pub limited_resources: Vec<Resource>,
}

impl Termination {
    /// The wait status with its questions.
    #[must_use]
    pub fn wait_status(&self) -> Option<WaitStatus> {
        self.status.map(WaitStatus::from_raw)
    }

    /// The end of a container that was killed because it broke a limit.
    #[must_use]
    pub fn of_limitation(limitation: Limitation) -> Self {
        Self {
            status: None,
            state: Some(TaskState::TASK_FAILED),
            reason: Some(limitation.reason),
            message: Some(limitation.message),
            limited_resources: limitation.resources,
        }
    }

    /// The checkpointed form.
    #[must_use]
    pub fn to_proto(&self) -> ContainerTermination {
        let mut proto = ContainerTermination::new();
        proto.status = self.status;
        proto.state = self.state.map(Into::into);
        proto.reason = self.reason.map(Into::into);
        proto.message.clone_from(&self.message);
        proto.limited_resources.clone_from(&self.limited_resources);
        proto
    }

    /// Reads the checkpointed form.
    #[must_use]
    pub fn from_proto(proto: &ContainerTermination) -> Self {
        Self {
            status: proto.status,
            state: proto.state.and_then(|state| state.enum_value().ok()),
            reason: proto.reason.and_then(|reason| reason.enum_value().ok()),
            message: proto.message.clone(),
            limited_resources: proto.limited_resources.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_statuses_say_what_happened() {
        assert_eq!(WaitStatus::exited(0).describe(), "exited with status 0");
        assert!(WaitStatus::exited(0).success());
        assert_eq!(WaitStatus::exited(3).raw(), 768);
        assert_eq!(WaitStatus::exited(3).describe(), "exited with status 3");
        assert_eq!(WaitStatus::signaled(9).describe(), "terminated with signal Killed");
        assert_eq!(
            WaitStatus::from_raw(0x80 | 11).describe(),
            "terminated with signal Segmentation fault (core dumped)"
        );
        assert!(!WaitStatus::signaled(15).success());
    }

    #[test]
    fn the_checkpointed_form_reads_back() {
        let termination = Termination {
            status: Some(9),
            state: Some(TaskState::TASK_FAILED),
            reason: Some(Reason::REASON_CONTAINER_LIMITATION_MEMORY),
            message: Some("too much".to_owned()),
            limited_resources: Vec::new(),
        };
        assert_eq!(Termination::from_proto(&termination.to_proto()), termination);
    }
}
