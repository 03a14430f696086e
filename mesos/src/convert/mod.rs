//! Conversion between unversioned messages (`mesos.*`, spoken over libprocess) and v1 messages (`mesos.v1.*`, spoken
//! over HTTP).
//!
//! The two trees were made so that the bytes of one parse as the other. Conversion therefore goes through the wire
//! format, which also keeps fields that this build does not know. The few messages where the trees disagree are
//! rewritten on the way, wherever they stand: `exceptions` holds their handlers, `route` finds them.
//!
//! A message in a list that lacks a required field cannot be parsed back, here as on any wire; building such a message
//! is a mistake that debug builds stop at.
//!
//! To *evolve* is to go from unversioned to v1, to *devolve* is the way back.

mod exceptions;
mod route;
#[cfg(test)]
mod tests;

use mesos_proto::{v0, v1};
use protobuf::MessageFull;

use self::route::{Route, route};
use crate::json;
use crate::wire::serialize;

/// The v1 form of an unversioned message.
#[must_use]
pub fn evolve<A: MessageFull, B: MessageFull>(message: &A) -> B {
    convert(message)
}

/// The unversioned form of a v1 message.
#[must_use]
pub fn devolve<A: MessageFull, B: MessageFull>(message: &A) -> B {
    convert(message)
}

/// The unversioned form of a serialized v1 message, which is not built.
///
/// # Errors
///
/// Gives the parser's error for bytes that are no such message or lack required fields.
pub fn devolve_from_bytes<A: MessageFull, B: MessageFull>(bytes: &[u8]) -> protobuf::Result<B> {
    match route(&A::descriptor()) {
        Route::AsIs => B::parse_from_bytes(bytes),
        rewritten => {
            let mut out = Vec::with_capacity(bytes.len() + 16);
            match rewritten.convert(bytes, &mut out) {
                Ok(()) => B::parse_from_bytes(&out),
                // The parser says what is wrong with them.
                Err(_) => B::parse_from_bytes(bytes),
            }
        }
    }
}

/// The serialized v1 form of an unversioned message.
#[must_use]
pub fn evolve_to_bytes<A: MessageFull, B: MessageFull>(message: &A) -> Vec<u8> {
    converted_bytes::<A, B>(message)
}

/// Appends the JSON form of the v1 form of an unversioned message, without building the v1 message.
pub fn evolve_to_json<A: MessageFull, B: MessageFull>(message: &A, out: &mut String) {
    json::write_serialized(&B::descriptor(), &converted_bytes::<A, B>(message), out);
}

fn convert<A: MessageFull, B: MessageFull>(message: &A) -> B {
    let bytes = converted_bytes::<A, B>(message);
    let mut converted = B::new();
    if let Err(error) = converted.merge_from_bytes(&bytes) {
        debug_assert!(
            false,
            "a {} with missing fields was converted: {error}",
            A::descriptor().full_name()
        );
    }
    converted
}

fn converted_bytes<A: MessageFull, B: MessageFull>(message: &A) -> Vec<u8> {
    let from = A::descriptor();
    debug_assert!(
        are_twins(from.full_name(), B::descriptor().full_name()),
        "only twins convert"
    );
    let bytes = serialize(message);
    match route(&from) {
        Route::AsIs => bytes,
        rewritten => {
            let mut out = Vec::with_capacity(bytes.len() + 16);
            let converted = rewritten.convert(&bytes, &mut out);
            debug_assert!(converted.is_ok(), "a message's own bytes are well-formed");
            out
        }
    }
}

/// The full name of the v1 twin of an unversioned message, if it had one.
fn v1_name(unversioned: &str) -> Option<String> {
    let name = unversioned.strip_prefix("mesos.")?;
    let parts = name.split('.').map(|part| match part {
        "SlaveID" => "AgentID",
        "SlaveInfo" => "AgentInfo",
        part => part,
    });
    Some(format!("mesos.v1.{}", parts.collect::<Vec<_>>().join(".")))
}

fn are_twins(left: &str, right: &str) -> bool {
    v1_name(left).as_deref() == Some(right) || v1_name(right).as_deref() == Some(left)
}

macro_rules! typed {
    ($($(#[$meta:meta])* $evolve:ident / $devolve:ident: $v0:ty, $v1:ty;)*) => {
        $(
            $(#[$meta])*
            ///
            /// This direction gives the v1 form.
            #[must_use]
            pub fn $evolve(message: &$v0) -> $v1 {
                evolve(message)
            }

            $(#[$meta])*
            ///
            /// This direction gives the unversioned form.
            #[must_use]
            pub fn $devolve(message: &$v1) -> $v0 {
                devolve(message)
            }
        )*
    };
}

typed! {
    /// What a scheduler asks. `Subscribe` has other numbers in each tree, and only the unversioned one can force a
    /// takeover.
    evolve_scheduler_call / devolve_scheduler_call: v0::scheduler::Call, v1::scheduler::Call;
    /// What a scheduler is told.
    evolve_scheduler_event / devolve_scheduler_event: v0::scheduler::Event, v1::scheduler::Event;
    /// What an executor asks.
    evolve_executor_call / devolve_executor_call: v0::executor::Call, v1::executor::Call;
    /// What an executor is told. The unversioned agent description says that the agent keeps checkpoints.
    evolve_executor_event / devolve_executor_event: v0::executor::Event, v1::executor::Event;
    /// What an operator asks a master. The grace period of a drain has other units in each tree.
    evolve_master_call / devolve_master_call: v0::master::Call, v1::master::Call;
    /// What an operator is answered by a master.
    evolve_master_response / devolve_master_response: v0::master::Response, v1::master::Response;
    /// What an operator who subscribed to a master is told.
    evolve_master_event / devolve_master_event: v0::master::Event, v1::master::Event;
    /// What an operator asks an agent.
    evolve_agent_call / devolve_agent_call: v0::agent::Call, v1::agent::Call;
    /// What an operator is answered by an agent.
    evolve_agent_response / devolve_agent_response: v0::agent::Response, v1::agent::Response;
    /// What goes over the attached streams of a container.
    evolve_process_io / devolve_process_io: v0::agent::ProcessIO, v1::agent::ProcessIO;
    /// What a resource provider asks.
    evolve_resource_provider_call / devolve_resource_provider_call:
        v0::resource_provider::Call, v1::resource_provider::Call;
    /// What a resource provider is told.
    evolve_resource_provider_event / devolve_resource_provider_event:
        v0::resource_provider::Event, v1::resource_provider::Event;
    /// The description of an agent. The unversioned one says that the agent keeps checkpoints.
    evolve_agent_info / devolve_agent_info: v0::mesos::SlaveInfo, v1::mesos::AgentInfo;
    /// The description of a framework.
    evolve_framework_info / devolve_framework_info: v0::mesos::FrameworkInfo, v1::mesos::FrameworkInfo;
    /// The description of a task.
    evolve_task_info / devolve_task_info: v0::mesos::TaskInfo, v1::mesos::TaskInfo;
    /// The state of a task at one moment.
    evolve_task_status / devolve_task_status: v0::mesos::TaskStatus, v1::mesos::TaskStatus;
    /// A task as masters and agents remember it.
    evolve_task / devolve_task: v0::mesos::Task, v1::mesos::Task;
    /// An offer.
    evolve_offer / devolve_offer: v0::mesos::Offer, v1::mesos::Offer;
    /// A resource.
    evolve_resource / devolve_resource: v0::mesos::Resource, v1::mesos::Resource;
}
