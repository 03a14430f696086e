//! Processes of the host as `/proc` tells them, and the ending of whole trees.
//!
//! A tree is its root, everything that descends from it, and everything in a session or process group that was led
//! by one of these. A signal reaches a tree in rounds: every member is stopped before anything else happens, so that
//! none can start another one unseen; rounds repeat until no new member turns up.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use thiserror::Error;

/// Most rounds of stopping; each round only continues when the tree grew, and stopped processes cannot grow it.
const ROUNDS_MAX: usize = 64;

/// First pause between looks at processes that were killed.
const PAUSE_MIN: Duration = Duration::from_millis(1);

/// Longest pause between looks at processes that were killed.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// One process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessStat {
    /// Process id.
    pub pid: i32,
    /// Process id of the parent.
    pub parent: i32,
    /// Process group.
    pub group: i32,
    /// Session.
    pub session: i32,
    /// State letter as in `/proc/PID/stat`: `Z` is a dead process that nobody has collected.
    pub state: char,
    /// Time in user mode, in clock ticks.
    pub user_ticks: u64,
    /// Time in kernel mode, in clock ticks.
    pub system_ticks: u64,
    /// When it started, in clock ticks since boot; with the pid it names a process for good.
    pub start_ticks: u64,
    /// Pages in memory.
    pub resident_pages: u64,
}

impl ProcessStat {
    /// Whether the process has ended and only waits to be collected.
    #[must_use]
    pub const fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// Parses the text of `/proc/PID/stat`; `None` for text that is no such line.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (head, tail) = text.split_once('(')?;
        // The name may contain parentheses and blanks itself: the last one closes it.
        let (_, tail) = tail.rsplit_once(')')?;
        let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<i32>().ok();
        let count = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            pid: head.trim().parse().ok()?,
            state: fields.first()?.chars().next()?,
            parent: number(1)?,
            group: number(2)?,
            session: number(3)?,
            user_ticks: count(11)?,
            system_ticks: count(12)?,
            start_ticks: count(19)?,
            resident_pages: count(21)?,
        })
    }

    /// Reads one process; `None` when there is none of that id.
    #[must_use]
    pub fn read(pid: i32) -> Option<Self> {
        let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
        Self::parse(&String::from_utf8_lossy(&text))
    }
}

/// Reads all processes of the host. Processes that end meanwhile are left out.
///
/// # Errors
///
/// Says when `/proc` itself cannot be read.
pub fn processes() -> io::Result<Vec<ProcessStat>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let pid = name.to_str().and_then(|name| name.parse::<i32>().ok());
        found.extend(pid.and_then(ProcessStat::read));
    }
    Ok(found)
}

/// The process that a tree grows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeRoot {
    /// Its process id.
    pub pid: i32,
    /// When it started; a process of that id with another start is a stranger. `None`: take whoever has the id.
    pub start_ticks: Option<u64>,
}

impl TreeRoot {
    /// The root as it runs now.
    #[must_use]
    pub fn running(pid: i32) -> Self {
        Self {
            pid,
            start_ticks: ProcessStat::read(pid).map(|process| process.start_ticks),
        }
    }

    /// Whether the process of that id is this root, or there is no process of that id.
    fn is_ours_or_gone(self, processes: &[ProcessStat]) -> bool {
        let same = |process: &ProcessStat| self.start_ticks.is_none_or(|start| start == process.start_ticks);
        processes
            .iter()
            .find(|process| process.pid == self.pid)
            .is_none_or(same)
    }

    /// Whether the root still runs (a dead process that nobody has collected does not).
    #[must_use]
    pub fn is_running(self) -> bool {
        ProcessStat::read(self.pid).is_some_and(|process| {
            !process.is_dead() && self.start_ticks.is_none_or(|start| start == process.start_ticks)
        })
    }
}

