//! Operations: reservations, volumes and disks.

mod agents;
mod histories;
mod offered;
mod operators;
mod providers;
mod reconciliation;
mod refusals;
mod shared;
mod updates;
mod world;
