//! Killing tasks, and shutting down.

use super::*;

#[test]
fn a_kill_is_told_signalled_and_escalated() {
    let mut bench = Bench::subscribed(&KILLING);
    bench.run_group(&["a"]);
    let container = bench.container("a");
    bench.kill("a", None);
    assert_eq!(bench.told(), of(&[("a", TASK_KILLING)]));
    assert_eq!(bench.signals(), of(&[("a", TERM)]));
    let escalate = ExecutorTimer::Escalate(container.clone());
    assert_eq!(bench.timer(&escalate), Some(KILL_GRACE_DEFAULT));
    bench.elapsed(escalate);
    assert_eq!(bench.signals(), of(&[("a", KILL)]));
    bench.ended("a", 9);
    assert_eq!(bench.told(), of(&[("a", KILLED)]));
    assert_eq!(bench.updates()[0].message(), "Command terminated with signal Killed");
    assert_eq!(reason(&bench.updates()[0]), None);
}

#[test]
fn frameworks_that_do_not_know_task_killing_are_not_told_of_it() {
    let mut bench = Bench::subscribed(&[]);
    bench.run_group(&["a"]);
    bench.kill("a", None);
    assert!(bench.told().is_empty());
    assert_eq!(bench.signals(), of(&[("a", TERM)]));
}

#[test]
fn the_time_to_end_comes_from_the_kill_then_the_task_then_the_default() {
    for (of_kill, of_task, expected) in [(Some(7), Some(9), 7), (None, Some(9), 9), (None, None, 3)] {
        let mut bench = Bench::subscribed(&[]);
        let described = of_task.map_or_else(|| task("a"), |seconds| with_grace(task("a"), seconds));
        bench.launch_group(&[described]);
        let container = bench.container("a");
        bench.step(Input::LaunchAnswered(container.clone(), Answer::Done(())));
        bench.kill("a", of_kill);
        let escalate = ExecutorTimer::Escalate(container);
        assert_eq!(bench.timer(&escalate), Some(Duration::from_secs(expected)));
    }
}

#[test]
fn a_second_kill_can_only_shorten_the_time() {
    let mut bench = Bench::subscribed(&KILLING);
    bench.run_group(&["a"]);
    let escalate = ExecutorTimer::Escalate(bench.container("a"));
    bench.kill("a", Some(10));
    bench.now += Duration::from_secs(2);
    bench.kill("a", Some(60));
    assert!(bench.effects.is_empty());
    bench.kill("a", Some(5));
    assert_eq!(bench.timer(&escalate), Some(Duration::from_secs(3)));
    assert!(bench.told().is_empty() && bench.signals().is_empty());
}

#[test]
fn a_kill_takes_the_rest_of_the_group_along() {
    let mut bench = Bench::subscribed(&KILLING);
    bench.run_group(&["a", "b", "c"]);
    bench.kill("b", None);
    assert_eq!(
        bench.signals(),
        of(&[("b", TERM)]),
        "the others live until it has ended"
    );
    bench.ended("b", 15);
    let expected = [("b", KILLED), ("a", TASK_KILLING), ("c", TASK_KILLING)];
    assert_eq!(bench.told(), of(&expected));
    assert_eq!(bench.signals(), of(&[("a", TERM), ("c", TERM)]));
    // The end of the next one finds the last one being killed, and leaves its time alone.
    bench.ended("a", 15);
    assert_eq!(bench.told(), of(&[("a", KILLED)]));
    assert!(bench.signals().is_empty());
    bench.ended("c", 0);
    assert_eq!(bench.told(), of(&[("c", KILLED)]), "however it ended, it was killed");
}

#[test]
fn a_task_that_finished_leaves_its_group_alone() {
    let mut bench = Bench::subscribed(&[]);
    bench.run_group(&["a", "b"]);
    bench.ended("a", 0);
    assert_eq!(bench.told(), of(&[("a", FINISHED)]));
    assert!(bench.signals().is_empty());
}

#[test]
fn a_kill_during_the_launch_waits_for_the_answer() {
    let mut bench = Bench::subscribed(&KILLING);
    bench.launch_group(&[task("a"), task("b")]);
    let container = bench.container("a");
    bench.kill("a", Some(9));
    bench.kill("a", Some(4));
    assert!(bench.effects.is_empty());
    bench.step(Input::LaunchAnswered(container.clone(), Answer::Done(())));
    assert_eq!(bench.told(), of(&[("a", RUNNING), ("a", TASK_KILLING)]));
    assert_eq!(bench.signals(), of(&[("a", TERM)]));
    assert_eq!(
        bench.timer(&ExecutorTimer::Escalate(container)),
        Some(Duration::from_secs(4))
    );
}

#[test]
fn a_kill_of_a_task_that_was_never_launched_is_told_as_such() {
    let mut bench = Bench::subscribed(&[]);
    bench.launch_group(&[task("a")]);
    let container = bench.container("a");
    bench.kill("a", None);
    bench.step(Input::LaunchAnswered(container, Answer::Refused(400, "no".to_owned())));
    assert_eq!(bench.told(), of(&[("a", KILLED)]));
}

