//! Answers to "why does this framework not get that agent?".

use mesos::values::Scalar;

/// Why a framework is or is not offered an agent's resources in one of its roles: the first rule that withholds
/// them, in the order in which a cycle asks them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Explanation {
    /// No rule withholds the agent; only fair sharing decides who is first.
    Offerable,
    /// The framework is not known.
    UnknownFramework,
    /// The agent is not known.
    UnknownAgent,
    /// The framework is not subscribed to the role.
    NotSubscribed,
    /// The framework is disconnected or deactivated.
    FrameworkInactive,
    /// The framework suppressed the role.
    Suppressed,
    /// No offers are made until enough agents are back after a failover.
    Recovering,
    /// The agent is disconnected, draining or deactivated.
    AgentInactive,
    /// The whitelist does not name the agent's host.
    NotWhitelisted,
    /// The agent has GPUs and the framework lacks GPU_RESOURCES.
    GpuAgent,
    /// The agent is in another region and the framework lacks REGION_AWARE.
    RemoteRegion,
    /// The agent cannot run tasks of frameworks with several roles.
    AgentLacksMultiRole,
    /// The agent does not know roles with slashes.
    AgentLacksHierarchicalRoles,
    /// The framework's offer constraints exclude the agent.
    ExcludedByConstraints,
    /// Nothing of the agent is free for this role, or the framework understands none of what is.
    NothingAvailable,
    /// A limit of this role or of a role above it is reached.
    QuotaLimit {
        /// The role whose limit it is.
        role: String,
        /// The resource.
        resource: String,
        /// What is left under the limit.
        left: Scalar,
    },
    /// Free resources are held back for the guarantees of other roles.
    HeldForGuarantees,
    /// What is left is less than the least that is worth offering.
    BelowMinimum,
    /// The framework declined these resources, and the filter is still in force.
    Filtered {
        /// How long the longest matching filter still lasts.
        remaining: std::time::Duration,
    },
}
