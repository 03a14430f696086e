//! Changes of the registry as tables, and the batches that carry them.

use mesos::ids::AgentId;
use mesos_proto::v0::mesos::{MasterInfo, SlaveInfo, TimeInfo};
use mesos_registrar::{
    FailingStorage, MemoryStorage, Operation, OperationError, Outcome, Registrar, Registry, Storage, StoreError,
    WriteId,
};

fn id(name: &str) -> AgentId {
    AgentId::new(name)
}

fn info(name: &str) -> Box<SlaveInfo> {
    let mut info = SlaveInfo::new();
    info.id = Some(id(name).to_proto()).into();
    info.set_hostname("host".to_owned());
    Box::new(info)
}

fn time(nanoseconds: i64) -> Box<TimeInfo> {
    let mut time = TimeInfo::new();
    time.set_nanoseconds(nanoseconds);
    Box::new(time)
}

fn unreachable(name: &str) -> Operation {
    Operation::MarkAgentUnreachable {
        agent_id: id(name),
        since: time(1),
    }
}

fn gone(name: &str) -> Operation {
    Operation::MarkAgentGone {
        agent_id: id(name),
        since: time(2),
    }
}

fn apply(registry: &mut Registry, operation: &Operation) -> Result<Outcome, OperationError> {
    let before = registry.clone();
    let outcome = operation.apply(registry);
    match outcome {
        Ok(Outcome::Changed) => assert_ne!(*registry, before, "{operation:?}"),
        Ok(Outcome::Unchanged) | Err(_) => assert_eq!(*registry, before, "{operation:?}"),
    }
    outcome
}

fn lists(registry: &Registry) -> [Vec<&str>; 3] {
    [
        registry
            .slaves
            .slaves
            .iter()
            .map(|slave| slave.info.id.value())
            .collect(),
        registry
            .unreachable
            .slaves
            .iter()
            .map(|slave| slave.id.value())
            .collect(),
        registry.gone.slaves.iter().map(|slave| slave.id.value()).collect(),
    ]
}

#[test]
fn an_agent_moves_between_the_lists() {
    let mut registry = Registry::new();
    let changed = Ok(Outcome::Changed);
    let steps: [(Operation, [&[&str]; 3]); 8] = [
        (Operation::AdmitAgent(info("a")), [&["a"], &[], &[]]),
        (Operation::AdmitAgent(info("b")), [&["a", "b"], &[], &[]]),
        (unreachable("a"), [&["b"], &["a"], &[]]),
        (Operation::MarkAgentReachable(info("a")), [&["b", "a"], &[], &[]]),
        (gone("a"), [&["b"], &[], &["a"]]),
        (unreachable("b"), [&[], &["b"], &["a"]]),
        (gone("b"), [&[], &[], &["a", "b"]]),
        (
            Operation::Prune {
                unreachable: Vec::new(),
                gone: vec![id("a")],
            },
            [&[], &[], &["b"]],
        ),
    ];
    for (operation, expected) in steps {
        assert_eq!(apply(&mut registry, &operation), changed, "{operation:?}");
        assert_eq!(lists(&registry), expected.map(<[&str]>::to_vec), "{operation:?}");
    }
}

