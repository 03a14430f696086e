//! The promises of the simulated network.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use libprocess_types::{Time, Upid};
use proptest::prelude::*;

use super::*;
use crate::clock::Clock;
use crate::random::Random;
use crate::transport::Transport;

fn upid(id: &str, host: u8) -> Upid {
    Upid::new(id, SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, host), 5050))
}

fn world(faults: Faults) -> (World, Upid, Upid) {
    let mut world = World::new(1, faults);
    let (here, there) = (upid("here", 1), upid("there", 2));
    world.spawn(&here);
    world.spawn(&there);
    (world, here, there)
}

fn send(world: &mut World, from: &Upid, to: &Upid, name: &str) {
    world.send(from, to, name, Bytes::new());
}

/// Runs until nothing waits and lists what happened.
fn drain(world: &mut World) -> Vec<String> {
    let mut happened = Vec::new();
    while let Some(event) = world.next_event() {
        happened.push(match event {
            Event::Delivery { to, name, .. } => format!("{} got {name}", to.id()),
            Event::Timer { owner, token, .. } => format!("{} timer {token}", owner.id()),
            Event::Exited { linker, linked } => format!("{} lost {}", linker.id(), linked.id()),
        });
    }
    happened
}

#[test]
fn linked_messages_keep_their_order_and_lone_ones_need_not() {
    let faults = Faults {
        delay_max: Duration::from_secs(1),
        ..Faults::default()
    };
    let (mut world, here, there) = world(faults);
    let names: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    let expected: Vec<String> = names.iter().map(|name| format!("there got {name}")).collect();
    for name in &names {
        send(&mut world, &here, &there, name);
    }
    let lone = drain(&mut world);
    assert_ne!(lone, expected);
    assert_eq!(lone.len(), expected.len());
    world.port(&here).link(&there);
    for name in &names {
        world.port(&here).send(&there, name, Bytes::new());
    }
    assert_eq!(drain(&mut world), expected);
}

#[test]
fn time_moves_with_events_and_timers_come_in_order() {
    let (mut world, here, _) = world(Faults::default());
    let start = world.now();
    let fired = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&fired);
    world.clock().schedule(
        start + Duration::from_secs(2),
        Box::new(move || flag.store(true, Ordering::SeqCst)),
    );
    world.set_timer(&here, Duration::from_secs(3), 3);
    let cancelled = world.set_timer(&here, Duration::from_secs(2), 2);
    world.set_timer(&here, Duration::from_secs(1), 1);
    world.cancel_timer(cancelled);
    assert!(world.next_event_until(start + Duration::from_millis(500)).is_none());
    assert_eq!(world.now(), start + Duration::from_millis(500));
    assert_eq!(drain(&mut world), ["here timer 1", "here timer 3"]);
    assert_eq!(world.now(), start + Duration::from_secs(3));
    assert_eq!(world.clock().now(), world.now());
    assert!(fired.load(Ordering::SeqCst));
}

#[test]
fn crash_loses_what_was_on_its_way_to_it_and_tells_linkers() {
    let (mut world, here, there) = world(Faults::default());
    world.link(&here, &there);
    send(&mut world, &here, &there, "lost");
    send(&mut world, &there, &here, "still arrives");
    world.set_timer(&there, Duration::from_secs(1), 1);
    world.crash(there.address());
    let mut happened = drain(&mut world);
    happened.sort();
    assert_eq!(happened, ["here got still arrives", "here lost there"]);
    world.link(&here, &there);
    send(&mut world, &here, &there, "nobody");
    assert_eq!(drain(&mut world), ["here lost there"]);
    world.restart(there.address());
    world.spawn(&there);
    send(&mut world, &here, &there, "hello again");
    assert_eq!(drain(&mut world), ["there got hello again"]);
}

#[test]
fn end_of_one_process_is_told_in_its_node_only() {
    let (mut world, here, there) = world(Faults::default());
    let sibling = upid("sibling", 2);
    world.spawn(&sibling);
    world.link(&here, &there);
    world.link(&sibling, &there);
    world.terminate(&there);
    send(&mut world, &here, &there, "nobody");
    assert_eq!(drain(&mut world), ["sibling lost there"]);
    world.link(&sibling, &there);
    assert_eq!(drain(&mut world), ["sibling lost there"]);
    world.crash(there.address());
    assert_eq!(drain(&mut world), ["here lost there"]);
}

#[test]
fn silent_partition_holds_messages_in_their_order() {
    let (mut world, here, there) = world(Faults::default());
    world.link(&here, &there);
    send(&mut world, &here, &there, "1");
    world.partition(here.address(), there.address(), Cut::Silent);
    send(&mut world, &here, &there, "2");
    assert_eq!(drain(&mut world), Vec::<String>::new());
    assert_eq!(world.pending(), 2);
    world.heal_all();
    send(&mut world, &here, &there, "3");
    assert_eq!(drain(&mut world), ["there got 1", "there got 2", "there got 3"]);
}

