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
