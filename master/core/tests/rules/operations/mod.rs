//! Operations: reservations, volumes and disks.

mod agents;
mod offered;
mod operators;
mod providers;
mod reconciliation;
mod refusals;
mod shared;
mod updates;
mod world;