#[test]
fn refusing_partition_breaks_connections_and_refuses_new_ones() {
    let (mut world, here, there) = world(Faults::default());
    world.link(&here, &there);
    world.link(&there, &here);
    send(&mut world, &here, &there, "lost");
    world.partition(here.address(), there.address(), Cut::Refusing);
    let mut happened = drain(&mut world);
    happened.sort();
    assert_eq!(happened, ["here lost there", "there lost here"]);
    world.link(&here, &there);
    send(&mut world, &here, &there, "lost too");
    assert_eq!(drain(&mut world), ["here lost there"]);
    world.heal(here.address(), there.address());
    send(&mut world, &here, &there, "through");
    assert_eq!(drain(&mut world), ["there got through"]);
}

#[test]
fn reconnecting_loses_what_is_in_flight_without_an_exit() {
    let (mut world, here, there) = world(Faults::default());
    world.link(&here, &there);
    send(&mut world, &here, &there, "old");
    world.port(&here).link_reconnect(&there);
    send(&mut world, &here, &there, "new");
    assert_eq!(drain(&mut world), ["there got new"]);
    world.break_connection(here.address(), there.address());
    assert_eq!(drain(&mut world), ["here lost there"]);
}

#[test]
fn faults_happen_as_often_as_asked() {
    let count = 10_000_u32;
    let faults = Faults {
        drop_per_million: 100_000,
        duplicate_per_million: 50_000,
        ..Faults::default()
    };
    let (mut world, here, there) = world(faults);
    for _ in 0..count {
        send(&mut world, &here, &there, "x");
    }
    let arrived = drain(&mut world).len();
    assert!((9_200..9_700).contains(&arrived), "{arrived}");
    world.set_faults(Faults {
        break_per_million: 1_000_000,
        ..Faults::default()
    });
    world.link(&here, &there);
    send(&mut world, &here, &there, "breaks");
    assert_eq!(drain(&mut world), ["here lost there"]);
}

/// Lets five nodes do random things and checks the promises on the way.
fn history(seed: u64) -> (u64, Vec<(Upid, Upid, u64)>) {
    let faults = Faults {
        delay_max: Duration::from_millis(200),
        drop_per_million: 20_000,
        break_per_million: 2_000,
        ..Faults::default()
    };
    let mut world = World::new(seed, faults);
    let pids: Vec<Upid> = (1..=5).map(|host| upid("p", host)).collect();
    for pid in &pids {
        world.spawn(pid);
    }
    let mut number = 0_u64;
    let mut delivered = Vec::new();
    for _ in 0..2_000 {
        let pick = |world: &mut World| pids[usize::try_from(world.random().below(5)).unwrap_or(0)].clone();
        let (one, other) = (pick(&mut world), pick(&mut world));
        match world.random().below(100) {
            0 => world.crash(one.address()),
            1 => world.partition(one.address(), other.address(), Cut::Silent),
            2 => world.partition(one.address(), other.address(), Cut::Refusing),
            3..6 => world.heal_all(),
            6..12 => world.spawn(&one),
            12..40 if world.is_alive(&one) => world.link(&one, &other),
            40..80 if world.is_alive(&one) => {
                number += 1;
                world.send(&one, &other, "n", Bytes::copy_from_slice(&number.to_be_bytes()));
            }
            _ => {
                let before = world.now();
                let event = world.next_event();
                assert!(world.now() >= before);
                if let Some(event) = event {
                    assert!(world.is_alive(event.process()));
                    if let Event::Delivery { from, to, body, .. } = event {
                        let number = u64::from_be_bytes(body[..].try_into().expect("eight bytes"));
                        delivered.push((from, to, number));
                    }
                }
            }
        }
    }
    assert!(world.now() < Time::MAX);
    (world.fingerprint(), delivered)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn histories_repeat_and_deliver_at_most_once(seed in any::<u64>()) {
        let (fingerprint, delivered) = history(seed);
        let mut numbers: Vec<u64> = delivered.iter().map(|(_, _, number)| *number).collect();
        numbers.sort_unstable();
        let before = numbers.len();
        numbers.dedup();
        prop_assert_eq!(before, numbers.len());
        prop_assert_eq!(history(seed), (fingerprint, delivered));
    }

    /// Whatever happens around it, one lasting connection never reorders.
    #[test]
    fn one_connection_keeps_order_through_partitions(seed in any::<u64>()) {
        let faults = Faults { delay_max: Duration::from_millis(500), drop_per_million: 50_000, ..Faults::default() };
        let mut world = World::new(seed, faults);
        let (here, there) = (upid("here", 1), upid("there", 2));
        world.spawn(&here);
        world.spawn(&there);
        world.link(&here, &there);
        let mut last = 0;
        for number in 1_u64..400 {
            match world.random().below(10) {
                0 => world.partition(here.address(), there.address(), Cut::Silent),
                1 => world.heal_all(),
                2..6 => world.send(&here, &there, "n", Bytes::copy_from_slice(&number.to_be_bytes())),
                _ => if let Some(Event::Delivery { body, .. }) = world.next_event() {
                    let arrived = u64::from_be_bytes(body[..].try_into().expect("eight bytes"));
                    prop_assert!(arrived > last);
                    last = arrived;
                },
            }
        }
    }
}
