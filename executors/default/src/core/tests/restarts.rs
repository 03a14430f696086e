//! Agents that go away and come back.

use super::*;

fn has(bench: &Bench, wanted: fn(&Effect) -> bool) -> bool {
    bench.effects.iter().any(wanted)
}

#[test]
fn waits_are_asked_for_again_and_nothing_is_launched_again() {
    let mut bench = Bench::subscribed(&[]);
    bench.run_group(&["a", "b"]);
    bench.step(Input::Disconnected);
    assert!(has(&bench, |effect| matches!(effect, Effect::AbandonCalls)));
    assert!(has(&bench, |effect| matches!(effect, Effect::PauseChecks)));
    assert!(bench.told().is_empty() && bench.exit().is_none());
    bench.subscribe(&[]);
    assert_eq!(bench.waits(), ["a", "b"]);
    assert!(bench.launches().is_empty() && bench.told().is_empty());
    assert!(has(&bench, |effect| matches!(effect, Effect::ResumeChecks)));
    bench.ended("a", 0);
    assert_eq!(bench.told(), of(&[("a", FINISHED)]));
}

#[test]
fn a_wait_that_the_agent_could_not_answer_is_made_again() {
    let mut bench = Bench::subscribed(&[]);
    bench.run_group(&["a"]);
    let container = bench.container("a");
    let retry = ExecutorTimer::Retry(container.clone(), Retried::Wait);
    bench.step(Input::WaitAnswered(
        container.clone(),
        Answer::Unavailable("recovering".to_owned()),
    ));
    assert_eq!(bench.timer(&retry), Some(RETRY_INTERVAL));
    bench.elapsed(retry.clone());
    assert_eq!(bench.waits(), ["a"]);
    let broken = Answer::Refused(500, "broken".to_owned());
    bench.step(Input::WaitAnswered(container.clone(), broken));
    assert_eq!(bench.timer(&retry), Some(RETRY_INTERVAL));
    // Away, nobody is asked; back, everything is asked for anyway.
    bench.step(Input::WaitAnswered(container, Answer::Unavailable("gone".to_owned())));
    bench.step(Input::Disconnected);
    bench.elapsed(retry);
    assert!(bench.effects.is_empty());
}

#[test]
fn a_launch_without_an_answer_is_made_again_for_the_same_container() {
    let mut bench = Bench::subscribed(&[]);
    bench.launch_group(&[task("a")]);
    let container = bench.container("a");
    bench.step(Input::Disconnected);
    bench.subscribe(&[]);
    let again = bench.effects.iter().find_map(|effect| match effect {
        Effect::LaunchContainer(again, _) => Some(again.clone()),
        _ => None,
    });
    assert_eq!(again, Some(container.clone()));
    assert!(bench.waits().is_empty());
    let retry = ExecutorTimer::Retry(container.clone(), Retried::Launch);
    bench.step(Input::LaunchAnswered(
        container.clone(),
        Answer::Unavailable("recovering".to_owned()),
    ));
    assert_eq!(bench.timer(&retry), Some(RETRY_INTERVAL));
    bench.elapsed(retry);
    assert_eq!(bench.launches(), ["a"]);
    bench.step(Input::LaunchAnswered(container, Answer::Done(())));
    assert_eq!(bench.told(), of(&[("a", RUNNING)]));
}

#[test]
fn a_kill_that_was_not_confirmed_is_made_again() {
    let mut bench = Bench::subscribed(&[]);
    bench.run_group(&["a"]);
    bench.run_group(&["b"]);
    let (a, b) = (bench.container("a"), bench.container("b"));
    bench.kill("a", None);
    bench.kill("b", None);
    bench.step(Input::KillAnswered(b.clone(), TERM, Answer::Done(())));
    bench.step(Input::Disconnected);
    bench.subscribe(&[]);
    assert_eq!(bench.signals(), of(&[("a", TERM)]), "the other one was confirmed");
    assert_eq!(bench.waits(), ["a", "b"]);
    bench.step(Input::KillAnswered(a.clone(), TERM, Answer::Done(())));
    bench.step(Input::Disconnected);
    bench.elapsed(ExecutorTimer::Escalate(a));
    assert!(bench.signals().is_empty(), "there is nobody to ask");
    bench.subscribe(&[]);
    assert_eq!(bench.signals(), of(&[("a", KILL)]));
    bench.elapsed(ExecutorTimer::Escalate(b));
    assert_eq!(bench.signals(), of(&[("b", KILL)]));
}

#[test]
fn a_group_member_that_ended_badly_meanwhile_takes_the_others_along() {
    let mut bench = Bench::subscribed(&[]);
    bench.run_group(&["a", "b"]);
    bench.step(Input::Disconnected);
    bench.subscribe(&[]);
    bench.ended("a", 256);
    assert_eq!(bench.told(), of(&[("a", FAILED)]));
    assert_eq!(bench.signals(), of(&[("b", TERM)]));
}
