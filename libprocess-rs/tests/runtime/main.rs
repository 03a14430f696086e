//! Nodes, processes and messages over real sockets.
//!
//! Every wait is for a condition and bounded; nothing sleeps and no port is fixed.

mod golden;
mod incoming;
mod outgoing;
mod processes;
mod recorder;
mod requests;
