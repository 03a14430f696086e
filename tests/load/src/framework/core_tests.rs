//! Histories of one framework, input by input.

use std::time::Duration;

use libprocess_types::Time;
use mesos_proto::v0::mesos::{Offer, OfferID, Resource, TaskState, TaskStatus, value};
use mesos_proto::v0::scheduler::{Call, call};

use super::*;
use crate::record::Note;

fn scalar(name: &str, amount: f64) -> Resource {
    let mut resource = Resource::new();
    resource.set_name(name.to_owned());
    resource.set_type(value::Type::SCALAR);
    resource.scalar.mut_or_insert_default().set_value(amount);
    resource
}

fn offer(id: &str, cpus: f64, mem_mb: f64) -> Offer {
    let mut offer = Offer::new();
    offer.id.mut_or_insert_default().set_value(id.to_owned());
    offer.slave_id.mut_or_insert_default().set_value("S".to_owned());
    offer.resources = vec![scalar("cpus", cpus), scalar("mem", mem_mb), scalar("disk", 10.0)];
    offer
}

fn update(task: &str, state: TaskState) -> FrameworkInput {
    let mut status = TaskStatus::new();
    status.task_id.mut_or_insert_default().set_value(task.to_owned());
    status.set_state(state);
    status.set_uuid(vec![1; 16]);
    FrameworkInput::Event(FrameworkEvent::Update(Box::new(status)))
}

fn offers(offers: &[Offer]) -> FrameworkInput {
    FrameworkInput::Event(FrameworkEvent::Offers(offers.to_vec()))
}

/// What a call says, in short.
fn text(call: &Call) -> String {
    assert_eq!(call.framework_id.value(), "F", "every call names the framework");
    match call.type_() {
        call::Type::ACCEPT => {
            let operation = &call.accept.operations[0];
            let tasks: Vec<_> = operation
                .launch
                .task_infos
                .iter()
                .map(|task| task.task_id.value())
                .collect();
            format!("accept {} for {tasks:?}", call.accept.offer_ids[0].value())
        }
        call::Type::DECLINE => {
            let ids: Vec<_> = call.decline.offer_ids.iter().map(OfferID::value).collect();
            format!("decline {ids:?} for {} s", call.decline.filters.refuse_seconds())
        }
        other => format!("{other:?}"),
    }
}

struct Bench {
    core: FrameworkCore,
    now: Time,
}

impl Bench {
    fn subscribed(policy: Policy) -> (Self, Vec<String>) {
        let mut bench = Self {
            core: FrameworkCore::new(framework_info("test", "role"), policy, "t"),
            now: Time::EPOCH,
        };
        let effects = bench.core.step(bench.now, FrameworkInput::MasterFound);
        assert!(matches!(&effects[..], [Effect::Subscribe(call)] if call.type_() == call::Type::SUBSCRIBE));
        let words = bench.step(FrameworkInput::Event(FrameworkEvent::Subscribed("F".to_owned())));
        (bench, words)
    }

    fn step(&mut self, input: FrameworkInput) -> Vec<String> {
        let effects = self.core.step(self.now, input);
        let words = effects.iter().map(|effect| match effect {
            Effect::Subscribe(_) => "subscribe".to_owned(),
            Effect::Call(call) => text(call),
            Effect::SetTimer(after) => format!("timer {after:?}"),
            Effect::Note(note) => format!("{note:?}"),
        });
        words.collect()
    }
}

fn launching(total: Option<u64>, at_once: u64) -> Policy {
    Policy::Launch(LaunchPlan {
        total,
        at_once,
        per_offer: 10,
        cpus: 1.0,
        mem_mb: 32.0,
        labels: None,
    })
}

