//! Processes of one node: life, dispatch, local messages, links, timers, work beside the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use libprocess::{Clock, Context, Gone, ManualClock, Node, NodeConfig, Process, ProcessId, Time, Upid};

use crate::recorder::{Recording, Seen, bounded, start_node};

#[tokio::test]
async fn events_are_handled_in_order_of_arrival() {
    let node = start_node().await;
    let mut target = Recording::start(&node, "target").await;
    for number in 0..3_000_u32 {
        target.process.dispatch(move |recorder, context| {
            recorder.report(Seen::Message {
                from: context.pid().to_string(),
                name: number.to_string(),
                body: Bytes::new(),
            });
        });
        target
            .process
            .post(&Upid::anonymous(), &number.to_string(), Bytes::new());
    }
    for number in 0..3_000_u32 {
        assert_eq!(target.next_message().await.1, number.to_string());
        assert_eq!(target.next_message().await.0, "@0.0.0.0:0");
    }
    node.stop().await;
}

#[tokio::test]
async fn numbered_ids_count_from_one_for_each_prefix() {
    struct Idle;
    impl Process for Idle {}
    let node = start_node().await;
    let ids: Vec<String> = ["slave", "slave", "executor"]
        .map(|prefix| node.spawn(ProcessId::Numbered(prefix), || Idle).pid().id().to_owned())
        .into();
    assert_eq!(ids, ["slave(1)", "slave(2)", "executor(1)"]);
    let other = start_node().await;
    assert_eq!(
        other.spawn(ProcessId::Numbered("slave"), || Idle).pid().id(),
        "slave(1)"
    );
    node.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn taken_id_gives_a_handle_that_is_gone() {
    let node = start_node().await;
    let mut first = Recording::start(&node, "only").await;
    let second = node.spawn(ProcessId::Exact("only"), || -> crate::recorder::Recorder {
        panic!("must not be made")
    });
    assert!(second.is_gone());
    assert_eq!(second.call(|_, _| ()).await, Err(Gone));
    bounded(second.wait()).await;
    first.nothing_more().await;
    node.stop().await;
}

#[tokio::test]
async fn messages_for_an_alias_reach_its_process_from_near_and_far() {
    let (node, other) = (start_node().await, start_node().await);
    let mut target = Recording::start(&node, "target").await;
    node.add_alias("further", &target.process);
    let alias = node.pid("further");
    let near = Recording::start(&node, "near").await;
    near.send(&alias, "near", "a");
    assert_eq!(target.next_message().await.1, "near");
    let far = Recording::start(&other, "far").await;
    far.send(&alias, "far", "b");
    assert_eq!(target.next_message().await.1, "far");
    assert!(!node.has_process("further"), "it is no process");
    assert!(node.deliver_message("further", near.pid(), "direct", Bytes::new()));
    assert_eq!(target.next_message().await.1, "direct");
    node.remove_alias("further");
    assert!(!node.deliver_message("further", near.pid(), "late", Bytes::new()));
    node.add_alias("further", &target.process);
    target.process.terminate();
    bounded(target.process.wait()).await;
    let mut next = Recording::start(&node, "target").await;
    assert!(
        !node.deliver_message("further", near.pid(), "later", Bytes::new()),
        "it ended with its process"
    );
    next.nothing_more().await;
    node.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn termination_handles_what_was_queued_before_and_fails_what_comes_after() {
    let node = start_node().await;
    let mut target = Recording::start(&node, "target").await;
    target.process.post(&Upid::anonymous(), "before", Bytes::new());
    target.process.terminate();
    let late = target.process.call(|_, _| ());
    assert_eq!(target.next_message().await.1, "before");
    assert_eq!(target.next().await, Seen::Finalized);
    assert_eq!(bounded(late).await, Err(Gone));
    bounded(target.process.wait()).await;
    assert!(!node.has_process("target"));
    node.stop().await;
}

#[tokio::test]
async fn local_exit_reaches_every_linker_once() {
    let node = start_node().await;
    let mut first = Recording::start(&node, "first").await;
    let mut second = Recording::start(&node, "second").await;
    let target = Recording::start(&node, "target").await;
    first.link(target.pid()).await;
    first.link(target.pid()).await;
    second.link(target.pid()).await;
    target.process.terminate();
    let exited = Seen::Exited(target.pid().to_string());
    assert_eq!(first.next().await, exited);
    assert_eq!(second.next().await, exited);
    first.nothing_more().await;
    // Linking to a process that is not there is answered at once.
    first.link(target.pid()).await;
    assert_eq!(first.next().await, exited);
    node.stop().await;
}

#[tokio::test]
async fn panic_ends_the_process_and_nothing_else() {
    let node = start_node().await;
    let mut watcher = Recording::start(&node, "watcher").await;
    let target = Recording::start(&node, "target").await;
    watcher.link(target.pid()).await;
    target.process.dispatch(|_, _| panic!("a mistake in a handler"));
    assert_eq!(watcher.next().await, Seen::Exited(target.pid().to_string()));
    bounded(target.process.wait()).await;
    let again = Recording::start(&node, "target").await;
    watcher.send(again.pid(), "hello", "");
    node.stop().await;
}

/// Installs handlers and counts what they see.
struct Installed {
    seen: Vec<String>,
}

impl Process for Installed {
    fn initialize(&mut self, context: &mut Context<Self>) {
        context.install_raw("raw", |process, _, body, _| {
            process.seen.push(format!("raw {}", body.len()));
        });
        context.install::<protobuf::well_known_types::wrappers::StringValue>("text", |process, _, message, _| {
            process.seen.push(format!("text {}", message.value));
        });
    }

    fn message(&mut self, _: Upid, name: &str, _: Bytes, _: &mut Context<Self>) {
        self.seen.push(format!("other {name}"));
    }
}

#[tokio::test]
async fn handlers_get_their_messages_and_unreadable_ones_are_dropped() {
    let node = start_node().await;
    let from = Upid::anonymous();
    let target = node.spawn(ProcessId::Exact("target"), || Installed { seen: Vec::new() });
    // The first may be queued before the handlers are installed.
    target.post(&from, "raw", Bytes::from_static(b"12"));
    bounded(target.ready()).await;
    target.post(&from, "text", Bytes::from_static(b"\x0a\x02hi"));
    target.post(&from, "text", Bytes::from_static(b"\x0a\x05hi"));
    target.post(&from, "unknown", Bytes::new());
    assert!(node.deliver_message("target", &from, "raw", Bytes::new()));
    let seen = target.call(|process, _| process.seen.clone()).await.expect("it lives");
    assert_eq!(seen, ["raw 2", "text hi", "other unknown", "raw 0"]);
    node.stop().await;
}

#[tokio::test]
async fn later_handler_of_the_same_name_takes_over() {
    let node = start_node().await;
    let target = node.spawn(ProcessId::Exact("target"), || Installed { seen: Vec::new() });
    let install = |_: &mut Installed, context: &mut Context<Installed>| {
        context.install_raw("raw", |process, _, _, _| process.seen.push("second".into()));
    };
    target.call(install).await.expect("it lives");
    target.post(&Upid::anonymous(), "raw", Bytes::new());
    let seen = target.call(|process, _| process.seen.clone()).await.expect("it lives");
    assert_eq!(seen, ["second"]);
    node.stop().await;
}

#[tokio::test]
async fn timers_follow_the_clock_and_cancelled_ones_never_fire() {
    let clock = Arc::new(ManualClock::new(Time::from_secs_f64(1000.0)));
    let config = NodeConfig {
        clock: Some(Arc::clone(&clock) as Arc<dyn Clock>),
        ..NodeConfig::loopback()
    };
    let node = Node::start(config).await.expect("a node on loopback");
    let mut target = Recording::start(&node, "target").await;
    let report = |text: &'static str| {
        move |recorder: &mut crate::recorder::Recorder, context: &mut Context<crate::recorder::Recorder>| {
            recorder.report(Seen::Exited(format!("{text} {}", context.now().as_secs_f64())));
        }
    };
    let (late, early, never) = (report("late"), report("early"), report("never"));
    let timer = target.process.call(move |_, context| {
        context.delay(Duration::from_secs(20), late);
        context.delay(Duration::from_secs(5), early);
        context.delay(Duration::from_secs(10), never)
    });
    let timer = bounded(timer).await.expect("it lives");
    clock.advance(Duration::from_secs(5));
    assert_eq!(target.next().await, Seen::Exited("early 1005".into()));
    // Its time comes before the cancellation is handled, and still it does not run.
    let advancing = Arc::clone(&clock);
    target.process.dispatch(move |_, context| {
        advancing.advance(Duration::from_secs(5));
        context.cancel(timer);
    });
    target.nothing_more().await;
    clock.advance(Duration::from_secs(10));
    assert_eq!(target.next().await, Seen::Exited("late 1020".into()));
    target.nothing_more().await;
    node.stop().await;
}

#[tokio::test]
async fn work_beside_the_process_comes_back_into_it() {
    let node = start_node().await;
    let target = node.spawn(ProcessId::Exact("target"), || Installed { seen: Vec::new() });
    let (sender, receiver) = tokio::sync::oneshot::channel();
    target.dispatch(move |_, context| {
        context.run_blocking(
            || std::thread::current().id(),
            move |process, blocking_thread, context| {
                assert_ne!(blocking_thread, std::thread::current().id());
                process.seen.push("blocking".into());
                context.run_async(async { 7 }, move |process, number, _| {
                    process.seen.push(format!("async {number}"));
                    let _ = sender.send(process.seen.clone());
                });
            },
        );
        context.run_blocking(
            || panic!("a mistake in blocking work"),
            |_, (), _| panic!("must not come back"),
        );
    });
    assert_eq!(bounded(receiver).await.expect("both ran"), ["blocking", "async 7"]);
    assert!(target.call(|_, _| ()).await.is_ok(), "the panic stayed outside");
    node.stop().await;
}

#[tokio::test]
async fn process_that_terminates_drops_its_timers_and_work() {
    let node = start_node().await;
    let target = Recording::start(&node, "target").await;
    let witness = Arc::new(AtomicUsize::new(0));
    let (timer_witness, work_witness) = (Arc::clone(&witness), Arc::clone(&witness));
    target.process.dispatch(move |_, context| {
        context.delay(Duration::from_secs(3600), move |_, _| {
            timer_witness.fetch_add(1, Ordering::SeqCst);
        });
        context.run_async(std::future::pending::<()>(), move |_, (), _| {
            work_witness.fetch_add(1, Ordering::SeqCst);
        });
        context.terminate_self();
    });
    bounded(target.process.wait()).await;
    let released = async {
        while Arc::strong_count(&witness) > 1 {
            tokio::task::yield_now().await;
        }
    };
    bounded(released).await;
    assert_eq!(witness.load(Ordering::SeqCst), 0);
    node.stop().await;
}

#[tokio::test]
async fn stopping_finalizes_every_process() {
    let node = start_node().await;
    let mut one = Recording::start(&node, "one").await;
    let mut two = Recording::start(&node, "two").await;
    node.stop().await;
    assert_eq!(one.next().await, Seen::Finalized);
    assert_eq!(two.next().await, Seen::Finalized);
    assert!(
        node.spawn(ProcessId::Exact("late"), || Installed { seen: Vec::new() })
            .is_gone()
    );
}

#[test]
fn node_starts_from_an_actix_runtime_too() {
    actix_rt::System::new().block_on(async {
        let node = start_node().await;
        let target = Recording::start(&node, "target").await;
        assert!(target.process.call(|_, _| ()).await.is_ok());
        node.stop().await;
    });
}

/// Links race with the end of their target: before, during and after it, each is answered once.
#[tokio::test]
async fn every_link_is_answered_by_one_exit_however_it_races() {
    struct Brief;
    impl Process for Brief {}
    let node = start_node().await;
    let mut watchers = Vec::new();
    for number in 0..4 {
        watchers.push(Recording::start(&node, &format!("watcher-{number}")).await);
    }
    let mut expected: Vec<Seen> = Vec::new();
    for _ in 0..300 {
        let target = node.spawn(ProcessId::Numbered("brief"), || Brief);
        expected.push(Seen::Exited(target.pid().to_string()));
        for (number, watcher) in watchers.iter().enumerate() {
            if number == 2 {
                target.terminate();
            }
            let to = target.pid().clone();
            watcher.process.dispatch(move |_, context| context.link(&to));
        }
    }
    for watcher in &mut watchers {
        let mut seen = Vec::new();
        for _ in 0..expected.len() {
            seen.push(watcher.next().await);
        }
        let order = |seen: &Seen| format!("{seen:?}");
        seen.sort_by_key(order);
        let mut sorted = expected.clone();
        sorted.sort_by_key(order);
        assert_eq!(seen, sorted);
        watcher.nothing_more().await;
    }
    node.stop().await;
}
