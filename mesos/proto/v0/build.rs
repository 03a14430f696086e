//! Generates the unversioned public messages.

use std::path::Path;

use mesos_proto_build::{Group, generate};

fn main() {
    generate(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../definitions")),
        &[
            Group {
                folder: "public",
                files: &[
                    "mesos/mesos.proto",
                    "mesos/agent/agent.proto",
                    "mesos/allocator/allocator.proto",
                    "mesos/authentication/authentication.proto",
                    "mesos/authorizer/acls.proto",
                    "mesos/authorizer/authorizer.proto",
                    "mesos/executor/executor.proto",
                    "mesos/fetcher/fetcher.proto",
                    "mesos/maintenance/maintenance.proto",
                    "mesos/master/master.proto",
                    "mesos/module/hook.proto",
                    "mesos/module/module.proto",
                    "mesos/quota/quota.proto",
                    "mesos/resource_provider/resource_provider.proto",
                    "mesos/scheduler/scheduler.proto",
                    "mesos/seccomp/seccomp.proto",
                    "mesos/slave/oversubscription.proto",
                    "mesos/state/state.proto",
                    "mesos/uri/uri.proto",
                ],
            },
            Group {
                folder: "docker",
                files: &[
                    "mesos/docker/spec.proto",
                    "mesos/docker/v1.proto",
                    "mesos/docker/v2.proto",
                    "mesos/docker/v2_2.proto",
                ],
            },
            Group {
                folder: "appc",
                files: &["mesos/appc/spec.proto"],
            },
            Group {
                folder: "oci",
                files: &["mesos/oci/spec.proto"],
            },
            Group {
                folder: "slave",
                files: &["mesos/slave/containerizer.proto"],
            },
        ],
    );
}
