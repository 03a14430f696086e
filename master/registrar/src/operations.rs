//! The rules of the registry's operations.

use mesos::ids::AgentId;
use mesos_proto::internal::master::stored_registry::registry::{GoneSlave, Slave, UnreachableSlave};
use mesos_proto::v0::mesos::{MasterInfo, SlaveInfo, TimeInfo};

use crate::{OperationError, Outcome, Registry};

fn admitted(registry: &Registry, agent_id: &AgentId) -> Option<usize> {
    registry
        .slaves
        .slaves
        .iter()
        .position(|slave| slave.info.id.value() == agent_id.as_str())
}

fn unreachable(registry: &Registry, agent_id: &AgentId) -> Option<usize> {
    registry
        .unreachable
        .slaves
        .iter()
        .position(|slave| slave.id.value() == agent_id.as_str())
}

fn is_gone(registry: &Registry, agent_id: &AgentId) -> bool {
    registry
        .gone
        .slaves
        .iter()
        .any(|slave| slave.id.value() == agent_id.as_str())
}

fn changed(condition: bool) -> Outcome {
    if condition {
        Outcome::Changed
    } else {
        Outcome::Unchanged
    }
}

pub(crate) fn set_master(registry: &mut Registry, info: &MasterInfo) -> Outcome {
    if registry.master.info.as_ref() == Some(info) {
        return Outcome::Unchanged;
    }
    registry.master.mut_or_insert_default().info = Some(info.clone()).into();
    Outcome::Changed
}

fn admit(registry: &mut Registry, info: &SlaveInfo, deactivated: Option<bool>) {
    let mut slave = Slave::new();
    slave.info = Some(info.clone()).into();
    slave.deactivated = deactivated;
    registry.slaves.mut_or_insert_default().slaves.push(slave);
}

pub(crate) fn admit_agent(registry: &mut Registry, info: &SlaveInfo) -> Result<Outcome, OperationError> {
    let agent_id = AgentId::from(&*info.id);
    if is_gone(registry, &agent_id) {
        return Err(OperationError::Gone(agent_id));
    }
    if admitted(registry, &agent_id).is_some() {
        return Err(OperationError::AlreadyAdmitted(agent_id));
    }
    if unreachable(registry, &agent_id).is_some() {
        return Err(OperationError::AlreadyUnreachable(agent_id));
    }
    admit(registry, info, None);
    Ok(Outcome::Changed)
}

pub(crate) fn update_agent(registry: &mut Registry, info: &SlaveInfo) -> Result<Outcome, OperationError> {
    let agent_id = AgentId::from(&*info.id);
    let Some(index) = admitted(registry, &agent_id) else {
        return Err(OperationError::NotAdmitted(agent_id));
    };
    let slave = &mut registry.slaves.mut_or_insert_default().slaves[index];
    if slave.info.as_ref() == Some(info) {
        return Ok(Outcome::Unchanged);
    }
    slave.info = Some(info.clone()).into();
    Ok(Outcome::Changed)
}

pub(crate) fn mark_agent_unreachable(
    registry: &mut Registry,
    agent_id: &AgentId,
    since: &TimeInfo,
) -> Result<Outcome, OperationError> {
    if unreachable(registry, agent_id).is_some() {
        return Err(OperationError::AlreadyUnreachable(agent_id.clone()));
    }
    let Some(index) = admitted(registry, agent_id) else {
        return Err(OperationError::NotAdmitted(agent_id.clone()));
    };
    let mut slave = registry.slaves.mut_or_insert_default().slaves.remove(index);
    let mut entry = UnreachableSlave::new();
    entry.id = Some(agent_id.to_proto()).into();
    entry.timestamp = Some(since.clone()).into();
    entry.drain_info = slave.drain_info.take().into();
    entry.deactivated = slave.deactivated;
    registry.unreachable.mut_or_insert_default().slaves.push(entry);
    Ok(Outcome::Changed)
}

pub(crate) fn mark_agent_reachable(registry: &mut Registry, info: &SlaveInfo) -> Result<Outcome, OperationError> {
    let agent_id = AgentId::from(&*info.id);
    if is_gone(registry, &agent_id) {
        return Err(OperationError::Gone(agent_id));
    }
    let stored = unreachable(registry, &agent_id);
    let deactivated = stored.and_then(|index| {
        let mut entry = registry.unreachable.mut_or_insert_default().slaves.remove(index);
        if let Some(drain) = entry.drain_info.take() {
            let mut slave = Slave::new();
            slave.info = Some(info.clone()).into();
            slave.drain_info = Some(drain).into();
            slave.deactivated = entry.deactivated;
            registry.slaves.mut_or_insert_default().slaves.push(slave);
        }
        entry.deactivated
    });
    if admitted(registry, &agent_id).is_some() {
        return Ok(changed(stored.is_some()));
    }
    admit(registry, info, deactivated);
    Ok(Outcome::Changed)
}

pub(crate) fn mark_agent_gone(
    registry: &mut Registry,
    agent_id: &AgentId,
    since: &TimeInfo,
) -> Result<Outcome, OperationError> {
    if is_gone(registry, agent_id) {
        return Err(OperationError::Gone(agent_id.clone()));
    }
    if let Some(index) = admitted(registry, agent_id) {
        registry.slaves.mut_or_insert_default().slaves.remove(index);
    } else if let Some(index) = unreachable(registry, agent_id) {
        registry.unreachable.mut_or_insert_default().slaves.remove(index);
    } else {
        return Err(OperationError::Unknown(agent_id.clone()));
    }
    let mut entry = GoneSlave::new();
    entry.id = Some(agent_id.to_proto()).into();
    entry.timestamp = Some(since.clone()).into();
    registry.gone.mut_or_insert_default().slaves.push(entry);
    Ok(Outcome::Changed)
}

pub(crate) fn remove_agent(registry: &mut Registry, agent_id: &AgentId) -> Result<Outcome, OperationError> {
    let Some(index) = admitted(registry, agent_id) else {
        return Err(OperationError::NotAdmitted(agent_id.clone()));
    };
    registry.slaves.mut_or_insert_default().slaves.remove(index);
    Ok(Outcome::Changed)
}

pub(crate) fn prune(registry: &mut Registry, unreachable: &[AgentId], gone: &[AgentId]) -> Outcome {
    let before = registry.unreachable.slaves.len() + registry.gone.slaves.len();
    if let Some(entries) = registry.unreachable.as_mut() {
        entries
            .slaves
            .retain(|entry| !unreachable.iter().any(|id| id.as_str() == entry.id.value()));
    }
    if let Some(entries) = registry.gone.as_mut() {
        entries
            .slaves
            .retain(|entry| !gone.iter().any(|id| id.as_str() == entry.id.value()));
    }
    changed(before != registry.unreachable.slaves.len() + registry.gone.slaves.len())
}
