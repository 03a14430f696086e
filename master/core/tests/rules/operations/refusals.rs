//! Every rule has its own words, and a refused operation changes nothing.

use mesos::capabilities::AgentCapabilities;
use mesos_master_core::OperatorCall;
use mesos_proto::v0::mesos as proto;
use mesos_proto::v0::mesos::OperationState::OPERATION_ERROR;
use mesos_proto::v0::mesos::offer::Operation;
use mesos_proto::v0::mesos::offer::operation::Type;
use mesos_proto::v0::mesos::resource::disk_info::source::Type as SourceType;
use mesos_proto::v0::mesos::volume::Mode;
use mesos_proto::v0::scheduler::Call;
use mesos_proto::v0::scheduler::call;

use super::world::{
    CAPABLE, ROLE, World, grow, in_role, named, on, registration, reserved, scalar, shared_volume, shrink, volume,
};
use crate::harness::{Harness, Out, upid};

fn with(mut resource: proto::Resource, change: impl FnOnce(&mut proto::Resource)) -> proto::Resource {
    change(&mut resource);
    resource
}

fn by(resource: proto::Resource, principal: Option<&str>) -> proto::Resource {
    with(resource, |resource| {
        resource.reservations[0].principal = principal.map(str::to_owned);
    })
}

fn disk(resource: &mut proto::Resource) -> &mut proto::resource::DiskInfo {
    resource.disk.mut_or_insert_default()
}

fn create_disk(source: proto::Resource, profile: Option<&str>) -> Operation {
    let mut operation = Operation::new();
    operation.set_type(Type::CREATE_DISK);
    let create = operation.create_disk.mut_or_insert_default();
    create.source = Some(source).into();
    create.set_target_type(SourceType::MOUNT);
    create.target_profile = profile.map(str::to_owned);
    operation
}

fn raw() -> proto::Resource {
    with(scalar("disk", 10.0), |resource| {
        disk(resource).source.mut_or_insert_default().set_type(SourceType::RAW);
    })
}

/// A refinement of a reservation for `dev`.
fn refined(role: &str) -> proto::Resource {
    with(reserved("cpus", 1.0, ROLE), |resource| {
        let mut inner = resource.reservations[0].clone();
        inner.set_role(role.to_owned());
        resource.reservations.push(inner);
    })
}

fn reservations() -> Vec<(Operation, &'static str)> {
    let two = |mixed_source: bool| {
        let plain = reserved("mem", 64.0, ROLE);
        let labelled = with(plain.clone(), |resource| {
            let mut label = proto::Label::new();
            label.set_key("k".to_owned());
            let labels = resource.reservations[0].labels.mut_or_insert_default();
            labels.labels.push(label);
        });
        let (source, target) = if mixed_source {
            (labelled, plain)
        } else {
            (plain, labelled)
        };
        let mut operation = on(Type::RESERVE, vec![reserved("cpus", 1.0, ROLE), target]);
        operation.reserve.mut_or_insert_default().source = vec![reserved("cpus", 1.0, ROLE), source];
        operation
    };
    let mut quantities = on(Type::RESERVE, vec![reserved("cpus", 2.0, ROLE)]);
    quantities.reserve.mut_or_insert_default().source = vec![reserved("cpus", 1.0, ROLE)];
    vec![
        (on(Type::RESERVE, vec![]), "`resources`"),
        (on(Type::RESERVE, vec![scalar("cpus", 1.0)]), "dynamically reserved"),
        (
            on(Type::RESERVE, vec![reserved("cpus", 1.0, "other")]),
            "reserved for 'other', but allocated to 'dev'",
        ),
        (
            on(Type::RESERVE, vec![refined("dev/below")]),
            "reserved for 'dev/below', but allocated to 'dev'",
        ),
        (on(Type::RESERVE, vec![refined("elsewhere")]), "no strict sub-role"),
        (
            on(Type::RESERVE, vec![by(reserved("cpus", 1.0, ROLE), None)]),
            "has no reservation principal",
        ),
        (
            on(Type::RESERVE, vec![by(reserved("cpus", 1.0, ROLE), Some("eve"))]),
            "principal 'eve', but principal 'ops'",
        ),
        (
            on(
                Type::RESERVE,
                vec![with(reserved("cpus", 1.0, ROLE), |resource| {
                    resource.revocable = Some(proto::resource::RevocableInfo::new()).into();
                })],
            ),
            "cannot be revocable",
        ),
        (
            on(Type::RESERVE, vec![reserved("cpus", 100.0, ROLE)]),
            "is not contained in",
        ),
        (
            on(
                Type::RESERVE,
                vec![
                    with(reserved("cpus", 1.0, ROLE), |resource| {
                        resource
                            .allocation_info
                            .mut_or_insert_default()
                            .set_role("other".to_owned());
                    }),
                    reserved("mem", 1.0, ROLE),
                ],
            ),
            "both 'other' and 'dev'",
        ),
        (
            on(
                Type::RESERVE,
                vec![with(reserved("cpus", 1.0, ROLE), |resource| {
                    resource.provider_id.mut_or_insert_default().set_value("p".to_owned());
                })],
            ),
            "resource provider p is not known",
        ),
        (
            on(
                Type::RESERVE,
                vec![
                    with(reserved("cpus", 1.0, ROLE), |resource| {
                        resource.provider_id.mut_or_insert_default().set_value("p".to_owned());
                    }),
                    reserved("mem", 1.0, ROLE),
                ],
            ),
            "some resources have a resource provider",
        ),
        (two(true), "'source' mixes"),
        (two(false), "'resources' mixes"),
        (quantities, "not the same quantity"),
        (on(Type::UNRESERVE, vec![scalar("cpus", 1.0)]), "dynamically reserved"),
        (
            on(Type::UNRESERVE, vec![reserved("cpus", 1.0, ROLE)]),
            "is not contained in",
        ),
        (
            on(Type::UNRESERVE, vec![volume("data", 100.0)]),
            "must be destroyed before",
        ),
    ]
}

