//! Unversioned public messages of Apache Mesos: packages `mesos`, `mesos.scheduler`, `mesos.executor` and their
//! neighbours under `include/mesos`, one module a definition file. Everything here is generated from
//! `../definitions`; nothing is written by hand.

#![allow(warnings, clippy::all, clippy::pedantic, clippy::restriction)]

/// Declares one generated file as a module.
macro_rules! generated {
    ($($name:ident = $path:literal;)*) => {
        $(pub mod $name { include!(concat!(env!("OUT_DIR"), "/", $path)); })*
    };
}

generated! {
    mesos = "public/mesos.rs";
    agent = "public/agent.rs";
    allocator = "public/allocator.rs";
    authentication = "public/authentication.rs";
    acls = "public/acls.rs";
    authorizer = "public/authorizer.rs";
    executor = "public/executor.rs";
    fetcher = "public/fetcher.rs";
    maintenance = "public/maintenance.rs";
    master = "public/master.rs";
    hook = "public/hook.rs";
    module = "public/module.rs";
    quota = "public/quota.rs";
    resource_provider = "public/resource_provider.rs";
    scheduler = "public/scheduler.rs";
    seccomp = "public/seccomp.rs";
    oversubscription = "public/oversubscription.rs";
    state = "public/state.rs";
    uri = "public/uri.rs";
}

/// Docker image and registry formats.
pub mod docker {
    generated! {
        spec = "docker/spec.rs";
        v1 = "docker/v1.rs";
        v2 = "docker/v2.rs";
        v2_2 = "docker/v2_2.rs";
    }
}

/// App container image format.
pub mod appc {
    generated! { spec = "appc/spec.rs"; }
}

/// Open container image format.
pub mod oci {
    generated! { spec = "oci/spec.rs"; }
}

/// Messages between the containerizer and its helpers (`mesos.slave`).
pub mod slave {
    use super::appc::spec;
    use super::docker::v1;
    use super::{mesos, seccomp};

    generated! { containerizer = "slave/containerizer.rs"; }
}
