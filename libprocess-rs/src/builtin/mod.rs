//! Processes and endpoints that every node offers: help, metrics, version, logging, system, the list of processes, and
//! refusals for the profilers that do not exist here.
//!
//! Programs add `/health` themselves, with [`healthy`], because it belongs to the process that is the node's purpose.

mod help;
pub mod logging;
mod metrics;
mod processes;
mod profiler;
mod system;
mod version;

use crate::http::{RouteOptions, StatusCode};
use crate::node::Node;
use crate::process::ProcessId;
use crate::{Responder, Response};

pub use version::VersionInfo;

/// Spawns the built-in processes; called once by [`Node::start`] before connections are accepted.
pub(crate) fn spawn_all(node: &Node) {
    system::register_metrics(node);
    node.spawn(ProcessId::Exact("help"), || help::Help);
    node.spawn(ProcessId::Exact("metrics"), metrics::MetricsEndpoint::default);
    node.spawn(ProcessId::Exact("version"), || version::Version);
    node.spawn(ProcessId::Exact("logging"), logging::Logging::default);
    node.spawn(ProcessId::Exact("system"), || system::System);
    node.spawn(ProcessId::Exact("__processes__"), || processes::Processes);
    node.spawn(ProcessId::Exact("profiler"), || profiler::Profiler);
    node.spawn(ProcessId::Exact("memory-profiler"), || profiler::MemoryProfiler);
}

/// Answers `/health`: an empty `200 OK` says that requests are served.
pub fn healthy(responder: Responder) {
    responder.send(Response::status(StatusCode::OK));
}

/// Options of a built-in endpoint that only reads.
fn readonly(node: &Node, help: &str) -> RouteOptions {
    RouteOptions {
        realm: node.config().readonly_realm.clone(),
        help: help.to_owned(),
        ..RouteOptions::default()
    }
}

/// Options of a built-in endpoint that changes something.
fn readwrite(node: &Node, help: &str) -> RouteOptions {
    RouteOptions {
        realm: node.config().readwrite_realm.clone(),
        help: help.to_owned(),
        ..RouteOptions::default()
    }
}

/// Options of a built-in endpoint for everybody.
fn open_to_all(help: &str) -> RouteOptions {
    RouteOptions {
        help: help.to_owned(),
        ..RouteOptions::default()
    }
}
