//! A cluster of real programs: `mesos up` as a child process.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::process::wait_for_end;

/// Longest wait for the banner.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// Longest wait for the end after an interrupt.
const END_PATIENCE: Duration = Duration::from_secs(30);

/// A running `mesos up`; interrupted and waited for when dropped.
#[derive(Debug)]
pub struct Cluster {
    child: Child,
    folder: tempfile::TempDir,
    master: SocketAddr,
    agents: Vec<SocketAddr>,
}

impl Cluster {
    /// Starts the executable with `agents` agents on free ports.
    ///
    /// # Panics
    ///
    /// Panics with the program's log when it does not come up.
    #[must_use]
    pub fn start(mesos: &Path, agents: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = File::create(folder.path().join("log")).expect("a log file");
        let mut child = Command::new(mesos)
            .args(["up", "--port=0", "--resources=cpus:4;mem:4096;disk:4096"])
            .arg(format!("--agents={agents}"))
            .arg(format!("--work_dir={}", folder.path().join("state").display()))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the executable starts");
        let output = child.stdout.take().expect("output is piped");
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                drop(sender.send(line));
            }
        });
        let mut cluster = Self {
            child,
            folder,
            master: SocketAddr::from(([0, 0, 0, 0], 0)),
            agents: Vec::new(),
        };
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = receiver.recv_timeout(left) else {
                panic!("no banner; log:\n{}", cluster.log())
            };
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("master"), Some(upid)) => cluster.master = address(upid),
                (Some("agent"), Some(upid)) => cluster.agents.push(address(upid)),
                (Some("end"), _) => return cluster,
                _ => {}
            }
        }
    }

    /// Address of the master.
    #[must_use]
    pub const fn master(&self) -> SocketAddr {
        self.master
    }

    /// Addresses of the agents.
    #[must_use]
    pub fn agents(&self) -> &[SocketAddr] {
        &self.agents
    }

    /// Folder of the cluster's state.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Process id of the program.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Memory of the program in bytes, as the kernel counts it (`VmRSS`).
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap_or_default();
        line.trim()
            .trim_end_matches("kB")
            .trim()
            .parse::<u64>()
            .unwrap_or_default()
            * 1024
    }

    /// Interrupts the program as Ctrl-C does and waits for its end.
    ///
    /// # Panics
    ///
    /// Panics when it does not end in time or not with success.
    pub fn interrupt(mut self) {
        self.signal(Signal::SIGINT);
        let status = self
            .wait(END_PATIENCE)
            .unwrap_or_else(|| panic!("still running; log:\n{}", self.log()));
        assert!(status.success(), "ended with {status}; log:\n{}", self.log());
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("process ids are positive");
        // It may have ended already.
        let _ = kill(Pid::from_raw(pid), signal);
    }

    fn wait(&mut self, patience: Duration) -> Option<std::process::ExitStatus> {
        wait_for_end(&mut self.child, patience)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.signal(Signal::SIGINT);
        if self.wait(END_PATIENCE).is_none() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

fn address(upid: &str) -> SocketAddr {
    let (_, address) = upid.split_once('@').unwrap_or_else(|| panic!("no address in '{upid}'"));
    address
        .parse()
        .unwrap_or_else(|error| panic!("no address in '{upid}': {error}"))
}