fn volumes() -> Vec<(Operation, &'static str)> {
    let create = |change: fn(&mut proto::Resource)| on(Type::CREATE, vec![with(volume("new", 10.0), change)]);
    vec![
        (
            on(Type::CREATE, vec![reserved("disk", 10.0, ROLE)]),
            "must be a persistent volume",
        ),
        (
            create(|resource| disk(resource).volume = protobuf::MessageField::none()),
            "must have `disk.volume`",
        ),
        (create(|resource| resource.reservations.clear()), "must be reserved"),
        (
            create(|resource| {
                disk(resource)
                    .volume
                    .mut_or_insert_default()
                    .set_host_path("/x".to_owned());
            }),
            "must not have `disk.volume.host_path`",
        ),
        (
            create(|resource| {
                disk(resource)
                    .persistence
                    .mut_or_insert_default()
                    .set_id("a/b".to_owned());
            }),
            "the persistence id `a/b` is invalid",
        ),
        (
            create(|resource| disk(resource).volume.mut_or_insert_default().set_mode(Mode::RO)),
            "is read-only",
        ),
        (
            create(|resource| disk(resource).persistence.mut_or_insert_default().principal = None),
            "has no disk.persistence.principal",
        ),
        (
            create(|resource| {
                disk(resource)
                    .persistence
                    .mut_or_insert_default()
                    .set_principal("eve".to_owned());
            }),
            "disk.persistence.principal 'eve', but principal 'ops'",
        ),
        (
            on(Type::CREATE, vec![volume("data", 10.0)]),
            "'data' is in use by another volume of role 'dev'",
        ),
        (
            on(Type::CREATE, vec![volume("x", 1.0), volume("x", 2.0)]),
            "'x' is in use by another volume",
        ),
        (on(Type::CREATE, vec![volume("new", 5000.0)]), "is not contained in"),
        (on(Type::DESTROY, vec![volume("none", 1.0)]), "is not on the agent"),
        (
            grow(volume("data", 100.0), reserved("disk", 0.0, ROLE)),
            "must be above zero",
        ),
        (
            grow(volume("data", 100.0), scalar("disk", 10.0)),
            "same disk and reservation",
        ),
        (
            grow(shared_volume("data", 100.0), reserved("disk", 10.0, ROLE)),
            "unshared persistent volume",
        ),
        (
            grow(volume("data", 100.0), reserved("disk", 500.0, ROLE)),
            "is not contained in",
        ),
        (shrink(volume("data", 100.0), 0.0), "must be above zero"),
        (shrink(volume("data", 100.0), 100.0), "larger than what is subtracted"),
        (shrink(reserved("disk", 100.0, ROLE), 1.0), "unshared persistent volume"),
        (create_disk(raw(), Some("fast")), "not managed by a resource provider"),
    ]
}

#[test]
fn every_rule_has_its_own_words() {
    for (number, (operation, words)) in reservations().into_iter().chain(volumes()).enumerate() {
        let mut world = World::new().with_volume(&volume("data", 100.0));
        let before = world.total();
        let id = format!("o{number}");
        world.accept(vec![named(&id, operation.clone())]);
        assert_eq!(world.told(), [(id, OPERATION_ERROR, false)], "{operation:?}");
        let reason = world.reasons().remove(0);
        assert!(reason.contains(words), "'{words}' is not in: {reason}");
        assert_eq!((world.total(), world.applied().len()), (before, 0), "{words}");
    }
}

