//! Generates the container storage interface and the storage provider's messages.

use std::path::Path;

use mesos_proto_build::{Group, generate};

fn main() {
    generate(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../definitions")),
        &[
            Group {
                folder: "csi",
                files: &["csi/state.proto"],
            },
            Group {
                folder: "csi_v0",
                files: &["csi/v0/csi.proto"],
            },
            Group {
                folder: "csi_v1",
                files: &["csi/v1/csi.proto"],
            },
            Group {
                folder: "disk_profile",
                files: &["resource_provider/storage/disk_profile.proto"],
            },
            Group {
                folder: "cni",
                files: &["slave/containerizer/mesos/isolators/network/cni/spec.proto"],
            },
        ],
    );
}
