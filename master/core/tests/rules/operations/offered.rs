//! Operations with offers, on what the ones before them left.

use mesos::Message;
use mesos::capabilities::AgentCapabilities;
use mesos_proto::v0::mesos as proto;
use mesos_proto::v0::mesos::TaskState;
use mesos_proto::v0::mesos::offer::operation::Type;
use mesos_proto::v0::mesos::resource::disk_info::source::Type as SourceType;

use super::world::{
    CAPABLE, ROLE, World, grow, named, on, registration, reserved, scalar, shrink, volume, without_volume,
};
use crate::actors::{launch, reregister_message};

#[test]
fn a_task_starts_on_a_volume_that_the_same_call_made() {
    let mut world = World::new();
    let data = volume("data", 100.0);
    let task = world.task(
        "t",
        vec![reserved("cpus", 1.0, ROLE), scalar("mem", 128.0), data.clone()],
    );
    let wanted = vec![reserved("cpus", 2.0, ROLE), reserved("disk", 100.0, ROLE)];
    world.accept(vec![
        on(Type::RESERVE, wanted),
        on(Type::CREATE, vec![data.clone()]),
        launch(vec![task]),
    ]);
    let names = world.harness.names_to(&world.address);
    assert_eq!(
        names,
        ["ApplyOperationMessage", "ApplyOperationMessage", "RunTaskMessage"]
    );
    let applied = world.applied();
    let kinds: Vec<Type> = applied.iter().map(|applied| applied.operation_info.type_()).collect();
    assert_eq!(kinds, [Type::RESERVE, Type::CREATE]);
    let version = &applied[0].resource_version_uuid;
    assert_eq!(version.uuid.value(), [1; 16]);
    let reserve = &applied[0].operation_info.reserve.resources[0];
    assert_eq!(reserve.allocation_info.role(), ROLE, "injected");
    assert!(world.has(&data) && world.has(&reserved("cpus", 2.0, ROLE)));
    assert!(
        world
            .offered()
            .contains(&mesos::resources::Resources::from_protobuf([&reserved("cpus", 1.0, ROLE)]).expect("valid"))
    );
    assert!(world.harness.states().is_empty(), "no task failed");
}

#[test]
fn an_operation_sees_what_the_ones_before_it_left_and_no_more() {
    let mut world = World::new();
    let data = volume("data", 100.0);
    let create = || named("create", on(Type::CREATE, vec![data.clone()]));
    let reserve = || named("reserve", on(Type::RESERVE, vec![reserved("disk", 100.0, ROLE)]));
    world.accept(vec![create(), reserve()]);
    assert_eq!(
        world.told(),
        [("create".to_owned(), proto::OperationState::OPERATION_ERROR, false)]
    );
    assert_eq!(world.applied().len(), 1, "the reservation stands");
    assert!(!world.has(&data) && world.has(&reserved("disk", 100.0, ROLE)));
    world.finish_all();
    world.accept(vec![create()]);
    assert!(world.has(&data));
}

#[test]
fn what_an_operation_made_comes_back_without_a_filter() {
    let mut world = World::new();
    let offers = world.offers();
    world.accept_offers(
        &offers,
        vec![on(Type::RESERVE, vec![reserved("cpus", 1.0, ROLE)])],
        1000.0,
    );
    assert!(!world.offered().is_empty(), "more than what was declined");
    let mut world = World::new();
    let offers = world.offers();
    world.accept_offers(&offers, Vec::new(), 1000.0);
    assert!(world.offered().is_empty(), "declined");
}

#[test]
fn all_can_be_undone() {
    let mut world = World::new();
    let before = world.total();
    let data = volume("data", 100.0);
    world = world.with_volume(&data);
    assert_eq!(world.harness.agent(&world.agent).checkpointed_resources().len(), 1);
    world.accept(vec![
        on(Type::DESTROY, vec![data.clone()]),
        on(Type::UNRESERVE, vec![reserved("disk", 100.0, ROLE)]),
    ]);
    assert_eq!(world.total(), before);
    assert!(world.harness.agent(&world.agent).checkpointed_resources().is_empty());
    assert_eq!(world.offered(), before);
}

#[test]
fn volumes_grow_and_shrink_but_not_for_the_same_call() {
    let mut world = World::new().with_volume(&volume("data", 100.0));
    world.accept(vec![on(Type::RESERVE, vec![reserved("disk", 50.0, ROLE)])]);
    world.finish_all();
    let grown = volume("data", 150.0);
    let task = world.task("t", vec![scalar("cpus", 1.0), grown.clone()]);
    let growing = grow(volume("data", 100.0), reserved("disk", 50.0, ROLE));
    world.accept(vec![growing, launch(vec![task.clone()])]);
    assert_eq!(world.harness.states(), [TaskState::TASK_ERROR]);
    assert!(world.has(&grown));
    world.finish_all();
    world.accept(vec![launch(vec![task])]);
    assert!(world.harness.states().is_empty());
    let mut world = World::new().with_volume(&volume("data", 100.0));
    world.accept(vec![shrink(volume("data", 100.0), 40.0)]);
    assert!(world.has(&volume("data", 60.0)) && world.has(&reserved("disk", 40.0, ROLE)));
}

#[test]
fn a_reservation_can_be_replaced() {
    let mut world = World::new();
    world.accept(vec![on(Type::RESERVE, vec![reserved("cpus", 2.0, ROLE)])]);
    world.finish_all();
    let mut labelled = reserved("cpus", 2.0, ROLE);
    let labels = labelled.reservations[0].labels.mut_or_insert_default();
    let mut label = proto::Label::new();
    label.set_key("for".to_owned());
    labels.labels.push(label);
    let mut replace = on(Type::RESERVE, vec![labelled.clone()]);
    replace.reserve.mut_or_insert_default().source = vec![reserved("cpus", 2.0, ROLE)];
    world.accept(vec![replace]);
    assert!(world.has(&labelled) && !world.has(&reserved("cpus", 2.0, ROLE)));
}

