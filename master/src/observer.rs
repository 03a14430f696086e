//! The process that pings one agent: an address of its own, so that pongs are told apart by agent.
//!
//! The rules of pings stand in the core; this process only lends its address and passes on what comes back.

use bytes::Bytes;
use libprocess::{Context, Process, ProcessRef, Upid};
use mesos::Message;
use mesos_master_core::Input;

use crate::process::MasterProcess;

/// The process `slave-observer(N)`.
pub struct Observer {
    master: ProcessRef<MasterProcess>,
}

impl Observer {
    /// Builds the observer of one agent.
    #[must_use]
    pub const fn new(master: ProcessRef<MasterProcess>) -> Self {
        Self { master }
    }
}

impl Process for Observer {
    fn message(&mut self, from: Upid, name: &str, body: Bytes, _context: &mut Context<Self>) {
        match Message::decode(name, &body) {
            Some(Ok(message)) => {
                self.master
                    .dispatch(move |master, context| master.apply(Input::Message { from, message }, context));
            }
            Some(Err(error)) => tracing::warn!(upid = %from, name, %error, "message does not parse; dropped"),
            None => tracing::debug!(upid = %from, name, "unknown message dropped"),
        }
    }
}