/// The members of a tree among `processes`, the root included when it exists. Neither the caller nor process 1 is
/// ever a member.
#[must_use]
pub fn members(processes: &[ProcessStat], root: TreeRoot) -> Vec<ProcessStat> {
    if !root.is_ours_or_gone(processes) {
        // The id was given to a stranger: the kernel does that only when no session or group of that id is left.
        return Vec::new();
    }
    let caller = i32::try_from(std::process::id()).unwrap_or_default();
    let mut ids = BTreeSet::from([root.pid]);
    let mut members: Vec<ProcessStat> = Vec::new();
    loop {
        let known = members.len();
        for process in processes {
            let related = ids.contains(&process.pid)
                || ids.contains(&process.parent)
                || ids.contains(&process.group)
                || ids.contains(&process.session);
            let taken = members.iter().any(|member| member.pid == process.pid);
            if related && !taken && process.pid != caller && process.pid > 1 {
                ids.insert(process.pid);
                members.push(*process);
            }
        }
        if members.len() == known {
            return members;
        }
    }
}

/// Everything that descends from the caller, without the caller. Complete for a process that adopts orphans
/// (`PR_SET_CHILD_SUBREAPER`).
///
/// # Errors
///
/// Says when `/proc` cannot be read.
pub fn descendants_of_caller() -> io::Result<Vec<ProcessStat>> {
    let caller = i32::try_from(std::process::id()).unwrap_or_default();
    let processes = processes()?;
    let mut ids = BTreeSet::from([caller]);
    let mut found = Vec::new();
    loop {
        let known = found.len();
        for process in &processes {
            if ids.contains(&process.parent) && ids.insert(process.pid) {
                found.push(*process);
            }
        }
        if found.len() == known {
            return Ok(found);
        }
    }
}

