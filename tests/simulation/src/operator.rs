//! Operators: they set quota and weights, drain agents and plan maintenance while everything else goes on.

use libprocess::{Random, SeededRandom};
use mesos::ids::AgentId;
use mesos_master_core::{MaintenanceChange, Master, OperatorCall};
use mesos_proto::v0::maintenance::{Schedule, Window};
use mesos_proto::v0::mesos::value::Scalar;
use mesos_proto::v0::mesos::{DrainConfig, MachineID, WeightInfo};
use mesos_proto::v0::quota::QuotaConfig;

/// The role that operators care for; the frameworks of `build` share the cluster with it.
const ROLE: &str = "web";

/// What an operator asks for next.
#[must_use]
pub fn draw(random: &mut SeededRandom, master: &Master) -> OperatorCall {
    let agents: Vec<&AgentId> = master.agents().keys().collect();
    let drawn = usize::try_from(random.below(agents.len() as u64)).unwrap_or(0);
    let agent = agents.get(drawn).map(|id| (*id).clone());
    match (random.below(9), agent) {
        (0, _) => {
            let mut weight = WeightInfo::new();
            weight.set_role(ROLE.to_owned());
            weight.set_weight(whole(1 + random.below(4)));
            OperatorCall::UpdateWeights(vec![weight])
        }
        (1, Some(agent_id)) => {
            let mut config = DrainConfig::new();
            if random.chance(500_000) {
                let nanoseconds = i64::try_from(random.below(3) * 1_000_000_000).unwrap_or(0);
                config
                    .max_grace_period
                    .mut_or_insert_default()
                    .set_nanoseconds(nanoseconds);
            }
            OperatorCall::DrainAgent { agent_id, config }
        }
        (2, Some(agent_id)) => OperatorCall::DeactivateAgent(agent_id),
        (3 | 4, Some(agent_id)) => OperatorCall::ReactivateAgent(agent_id),
        (5, Some(agent_id)) => schedule(master, Some(&agent_id), random.below(60)),
        (6, _) => OperatorCall::UpdateQuota {
            configs: vec![quota_of(None, None)],
            force: false,
        },
        _ => {
            let limit = 1 + random.below(12);
            let guarantee = random.chance(500_000).then(|| random.below(limit + 1));
            let limit = random.chance(700_000).then_some(limit);
            OperatorCall::UpdateQuota {
                configs: vec![quota_of(guarantee, limit)],
                force: random.chance(500_000),
            }
        }
    }
}

/// What opens the whole cluster again: no maintenance, no quota, all agents in use. Those that still drain refuse.
#[must_use]
pub fn reopen(master: &Master) -> Vec<OperatorCall> {
    let quota = OperatorCall::UpdateQuota {
        configs: vec![quota_of(None, None)],
        force: false,
    };
    let agents = master.agents().keys().cloned().map(OperatorCall::ReactivateAgent);
    agents.chain([schedule(master, None, 0), quota]).collect()
}

/// A maintenance schedule with one window for one agent's machine that begins in some seconds; without an agent the
/// empty one.
fn schedule(master: &Master, agent: Option<&AgentId>, seconds: u64) -> OperatorCall {
    let mut schedule = Schedule::new();
    if let Some(agent) = agent.and_then(|id| master.agents().get(id)) {
        let mut machine = MachineID::new();
        machine.set_hostname(agent.info().hostname().to_owned());
        machine.set_ip(agent.upid().address().ip().to_string());
        let mut window = Window::new();
        window.machine_ids.push(machine);
        let start = i64::try_from(1_700_000_000 + seconds).unwrap_or(0) * 1_000_000_000;
        let unavailability = window.unavailability.mut_or_insert_default();
        unavailability.start.mut_or_insert_default().set_nanoseconds(start);
        schedule.windows.push(window);
    }
    OperatorCall::Maintenance(MaintenanceChange::Schedule(Box::new(schedule)))
}

/// Quota in processors; one that says nothing takes the role's quota away.
fn quota_of(guarantee: Option<u64>, limit: Option<u64>) -> QuotaConfig {
    let mut config = QuotaConfig::new();
    config.set_role(ROLE.to_owned());
    for (quantity, of) in [(guarantee, &mut config.guarantees), (limit, &mut config.limits)] {
        if let Some(quantity) = quantity {
            let mut scalar = Scalar::new();
            scalar.set_value(whole(quantity));
            of.insert("cpus".to_owned(), scalar);
        }
    }
    config
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
const fn whole(number: u64) -> f64 {
    number as f64
}
