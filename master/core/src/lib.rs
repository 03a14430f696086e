//! The rules of the Mesos master: frameworks, agents, tasks and offers.
//!
//! [`Master`] is a plain struct with one door, [`Master::step`]: it takes the time and an [`Input`], changes its state
//! and gives the [`Effect`]s to carry out. It performs no I/O, reads no clock and draws no random number that was not
//! handed in. Readers use its accessors between steps.

mod accept;
mod agents;
mod calls;
mod config;
mod conservation;
mod departed;
mod draining;
mod effect;
mod error_text;
mod executors;
mod framework_info;
mod frameworks;
mod input;
mod invariants;
mod inverse_offers;
mod kill;
mod launch;
mod limiter;
mod maintenance;
mod maintenance_rules;
mod master;
mod messages;
mod model;
mod notify;
mod offers;
mod operations;
mod operator;
mod pings;
mod quota;
mod quota_rules;
mod rate_limits;
mod reconcile;
mod recovery;
mod registration;
mod removal;
mod reported;
mod reregistration;
mod status;
mod step;
mod subscribe;
mod task_validation;
mod tasks;
mod unreachable;
mod updates;
mod weights;

pub use config::MasterConfig;
pub use effect::{Change, Effect, Reply, Sender};
pub use input::{Input, MasterTimer, ObserverId, OperatorCall, OperatorRequest, RequestId, SchedulerCall, StreamId};
pub use inverse_offers::{InverseOffer, InverseOffers};
pub use maintenance::MaintenanceChange;
pub use master::{InvariantError, Master, Phase};
pub use model::{
    Agent, AgentConnection, Bounded, Connection, Framework, FrameworkCounters, FrameworkState, Machines, Offer,
    Operation, OperationUuid, Plans, RecentIds, ResourceProvider, Task, is_terminal,
};

pub use mesos::resources::Resources;
pub use mesos_allocator::api::Quota;
pub use operations::OperationCounts;
pub use quota_rules::to_config as quota_config;
pub use rate_limits::{MessageCounts, RateLimitError, RateLimits};
pub use reported::{DecodeError as ReregistrationError, Reregistration};
