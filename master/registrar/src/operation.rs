//! Changes of the registry, each one small object.

use mesos::ids::AgentId;
use mesos_proto::v0::maintenance::Schedule;
use mesos_proto::v0::mesos::{DrainConfig, MachineID, MasterInfo, SlaveInfo, TimeInfo, WeightInfo};
use mesos_proto::v0::quota::QuotaConfig;
use thiserror::Error;

use crate::contents::Contents;
use crate::operations::{agents, draining, maintenance, roles};

/// One change of the registry.
///
/// Operations of one batch are applied in the order in which they were submitted; an operation that cannot be applied
/// leaves the registry as it was and does not disturb the others of its batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Writes the description of the elected master.
    SetMaster(Box<MasterInfo>),
    /// Adds an agent that registers for the first time.
    AdmitAgent(Box<SlaveInfo>),
    /// Replaces the description of an admitted agent.
    UpdateAgent(Box<SlaveInfo>),
    /// Moves an admitted agent to the unreachable ones.
    MarkAgentUnreachable {
        /// The agent.
        agent_id: AgentId,
        /// When the master gave it up.
        since: Box<TimeInfo>,
    },
    /// Moves an unreachable agent back to the admitted ones; an agent of which nothing is stored is admitted too,
    /// because its unreachable entry may have been pruned.
    MarkAgentReachable(Box<SlaveInfo>),
    /// Moves an admitted or unreachable agent to those that may never come back.
    MarkAgentGone {
        /// The agent.
        agent_id: AgentId,
        /// When the operator gave it up.
        since: Box<TimeInfo>,
    },
    /// Forgets an admitted agent that said farewell.
    RemoveAgent(AgentId),
    /// Forgets unreachable and gone agents.
    Prune {
        /// Agents whose unreachable entry goes.
        unreachable: Vec<AgentId>,
        /// Agents whose gone entry goes.
        gone: Vec<AgentId>,
    },
    /// Sets the weights of these roles.
    UpdateWeights(Vec<WeightInfo>),
    /// Sets the quota of these roles. One that guarantees and limits nothing takes the role's entry out. While quota is
    /// stored, only masters that know this form of it may lead.
    UpdateQuota(Vec<QuotaConfig>),
    /// Begins to drain an admitted or unreachable agent, which deactivates it, or drains it in another way. While an
    /// agent is deactivated, only masters that know draining may lead.
    DrainAgent {
        /// The agent.
        agent_id: AgentId,
        /// How it is drained.
        config: Box<DrainConfig>,
    },
    /// An agent that is draining has nothing left that runs.
    MarkAgentDrained(AgentId),
    /// Takes an admitted or unreachable agent out of offers.
    DeactivateAgent(AgentId),
    /// Takes an agent's draining and deactivation back.
    ReactivateAgent(AgentId),
    /// Puts a maintenance schedule in the place of the one before.
    UpdateSchedule(Box<Schedule>),
    /// Takes machines of the schedule down.
    StartMaintenance(Vec<MachineID>),
    /// Takes machines up and out of the schedule.
    StopMaintenance(Vec<MachineID>),
}

/// What an applied operation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The registry is another one now.
    Changed,
    /// The registry already said so.
    Unchanged,
}

/// Why an operation does not fit the registry.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OperationError {
    /// The agent to admit is already there.
    #[error("agent {0} is already admitted")]
    AlreadyAdmitted(AgentId),
    /// The agent is not among the admitted ones.
    #[error("agent {0} is not admitted")]
    NotAdmitted(AgentId),
    /// The agent is already unreachable.
    #[error("agent {0} is already unreachable")]
    AlreadyUnreachable(AgentId),
    /// The agent is gone and stays gone.
    #[error("agent {0} is gone")]
    Gone(AgentId),
    /// The agent is neither admitted nor unreachable.
    #[error("agent {0} is neither admitted nor unreachable")]
    Unknown(AgentId),
    /// The agent is not draining, or is drained already.
    #[error("agent {0} is not draining")]
    NotDraining(AgentId),
}

impl Operation {
    /// Applies the change; on error the registry is as it was.
    ///
    /// # Errors
    ///
    /// Says which expectation of the operation the registry does not meet.
    pub fn apply(&self, contents: &mut Contents) -> Result<Outcome, OperationError> {
        match self {
            Self::SetMaster(info) => Ok(agents::set_master(contents, info)),
            Self::AdmitAgent(info) => agents::admit_agent(contents, info),
            Self::UpdateAgent(info) => agents::update_agent(contents, info),
            Self::MarkAgentUnreachable { agent_id, since } => agents::mark_agent_unreachable(contents, agent_id, since),
            Self::MarkAgentReachable(info) => agents::mark_agent_reachable(contents, info),
            Self::MarkAgentGone { agent_id, since } => agents::mark_agent_gone(contents, agent_id, since),
            Self::RemoveAgent(agent_id) => agents::remove_agent(contents, agent_id),
            Self::Prune { unreachable, gone } => Ok(agents::prune(contents, unreachable, gone)),
            Self::UpdateWeights(weights) => Ok(roles::update_weights(&mut contents.rest, weights)),
            Self::UpdateQuota(configs) => Ok(roles::update_quota(&mut contents.rest, configs)),
            Self::DrainAgent { agent_id, config } => draining::drain_agent(contents, agent_id, config),
            Self::MarkAgentDrained(agent_id) => draining::mark_agent_drained(contents, agent_id),
            Self::DeactivateAgent(agent_id) => draining::deactivate_agent(contents, agent_id),
            Self::ReactivateAgent(agent_id) => draining::reactivate_agent(contents, agent_id),
            Self::UpdateSchedule(schedule) => Ok(maintenance::update_schedule(&mut contents.rest, schedule)),
            Self::StartMaintenance(ids) => Ok(maintenance::start_maintenance(&mut contents.rest, ids)),
            Self::StopMaintenance(ids) => Ok(maintenance::stop_maintenance(&mut contents.rest, ids)),
        }
    }
}
