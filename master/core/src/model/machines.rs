//! The maintenance schedule and the machines in it.

use std::collections::BTreeMap;
use std::time::Duration;

use libprocess_types::Time;
use mesos_allocator::api::{AgentInfo as AllocatorAgent, Unavailability as AllocatorUnavailability};
use mesos_proto::v0::maintenance::Schedule;
use mesos_proto::v0::mesos::machine_info::Mode;
use mesos_proto::v0::mesos::{MachineID, MachineInfo, Unavailability};
use mesos_registrar::MachineKey;

use super::Agent;

/// Machines that are planned to be unavailable. A machine that is not here is up.
#[derive(Clone, Debug, Default)]
pub struct Machines {
    schedule: Schedule,
    by_key: BTreeMap<MachineKey, MachineInfo>,
}

impl Machines {
    /// The schedule; without windows when there is none.
    #[must_use]
    pub const fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// All machines of the schedule, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&MachineKey, &MachineInfo)> {
        self.by_key.iter()
    }

    /// Whether no machine is planned to be unavailable.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// A machine of the schedule.
    #[must_use]
    pub fn get(&self, id: &MachineID) -> Option<&MachineInfo> {
        self.by_key.get(&MachineKey::from(id))
    }

    /// Whether the machine with this host name and address is down.
    #[must_use]
    pub fn is_down(&self, hostname: &str, ip: &str) -> bool {
        let machine = self.by_key.get(&MachineKey::new(hostname, ip));
        machine.is_some_and(|machine| machine.mode() == Mode::DOWN)
    }

    /// The machine of an agent, when it stands in the schedule.
    #[must_use]
    pub fn of(&self, agent: &Agent) -> Option<&MachineInfo> {
        // Asked for every offer, and almost always there is no schedule.
        if self.by_key.is_empty() {
            return None;
        }
        self.by_key.get(&key_of(agent))
    }

    /// When and for how long an agent is planned to be unavailable.
    #[must_use]
    pub fn unavailability(&self, agent: &Agent) -> Option<&Unavailability> {
        self.of(agent).and_then(|machine| machine.unavailability.as_ref())
    }

    /// What the allocator is told of an agent.
    pub(crate) fn allocator_info(&self, agent: &Agent) -> AllocatorAgent {
        let mut info = AllocatorAgent::from_proto(&agent.info, agent.capabilities);
        info.unavailability = self.unavailability(agent).map(for_allocator);
        info
    }

    pub(crate) fn replace(&mut self, schedule: Schedule, machines: impl IntoIterator<Item = MachineInfo>) {
        self.schedule = schedule;
        let keyed = machines
            .into_iter()
            .map(|machine| (MachineKey::from(&*machine.id), machine));
        self.by_key = keyed.collect();
    }

    pub(crate) fn set_down(&mut self, id: &MachineID) {
        if let Some(machine) = self.by_key.get_mut(&MachineKey::from(id)) {
            machine.set_mode(Mode::DOWN);
        }
    }

    pub(crate) fn remove(&mut self, ids: &[MachineID]) {
        let keys = ids.iter().map(MachineKey::from).collect();
        mesos_registrar::remove_from_schedule(&mut self.schedule, &keys);
        self.by_key.retain(|key, _| !keys.contains(key));
    }
}

/// The key of an agent's machine.
pub(crate) fn key_of(agent: &Agent) -> MachineKey {
    MachineKey::new(agent.info.hostname(), &agent.upid.address().ip().to_string())
}

/// An unavailability as the allocator knows it. Times before the epoch count as the epoch.
pub(crate) fn for_allocator(unavailability: &Unavailability) -> AllocatorUnavailability {
    let nanoseconds = |count: i64| Duration::from_nanos(u64::try_from(count).unwrap_or(0));
    AllocatorUnavailability {
        start: Time::EPOCH + nanoseconds(unavailability.start.nanoseconds()),
        duration: unavailability
            .duration
            .as_ref()
            .map(|duration| nanoseconds(duration.nanoseconds())),
    }
}
