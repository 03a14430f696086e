//! Internal messages of Apache Mesos: what masters, agents, drivers and log replicas send each other
//! (`mesos.internal`), and what they store. One module a definition file; everything is generated from
//! `../definitions`.

#![allow(warnings, clippy::all, clippy::pedantic, clippy::restriction)]

/// Declares one generated file as a module.
macro_rules! generated {
    ($($name:ident = $path:literal;)*) => {
        $(pub mod $name { include!(concat!(env!("OUT_DIR"), "/", $path)); })*
    };
}

/// Messages on the wire.
pub mod wire {
    use mesos_proto_specs::cni::spec;
    use mesos_proto_v0::{mesos, resource_provider};

    generated! {
        messages = "messages/messages.rs";
        flags = "messages/flags.rs";
        log = "messages/log.rs";
    }
}

/// State storage operations (`mesos.internal.state`).
pub mod stored {
    /// The entry definition that operations carry.
    pub use mesos_proto_v0::state as entry;

    pub mod operation {
        use super::entry as state;

        generated! { operations = "stored/state.rs"; }
    }
}

/// The registry of the master.
pub mod master {
    use super::resource_provider::registry;
    use mesos_proto_v0::{maintenance, mesos, quota};

    generated! { stored_registry = "master/registry.rs"; }
}

/// Registry and checkpoints of resource providers.
pub mod resource_provider {
    use mesos_proto_v0::mesos;

    generated! {
        registry = "resource_provider/registry.rs";
        state = "resource_provider/state.rs";
    }
}

/// Checkpoints of the agent.
pub mod slave {
    use mesos_proto_v0::docker::spec;
    use mesos_proto_v0::mesos;

    generated! {
        state = "slave/state.rs";
        device_manager = "device_manager/state.rs";
        docker_volume = "docker_volume/state.rs";
        csi_volume = "csi_volume/state.rs";
        docker_store = "docker_store/message.rs";
        volume_gid_manager = "volume_gid_manager/state.rs";
    }
}
