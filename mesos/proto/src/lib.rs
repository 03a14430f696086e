//! All protobuf messages of Apache Mesos 1.11.
//!
//! [`v0`] holds the unversioned public messages (`mesos.*`), [`v1`] the bodies of the HTTP APIs (`mesos.v1.*`),
//! [`internal`] what the programs send each other and store, [`specs`] the storage and network interfaces. The
//! definition files are in `definitions/`, rebuilt from the protocol's tables; each tree is a crate of its own so
//! that they compile side by side and rarely again.

pub use mesos_proto_internal as internal;
pub use mesos_proto_specs as specs;
pub use mesos_proto_v0 as v0;
pub use mesos_proto_v1 as v1;

use protobuf::reflect::FileDescriptor;

/// The compiled definition files, each with its import path below `definitions/`.
#[must_use]
pub fn files() -> Vec<(&'static str, FileDescriptor)> {
    let mut files = public_files();
    files.extend(v1_files());
    files.extend(internal_files());
    files.extend(spec_files());
    files
}

macro_rules! files {
    ($($path:literal => $($module:ident)::+,)*) => {
        vec![$(($path, $($module)::+::file_descriptor().clone())),*]
    };
}

fn public_files() -> Vec<(&'static str, FileDescriptor)> {
    files! {
        "mesos/mesos.proto" => v0::mesos,
        "mesos/agent/agent.proto" => v0::agent,
        "mesos/allocator/allocator.proto" => v0::allocator,
        "mesos/appc/spec.proto" => v0::appc::spec,
        "mesos/authentication/authentication.proto" => v0::authentication,
        "mesos/authorizer/acls.proto" => v0::acls,
        "mesos/authorizer/authorizer.proto" => v0::authorizer,
        "mesos/docker/spec.proto" => v0::docker::spec,
        "mesos/docker/v1.proto" => v0::docker::v1,
        "mesos/docker/v2.proto" => v0::docker::v2,
        "mesos/docker/v2_2.proto" => v0::docker::v2_2,
        "mesos/executor/executor.proto" => v0::executor,
        "mesos/fetcher/fetcher.proto" => v0::fetcher,
        "mesos/maintenance/maintenance.proto" => v0::maintenance,
        "mesos/master/master.proto" => v0::master,
        "mesos/module/hook.proto" => v0::hook,
        "mesos/module/module.proto" => v0::module,
        "mesos/oci/spec.proto" => v0::oci::spec,
        "mesos/quota/quota.proto" => v0::quota,
        "mesos/resource_provider/resource_provider.proto" => v0::resource_provider,
        "mesos/scheduler/scheduler.proto" => v0::scheduler,
        "mesos/seccomp/seccomp.proto" => v0::seccomp,
        "mesos/slave/containerizer.proto" => v0::slave::containerizer,
        "mesos/slave/oversubscription.proto" => v0::oversubscription,
        "mesos/state/state.proto" => v0::state,
        "mesos/uri/uri.proto" => v0::uri,
    }
}

fn v1_files() -> Vec<(&'static str, FileDescriptor)> {
    files! {
        "mesos/v1/mesos.proto" => v1::mesos,
        "mesos/v1/agent/agent.proto" => v1::agent,
        "mesos/v1/allocator/allocator.proto" => v1::allocator,
        "mesos/v1/executor/executor.proto" => v1::executor,
        "mesos/v1/maintenance/maintenance.proto" => v1::maintenance,
        "mesos/v1/master/master.proto" => v1::master,
        "mesos/v1/quota/quota.proto" => v1::quota,
        "mesos/v1/resource_provider/resource_provider.proto" => v1::resource_provider,
        "mesos/v1/scheduler/scheduler.proto" => v1::scheduler,
    }
}

fn internal_files() -> Vec<(&'static str, FileDescriptor)> {
    files! {
        "master/registry.proto" => internal::master::stored_registry,
        "messages/flags.proto" => internal::wire::flags,
        "messages/log.proto" => internal::wire::log,
        "messages/messages.proto" => internal::wire::messages,
        "messages/state.proto" => internal::stored::operation::operations,
        "resource_provider/registry.proto" => internal::resource_provider::registry,
        "resource_provider/state.proto" => internal::resource_provider::state,
        "slave/state.proto" => internal::slave::state,
        "slave/containerizer/device_manager/state.proto" => internal::slave::device_manager,
        "slave/containerizer/mesos/isolators/docker/volume/state.proto" => internal::slave::docker_volume,
        "slave/containerizer/mesos/isolators/volume/csi/state.proto" => internal::slave::csi_volume,
        "slave/containerizer/mesos/provisioner/docker/message.proto" => internal::slave::docker_store,
        "slave/volume_gid_manager/state.proto" => internal::slave::volume_gid_manager,
    }
}

fn spec_files() -> Vec<(&'static str, FileDescriptor)> {
    files! {
        "csi/state.proto" => specs::csi::state,
        "csi/v0/csi.proto" => specs::csi::v0::csi,
        "csi/v1/csi.proto" => specs::csi::v1::csi,
        "resource_provider/storage/disk_profile.proto" => specs::storage::disk_profile,
        "slave/containerizer/mesos/isolators/network/cni/spec.proto" => specs::cni::spec,
    }
}
