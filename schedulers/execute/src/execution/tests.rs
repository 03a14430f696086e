//! The way of one task as notices and actions.

use mesos::flags::Outcome;
use mesos_proto::v1::scheduler::Event;

use super::*;

fn execution(arguments: &[&str]) -> Execution {
    with(&[&["--name=hello", "--command=true"], arguments].concat())
}

fn with(arguments: &[&str]) -> Execution {
    let all = ["--master=127.0.0.1:5050"].iter().chain(arguments);
    match mesos::flags::execute::FLAGS.read(all.map(Into::into), Vec::new()) {
        Ok(Outcome::Run(flags)) => Execution::new(Request::from_flags(&flags, Some("root".into())).expect("valid")),
        other => panic!("{other:?}"),
    }
}

fn event(json: &str) -> Notice {
    Notice::Event(Box::new(mesos::json::from_str::<Event>(json).expect("an event")))
}

fn subscribed() -> Notice {
    event(r#"{"type":"SUBSCRIBED","subscribed":{"framework_id":{"value":"F"}}}"#)
}

fn offer(resources: &str) -> Notice {
    event(&format!(
        r#"{{"type":"OFFERS","offers":{{"offers":[{{"id":{{"value":"O"}},"framework_id":{{"value":"F"}},"agent_id":{{"value":"A"}},"hostname":"h","resources":[{resources}]}}]}}}}"#
    ))
}

fn scalar(name: &str, value: f64, more: &str) -> String {
    format!(
        r#"{{"name":"{name}","type":"SCALAR","scalar":{{"value":{value}}},"allocation_info":{{"role":"r"}}{more}}}"#
    )
}

fn update(state: &str, uuid: &str) -> Notice {
    event(&format!(
        r#"{{"type":"UPDATE","update":{{"status":{{"task_id":{{"value":"hello"}},"agent_id":{{"value":"A"}},"state":"{state}","source":"SOURCE_EXECUTOR"{uuid}}}}}}}"#
    ))
}

fn calls(actions: &[Action]) -> Vec<call::Type> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Call(call) => Some(call.type_()),
            _ => None,
        })
        .collect()
}

const ROOM: [&str; 2] = ["cpus", "mem"];

#[test]
fn the_first_offer_with_room_is_taken_and_later_ones_are_declined() {
    let mut execution = execution(&[]);
    execution.notice(&subscribed());
    let small = scalar("cpus", 0.5, "");
    assert_eq!(calls(&execution.notice(&offer(&small))), [call::Type::DECLINE]);
    let enough = ROOM.map(|name| scalar(name, 4096.0, "")).join(",");
    let actions = execution.notice(&offer(&enough));
    let Action::Call(accept) = &actions[0] else {
        panic!("{actions:?}")
    };
    let task = &accept.accept.operations[0].launch.task_infos[0];
    assert_eq!((task.agent_id.value(), task.resources.len()), ("A", 2));
    assert_eq!(actions[1], Action::Print("Submitted task 'hello' to agent 'A'".into()));
    assert_eq!(
        calls(&execution.notice(&offer(&enough))),
        [call::Type::DECLINE, call::Type::SUPPRESS]
    );
}

#[test]
fn a_role_uses_its_reservations_first() {
    let mut execution = execution(&["--role=r"]);
    execution.notice(&subscribed());
    let reserved = r#","reservations":[{"type":"STATIC","role":"r"}]"#;
    let resources = [
        scalar("cpus", 0.4, reserved),
        scalar("cpus", 8.0, ""),
        scalar("mem", 4096.0, ""),
    ]
    .join(",");
    let actions = execution.notice(&offer(&resources));
    let Action::Call(accept) = &actions[0] else {
        panic!("{actions:?}")
    };
    let taken = &accept.accept.operations[0].launch.task_infos[0].resources;
    let reserved: Vec<f64> = taken
        .iter()
        .filter(|resource| !resource.reservations.is_empty())
        .map(|resource| resource.scalar.value())
        .collect();
    assert_eq!((reserved, taken.len()), (vec![0.4], 3));
}

