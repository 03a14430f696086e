//! Shared volumes: many tasks and frameworks on one.

use mesos::resources::Resources;
use mesos_proto::v0::mesos::TaskState;
use mesos_proto::v0::mesos::offer::operation::Type;
use mesos_proto::v0::scheduler::event;

use super::world::{CAPABLE, ROLE, World, in_role, on, reserved, scalar, shared_volume};
use crate::actors::{Scheduler, launch, update};

fn with_shared() -> World {
    World::new().with_volume(&shared_volume("pool", 100.0))
}

#[test]
fn several_tasks_use_the_one_copy_that_was_offered() {
    let mut world = with_shared();
    let pool = shared_volume("pool", 100.0);
    let tasks = ["a", "b", "c"].map(|id| world.task(id, vec![scalar("cpus", 1.0), pool.clone()]));
    world.accept(vec![launch(tasks.to_vec())]);
    assert!(world.harness.states().is_empty(), "{:?}", world.harness.statuses());
    let used: Resources = world.harness.agent(&world.agent).used().values().sum();
    let one = Resources::from_protobuf([&pool]).expect("valid").allocate(ROLE);
    assert_eq!(used.copies(one.iter().next().expect("one")), 3);
    assert_eq!(world.total().disk().to_f64(), 1000.0);
    assert!(
        world
            .offered()
            .contains(&Resources::from_protobuf([&pool]).expect("valid")),
        "offered on"
    );
}

#[test]
fn a_volume_in_use_is_not_destroyed() {
    let mut world = with_shared();
    let pool = shared_volume("pool", 100.0);
    let task = world.task("a", vec![scalar("cpus", 1.0), pool.clone()]);
    world.accept(vec![
        launch(vec![task]),
        super::world::named("d", on(Type::DESTROY, vec![pool.clone()])),
    ]);
    assert_eq!(world.reasons().len(), 1);
    assert!(world.reasons()[0].ends_with("is in use"), "{:?}", world.reasons());
    assert!(world.has(&pool));
    let done = update(&world.scheduler.id, &world.agent, "a", TaskState::TASK_FINISHED, 9);
    world.harness.receive(&world.address.clone(), done);
    world.accept(vec![on(Type::DESTROY, vec![pool.clone()])]);
    assert!(!world.has(&pool) && world.has(&reserved("disk", 100.0, ROLE)));
}

#[test]
fn others_lose_their_offers_of_a_volume_that_is_destroyed() {
    let mut world = with_shared();
    let pool = shared_volume("pool", 100.0);
    let task = world.task("a", vec![scalar("cpus", 2.0), scalar("mem", 1024.0)]);
    world.accept(vec![launch(vec![task])]);
    let other = Scheduler::subscribe(&mut world.harness, in_role(ROLE, CAPABLE));
    assert!(world.offers().is_empty(), "the other has less and gets the rest");
    let done = update(&world.scheduler.id, &world.agent, "a", TaskState::TASK_FINISHED, 9);
    world.harness.receive(&world.address.clone(), done);
    let both = [&world.scheduler.id, &other.id].map(|id| world.harness.offers(id).len());
    assert_eq!(both, [1, 1], "a copy each");
    world.accept(vec![on(Type::DESTROY, vec![pool.clone()])]);
    assert_eq!(world.harness.types_on(&other.stream), [event::Type::RESCIND]);
    assert!(!world.has(&pool) && world.applied().len() == 1);
}

#[test]
fn a_framework_without_the_capability_makes_no_shared_volumes() {
    let message = super::world::registration(
        mesos::capabilities::AgentCapabilities::all(),
        "cpus:4;mem:4096;disk:1000",
    );
    let mut world = World::with(message, crate::actors::MODERN);
    world.accept(vec![
        on(Type::RESERVE, vec![reserved("disk", 100.0, ROLE)]),
        super::world::named("c", on(Type::CREATE, vec![shared_volume("pool", 100.0)])),
    ]);
    assert!(world.reasons()[0].contains("SHARED_RESOURCES"), "{:?}", world.reasons());
}
