//! Generates the versioned public messages.

use std::path::Path;

use mesos_proto_build::{Group, generate};

fn main() {
    generate(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../definitions")),
        &[Group {
            folder: "public",
            files: &[
                "mesos/v1/mesos.proto",
                "mesos/v1/agent/agent.proto",
                "mesos/v1/allocator/allocator.proto",
                "mesos/v1/executor/executor.proto",
                "mesos/v1/maintenance/maintenance.proto",
                "mesos/v1/master/master.proto",
                "mesos/v1/quota/quota.proto",
                "mesos/v1/resource_provider/resource_provider.proto",
                "mesos/v1/scheduler/scheduler.proto",
            ],
        }],
    );
}
