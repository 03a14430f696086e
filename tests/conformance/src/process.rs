//! One program of a cluster as a child process: a master or an agent that a test may kill, freeze and start again.

use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

/// Longest wait for a program to say that it has started.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// Longest wait for the end after it was asked for.
const END_PATIENCE: Duration = Duration::from_secs(30);
/// How often the outside world is looked at again: there is nothing that could be waited on.
const POLL: Duration = Duration::from_millis(20);

/// A running master or agent; killed when dropped.
#[derive(Debug)]
pub struct Program {
    command: Vec<String>,
    child: Child,
    log: PathBuf,
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
        let mut command = words(mesos, "master");
        command.extend(["--ip=127.0.0.1", "--allocation_interval=100ms"].map(str::to_owned));
        if !flags.iter().any(|flag| flag.starts_with("--registry=")) {
            command.push("--registry=in_memory".to_owned());
        }
        command.push(format!("--work_dir={}", folder.join("master").display()));
        command.extend(flags.iter().map(|&flag| flag.to_owned()));
        Self::start(command, 0, log(folder, "master.log"))
    }

    /// Starts an agent of `master` with more flags; `folder` is for its state and its log.
    ///
    /// # Panics
    ///
    /// Panics with its log when it does not come up.
    #[must_use]
    pub fn agent(mesos: &Path, folder: &Path, master: SocketAddr, flags: &[&str]) -> Self {
        let mut command = words(mesos, "agent");
        command.push(format!("--master={master}"));
        command.extend(["--ip=127.0.0.1", "--registration_backoff_factor=50ms"].map(str::to_owned));
        command.push("--resources=cpus:4;mem:4096;disk:4096".to_owned());
        command.push(format!("--work_dir={}", folder.join("work").display()));
        command.push(format!("--runtime_dir={}", folder.join("run").display()));
        command.extend(flags.iter().map(|&flag| flag.to_owned()));
        Self::start(command, 0, log(folder, "agent.log"))
    }

    fn start(command: Vec<String>, port: u16, log: PathBuf) -> Self {
        let before = std::fs::metadata(&log).map_or(0, |metadata| metadata.len());
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).open(&log).expect("a log file");
        let child = spawn(&command, port, file);
        let mut program = Self {
            command,
            child,
            log,
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
        };
        program.address = eventually_within(START_PATIENCE, "the start of a program", || {
            let log = program.log();
            let fresh = log.get(usize::try_from(before).unwrap_or(0)..).unwrap_or_default();
            let ended = program.child.try_wait().ok().flatten();
            assert!(ended.is_none(), "ended with {ended:?}; log:\n{log}");
            started(fresh)
        });
        program
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
        self.crash();
        *self = Self::start(self.command_with(flags), self.address.port(), self.log.clone());
    }

    /// Starts it again with flags that let it end by itself, and waits for that.
    ///
    /// # Panics
    ///
    /// Panics with its log when it does not end.
    pub fn restart_to_its_end(&mut self, flags: &[&str]) -> ExitStatus {
        self.crash();
        let file = OpenOptions::new().append(true).open(&self.log).expect("a log file");
        self.child = spawn(&self.command_with(flags), self.address.port(), file);
        self.wait()
            .unwrap_or_else(|| panic!("still running; log:\n{}", self.log()))
    }

    fn command_with(&self, flags: &[&str]) -> Vec<String> {
        let mut command = self.command.clone();
        for flag in flags {
            let name = flag.split_once('=').map_or(*flag, |(name, _)| name);
            command.retain(|known| known.split_once('=').is_none_or(|(known, _)| known != name));
            command.push((*flag).to_owned());
        }
        command
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

fn log(folder: &Path, name: &str) -> PathBuf {
    std::fs::create_dir_all(folder).expect("a folder");
    folder.join(name)
}

fn spawn(command: &[String], port: u16, log: File) -> Child {
    Command::new(&command[0])
        .args(&command[1..])
        .arg(format!("--port={port}"))
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the executable starts")
}

/// The address in the line that says that a program has started.
fn started(log: &str) -> Option<SocketAddr> {
    let line = log.lines().find(|line| line.contains(" started upid="))?;
    line.rsplit('@').next()?.trim().parse().ok()
}

/// Waits until something outside is so.
///
/// # Panics
///
/// Panics when it does not become so in half a minute.
pub fn eventually<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    eventually_within(END_PATIENCE, what, condition)
}

/// The only place that looks again and again: what happens in other programs, in files and in `/proc`, tells nobody.
fn eventually_within<T>(patience: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(POLL);
    }
}

/// Whether some other process of this machine has `marker` in its command line.
#[must_use]
pub fn somebody_runs(marker: &str) -> bool {
    let own = std::process::id().to_string();
    std::fs::read_dir("/proc")
        .expect("a process file system")
        .filter_map(Result::ok)
        .any(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name != own
                && name.bytes().all(|byte| byte.is_ascii_digit())
                && std::fs::read(entry.path().join("cmdline"))
                    .is_ok_and(|line| String::from_utf8_lossy(&line).contains(marker))
        })
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
