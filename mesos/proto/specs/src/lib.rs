//! Messages of the specifications that Mesos talks to: the container storage interface (0.2 and 1.1), container
//! network interface results, and disk profiles. Everything here is generated from `../definitions`.

#![allow(warnings, clippy::all, clippy::pedantic, clippy::restriction)]

/// Declares one generated file as a module.
macro_rules! generated {
    ($($name:ident = $path:literal;)*) => {
        $(pub mod $name { include!(concat!(env!("OUT_DIR"), "/", $path)); })*
    };
}

/// Container storage interface.
pub mod csi {
    use mesos_proto_v0::mesos;

    generated! { state = "csi/state.rs"; }

    /// Specification 0.2.0.
    pub mod v0 {
        generated! { csi = "csi_v0/csi.rs"; }
    }

    /// Specification 1.1.0.
    pub mod v1 {
        generated! { csi = "csi_v1/csi.rs"; }
    }
}

/// Container network interface.
pub mod cni {
    generated! { spec = "cni/spec.rs"; }
}

/// Storage resource providers.
pub mod storage {
    use super::csi::v0::csi;

    generated! { disk_profile = "disk_profile/disk_profile.rs"; }
}
