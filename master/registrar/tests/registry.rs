//! Changes of the registry as tables, and the batches that carry them.

use mesos::ids::AgentId;
use mesos_proto::v0::mesos::{MasterInfo, SlaveInfo, TimeInfo};
use mesos_registrar::{
    Contents, FailingStorage, MemoryStorage, Operation, OperationError, Outcome, Registrar, Registry, Storage,
    StoreError, Stored, WriteId,
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

fn apply(registry: &mut Contents, operation: &Operation) -> Result<Outcome, OperationError> {
    let before = registry.clone();
    let outcome = operation.apply(registry);
    match outcome {
        Ok(Outcome::Changed) => assert_ne!(*registry, before, "{operation:?}"),
        Ok(Outcome::Unchanged) | Err(_) => assert_eq!(*registry, before, "{operation:?}"),
    }
    outcome
}

fn lists(registry: &Contents) -> [Vec<String>; 3] {
    lists_of(&registry.to_message())
}

fn lists_of(registry: &Registry) -> [Vec<String>; 3] {
    [
        registry
            .slaves
            .slaves
            .iter()
            .map(|slave| slave.info.id.value().to_owned())
            .collect(),
        registry
            .unreachable
            .slaves
            .iter()
            .map(|slave| slave.id.value().to_owned())
            .collect(),
        registry
            .gone
            .slaves
            .iter()
            .map(|slave| slave.id.value().to_owned())
            .collect(),
    ]
}

#[test]
fn an_agent_moves_between_the_lists() {
    let mut registry = Contents::default();
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
        assert_eq!(
            lists(&registry),
            expected.map(|ids| ids.iter().map(ToString::to_string).collect::<Vec<_>>()),
            "{operation:?}"
        );
    }
}

#[test]
fn operations_that_do_not_fit_change_nothing() {
    let mut registry = Contents::default();
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
    let mut registry = Contents::default();
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
    assert_eq!(registrar.queued_operations(), 3);
    let batch = registrar.next_batch().expect("something waits");
    assert!(batch.whole.is_some(), "the first batch of a life holds everything");
    registrar.submit(WriteId(3), vec![unreachable("a")]);
    assert_eq!(registrar.next_batch(), None, "one batch at a time");
    storage.store(&batch).expect("stored");
    let answers = registrar.finish(Ok(())).expect("stored");
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0].outcomes, [Ok(Outcome::Changed), Ok(Outcome::Changed)]);
    assert_eq!(answers[1].outcomes, [Err(OperationError::AlreadyAdmitted(id("a")))]);
    let batch = registrar.next_batch().expect("the late one");
    assert_eq!((batch.number, &batch.whole), (2, &None));
    storage.store(&batch).expect("stored");
    assert_eq!(registrar.finish(Ok(())).expect("stored")[0].write, WriteId(3));
    assert!(!registrar.is_storing());
    assert_eq!(registrar.queued_operations(), 0);
    let stored = storage.fetch().expect("there").expect("a value");
    let recovered = Registrar::recover(&stored).expect("a registry");
    assert_eq!(recovered.registry(), registrar.registry());
    assert_eq!(lists_of(&recovered.registry())[1], ["a"]);
}

#[test]
fn a_failed_store_gives_no_answers() {
    let mut registrar = Registrar::new(Registry::new());
    registrar.submit(WriteId(1), vec![Operation::AdmitAgent(info("a"))]);
    let batch = registrar.next_batch().expect("something waits");
    let failed = FailingStorage
        .store(&batch)
        .map_err(|error| StoreError(error.to_string()));
    assert!(registrar.finish(failed).is_err());
}

#[test]
fn long_changes_end_with_a_whole_registry() {
    let mut registrar = Registrar::new(Registry::new());
    let mut wholes = Vec::new();
    let mut described = info("agent");
    described.set_hostname("h".repeat(10_000));
    for number in 1..=250 {
        let id = format!("agent-{number}");
        described.id.mut_or_insert_default().set_value(id.clone());
        let operations = vec![
            Operation::AdmitAgent(described.clone()),
            Operation::RemoveAgent(AgentId::new(id)),
        ];
        registrar.submit(WriteId(number), operations);
        let batch = registrar.next_batch().expect("something waits");
        wholes.extend(batch.whole.map(|_| batch.number));
        registrar.finish(Ok(())).expect("stored");
    }
    assert_eq!(wholes, [1, 106, 211], "each mebibyte of changes to a small registry");
}

#[test]
fn bytes_that_are_no_registry_are_refused() {
    let whole = |whole: &[u8], changes: &[&[u8]]| Stored {
        number: 7,
        whole: whole.to_vec(),
        changes: changes.iter().map(|changes| changes.to_vec()).collect(),
    };
    let refused = |stored: Stored| Registrar::recover(&stored).expect_err("refused").to_string();
    assert!(refused(whole(&[0xff; 8], &[])).contains("is no registry"));
    assert!(refused(whole(&[], &[&[], &[200]])).contains("batch 9"));
    assert!(
        refused(whole(&[], &[&[7, 1, 0, 0, 0, b'a']])).contains("does not fit"),
        "forgets a stranger"
    );
    for cut in 1..6 {
        assert!(
            refused(whole(&[], &[&[7, 1, 0, 0, 0, b'a'][..cut]])).contains("cannot be read"),
            "cut at {cut}"
        );
    }
    let empty = Registrar::recover(&whole(&[], &[])).expect("empty");
    assert_eq!(empty.registry(), Registry::new());
}
