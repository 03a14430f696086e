//! One program of a cluster as a child process: a master or an agent that a test may kill, freeze and start again.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use thiserror::Error;

/// Longest wait for a program to say that it has started.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// Longest wait for the end after it was asked for.
const END_PATIENCE: Duration = Duration::from_secs(30);

/// Why a program is not as it should be.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// It cannot be started at all.
    #[error("cannot start a program")]
    Start(#[from] std::io::Error),
    /// It has ended.
    #[error("the program has ended; its log:\n{0}")]
    Ended(String),
    /// It did not say in time what it has to say.
    #[error("the program did not log {wanted:?} in time; its log:\n{log}")]
    Silent {
        /// Any of these would have been right.
        wanted: Vec<String>,
        /// What it said.
        log: String,
    },
}

/// A running master or agent; killed when dropped.
#[derive(Debug)]
pub struct Program {
    command: Vec<String>,
    child: Child,
    log: PathBuf,
    /// What this life of it logged and nobody looked at yet; locked only so that threads may share a program.
    lines: Mutex<Receiver<String>>,
    /// Lines of this life that were looked at, but not for what they say.
    passed: Vec<String>,
    address: SocketAddr,
}

impl Program {
    /// Starts a master with more flags; `folder` is for its state and its log.
    ///
    /// # Panics
    ///
    /// Panics with its log when it does not come up.
    #[must_use]
    pub fn master(mesos: &Path, folder: &Path, flags: &[&str]) -> Self {
        Self::try_master(mesos, folder, flags).unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`Self::master`].
    ///
    /// # Errors
    ///
    /// Tells its log when it does not come up.
    pub fn try_master(mesos: &Path, folder: &Path, flags: &[&str]) -> Result<Self, ProgramError> {
        let mut command = words(mesos, "master");
        command.push("--ip=127.0.0.1".to_owned());
        command.push("--allocation_interval=100ms".to_owned());
        command.push(format!("--work_dir={}", folder.join("master").display()));
        replace_flags(&mut command, &["--registry=in_memory"]);
        replace_flags(&mut command, flags);
        Self::start(command, 0, log(folder, "master.log")?)
    }

    /// Starts an agent of `master` with more flags; `folder` is for its state and its log.
    ///
    /// # Panics
    ///
    /// Panics with its log when it does not come up.
    #[must_use]
    pub fn agent(mesos: &Path, folder: &Path, master: SocketAddr, flags: &[&str]) -> Self {
        Self::try_agent(mesos, folder, master, flags).unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`Self::agent`].
    ///
    /// # Errors
    ///
    /// Tells its log when it does not come up.
    pub fn try_agent(mesos: &Path, folder: &Path, master: SocketAddr, flags: &[&str]) -> Result<Self, ProgramError> {
        let mut command = words(mesos, "agent");
        command.push(format!("--master={master}"));
        command.extend(["--ip=127.0.0.1", "--registration_backoff_factor=50ms"].map(str::to_owned));
        command.push("--resources=cpus:4;mem:4096;disk:4096".to_owned());
        command.push(format!("--work_dir={}", folder.join("work").display()));
        command.push(format!("--runtime_dir={}", folder.join("run").display()));
        replace_flags(&mut command, flags);
        Self::start(command, 0, log(folder, "agent.log")?)
    }

    fn start(command: Vec<String>, port: u16, log: PathBuf) -> Result<Self, ProgramError> {
        let (child, lines) = spawn(&command, port, &log)?;
        let mut program = Self {
            command,
            child,
            log,
            lines: Mutex::new(lines),
            passed: Vec::new(),
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
        };
        let line = program.wait_for_log(&[" started upid="])?;
        program.address = started(&line).ok_or_else(|| ProgramError::Ended(program.log()))?;
        if line.contains("master@") {
            // Until then it answers that it recovers.
            program.wait_for_log(&["registry recovered, leading"])?;
        }
        Ok(program)
    }

