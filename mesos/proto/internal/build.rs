//! Generates the messages that masters, agents and executors exchange or store.

use std::path::Path;

use mesos_proto_build::{Group, generate};

fn main() {
    generate(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../definitions")),
        &[
            Group {
                folder: "messages",
                files: &["messages/messages.proto", "messages/flags.proto", "messages/log.proto"],
            },
            Group {
                folder: "stored",
                files: &["messages/state.proto"],
            },
            Group {
                folder: "master",
                files: &["master/registry.proto"],
            },
            Group {
                folder: "resource_provider",
                files: &["resource_provider/registry.proto", "resource_provider/state.proto"],
            },
            Group {
                folder: "slave",
                files: &["slave/state.proto"],
            },
            Group {
                folder: "device_manager",
                files: &["slave/containerizer/device_manager/state.proto"],
            },
            Group {
                folder: "docker_volume",
                files: &["slave/containerizer/mesos/isolators/docker/volume/state.proto"],
            },
            Group {
                folder: "csi_volume",
                files: &["slave/containerizer/mesos/isolators/volume/csi/state.proto"],
            },
            Group {
                folder: "docker_store",
                files: &["slave/containerizer/mesos/provisioner/docker/message.proto"],
            },
            Group {
                folder: "volume_gid_manager",
                files: &["slave/volume_gid_manager/state.proto"],
            },
        ],
    );
}
