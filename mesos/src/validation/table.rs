//! `rules.tsv`: each rule with a description that breaks it, and what the error must name.

use std::collections::BTreeSet;
use std::error::Error;

use mesos_proto::internal::wire::messages::{RegisterSlaveMessage, ReregisterSlaveMessage};
use mesos_proto::v0::mesos::{ExecutorInfo, FrameworkInfo, TaskGroupInfo, TaskInfo};
use mesos_proto::v0::scheduler::Call;
use protobuf::MessageFull;
use serde_json::{Value, json};

use super::agent::{validate_registration, validate_reregistration};
use super::calls::validate_scheduler_call;
use super::executor::{LaunchedFor, validate_executor, validate_same_executor};
use super::framework::{validate_framework, validate_principal, validate_suppressed_roles, validate_update};
use super::task::{TaskContext, validate_task, validate_task_group};

fn message<M: MessageFull>(json: &Value) -> M {
    crate::json::from_value(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// Puts changes into a description: objects are merged, `null` removes, everything else replaces.
fn merge(base: &mut Value, changes: &Value) {
    match (base, changes) {
        (Value::Object(base), Value::Object(changes)) => {
            for (key, change) in changes {
                if change.is_null() {
                    base.remove(key);
                } else {
                    merge(base.entry(key.clone()).or_insert(Value::Null), change);
                }
            }
        }
        (base, changes) => *base = changes.clone(),
    }
}

fn scalar(name: &str, value: f64) -> Value {
    json!({"name": name, "type": "SCALAR", "scalar": {"value": value}})
}

fn task() -> Value {
    json!({
        "name": "t", "task_id": {"value": "t1"}, "slave_id": {"value": "s"},
        "resources": [scalar("cpus", 1.0), scalar("mem", 64.0)], "command": {"value": "true"},
    })
}

fn executor() -> Value {
    json!({"executor_id": {"value": "e"}, "command": {"value": "run"}, "resources": [scalar("cpus", 0.1)]})
}

fn pod_executor() -> Value {
    let resources = [scalar("cpus", 0.1), scalar("mem", 32.0), scalar("disk", 1.0)];
    json!({"executor_id": {"value": "e"}, "type": "DEFAULT", "resources": resources})
}

fn reregistration() -> Value {
    let executor = json!({"executor_id": {"value": "e"}, "framework_id": {"value": "f"}});
    json!({
        "slave": {"hostname": "h", "id": {"value": "s"}, "checkpoint": true},
        "frameworks": [{"user": "u", "name": "n", "id": {"value": "f"}}],
        "executor_infos": [executor],
        "tasks": [{
            "name": "t", "task_id": {"value": "t1"}, "framework_id": {"value": "f"}, "slave_id": {"value": "s"},
            "state": "TASK_RUNNING", "executor_id": {"value": "e"}, "resources": [scalar("cpus", 1.0)],
        }],
    })
}

/// A good description of the subject.
fn base(subject: &str) -> Value {
    match subject {
        "framework" => json!({"user": "u", "name": "n"}),
        "update" | "principal" => json!({"user": "u", "name": "n", "principal": "p", "id": {"value": "f"}}),
        "suppressed" => json!([]),
        "task" | "group-task" => task(),
        "executor" => executor(),
        "group-executor" => pod_executor(),
        "same-executor" => json!({"executor_id": {"value": "e"}, "command": {"value": "run"}}),
        "group" => json!({"tasks": [task()]}),
        "call" => json!({"framework_id": {"value": "f"}}),
        "registration" => json!({"slave": {"hostname": "h", "checkpoint": true}}),
        "reregistration" => reregistration(),
        other => panic!("unknown subject {other}"),
    }
}

type Checked = Result<(), Box<dyn Error>>;

fn checked<T, E: Error + 'static>(result: Result<T, E>) -> Checked {
    result.map(drop).map_err(Into::into)
}

fn check(subject: &str, json: &Value) -> Checked {
    let context = TaskContext {
        framework_id: "f",
        agent_id: "s",
        id_in_use: &|id| id == "used",
    };
    let group = |group: Value, executor: &Value| {
        let group: TaskGroupInfo = message(&group);
        checked(validate_task_group(&group, &message(executor), &context))
    };
    match subject {
        "framework" => checked(validate_framework(&message::<FrameworkInfo>(json))),
        "update" => checked(validate_update(&message(&base("update")), &message(json))),
        "principal" => checked(validate_principal(&message(json), Some("authenticated"))),
        "suppressed" => {
            let roles = json.as_array().into_iter().flatten();
            let roles: Vec<String> = roles.filter_map(|role| role.as_str().map(str::to_owned)).collect();
            checked(validate_suppressed_roles(&message(&base("framework")), &roles))
        }
        "task" => checked(validate_task(&message::<TaskInfo>(json), &context)),
        "group" => group(json.clone(), &pod_executor()),
        "group-task" => group(json!({"tasks": [json]}), &pod_executor()),
        "group-executor" => group(json!({"tasks": [task()]}), json),
        "executor" => checked(validate_executor(
            &message::<ExecutorInfo>(json),
            "f",
            LaunchedFor::Task,
        )),
        "same-executor" => checked(validate_same_executor(&message(&base(subject)), &message(json))),
        "call" => checked(validate_scheduler_call(&message::<Call>(json))),
        "registration" => checked(validate_registration(&message::<RegisterSlaveMessage>(json))),
        "reregistration" => checked(validate_reregistration(&message::<ReregisterSlaveMessage>(json))),
        other => panic!("unknown subject {other}"),
    }
}

/// The error with its causes, as frameworks are told it.
fn text_of(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[test]
fn each_rule_names_the_field_and_the_value_that_breaks_it() {
    let mut names = BTreeSet::new();
    let mut subjects = BTreeSet::new();
    let mut wrong: Vec<String> = Vec::new();
    for line in include_str!("rules.tsv").lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [subject, rule, changes, field, value] = columns[..] else {
            panic!("five columns: {line}")
        };
        assert!(names.insert((subject, rule)), "{subject}: {rule} stands there twice");
        subjects.insert(subject);
        let mut json = base(subject);
        let changes: Value = serde_json::from_str(changes).unwrap_or_else(|error| panic!("{rule}: {error}"));
        merge(&mut json, &changes);
        let told = check(subject, &json).err().map(|error| text_of(&*error));
        let as_expected = match &told {
            None => field == "fine",
            Some(text) => field != "fine" && text.contains(field) && text.contains(value),
        };
        if !as_expected {
            wrong.push(format!(
                "{subject}: {rule}: {}",
                told.as_deref().unwrap_or("not refused")
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for subject in subjects
        .into_iter()
        .filter(|subject| *subject != "principal" && *subject != "call")
    {
        check(subject, &base(subject)).unwrap_or_else(|error| panic!("{subject}: {error}"));
    }
}
