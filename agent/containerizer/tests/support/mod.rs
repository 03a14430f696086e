//! A containerizer over temporary folders, with the launch helper of this build.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mesos::ids::ContainerId;
use mesos_containerizer::{
    Config, Containerizer as _, HelperCommand, LaunchRequest, Launched, MesosContainerizer, Termination,
};

/// Longest wait for anything in these tests.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Folders of one agent.
pub struct Host {
    folder: tempfile::TempDir,
    /// Drives futures of the test.
    pub runtime: tokio::runtime::Runtime,
}

impl Host {
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("runtime");
        Self {
            folder: tempfile::tempdir().expect("temporary folder"),
            runtime,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn config(&self) -> Config {
        Config {
            work_dir: self.path("work"),
            runtime_dir: self.path("run"),
            helper: HelperCommand {
                program: PathBuf::from(env!("CARGO_BIN_EXE_launch-helper")),
                name: "mesos-containerizer".to_owned(),
                arguments: Vec::new(),
            },
            isolation: "posix/cpu,posix/mem,posix/rlimits,disk/du".to_owned(),
            enforce_container_disk_quota: true,
            container_disk_watch_interval: Duration::from_millis(20),
            switch_user: true,
            fetcher_stall_timeout: Duration::from_secs(10),
            ip: Some([127, 0, 0, 1].into()),
        }
    }

    pub fn containerizer(&self) -> MesosContainerizer {
        MesosContainerizer::new(self.config()).expect("containerizer")
    }

    /// A request to run a shell command in the sandbox `name`.
    pub fn shell(&self, name: &str, command: &str) -> LaunchRequest {
        let mut request = LaunchRequest {
            sandbox: self.path(name),
            ..LaunchRequest::default()
        };
        request.command.set_value(command.to_owned());
        request.environment = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
        request
    }

    /// Waits for a future of the containerizer, with a bound.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime
            .block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("in time") })
    }

    pub fn launch(&self, containerizer: &MesosContainerizer, id: &ContainerId, request: LaunchRequest) -> Launched {
        self.wait(containerizer.launch(id.clone(), request)).expect("launched")
    }

    /// Launches and waits for the end.
    pub fn run(&self, id: &str, request: LaunchRequest) -> Termination {
        let containerizer = self.containerizer();
        let id = ContainerId::new(id);
        self.launch(&containerizer, &id, request);
        self.wait(containerizer.wait(id)).expect("known")
    }
}

/// Waits until `look` finds something, with a bound.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "{what} did not happen in {PATIENCE:?}");
        std::thread::yield_now();
    }
}

/// The number in a file, once it is there as a whole line.
pub fn pid_in(path: &Path) -> i32 {
    eventually("a pid in a file", || {
        let text = std::fs::read_to_string(path).ok()?;
        text.strip_suffix('\n')?.trim().parse().ok()
    })
}

/// Whether a process runs (dead ones that nobody has collected do not).
pub fn runs(pid: i32) -> bool {
    mesos_containerizer::process_tree::ProcessStat::read(pid).is_some_and(|process| !process.is_dead())
}
