//! Operations: reservations, volumes and disks.

mod agents;
mod histories;
mod offered;
mod operators;
mod providers;
mod reconciliation;
mod recorded;
mod refusals;
mod shared;
mod updates;
mod world;