/// Disk of the kind, with a root.
fn disk(kind: SourceType, amount: f64) -> proto::Resource {
    let mut resource = scalar("disk", amount);
    let source = resource.disk.mut_or_insert_default().source.mut_or_insert_default();
    source.set_type(kind);
    match kind {
        SourceType::PATH => source.path.mut_or_insert_default().set_root("/mnt/path".to_owned()),
        _ => source.mount.mut_or_insert_default().set_root("/mnt/whole".to_owned()),
    }
    resource
}

/// A volume on a disk.
fn volume_on(disk: &proto::Resource, amount: f64) -> proto::Resource {
    let mut made = volume("data", amount);
    made.disk.mut_or_insert_default().source = disk.disk.source.clone();
    made
}

#[test]
fn a_path_disk_is_divided_and_a_mount_disk_is_used_whole() {
    for (kind, amount, possible) in [
        (SourceType::PATH, 40.0, true),
        (SourceType::PATH, 100.0, true),
        (SourceType::MOUNT, 40.0, false),
        (SourceType::MOUNT, 100.0, true),
    ] {
        let mut message = registration(AgentCapabilities::all(), "cpus:4;mem:4096");
        let whole = disk(kind, 100.0);
        message.slave.mut_or_insert_default().resources.push(whole.clone());
        let mut world = World::with(message, CAPABLE);
        let made = volume_on(&whole, amount);
        world.accept(vec![
            on(Type::RESERVE, vec![without_volume(&made)]),
            on(Type::CREATE, vec![made.clone()]),
        ]);
        assert_eq!(world.has(&made), possible, "{kind:?} {amount}");
        assert_eq!(world.total().disk().to_f64(), 100.0);
    }
}

#[test]
fn older_agents_are_told_all_that_they_keep() {
    let mut capabilities = AgentCapabilities::all();
    capabilities.resource_provider = false;
    capabilities.agent_operation_feedback = false;
    capabilities.reservation_refinement = false;
    let mut world = World::with(registration(capabilities, "cpus:4;mem:4096;disk:1000"), CAPABLE);
    let data = volume("data", 100.0);
    world.accept(vec![
        on(Type::RESERVE, vec![reserved("disk", 120.0, ROLE)]),
        on(Type::CREATE, vec![data.clone()]),
    ]);
    let kept = |world: &World| {
        let messages = world.harness.messages_to(&world.address).into_iter();
        let last = messages.filter_map(|message| match message {
            Message::CheckpointResources(message) => Some(message.resources.clone()),
            _ => None,
        });
        last.last().expect("told")
    };
    let names = world.harness.names_to(&world.address);
    assert_eq!(names, ["CheckpointResourcesMessage", "CheckpointResourcesMessage"]);
    let resources = kept(&world);
    assert_eq!(resources.len(), 2);
    assert!(
        resources
            .iter()
            .all(|resource| resource.role() == ROLE && resource.reservations.is_empty())
    );
    assert!(resources.iter().all(|resource| resource.allocation_info.is_none()));
    assert!(world.operations().is_empty(), "nobody will tell of them");
    // Such an agent has no record of its own that counts: the master tells it again.
    let mut message = reregister_message(&world.agent);
    message.agent_capabilities = capabilities.to_proto();
    message.slave = Some(world.harness.agent(&world.agent).info().clone()).into();
    world.harness.clear();
    world.harness.receive(&world.address.clone(), message);
    assert_eq!(kept(&world).len(), 2);
    assert!(world.has(&data));
}

#[test]
fn resources_in_two_forms_must_say_the_same() {
    let mut world = World::new();
    let mut twofold = scalar("cpus", 1.0);
    twofold.set_role("other".to_owned());
    twofold.reservations = reserved("cpus", 1.0, ROLE).reservations;
    let task = world.task("t", vec![twofold.clone()]);
    world.accept(vec![launch(vec![task]), named("r", on(Type::RESERVE, vec![twofold]))]);
    assert_eq!(world.harness.states(), [TaskState::TASK_ERROR]);
    let text = world.harness.statuses()[0].message().to_owned();
    assert!(text.contains("contradict each other"), "{text}");
    assert!(
        world.reasons()[0].contains("contradict each other"),
        "{:?}",
        world.reasons()
    );
}

#[test]
fn older_frameworks_reserve_in_the_older_form() {
    let message = registration(AgentCapabilities::all(), "cpus:4;mem:4096;disk:1000");
    let mut world = World::with(message, &[]);
    let mut resource = scalar("cpus", 1.0);
    resource.set_role(ROLE.to_owned());
    resource
        .reservation
        .mut_or_insert_default()
        .set_principal("ops".to_owned());
    world.accept(vec![on(Type::RESERVE, vec![resource])]);
    assert!(world.has(&reserved("cpus", 1.0, ROLE)));
    let sent = &world.applied()[0].operation_info.reserve.resources[0];
    assert_eq!((sent.reservations.len(), sent.has_role()), (1, false));
    let offers = world.offers();
    assert_eq!(offers.len(), 1);
    let events = world.harness.events_on(&world.scheduler.stream);
    let offers = events
        .iter()
        .filter_map(|event| event.offers.as_ref())
        .next_back()
        .expect("offers");
    let shown = offers.offers[0]
        .resources
        .iter()
        .find(|resource| resource.reservation.is_some());
    assert_eq!(shown.expect("in the older form").role(), ROLE);
}
