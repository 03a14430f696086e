//! How ends of containers are told, and when the executor leaves.

use mesos_proto::v1::mesos::TaskResourceLimitation;

use super::*;

#[test]
fn wait_statuses_become_states_and_messages() {
    for (status, state, message) in [
        (0, FINISHED, "Command exited with status 0"),
        (3 << 8, FAILED, "Command exited with status 3"),
        (11, FAILED, "Command terminated with signal Segmentation fault"),
    ] {
        let mut bench = Bench::subscribed(&[]);
        bench.run_group(&["a"]);
        bench.ended("a", status);
        let [told] = &bench.updates()[..] else {
            panic!("one update")
        };
        assert_eq!((told.state(), told.message()), (state, message));
    }
}

#[test]
fn what_the_agent_says_of_an_end_comes_first() {
    let mut bench = Bench::subscribed(&[]);
    bench.run_group(&["a"]);
    let mut wait = WaitNestedContainer::new();
    wait.set_exit_status(9);
    wait.set_state(TaskState::TASK_LOST);
    wait.set_reason(task_status::Reason::REASON_CONTAINER_LIMITATION_MEMORY);
    wait.set_message("too much".to_owned());
    wait.limitation = Some(TaskResourceLimitation::new()).into();
    let container = bench.container("a");
    bench.step(Input::WaitAnswered(container, Answer::Done(Box::new(wait))));
    let [told] = &bench.updates()[..] else {
        panic!("one update")
    };
    assert_eq!(told.state(), TaskState::TASK_LOST);
    let expected = task_status::Reason::REASON_CONTAINER_LIMITATION_MEMORY;
    assert_eq!(reason(told), Some(expected));
    assert_eq!(told.message(), "Command terminated with signal Killed: too much");
    assert!(told.limitation.is_some());
}

#[test]
fn a_container_without_a_status_or_without_a_trace_has_failed() {
    let mut bench = Bench::subscribed(&[]);
    bench.run_group(&["a"]);
    let container = bench.container("a");
    let nothing = Answer::Done(Box::new(WaitNestedContainer::new()));
    bench.step(Input::WaitAnswered(container, nothing));
    assert_eq!(bench.updates()[0].message(), "Command terminated with unknown status");
    let mut bench = Bench::subscribed(&[]);
    bench.run_group(&["a"]);
    let container = bench.container("a");
    bench.step(Input::WaitAnswered(container, Answer::NotFound));
    assert_eq!(bench.told(), of(&[("a", FAILED)]));
    let mut bench = Bench::subscribed(&[]);
    bench.run_group(&["a"]);
    let container = bench.container("a");
    bench.kill("a", None);
    bench.step(Input::WaitAnswered(container, Answer::NotFound));
    assert_eq!(bench.told(), of(&[("a", KILLED)]));
}

#[test]
fn an_end_is_told_once() {
    let mut bench = Bench::subscribed(&[]);
    bench.run_group(&["a", "b"]);
    let container = bench.container("a");
    bench.ended("a", 0);
    let again = Answer::Done(Box::new(WaitNestedContainer::new()));
    assert!(bench.step(Input::WaitAnswered(container.clone(), again)).is_empty());
    assert!(
        bench
            .step(Input::KillAnswered(container.clone(), TERM, Answer::NotFound))
            .is_empty()
    );
    bench.elapsed(ExecutorTimer::Escalate(container));
    assert!(bench.effects.is_empty());
}

#[test]
fn an_agent_that_refuses_to_tell_an_end_leaves_nothing_to_do() {
    let mut bench = Bench::subscribed(&[]);
    bench.run_group(&["a"]);
    let container = bench.container("a");
    bench.step(Input::WaitAnswered(container, Answer::Refused(400, "no".to_owned())));
    assert_eq!(bench.exit(), Some(Outcome::Failed));
}

#[test]
fn the_executor_leaves_after_the_last_acknowledgement() {
    let mut bench = Bench::subscribed(&[]);
    bench.run_group(&["a"]);
    bench.acknowledge_all();
    assert_eq!(bench.exit(), None, "a task runs");
    bench.ended("a", 0);
    assert_eq!(bench.exit(), None, "its end is not acknowledged");
    assert_eq!(
        bench.timer(&ExecutorTimer::Acknowledgement),
        Some(ACKNOWLEDGEMENT_PATIENCE)
    );
    bench.acknowledge_all();
    assert_eq!(bench.exit(), Some(Outcome::Done));
}

#[test]
fn an_executor_without_any_task_yet_stays() {
    let mut bench = Bench::subscribed(&[]);
    bench.acknowledge_all();
    bench.subscribe(&[]);
    assert_eq!(bench.exit(), None);
}

#[test]
fn missing_acknowledgements_are_waited_for_only_so_long() {
    let mut bench = Bench::subscribed(&[]);
    bench.run_group(&["a"]);
    bench.ended("a", 0);
    bench.elapsed(ExecutorTimer::Acknowledgement);
    assert_eq!(bench.exit(), Some(Outcome::Failed));
}

#[test]
fn a_new_group_keeps_an_executor_that_was_about_to_leave() {
    let mut bench = Bench::subscribed(&[]);
    bench.run_group(&["a"]);
    bench.ended("a", 0);
    bench.launch_group(&[task("b")]);
    let cancelled = |effect: &Effect| matches!(effect, Effect::CancelTimer(ExecutorTimer::Acknowledgement));
    assert!(bench.effects.iter().any(cancelled));
    bench.acknowledge_all();
    assert_eq!(bench.exit(), None);
    bench.elapsed(ExecutorTimer::Acknowledgement);
    assert_eq!(bench.exit(), None);
}