#[test]
fn agents_must_understand_what_they_keep() {
    type Change = fn(&mut AgentCapabilities);
    let table: [(Operation, Change, &str); 3] = [
        (
            on(Type::RESERVE, vec![reserved("cpus", 1.0, "a/b")]),
            |all| all.hierarchical_role = false,
            "HIERARCHICAL_ROLE",
        ),
        (
            on(Type::RESERVE, vec![refined("dev/below")]),
            |all| all.reservation_refinement = false,
            "RESERVATION_REFINEMENT",
        ),
        (
            shrink(volume("data", 100.0), 1.0),
            |all| all.resize_volume = false,
            "RESIZE_VOLUME",
        ),
    ];
    for (operation, change, words) in table {
        let mut capabilities = AgentCapabilities::all();
        change(&mut capabilities);
        let mut world = World::with(registration(capabilities, "cpus:4;mem:4096;disk:1000"), CAPABLE);
        let agent_id = world.agent.clone();
        let operation = Box::new(operation);
        let reply = world.harness.operator(OperatorCall::Operate { agent_id, operation });
        let reply = reply.expect("answered");
        assert_eq!(reply.status, 400);
        assert!(reply.body.contains(words), "{words}: {}", reply.body);
    }
}

#[test]
fn feedback_needs_an_agent_that_gives_it_and_a_fresh_id() {
    for (provider, words) in [(true, "AGENT_OPERATION_FEEDBACK"), (false, "RESOURCE_PROVIDER")] {
        let mut capabilities = AgentCapabilities::all();
        capabilities.agent_operation_feedback = false;
        capabilities.resource_provider = provider;
        let mut world = World::with(registration(capabilities, "cpus:4;mem:4096;disk:1000"), CAPABLE);
        let reserve = || on(Type::RESERVE, vec![reserved("cpus", 1.0, ROLE)]);
        world.accept(vec![named("o", reserve())]);
        assert!(world.reasons()[0].contains(words), "{:?}", world.reasons());
        world.accept(vec![reserve()]);
        assert!(world.has(&reserved("cpus", 1.0, ROLE)), "fine without an id");
    }
    let mut world = World::new();
    let reserve = || named("o", on(Type::RESERVE, vec![reserved("cpus", 1.0, ROLE)]));
    world.accept(vec![reserve(), reserve()]);
    assert_eq!((world.applied().len(), world.reasons().len()), (1, 1));
    assert!(world.reasons()[0].contains("'o' is in use"), "{:?}", world.reasons());
}

#[test]
fn a_driver_that_asks_for_feedback_is_told_to_stop() {
    let mut harness = Harness::new();
    let message = registration(AgentCapabilities::all(), "cpus:4;mem:4096;disk:1000");
    harness.receive(&crate::actors::agent_upid(0), message);
    let driver = upid("scheduler-1@127.0.0.9:6000");
    let mut subscribe = crate::actors::subscribe_call(&in_role(ROLE, CAPABLE));
    subscribe.framework_id = protobuf::MessageField::none();
    harness.receive(&driver, subscribe);
    let framework = harness.master.frameworks().keys().next().expect("subscribed").clone();
    let offers = harness.offers(&framework);
    let mut accept = Call::new();
    accept.set_type(call::Type::ACCEPT);
    accept.framework_id = Some(framework.to_proto()).into();
    let body = accept.accept.mut_or_insert_default();
    body.offer_ids = offers.iter().map(mesos::ids::OfferId::to_proto).collect();
    body.operations = vec![named("o", on(Type::RESERVE, vec![reserved("cpus", 1.0, ROLE)]))];
    harness.clear();
    harness.receive(&driver, accept);
    assert_eq!(harness.names_to(&driver), ["FrameworkErrorMessage"]);
    assert!(!harness.out.iter().any(|out| matches!(out, Out::Abort(_))));
}

#[test]
fn operations_on_offers_that_are_gone_are_refused_with_their_tasks() {
    let mut world = World::new();
    let offers = world.offers();
    let reserve = || named("o", on(Type::RESERVE, vec![reserved("cpus", 1.0, ROLE)]));
    world.accept_offers(&offers, Vec::new(), 0.0);
    world.accept_offers(&offers, vec![reserve()], 0.0);
    assert_eq!(world.told(), [("o".to_owned(), OPERATION_ERROR, false)]);
    assert!(world.reasons()[0].contains("no longer valid"));
}
