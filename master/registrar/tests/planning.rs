//! Draining, deactivation and maintenance in the registry.

use mesos::ids::AgentId;
use mesos_proto::internal::master::stored_registry::registry::MinimumCapability;
use mesos_proto::v0::maintenance::{Schedule, Window};
use mesos_proto::v0::mesos::machine_info::Mode;
use mesos_proto::v0::mesos::{DrainConfig, DrainState, MachineID, SlaveInfo, TimeInfo};
use mesos_registrar::{Contents, Operation, OperationError, Outcome, Registry};

fn admit(id: &str) -> Operation {
    let mut info = SlaveInfo::new();
    info.id.mut_or_insert_default().set_value(id.to_owned());
    info.set_hostname("host".to_owned());
    Operation::AdmitAgent(Box::new(info))
}

fn config(grace: Option<i64>, mark_gone: bool) -> Box<DrainConfig> {
    let mut config = DrainConfig::new();
    if let Some(grace) = grace {
        config.max_grace_period.mut_or_insert_default().set_nanoseconds(grace);
    }
    config.set_mark_gone(mark_gone);
    Box::new(config)
}

fn drain(id: &str, config: Box<DrainConfig>) -> Operation {
    let agent_id = AgentId::new(id);
    Operation::DrainAgent { agent_id, config }
}

fn unreachable(id: &str) -> Operation {
    let agent_id = AgentId::new(id);
    let since = Box::new(TimeInfo::new());
    Operation::MarkAgentUnreachable { agent_id, since }
}

fn reachable(id: &str) -> Operation {
    match admit(id) {
        Operation::AdmitAgent(info) => Operation::MarkAgentReachable(info),
        other => other,
    }
}

fn capabilities(contents: &Contents) -> Vec<String> {
    let registry = contents.to_message();
    let entries = registry.minimum_capabilities.iter();
    entries
        .map(|entry: &MinimumCapability| entry.capability().to_owned())
        .collect()
}

/// State of an agent's drain and whether it is deactivated, wherever it is listed.
fn plan(contents: &Contents, id: &str) -> (Option<DrainState>, bool) {
    let registry = contents.to_message();
    let admitted = registry.slaves.slaves.iter().find(|slave| slave.info.id.value() == id);
    let unreachable = registry.unreachable.slaves.iter().find(|slave| slave.id.value() == id);
    let state = |drain: &protobuf::MessageField<mesos_proto::v0::mesos::DrainInfo>| {
        drain.as_ref().map(mesos_proto::v0::mesos::DrainInfo::state)
    };
    match (admitted, unreachable) {
        (Some(slave), None) => (state(&slave.drain_info), slave.deactivated()),
        (None, Some(slave)) => (state(&slave.drain_info), slave.deactivated()),
        (None, None) => (None, false),
        (Some(_), Some(_)) => panic!("{id} is admitted and unreachable"),
    }
}

#[test]
fn a_drain_goes_with_its_agent_and_asks_for_masters_that_know_it() {
    let mut contents = Contents::default();
    let id = AgentId::new("a");
    let drain_a = drain("a", config(Some(5), false));
    let draining = (Some(DrainState::DRAINING), true);
    let drained = (Some(DrainState::DRAINED), true);
    let nothing = (None, false);
    let steps = [
        (admit("a"), nothing, false),
        (drain_a.clone(), draining, true),
        (unreachable("a"), draining, true),
        (Operation::MarkAgentDrained(id.clone()), drained, true),
        (reachable("a"), drained, true),
        (drain_a, draining, true),
        (Operation::ReactivateAgent(id.clone()), nothing, false),
        (Operation::DeactivateAgent(id.clone()), (None, true), true),
        (unreachable("a"), (None, true), true),
        (Operation::ReactivateAgent(id.clone()), nothing, false),
        (Operation::DeactivateAgent(id.clone()), (None, true), true),
        (
            Operation::MarkAgentGone {
                agent_id: id,
                since: Box::new(TimeInfo::new()),
            },
            nothing,
            false,
        ),
    ];
    for (operation, expected, capability) in steps {
        assert_eq!(operation.apply(&mut contents), Ok(Outcome::Changed), "{operation:?}");
        assert_eq!(plan(&contents, "a"), expected, "{operation:?}");
        let wanted: &[&str] = if capability { &["AGENT_DRAINING"] } else { &[] };
        assert_eq!(capabilities(&contents), wanted, "{operation:?}");
    }
}

#[test]
fn the_capability_stays_until_the_last_agent_is_active() {
    let mut contents = Contents::default();
    let apply = |contents: &mut Contents, operation: Operation| {
        assert_eq!(operation.apply(contents), Ok(Outcome::Changed), "{operation:?}");
        !capabilities(contents).is_empty()
    };
    for id in ["a", "b", "c"] {
        apply(&mut contents, admit(id));
        apply(&mut contents, Operation::DeactivateAgent(AgentId::new(id)));
    }
    assert!(apply(&mut contents, Operation::ReactivateAgent(AgentId::new("a"))));
    assert!(apply(&mut contents, Operation::RemoveAgent(AgentId::new("b"))));
    assert!(apply(&mut contents, unreachable("c")));
    let pruned = Operation::Prune {
        unreachable: vec![AgentId::new("c")],
        gone: Vec::new(),
    };
    assert!(!apply(&mut contents, pruned));
}

