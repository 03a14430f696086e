//! Versioned public messages of Apache Mesos (`mesos.v1.*`): the bodies of the HTTP APIs, one module a definition
//! file. Everything here is generated from `../definitions`; nothing is written by hand.

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
    executor = "public/executor.rs";
    maintenance = "public/maintenance.rs";
    master = "public/master.rs";
    quota = "public/quota.rs";
    resource_provider = "public/resource_provider.rs";
    scheduler = "public/scheduler.rs";
}
