//! Status updates through the whole agent.

mod support;

use std::path::Path;
use std::time::Duration;

use mesos::Message;
use mesos_agent_core::{Effect, ExecutorState, Input};
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::mesos as pb;
use pb::TaskState;
use support::{Bench, build, forwarded, master, names, retry_timer, sends, upid};

#[test]
fn updates_are_recorded_before_anybody_hears_of_them() {
    let mut bench = Bench::registered();
    bench.receive(&master(), build::run_task("t1", Some("e1"), true));
    bench.launched();
    let address = upid("executor(1)@127.0.0.1:4000");
    bench.receive(&address, build::register_executor("e1"));
    let message = build::update("t1", "e1", TaskState::TASK_RUNNING, 1);
    let effects = bench.agent.step(
        bench.now,
        Input::Message {
            from: address,
            message: message.into(),
        },
    );
    let Effect::Checkpoint { writes, then } = &effects[0] else {
        panic!("{effects:?}")
    };
    assert!(writes[0].path().ends_with("tasks/t1/task.updates"));
    assert_eq!(names(then), ["StatusUpdateMessage"]);
    let Some(Effect::Checkpoint { then, .. }) = effects.last() else {
        panic!("{effects:?}")
    };
    assert_eq!(names(then), ["StatusUpdateAcknowledgementMessage"]);
}

#[test]
fn forwarded_updates_carry_what_the_recorded_ones_carry() {
    let mut bench = Bench::registered();
    bench.receive(&master(), build::run_task("t1", Some("e1"), true));
    let container = bench.launched();
    let address = upid("executor(1)@127.0.0.1:4000");
    bench.receive(&address, build::register_executor("e1"));
    let effects = bench.receive(&address, build::update("t1", "e1", TaskState::TASK_RUNNING, 1));
    let update = forwarded(&effects)[0];
    assert_eq!(update.latest_state(), TaskState::TASK_RUNNING);
    let status = &update.status;
    assert_eq!(status.source(), pb::task_status::Source::SOURCE_EXECUTOR);
    assert_eq!(status.executor_id.value(), "e1");
    assert_eq!(status.uuid(), [1; 16]);
    assert_eq!(status.container_status.container_id.value(), container.value());
    assert_eq!(status.container_status.executor_pid(), 42);
    assert_eq!(
        status.container_status.network_infos[0].ip_addresses[0].ip_address(),
        "127.0.0.1"
    );
    let Message::StatusUpdate(message) = sends(&effects)[0].1 else {
        panic!("{effects:?}")
    };
    assert_eq!(message.pid(), "slave(1)@127.0.0.1:5051");
}

