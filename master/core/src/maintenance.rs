//! The maintenance schedule: machines drain, go down and come up again.
//!
//! Each change is checked against what is stored, handed to the registry, and takes effect when the registry has it;
//! further changes wait so long, so that none is checked against a schedule that is about to be another one.
//!
//! Source: shared facts, `operator_calls.tsv`, `endpoints.tsv`, `messages_flow.tsv` (ShutdownMessage).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use libprocess_types::Upid;
use mesos::ids::{AgentId, OfferId};
use mesos_allocator::api::InverseOfferAnswer;
use mesos_proto::v0::allocator::InverseOfferStatus;
use mesos_proto::v0::allocator::inverse_offer_status::Status;
use mesos_proto::v0::maintenance::cluster_status::DrainingMachine;
use mesos_proto::v0::maintenance::{ClusterStatus, Schedule};
use mesos_proto::v0::mesos::machine_info::Mode;
use mesos_proto::v0::mesos::{MachineID, MachineInfo};
use mesos_registrar::{MachineKey, Operation, Registry};

use crate::effect::{Effect, Reply};
use crate::input::RequestId;
use crate::maintenance_rules::{check_machines, check_schedule};
use crate::master::{Master, Pending};
use crate::model::machines::{for_allocator, key_of};
use crate::status;

/// What is told to agents of machines that are down, and of their tasks.
const MACHINE_DOWN: &str = "the machine was brought down for maintenance";

/// A change of the schedule or of machines in it.
#[derive(Clone, Debug, PartialEq)]
pub enum MaintenanceChange {
    /// Another schedule (`UPDATE_MAINTENANCE_SCHEDULE`).
    Schedule(Box<Schedule>),
    /// Machines go down (`START_MAINTENANCE`).
    Start(Vec<MachineID>),
    /// Machines come up and leave the schedule (`STOP_MAINTENANCE`).
    Stop(Vec<MachineID>),
}

/// Changes that wait for the one that is being stored.
#[derive(Clone, Debug, Default)]
pub(crate) struct MaintenanceQueue {
    storing: bool,
    waiting: VecDeque<(RequestId, MaintenanceChange)>,
}

impl Master {
    /// An operator changes the schedule or machines; answered when the registry has it.
    pub(crate) fn ask_maintenance(&mut self, request: RequestId, change: MaintenanceChange) {
        self.maintenance.waiting.push_back((request, change));
        self.store_next_maintenance();
    }

    fn store_next_maintenance(&mut self) {
        while !self.maintenance.storing
            && let Some((request, change)) = self.maintenance.waiting.pop_front()
        {
            let checked = match &change {
                MaintenanceChange::Schedule(schedule) => check_schedule(schedule, &self.machines),
                MaintenanceChange::Start(ids) => check_machines(ids, &self.machines, Mode::DRAINING),
                MaintenanceChange::Stop(ids) => check_machines(ids, &self.machines, Mode::DOWN),
            };
            if let Err(error) = checked {
                let reply = Reply::text(400, error.to_string());
                self.effects.push(Effect::Reply { request, reply });
                continue;
            }
            let operation = match &change {
                MaintenanceChange::Schedule(schedule) => Operation::UpdateSchedule(schedule.clone()),
                MaintenanceChange::Start(ids) => Operation::StartMaintenance(ids.clone()),
                MaintenanceChange::Stop(ids) => Operation::StopMaintenance(ids.clone()),
            };
            self.maintenance.storing = true;
            self.store(vec![operation], Pending::Maintenance { change, request });
        }
    }

    /// The registry has the change.
    pub(crate) fn maintenance_stored(&mut self, change: MaintenanceChange, request: RequestId) {
        match change {
            MaintenanceChange::Schedule(schedule) => self.take_schedule(*schedule),
            MaintenanceChange::Start(ids) => self.take_machines_down(&ids),
            MaintenanceChange::Stop(ids) => self.machines.remove(&ids),
        }
        let reply = Reply::empty(200);
        self.effects.push(Effect::Reply { request, reply });
        self.maintenance.storing = false;
        self.store_next_maintenance();
    }

    /// Machines of the schedule keep their mode or begin to drain; frameworks hear of the new times in new offers and
    /// new inverse offers, so the old ones are withdrawn.
    fn take_schedule(&mut self, schedule: Schedule) {
        let mut machines = Vec::new();
        for window in &schedule.windows {
            for id in &window.machine_ids {
                let mode = self.machines.get(id).map_or(Mode::DRAINING, MachineInfo::mode);
                let mut machine = MachineInfo::new();
                machine.id = Some(id.clone()).into();
                machine.set_mode(mode);
                machine.unavailability = window.unavailability.clone();
                machines.push(machine);
            }
        }
        let mut touched: BTreeSet<MachineKey> = self.machines.iter().map(|(key, _)| key.clone()).collect();
        touched.extend(machines.iter().map(|machine| MachineKey::from(&*machine.id)));
        tracing::info!(machines = machines.len(), "maintenance schedule updated");
        self.machines.replace(schedule, machines);
        for (agent_id, _) in self.agents_on(&touched) {
            self.change_unavailability(&agent_id);
        }
    }

