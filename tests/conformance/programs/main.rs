//! Real programs against real clients and against abuse, over real sockets.

mod abuse;
mod clients;
mod life;

use std::path::Path;

use mesos_tests_conformance::Cluster;

/// Starts a cluster of the executable that this test was built with.
fn cluster(agents: usize) -> Cluster {
    Cluster::start(Path::new(env!("CARGO_BIN_EXE_mesos")), agents)
}

/// A file of the conformance folder.
fn file(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/conformance")
        .join(path)
}
