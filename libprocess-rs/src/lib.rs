//! An actor runtime with the wire format of libprocess.
//!
//! A [`Node`] owns one listening address, some threads and any number of processes. A [`Process`] is an actor with an
//! address (`ID@IP:PORT`, [`Upid`]) that receives messages, HTTP requests, timers and exits one at a time. Processes of
//! one node reach each other through their mailboxes; others through connections that speak libprocess' form of HTTP.
//!
//! Code map: [`process`] and [`context`] are what an actor's author sees, `mailbox` and `host` carry a process on
//! `actix`, [`node`] starts and stops everything, `registry` finds processes and routes, `links` knows who waits for
//! whose exit, [`wire`] speaks to sockets, [`http`] serves everything that is no message, [`clock`] tells time and
//! [`sim`] replaces clock, network and chance for deterministic tests.
//!
//! The crate knows nothing of Mesos.

pub mod builtin;
pub mod clock;
mod config;
pub mod context;
mod error;
mod hash;
mod host;
pub mod http;
mod links;
mod mailbox;
pub mod metrics;
pub mod node;
pub mod process;
pub mod random;
mod registry;
mod resolve;
pub mod sim;
mod transport;
pub mod wire;

pub use clock::{Clock, ManualClock, SystemClock};
pub use config::NodeConfig;
pub use context::Context;
pub use error::NodeError;
pub use http::recordio;
pub use http::{Request, Responder, Response, RouteOptions, StreamError, StreamWriter};
pub use libprocess_types::{ParseUpidError, Time, TimerId, Upid};
pub use mailbox::QueuedEvents;
pub use node::Node;
pub use process::{Gone, Process, ProcessId, ProcessRef};
pub use random::{Random, SeededRandom, SystemRandom};
pub use registry::{RouteInfo, RouteTarget, percent_decode};
pub use resolve::{resolve_upid, resolve_upid_blocking};
pub use transport::Transport;