    fn change_unavailability(&mut self, id: &AgentId) {
        let Some(agent) = self.agents.get(id) else { return };
        let unavailability = self.machines.unavailability(agent).map(for_allocator);
        let offers: Vec<OfferId> = agent.offers.iter().cloned().collect();
        for offer in offers {
            self.rescind_offer(&offer);
        }
        self.rescind_inverse_offers_of_agent(id);
        self.allocator.update_unavailability(self.now, id, unavailability);
    }

    /// Agents of machines that go down are shut down, and removed at once: the message may not reach them.
    fn take_machines_down(&mut self, ids: &[MachineID]) {
        let keys: BTreeSet<MachineKey> = ids.iter().map(MachineKey::from).collect();
        for id in ids {
            self.machines.set_down(id);
        }
        for (agent_id, upid) in self.agents_on(&keys) {
            tracing::info!(%agent_id, "the agent's machine goes down");
            self.shut_agent_down(&upid, MACHINE_DOWN);
            self.remove_agent(&agent_id, MACHINE_DOWN, None);
        }
    }

    fn agents_on(&self, keys: &BTreeSet<MachineKey>) -> Vec<(AgentId, Upid)> {
        let agents = self.agents.values().filter(|agent| keys.contains(&key_of(agent)));
        agents.map(|agent| (agent.id.clone(), agent.upid.clone())).collect()
    }

    /// Whether an agent may not register because its machine is down; it is told to shut down then.
    pub(crate) fn refuse_down_machine(&mut self, upid: &Upid, hostname: &str) -> bool {
        let down = !self.machines.is_empty() && self.machines.is_down(hostname, &upid.address().ip().to_string());
        if down {
            tracing::warn!(%upid, hostname, "registration refused: the machine is down for maintenance");
            self.shut_agent_down(upid, MACHINE_DOWN);
        }
        down
    }

    /// An agent registered while its machine was going down: it leaves as those did that were there before.
    pub(crate) fn leave_down_machine(&mut self, id: &AgentId) {
        let Some(agent) = self.agents.get(id) else { return };
        let (upid, hostname) = (agent.upid.clone(), agent.info.hostname().to_owned());
        if self.refuse_down_machine(&upid, &hostname) {
            self.remove_agent(id, MACHINE_DOWN, None);
        }
    }

    /// Takes the schedule and the machines over from the registry.
    pub(crate) fn recover_maintenance(&mut self, registry: &Registry) {
        let schedule = registry.schedules.first().cloned().unwrap_or_default();
        let machines = registry.machines.machines.iter();
        self.machines
            .replace(schedule, machines.map(|machine| (*machine.info).clone()));
    }

    /// Machines that drain, with the frameworks' latest answers, and machines that are down.
    #[must_use]
    pub fn maintenance_status(&self) -> ClusterStatus {
        let mut status = ClusterStatus::new();
        if self.machines.is_empty() {
            return status;
        }
        let mut answers = self.allocator.inverse_offer_statuses();
        let mut by_machine: BTreeMap<MachineKey, Vec<InverseOfferStatus>> = BTreeMap::new();
        for (id, agent) in &self.agents {
            let Some(given) = answers.remove(id) else { continue };
            let told = given.into_iter().map(|(framework, answer)| {
                let mut status = InverseOfferStatus::new();
                status.set_status(match answer.answer {
                    InverseOfferAnswer::Accepted => Status::ACCEPT,
                    InverseOfferAnswer::Declined => Status::DECLINE,
                });
                status.framework_id = Some(framework.to_proto()).into();
                status.timestamp = Some(status::time_info(answer.at)).into();
                status
            });
            by_machine.entry(key_of(agent)).or_default().extend(told);
        }
        for (key, machine) in self.machines.iter() {
            match machine.mode() {
                Mode::DRAINING => {
                    let mut draining = DrainingMachine::new();
                    draining.id = machine.id.clone();
                    draining.statuses = by_machine.remove(key).unwrap_or_default();
                    status.draining_machines.push(draining);
                }
                Mode::DOWN => status.down_machines.extend(machine.id.as_ref().cloned()),
                Mode::UP => {}
            }
        }
        status
    }
}
