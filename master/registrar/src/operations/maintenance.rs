//! The maintenance schedule and the machines in it.
//!
//! A machine of the schedule is draining until an operator takes it down, and down until an operator takes it up, which
//! takes it out of the schedule. Source: shared facts, `protobuf/master/registry.tsv`, `endpoints.tsv`; golden
//! `endpoints/master/registrar(1)_registry.http`.

use std::collections::{BTreeMap, BTreeSet};

use mesos_proto::internal::master::stored_registry::registry::Machine;
use mesos_proto::v0::maintenance::Schedule;
use mesos_proto::v0::mesos::machine_info::Mode;
use mesos_proto::v0::mesos::{MachineID, Unavailability};

use super::changed;
use crate::{Outcome, Registry};

/// What names a machine: host name, whose case does not matter, and address; both, as far as they are set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MachineKey {
    hostname: Option<String>,
    ip: Option<String>,
}

impl MachineKey {
    /// The key of a machine with both.
    #[must_use]
    pub fn new(hostname: &str, ip: &str) -> Self {
        Self {
            hostname: Some(hostname.to_lowercase()),
            ip: Some(ip.to_owned()),
        }
    }
}

impl From<&MachineID> for MachineKey {
    fn from(id: &MachineID) -> Self {
        Self {
            hostname: id.hostname.as_deref().map(str::to_lowercase),
            ip: id.ip.clone(),
        }
    }
}

fn keys(ids: &[MachineID]) -> BTreeSet<MachineKey> {
    ids.iter().map(MachineKey::from).collect()
}

/// Puts a schedule in the place of the one before. Machines that stay keep their mode, new ones begin to drain, those
/// that are gone from the schedule are up again.
pub(crate) fn update_schedule(registry: &mut Registry, schedule: &Schedule) -> Outcome {
    let before = (registry.machines.clone(), registry.schedules.clone());
    let planned = schedule.windows.iter().flat_map(|window| {
        let machines = window.machine_ids.iter();
        machines.map(|id| (MachineKey::from(id), (id, &*window.unavailability)))
    });
    let planned: Vec<(MachineKey, (&MachineID, &Unavailability))> = planned.collect();
    let by_key: BTreeMap<&MachineKey, &Unavailability> = planned
        .iter()
        .map(|(key, (_, unavailability))| (key, *unavailability))
        .collect();
    let machines = &mut registry.machines.mut_or_insert_default().machines;
    machines.retain_mut(|machine| {
        let Some(unavailability) = by_key.get(&MachineKey::from(&*machine.info.id)) else {
            return false;
        };
        machine.info.mut_or_insert_default().unavailability = Some((*unavailability).clone()).into();
        true
    });
    let mut known: BTreeSet<MachineKey> = machines
        .iter()
        .map(|machine| MachineKey::from(&*machine.info.id))
        .collect();
    for (key, (id, unavailability)) in planned {
        if known.insert(key) {
            let mut machine = Machine::new();
            let info = machine.info.mut_or_insert_default();
            info.id = Some(id.clone()).into();
            info.set_mode(Mode::DRAINING);
            info.unavailability = Some(unavailability.clone()).into();
            machines.push(machine);
        }
    }
    registry.schedules = vec![schedule.clone()];
    changed(before != (registry.machines.clone(), registry.schedules.clone()))
}

pub(crate) fn start_maintenance(registry: &mut Registry, ids: &[MachineID]) -> Outcome {
    let wanted = keys(ids);
    let mut outcome = Outcome::Unchanged;
    let Some(machines) = registry.machines.as_mut() else {
        return outcome;
    };
    for machine in &mut machines.machines {
        if wanted.contains(&MachineKey::from(&*machine.info.id)) && machine.info.mode() != Mode::DOWN {
            machine.info.mut_or_insert_default().set_mode(Mode::DOWN);
            outcome = Outcome::Changed;
        }
    }
    outcome
}

pub(crate) fn stop_maintenance(registry: &mut Registry, ids: &[MachineID]) -> Outcome {
    let wanted = keys(ids);
    let mut outcome = Outcome::Unchanged;
    if let Some(machines) = registry.machines.as_mut() {
        let before = machines.machines.len();
        let kept = |machine: &Machine| !wanted.contains(&MachineKey::from(&*machine.info.id));
        machines.machines.retain(kept);
        outcome = changed(before != machines.machines.len());
    }
    for schedule in &mut registry.schedules {
        remove_from_schedule(schedule, &wanted);
    }
    registry.schedules.retain(|schedule| !schedule.windows.is_empty());
    outcome
}

/// Takes machines out of a schedule; windows without machines go.
pub fn remove_from_schedule(schedule: &mut Schedule, machines: &BTreeSet<MachineKey>) {
    for window in &mut schedule.windows {
        window
            .machine_ids
            .retain(|id| !machines.contains(&MachineKey::from(id)));
    }
    schedule.windows.retain(|window| !window.machine_ids.is_empty());
}
