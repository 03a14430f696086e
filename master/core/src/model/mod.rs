//! What the master knows: frameworks, agents, executors, tasks, offers, operations. Plain state with read accessors;
//! the rules that change it stand in the modules beside this folder.

mod agent;
mod counters;
mod framework;
mod history;
pub(crate) mod machines;
mod offer;
mod operation;
mod plans;
mod task;

pub use agent::{Agent, AgentConnection};
pub use counters::FrameworkCounters;
pub use framework::{Connection, Framework, FrameworkState};
pub use history::{Bounded, RecentIds};
pub use machines::Machines;
pub use offer::Offer;
pub(crate) use operation::Claim;
pub use operation::{Operation, OperationUuid, ResourceProvider};
pub use plans::Plans;
pub use task::{Task, is_terminal};
