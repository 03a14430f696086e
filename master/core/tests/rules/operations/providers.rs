//! Resource providers: their resources, and operations that wait for their answer.

use mesos_proto::internal::wire::messages as wire;
use mesos_proto::v0::mesos as proto;
use mesos_proto::v0::mesos::OperationState::{OPERATION_FAILED, OPERATION_FINISHED};
use mesos_proto::v0::mesos::offer::Operation;
use mesos_proto::v0::mesos::offer::operation::Type;
use mesos_proto::v0::mesos::resource::disk_info::source::Type as SourceType;
use mesos_proto::v0::scheduler::call;

use super::world::{World, named, scalar};
use crate::actors::{reregister_message, subscribe_call, uuid};
use crate::harness::{Harness, config};

fn disk(kind: SourceType, id: Option<&str>) -> proto::Resource {
    let mut resource = scalar("disk", 100.0);
    resource.provider_id.mut_or_insert_default().set_value("p".to_owned());
    let source = resource.disk.mut_or_insert_default().source.mut_or_insert_default();
    source.set_type(kind);
    source.id = id.map(str::to_owned);
    source.set_profile("fast".to_owned());
    resource
}

fn create_disk() -> Operation {
    let mut operation = Operation::new();
    operation.set_type(Type::CREATE_DISK);
    let create = operation.create_disk.mut_or_insert_default();
    create.source = Some(disk(SourceType::RAW, None)).into();
    create.set_target_type(SourceType::MOUNT);
    operation
}

fn report(world: &World, total: Vec<proto::Resource>, operations: Vec<proto::Operation>) -> wire::UpdateSlaveMessage {
    let mut message = world.report(Vec::new());
    let mut provider = wire::update_slave_message::ResourceProvider::new();
    let info = provider.info.mut_or_insert_default();
    info.id.mut_or_insert_default().set_value("p".to_owned());
    info.set_type("org.test".to_owned());
    info.set_name("disks".to_owned());
    provider.total_resources = total;
    provider.operations.mut_or_insert_default().operations = operations;
    provider
        .resource_version_uuid
        .mut_or_insert_default()
        .set_value(uuid(77));
    message
        .resource_providers
        .mut_or_insert_default()
        .providers
        .push(provider);
    message
}

/// A world with a raw disk of a resource provider.
fn world() -> World {
    let mut world = World::new();
    let message = report(&world, vec![disk(SourceType::RAW, None)], Vec::new());
    world.harness.receive(&world.address.clone(), message);
    assert_eq!(world.harness.agent(&world.agent).resource_providers().len(), 1);
    // Disk alone is too little for an offer.
    world.accept(Vec::new());
    world
}

#[test]
fn a_disk_is_made_when_its_provider_says_so() {
    let mut world = world();
    assert!(world.offered().to_string().contains("RAW"));
    world.accept(vec![named("c", create_disk())]);
    let sent = world.applied().remove(0);
    assert_eq!(sent.resource_version_uuid.resource_provider_id.value(), "p");
    assert_eq!(sent.resource_version_uuid.uuid.value(), uuid(77));
    assert!(world.has(&disk(SourceType::RAW, None)), "not yet");
    assert!(!world.offered().to_string().contains("RAW"), "held");
    let made = disk(SourceType::MOUNT, Some("v1"));
    let mut message = world.status(&sent, OPERATION_FINISHED, 1);
    for status in [&mut message.status, &mut message.latest_status] {
        status.mut_or_insert_default().converted_resources = vec![made.clone()];
    }
    world.harness.receive(&world.address.clone(), message);
    assert!(world.has(&made) && !world.has(&disk(SourceType::RAW, None)));
    assert!(world.offered_anew().to_string().contains("MOUNT"));
    world.acknowledge("c", 1);
    assert!(world.operations().is_empty());
    let mut operation = Operation::new();
    operation.set_type(Type::DESTROY_DISK);
    operation.destroy_disk.mut_or_insert_default().source = Some(made.clone()).into();
    world.accept(vec![named("d", operation)]);
    let sent = world.applied().remove(0);
    world.tell(&sent, OPERATION_FAILED, 2);
    assert!(
        world.has(&made) && world.offered().to_string().contains("MOUNT"),
        "given back"
    );
}

#[test]
fn an_operation_without_its_framework_keeps_what_it_consumes() {
    let mut world = world();
    world.accept(vec![named("c", create_disk())]);
    let sent = world.applied().remove(0);
    let call = world.scheduler.typed(call::Type::TEARDOWN);
    world.scheduler.send(&mut world.harness, call);
    assert!(!world.has(&disk(SourceType::RAW, None)), "out of the total");
    let mut message = world.status(&sent, OPERATION_FINISHED, 1);
    let made = disk(SourceType::MOUNT, Some("v1"));
    for status in [&mut message.status, &mut message.latest_status] {
        status.mut_or_insert_default().converted_resources = vec![made.clone()];
    }
    world.harness.receive(&world.address.clone(), message);
    assert!(world.has(&made));
    assert_eq!((world.acknowledgements(), world.operations().len()), (1, 0));
}

#[test]
fn a_framework_that_returns_after_failover_has_its_operation_again() {
    let mut world = world();
    world.accept(vec![named("c", create_disk())]);
    let sent = world.applied().remove(0);
    let operation = world.operations()[0].message().clone();
    let registry = world.harness.registrar.registry().clone();
    let mut reregistration = reregister_message(&world.agent);
    reregistration.slave = Some(world.harness.agent(&world.agent).info().clone()).into();
    world.harness = Harness::with(config(), registry);
    world.harness.receive(&world.address.clone(), reregistration);
    let message = report(&world, vec![disk(SourceType::RAW, None)], vec![operation]);
    world.harness.receive(&world.address.clone(), message);
    assert!(!world.has(&disk(SourceType::RAW, None)), "withheld");
    let info = world.scheduler.info.clone();
    assert_eq!(world.harness.call(subscribe_call(&info), None).status, 200);
    world.scheduler.stream = world.harness.last_stream();
    assert!(world.has(&disk(SourceType::RAW, None)), "held by its framework");
    assert!(!world.offered().to_string().contains("RAW"));
    world.tell(&sent, OPERATION_FAILED, 1);
    assert!(world.offered_anew().to_string().contains("RAW"));
    world.acknowledge("c", 1);
    assert!(world.operations().is_empty());
}

#[test]
fn a_provider_that_vanishes_takes_its_disks_and_operations_along() {
    let mut world = world();
    world.accept(vec![named("c", create_disk())]);
    let mut message = world.report(Vec::new());
    message.resource_providers.mut_or_insert_default();
    world.harness.receive(&world.address.clone(), message);
    assert!(world.operations().is_empty());
    assert_eq!(world.total().disk().to_f64(), 1000.0);
    assert!(world.harness.agent(&world.agent).resource_providers().is_empty());
}