#[test]
fn kills_of_unknown_tasks_are_ignored() {
    let mut bench = Bench::subscribed(&[]);
    bench.run_group(&["a"]);
    bench.kill("b", None);
    assert!(bench.effects.is_empty());
}

#[test]
fn a_task_that_takes_too_long_fails_for_that_reason() {
    let mut bench = Bench::subscribed(&KILLING);
    let mut limited = task("a");
    limited
        .max_completion_time
        .mut_or_insert_default()
        .set_nanoseconds(2_000_000_000);
    bench.launch_group(&[limited, task("b")]);
    let (a, b) = (bench.container("a"), bench.container("b"));
    bench.step(Input::LaunchAnswered(b, Answer::Done(())));
    bench.step(Input::LaunchAnswered(a.clone(), Answer::Done(())));
    let completion = ExecutorTimer::Completion(a.clone());
    assert_eq!(bench.timer(&completion), Some(Duration::from_secs(2)));
    bench.elapsed(completion);
    assert!(bench.told().is_empty(), "nobody asked for a kill");
    assert_eq!(bench.signals(), of(&[("a", TERM)]));
    assert_eq!(bench.timer(&ExecutorTimer::Escalate(a)), Some(Duration::ZERO));
    bench.ended("a", 15);
    assert_eq!(bench.told(), of(&[("a", FAILED), ("b", TASK_KILLING)]));
    let expected = task_status::Reason::REASON_MAX_COMPLETION_TIME_REACHED;
    assert_eq!(reason(&bench.updates()[0]), Some(expected));
}

#[test]
fn an_agent_that_does_not_signal_is_asked_again() {
    let mut bench = Bench::subscribed(&[]);
    bench.run_group(&["a"]);
    let container = bench.container("a");
    let retry = ExecutorTimer::Retry(container.clone(), Retried::Kill);
    let answered = |signal, answer| Input::KillAnswered(container.clone(), signal, answer);
    bench.kill("a", None);
    bench.step(answered(TERM, Answer::Unavailable("broken".to_owned())));
    assert_eq!(bench.timer(&retry), Some(RETRY_INTERVAL));
    bench.elapsed(retry.clone());
    assert_eq!(bench.signals(), of(&[("a", TERM)]));
    // A refusal of TERM is left to the escalation, one of KILL is not accepted.
    bench.step(answered(TERM, Answer::Refused(500, "no".to_owned())));
    assert!(bench.effects.is_empty());
    bench.elapsed(ExecutorTimer::Escalate(container.clone()));
    bench.step(answered(KILL, Answer::Refused(500, "no".to_owned())));
    assert_eq!(bench.timer(&retry), Some(RETRY_INTERVAL));
    bench.elapsed(retry.clone());
    assert_eq!(bench.signals(), of(&[("a", KILL)]));
    bench.step(answered(KILL, Answer::Done(())));
    bench.elapsed(retry);
    assert!(bench.signals().is_empty());
}

#[test]
fn a_shutdown_kills_everything_and_leaves_when_all_is_told() {
    let mut bench = Bench::subscribed(&KILLING);
    bench.run_group(&["a"]);
    bench.run_group(&["b"]);
    let container = bench.container("b");
    bench.shut_down();
    assert_eq!(bench.signals(), of(&[("a", TERM), ("b", TERM)]));
    // Of the five seconds, two are for telling.
    assert_eq!(
        bench.timer(&ExecutorTimer::Escalate(container)),
        Some(Duration::from_secs(3))
    );
    bench.kill("a", Some(0));
    assert!(bench.effects.is_empty(), "the shutdown has its own time");
    bench.launch_group(&[task("late")]);
    assert!(bench.effects.is_empty());
    bench.ended("a", 15);
    bench.ended("b", 15);
    assert_eq!(bench.told(), of(&[("b", KILLED)]));
    assert_eq!(bench.exit(), None);
    assert_eq!(
        bench.timer(&ExecutorTimer::Acknowledgement),
        Some(ACKNOWLEDGEMENT_PATIENCE)
    );
    bench.acknowledge_all();
    assert_eq!(bench.exit(), Some(Outcome::Done));
}

#[test]
fn a_shutdown_without_tasks_or_without_an_agent_is_the_end() {
    let mut bench = Bench::subscribed(&[]);
    bench.shut_down();
    assert_eq!(bench.exit(), Some(Outcome::Done));
    let mut bench = Bench::subscribed(&[]);
    bench.run_group(&["a"]);
    bench.step(Input::Disconnected);
    bench.shut_down();
    assert_eq!(bench.exit(), Some(Outcome::Failed));
    let mut bench = Bench::subscribed(&[]);
    bench.run_group(&["a"]);
    bench.step(Input::GraceOver);
    assert_eq!(bench.exit(), Some(Outcome::Failed));
}