#[test]
fn a_launcher_keeps_offers_until_tasks_end_and_stops_at_its_total() {
    let (mut bench, words) = Bench::subscribed(launching(Some(4), 2));
    assert_eq!(words, ["Subscribed"]);
    let both = [offer("a", 3.0, 64.0), offer("b", 8.0, 640.0)];
    let expected = ["Offers(2)", "Launched(2)", r#"accept a for ["t-0", "t-1"]"#];
    assert_eq!(bench.step(offers(&both)), expected);
    assert_eq!(
        bench.step(update("t-0", TaskState::TASK_RUNNING)),
        ["ACKNOWLEDGE", "Running"]
    );
    let expected = ["ACKNOWLEDGE", "Finished", "Launched(1)", r#"accept b for ["t-2"]"#];
    assert_eq!(bench.step(update("t-0", TaskState::TASK_FINISHED)), expected);
    let expected = ["ACKNOWLEDGE", "Failed(\"TASK_KILLED\")"];
    assert_eq!(bench.step(update("t-1", TaskState::TASK_KILLED)), expected);
    let expected = [
        "Offers(2)",
        "Launched(1)",
        r#"accept c for ["t-3"]"#,
        r#"decline ["d"] for 86400 s"#,
        "SUPPRESS",
    ];
    assert_eq!(
        bench.step(offers(&[offer("c", 9.0, 64.0), offer("d", 1.0, 1.0)])),
        expected
    );
}

#[test]
fn offers_that_were_withdrawn_or_are_too_small_are_not_used() {
    let (mut bench, _) = Bench::subscribed(launching(None, 1));
    bench.step(offers(&[offer("a", 1.0, 32.0), offer("b", 1.0, 32.0)]));
    let mut id = OfferID::new();
    id.set_value("b".to_owned());
    let withdrawn = FrameworkInput::Event(FrameworkEvent::Rescinded(id));
    assert_eq!(bench.step(withdrawn), ["Rescinded(1)"]);
    assert_eq!(
        bench.step(update("t-0", TaskState::TASK_FINISHED)),
        ["ACKNOWLEDGE", "Finished"]
    );
    let expected = ["Offers(1)", r#"decline ["c"] for 1 s"#];
    assert_eq!(bench.step(offers(&[offer("c", 1.0, 31.0)])), expected);
}

#[test]
fn idle_frameworks_decline_keep_or_want_nothing() {
    let (mut declines, _) = Bench::subscribed(Policy::Decline(Duration::from_secs(5)));
    let expected = ["Offers(1)", r#"decline ["a"] for 5 s"#];
    assert_eq!(declines.step(offers(&[offer("a", 1.0, 1.0)])), expected);
    let (mut keeps, _) = Bench::subscribed(Policy::Hoard);
    assert_eq!(keeps.step(offers(&[offer("a", 1.0, 1.0)])), ["Offers(1)"]);
    let (_, words) = Bench::subscribed(Policy::Suppress);
    assert_eq!(words, ["Subscribed", "SUPPRESS"]);
}

#[test]
fn a_probe_measures_from_wanting_offers_to_the_report() {
    let plan = ProbePlan {
        pause: Duration::from_secs(1),
        cpus: 1.0,
        mem_mb: 32.0,
    };
    let (mut bench, words) = Bench::subscribed(Policy::Probe(plan));
    assert_eq!(words, ["Subscribed", "SUPPRESS", "timer 1s"]);
    for number in 1..3 {
        assert_eq!(bench.step(FrameworkInput::TimerElapsed), ["REVIVE"]);
        assert!(bench.step(FrameworkInput::TimerElapsed).is_empty(), "it wants already");
        bench.now += Duration::from_millis(3);
        let task = format!("t-{number}");
        let expected = [
            "Offers(3)".to_owned(),
            "Launched(1)".to_owned(),
            format!("accept b for [\"{task}\"]"),
            "SUPPRESS".to_owned(),
            r#"decline ["a", "c"] for 86400 s"#.to_owned(),
        ];
        let three = [offer("a", 0.5, 64.0), offer("b", 1.0, 64.0), offer("c", 1.0, 64.0)];
        assert_eq!(bench.step(offers(&three)), expected);
        bench.now += Duration::from_millis(4);
        let probed = Note::Probed {
            offered: Duration::from_millis(3),
            running: Duration::from_millis(7),
        };
        let expected = ["ACKNOWLEDGE".to_owned(), "Running".to_owned(), format!("{probed:?}")];
        assert_eq!(bench.step(update(&task, TaskState::TASK_RUNNING)), expected);
        let expected = ["ACKNOWLEDGE", "Finished", "timer 1s"];
        assert_eq!(bench.step(update(&task, TaskState::TASK_FINISHED)), expected);
    }
    let expected = ["Offers(1)", r#"decline ["late"] for 86400 s"#];
    assert_eq!(bench.step(offers(&[offer("late", 1.0, 64.0)])), expected);
}
