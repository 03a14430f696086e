//! Real programs against real clients and against abuse, over real sockets.

mod abuse;
mod clients;
mod endings;
mod life;
mod partition;
mod pods;
mod restart;
mod scenarios;
mod tasks;
mod thin;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mesos_tests_conformance::{Cluster, Gate, Program, Scheduler, scalars};
use serde_json::{Value, json};

/// Longest wait at a gate.
const PATIENCE: Duration = Duration::from_secs(60);
/// Refusal of offers that outlasts every test.
const FOREVER: f64 = 1_000_000.0;

/// The executable that this test was built with.
fn mesos() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_mesos"))
}

/// Starts a cluster of the executable that this test was built with.
fn cluster(agents: usize) -> Cluster {
    Cluster::start(mesos(), agents)
}

/// A file of the conformance folder.
fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/conformance")
        .join(path)
}

/// A task of the custom executor `raw`, which speaks libprocess messages; `data` is `finish` or `wait`.
fn raw_executor_task(id: &str, data: &str) -> Value {
    let command = format!("exec python3 {}", file("raw/executor.py").display());
    let encoded = match data {
        "finish" => "ZmluaXNo",
        _ => "d2FpdA==",
    };
    json!({
        "name": id, "task_id": {"value": id}, "data": encoded,
        "resources": scalars(&[("cpus", 0.1), ("mem", 32.0)]),
        "executor": {
            "type": "CUSTOM", "executor_id": {"value": "raw"}, "command": {"value": command},
            "resources": scalars(&[("cpus", 0.1), ("mem", 32.0)]),
        },
    })
}

/// A folder of one test, and programs that live in it.
struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A gate between this test and its tasks, at the path of its name.
    fn gate(&self, name: &str) -> Gate {
        Gate::new(&self.path(name)).expect("a named pipe")
    }

    fn master(&self, flags: &[&str]) -> Program {
        Program::master(mesos(), &self.path("master"), flags)
    }

    fn agent(&self, master: SocketAddr) -> Program {
        Program::agent(mesos(), &self.path("agent"), master, &[])
    }

    /// A master and an agent.
    fn cluster(&self) -> (Program, Program) {
        self.cluster_with(&[])
    }

    /// A master with more flags and an agent.
    fn cluster_with(&self, flags: &[&str]) -> (Program, Program) {
        let master = self.master(flags);
        let agent = self.agent(master.address());
        (master, agent)
    }

    /// Waits until the only agent has come back to its master, and gives its new offer.
    fn offer_after_return(agent: &mut Program, scheduler: &mut Scheduler) -> Value {
        let back = agent.wait_for_log(&[": re-registered"]);
        back.unwrap_or_else(|error| panic!("{error}"));
        scheduler.call(json!({"type": "REVIVE"}));
        scheduler.offer()
    }

    /// Waits until all of the only agent can be offered to this framework at once.
    fn whole_agent(scheduler: &mut Scheduler) {
        let deadline = Instant::now() + Duration::from_secs(30);
        scheduler.call(json!({"type": "REVIVE"}));
        loop {
            let offer = scheduler.offer();
            let resources = offer["resources"].as_array().expect("resources");
            if resources
                .iter()
                .any(|resource| resource["name"] == "cpus" && resource["scalar"]["value"] == 4.0)
            {
                return;
            }
            assert!(Instant::now() < deadline, "only a part: {offer}");
            scheduler.decline(&offer, 0.0);
        }
    }
}

impl Drop for Site {
    /// Ends the executors that outlive their agents: those that checkpoint wait for the next agent for minutes.
    fn drop(&mut self) {
        mesos_tests_conformance::end_everything_in(self.folder.path());
    }
}
