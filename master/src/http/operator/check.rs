//! What operators' calls must have.

use mesos_master_core::Master;
use mesos_proto::v0::master::Call;
use mesos_proto::v0::master::call::Type;
use mesos_proto::v0::mesos::SlaveID;

/// Checks that a call has a type, and the part that belongs to its type.
///
/// # Errors
///
/// Names what is missing.
pub fn form(call: &Call) -> Result<(), String> {
    let kind = call.type_.and_then(|kind| kind.enum_value().ok());
    let kind = kind.ok_or("'type' must be set to a known type")?;
    let present = match kind {
        Type::GET_METRICS => call.get_metrics.is_some(),
        Type::SET_LOGGING_LEVEL => call.set_logging_level.is_some(),
        Type::LIST_FILES => call.list_files.is_some(),
        Type::READ_FILE => call.read_file.is_some(),
        Type::UPDATE_WEIGHTS => call.update_weights.is_some(),
        Type::RESERVE_RESOURCES => call.reserve_resources.is_some(),
        Type::UNRESERVE_RESOURCES => call.unreserve_resources.is_some(),
        Type::CREATE_VOLUMES => call.create_volumes.is_some(),
        Type::DESTROY_VOLUMES => call.destroy_volumes.is_some(),
        Type::GROW_VOLUME => call.grow_volume.is_some(),
        Type::SHRINK_VOLUME => call.shrink_volume.is_some(),
        Type::UPDATE_MAINTENANCE_SCHEDULE => call.update_maintenance_schedule.is_some(),
        Type::START_MAINTENANCE => call.start_maintenance.is_some(),
        Type::STOP_MAINTENANCE => call.stop_maintenance.is_some(),
        Type::DRAIN_AGENT => call.drain_agent.is_some(),
        Type::DEACTIVATE_AGENT => call.deactivate_agent.is_some(),
        Type::REACTIVATE_AGENT => call.reactivate_agent.is_some(),
        Type::UPDATE_QUOTA => call.update_quota.is_some(),
        Type::SET_QUOTA => call.set_quota.is_some(),
        Type::REMOVE_QUOTA => call.remove_quota.is_some(),
        Type::TEARDOWN => call.teardown.is_some(),
        Type::MARK_AGENT_GONE => call.mark_agent_gone.is_some(),
        Type::UNKNOWN
        | Type::GET_HEALTH
        | Type::GET_FLAGS
        | Type::GET_VERSION
        | Type::GET_LOGGING_LEVEL
        | Type::GET_STATE
        | Type::GET_AGENTS
        | Type::GET_FRAMEWORKS
        | Type::GET_EXECUTORS
        | Type::GET_OPERATIONS
        | Type::GET_TASKS
        | Type::GET_ROLES
        | Type::GET_WEIGHTS
        | Type::GET_MASTER
        | Type::SUBSCRIBE
        | Type::GET_MAINTENANCE_STATUS
        | Type::GET_MAINTENANCE_SCHEDULE
        | Type::GET_QUOTA => true,
    };
    if present {
        return Ok(());
    }
    Err(format!("'{}' must be set", format!("{kind:?}").to_lowercase()))
}

/// Checks what a call names against the state, for calls whose mistakes are told also while they are not supported.
///
/// # Errors
///
/// Names what is unknown or out of bounds.
pub fn semantics(call: &Call, core: &Master) -> Result<(), String> {
    match call.type_() {
        Type::RESERVE_RESOURCES => known_agent(core, &call.reserve_resources.slave_id),
        Type::UNRESERVE_RESOURCES => known_agent(core, &call.unreserve_resources.slave_id),
        Type::CREATE_VOLUMES => known_agent(core, &call.create_volumes.slave_id),
        Type::DESTROY_VOLUMES => known_agent(core, &call.destroy_volumes.slave_id),
        Type::GROW_VOLUME => known_agent(core, &call.grow_volume.slave_id),
        Type::SHRINK_VOLUME => known_agent(core, &call.shrink_volume.slave_id),
        _ => Ok(()),
    }
}

/// Whether an agent is known: registered, or of the registry and not back yet.
///
/// # Errors
///
/// Names the agent.
pub fn known_agent(core: &Master, id: &SlaveID) -> Result<(), String> {
    let id = mesos::ids::AgentId::from(id);
    if core.agents().contains_key(&id) || core.recovered_agents().contains_key(&id) {
        Ok(())
    } else {
        Err(format!("no agent {id} is known"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_payload_is_asked_for_by_its_name() {
        let mut call = Call::new();
        assert!(form(&call).is_err());
        call.set_type(Type::GROW_VOLUME);
        assert_eq!(form(&call), Err("'grow_volume' must be set".to_owned()));
        call.set_type(Type::GET_STATE);
        assert_eq!(form(&call), Ok(()));
    }
}
