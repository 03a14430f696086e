//! A network, a clock and chance that depend on nothing but a seed.
//!
//! [`World`] is a queue of events in virtual time. A test sends messages, sets timers and links processes, takes the
//! next [`Event`] and hands it to the core that it concerns. Nothing here runs a thread or needs an event loop, and
//! equal seeds with equal calls give equal events.
//!
//! The network keeps the promises of the real one and no more: messages arrive at most once (unless duplication is
//! asked for), in order only inside one connection, and an exit is told when a connection breaks. A process that linked
//! to a node has one lasting connection to it; what it sends otherwise travels alone, in any order.

mod event;
mod faults;
mod world;

pub use event::Event;
pub use faults::{Cut, Faults};
pub use world::{Port, World};

#[cfg(test)]
mod tests;
