//! An emulated framework: subscribes, follows a policy with its offers, acknowledges what it is told.

mod calls;
mod core;
#[cfg(test)]
mod core_tests;
mod http;
mod launcher;
mod probe;
mod process;

pub use core::{Effect, FrameworkCore, FrameworkEvent, FrameworkInput};
pub use http::HttpFramework;
pub use launcher::LaunchPlan;
pub use probe::ProbePlan;
pub use process::FrameworkProcess;

use std::time::Duration;

use mesos_proto::v0::mesos::FrameworkInfo;
use mesos_proto::v0::mesos::framework_info::Capability;
use mesos_proto::v0::mesos::framework_info::capability::Type;

/// What a framework does with its offers.
#[derive(Clone, Debug)]
pub enum Policy {
    /// Launches tasks.
    Launch(LaunchPlan),
    /// Declines each offer and refuses the agent's resources for so long.
    Decline(Duration),
    /// Keeps each offer and does nothing with it.
    Hoard,
    /// Wants no offers at all after it has subscribed, and declines those that come before.
    Suppress,
    /// Asks for offers, launches one task, waits for its end, and so on.
    Probe(ProbePlan),
}

/// Describes a framework that waits a day for its scheduler before it is torn down.
#[must_use]
pub fn framework_info(name: &str, role: &str) -> FrameworkInfo {
    let mut info = FrameworkInfo::new();
    info.set_user("load".to_owned());
    info.set_name(name.to_owned());
    info.set_checkpoint(true);
    info.set_failover_timeout(86_400.0);
    info.roles = vec![role.to_owned()];
    info.capabilities = [Type::MULTI_ROLE, Type::RESERVATION_REFINEMENT, Type::PARTITION_AWARE]
        .into_iter()
        .map(|kind| {
            let mut capability = Capability::new();
            capability.set_type(kind);
            capability
        })
        .collect();
    info
}
