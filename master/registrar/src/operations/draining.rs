//! Agents that are drained, deactivated, reactivated; admitted ones and unreachable ones alike.
//!
//! Source: shared facts, `operator_calls.tsv`, `protobuf/master/registry.tsv`.

use mesos::ids::AgentId;
use mesos_proto::v0::mesos::{DrainConfig, DrainInfo, DrainState};

use super::changed;
use crate::contents::{Contents, Plan};
use crate::{OperationError, Outcome};

fn plan<'c>(contents: &'c mut Contents, agent_id: &AgentId) -> Result<&'c mut Plan, OperationError> {
    contents
        .plan_mut(agent_id)
        .ok_or_else(|| OperationError::Unknown(agent_id.clone()))
}

pub(crate) fn drain_agent(
    contents: &mut Contents,
    agent_id: &AgentId,
    config: &DrainConfig,
) -> Result<Outcome, OperationError> {
    let plan = plan(contents, agent_id)?;
    let mut drain = DrainInfo::new();
    drain.set_state(DrainState::DRAINING);
    drain.config = Some(config.clone()).into();
    let same = plan.drain.as_deref() == Some(&drain) && plan.is_deactivated();
    plan.drain = Some(Box::new(drain));
    plan.deactivated = Some(true);
    contents.settle_draining_capability();
    Ok(changed(!same))
}

pub(crate) fn mark_agent_drained(contents: &mut Contents, agent_id: &AgentId) -> Result<Outcome, OperationError> {
    let plan = plan(contents, agent_id)?;
    match plan.drain.as_deref_mut() {
        Some(drain) if drain.state() == DrainState::DRAINING => {
            drain.set_state(DrainState::DRAINED);
            Ok(Outcome::Changed)
        }
        Some(_) | None => Err(OperationError::NotDraining(agent_id.clone())),
    }
}

pub(crate) fn deactivate_agent(contents: &mut Contents, agent_id: &AgentId) -> Result<Outcome, OperationError> {
    let plan = plan(contents, agent_id)?;
    let same = plan.is_deactivated();
    plan.deactivated = Some(true);
    contents.settle_draining_capability();
    Ok(changed(!same))
}

pub(crate) fn reactivate_agent(contents: &mut Contents, agent_id: &AgentId) -> Result<Outcome, OperationError> {
    let plan = plan(contents, agent_id)?;
    let same = *plan == Plan::default();
    *plan = Plan::default();
    contents.settle_draining_capability();
    Ok(changed(!same))
}