    /// Waits for a line of the log of this life that contains one of these texts; each line is given once. Lines may
    /// come in any order: one that came while another was waited for is not lost.
    ///
    /// # Errors
    ///
    /// Tells the log when the program ends, or says nothing of it in a minute.
    pub fn wait_for_log(&mut self, wanted: &[&str]) -> Result<String, ProgramError> {
        let right = |line: &String| wanted.iter().any(|wanted| line.contains(wanted));
        if let Some(place) = self.passed.iter().position(right) {
            return Ok(self.passed.remove(place));
        }
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            let lines = self.lines.get_mut().unwrap_or_else(PoisonError::into_inner);
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if right(&line) => return Ok(line),
                Ok(line) => self.passed.push(line),
                Err(mpsc::RecvTimeoutError::Disconnected) => return Err(ProgramError::Ended(self.log())),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    return Err(ProgramError::Silent {
                        wanted: wanted.iter().map(|&wanted| wanted.to_owned()).collect(),
                        log: self.log(),
                    });
                }
            }
        }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything logged so far, by earlier runs too.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends a signal: `SIGSTOP` and `SIGCONT` are a partition and its end.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("process ids are positive");
        // It may have ended already.
        let _ = kill(Pid::from_raw(pid), signal);
    }

    /// Ends it as a power failure does, and waits until it is gone.
    pub fn crash(&mut self) {
        self.signal(Signal::SIGKILL);
        drop(self.child.wait());
    }

    /// Starts it again at the same address with the same flags, after its end.
    ///
    /// # Panics
    ///
    /// Panics with its log when it does not come up.
    pub fn restart(&mut self) {
        self.restart_with(&[]);
    }

    /// Starts it again at the same address; a flag given here counts instead of the one before.
    ///
    /// # Panics
    ///
    /// Panics with its log when it does not come up.
    pub fn restart_with(&mut self, flags: &[&str]) {
        self.try_restart_with(flags).unwrap_or_else(|error| panic!("{error}"));
    }

    /// As [`Self::restart_with`].
    ///
    /// # Errors
    ///
    /// Tells its log when it does not come up.
    pub fn try_restart_with(&mut self, flags: &[&str]) -> Result<(), ProgramError> {
        self.crash();
        let mut command = self.command.clone();
        replace_flags(&mut command, flags);
        *self = Self::start(command, self.address.port(), self.log.clone())?;
        Ok(())
    }

    /// Starts it again with flags that let it end by itself, and waits for that.
    ///
    /// # Panics
    ///
    /// Panics with its log when it does not end.
    pub fn restart_to_its_end(&mut self, flags: &[&str]) -> ExitStatus {
        self.crash();
        let mut command = self.command.clone();
        replace_flags(&mut command, flags);
        let started = spawn(&command, self.address.port(), &self.log);
        let (child, lines) = started.expect("the executable starts");
        self.child = child;
        self.lines = Mutex::new(lines);
        self.passed.clear();
        self.wait()
            .unwrap_or_else(|| panic!("still running; log:\n{}", self.log()))
    }

    /// Waits for its end.
    #[must_use]
    pub fn wait(&mut self) -> Option<ExitStatus> {
        wait_for_end(&mut self.child, END_PATIENCE)
    }
}

/// Waits for the end of a child as the kernel tells it, for so long at most.
pub(crate) fn wait_for_end(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    if let Ok(Some(status)) = child.try_wait() {
        return Some(status);
    }
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("process ids are positive"));
    let (sender, ended) = mpsc::channel();
    std::thread::spawn(move || {
        // The status is left for the owner of the child to take.
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        let _ = sender.send(waitid(Id::Pid(pid), flags).is_ok());
    });
    ended.recv_timeout(patience).ok()?;
    child.try_wait().ok().flatten()
}

impl Drop for Program {
    fn drop(&mut self) {
        self.crash();
        if std::thread::panicking() {
            eprintln!("log of {}:\n{}", self.command.join(" "), self.log());
        }
    }
}

/// How the program is called: `mesos NAME`, or a link that has the name already.
fn words(executable: &Path, name: &str) -> Vec<String> {
    let called = executable.display().to_string();
    if executable.ends_with("mesos") {
        vec![called, name.to_owned()]
    } else {
        vec![called]
    }
}

/// Puts flags in the place of those with the same names.
fn replace_flags(command: &mut Vec<String>, flags: &[&str]) {
    for flag in flags {
        let name = flag.split_once('=').map_or(*flag, |(name, _)| name);
        command.retain(|known| known.split_once('=').is_none_or(|(known, _)| known != name));
        command.push((*flag).to_owned());
    }
}

fn log(folder: &Path, name: &str) -> std::io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    Ok(folder.join(name))
}

/// Starts a program; what it logs goes to a file and to whoever waits for it.
fn spawn(command: &[String], port: u16, log: &Path) -> std::io::Result<(Child, Receiver<String>)> {
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .arg(format!("--port={port}"))
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let (sender, lines) = mpsc::channel();
    let log = OpenOptions::new().create(true).append(true).open(log)?;
    if let Some(output) = child.stderr.take() {
        std::thread::spawn(move || copy_lines(output, log, &sender));
    }
    Ok((child, lines))
}

fn copy_lines(output: ChildStderr, mut log: std::fs::File, sender: &Sender<String>) {
    for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
        // A full disk must not stop the program; and nobody has to listen.
        drop(log.write_all(&[line.as_slice(), b"\n"].concat()));
        drop(sender.send(String::from_utf8_lossy(&line).into_owned()));
    }
}

/// The address in the line that says that a program has started.
fn started(line: &str) -> Option<SocketAddr> {
    line.rsplit('@').next()?.trim().parse().ok()
}

/// Kills every process whose working folder lies in `folder`.
pub fn end_everything_in(folder: &Path) {
    for entry in std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok) {
        let pid = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
        let inside = std::fs::read_link(entry.path().join("cwd")).is_ok_and(|place| place.starts_with(folder));
        if let (Some(pid), true) = (pid, inside) {
            // It may have ended meanwhile.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}