/// Why a tree could not be ended.
#[derive(Debug, Error)]
pub enum TreeError {
    /// The processes of the host cannot be listed.
    #[error("failed to read the processes of the host")]
    Processes(#[from] io::Error),
    /// Some processes were still there when time was up.
    #[error("{} processes still run {waited:?} after they were killed, the first is {}", pids.len(), pids[0])]
    Survivors {
        /// Their ids; at least one.
        pids: Vec<i32>,
        /// How long was waited.
        waited: Duration,
    },
}

/// Sends a signal to every process that `look` finds, while all of them are stopped, and lets them go on.
///
/// Answers how many processes were reached.
///
/// # Errors
///
/// Says when `look` fails; processes may have been stopped then and are let go.
pub fn signal_all(look: impl Fn() -> io::Result<Vec<ProcessStat>>, signal: Signal) -> Result<usize, TreeError> {
    let stopped = stop_all(look)?;
    send_each(&stopped, signal);
    if signal != Signal::SIGKILL {
        send_each(&stopped, Signal::SIGCONT);
    }
    Ok(stopped.len())
}

/// Stops a whole tree; it does nothing more until it is killed or let go.
///
/// # Errors
///
/// Says when the processes of the host cannot be read; none is stopped then.
pub fn stop_tree(root: TreeRoot) -> Result<(), TreeError> {
    stop_all(|| Ok(members(&processes()?, root))).map(drop)
}

/// Stops every process that `look` finds, in rounds until there is none that is new.
fn stop_all(look: impl Fn() -> io::Result<Vec<ProcessStat>>) -> Result<BTreeSet<i32>, TreeError> {
    let mut stopped = BTreeSet::new();
    for _ in 0..ROUNDS_MAX {
        let found = match look() {
            Ok(found) => found,
            Err(error) => {
                send_each(&stopped, Signal::SIGCONT);
                return Err(TreeError::Processes(error));
            }
        };
        let known = stopped.len();
        for process in found.iter().filter(|process| !process.is_dead()) {
            if stopped.insert(process.pid) {
                send(process.pid, Signal::SIGSTOP);
            }
        }
        if stopped.len() == known {
            break;
        }
    }
    Ok(stopped)
}

/// Kills every process that `look` finds and waits until they have ended, at most for `patience`.
///
/// # Errors
///
/// Says when `look` fails and when processes are left after `patience`.
pub fn kill_all(look: impl Fn() -> io::Result<Vec<ProcessStat>>, patience: Duration) -> Result<(), TreeError> {
    let started = Instant::now();
    let mut pause = PAUSE_MIN;
    signal_all(&look, Signal::SIGKILL)?;
    loop {
        let alive: Vec<i32> = look()?
            .iter()
            .filter(|process| !process.is_dead())
            .map(|process| process.pid)
            .collect();
        if alive.is_empty() {
            return Ok(());
        }
        let waited = started.elapsed();
        if waited >= patience {
            return Err(TreeError::Survivors { pids: alive, waited });
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSE_MAX);
        // Somebody who raced with the first pass is caught by the next one.
        signal_all(&look, Signal::SIGKILL)?;
    }
}

/// Kills a whole tree and waits until it has ended, at most for `patience`.
///
/// # Errors
///
/// As [`kill_all`].
pub fn kill_tree(root: TreeRoot, patience: Duration) -> Result<(), TreeError> {
    kill_all(|| Ok(members(&processes()?, root)), patience)
}

fn send_each(pids: &BTreeSet<i32>, signal: Signal) {
    for pid in pids {
        send(*pid, signal);
    }
}

/// Sends a signal to the root of a tree alone. One that has ended, or a stranger with its id, is left alone.
pub fn signal_root(root: TreeRoot, signal: Signal) {
    if root.is_running() {
        send(root.pid, signal);
    }
}

/// Sends a signal; a process that has ended meanwhile is no failure, one of a foreign account is logged.
fn send(pid: i32, signal: Signal) {
    match kill(Pid::from_raw(pid), signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => tracing::warn!(pid, %signal, %error, "signal was not delivered"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32, group: i32, session: i32) -> ProcessStat {
        ProcessStat {
            pid,
            parent,
            group,
            session,
            state: 'S',
            user_ticks: 0,
            system_ticks: 0,
            start_ticks: u64::from(pid.unsigned_abs()),
            resident_pages: 0,
        }
    }

    fn pids(processes: &[ProcessStat], root: TreeRoot) -> Vec<i32> {
        let mut pids: Vec<i32> = members(processes, root).iter().map(|process| process.pid).collect();
        pids.sort_unstable();
        pids
    }

    #[test]
    fn names_with_blanks_and_parentheses_parse() {
        let text = "42 (a ) (b) S 7 8 9 0 -1 4194560 1 2 3 4 11 12 0 0 20 0 1 0 777 1000 55 18446744073709551615";
        let parsed = ProcessStat::parse(text).expect("a line of the kernel");
        assert_eq!(
            (parsed.pid, parsed.parent, parsed.group, parsed.session, parsed.state),
            (42, 7, 8, 9, 'S')
        );
        assert_eq!((parsed.user_ticks, parsed.system_ticks), (11, 12));
        assert_eq!((parsed.start_ticks, parsed.resident_pages), (777, 55));
        assert!(ProcessStat::parse("").is_none());
        assert!(ProcessStat::parse("1 (x) S 1").is_none());
    }

    #[test]
    fn a_tree_holds_descendants_and_led_groups_and_sessions() {
        let all = [
            process(100, 50, 100, 100),
            process(101, 100, 100, 100),
            process(102, 101, 102, 102),
            // Orphans that process 1 adopted, in the session of the root and in the group of a member.
            process(103, 1, 103, 100),
            process(104, 1, 102, 102),
            process(105, 104, 105, 105),
            process(50, 1, 50, 50),
            process(200, 50, 200, 50),
        ];
        let root = TreeRoot {
            pid: 100,
            start_ticks: Some(100),
        };
        assert_eq!(pids(&all, root), [100, 101, 102, 103, 104, 105]);
        // The root is gone: its session still tells.
        assert_eq!(pids(&all[1..], root), [101, 102, 103, 104, 105]);
    }

    #[test]
    fn a_stranger_with_the_roots_id_is_left_alone() {
        let all = [process(100, 1, 100, 100), process(101, 100, 100, 100)];
        assert!(
            pids(
                &all,
                TreeRoot {
                    pid: 100,
                    start_ticks: Some(99)
                }
            )
            .is_empty()
        );
        assert_eq!(
            pids(
                &all,
                TreeRoot {
                    pid: 100,
                    start_ticks: None
                }
            ),
            [100, 101]
        );
    }

    #[test]
    fn this_process_is_listed() {
        let own = i32::try_from(std::process::id()).expect("a small number");
        assert!(processes().expect("/proc").iter().any(|process| process.pid == own));
        assert!(TreeRoot::running(own).is_running());
    }
}
