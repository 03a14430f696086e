//! What a framework, an agent or a master says it can do.
//!
//! Each kind is a small set that is built from the protobuf list of a message and turned back into one. Values that
//! are unknown here are dropped: a set is for asking, the message itself is what gets relayed.
//!
//! Source: shared facts, `libprocess_wire.md` section 9.

use mesos_proto::v0::mesos as v0;
use mesos_proto::v1::mesos as v1;

macro_rules! capability_set {
    (
        $(#[$meta:meta])* $name:ident,
        v0: $v0:ident, v1: $v1:ident,
        announced: [$($announced:ident),* $(,)?],
        $($(#[$doc:meta])* $method:ident = $value:ident;)*
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct $name {
            $($(#[$doc])* pub $method: bool,)*
        }

        impl $name {
            /// The set with nothing in it.
            #[must_use]
            pub fn none() -> Self {
                Self::default()
            }

            /// The set with everything known here.
            #[must_use]
            pub const fn all() -> Self {
                Self { $($method: true,)* }
            }

            /// The set of an unversioned message's list.
            #[must_use]
            pub fn from_proto<'a>(list: impl IntoIterator<Item = &'a v0::$v0::Capability>) -> Self {
                use v0::$v0::capability::Type;
                let mut set = Self::none();
                for capability in list {
                    match capability.type_() {
                        Type::UNKNOWN => {}
                        $(Type::$value => set.$method = true,)*
                    }
                }
                set
            }

            /// The set of a v1 message's list.
            #[must_use]
            pub fn from_v1<'a>(list: impl IntoIterator<Item = &'a v1::$v1::Capability>) -> Self {
                use v1::$v1::capability::Type;
                let mut set = Self::none();
                for capability in list {
                    match capability.type_() {
                        Type::UNKNOWN => {}
                        $(Type::$value => set.$method = true,)*
                    }
                }
                set
            }

            /// The list for an unversioned message, in the order in which Apache Mesos announces them.
            #[must_use]
            pub fn to_proto(self) -> Vec<v0::$v0::Capability> {
                use v0::$v0::capability::Type;
                let present = |value: Type| match value {
                    Type::UNKNOWN => false,
                    $(Type::$value => self.$method,)*
                };
                [$(Type::$announced),*].into_iter().filter(|value| present(*value)).map(|value| {
                    let mut capability = v0::$v0::Capability::new();
                    capability.set_type(value);
                    capability
                }).collect()
            }

            /// The names of the members, in the order of [`Self::to_proto`].
            #[must_use]
            pub fn names(self) -> Vec<&'static str> {
                let mut names = Vec::new();
                $(
                    let _ = v0::$v0::capability::Type::$announced;
                    if self.has_name(stringify!($announced)) {
                        names.push(stringify!($announced));
                    }
                )*
                names
            }

            fn has_name(self, name: &str) -> bool {
                match name {
                    $(stringify!($value) => self.$method,)*
                    _ => false,
                }
            }

            /// Whether every member of `other` is a member of this set.
            #[must_use]
            pub const fn contains_all(self, other: Self) -> bool {
                true $(&& (self.$method || !other.$method))*
            }
        }
    };
}

capability_set! {
    /// What a framework can do.
    FrameworkCapabilities,
    v0: framework_info, v1: framework_info,
    announced: [
        REVOCABLE_RESOURCES, TASK_KILLING_STATE, GPU_RESOURCES, SHARED_RESOURCES, PARTITION_AWARE, MULTI_ROLE,
        RESERVATION_REFINEMENT, REGION_AWARE,
    ],
    /// Takes resources that may be taken back.
    revocable_resources = REVOCABLE_RESOURCES;
    /// Understands `TASK_KILLING`.
    task_killing_state = TASK_KILLING_STATE;
    /// Wants offers of agents with GPUs.
    gpu_resources = GPU_RESOURCES;
    /// Takes resources that several tasks share.
    shared_resources = SHARED_RESOURCES;
    /// Understands the states that replace `TASK_LOST`.
    partition_aware = PARTITION_AWARE;
    /// Subscribes with several roles and reads `allocation_info`.
    multi_role = MULTI_ROLE;
    /// Understands stacks of reservations.
    reservation_refinement = RESERVATION_REFINEMENT;
    /// Takes offers of agents in other regions.
    region_aware = REGION_AWARE;
}

capability_set! {
    /// What an agent can do. All of it is announced by an agent of version 1.11.
    AgentCapabilities,
    v0: slave_info, v1: agent_info,
    announced: [
        HIERARCHICAL_ROLE, MULTI_ROLE, RESERVATION_REFINEMENT, RESOURCE_PROVIDER, RESIZE_VOLUME,
        AGENT_OPERATION_FEEDBACK, AGENT_DRAINING, TASK_RESOURCE_LIMITS,
    ],
    /// Runs tasks of frameworks with several roles.
    multi_role = MULTI_ROLE;
    /// Accepts roles with slashes.
    hierarchical_role = HIERARCHICAL_ROLE;
    /// Understands stacks of reservations.
    reservation_refinement = RESERVATION_REFINEMENT;
    /// Hosts resource providers.
    resource_provider = RESOURCE_PROVIDER;
    /// Grows and shrinks persistent volumes.
    resize_volume = RESIZE_VOLUME;
    /// Reports the status of operations on its own resources.
    agent_operation_feedback = AGENT_OPERATION_FEEDBACK;
    /// Can be drained.
    agent_draining = AGENT_DRAINING;
    /// Accepts resource limits of tasks.
    task_resource_limits = TASK_RESOURCE_LIMITS;
}

capability_set! {
    /// What a master can do. All of it is announced by a master of version 1.11.
    MasterCapabilities,
    v0: master_info, v1: master_info,
    announced: [AGENT_UPDATE, AGENT_DRAINING, QUOTA_V2],
    /// Understands agents that change their description.
    agent_update = AGENT_UPDATE;
    /// Can drain agents.
    agent_draining = AGENT_DRAINING;
    /// Keeps quota as guarantees and limits.
    quota_v2 = QUOTA_V2;
}

#[cfg(test)]
mod tests {
    use protobuf::EnumOrUnknown;

    use super::*;

    #[test]
    fn an_agent_announces_in_the_known_order() {
        let numbers: Vec<i32> = AgentCapabilities::all()
            .to_proto()
            .iter()
            .map(|capability| capability.type_() as i32)
            .collect();
        assert_eq!(numbers, [2, 1, 3, 4, 5, 6, 7, 8]);
        assert_eq!(
            MasterCapabilities::all().names(),
            ["AGENT_UPDATE", "AGENT_DRAINING", "QUOTA_V2"]
        );
    }

    #[test]
    fn lists_and_sets_convert_both_ways() {
        let set = FrameworkCapabilities {
            multi_role: true,
            partition_aware: true,
            ..FrameworkCapabilities::none()
        };
        let list = set.to_proto();
        assert_eq!(list.len(), 2);
        assert_eq!(FrameworkCapabilities::from_proto(&list), set);
        assert!(FrameworkCapabilities::all().contains_all(set));
        assert!(!set.contains_all(FrameworkCapabilities::all()));
    }

    #[test]
    fn unknown_members_are_dropped() {
        let mut unknown = v0::slave_info::Capability::new();
        unknown.type_ = Some(EnumOrUnknown::from_i32(77));
        let absent = v0::slave_info::Capability::new();
        assert_eq!(
            AgentCapabilities::from_proto([&unknown, &absent]),
            AgentCapabilities::none()
        );
    }
}
