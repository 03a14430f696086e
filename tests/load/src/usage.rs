//! What a process has used, from `/proc`.

use std::time::Duration;

use serde::Serialize;

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Usage {
    /// Processor time in user and kernel mode, all threads.
    pub cpu_s: f64,
    /// Memory that it holds now, in bytes.
    pub rss_bytes: u64,
    /// Most memory that it ever held, in bytes.
    pub peak_rss_bytes: u64,
}

impl Usage {
    /// Reads what the process has used; nothing for one that is gone or on systems without `/proc`.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok()??;
        Some(Self {
            cpu_s: cpu_time(&stat, u64::try_from(ticks).ok()?)?.as_secs_f64(),
            rss_bytes: kilobytes(&status, "VmRSS:")? * 1024,
            peak_rss_bytes: kilobytes(&status, "VmHWM:")? * 1024,
        })
    }
}

/// Fields 14 and 15 of the line; counted behind the program's name, which may hold blanks and brackets.
fn cpu_time(stat: &str, ticks_per_second: u64) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    let ticks = next()? + next()?;
    Some(Duration::from_millis(ticks * 1000 / ticks_per_second))
}

fn kilobytes(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_the_system_are_read() {
        let stat = "12 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 7 0";
        assert_eq!(cpu_time(stat, 100), Some(Duration::from_secs(2)));
        assert_eq!(cpu_time("12 (a", 100), None);
        let status = "Name:\tx\nVmHWM:\t  20 kB\nVmRSS:\t  10 kB\n";
        assert_eq!(
            (kilobytes(status, "VmHWM:"), kilobytes(status, "VmRSS:")),
            (Some(20), Some(10))
        );
    }

    #[test]
    fn this_process_uses_something() {
        let usage = Usage::of(std::process::id()).expect("readable");
        assert!(usage.rss_bytes > 0 && usage.peak_rss_bytes >= usage.rss_bytes);
        assert_eq!(Usage::of(u32::MAX), None);
    }
}
