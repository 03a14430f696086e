//! Bytes that an earlier version wrote stay readable: one batch with every operation, as it was written to disk.

use std::fmt::Write as _;

use mesos::ids::AgentId;
use mesos_proto::v0::maintenance::{Schedule, Window};
use mesos_proto::v0::mesos::{DrainConfig, MachineID, MasterInfo, SlaveInfo, TimeInfo, WeightInfo};
use mesos_proto::v0::quota::QuotaConfig;
use mesos_registrar::{Operation, Outcome, Registrar, Registry, Stored, WriteId};

/// Written by the first version with a registry on disk; never to be changed. New operations get a fixture of their
/// own.
const BYTES: &str = include_str!("fixtures/operations-1.hex");

fn id(name: &str) -> AgentId {
    AgentId::new(name)
}

fn info(name: &str) -> Box<SlaveInfo> {
    let mut info = SlaveInfo::new();
    info.id = Some(id(name).to_proto()).into();
    info.set_hostname("host".to_owned());
    Box::new(info)
}

fn since() -> Box<TimeInfo> {
    let mut time = TimeInfo::new();
    time.set_nanoseconds(7);
    Box::new(time)
}

fn machine() -> MachineID {
    let mut machine = MachineID::new();
    machine.set_hostname("m1".to_owned());
    machine
}

/// Every operation in an order in which each changes the registry.
fn operations() -> Vec<Operation> {
    let mut master = MasterInfo::new();
    master.set_id("m".to_owned());
    master.set_ip(1);
    master.set_port(5050);
    let mut moved = info("a");
    moved.set_port(1);
    let mut weight = WeightInfo::new();
    weight.set_role("w".to_owned());
    weight.set_weight(2.5);
    let mut quota = QuotaConfig::new();
    quota.set_role("q".to_owned());
    quota.limits.insert("cpus".to_owned(), Default::default());
    quota.limits.values_mut().for_each(|limit| limit.set_value(1.0));
    let mut config = DrainConfig::new();
    config.set_mark_gone(true);
    let mut window = Window::new();
    window.machine_ids = vec![machine()];
    window.unavailability.mut_or_insert_default().start = Some(*since()).into();
    let mut schedule = Schedule::new();
    schedule.windows = vec![window];
    let unreachable = |name| Operation::MarkAgentUnreachable {
        agent_id: id(name),
        since: since(),
    };
    let gone = |name| Operation::MarkAgentGone {
        agent_id: id(name),
        since: since(),
    };
    let mut operations = vec![Operation::SetMaster(Box::new(master))];
    operations.extend(["a", "b", "c", "d"].map(|name| Operation::AdmitAgent(info(name))));
    operations.extend([
        Operation::UpdateAgent(moved),
        unreachable("a"),
        Operation::MarkAgentReachable(info("a")),
        gone("b"),
        Operation::RemoveAgent(id("c")),
        unreachable("d"),
        Operation::Prune {
            unreachable: vec![id("d")],
            gone: vec![id("b")],
        },
        Operation::UpdateWeights(vec![weight]),
        Operation::UpdateQuota(vec![quota]),
        Operation::DrainAgent {
            agent_id: id("a"),
            config: Box::new(config),
        },
        Operation::MarkAgentDrained(id("a")),
        Operation::ReactivateAgent(id("a")),
        Operation::DeactivateAgent(id("a")),
        Operation::UpdateSchedule(Box::new(schedule)),
        Operation::StartMaintenance(vec![machine()]),
        Operation::StopMaintenance(vec![machine()]),
    ]);
    operations
}

fn bytes() -> Vec<u8> {
    let digits: Vec<u8> = BYTES.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).expect("digits"));
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).expect("digits"))
        .collect()
}

#[test]
fn every_operation_is_written_as_ever_and_read_again() {
    let mut registrar = Registrar::new(Registry::new());
    registrar.submit(WriteId(1), operations());
    let batch = registrar.next_batch().expect("something waits");
    let answers = registrar.finish(Ok(())).expect("stored");
    for (operation, outcome) in operations().iter().zip(&answers[0].outcomes) {
        assert_eq!(*outcome, Ok(Outcome::Changed), "{operation:?}");
    }
    let mut written = String::new();
    for byte in &batch.changes {
        write!(written, "{byte:02x}").expect("memory");
    }
    assert_eq!(batch.changes, bytes(), "written now: {written}");
    let stored = Stored {
        number: 0,
        whole: Vec::new(),
        changes: vec![bytes()],
    };
    let recovered = Registrar::recover(&stored).expect("readable");
    assert_eq!(recovered.registry(), registrar.registry());
    let registry = recovered.registry();
    assert_eq!(registry.slaves.slaves.len(), 1);
    assert!(registry.slaves.slaves[0].deactivated());
    assert_eq!(registry.schedules.len(), 0);
}