#[test]
fn one_update_of_a_task_is_on_its_way_at_a_time() {
    let mut bench = Bench::registered();
    bench.receive(&master(), build::run_task("t1", Some("e1"), true));
    bench.launched();
    let address = upid("executor(1)@127.0.0.1:4000");
    bench.receive(&address, build::register_executor("e1"));
    bench.receive(&address, build::update("t1", "e1", TaskState::TASK_RUNNING, 1));
    let effects = bench.receive(&address, build::update("t1", "e1", TaskState::TASK_FINISHED, 2));
    assert!(forwarded(&effects).is_empty());
    // The executor need not keep it any longer, all the same.
    assert_eq!(names(&effects), ["StatusUpdateAcknowledgementMessage"]);
    // The update that goes again says what is known by now.
    let effects = bench.fire(&retry_timer("t1"));
    let [again] = forwarded(&effects)[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(
        (again.status.state(), again.latest_state()),
        (TaskState::TASK_RUNNING, TaskState::TASK_FINISHED)
    );
    assert_eq!(bench.receive(&master(), build::acknowledge("t1", 2)), []);
    let effects = bench.receive(&master(), build::acknowledge("t1", 1));
    assert_eq!(forwarded(&effects)[0].status.state(), TaskState::TASK_FINISHED);
    bench.receive(&master(), build::acknowledge("t1", 2));
    assert!(!bench.timers.contains_key(&retry_timer("t1")));
    let executor = bench.executor("e1").expect("an executor");
    assert_eq!(executor.completed_tasks().count(), 1);
}

#[test]
fn pauses_between_repetitions_double_up_to_ten_minutes() {
    let mut bench = Bench::registered();
    bench.receive(&master(), build::run_task("t1", Some("e1"), true));
    bench.launched();
    let address = upid("executor(1)@127.0.0.1:4000");
    bench.receive(&address, build::register_executor("e1"));
    bench.receive(&address, build::update("t1", "e1", TaskState::TASK_RUNNING, 1));
    for seconds in [10, 20, 40, 80, 160, 320, 600, 600] {
        assert_eq!(bench.pause_of(&retry_timer("t1")), Some(Duration::from_secs(seconds)));
        assert_eq!(forwarded(&bench.fire(&retry_timer("t1"))).len(), 1);
    }
}

#[test]
fn updates_wait_while_there_is_no_master() {
    let mut bench = Bench::registered();
    let address = bench.running_task("t1", "e1");
    bench.step(Input::MasterDetected(None));
    let effects = bench.receive(&address, build::update("t1", "e1", TaskState::TASK_FINISHED, 2));
    assert_eq!(names(&effects), ["StatusUpdateAcknowledgementMessage"]);
    assert!(!bench.timers.contains_key(&retry_timer("t1")));
    bench.step(Input::MasterDetected(Some(master())));
    bench.fire(&mesos_agent_core::AgentTimer::Registration);
    let effects = bench.receive(&master(), build::reregistered());
    assert_eq!(names(&effects), ["UpdateSlaveMessage", "StatusUpdateMessage"]);
}

#[test]
fn acknowledgements_count_only_from_the_leader_or_an_old_scheduler() {
    let mut bench = Bench::registered();
    let address = bench.running_task("t1", "e1");
    bench.receive(&address, build::update("t1", "e1", TaskState::TASK_FINISHED, 2));
    bench.receive(&upid("master@127.0.0.1:6000"), build::acknowledge("t1", 2));
    assert_eq!(
        bench.executor("e1").map(|executor| executor.terminated_tasks().count()),
        Some(1)
    );
    bench.receive(&upid("scheduler-1@127.0.0.1:3000"), build::acknowledge("t1", 2));
    assert_eq!(
        bench.executor("e1").map(|executor| executor.terminated_tasks().count()),
        Some(0)
    );
}

#[test]
fn repeated_updates_are_acknowledged_to_the_executor_and_not_sent_again() {
    let mut bench = Bench::registered();
    let address = bench.running_task("t1", "e1");
    let finished = build::update("t1", "e1", TaskState::TASK_FINISHED, 2);
    bench.receive(&address, finished.clone());
    assert_eq!(
        names(&bench.receive(&address, finished.clone())),
        ["StatusUpdateAcknowledgementMessage"]
    );
    bench.receive(&master(), build::acknowledge("t1", 2));
    assert_eq!(
        names(&bench.receive(&address, finished)),
        ["StatusUpdateAcknowledgementMessage"]
    );
    // What comes after the end changes nothing.
    let late = build::update("t1", "e1", TaskState::TASK_FAILED, 3);
    assert_eq!(
        names(&bench.receive(&address, late)),
        ["StatusUpdateAcknowledgementMessage"]
    );
}

#[test]
fn only_the_first_end_of_a_task_counts() {
    let mut bench = Bench::registered();
    let address = bench.running_task("t1", "e1");
    bench.receive(&address, build::update("t1", "e1", TaskState::TASK_FINISHED, 2));
    let effects = bench.receive(&address, build::update("t1", "e1", TaskState::TASK_FAILED, 3));
    assert_eq!(names(&effects), ["StatusUpdateAcknowledgementMessage"]);
    let task = bench
        .executor("e1")
        .and_then(|executor| executor.terminated_tasks().next().cloned())
        .expect("a task");
    assert_eq!(task.state(), TaskState::TASK_FINISHED);
}

#[test]
fn updates_that_cannot_be_kept_are_ignored() {
    let mut bench = Bench::registered();
    let address = bench.running_task("t1", "e1");
    type Change = fn(&mut internal::StatusUpdateMessage);
    let table: [Change; 4] = [
        |m| m.update.mut_or_insert_default().uuid = None,
        |m| m.update.mut_or_insert_default().set_uuid(vec![1]),
        |m| {
            m.update
                .mut_or_insert_default()
                .slave_id
                .mut_or_insert_default()
                .set_value("other".to_owned());
        },
        |m| {
            m.update
                .mut_or_insert_default()
                .framework_id
                .mut_or_insert_default()
                .set_value("other".to_owned());
        },
    ];
    for change in table {
        let mut message = build::update("t1", "e1", TaskState::TASK_FINISHED, 2);
        change(&mut message);
        assert_eq!(bench.receive(&address, message), []);
    }
    assert_eq!(bench.agent.counters().invalid_status_updates, 4);
}

#[test]
fn an_executor_that_reports_staging_is_shut_down() {
    let mut bench = Bench::registered();
    let address = bench.running_task("t1", "e1");
    let effects = bench.receive(&address, build::update("t1", "e1", TaskState::TASK_STAGING, 2));
    assert_eq!(names(&effects), ["ShutdownExecutorMessage"]);
    assert_eq!(
        bench.executor("e1").map(mesos_agent_core::Executor::state),
        Some(ExecutorState::Terminating)
    );
}

#[test]
fn a_framework_that_moved_gets_its_waiting_updates_again() {
    let mut bench = Bench::registered();
    let address = bench.running_task("t1", "e1");
    bench.receive(&address, build::update("t1", "e1", TaskState::TASK_FINISHED, 2));
    let mut message = internal::UpdateFrameworkMessage::new();
    message.framework_id = build::framework_id();
    message.set_pid("scheduler-2@127.0.0.1:3001".to_owned());
    let effects = bench.receive(&master(), message);
    assert_eq!(names(&effects), ["StatusUpdateMessage"]);
    let pid = Path::new("/w/meta/slaves/M-S0/frameworks/M-0000/framework.pid");
    assert_eq!(bench.disk.text(pid), Some("scheduler-2@127.0.0.1:3001"));
}
