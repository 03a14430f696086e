//! The launch helper: the process that stands between the agent and a command.
//!
//! The agent starts `mesos-containerizer launch`, tells it over a socket what to run ([`protocol`]), does all that must
//! happen before the command may run, and says go. The helper then starts the command, passes signals on, collects
//! what the command leaves behind, and writes the wait status where a restarted agent finds it.

pub mod execute;
pub mod launch;
pub mod protocol;
