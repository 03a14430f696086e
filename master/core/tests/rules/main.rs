//! The rules of the master, driven from outside: one module for each part of the facts.

mod actors;
mod agents;
mod descriptions;
mod draining;
mod failover;
mod frameworks;
mod golden;
mod harness;
mod histories;
mod launches;
mod maintenance;
mod offers;
mod operations;
mod rate_limits;
mod reconciliation;
mod removals;
mod returns;
mod roles;
mod states;
mod strangers;
mod updates;
