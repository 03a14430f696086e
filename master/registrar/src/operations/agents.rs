//! Agents come, go, and are forgotten.
//!
//! Source: shared facts, `pitfalls.md` D30.

use mesos::ids::AgentId;
use mesos_proto::v0::mesos::{MasterInfo, SlaveInfo, TimeInfo};

use super::changed;
use crate::contents::{Admitted, Contents, Plan, Unreachable, encoded};
use crate::{OperationError, Outcome};

pub(crate) fn set_master(contents: &mut Contents, info: &MasterInfo) -> Outcome {
    let stored = &mut contents.rest.master;
    if stored.info.as_ref() == Some(info) {
        return Outcome::Unchanged;
    }
    stored.mut_or_insert_default().info = Some(info.clone()).into();
    Outcome::Changed
}

fn admit(contents: &mut Contents, agent_id: AgentId, info: &SlaveInfo, plan: Plan) {
    let info = encoded(info).into_boxed_slice();
    contents.admitted.push(agent_id, Admitted { info, plan });
}

pub(crate) fn admit_agent(contents: &mut Contents, info: &SlaveInfo) -> Result<Outcome, OperationError> {
    let agent_id = AgentId::from(&*info.id);
    if contents.gone.contains(&agent_id) {
        return Err(OperationError::Gone(agent_id));
    }
    if contents.admitted.contains(&agent_id) {
        return Err(OperationError::AlreadyAdmitted(agent_id));
    }
    if contents.unreachable.contains(&agent_id) {
        return Err(OperationError::AlreadyUnreachable(agent_id));
    }
    admit(contents, agent_id, info, Plan::default());
    Ok(Outcome::Changed)
}

pub(crate) fn update_agent(contents: &mut Contents, info: &SlaveInfo) -> Result<Outcome, OperationError> {
    let agent_id = AgentId::from(&*info.id);
    let Some(agent) = contents.admitted.get_mut(&agent_id) else {
        return Err(OperationError::NotAdmitted(agent_id));
    };
    let bytes = encoded(info).into_boxed_slice();
    if agent.info == bytes {
        return Ok(Outcome::Unchanged);
    }
    agent.info = bytes;
    Ok(Outcome::Changed)
}

pub(crate) fn mark_agent_unreachable(
    contents: &mut Contents,
    agent_id: &AgentId,
    since: &TimeInfo,
) -> Result<Outcome, OperationError> {
    if contents.unreachable.contains(agent_id) {
        return Err(OperationError::AlreadyUnreachable(agent_id.clone()));
    }
    let Some(agent) = contents.admitted.remove(agent_id) else {
        return Err(OperationError::NotAdmitted(agent_id.clone()));
    };
    let deactivated = agent.plan.is_deactivated();
    let plan = Plan {
        deactivated: Some(deactivated),
        ..agent.plan
    };
    let since = since.clone();
    contents.unreachable.push(agent_id.clone(), Unreachable { since, plan });
    Ok(Outcome::Changed)
}

pub(crate) fn mark_agent_reachable(contents: &mut Contents, info: &SlaveInfo) -> Result<Outcome, OperationError> {
    let agent_id = AgentId::from(&*info.id);
    if contents.gone.contains(&agent_id) {
        return Err(OperationError::Gone(agent_id));
    }
    let stored = contents.unreachable.remove(&agent_id);
    if contents.admitted.contains(&agent_id) {
        return Ok(changed(stored.is_some()));
    }
    let plan = stored.map(|agent| agent.plan).unwrap_or_default();
    admit(contents, agent_id, info, plan);
    Ok(Outcome::Changed)
}

pub(crate) fn mark_agent_gone(
    contents: &mut Contents,
    agent_id: &AgentId,
    since: &TimeInfo,
) -> Result<Outcome, OperationError> {
    if contents.gone.contains(agent_id) {
        return Err(OperationError::Gone(agent_id.clone()));
    }
    let plan = match contents.admitted.remove(agent_id) {
        Some(agent) => Some(agent.plan),
        None => contents.unreachable.remove(agent_id).map(|agent| agent.plan),
    };
    let Some(plan) = plan else {
        return Err(OperationError::Unknown(agent_id.clone()));
    };
    contents.gone.push(agent_id.clone(), since.clone());
    forget_plan(contents, &plan);
    Ok(Outcome::Changed)
}

pub(crate) fn remove_agent(contents: &mut Contents, agent_id: &AgentId) -> Result<Outcome, OperationError> {
    let Some(agent) = contents.admitted.remove(agent_id) else {
        return Err(OperationError::NotAdmitted(agent_id.clone()));
    };
    forget_plan(contents, &agent.plan);
    Ok(Outcome::Changed)
}

pub(crate) fn prune(contents: &mut Contents, unreachable: &[AgentId], gone: &[AgentId]) -> Outcome {
    let mut outcome = Outcome::Unchanged;
    for id in unreachable {
        if let Some(agent) = contents.unreachable.remove(id) {
            forget_plan(contents, &agent.plan);
            outcome = Outcome::Changed;
        }
    }
    for id in gone {
        if contents.gone.remove(id).is_some() {
            outcome = Outcome::Changed;
        }
    }
    outcome
}

/// With its last deactivated agent the registry is open to older masters again.
fn forget_plan(contents: &mut Contents, plan: &Plan) {
    if plan.is_deactivated() {
        contents.settle_draining_capability();
    }
}
