//! What schedules and lists of machines must be.
//!
//! Source: shared facts, `endpoints.tsv`, `operator_calls.tsv`; golden `errors.tsv`.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use mesos_proto::v0::maintenance::Schedule;
use mesos_proto::v0::mesos::MachineID;
use mesos_proto::v0::mesos::machine_info::Mode;
use mesos_registrar::MachineKey;
use thiserror::Error;

use crate::model::Machines;

/// Why a schedule or a list of machines is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum MaintenanceError {
    #[error("window {0} of the schedule names no machines ('machine_ids' is empty)")]
    EmptyWindow(usize),
    #[error("window {window}: 'unavailability.duration' is {nanoseconds} nanoseconds, it must not be negative")]
    NegativeDuration { window: usize, nanoseconds: i64 },
    #[error("no machines are named")]
    NoMachines,
    #[error("a machine must have a 'hostname' or an 'ip'")]
    Nameless,
    #[error("machine {machine}: '{ip}' is no IPv4 address")]
    BadAddress { machine: String, ip: String },
    #[error("machine {0} is named twice")]
    Twice(String),
    #[error("machine {0} is down and cannot be taken out of the schedule; bring it up first")]
    Down(String),
    #[error("machine {0} is not part of the maintenance schedule")]
    Unscheduled(String),
    #[error("machine {machine} is {mode} and cannot be brought down; it must be DRAINING")]
    NotDraining { machine: String, mode: String },
    #[error("machine {machine} is {mode} and cannot be brought up; it must be DOWN")]
    NotDown { machine: String, mode: String },
}

/// A machine as operators read it: `hostname/ip`, without what is not set.
pub(crate) fn shown(id: &MachineID) -> String {
    match (id.hostname(), id.ip()) {
        ("", ip) => ip.to_owned(),
        (hostname, "") => hostname.to_owned(),
        (hostname, ip) => format!("{hostname}/{ip}"),
    }
}

fn check_machine(id: &MachineID, seen: &mut BTreeSet<MachineKey>) -> Result<(), MaintenanceError> {
    if id.hostname().is_empty() && id.ip().is_empty() {
        return Err(MaintenanceError::Nameless);
    }
    if !id.ip().is_empty() && id.ip().parse::<Ipv4Addr>().is_err() {
        let (machine, ip) = (shown(id), id.ip().to_owned());
        return Err(MaintenanceError::BadAddress { machine, ip });
    }
    if !seen.insert(MachineKey::from(id)) {
        return Err(MaintenanceError::Twice(shown(id)));
    }
    Ok(())
}

/// Checks a schedule that shall take the place of the present one.
pub(crate) fn check_schedule(schedule: &Schedule, machines: &Machines) -> Result<(), MaintenanceError> {
    let mut named = BTreeSet::new();
    for (index, window) in schedule.windows.iter().enumerate() {
        if window.machine_ids.is_empty() {
            return Err(MaintenanceError::EmptyWindow(index));
        }
        let nanoseconds = window.unavailability.duration.nanoseconds();
        if nanoseconds < 0 {
            return Err(MaintenanceError::NegativeDuration {
                window: index,
                nanoseconds,
            });
        }
        for id in &window.machine_ids {
            check_machine(id, &mut named)?;
        }
    }
    let lost = machines
        .iter()
        .find(|(key, machine)| machine.mode() == Mode::DOWN && !named.contains(key));
    match lost {
        Some((_, machine)) => Err(MaintenanceError::Down(shown(&machine.id))),
        None => Ok(()),
    }
}

/// Checks machines that shall go down (now draining) or up (now down).
pub(crate) fn check_machines(ids: &[MachineID], machines: &Machines, now: Mode) -> Result<(), MaintenanceError> {
    if ids.is_empty() {
        return Err(MaintenanceError::NoMachines);
    }
    let mut seen = BTreeSet::new();
    for id in ids {
        check_machine(id, &mut seen)?;
    }
    for id in ids {
        let machine = shown(id);
        let Some(known) = machines.get(id) else {
            return Err(MaintenanceError::Unscheduled(machine));
        };
        if known.mode() != now {
            let mode = format!("{:?}", known.mode());
            return Err(match now {
                Mode::DOWN => MaintenanceError::NotDown { machine, mode },
                Mode::UP | Mode::DRAINING => MaintenanceError::NotDraining { machine, mode },
            });
        }
    }
    Ok(())
}