#[test]
fn plans_for_strangers_and_ends_of_no_drain_are_refused() {
    let mut contents = Contents::default();
    admit("a").apply(&mut contents).expect("fits");
    let a = AgentId::new("a");
    let nobody = AgentId::new("nobody");
    let rows = [
        (
            Operation::DeactivateAgent(nobody.clone()),
            OperationError::Unknown(nobody.clone()),
        ),
        (
            Operation::ReactivateAgent(nobody.clone()),
            OperationError::Unknown(nobody.clone()),
        ),
        (
            drain("nobody", config(None, false)),
            OperationError::Unknown(nobody.clone()),
        ),
        (
            Operation::MarkAgentDrained(nobody.clone()),
            OperationError::Unknown(nobody),
        ),
        (
            Operation::MarkAgentDrained(a.clone()),
            OperationError::NotDraining(a.clone()),
        ),
    ];
    let before = contents.clone();
    for (operation, error) in rows {
        assert_eq!(operation.apply(&mut contents), Err(error), "{operation:?}");
        assert_eq!(contents, before, "{operation:?}");
    }
    let again = [Operation::ReactivateAgent(a.clone())];
    for operation in again {
        assert_eq!(operation.apply(&mut contents), Ok(Outcome::Unchanged), "{operation:?}");
    }
    drain("a", config(None, true)).apply(&mut contents).expect("fits");
    let same = drain("a", config(None, true)).apply(&mut contents);
    assert_eq!(same, Ok(Outcome::Unchanged));
    let other = drain("a", config(Some(1), false)).apply(&mut contents);
    assert_eq!(other, Ok(Outcome::Changed));
}

fn machine(text: &str) -> MachineID {
    let mut id = MachineID::new();
    let (hostname, ip) = text.split_once('/').unwrap_or((text, ""));
    if !hostname.is_empty() {
        id.set_hostname(hostname.to_owned());
    }
    if !ip.is_empty() {
        id.set_ip(ip.to_owned());
    }
    id
}

fn machines(texts: &[&str]) -> Vec<MachineID> {
    texts.iter().map(|text| machine(text)).collect()
}

fn schedule(windows: &[(&[&str], i64)]) -> Operation {
    let mut schedule = Schedule::new();
    for (machines_of, start) in windows {
        let mut window = Window::new();
        window.machine_ids = machines(machines_of);
        let unavailability = window.unavailability.mut_or_insert_default();
        unavailability.start.mut_or_insert_default().set_nanoseconds(*start);
        schedule.windows.push(window);
    }
    Operation::UpdateSchedule(Box::new(schedule))
}

/// Machines as `host/ip mode start`, and the numbers of machines in the windows.
fn shown(registry: &Registry) -> (Vec<String>, Vec<usize>) {
    let listed = registry.machines.machines.iter().map(|machine| {
        let info = &machine.info;
        let start = info.unavailability.start.nanoseconds();
        format!("{}/{} {:?} {start}", info.id.hostname(), info.id.ip(), info.mode())
    });
    let windows = registry.schedules.iter().flat_map(|schedule| &schedule.windows);
    (
        listed.collect(),
        windows.map(|window| window.machine_ids.len()).collect(),
    )
}

#[test]
fn machines_follow_the_schedule() {
    let mut contents = Contents::default();
    let (changed, unchanged) = (Outcome::Changed, Outcome::Unchanged);
    type Step = (Operation, Outcome, &'static [&'static str], &'static [usize]);
    let steps: [Step; 8] = [
        (
            schedule(&[(&["m1/10.0.0.1", "m2"], 5)]),
            changed,
            &["m1/10.0.0.1 DRAINING 5", "m2/ DRAINING 5"],
            &[2],
        ),
        (
            Operation::StartMaintenance(machines(&["M2"])),
            changed,
            &["m1/10.0.0.1 DRAINING 5", "m2/ DOWN 5"],
            &[2],
        ),
        (
            Operation::StartMaintenance(machines(&["m2", "m9"])),
            unchanged,
            &["m1/10.0.0.1 DRAINING 5", "m2/ DOWN 5"],
            &[2],
        ),
        (
            schedule(&[(&["m2"], 7), (&["/10.0.0.3"], 8)]),
            changed,
            &["m2/ DOWN 7", "/10.0.0.3 DRAINING 8"],
            &[1, 1],
        ),
        (
            schedule(&[(&["m2"], 7), (&["/10.0.0.3"], 8)]),
            unchanged,
            &["m2/ DOWN 7", "/10.0.0.3 DRAINING 8"],
            &[1, 1],
        ),
        (
            Operation::StopMaintenance(machines(&["m2"])),
            changed,
            &["/10.0.0.3 DRAINING 8"],
            &[1],
        ),
        (
            Operation::StopMaintenance(machines(&["m2"])),
            unchanged,
            &["/10.0.0.3 DRAINING 8"],
            &[1],
        ),
        (schedule(&[]), changed, &[], &[]),
    ];
    for (operation, outcome, wanted, windows) in steps {
        assert_eq!(operation.apply(&mut contents), Ok(outcome), "{operation:?}");
        let (listed, sizes) = shown(&contents.to_message());
        assert_eq!(listed, wanted, "{operation:?}");
        assert_eq!(sizes, windows, "{operation:?}");
    }
}

#[test]
fn the_last_machine_takes_the_schedule_with_it() {
    let mut contents = Contents::default();
    schedule(&[(&["m1"], 5)]).apply(&mut contents).expect("fits");
    assert_eq!(contents.to_message().machines.machines[0].info.mode(), Mode::DRAINING);
    Operation::StopMaintenance(machines(&["m1"]))
        .apply(&mut contents)
        .expect("fits");
    assert!(contents.to_message().schedules.is_empty());
}
