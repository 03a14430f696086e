//! libprocess messages on sockets: what comes in, what goes out, and the hand-over of everything else to HTTP.

mod channel;
mod connection;
mod date;
mod encode;
mod head;
mod outbound;
mod parser;
mod prefixed;
mod server;

pub use prefixed::Prefixed;

pub(crate) use outbound::Outbound;
pub(crate) use server::{accept, listen};
