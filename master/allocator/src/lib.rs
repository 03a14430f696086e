//! The allocator: decides which framework is offered which resources of which agent. Rules only.
//!
//! [`api`] holds the interface that the master's core speaks: the trait [`Allocator`] and its plain values. The
//! allocator is called synchronously inside the core's step, is handed the time of that step, and answers with what
//! may be offered. It performs no I/O, reads no clock and draws no random number that does not come from its seed.

mod agent;
pub mod api;
mod bits;
pub mod constraints;
mod cycle;
pub mod explain;
mod filters;
mod framework;
mod hierarchical;
mod ledger;
mod maintenance;
mod quantities;
mod quota;
mod random;
mod rules;
mod slab;
mod tree;

pub use api::Allocator;
pub use hierarchical::HierarchicalAllocator;