#[test]
fn updates_are_told_acknowledged_and_end_the_program() {
    let uuid = r#","uuid":"MDEyMzQ1Njc4OWFiY2RlZg==""#;
    for (state, success) in [
        ("TASK_FINISHED", true),
        ("TASK_FAILED", false),
        ("TASK_LOST", false),
        ("TASK_ERROR", false),
    ] {
        let mut execution = execution(&["--kill_after=1mins"]);
        execution.notice(&subscribed());
        let running = execution.notice(&update("TASK_RUNNING", uuid));
        assert_eq!(calls(&running), [call::Type::ACKNOWLEDGE]);
        assert_eq!(running.last(), Some(&Action::KillAfter(Duration::from_secs(60))));
        assert!(
            !execution
                .notice(&update("TASK_RUNNING", uuid))
                .contains(&Action::KillAfter(Duration::from_secs(60)))
        );
        let ended = execution.notice(&update(state, ""));
        assert!(calls(&ended).is_empty(), "updates without uuid want no acknowledgement");
        assert!(
            matches!(ended.last(), Some(Action::End(result)) if result.is_ok() == success),
            "{ended:?}"
        );
        assert_eq!(
            ended[0],
            Action::Print(format!("Received status update {state} for task 'hello'"))
        );
    }
}

#[test]
fn a_new_stream_asks_for_what_was_missed() {
    let mut execution = execution(&[]);
    assert!(execution.teardown().is_none() && execution.kill().is_empty());
    execution.notice(&subscribed());
    execution.notice(&offer(&ROOM.map(|name| scalar(name, 4096.0, "")).join(",")));
    assert_eq!(calls(&execution.notice(&subscribed())), [call::Type::RECONCILE]);
    assert_eq!(execution.kill()[0].kill.task_id.value(), "hello");
    assert_eq!(execution.teardown().expect("subscribed").framework_id.value(), "F");
}

#[test]
fn an_error_of_the_master_ends_the_program_with_its_text() {
    let mut execution = execution(&[]);
    let actions = execution.notice(&event(r#"{"type":"ERROR","error":{"message":"no such role"}}"#));
    assert!(matches!(&actions[..], [Action::End(Err(text))] if text.contains("no such role")));
}

#[test]
fn the_same_problem_is_told_once() {
    let mut execution = execution(&[]);
    let lost = Notice::Disconnected(mesos_scheduler_driver::v1::Problem::Connection("refused".into()));
    assert_eq!(execution.notice(&lost).len(), 1);
    assert!(execution.notice(&lost).is_empty());
    execution.notice(&subscribed());
    assert_eq!(execution.notice(&lost).len(), 1);
}

#[test]
fn a_group_is_launched_in_a_default_executor_and_ends_with_its_last_task() {
    let task = |id: &str| {
        format!(
            r#"{{"name":"{id}","task_id":{{"value":"{id}"}},"agent_id":{{"value":""}},"command":{{"value":"true"}},
            "resources":[{{"name":"cpus","type":"SCALAR","scalar":{{"value":0.5}}}}]}}"#
        )
    };
    let group = format!(r#"--task_group={{"tasks":[{},{}]}}"#, task("hello"), task("other"));
    let mut execution = with(&[&group]);
    execution.notice(&subscribed());
    let rest = [scalar("mem", 32.0, ""), scalar("disk", 32.0, "")].join(",");
    let offered = |cpus: f64| offer(&format!("{},{rest}", scalar("cpus", cpus, "")));
    // Two tasks would fit, their executor would not.
    assert_eq!(calls(&execution.notice(&offered(1.0))), [call::Type::DECLINE]);
    let actions = execution.notice(&offered(1.1));
    let Action::Call(accept) = &actions[0] else {
        panic!("{actions:?}")
    };
    let launch = &accept.accept.operations[0].launch_group;
    assert_eq!(launch.executor.type_(), executor_info::Type::DEFAULT);
    assert_eq!(launch.executor.framework_id.value(), "F");
    assert_eq!(launch.executor.resources.len(), 3);
    let tasks = &launch.task_group.tasks;
    assert!(
        tasks
            .iter()
            .all(|task| task.agent_id.value() == "A" && task.resources.len() == 1)
    );
    let told = "Submitted task group with tasks 'hello', 'other' to agent 'A'";
    assert_eq!(actions[1], Action::Print(told.into()));
    assert_eq!(execution.kill().len(), 2);
    let failed = execution.notice(&update("TASK_FAILED", ""));
    assert!(
        !failed.iter().any(|action| matches!(action, Action::End(_))),
        "one task is left"
    );
    assert_eq!(execution.kill().len(), 1);
    let other = r#"{"type":"UPDATE","update":{"status":{"task_id":{"value":"other"},"state":"TASK_FINISHED"}}}"#;
    let ended = execution.notice(&event(other));
    let Some(Action::End(Err(reason))) = ended.last() else {
        panic!("{ended:?}")
    };
    assert_eq!(reason, "task 'hello' ended as TASK_FAILED");
}