#[test]
fn operations_that_do_not_fit_change_nothing() {
    let mut registry = Registry::new();
    for operation in [
        Operation::AdmitAgent(info("here")),
        Operation::AdmitAgent(info("away")),
        unreachable("away"),
    ] {
        apply(&mut registry, &operation).expect("fits");
    }
    apply(&mut registry, &Operation::AdmitAgent(info("gone"))).expect("fits");
    apply(&mut registry, &gone("gone")).expect("fits");
    let rows = [
        (
            Operation::AdmitAgent(info("here")),
            OperationError::AlreadyAdmitted(id("here")),
        ),
        (
            Operation::AdmitAgent(info("away")),
            OperationError::AlreadyUnreachable(id("away")),
        ),
        (Operation::AdmitAgent(info("gone")), OperationError::Gone(id("gone"))),
        (
            Operation::UpdateAgent(info("away")),
            OperationError::NotAdmitted(id("away")),
        ),
        (unreachable("away"), OperationError::AlreadyUnreachable(id("away"))),
        (unreachable("nobody"), OperationError::NotAdmitted(id("nobody"))),
        (
            Operation::MarkAgentReachable(info("gone")),
            OperationError::Gone(id("gone")),
        ),
        (gone("gone"), OperationError::Gone(id("gone"))),
        (gone("nobody"), OperationError::Unknown(id("nobody"))),
        (
            Operation::RemoveAgent(id("away")),
            OperationError::NotAdmitted(id("away")),
        ),
    ];
    for (operation, error) in rows {
        assert_eq!(apply(&mut registry, &operation), Err(error), "{operation:?}");
    }
    let same = [
        Operation::UpdateAgent(info("here")),
        Operation::MarkAgentReachable(info("here")),
        Operation::Prune {
            unreachable: vec![id("nobody")],
            gone: Vec::new(),
        },
    ];
    for operation in same {
        assert_eq!(
            apply(&mut registry, &operation),
            Ok(Outcome::Unchanged),
            "{operation:?}"
        );
    }
}

#[test]
fn a_pruned_agent_may_come_back() {
    let mut registry = Registry::new();
    assert_eq!(
        apply(&mut registry, &Operation::MarkAgentReachable(info("a"))),
        Ok(Outcome::Changed)
    );
    assert_eq!(lists(&registry)[0], ["a"]);
}

#[test]
fn what_waits_goes_into_one_batch_and_is_answered_after_the_store() {
    let mut registrar = Registrar::new(Registry::new());
    let mut storage = MemoryStorage::new();
    assert_eq!(registrar.next_batch(), None);
    let mut master = MasterInfo::new();
    master.set_id("m".to_owned());
    master.set_ip(1);
    master.set_port(5050);
    registrar.submit(
        WriteId(1),
        vec![Operation::SetMaster(Box::new(master)), Operation::AdmitAgent(info("a"))],
    );
    registrar.submit(WriteId(2), vec![Operation::AdmitAgent(info("a"))]);
    let batch = registrar.next_batch().expect("something waits");
    registrar.submit(WriteId(3), vec![unreachable("a")]);
    assert_eq!(registrar.next_batch(), None, "one batch at a time");
    assert!(
        registrar.registry().slaves.slaves.is_empty(),
        "nothing is told before it is stored"
    );
    storage.store(&batch.bytes).expect("stored");
    let answers = registrar.finish(Ok(())).expect("stored");
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0].outcomes, [Ok(Outcome::Changed), Ok(Outcome::Changed)]);
    assert_eq!(answers[1].outcomes, [Err(OperationError::AlreadyAdmitted(id("a")))]);
    let batch = registrar.next_batch().expect("the late one");
    storage.store(&batch.bytes).expect("stored");
    assert_eq!(registrar.finish(Ok(())).expect("stored")[0].write, WriteId(3));
    assert!(registrar.is_idle());
    let bytes = storage.fetch().expect("there").expect("a value");
    let recovered = Registrar::recover(Some(&bytes)).expect("a registry");
    assert_eq!(recovered.registry(), registrar.registry());
    assert_eq!(lists(recovered.registry())[1], ["a"]);
}

#[test]
fn a_failed_store_gives_no_answers() {
    let mut registrar = Registrar::new(Registry::new());
    registrar.submit(WriteId(1), vec![Operation::AdmitAgent(info("a"))]);
    let batch = registrar.next_batch().expect("something waits");
    let failed = FailingStorage
        .store(&batch.bytes)
        .map_err(|error| StoreError(error.to_string()));
    assert!(registrar.finish(failed).is_err());
    assert!(registrar.registry().slaves.slaves.is_empty());
}

#[test]
fn bytes_that_are_no_registry_are_refused() {
    assert!(Registrar::recover(Some(&[0xff; 8])).is_err());
    assert!(
        Registrar::recover(None)
            .expect("empty")
            .registry()
            .slaves
            .slaves
            .is_empty()
    );
}
